//! The pure core of Tidegate: the plan, the rollout, and every decision about it.
//!
//! Owns the model and the rules. Refuses to touch anything: no I/O, no clock, no randomness, no async.
//! The time is an argument, what a rollout cannot know by itself is an argument, and
//! everything that should happen in the world is a return value.

pub mod alert;
pub mod ids;
pub mod matcher;
pub mod period;
pub mod person;
pub mod plan;
pub mod weight;

pub use alert::{Alert, AlertKey, AlertStatus, Fingerprint, Labels, Source};
pub use ids::{ActionId, DeliveryId, NoticeId, PersonId, RolloutId};
pub use period::Period;
pub use person::{Actor, Role, Surface};
pub use plan::Plan;
pub use weight::{Share, Weight};

pub use jiff::Timestamp;
