//! Owns what the answer of a worker means.
//! Refuses answers to questions that were overtaken: only the action in force counts.

use crate::action::{Outcome, ReadBack};
use crate::ids::ActionId;
use crate::notice::NoticeKind;
use crate::period::Period;
use crate::plan::Gate;
use crate::planted::{self, Bug};
use crate::progress::Progress;
use crate::rollout::{Because, Guard, Holder, Stage};

use super::blocker::in_the_way;
use super::rollback::{self, ASKED_AGAIN};
use super::{Work, hooks, pod_logs, suspects};

/// How long zero may be tried before people are paged.
pub const STUCK_AFTER: Period = Period::seconds(30);

/// How long an advance may go without any final answer before people are told. Workers give up earlier.
pub const UNANSWERED_AFTER: Period = Period::minutes(5);

/// How often an advance that something stands in the way of is given its time anew: half of [`UNANSWERED_AFTER`] is left
/// to workers in any case.
const LOOKED_AGAIN: Period = Period::seconds(150);

/// What is said when zero was not read back and no worker told why.
const SILENT: &str = "the target has not been read at zero, and no worker says why";

pub(super) fn reported(work: &mut Work<'_>, action: &ActionId, outcome: &Outcome) {
    if let Outcome::Asked { key, answer } = outcome {
        suspects::answered(work, key, *answer);
        return;
    }
    if let Outcome::Logs(logs) = outcome {
        pod_logs::answered(work, action, logs);
        return;
    }
    note_progress(work, action, outcome);
    if work.next.is_hook(action) {
        hooks::reported(work, action, outcome);
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
        } if asked == *action
            || rollback::is_rung(work, action) && !planted::on(Bug::LateRungForgotten)
            || planted::on(Bug::RolledBackUnread) =>
        {
            rolling_back(
                work,
                RollingBack {
                    because,
                    from,
                    since,
                    stuck,
                },
                asked,
                action,
                outcome,
            )
        }
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

/// Remembers what a worker says while it goes on trying, so that people see what is waited for. Said again, it is no news.
fn note_progress(work: &mut Work<'_>, action: &ActionId, outcome: &Outcome) {
    let in_force = match &work.next.stage {
        Stage::Advancing { action, .. } | Stage::RollingBack { action, .. } => Some(action),
        Stage::Baking { .. }
        | Stage::AtGate { .. }
        | Stage::Watching { .. }
        | Stage::RolledBack { .. }
        | Stage::Completed { .. }
        | Stage::Aborted { .. } => None,
    };
    let awaited = work.next.hook_awaited().is_some_and(|run| run.action == *action);
    if in_force != Some(action) && !awaited {
        return;
    }
    let Outcome::Failing { attempts, why, .. } = outcome else {
        work.next.progress = None;
        return;
    };
    if work
        .next
        .progress_of(action)
        .is_none_or(|progress| progress.why != *why)
    {
        work.next.progress = Some(Progress {
            action: action.clone(),
            attempts: *attempts,
            why: why.clone(),
        });
    }
}

fn advancing(work: &mut Work<'_>, phase: usize, asked: ActionId, since: jiff::Timestamp, outcome: &Outcome) {
    let stage = |failed| Stage::Advancing {
        phase,
        action: asked.clone(),
        since,
        failed,
    };
    match outcome {
        Outcome::Applied(read_back) if read_back.weight == work.next.wanted => arrived(work, phase, read_back),
        // After these the worker is done: the stage says so, or nothing but a rollback would ever be possible again.
        Outcome::Applied(ReadBack { weight: found, .. }) | Outcome::Foreign { found } => {
            let why = format!("the target reads {found}");
            work.next.stage = stage(Some(why));
            foreign(work, *found);
        }
        Outcome::Fenced { found } => {
            let reason = format!(
                "the target carries epoch {found}, ours is {}: another writer moved it, or this database is an old copy. Nothing was written.",
                work.next.epoch
            );
            work.next.stage = stage(Some("another writer owns the target".to_owned()));
            // What a person decides next must be above it.
            work.next.epoch = work.next.epoch.max(*found);
            let target = work.next.plan.spec.target.name();
            work.guard_holds(Guard::StaleWriter, &target, reason);
        }
        Outcome::GaveUp { attempts, why } => {
            work.next.stage = stage(Some(why.clone()));
            work.say(NoticeKind::AdvanceFailed {
                why: format!("{why} ({attempts} attempts)."),
            });
        }
        Outcome::Failing { .. } | Outcome::Asked { .. } | Outcome::Logs(_) | Outcome::Hooked(_) => {}
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
    let target = work.next.plan.spec.target.name();
    let reason = format!(
        "{target} reads {found} where we wrote {}: somebody else writes to it.",
        work.next.wanted
    );
    work.guard_holds(Guard::ForeignChange, &target, reason);
}

/// Somebody else moved the target while it baked or was watched: nothing advances until a person has settled who owns it.
/// Said once: while a hold stands for it, another look adds nothing.
pub(super) fn drifted(work: &mut Work<'_>, epoch: u64, found: crate::weight::Weight, how: &str) {
    let holder = Holder::Guard(Guard::ForeignChange);
    if !work.next.rests() || epoch != work.next.epoch || work.next.holds.iter().any(|hold| hold.by == holder) {
        return;
    }
    let target = work.next.plan.spec.target.name();
    let reason = format!(
        "{target} reads {found} where we wrote {}: {how}. Somebody else writes to it.",
        work.next.wanted
    );
    work.guard_holds(Guard::ForeignChange, &target, reason);
}

struct RollingBack {
    because: Because,
    from: crate::weight::Weight,
    since: jiff::Timestamp,
    stuck: Option<String>,
}

/// `asked` is the rung on top, `action` the one that is reported. Of a rung below only its coming through is news.
fn rolling_back(work: &mut Work<'_>, state: RollingBack, asked: ActionId, action: &ActionId, outcome: &Outcome) {
    match outcome {
        Outcome::Applied(read_back) if read_back.weight.is_zero() || planted::on(Bug::RolledBackUnread) => {
            rollback::ended(work, action, true, &read_back.how);
            rollback::others_ended(work, action);
            let how = rollback::with_what_is_left(work, action, &read_back.how);
            let read_back = ReadBack {
                how,
                ..read_back.clone()
            };
            rolled_back(work, state, &read_back);
        }
        Outcome::Applied(_)
        | Outcome::Foreign { .. }
        | Outcome::Fenced { .. }
        | Outcome::GaveUp { .. }
        | Outcome::Failing { .. }
        | Outcome::Asked { .. }
        | Outcome::Logs(_)
        | Outcome::Hooked(_)
            if asked != *action => {}
        Outcome::Applied(ReadBack { weight, .. }) | Outcome::Foreign { found: weight } => {
            let why = format!("the target still reads {weight}; another writer may be at work");
            failed(work, state, asked, &why, 1);
        }
        Outcome::Fenced { found } => {
            let why = format!("the target carries epoch {found}, higher than ours; another writer owns it");
            // When a person asks again, the write goes out above it. What else is tried on keeps its epoch until then: a rollout
            // above it would overtake it.
            let found = *found;
            rollback::fenced(work, action, found);
            let alone = rollback::is_alone(work) || planted::on(Bug::FenceStopsOthers);
            if !failed(work, state, asked, &why, 1) && alone {
                work.next.epoch = work.next.epoch.max(found);
            }
        }
        Outcome::GaveUp { attempts, why } => {
            failed(work, state, asked, why, *attempts);
        }
        Outcome::Failing { attempts, since, why } => {
            if Period::between(*since, work.now) >= within(work, &asked) {
                failed(work, state, asked, why, *attempts);
            }
        }
        Outcome::Asked { .. } | Outcome::Logs(_) | Outcome::Hooked(_) => {}
    }
}

/// How long the rung on top has.
fn within(work: &Work<'_>, asked: &ActionId) -> Period {
    rollback::on_top(work, asked).map_or(STUCK_AFTER, |climb| climb.within)
}

/// A rung did not come through: the next one is climbed as well, or people are paged. Says whether there was a next one.
fn failed(work: &mut Work<'_>, state: RollingBack, asked: ActionId, why: &str, attempts: u32) -> bool {
    if let Some(action) = rollback::next_rung(work, &asked, why) {
        work.next.stage = Stage::RollingBack {
            because: state.because,
            from: state.from,
            action,
            since: state.since,
            stuck: state.stuck,
        };
        return true;
    }
    stuck(work, state, asked, why, attempts);
    false
}

/// "Rolled back" is said here and nowhere else: after zero was read from what carries the traffic.
fn rolled_back(work: &mut Work<'_>, state: RollingBack, read_back: &ReadBack) {
    let since_alert = match &state.because {
        Because::Alert { key, .. } => Some(Period::between(key.starts_at, read_back.at)),
        Because::Unanswered { .. } | Because::NoData { .. } | Because::Person { .. } => None,
    };
    let because = state.because.to_string();
    let left = rollback::left(work);
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
        left,
    });
}

/// Time-outs of the waiting for a worker. A worker that says nothing is as bad as one that fails, and leads to a page.
pub(super) fn mind_workers(work: &mut Work<'_>) {
    match work.next.stage.clone() {
        // Hooks have a time of their own.
        Stage::Advancing { action, .. } if work.next.is_hook(&action) => {}
        Stage::RollingBack {
            because,
            from,
            action,
            since,
            stuck,
        } if waits_for_word(stuck.as_deref()) && overdue(work, &action, since) => {
            let state = RollingBack {
                because,
                from,
                since,
                stuck,
            };
            let (why, attempts) = match work.next.progress_of(&action).cloned() {
                Some(Progress { attempts, why, .. }) => (why, attempts),
                None => (SILENT.to_owned(), 0),
            };
            failed(work, state, action, &why, attempts);
        }
        Stage::Advancing {
            phase,
            action,
            since,
            failed: None,
        } if Period::between(since, work.now) >= LOOKED_AGAIN
            && in_the_way(&work.next, work.around, work.now).is_some() =>
        {
            // Workers wait, rightly; what they need afterwards is not counted from before.
            work.next.stage = Stage::Advancing {
                phase,
                action,
                since: work.now,
                failed: None,
            };
        }
        Stage::Advancing {
            phase,
            action,
            since,
            failed: None,
        } if Period::between(since, work.now) >= unanswered_after(work) => {
            let why = "no worker has answered";
            work.next.stage = Stage::Advancing {
                phase,
                action,
                since,
                failed: Some(why.to_owned()),
            };
            work.say(NoticeKind::AdvanceFailed {
                why: format!("{why} for {}.", unanswered_after(work)),
            });
        }
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

/// Whether nobody was paged yet about the present try.
fn waits_for_word(stuck: Option<&str>) -> bool {
    matches!(stuck, None | Some(ASKED_AGAIN))
}

/// Whether the rung on top has had its time without a final word.
fn overdue(work: &Work<'_>, action: &ActionId, since: jiff::Timestamp) -> bool {
    match rollback::on_top(work, action) {
        Some(_) if planted::on(Bug::NextRungAtOnce) => true,
        Some(_) if planted::on(Bug::SilentRungWaits) => false,
        Some(climb) => Period::between(climb.since, work.now) >= climb.within,
        None => Period::between(since, work.now) >= STUCK_AFTER,
    }
}

/// A target that needs its time gets it: its worker gives up first, and says why.
fn unanswered_after(work: &Work<'_>) -> Period {
    UNANSWERED_AFTER.plus(work.next.plan.spec.target.patience())
}

/// What stands in the way, rung by rung where there are several.
fn all_of(work: &Work<'_>, why: &str) -> String {
    if work.next.plan.spec.rollback.ladder.len() < 2 {
        return why.to_owned();
    }
    let lines: Vec<String> = work.next.ladder.iter().map(|climb| climb.line(work.now)).collect();
    format!("every rung was tried. {}", lines.join(". "))
}

/// Pages once about a rollback that does not come through, and once more after a person asked for zero again.
fn stuck(work: &mut Work<'_>, state: RollingBack, asked: ActionId, why: &str, attempts: u32) {
    let paged_for_silence = match state.stuck.as_deref() {
        None | Some(ASKED_AGAIN) => false,
        Some(SILENT) if why != SILENT => true,
        Some(_) => return,
    };
    let lasting = Period::between(state.since, work.now);
    let why = &all_of(work, why);
    work.next.stage = Stage::RollingBack {
        because: state.because,
        from: state.from,
        action: asked,
        since: state.since,
        stuck: Some(why.to_owned()),
    };
    if paged_for_silence {
        work.note("rollback-stuck", "tidegate".to_owned(), format!("Now known: {why}"));
        return;
    }
    work.say(NoticeKind::RollbackStuck {
        why: why.to_owned(),
        attempts,
        lasting,
        given_up: false,
    });
}
