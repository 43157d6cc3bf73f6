//! Owns what the answer of a worker means.
//! Refuses answers to questions that were overtaken: only the action in force counts.

use crate::action::{Outcome, ReadBack};
use crate::ids::ActionId;
use crate::notice::NoticeKind;
use crate::period::Period;
use crate::plan::Gate;
use crate::rollout::{Because, Guard, Stage};

use super::{Work, alerts};

/// How long zero may be tried before people are paged.
pub const STUCK_AFTER: Period = Period::seconds(30);

pub(super) fn reported(work: &mut Work<'_>, action: &ActionId, outcome: &Outcome) {
    if let Outcome::Asked { key, answer } = outcome {
        alerts::suspect_answered(work, key, *answer);
        return;
    }
    match work.next.stage.clone() {
        Stage::Advancing {
            phase,
            action: asked,
            since,
            ..
        } if asked == *action => advancing(work, phase, asked, since, outcome),
        Stage::RollingBack {
            because,
            from,
            action: asked,
            since,
            stuck,
        } if asked == *action || overtaken_counts() => rolling_back(
            work,
            RollingBack {
                because,
                from,
                since,
                stuck,
            },
            asked,
            outcome,
        ),
        Stage::Advancing { .. }
        | Stage::RollingBack { .. }
        | Stage::Baking { .. }
        | Stage::AtGate { .. }
        | Stage::Watching { .. }
        | Stage::RolledBack { .. }
        | Stage::Completed { .. }
        | Stage::Aborted { .. } => {}
    }
}

/// Planted bug: the answer to an overtaken advance is taken for the answer to the rollback.
fn overtaken_counts() -> bool {
    #[cfg(feature = "planted")]
    return crate::planted::on(crate::planted::Bug::RolledBackUnread);
    #[cfg(not(feature = "planted"))]
    false
}

fn advancing(work: &mut Work<'_>, phase: usize, asked: ActionId, since: jiff::Timestamp, outcome: &Outcome) {
    match outcome {
        Outcome::Applied(read_back) if read_back.weight == work.next.wanted => arrived(work, phase, read_back),
        Outcome::Applied(read_back) => {
            let found = read_back.weight;
            foreign(work, found);
        }
        Outcome::Foreign { found } => foreign(work, *found),
        Outcome::Fenced { found } => {
            let reason = format!(
                "the target carries epoch {found}, ours is {}: another writer moved it, or this database is an old copy. Nothing was written.",
                work.next.epoch
            );
            work.guard_holds(Guard::StaleWriter, reason);
        }
        Outcome::GaveUp { attempts, why } => {
            work.next.stage = Stage::Advancing {
                phase,
                action: asked,
                since,
                failed: Some(why.clone()),
            };
            work.say(NoticeKind::AdvanceFailed {
                why: format!("{why} ({attempts} attempts). Say `advance` to try again, or `rollback`."),
            });
        }
        Outcome::Failing { .. } | Outcome::Asked { .. } => {}
    }
}

fn arrived(work: &mut Work<'_>, phase: usize, read_back: &ReadBack) {
    work.next.stage = Stage::Baking { phase, since: work.now };
    let (bake, manual) = match work.next.plan.spec.phases.get(phase) {
        Some(phase) => (phase.bake, phase.gate == Gate::Manual),
        None => (Period::ZERO, true),
    };
    work.say(NoticeKind::PhaseBegan {
        bake,
        read_back: read_back.clone(),
        manual,
    });
}

fn foreign(work: &mut Work<'_>, found: crate::weight::Weight) {
    let reason = format!(
        "{} reads {found} where we wrote {}: somebody else writes to it. Settle who owns it, then `release`.",
        work.next.plan.spec.target.name(),
        work.next.wanted
    );
    work.guard_holds(Guard::ForeignChange, reason);
}

struct RollingBack {
    because: Because,
    from: crate::weight::Weight,
    since: jiff::Timestamp,
    stuck: Option<String>,
}

fn rolling_back(work: &mut Work<'_>, state: RollingBack, asked: ActionId, outcome: &Outcome) {
    match outcome {
        Outcome::Applied(read_back) if read_back.weight.is_zero() || overtaken_counts() => {
            rolled_back(work, state, read_back);
        }
        Outcome::Applied(ReadBack { weight, .. }) | Outcome::Foreign { found: weight } => {
            let why = format!("the target still reads {weight}; another writer may be at work");
            stuck(work, state, asked, &why, 1);
        }
        Outcome::Fenced { found } => {
            let why = format!("the target carries epoch {found}, higher than ours; another writer owns it");
            stuck(work, state, asked, &why, 1);
        }
        Outcome::GaveUp { attempts, why } => stuck(work, state, asked, why, *attempts),
        Outcome::Failing { attempts, since, why } => {
            if Period::between(*since, work.now) >= STUCK_AFTER {
                stuck(work, state, asked, why, *attempts);
            }
        }
        Outcome::Asked { .. } => {}
    }
}

/// "Rolled back" is said here and nowhere else: after zero was read from what carries the traffic.
fn rolled_back(work: &mut Work<'_>, state: RollingBack, read_back: &ReadBack) {
    let since_alert = match &state.because {
        Because::Alert { key, .. } => Some(Period::between(key.starts_at, read_back.at)),
        Because::Unanswered { .. } | Because::NoData { .. } | Because::Person { .. } => None,
    };
    let because = state.because.to_string();
    work.next.stage = Stage::RolledBack {
        because: state.because,
        from: state.from,
        since: state.since,
        read_back: read_back.clone(),
    };
    work.say(NoticeKind::RolledBack {
        because,
        from: state.from.to_string(),
        took: Period::between(state.since, read_back.at),
        since_alert,
        read_back: read_back.clone(),
    });
}

/// Pages once about a rollback that does not come through; the worker goes on trying.
fn stuck(work: &mut Work<'_>, state: RollingBack, asked: ActionId, why: &str, attempts: u32) {
    if state.stuck.is_some() {
        return;
    }
    let lasting = Period::between(state.since, work.now);
    work.next.stage = Stage::RollingBack {
        because: state.because,
        from: state.from,
        action: asked,
        since: state.since,
        stuck: Some(why.to_owned()),
    };
    work.say(NoticeKind::RollbackStuck {
        why: why.to_owned(),
        attempts,
        lasting,
    });
}
