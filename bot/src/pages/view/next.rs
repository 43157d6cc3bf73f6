//! Owns what happens next, in words: the next event with its time, and everything that stands in the way.
//! Refuses to compute it anew: blockers and clocks are the core's.

use jiff::Timestamp;
use serde::Serialize;
use tidegate_rollout::plan::{Gate, Phase};
use tidegate_rollout::step::{Blocker, blockers};
use tidegate_rollout::{ActionId, Period, Rollout, Stage};

use super::{Moment, Seen, brief, words};

/// One thing that stands in the way.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Wait {
    code: String,
    text: String,
    hint: String,
}

/// Everything that keeps the rollout from leaving its phase, in words.
pub(super) fn waits(seen: &Seen<'_>, now: Timestamp) -> Vec<Wait> {
    if seen.rollout.is_final() || seen.rollout.is_latched() {
        return Vec::new();
    }
    let mut found = blockers(seen.rollout, seen.around, now);
    found.sort_by_key(urgency);
    let shown = found.iter().map(|blocker| {
        let refusal = blocker.refusal(seen.rollout);
        Wait {
            code: refusal.code.to_string(),
            text: brief(&refusal.message, 400),
            hint: brief(&refusal.hint, 400),
        }
    });
    shown.take(20).collect()
}

/// What it waits for in a few words, for the table.
pub(super) fn shortly(seen: &Seen<'_>, now: Timestamp) -> String {
    let rollout = seen.rollout;
    match &rollout.stage {
        Stage::RollingBack { stuck: Some(why), .. } => return format!("stuck: {}", brief(why, 80)),
        Stage::RollingBack { stuck: None, .. } => return "0% to be read back".to_owned(),
        Stage::RolledBack { .. } | Stage::Completed { .. } | Stage::Aborted { .. } => return String::new(),
        Stage::Advancing { failed: Some(_), .. } => return "a person: the target could not be moved".to_owned(),
        Stage::Advancing { failed: None, .. }
        | Stage::Baking { .. }
        | Stage::AtGate { .. }
        | Stage::Watching { .. } => {}
    }
    let found = blockers(rollout, seen.around, now);
    let worst = found.iter().min_by_key(|blocker| urgency(blocker));
    match worst {
        Some(blocker) => word(blocker),
        None if matches!(rollout.stage, Stage::AtGate { .. }) => "a person at the gate".to_owned(),
        None if matches!(rollout.stage, Stage::Watching { .. }) => "the end of the watch".to_owned(),
        None => "nothing".to_owned(),
    }
}

/// What a person can settle comes before what only needs time.
pub(super) fn urgency(blocker: &Blocker) -> u8 {
    match blocker {
        Blocker::Undecided { .. } | Blocker::Unsigned { .. } => 0,
        Blocker::NoData { .. } => 1,
        Blocker::Firing { .. } => 2,
        Blocker::Held { .. } => 3,
        Blocker::Paused { .. } => 4,
        Blocker::Frozen(_) => 5,
        Blocker::Moving | Blocker::Hooking { .. } => 6,
        Blocker::Bake { .. } => 7,
        Blocker::Calming { .. } => 8,
    }
}

fn word(blocker: &Blocker) -> String {
    match blocker {
        Blocker::Moving => "the read-back".to_owned(),
        Blocker::Hooking { hook, .. } => format!("hook {}", brief(hook, 60)),
        Blocker::Bake { .. } => "time".to_owned(),
        Blocker::Paused { by, .. } => format!("resume, paused by {by}"),
        Blocker::Held { number, by, .. } => format!("hold {number}, {by}"),
        Blocker::Undecided { number, .. } => format!("decision {number}"),
        Blocker::Unsigned { what, .. } => brief(what, 80),
        Blocker::Firing { alert, .. } => format!("alert {}", brief(alert, 60)),
        Blocker::NoData { .. } => "health to be known".to_owned(),
        Blocker::Frozen(freeze) => format!("thaw, frozen by {}", freeze.by),
        Blocker::Calming { alert, .. } => format!("quiet after {}", brief(alert, 60)),
    }
}

/// The time left until the next thing happens by itself; `None` where no clock runs.
pub(super) fn left(rollout: &Rollout, now: Timestamp) -> Option<Period> {
    match &rollout.stage {
        Stage::Baking { .. } => {
            let needed = rollout.phase()?.bake;
            Some(needed.minus(rollout.bake.at(now)))
        }
        // The watch counts with the bake clock: only time with known health.
        Stage::Watching { .. } => Some(rollout.plan.spec.watch.minus(rollout.bake.at(now))),
        Stage::Advancing { .. }
        | Stage::AtGate { .. }
        | Stage::RollingBack { .. }
        | Stage::RolledBack { .. }
        | Stage::Completed { .. }
        | Stage::Aborted { .. } => None,
    }
}

/// The next phase; `None` in or after the last one.
pub(super) fn following(rollout: &Rollout) -> Option<&Phase> {
    match &rollout.stage {
        Stage::Advancing {
            phase, failed: Some(_), ..
        } => rollout.plan.spec.phases.get(*phase),
        Stage::Advancing { phase, .. } | Stage::Baking { phase, .. } | Stage::AtGate { phase, .. } => {
            rollout.plan.spec.phases.get(phase + 1)
        }
        Stage::Watching { .. }
        | Stage::RollingBack { .. }
        | Stage::RolledBack { .. }
        | Stage::Completed { .. }
        | Stage::Aborted { .. } => None,
    }
}

/// What happens next, in a sentence or two.
pub(super) fn sentence(seen: &Seen<'_>, now: Timestamp) -> String {
    let rollout = seen.rollout;
    let target = rollout.plan.spec.target.name();
    if let Some(run) = rollout.hook_awaited() {
        let when = run.moment.words(&rollout.plan);
        return format!("Hook {} {when} runs.{}", run.name, waited_for(rollout, &run.action));
    }
    match &rollout.stage {
        Stage::Advancing { failed: Some(why), .. } => {
            format!("The target could not be moved: {}", brief(why, 300))
        }
        Stage::Advancing { action, .. } => format!(
            "{target} is asked for {}; the phase begins when that is read back.{}",
            rollout.wanted,
            waited_for(rollout, action)
        ),
        Stage::Baking { .. } => baking(rollout, now),
        Stage::AtGate { .. } => at_gate(seen, now),
        Stage::Watching { .. } => watching(rollout, now),
        Stage::RollingBack {
            because, stuck, action, ..
        } => {
            let stuck = stuck.as_ref().map(|why| format!(" Stuck: {}", brief(why, 300)));
            format!(
                "0% is being written to {} and will be read back. {}.{}",
                rollout.ladder.last().map_or(target, |climb| climb.target.clone()),
                words::capital(&brief(&because.to_string(), 300)),
                stuck.unwrap_or_else(|| waited_for(rollout, action))
            )
        }
        Stage::RolledBack { because, read_back, .. } => format!(
            "{} Read back: {}. This rollout is over; a new start is a new rollout.",
            ended(&words::capital(&brief(&because.to_string(), 300))),
            read_back.how
        ),
        Stage::Completed { .. } => "The watch is over and nothing happened.".to_owned(),
        Stage::Aborted { by, reason, .. } if reason.is_empty() => {
            format!("{by} ended it before any traffic moved.")
        }
        Stage::Aborted { by, reason, .. } => {
            format!("{by} ended it before any traffic moved: {}", brief(reason, 300))
        }
    }
}

/// What a worker last said of an action that has not come through.
fn waited_for(rollout: &Rollout, action: &ActionId) -> String {
    let progress = rollout.progress_of(action);
    progress.map_or_else(String::new, |progress| format!(" Now: {}.", brief(&progress.why, 300)))
}

fn baking(rollout: &Rollout, now: Timestamp) -> String {
    let (needed, baked) = (
        rollout.phase().map_or(Period::ZERO, |phase| phase.bake),
        rollout.bake.at(now),
    );
    let left = needed.minus(baked);
    let manual = rollout.phase().is_some_and(|phase| phase.gate == Gate::Manual);
    let then = match (manual, following(rollout)) {
        (true, _) => "its gate waits for a person".to_owned(),
        (false, Some(next)) => format!("goes to {} by itself if it is healthy", next.weight),
        (false, None) => "the watch begins if it is healthy".to_owned(),
    };
    if left == Period::ZERO {
        return format!("Baked {needed}. Next: {then}.");
    }
    let clock = match rollout.bake.since {
        Some(_) => format!("in {left}, at {}", Moment::of(now + left.duration(), now).text),
        None => format!("after {left} more; the clock stands still now"),
    };
    format!("Baked {baked} of {needed}. Next: {then}, {clock}.")
}

/// What stands in the way comes first: the gate opens to nobody before that is gone.
fn at_gate(seen: &Seen<'_>, now: Timestamp) -> String {
    let found = blockers(seen.rollout, seen.around, now);
    match found.iter().min_by_key(|blocker| urgency(blocker)) {
        Some(Blocker::Unsigned { what, .. }) => format!("The gate waits for people: {}.", brief(what, 200)),
        Some(blocker) => format!(
            "Nothing goes on. {}",
            brief(&blocker.refusal(seen.rollout).message, 300)
        ),
        None => format!("The gate waits for a person: CONTINUE {}.", onward(seen.rollout)),
    }
}

fn watching(rollout: &Rollout, now: Timestamp) -> String {
    match left(rollout, now) {
        Some(left) if left > Period::ZERO => {
            format!("All phases are done. A rollback stays armed for {left}, then it is completed.")
        }
        Some(_) | None => "All phases are done; it completes at any moment.".to_owned(),
    }
}

/// Where CONTINUE leads, as its label says it.
pub(super) fn onward(rollout: &Rollout) -> String {
    match following(rollout) {
        Some(next) => format!("to {}", next.weight),
        None => "to the watch".to_owned(),
    }
}

fn ended(text: &str) -> String {
    if text.ends_with(['.', '!', '?', '…']) {
        text.to_owned()
    } else {
        format!("{text}.")
    }
}
