//! Owns what the doors of the chat platforms have in common: how far a clock may be off, what a listener answers, and the
//! steps before a signature can be checked.
//! Refuses to know any platform: what is signed, and how, stands beside each of them.

use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Json, Response};
use http::{HeaderMap, StatusCode};
use tokio::time::timeout;
use tracing::{debug, warn};

use crate::limits::{Gates, Held, Limits, Place, Sender};
use crate::media::{self, Wanted};
use crate::rejected::Rejected;
use crate::verify::Unproven;

/// How far the time of a request may be from ours, in seconds, either way.
pub const WINDOW: i64 = 300;

/// The platforms wait three seconds; whatever takes longer than this is answered without its result.
const ANSWER_WITHIN: Duration = Duration::from_millis(2_600);
/// A body of theirs is small and comes at once.
const READ_WITHIN: Duration = Duration::from_secs(2);

/// How something heard is answered at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Taken; nothing to say now.
    Nothing,
    /// This.
    Json(serde_json::Value),
}

/// The very same request was heard before. It is refused, and nothing is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replayed;

/// Places of their own for a platform's requests, so that alerts never use them up.
pub(crate) fn gates() -> Gates {
    Gates::new(&Limits {
        read_within: READ_WITHIN,
        ..Limits::default()
    })
}

/// A request that was read. It keeps its place, and its share of the memory, until it is dropped.
pub(crate) struct Arrived<C> {
    /// What the headers have proved.
    pub(crate) claim: Result<C, Rejected>,
    /// The body.
    pub(crate) held: Held,
    #[expect(dead_code, reason = "held, never looked at")]
    place: Place,
}

/// Finds a place and reads the body. `claim` is what the headers alone have proved: only who is believed so far is told
/// what would be right.
pub(crate) async fn read<C>(
    gates: &Gates,
    headers: &HeaderMap,
    wanted: Wanted,
    claim: Result<C, Rejected>,
    body: Body,
) -> Result<Arrived<C>, Rejected> {
    let gate = gates.of(Sender::SignsOne);
    let place = gate.enter().ok_or(Rejected::NoPlace)?;
    if let Err(wrong) = media::check(headers, wanted) {
        return Err(claim.err().unwrap_or(Rejected::WrongMedia(wrong)));
    }
    let held = gate.read(body, |_| ()).await.map_err(Rejected::Unread)?;
    Ok(Arrived { claim, held, place })
}

/// Hands over what was heard, and waits no longer than the platform does.
pub(crate) async fn hand_over(
    what: &str,
    challenge: &'static str,
    heard: impl Future<Output = Result<Reply, Replayed>>,
) -> Result<Reply, Rejected> {
    match timeout(ANSWER_WITHIN, heard).await {
        Ok(Ok(reply)) => {
            debug!(what, "Answered a {what} from a chat platform");
            Ok(reply)
        }
        Ok(Err(Replayed)) => Err(Rejected::unproven(Unproven::Twice, challenge)),
        Err(_) => Err(Rejected::NotStoredInTime(ANSWER_WITHIN)),
    }
}

/// The answer on the wire.
pub(crate) fn respond(platform: &'static str, taken: Result<Reply, Rejected>) -> Response {
    match taken {
        Ok(Reply::Nothing) => StatusCode::OK.into_response(),
        Ok(Reply::Json(value)) => Json(value).into_response(),
        Err(rejected) => {
            let code = rejected.code();
            warn!(code, "Refused a request to the address of {platform}: {code}");
            rejected.into_response()
        }
    }
}

/// The one header of that name; a second one is a trick.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

/// Whether a request of that second, as written in its header, may be believed now.
pub(crate) fn is_within_the_window(sent: i64, now: jiff::Timestamp) -> bool {
    sent.abs_diff(now.as_second()) <= WINDOW.unsigned_abs()
}
