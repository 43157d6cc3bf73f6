//! Owns the decision to return traffic to the old version, and everything that may stand in its way.
//! Refuses to be undone: once decided it is latched for this rollout, for ever.

use crate::action::ActionKind;
use crate::ids::ActionId;
use crate::ladder::{self, Climb, End};
use crate::notice::NoticeKind;
use crate::plan::Mode;
use crate::planted::{self, Bug};
use crate::rollout::{Because, Guard, Stage, Standing};
use crate::surroundings::Surroundings;
use crate::weight::Weight;

use super::{Work, hooks, pod_logs};

/// What stands in the way while zero is being asked for once more.
pub(super) const ASKED_AGAIN: &str = "a person asked for zero again; the target has not answered yet";

/// Rolls back on nobody's word but the plan's, unless a guard says that it would not help or would be one too many.
/// Rollback needs suspicion; mass action needs a human.
pub(super) fn automatic(work: &mut Work<'_>, because: Because) {
    if !can_roll_back(work) {
        return;
    }
    if work.next.plan.spec.mode == Mode::Shadow {
        work.say(NoticeKind::WouldRollBack {
            because: because.to_string(),
        });
        return;
    }
    if let Some((guard, reason)) = standing_in_the_way(work, &because) {
        let wide = matches!(guard, Guard::WideAlert | Guard::OldVersionToo);
        if wide {
            work.freeze_environment(reason.clone());
        }
        work.guard_holds(guard, &because.subject(), reason);
        return;
    }
    work.spends_budget = true;
    begin(work, because);
}

/// Rolls back on a person's word: needs no approval, spends no budget, waits for nothing.
pub(super) fn by_person(work: &mut Work<'_>, because: Because) {
    begin(work, because);
}

/// Whether a rollback is still possible and not already decided.
pub(super) fn can_roll_back(work: &Work<'_>) -> bool {
    !work.next.is_final() && !work.next.is_latched()
}

fn standing_in_the_way(work: &Work<'_>, because: &Because) -> Option<(Guard, String)> {
    let around = work.around;
    if let Because::Alert { name, .. } = because {
        if around.services_with_this_alert >= Surroundings::WIDE {
            let reason = format!(
                "alert {name} began on {} services within two minutes; it is likely something that they share, and one rollback would not help.",
                around.services_with_this_alert
            );
            return Some((Guard::WideAlert, reason));
        }
        if fires_on_old_version(work, name) && !planted::on(Bug::OldVersionFailsToo) {
            let reason = format!("alert {name} fires on the old version too; a rollback would not help.");
            return Some((Guard::OldVersionToo, reason));
        }
    }
    if around.automatic_rollbacks >= around.automatic_rollbacks_allowed {
        let reason = format!(
            "it would roll back ({because}), but {} automatic rollbacks happened in {} lately and {} are allowed.",
            around.automatic_rollbacks, work.next.plan.spec.environment, around.automatic_rollbacks_allowed
        );
        return Some((Guard::Budget, reason));
    }
    None
}

fn fires_on_old_version(work: &Work<'_>, name: &str) -> bool {
    let about_old = |standing: &Standing| matches!(standing, Standing::OldVersion);
    work.next
        .alerts
        .values()
        .any(|tracked| tracked.name == name && about_old(&tracked.standing))
}

/// Asks the target for zero once more, for a rollback that did not come through: a person settled what stood in the way.
/// The write goes out above every epoch that was found on the way.
pub(super) fn try_again(work: &mut Work<'_>) {
    let found = work.next.ladder.iter().filter_map(|climb| climb.fenced_by).max();
    work.next.epoch = work.next.epoch.max(found.unwrap_or(0)) + 1;
    let asked = climb(work, 0);
    if let Stage::RollingBack { action, stuck, .. } = &mut work.next.stage {
        *action = asked;
        *stuck = Some(ASKED_AGAIN.to_owned());
    }
}

fn begin(work: &mut Work<'_>, because: Because) {
    let from = work.next.wanted;
    if !planted::on(Bug::EpochNotRaised) {
        work.next.epoch += 1;
    }
    work.next.wanted = Weight::ZERO;
    let mut questions: Vec<u32> = work.next.decisions.drain(..).map(|decision| decision.number).collect();
    questions.extend(hooks::overtaken(work));
    work.next.pause = None;
    work.next.bake.since = None;
    let action = climb(work, 0);
    pod_logs::ask(work);
    work.next.stage = Stage::RollingBack {
        because: because.clone(),
        from,
        action,
        since: work.now,
        stuck: None,
    };
    let said = NoticeKind::RollingBack {
        automatic: because.is_automatic(),
        because: because.to_string(),
        from: from.to_string(),
        questions,
    };
    match &because {
        Because::Person { by, .. } => work.say_by(by, said),
        Because::Alert { .. } | Because::Unanswered { .. } | Because::NoData { .. } => work.say(said),
    }
}

/// Asks the target of a rung for zero. The rungs below it are tried on: whichever is read back at zero first ends it.
fn climb(work: &mut Work<'_>, index: usize) -> ActionId {
    let mut rungs = work.next.plan.rungs();
    let rung = rungs.swap_remove(index.min(rungs.len().saturating_sub(1)));
    let name = rung.target.name();
    let action = work.ask(ActionKind::ToZero { target: rung.target });
    work.next.ladder.push(Climb {
        rung: rung.name,
        target: name,
        action: action.clone(),
        epoch: work.next.epoch,
        since: work.now,
        within: rung.within,
        end: None,
        fenced_by: None,
    });
    action
}

/// The rung that was climbed last, if it is the one that `action` belongs to.
pub(super) fn on_top<'a>(work: &'a Work<'_>, action: &ActionId) -> Option<&'a Climb> {
    work.next.ladder.last().filter(|climb| climb.action == *action)
}

/// Whether an action is a rung of the way back that is being climbed now.
pub(super) fn is_rung(work: &Work<'_>, action: &ActionId) -> bool {
    let Some(top) = work.next.ladder.last() else {
        return false;
    };
    let mut now = work.next.ladder.iter().filter(|climb| climb.epoch == top.epoch);
    now.any(|climb| climb.action == *action)
}

/// Notes how a rung ended. It fails once: what its worker says later is why, and no other moment.
pub(super) fn ended(work: &mut Work<'_>, action: &ActionId, verified: bool, how: &str) {
    let at = work.now;
    let mistaken = planted::on(Bug::RungMistaken) && verified;
    let mut ladder = work.next.ladder.iter_mut().rev();
    if let Some(climb) = ladder.find(|climb| climb.action == *action || mistaken) {
        let failed_before = climb.end.as_ref().filter(|end| !end.verified && !verified);
        climb.end = Some(End {
            at: failed_before.map_or(at, |end| end.at),
            verified,
            how: how.to_owned(),
        });
    }
}

/// Notes that the target of a rung carries a higher epoch. The rungs after it still go out under ours: to be the newer writer
/// is a person's to say, and what is tried on below keeps its epoch.
pub(super) fn fenced(work: &mut Work<'_>, action: &ActionId, found: u64) {
    if let Some(climb) = work.next.ladder.iter_mut().find(|climb| climb.action == *action) {
        climb.fenced_by = climb.fenced_by.max(Some(found));
    }
}

/// Gives the rung on top up and climbs the next one too; the action of that, or nothing where there is none.
pub(super) fn next_rung(work: &mut Work<'_>, failed: &ActionId, why: &str) -> Option<ActionId> {
    let rungs = work.next.plan.rungs();
    let name = on_top(work, failed)?.rung.clone();
    let index = rungs.iter().position(|rung| rung.name == name)?;
    ended(work, failed, false, why);
    let next = rungs.get(index + 1).filter(|_| !planted::on(Bug::NextRungNever))?;
    let asked = climb(work, index + 1);
    work.note(
        "rung",
        "tidegate".to_owned(),
        format!(
            "Rung {name} did not come through: {why}. Rung {} of {}, {}: {} is asked for zero.",
            index + 2,
            rungs.len(),
            next.name,
            next.target.name()
        ),
    );
    Some(asked)
}

/// Notes the end of every rung that is still waited for, once another one came through.
pub(super) fn others_ended(work: &mut Work<'_>, action: &ActionId) {
    let (at, ladder) = (work.now, &mut work.next.ladder);
    let through = ladder.iter().find(|climb| climb.action == *action);
    let how = format!(
        "rung {} was read back at zero first",
        through.map_or("", |climb| climb.rung.as_str())
    );
    for climb in ladder.iter_mut().filter(|climb| climb.end.is_none()) {
        climb.end = Some(End {
            at,
            verified: false,
            how: how.clone(),
        });
    }
}

/// Whether no other rung is climbed beside the one on top.
pub(super) fn is_alone(work: &Work<'_>) -> bool {
    let ladder = &work.next.ladder;
    let epoch = ladder.last().map(|top| top.epoch);
    ladder.iter().filter(|climb| Some(climb.epoch) == epoch).count() < 2
}

/// What was read back, and which rungs did not come through: traffic may still lie with them. Those from before a person asked
/// again were overtaken by that.
pub(super) fn with_what_is_left(work: &Work<'_>, action: &ActionId, how: &str) -> String {
    let ladder = &work.next.ladder;
    let Some(climbed) = ladder.iter().find(|climb| climb.action == *action) else {
        return how.to_owned();
    };
    let left = |tried_on: bool| {
        let mut left = ladder::left(ladder);
        left.retain(|climb| (climb.epoch == climbed.epoch) == tried_on);
        left.into_iter().map(Climb::called).collect::<Vec<_>>().join(", ")
    };
    let (still, no_more) = (left(true), left(false));
    if still.is_empty() && no_more.is_empty() || planted::on(Bug::LeftUntold) {
        return how.to_owned();
    }
    let rest = [("still tried", still), ("tried no more", no_more)];
    let rest = rest.iter().filter(|(_, rungs)| !rungs.is_empty());
    let rest: Vec<String> = rest
        .map(|(word, rungs)| format!("; not read back at zero, and {word}: {rungs}"))
        .collect();
    format!("{how}. That is rung {}{}", climbed.rung, rest.concat())
}

/// The names of the rungs that did not come through.
pub(super) fn left(work: &Work<'_>) -> Vec<String> {
    if planted::on(Bug::LeftUntold) {
        return Vec::new();
    }
    ladder::left(&work.next.ladder).into_iter().map(Climb::called).collect()
}
