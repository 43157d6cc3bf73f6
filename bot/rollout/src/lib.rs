//! The pure core of Tidegate: the plan, the rollout, and every decision about it.
//!
//! Owns the model and the rules. Refuses to touch anything: no I/O, no clock, no randomness, no async.
//! The time is an argument, what a rollout cannot know by itself is an argument ([`Surroundings`]), and
//! everything that should happen in the world is a return value ([`Step`]).

pub mod action;
pub mod alert;
pub mod attention;
pub mod begin;
pub mod bucket;
pub mod capacity;
pub mod chain;
pub mod command;
pub mod commitment;
pub mod entry;
pub mod envelope;
pub mod event;
pub mod flag;
pub mod health;
pub mod hook;
pub mod ids;
pub mod ladder;
pub mod matcher;
pub mod notice;
pub mod period;
pub mod person;
pub mod plan;
#[cfg(not(feature = "planted"))]
mod planted;
#[cfg(feature = "planted")]
pub mod planted;
pub mod pod_log;
pub mod policy;
pub mod poll;
pub mod progress;
pub mod refusal;
pub mod rollout;
pub mod route;
pub mod signoff;
pub mod sim;
pub mod step;
pub mod surroundings;
pub mod tracked;
pub mod weight;

pub use action::{Action, ActionKind, AdvanceToken, Lane, NoToken, Outcome, ReadBack};
pub use alert::{Alert, AlertKey, AlertStatus, Fingerprint, Labels, Source};
pub use command::Command;
pub use entry::Entry;
pub use event::Event;
pub use health::Health;
pub use ids::{ActionId, DeliveryId, NoticeId, PersonId, RolloutId};
pub use notice::{Notice, NoticeKind};
pub use period::Period;
pub use person::{Actor, Role, Surface};
pub use plan::Plan;
pub use refusal::{Code, Refusal};
pub use rollout::{Rollout, Stage};
pub use step::{Step, step, step_all};
pub use surroundings::Surroundings;
pub use weight::{Share, Weight};

pub use jiff::Timestamp;
