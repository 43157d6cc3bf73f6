//! Owns how the API says no: a problem of RFC 9457 with a stable code, what, and what to do next.
//! Refuses to show what broke inside: that is for the log.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use tidegate_rollout::{Code, Refusal};
use utoipa::ToSchema;

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The status of the answer in words.
    pub title: String,
    /// The status of the answer.
    pub status: u16,
    /// Stable: the code of a refusal (`R201`), or a word.
    pub code: String,
    /// What is refused, and why.
    pub detail: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// When the same request would be answered differently, in seconds from now, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
}

impl Problem {
    /// A problem with a word for programs and a sentence for people.
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self {
            title: status.canonical_reason().unwrap_or("Problem").to_owned(),
            status: status.as_u16(),
            code: code.to_owned(),
            detail: detail.into(),
            hint: None,
            retry_after_s: None,
        }
    }

    /// The same with what to do next.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// The same with the time after which another try makes sense.
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        Self {
            retry_after_s: Some(seconds),
            ..self
        }
    }

    /// Who asks has not said who they are, or was not believed.
    pub fn unauthorized(detail: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
            .hint("Send `Authorization: Bearer` with a token, or sign in at /login.")
    }

    /// Something that must be remembered first could not be.
    pub fn unavailable(detail: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail).retry_after(5)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let millis = refusal.retry_after.map(tidegate_rollout::Period::as_millis);
        let seconds = millis.map(|millis| u64::try_from(millis).unwrap_or_default().div_ceil(1000));
        Self {
            hint: Some(refusal.hint),
            retry_after_s: seconds,
            ..Self::new(status_of(refusal.code), refusal.code.word(), refusal.message)
        }
    }
}

/// What is not understood is the caller's to correct, what is not theirs is forbidden, and the rest is a matter of time.
fn status_of(code: Code) -> StatusCode {
    match code {
        Code::R103 | Code::R105 | Code::R407 => StatusCode::NOT_FOUND,
        Code::R101 | Code::R102 | Code::R104 | Code::R106 => StatusCode::UNPROCESSABLE_ENTITY,
        Code::R301 | Code::R302 | Code::R303 => StatusCode::FORBIDDEN,
        _ => StatusCode::CONFLICT,
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.retry_after_s;
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"tidegate\""));
        }
        if let Some(seconds) = retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response
    }
}
