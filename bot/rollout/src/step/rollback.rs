//! Owns the decision to return traffic to the old version, and everything that may stand in its way.
//! Refuses to be undone: once decided it is latched for this rollout, for ever.

use crate::action::ActionKind;
use crate::notice::NoticeKind;
use crate::plan::{Mode, Target};
use crate::planted::{self, Bug};
use crate::rollout::{Because, Guard, Stage, Standing};
use crate::surroundings::Surroundings;
use crate::weight::Weight;

use super::Work;

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
                "alert {name} began on {} services within two minutes; one rollback would not help. Look for what they share, then `rollback` or `release`.",
                around.services_with_this_alert
            );
            return Some((Guard::WideAlert, reason));
        }
        if fires_on_old_version(work, name) {
            let reason = format!(
                "alert {name} fires on the old version too; a rollback would not help. Look first, then `rollback` or `release`."
            );
            return Some((Guard::OldVersionToo, reason));
        }
    }
    if around.automatic_rollbacks >= around.automatic_rollbacks_allowed {
        let reason = format!(
            "it would roll back ({because}), but {} automatic rollbacks happened in {} lately and {} are allowed. Say `rollback` to allow this one.",
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
pub(super) fn try_again(work: &mut Work<'_>) {
    let target = work.next.plan.spec.target.clone();
    work.next.epoch += 1;
    let asked = work.ask(ActionKind::ToZero { target });
    if let Stage::RollingBack { action, stuck, .. } = &mut work.next.stage {
        *action = asked;
        *stuck = Some(ASKED_AGAIN.to_owned());
    }
}

fn begin(work: &mut Work<'_>, because: Because) {
    let from = work.next.wanted;
    let target: Target = work.next.plan.spec.target.clone();
    if !planted::on(Bug::EpochNotRaised) {
        work.next.epoch += 1;
    }
    work.next.wanted = Weight::ZERO;
    work.next.decisions.clear();
    work.next.pause = None;
    work.next.bake.since = None;
    let action = work.ask(ActionKind::ToZero { target });
    work.next.stage = Stage::RollingBack {
        because: because.clone(),
        from,
        action,
        since: work.now,
        stuck: None,
    };
    work.say(NoticeKind::RollingBack {
        automatic: because.is_automatic(),
        because: because.to_string(),
        from: from.to_string(),
    });
}
