//! Owns the check that a rollout to which nothing happens gets on: a stall that nobody hears of is the one kind of failure
//! that no other law sees.
//! Refuses to judge a rollout for which anything is in the way, or that people were paged about.

use jiff::{SignedDuration, Timestamp};

use crate::plan::Gate;
use crate::rollout::{Rollout, Stage};

use super::Laws;

/// Between two looks at most so much passes, or nobody was there in between, in milliseconds.
const LOOKS: u64 = 4_500;
/// A bake may take so much longer than it should, for all that was lost in a crash, in milliseconds.
const SLACK: u64 = 12_000;
/// As long an end of an alert keeps everybody waiting.
const CALM: SignedDuration = SignedDuration::from_secs(31);

impl Laws {
    /// Law 13: a healthy rollout gets on, or somebody is paged. `well` says whether the path of the alerts is alive for
    /// certain, nothing waits to be decided, and nothing is frozen.
    pub(in crate::sim) fn gets_on(&mut self, index: usize, rollout: &Rollout, well: bool, wall: Timestamp, now: u64) {
        let clocks_jump = self.clocks_jump;
        let ledger = &mut self.ledgers[index];
        let needed = needed(rollout).filter(|_| well && !clocks_jump && nothing_in_the_way(rollout, wall));
        let Some(needed) = needed else {
            ledger.well_at = None;
            return;
        };
        if let Some(at) = ledger.well_at.replace(now)
            && now - at <= LOOKS
        {
            ledger.well += now - at;
        }
        let well = ledger.well;
        self.must(well <= needed + SLACK, 13, || {
            format!(
                "{} was well for {well} ms of a bake of {needed} ms, and neither got on nor paged: {:?}, no data: {:?}",
                rollout.id, rollout.bake, rollout.no_data
            )
        });
    }
}

/// How long the stage lasts that is left by nothing but time, in milliseconds.
fn needed(rollout: &Rollout) -> Option<u64> {
    let spec = &rollout.plan.spec;
    let period = match rollout.stage {
        Stage::Baking { phase, .. } => {
            let phase = spec.phases.get(phase).filter(|phase| phase.gate == Gate::Auto)?;
            phase.bake
        }
        Stage::Watching { .. } => spec.watch,
        Stage::Advancing { .. }
        | Stage::AtGate { .. }
        | Stage::RollingBack { .. }
        | Stage::RolledBack { .. }
        | Stage::Completed { .. }
        | Stage::Aborted { .. } => return None,
    };
    u64::try_from(period.as_millis()).ok()
}

fn nothing_in_the_way(rollout: &Rollout, wall: Timestamp) -> bool {
    let stopped = rollout.pause.is_some() || !rollout.holds.is_empty() || !rollout.decisions.is_empty();
    let quiet = rollout
        .alerts
        .values()
        .all(|tracked| !tracked.standing.blocks() && wall.duration_since(tracked.heard_at) > CALM);
    let paged = rollout.no_data.as_ref().is_some_and(|unknown| unknown.paged);
    !stopped && quiet && !paged && rollout.hook_awaited().is_none()
}
