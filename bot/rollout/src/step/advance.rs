//! Owns the way forward: what must be true before a phase may be left, and what leaving it does.
//! Refuses to advance on silence: an advance needs proof.

use crate::action::ActionKind;
use crate::health::Health;
use crate::hook::Moment;
use crate::ids::{ActionId, PersonId};
use crate::notice::NoticeKind;
use crate::period::Period;
use crate::plan::Gate;
use crate::planted::{self, Bug};
use crate::refusal::{Code, Refusal};
use crate::rollout::{Bake, Rollout, Stage};

use super::blocker::{Blocker, blockers, obstacles};
use super::{Work, hooks, signoffs};

/// Leaves the phase on a person's word. The gate is what their word opens; everything else must be clear.
pub(super) fn by_person(work: &mut Work<'_>, person: &PersonId) -> Result<(), Refusal> {
    if let Stage::Watching { .. } = work.next.stage {
        return Err(Refusal::new(
            Code::R405,
            format!(
                "All phases of {} are done; it is watched, and completes by itself.",
                work.next.id
            ),
            "There is nothing to advance. A rollback stays possible until the watch is over.",
        ));
    }
    let mut found = blockers(&work.next, work.around, work.now);
    // What passes by itself comes last: the hint is the first one's, and it must not be "wait" where waiting is in vain.
    found.sort_by_key(|blocker| {
        matches!(
            blocker,
            Blocker::Moving | Blocker::Hooking { .. } | Blocker::Bake { .. } | Blocker::Calming { .. }
        )
    });
    let Some((first, others)) = found.split_first() else {
        work.note("advance", person.to_string(), format!("{person} said `advance`."));
        forward(work);
        return Ok(());
    };
    let mut refusal = first.refusal(&work.next);
    for other in others {
        refusal.message = format!("{} {}", refusal.message, other.refusal(&work.next).message);
    }
    Err(refusal)
}

/// Leaves the phase by itself, if it has baked, is healthy and its gate is automatic.
pub(super) fn by_itself(work: &mut Work<'_>) {
    let (phase, at_gate) = match work.next.stage {
        Stage::Baking { phase, .. } => (phase, false),
        // Its hooks kept it there; an automatic gate is passed once they have passed.
        Stage::AtGate { phase, .. } if gate_of(&work.next, phase) == Gate::Auto => (phase, true),
        Stage::AtGate { .. }
        | Stage::Advancing { .. }
        | Stage::Watching { .. }
        | Stage::RollingBack { .. }
        | Stage::RolledBack { .. }
        | Stage::Completed { .. }
        | Stage::Aborted { .. } => return,
    };
    if work.next.hook_unsettled().is_some() || !obstacles(&work.next, work.around, work.now).is_empty() {
        return;
    }
    if work.next.health(work.around, work.now) != Health::Healthy && !planted::on(Bug::SilenceIsHealth) {
        return;
    }
    let hooks_follow = work.next.next_hook(Moment::After(phase)).is_some();
    let people = !work.next.open_signoffs().is_empty();
    match gate_of(&work.next, phase) {
        // The end of the step asks for its next hook; people have been asked.
        _ if at_gate && (hooks_follow || people) => {}
        Gate::Auto if !hooks_follow && !people => forward(work),
        Gate::Auto | Gate::Manual => {
            to_the_gate(work, phase);
            if !hooks_follow {
                signoffs::ask(work, phase);
            }
        }
    }
}

/// What lets a rollout leave a phase.
pub(super) fn gate_of(rollout: &Rollout, phase: usize) -> Gate {
    rollout
        .plan
        .spec
        .phases
        .get(phase)
        .map_or(Gate::Manual, |phase| phase.gate)
}

/// The phase has baked; its clock stands still.
fn to_the_gate(work: &mut Work<'_>, phase: usize) {
    let baked = work.next.baked(work.around, work.now);
    work.next.bake = Bake {
        counted: baked,
        since: None,
    };
    work.next.stage = Stage::AtGate { phase, since: work.now };
}

/// Whether what a phase waits for may follow its hooks: they may have taken their time, so that it needs proof anew.
pub(super) fn may_go_on(work: &Work<'_>) -> bool {
    planted::on(Bug::SilenceIsHealth)
        || blockers(&work.next, work.around, work.now).is_empty()
            && work.next.health(work.around, work.now) == Health::Healthy
}

/// Goes to the next phase, or into the watch after the last one.
fn forward(work: &mut Work<'_>) {
    let next = match work.next.stage {
        Stage::Baking { phase, .. } | Stage::AtGate { phase, .. }
            if work.next.next_hook(Moment::After(phase)).is_some() =>
        {
            if let Stage::Baking { .. } = work.next.stage {
                to_the_gate(work, phase);
            }
            return;
        }
        Stage::Baking { phase, .. } | Stage::AtGate { phase, .. } => phase + 1,
        // A person advances again after the worker gave up: the same phase, under a new epoch.
        Stage::Advancing { phase, .. } => phase,
        Stage::Watching { .. }
        | Stage::RollingBack { .. }
        | Stage::RolledBack { .. }
        | Stage::Completed { .. }
        | Stage::Aborted { .. } => return,
    };
    if next < work.next.plan.spec.phases.len() {
        enter(work, next);
    } else {
        watch(work);
    }
}

/// Begins a phase: with its hooks where it has some, else with its weight.
pub(crate) fn enter(work: &mut Work<'_>, phase: usize) {
    let moment = Moment::Before(phase);
    let Some(place) = work
        .next
        .next_hook(moment)
        .filter(|_| !planted::on(Bug::WeightBeforeHook))
    else {
        return ask_weight(work, phase);
    };
    work.next.bake = Bake::default();
    // The action is that of the hook from the next line on.
    work.next.stage = Stage::Advancing {
        phase,
        action: ActionId::of(&work.next.id, work.next.generation + 1, 0),
        since: work.now,
        failed: None,
    };
    hooks::ask(work, moment, place, 1);
    let list = moment.list(&work.next.plan).get(place..).unwrap_or_default().join(", ");
    let text = format!("Before {} any traffic moves: {list}.", phase_name(work, phase));
    work.note("hooks-asked", "tidegate".to_owned(), text);
}

fn phase_name(work: &Work<'_>, phase: usize) -> String {
    let phase = work.next.plan.spec.phases.get(phase);
    phase.map_or_else(String::new, |phase| format!("phase {} begins and", phase.name))
}

/// Asks the target for the weight of a phase.
pub(super) fn ask_weight(work: &mut Work<'_>, phase: usize) {
    let plan = std::sync::Arc::clone(&work.next.plan);
    let Some(wanted) = plan.spec.phases.get(phase) else {
        return;
    };
    work.next.epoch += 1;
    work.next.wanted = wanted.weight;
    work.next.bake = Bake::default();
    if work.next.exposed_at.is_none() && !wanted.weight.is_zero() {
        work.next.exposed_at = Some(work.now);
    }
    let action = work.ask(ActionKind::SetWeight {
        target: plan.spec.target.clone(),
        weight: wanted.weight,
        groups: wanted.groups.clone(),
    });
    work.next.stage = Stage::Advancing {
        phase,
        action,
        since: work.now,
        failed: None,
    };
    work.note(
        "advancing",
        "tidegate".to_owned(),
        format!(
            "Phase {} begins: {} is asked for {}.",
            wanted.name,
            plan.spec.target.name(),
            wanted.weight
        ),
    );
}

fn watch(work: &mut Work<'_>) {
    let lasting = work.next.plan.spec.watch;
    work.next.bake = Bake::default();
    work.next.stage = Stage::Watching { since: work.now };
    if lasting > Period::ZERO {
        work.say(NoticeKind::Watching { lasting });
    }
}
