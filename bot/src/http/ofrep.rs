//! Owns the OpenFeature remote evaluation protocol, OFREP 0.3: any OpenFeature SDK can follow a rollout.
//! Refuses to answer "on" when it does not know: an unknown flag is an error, and the SDK's default holds.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tidegate_rollout::flag::{Evaluation, Why};

use crate::driver::flag::FlagBoard;

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
}

/// `POST /ofrep/v1/evaluate/flags/{key}`
pub async fn one(State(board): State<Arc<FlagBoard>>, Path(key): Path<String>, body: Bytes) -> Response {
    let user = match targeting_key(&body) {
        Ok(user) => user,
        Err((code, details)) => return Failed::answer(Some(&key), StatusCode::BAD_REQUEST, code, details),
    };
    match evaluate(&board, &key, &user) {
        Some(evaluated) => Json(evaluated).into_response(),
        None => Failed::answer(
            Some(&key),
            StatusCode::NOT_FOUND,
            "FLAG_NOT_FOUND",
            "No rollout has moved this flag; the default of your code holds.",
        ),
    }
}

/// `POST /ofrep/v1/evaluate/flags`
pub async fn all(State(board): State<Arc<FlagBoard>>, headers: HeaderMap, body: Bytes) -> Response {
    let user = match targeting_key(&body) {
        Ok(user) => user,
        Err((code, details)) => return Failed::answer(None, StatusCode::BAD_REQUEST, code, details),
    };
    // Read before the flags: a change in between makes the tag old, never the answer.
    let tag = tag(board.revision(), &user);
    let flags: Vec<Evaluated> = board
        .keys()
        .iter()
        .filter_map(|key| evaluate(&board, key, &user))
        .collect();
    let known = headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut answer = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Json(serde_json::json!({ "flags": flags })).into_response()
    };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        answer.headers_mut().insert(header::ETAG, tag);
    }
    answer
}

/// The same for as long as every answer to this user is.
fn tag(revision: u64, user: &str) -> String {
    let user = Sha256::digest(user);
    format!("\"{revision}-{}\"", hex::encode(&user[..8]))
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

fn evaluate(board: &FlagBoard, key: &str, user: &str) -> Option<Evaluated> {
    let Evaluation { on, why } = board.evaluate(key, user)?;
    let posted = board.peek(key)?;
    Some(Evaluated {
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
