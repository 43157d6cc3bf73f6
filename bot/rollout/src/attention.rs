//! Owns the question how long a replica has watched a rollout without a break, by a clock that nobody can move.
//! Refuses to trust the wall clock: it may jump, and two replicas may disagree about it by an hour.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::ids::RolloutId;
use crate::period::Period;
use crate::rollout::Rollout;

/// The longest time between two looks that still counts as watching. Ticks come far more often.
pub const BREAK: Duration = Duration::from_secs(10);

/// How far the two clocks may drift apart between two looks. Slewing a clock stays far below it.
pub const DRIFT: SignedDuration = SignedDuration::from_secs(2);

/// What is not looked at for so long is forgotten; it is over, or another replica's business.
const FORGET_AFTER: Duration = Duration::from_secs(600);

/// A moment as one process sees it, on both of its clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The wall clock, which people and other machines may move.
    pub wall: Timestamp,
    /// The steady clock: time since this process began.
    pub steady: Duration,
}

/// Since when nobody watched, if there was a break between two looks: the process stood still, or the wall clock jumped.
/// Every rollout that is not over then gets [`crate::Event::Returned`].
pub fn away_since(last: Moment, now: Moment) -> Option<Timestamp> {
    let steady = now.steady.saturating_sub(last.steady);
    let passed = SignedDuration::try_from(steady).unwrap_or(SignedDuration::MAX);
    let drift = now.wall.duration_since(last.wall).saturating_sub(passed);
    let jumped = drift > DRIFT || drift < -DRIFT;
    (jumped || steady > BREAK).then_some(last.wall)
}

/// What one replica has watched. It lives in memory: after a restart nothing was watched yet.
#[derive(Clone, Debug, Default)]
pub struct Attention {
    last: Option<Moment>,
    looks: BTreeMap<RolloutId, Look>,
}

/// The watching of one run of the bake clock.
#[derive(Clone, Copy, Debug)]
struct Look {
    /// The run: since when the bake clock counts, as the rollout says.
    run: Timestamp,
    /// The last look, on the steady clock.
    at: Duration,
    /// For how long this run was watched.
    watched: Duration,
}

impl Attention {
    /// What [`Self::look`] would answer. Whoever cannot tell everybody of a break does not look: it is found again then.
    pub fn away(&self, now: Moment) -> Option<Timestamp> {
        self.last.and_then(|last| away_since(last, now))
    }

    /// The replica looks at the clock, once for each tick; answers like [`away_since`].
    pub fn look(&mut self, now: Moment) -> Option<Timestamp> {
        self.looks
            .retain(|_, look| now.steady.saturating_sub(look.at) <= FORGET_AFTER);
        let last = self.last.replace(now)?;
        away_since(last, now)
    }

    /// For how long this replica has watched the present run of the rollout's bake clock, for
    /// [`crate::Surroundings::watched`]. Called before each decision; a pause between two calls counts only up to [`BREAK`].
    /// `None` before the first look at the clock: the process has only just started.
    pub fn watched(&mut self, rollout: &Rollout, steady: Duration) -> Option<Period> {
        self.last?;
        let Some(run) = rollout.bake.since else {
            self.looks.remove(&rollout.id);
            return Some(Period::ZERO);
        };
        let first = Look {
            run,
            at: steady,
            watched: Duration::ZERO,
        };
        let look = self.looks.entry(rollout.id.clone()).or_insert(first);
        if look.run != run {
            *look = first;
        }
        let gap = steady.saturating_sub(look.at);
        if gap <= BREAK {
            look.watched += gap;
        }
        look.at = steady;
        let millis = i64::try_from(look.watched.as_millis()).unwrap_or(i64::MAX);
        Some(Period::millis(millis))
    }
}
