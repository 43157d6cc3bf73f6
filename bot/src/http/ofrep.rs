//! Owns the OpenFeature remote evaluation protocol, OFREP 0.3: any OpenFeature SDK can follow a rollout.
//! Refuses to answer when it does not know: an unknown flag, or a replica that has lost touch with the store, is an error,
//! and the default in the caller's code holds.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tidegate_rollout::flag::{Evaluation, Why};

use crate::driver::flag::{FlagBoard, Unserved};

/// The largest request that is read; a context is a few attributes.
pub const BODY_LIMIT: usize = 64 * 1024;

#[derive(Deserialize)]
struct Request {
    #[serde(default)]
    context: Option<serde_json::Map<String, serde_json::Value>>,
}

/// One evaluated flag.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Evaluated {
    key: String,
    value: bool,
    reason: &'static str,
    variant: &'static str,
    metadata: Metadata,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Metadata {
    rollout: String,
    weight: String,
}

/// Why nothing was evaluated.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Failed {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(rename = "errorCode")]
    error_code: &'static str,
    #[serde(rename = "errorDetails")]
    error_details: String,
}

impl Failed {
    fn answer(key: Option<&str>, status: StatusCode, error_code: &'static str, details: impl Into<String>) -> Response {
        let failed = Self {
            key: key.map(str::to_owned),
            error_code,
            error_details: details.into(),
        };
        (status, Json(failed)).into_response()
    }

    /// SDKs take the default then, which is the old version where nobody decided otherwise.
    fn unserved(key: Option<&str>, why: Unserved) -> Response {
        match why {
            Unserved::Unknown => Self::answer(
                key,
                StatusCode::NOT_FOUND,
                "FLAG_NOT_FOUND",
                "No rollout has moved this flag; the default of your code holds.",
            ),
            Unserved::OutOfTouch => Self::answer(
                key,
                StatusCode::SERVICE_UNAVAILABLE,
                "GENERAL",
                "This replica has lost touch with the store, so the flag may have changed; the default of your code holds.",
            ),
        }
    }
}

/// `POST /ofrep/v1/evaluate/flags/{key}`
pub async fn one(State(board): State<Arc<FlagBoard>>, Path(key): Path<String>, body: Bytes) -> Response {
    let user = match targeting_key(&body) {
        Ok(user) => user,
        Err((code, details)) => return Failed::answer(Some(&key), StatusCode::BAD_REQUEST, code, details),
    };
    match evaluate(&board, &key, &user, Instant::now()) {
        Ok(evaluated) => Json(evaluated).into_response(),
        Err(why) => Failed::unserved(Some(&key), why),
    }
}

/// `POST /ofrep/v1/evaluate/flags`
pub async fn all(State(board): State<Arc<FlagBoard>>, headers: HeaderMap, body: Bytes) -> Response {
    let user = match targeting_key(&body) {
        Ok(user) => user,
        Err((code, details)) => return Failed::answer(None, StatusCode::BAD_REQUEST, code, details),
    };
    let now = Instant::now();
    if !board.serves(now) {
        return Failed::unserved(None, Unserved::OutOfTouch);
    }
    let flags: Vec<Evaluated> = board
        .keys()
        .iter()
        .filter_map(|key| evaluate(&board, key, &user, now).ok())
        .collect();
    let body = serde_json::json!({ "flags": flags }).to_string();
    let tag = tag(&body);
    let known = headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut answer = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, "application/json")], body).into_response()
    };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        answer.headers_mut().insert(header::ETAG, tag);
    }
    answer
}

/// Made of the answer itself: every replica gives the same answer the same tag, and another one another.
fn tag(body: &str) -> String {
    format!("\"{}\"", hex::encode(&Sha256::digest(body)[..16]))
}

fn targeting_key(body: &[u8]) -> Result<String, (&'static str, String)> {
    let request: Request = serde_json::from_slice(body)
        .map_err(|fault| ("PARSE_ERROR", format!("The body is not an evaluation request: {fault}")))?;
    let context = request
        .context
        .ok_or_else(|| ("INVALID_CONTEXT", "The request has no `context`.".to_owned()))?;
    match context.get("targetingKey") {
        Some(serde_json::Value::String(key)) if !key.is_empty() => Ok(key.clone()),
        Some(serde_json::Value::String(_)) | None => Err((
            "TARGETING_KEY_MISSING",
            "The context needs a `targetingKey`: the same user must get the same answer.".to_owned(),
        )),
        Some(_) => Err(("INVALID_CONTEXT", "`targetingKey` is a string.".to_owned())),
    }
}

fn evaluate(board: &FlagBoard, key: &str, user: &str, now: Instant) -> Result<Evaluated, Unserved> {
    let (Evaluation { on, why }, posted) = board.evaluate(key, user, now)?;
    Ok(Evaluated {
        key: key.to_owned(),
        value: on,
        reason: match why {
            Why::Off => "STATIC",
            Why::Group => "TARGETING_MATCH",
            Why::Bucket => "SPLIT",
        },
        variant: if on { "new" } else { "old" },
        metadata: Metadata {
            rollout: posted.state.rollout.clone(),
            weight: posted.state.weight.to_string(),
        },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use axum::body::to_bytes;
    use tidegate_rollout::Weight;
    use tidegate_rollout::flag::FlagState;

    use super::*;

    const ANA: &[u8] = br#"{"context":{"targetingKey":"ana"}}"#;

    fn board(weight: Weight) -> Arc<FlagBoard> {
        let board = FlagBoard::default();
        board.post(vec![flag(weight, 1)], 1);
        Arc::new(board)
    }

    fn flag(weight: Weight, epoch: u64) -> FlagState {
        FlagState {
            key: "checkout-v2".to_owned(),
            weight,
            members: BTreeSet::new(),
            epoch,
            rollout: "checkout-1".to_owned(),
        }
    }

    async fn ask_one(board: &Arc<FlagBoard>) -> (StatusCode, serde_json::Value) {
        let answer = one(
            State(Arc::clone(board)),
            Path("checkout-v2".to_owned()),
            Bytes::from_static(ANA),
        )
        .await;
        let status = answer.status();
        let body = to_bytes(answer.into_body(), BODY_LIMIT).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    async fn ask_all(board: &Arc<FlagBoard>, known: Option<&HeaderValue>) -> (StatusCode, Option<HeaderValue>) {
        let mut headers = HeaderMap::new();
        if let Some(known) = known {
            headers.insert(header::IF_NONE_MATCH, known.clone());
        }
        let answer = all(State(Arc::clone(board)), headers, Bytes::from_static(ANA)).await;
        (answer.status(), answer.headers().get(header::ETAG).cloned())
    }

    #[tokio::test]
    async fn out_of_touch_is_an_error_in_both_forms_and_no_old_answer() {
        let board = board(Weight::FULL);
        assert_eq!(ask_one(&board).await.1["value"], true);
        let (_, tag) = ask_all(&board, None).await;
        board.serve_until(Instant::now());
        let (status, body) = ask_one(&board).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!((&body["errorCode"], body.get("value")), (&"GENERAL".into(), None));
        let (status, _) = ask_all(&board, tag.as_ref()).await;
        assert_eq!(
            status,
            StatusCode::SERVICE_UNAVAILABLE,
            "what the caller knows is not confirmed either"
        );
    }

    /// Whoever reads the weight beside an answer may compare the two.
    #[test]
    fn the_answer_and_what_it_tells_of_the_flag_are_of_one_moment() {
        let board = board(Weight::FULL);
        let flips = std::thread::spawn({
            let board = Arc::clone(&board);
            move || {
                for epoch in 2..20_000 {
                    let weight = if epoch % 2 == 0 { Weight::ZERO } else { Weight::FULL };
                    board.put(flag(weight, epoch), epoch);
                }
            }
        });
        let mut seen = BTreeSet::new();
        while !flips.is_finished() {
            let answer = evaluate(&board, "checkout-v2", "ana", Instant::now()).unwrap();
            assert_eq!(answer.value, answer.metadata.weight == "100%", "{answer:?}");
            seen.insert(answer.value);
        }
        flips.join().unwrap();
        assert_eq!(seen.len(), 2, "it never changed while it was asked");
    }

    #[tokio::test]
    async fn what_is_no_request_is_told_why_and_is_not_counted() {
        let board = board(Weight::FULL);
        let cases: [(&[u8], &str); 12] = [
            (b"", "PARSE_ERROR"),
            (b"{", "PARSE_ERROR"),
            (b"ana", "PARSE_ERROR"),
            (b"\"\xff\"", "PARSE_ERROR"),
            (br#"{"context":"ana"}"#, "PARSE_ERROR"),
            (b"[]", "INVALID_CONTEXT"),
            (b"{}", "INVALID_CONTEXT"),
            (br#"{"context":null}"#, "INVALID_CONTEXT"),
            (br#"{"context":{"targetingKey":7}}"#, "INVALID_CONTEXT"),
            (br#"{"context":{"targetingKey":null}}"#, "INVALID_CONTEXT"),
            (br#"{"context":{"user":"ana"}}"#, "TARGETING_KEY_MISSING"),
            (br#"{"context":{"targetingKey":""}}"#, "TARGETING_KEY_MISSING"),
        ];
        for (body, code) in cases {
            let shown = String::from_utf8_lossy(body).into_owned();
            let body = Bytes::from_static(body);
            let path = Path("checkout-v2".to_owned());
            let one = one(State(Arc::clone(&board)), path, body.clone()).await;
            let all = all(State(Arc::clone(&board)), HeaderMap::new(), body).await;
            for (answer, key) in [(one, Some("checkout-v2")), (all, None)] {
                assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{shown}");
                let body = to_bytes(answer.into_body(), BODY_LIMIT).await.unwrap();
                let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
                assert_eq!(
                    (body["errorCode"].as_str(), body["key"].as_str()),
                    (Some(code), key),
                    "{shown}"
                );
                assert!(
                    !body["errorDetails"].as_str().unwrap_or_default().is_empty(),
                    "{shown}: {body}"
                );
                assert_eq!(body.get("value"), None, "{shown}");
            }
        }
        assert_eq!(board.peek("checkout-v2").unwrap().observed().total, 0);
    }

    #[tokio::test]
    async fn the_tag_changes_with_the_answer_and_only_with_it() {
        let board = board(Weight::FULL);
        let (_, tag) = ask_all(&board, None).await;
        assert_eq!(ask_all(&board, tag.as_ref()).await.0, StatusCode::NOT_MODIFIED);
        // Written here while another replica's write is still unread: the revision of the board stays.
        board.put(flag(Weight::ZERO, 2), 7);
        assert_eq!(board.revision(), 1);
        let (status, other) = ask_all(&board, tag.as_ref()).await;
        assert_eq!(status, StatusCode::OK);
        assert_ne!(other, tag);
    }
}
