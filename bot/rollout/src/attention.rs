//! Owns the question whether somebody watched the rollouts without a break.
//! Refuses to trust the wall clock alone: it is compared with one that cannot jump.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// The longest time between two looks that still counts as watching. Ticks come far more often.
pub const BREAK: SignedDuration = SignedDuration::from_secs(10);

/// How far the two clocks may drift apart between two looks. Slewing a clock stays far below it.
pub const DRIFT: SignedDuration = SignedDuration::from_secs(2);

/// A moment as one process sees it, on both of its clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The wall clock, which people and other machines may move.
    pub wall: Timestamp,
    /// The steady clock: time since this process began, which nobody can move.
    pub steady: Duration,
}

/// Since when nobody watched, if there was a break between two looks: the process stood still, or the wall clock jumped.
/// Every rollout that is not over then gets [`crate::Event::Returned`] before anything else is decided for it.
pub fn away_since(last: Moment, now: Moment) -> Option<Timestamp> {
    let steady = SignedDuration::try_from(now.steady.saturating_sub(last.steady)).unwrap_or(SignedDuration::MAX);
    let wall = now.wall.duration_since(last.wall);
    let drift = wall.saturating_sub(steady);
    let jumped = drift > DRIFT || drift < -DRIFT;
    (jumped || steady > BREAK).then_some(last.wall)
}
