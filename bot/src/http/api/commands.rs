//! Owns `POST /api/v1/commands`: one thing said by one person, once.
//! Refuses to be read twice: with an idempotency key, the same request gets the first answer again.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tidegate_rollout::{Actor, Code, Surface};

use super::super::asked::Json;
use super::super::caller::{Caller, Way};
use super::super::problem::Problem;
use super::{Api, Said};
use crate::chat::{Answer, Desk, Request};
use crate::clock;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Says something: `{"text": "status"}`, or `{"verb": "rollback", "rollout": "auth-17", "reason": "errors"}`.
///
/// A refusal is a problem with the members of an answer beside those of RFC 9457.
#[utoipa::path(
    post, path = "/api/v1/commands", tag = "rollouts", request_body = Said,
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key again gets the first answer again.")),
    responses(
        (status = 200, body = Answer),
        (status = 403, body = Answer, content_type = "application/problem+json"),
        (status = 409, body = Answer, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn say<D: Desk + 'static>(
    State(api): State<Api<D>>,
    caller: Caller,
    headers: HeaderMap,
    Json(said): Json<Said>,
) -> Result<Response, Problem> {
    let now = clock::now();
    let key = idempotency_key(&headers, &caller)?;
    let actor = speaker(caller, &said);
    let answer = match (&said.text, &said.verb) {
        (Some(text), None) => {
            let text = text.clone();
            api.dispatcher.said(actor, &text, key, now).await?
        }
        (None, Some(_)) => {
            let (rollout, seen) = (said.rollout.clone(), said.seen);
            match said.verb(now) {
                Err(refusal) => refusal.into(),
                Ok(verb) => {
                    let request = Request {
                        actor,
                        verb,
                        rollout,
                        place: None,
                        seen,
                        key,
                        not_after: None,
                    };
                    api.dispatcher.dispatch(request, now).await?
                }
            }
        }
        _ => {
            let detail = "Give either `text` or `verb`.";
            return Err(Problem::new(StatusCode::BAD_REQUEST, "malformed", detail));
        }
    };
    Ok(respond(&answer))
}

/// The command line says that it is one. Nobody says of themselves that they speak in a chat or on a page: what came from there
/// was proved there, and the log must not tell otherwise.
fn speaker(caller: Caller, said: &Said) -> Actor {
    let honest = |surface: &Surface| matches!(surface, Surface::Cli | Surface::Api);
    let named = said.surface.filter(honest).filter(|_| caller.way == Way::Header);
    Actor {
        surface: named.unwrap_or(caller.actor.surface),
        ..caller.actor
    }
}

/// One person's keys never meet another's.
fn idempotency_key(headers: &HeaderMap, caller: &Caller) -> Result<Option<String>, Problem> {
    let Some(key) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let fits = |key: &&str| !key.is_empty() && key.len() <= 200 && key.chars().all(|c| c.is_ascii_graphic());
    match key.to_str().ok().filter(fits) {
        Some(key) => Ok(Some(format!("api:{}:{key}", caller.actor.person))),
        None => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "malformed",
            "An idempotency key is up to 200 visible ASCII characters.",
        )),
    }
}

/// A refusal is an answer too: the same members, and those of a problem beside them.
fn respond(answer: &Answer) -> Response {
    if answer.ok {
        return axum::Json(answer).into_response();
    }
    let status = match answer.code {
        Some(Code::R301 | Code::R303) => StatusCode::FORBIDDEN,
        _ => StatusCode::CONFLICT,
    };
    let mut body = serde_json::to_value(answer).unwrap_or_default();
    if let Some(members) = body.as_object_mut() {
        members.insert("title".to_owned(), "Refused".into());
        members.insert("status".to_owned(), status.as_u16().into());
        members.insert("detail".to_owned(), answer.text.clone().into());
    }
    let problem = [(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))];
    (status, problem, axum::Json(body)).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tidegate_rollout::PersonId;

    use super::*;

    #[test]
    fn nobody_says_of_themselves_that_they_speak_in_a_chat() {
        let spoken = |way, proved, named| {
            let actor = Actor {
                person: PersonId::new("mara"),
                roles: BTreeSet::new(),
                surface: proved,
            };
            let caller = Caller { actor, way, key: 1 };
            let said = Said {
                surface: named,
                ..Said::default()
            };
            speaker(caller, &said).surface
        };
        for surface in Surface::ALL {
            let believed = match surface {
                Surface::Cli => Surface::Cli,
                Surface::Api | Surface::Chat | Surface::Page | Surface::Slack | Surface::Discord => Surface::Api,
            };
            assert_eq!(spoken(Way::Header, Surface::Api, Some(surface)), believed);
            assert_eq!(spoken(Way::Cookie, Surface::Page, Some(surface)), Surface::Page);
        }
        assert_eq!(spoken(Way::Header, Surface::Cli, None), Surface::Cli);
    }
}
