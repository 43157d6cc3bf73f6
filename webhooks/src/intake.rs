//! Owns the seam to the rest of Tidegate: what was heard, and the two promises the other side gives about it.
//! Refuses to know who stands on the other side.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use tidegate_rollout::{Alert, Source};

/// One authenticated delivery from an alert source.
#[derive(Clone)]
pub struct Received {
    /// The program that sent it.
    pub source: Source,
    /// The configured receiver that it was addressed to and that proved its origin.
    pub receiver: String,
    /// What a repeated delivery has in common with the first one, where the source puts such a thing into what it
    /// signs; unique for one source and receiver. `None` for Alertmanager and Grafana: a legitimate repeat is
    /// byte-identical there, and is told apart by the identity of its alerts.
    pub nonce: Option<String>,
    /// The body as it came: JSON in valid UTF-8.
    pub body: Bytes,
    /// What could be decoded, in the order of the body.
    pub alerts: Vec<Alert>,
    /// What could not. A missed alert is an outage: look at the source yourself, and tell somebody.
    pub unreadable: Unreadable,
    /// How many alerts the sender left out. Above zero, the absence of an alert proves nothing.
    pub truncated: u64,
}

impl fmt::Debug for Received {
    /// Leaves the body out: bodies are stored, never logged.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received")
            .field("source", &self.source)
            .field("receiver", &self.receiver)
            .field("nonce", &self.nonce)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .field("alerts", &self.alerts)
            .field("unreadable", &self.unreadable)
            .field("truncated", &self.truncated)
            .finish()
    }
}

/// The alerts of a delivery that could not be decoded: how many, and why for the first few.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unreadable {
    /// How many there were.
    pub count: u64,
    /// Position in the body and reason of the first [`Unreadable::SHOWN`]. Reasons may quote the sender.
    pub reasons: Vec<(u64, String)>,
}

impl Unreadable {
    /// So many reasons are kept: enough to find the fault, too few to be flooded with.
    pub const SHOWN: usize = 10;

    /// Notes that the alert at `index` could not be decoded.
    pub(crate) fn add(&mut self, index: u64, why: String) {
        self.count += 1;
        if self.reasons.len() < Self::SHOWN {
            self.reasons.push((index, why));
        }
    }
}

/// A delivery that came from where it says and still could not be taken: an alert may be in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// The program that sent it.
    pub source: Source,
    /// The receiver it was addressed to.
    pub receiver: String,
    /// What stood in the way.
    pub why: MissedWhy,
}

/// What stood in the way of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MissedWhy {
    /// The body is larger than is read; the sender was answered 413.
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The body is not what this source sends, or no alert in it could be decoded; the sender was answered 400.
    Malformed {
        /// What is wrong with it. May quote the sender.
        detail: String,
    },
}

/// A request to a configured receiver that was refused. Whoever sent it may be a stranger: it proves nothing and stores nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The program whose door it is.
    pub source: Source,
    /// The receiver, as it is configured.
    pub receiver: String,
    /// The status of the answer.
    pub status: u16,
    /// A word that programs may rely on.
    pub code: &'static str,
    /// What was wrong with it, in our words alone.
    pub why: String,
}

/// How a delivery was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is durable now, and will be acted on.
    Stored,
    /// The same delivery is durable since earlier; this one has no effect.
    Repeated,
}

/// The delivery could not be made durable. The sender is answered 503 and comes again.
#[derive(Debug, thiserror::Error)]
#[error("could not store the delivery")]
pub struct Unavailable {
    /// When it makes sense to try again.
    pub retry_after: Duration,
    /// What went wrong, for our log only.
    pub source: Box<dyn Error + Send + Sync>,
}

impl Unavailable {
    /// Could not store it, because of `source`; worth another try in five seconds.
    pub fn because(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            retry_after: Duration::from_secs(5),
            source: source.into(),
        }
    }
}

/// The other side: remembers what was heard, before it is answered.
///
/// Both functions may be dropped at any `await`: a sender hangs up, or [`Limits::answer_within`](crate::Limits) is
/// over. A delivery that became durable all the same comes a second time and is [`Answer::Repeated`], or changes nothing.
pub trait Intake: Send + Sync + 'static {
    /// Makes the delivery durable. `Ok` is the promise that it survives a crash in the next instant.
    fn accept(&self, received: Received) -> impl Future<Output = Result<Answer, Unavailable>> + Send;

    /// Told of a delivery that had to be refused although its sender proved itself: ask the source what fires there,
    /// and page somebody. Called once per request, so the same group may come again and again.
    fn missed(&self, missed: Missed) -> impl Future<Output = ()> + Send;

    /// Told of every request that was refused for its sender's fault, so that somebody sees it who can mend it.
    fn refused(&self, refused: Refused);
}
