//! Everything that comes in from outside: authenticate raw bytes, decode, hand over, answer.
//!
//! Owns the routes under `/webhooks/`, `/slack/` and `/discord/`, the proof that a body comes from the sender it names, the wire formats of
//! Alertmanager, PagerDuty and Grafana, and the limits that keep a storm or an attacker from taking the house down.
//! Refuses to remember, decide or act: it knows no database, no driver and no chat. What it heard goes through
//! [`Intake`], and a sender is answered 200 only after [`Intake::accept`] said that it is durable.
//!
//! The way of a request, each step with the answer it may give:
//!
//! | step | where | refused with |
//! |---|---|---|
//! | find the receiver by the path | [`router()`] | 404 |
//! | check credentials in the headers | [`Receiver::admit`] | 401 |
//! | find a place among those in flight | [`Limits`] | 503 |
//! | one content type, no compression | `media` | 415 |
//! | read the body, bounded in size, memory and time | [`Limits`] | 413, 503 |
//! | check the signature over the raw bytes | [`Claim::prove`] | 401 |
//! | decode | [`decode()`] | 400 |
//! | hand over | [`Intake::accept`] | 503 |
//!
//! A temporary cause is always 503, never 4xx or 429: Alertmanager retries only 5xx within its attempt.

mod credential;
mod decode;
pub mod discord;
mod intake;
mod limits;
mod media;
mod platform;
mod receiver;
mod rejected;
mod router;
mod signature;
pub mod slack;
mod text;
mod verify;

pub use credential::Credential;
pub use decode::{Batch, Malformed, decode};
pub use intake::{Answer, Intake, Missed, MissedWhy, Received, Refused, Unavailable, Unreadable};
pub use limits::Limits;
pub use receiver::{DEFAULT_RECEIVER, Receiver, ReceiverError, Receivers};
pub use router::{paths, router};
pub use signature::SigningSecrets;
pub use verify::{Claim, Signed, Unproven};
