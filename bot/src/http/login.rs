//! Owns how a person signs in with a browser: a token becomes a session, a session ends, and an invitation works once.
//! Refuses to lead anybody to another site, and to say why a token was not believed.

mod invitation;
mod local;

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use http::header::SET_COOKIE;
use http::request::Parts;
use jiff::Timestamp;
use serde::Deserialize;
use tidegate_rollout::Role;
use tracing::{info, warn};

use super::asked::{Form, Path, Query};
use super::caller::{Caller, Way};
use super::guard::Guard;
use super::keys::{KeyError, Wanted};
use super::problem::Problem;
use super::rights;
use super::routes::{Auth, Routes};
use super::session;
use super::to_sign_in;
use crate::clock;
use crate::store::{Token, TokenKind};

pub use invitation::Invitations;

/// What signing in needs.
#[derive(Clone)]
struct Door {
    guard: Arc<Guard>,
    invitations: Invitations,
    page: Page,
}

/// The sign-in page: where the person wanted to go, a path of ours, and what went wrong before.
pub type Page = Arc<dyn Fn(&str, Option<&str>) -> Response + Send + Sync>;

/// The sign-in page and what is behind it.
pub fn routes(routes: Routes, guard: Arc<Guard>, invitations: Invitations, page: Page) -> Routes {
    let door = Door {
        guard,
        invitations,
        page,
    };
    routes
        .get("/login", Auth::Open, show, door.clone())
        .post("/login", Auth::Open, sign_in, door.clone())
        .post("/logout", Auth::PERSON, sign_out, door.clone())
        .get("/login/invitation/{code}", Auth::Invitation, accept, door)
}

#[derive(Deserialize)]
struct Asked {
    next: Option<String>,
    /// There when somebody pressed a button after their session had ended.
    pressed: Option<String>,
}

/// What whoever pressed a button without a session must know first.
const NOT_DONE: &str = "Nothing was done: nobody is signed in here any more. Sign in, then press again.";

async fn show(State(door): State<Door>, Query(asked): Query<Asked>) -> Response {
    let next = local::path(asked.next.as_deref()).unwrap_or(local::HOME);
    (door.page)(next, asked.pressed.map(|_| NOT_DONE))
}

#[derive(Deserialize)]
struct SignIn {
    token: String,
    next: Option<String>,
}

async fn sign_in(State(door): State<Door>, Form(form): Form<SignIn>) -> Response {
    let now = clock::now();
    let config = door.guard.current.get();
    let next = local::path(form.next.as_deref()).unwrap_or(local::HOME).to_owned();
    let key = match door.guard.keyring.find(form.token.trim(), now).await {
        Ok(key) => key.filter(|key| key.kind == TokenKind::Token),
        Err(error) => return unavailable(&error),
    };
    let is_a_persons = |key: &Token| !of_programs_only(&rights::roles_now(key, &config.people));
    let Some(key) = key.filter(is_a_persons) else {
        return not_believed(&door, &next);
    };
    begin(&door, key, &next, now).await
}

fn not_believed(door: &Door, next: &str) -> Response {
    let page = (door.page)(next, Some("That is no token of a person here."));
    (StatusCode::UNAUTHORIZED, page).into_response()
}

/// Somebody with nothing but a program's rights has no business on the pages, and neither has somebody without any.
fn of_programs_only(roles: &std::collections::BTreeSet<Role>) -> bool {
    roles.iter().all(|role| role.is_for_programs())
}

/// Makes a session that may do what `key` may, and ends no later.
async fn begin(door: &Door, key: Token, next: &str, now: Timestamp) -> Response {
    let config = door.guard.current.get();
    let wanted = rights::end(config.web.session, now);
    let session = Wanted {
        person: key.person.clone(),
        roles: key.roles.clone(),
        expires_at: Some(key.expires_at.map_or(wanted, |end| end.min(wanted))),
    };
    let secret = match door.guard.keyring.open_session(&key, session, now).await {
        Ok(Some((_, secret))) => secret,
        Ok(None) => return not_believed(door, next),
        Err(error) => return unavailable(&error),
    };
    info!(person = %key.person, "Signed in");
    let prefix = &config.web.route_prefix;
    let answer = Redirect::to(&format!("{prefix}{next}")).into_response();
    with_cookie(answer, session::begin(&secret, config.web.session, &config.web))
}

async fn sign_out(State(door): State<Door>, caller: Caller) -> Response {
    let config = door.guard.current.get();
    // A token that came in a header is not a session, and outlives a misdirected request.
    if caller.way == Way::Cookie
        && let Err(error) = door
            .guard
            .keyring
            .sign_out(caller.key, &caller.actor, clock::now())
            .await
    {
        return unavailable(&error);
    }
    let answer = Redirect::to(&format!("{}/login", config.web.route_prefix)).into_response();
    with_cookie(answer, session::end(&config.web))
}

/// What whoever follows a link a second time must know.
const USED: &str = "This link signs in once, and was used already or is of a server that has stopped since. Sign in with a \
                    token, or start again what printed the link.";

async fn accept(State(door): State<Door>, Path(code): Path<String>, head: Parts) -> Response {
    match door.invitations.accept(&code) {
        Some(key) => begin(&door, key, local::HOME, clock::now()).await,
        None if to_sign_in::wants_page(&head) => {
            let page = (door.page)(local::HOME, Some(USED));
            (StatusCode::FORBIDDEN, page).into_response()
        }
        None => Problem::new(
            StatusCode::FORBIDDEN,
            "used",
            "This link has been used, or was never made.",
        )
        .hint("Sign in with a token, or start again what printed the link.")
        .into_response(),
    }
}

fn with_cookie(mut answer: Response, cookie: Option<http::HeaderValue>) -> Response {
    if let Some(cookie) = cookie {
        answer.headers_mut().insert(SET_COOKIE, cookie);
    }
    answer
}

fn unavailable(error: &(dyn std::error::Error + 'static)) -> Response {
    warn!(error, "Could not sign somebody in or out");
    Problem::unavailable("That could not be remembered. Nothing was done.").into_response()
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        warn!(error = &error as &dyn std::error::Error, "Could not make a key");
        Self::unavailable("The key could not be remembered. Nothing was done.")
    }
}
