//! Owns every refusal of a hook route: its status, its code, and what the sender's owner should do about it.
//! Refuses to tell a stranger anything about secrets, and to blame a sender for what is our own trouble.

use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use tidegate_rollout::Source;

use crate::decode::Malformed;
use crate::intake::{Refused, Unavailable};
use crate::limits::Unread;
use crate::media::WrongMedia;
use crate::text::brief;
use crate::verify::Unproven;

/// Why a request was not taken.
#[derive(Debug)]
pub(crate) enum Rejected {
    /// Nothing is configured at this path.
    NoReceiver { source: Source, name: String },
    /// The app of a chat platform is not configured. Carries the settings that are missing.
    NoApp(&'static str),
    /// The sender has not proved itself. Carries what it is asked for.
    Unproven { why: Unproven, challenge: String },
    /// The body is of the wrong kind.
    WrongMedia(WrongMedia),
    /// Too many requests are in flight.
    NoPlace,
    /// The body could not be read.
    Unread(Unread),
    /// The body makes no sense.
    Malformed(Malformed),
    /// It could not be stored.
    Unavailable(Unavailable),
    /// It was not stored in time; it may be later.
    NotStoredInTime(Duration),
}

impl Rejected {
    /// The sender has not proved itself, and is asked for `challenge`.
    pub(crate) fn unproven(why: Unproven, challenge: &str) -> Self {
        Self::Unproven {
            why,
            challenge: challenge.to_owned(),
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::NoReceiver { .. } | Self::NoApp(_) => StatusCode::NOT_FOUND,
            Self::Unproven { .. } => StatusCode::UNAUTHORIZED,
            Self::WrongMedia(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unread(Unread::TooLarge { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::NoPlace
            | Self::Unread(Unread::NoMemory | Unread::TooSlow | Unread::Broken)
            | Self::Unavailable(_)
            | Self::NotStoredInTime(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// A word that programs may rely on.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::NoReceiver { .. } => "no-receiver",
            Self::NoApp(_) => "no-app",
            Self::Unproven { .. } => "unproven",
            Self::WrongMedia(WrongMedia::Type(_)) => "wrong-content-type",
            Self::WrongMedia(WrongMedia::Encoding) => "compressed",
            Self::NoPlace => "too-many-requests-in-flight",
            Self::Unread(Unread::NoMemory) => "too-many-bytes-in-flight",
            Self::Unread(Unread::TooLarge { .. }) => "too-large",
            Self::Unread(Unread::TooSlow) => "too-slow",
            Self::Unread(Unread::Broken) => "broken-off",
            Self::Malformed(_) => "malformed",
            Self::Unavailable(_) => "not-stored",
            Self::NotStoredInTime(_) => "not-stored-in-time",
        }
    }

    /// What is told of it to those who run this: nothing where no receiver is configured, for a name that anybody may invent is
    /// none of theirs, and nothing where the fault is ours.
    pub(crate) fn told(&self, source: Source, receiver: &str) -> Option<Refused> {
        let why = match self {
            Self::NoReceiver { .. } | Self::NoApp(_) => return None,
            Self::Unproven { why, .. } => why.to_string(),
            Self::WrongMedia(WrongMedia::Type(wanted)) => format!("its content type is not {}", wanted.word()),
            Self::WrongMedia(WrongMedia::Encoding) => "its body is compressed".to_owned(),
            Self::Unread(Unread::TooLarge { limit, .. }) => format!("its body is larger than {limit} bytes"),
            // What exactly quotes the sender.
            Self::Malformed(_) => "its body makes no sense here".to_owned(),
            Self::NoPlace
            | Self::Unread(Unread::NoMemory | Unread::TooSlow | Unread::Broken)
            | Self::Unavailable(_)
            | Self::NotStoredInTime(_) => return None,
        };
        Some(Refused {
            source,
            receiver: receiver.to_owned(),
            status: self.status().as_u16(),
            code: self.code(),
            why,
        })
    }

    /// What is wrong, and what to do about it.
    fn detail(&self) -> String {
        match self {
            Self::NoReceiver { source, name } => format!(
                "No {} receiver called `{}` is configured. Add one to the server's configuration, or correct the URL.",
                source.word(),
                brief(name),
            ),
            Self::NoApp(missing) => format!("This platform is not configured: give `{missing}`."),
            Self::Unproven { why, .. } => format!("Not believed: {why}. Nothing was done."),
            Self::WrongMedia(WrongMedia::Type(wanted)) => format!("Send `Content-Type: {}`.", wanted.word()),
            Self::WrongMedia(WrongMedia::Encoding) => "Send the body without compression.".to_owned(),
            Self::NoPlace | Self::Unread(Unread::NoMemory) => "Busy. Nothing was stored; send it again.".to_owned(),
            Self::Unread(Unread::TooLarge { limit, .. }) => format!(
                "The body is larger than {limit} bytes. Send smaller groups, for Alertmanager with `max_alerts`."
            ),
            Self::Unread(Unread::TooSlow | Unread::Broken) => {
                "The body did not arrive whole and in time. Nothing was stored; send it again.".to_owned()
            }
            Self::Malformed(malformed) => format!("The body makes no sense here: {malformed}. Nothing was stored."),
            Self::Unavailable(_) => "It could not be stored. Send it again.".to_owned(),
            Self::NotStoredInTime(after) => format!("It was not stored within {after:?}. Send it again."),
        }
    }

    /// When to come again, where that helps.
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable(unavailable) => Some(unavailable.retry_after),
            Self::NoPlace | Self::Unread(_) | Self::NotStoredInTime(_)
                if self.status() == StatusCode::SERVICE_UNAVAILABLE =>
            {
                Some(Duration::from_secs(1))
            }
            _ => None,
        }
    }
}

impl IntoResponse for Rejected {
    /// A problem of RFC 9457, with a `code`.
    fn into_response(self) -> Response {
        let status = self.status();
        let problem = serde_json::json!({
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "code": self.code(),
            "detail": self.detail(),
        });
        let mut response = (status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(after) = self.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
        }
        if let Self::Unproven { challenge, .. } = &self
            && let Ok(challenge) = HeaderValue::from_str(challenge)
        {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
