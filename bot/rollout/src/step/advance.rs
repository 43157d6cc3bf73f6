//! Owns the way forward: what must be true before a phase may be left, and what leaving it does.
//! Refuses to advance on silence: an advance needs proof.

use crate::action::ActionKind;
use crate::health::Health;
use crate::hook::Moment;
use crate::ids::{ActionId, PersonId};
use crate::notice::{NoticeKind, clock};
use crate::period::Period;
use crate::plan::Gate;
use crate::planted::{self, Bug};
use crate::refusal::{Code, Refusal};
use crate::rollout::{Bake, Rollout, Stage, Standing};
use crate::signoff::Open;
use crate::surroundings::{Freeze, Surroundings};

use super::{Work, hooks, signoffs};

/// How long after the end of an alert nothing advances, at most.
pub const CALM: Period = Period::seconds(30);

/// One reason why a rollout may not leave its phase now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blocker {
    /// The target was asked and has not answered.
    Moving,
    /// A hook has not answered.
    Hooking {
        /// Its name.
        hook: String,
        /// When it is due, in words.
        when: String,
        /// For how long it has been waited for.
        lasting: Period,
    },
    /// The phase has not baked.
    Bake {
        /// How long it has baked.
        baked: Period,
        /// How long it must.
        needed: Period,
    },
    /// A person stopped the clock.
    Paused {
        /// Who.
        by: String,
        /// For how long already.
        lasting: Period,
    },
    /// Somebody holds it.
    Held {
        /// The number of the hold.
        number: u32,
        /// Who.
        by: String,
        /// Why.
        reason: String,
        /// For how long already.
        lasting: Period,
    },
    /// A question is open.
    Undecided {
        /// Its number.
        number: u32,
        /// The question.
        question: String,
    },
    /// People have not approved, or not ticked, what the gate asks for.
    Unsigned {
        /// Who must do what.
        what: String,
        /// What to say.
        say: String,
    },
    /// An alert fires.
    Firing {
        /// Its name.
        alert: String,
        /// For how long already.
        lasting: Period,
    },
    /// An alert ended only just now; its end alone proves nothing.
    Calming {
        /// Its name.
        alert: String,
        /// How long nothing must fire before it goes on.
        left: Period,
    },
    /// Health is not known.
    NoData {
        /// What is not known.
        why: String,
    },
    /// The environment is frozen.
    Frozen(Freeze),
}

/// Everything that keeps `rollout` from leaving its phase, but for the one person whom a manual gate waits for.
pub fn blockers(rollout: &Rollout, around: &Surroundings, now: jiff::Timestamp) -> Vec<Blocker> {
    let open = rollout.open_signoffs().into_iter().map(|open| Blocker::Unsigned {
        say: match &open {
            Open::Approval { role, .. } => format!("approve role:{role}"),
            Open::Check { id, .. } => format!("check done {id}"),
        },
        what: open.words(),
    });
    let open = open.filter(|_| !planted::on(Bug::GateForgetsPeople));
    obstacles(rollout, around, now).into_iter().chain(open).collect()
}

/// Everything that keeps `rollout` from its gate.
fn obstacles(rollout: &Rollout, around: &Surroundings, now: jiff::Timestamp) -> Vec<Blocker> {
    let mut found = Vec::new();
    match (rollout.hook_awaited(), &rollout.stage) {
        (Some(run), _) => found.push(Blocker::Hooking {
            hook: run.name.clone(),
            when: run.moment.words(&rollout.plan),
            lasting: Period::between(run.since, now),
        }),
        (
            None,
            Stage::Advancing {
                failed: None, action, ..
            },
        ) if !rollout.is_hook(action) => found.push(Blocker::Moving),
        (None, _) => {}
    }
    if let Stage::Baking { phase, .. } = rollout.stage {
        let needed = rollout
            .plan
            .spec
            .phases
            .get(phase)
            .map_or(Period::ZERO, |phase| phase.bake);
        let baked = rollout.baked(around, now);
        if baked < needed {
            found.push(Blocker::Bake { baked, needed });
        }
    }
    found.extend(rollout.pause.iter().map(|pause| Blocker::Paused {
        by: pause.by.to_string(),
        lasting: Period::between(pause.at, now),
    }));
    found.extend(rollout.holds.iter().map(|hold| Blocker::Held {
        number: hold.number,
        by: hold.by.to_string(),
        reason: hold.reason.clone(),
        lasting: Period::between(hold.at, now),
    }));
    found.extend(rollout.decisions.iter().map(|decision| Blocker::Undecided {
        number: decision.number,
        question: decision.question.clone(),
    }));
    let blocking = rollout.alerts.values().filter(|tracked| tracked.standing.blocks());
    found.extend(blocking.map(|tracked| Blocker::Firing {
        alert: tracked.name.clone(),
        lasting: Period::between(tracked.starts_at, now),
    }));
    found.extend(calming(rollout, now));
    if !planted::on(Bug::SilenceIsHealth) {
        found.extend(rollout.unknown(around, now).map(|why| Blocker::NoData { why }));
    }
    found.extend(around.freeze.clone().map(Blocker::Frozen));
    found
}

/// What keeps a decided raise from being written now, because it came after the decision.
pub fn in_the_way(rollout: &Rollout, around: &Surroundings, now: jiff::Timestamp) -> Option<Blocker> {
    let behind = around.undecided.is_some_and(|age| age > Surroundings::BEHIND);
    let came_after = |blocker: &Blocker| match blocker {
        // The write itself, and what the decision has judged already.
        Blocker::Moving
        | Blocker::Hooking { .. }
        | Blocker::Unsigned { .. }
        | Blocker::Bake { .. }
        | Blocker::Calming { .. } => false,
        // Health was known at the decision. What was heard since may be an alert; silence since leads to a hold by itself.
        Blocker::NoData { .. } => behind,
        Blocker::Paused { .. }
        | Blocker::Held { .. }
        | Blocker::Undecided { .. }
        | Blocker::Firing { .. }
        | Blocker::Frozen(_) => true,
    };
    blockers(rollout, around, now).into_iter().find(came_after)
}

/// A source that restarts says "resolved" while the errors go on. So an end is followed by a moment of waiting: as long as
/// the phase bakes, half a minute at most.
fn calming(rollout: &Rollout, now: jiff::Timestamp) -> Option<Blocker> {
    let bake = match rollout.stage {
        Stage::Watching { .. } => rollout.plan.spec.watch,
        Stage::Advancing { .. } | Stage::Baking { .. } | Stage::AtGate { .. } => {
            rollout.phase().map_or(Period::ZERO, |phase| phase.bake)
        }
        Stage::RollingBack { .. } | Stage::RolledBack { .. } | Stage::Completed { .. } | Stage::Aborted { .. } => {
            return None;
        }
    };
    let calm = bake.min(CALM);
    let ended = rollout
        .alerts
        .values()
        .filter(|tracked| matches!(tracked.standing, Standing::Resolved | Standing::Stale));
    let latest = ended.max_by_key(|tracked| tracked.heard_at)?;
    let left = calm.minus(Period::between(latest.heard_at, now));
    (left > Period::ZERO).then(|| Blocker::Calming {
        alert: latest.name.clone(),
        left,
    })
}

impl Blocker {
    /// The refusal a person gets when this stands in the way.
    pub fn refusal(&self, rollout: &Rollout) -> Refusal {
        let phase = rollout.phase().map_or("none", |phase| phase.name.as_str());
        match self {
            Self::Moving => Refusal::new(
                Code::R210,
                format!("The weight of phase {phase} has not been read back yet."),
                "Wait a moment, or say `rollback`.",
            ),
            Self::Hooking { hook, when, lasting } => Refusal::new(
                Code::R210,
                format!("Hook {hook} {when} is waited for since {lasting}."),
                "Wait for it; `status` shows how it does. `rollback` does not wait for it.",
            ),
            Self::Bake { baked, needed } => {
                let left = needed.minus(*baked);
                Refusal::new(
                    Code::R201,
                    format!("Phase {phase} has baked {baked} of {needed}."),
                    format!("It opens in {left} if health stays known. Wait; there is nothing to do."),
                )
                .retry_after(left)
            }
            Self::Paused { by, lasting } => Refusal::new(
                Code::R209,
                format!("{by} paused it {lasting} ago."),
                "Say `resume` first.",
            ),
            Self::Held {
                number,
                by,
                reason,
                lasting,
            } => Refusal::new(
                Code::R203,
                format!("Hold {number}: {by} holds it since {lasting}: \"{reason}\"."),
                format!("Say `release {number}` once that is settled."),
            ),
            Self::Unsigned { what, say } => Refusal::new(
                Code::R202,
                format!("Open at the gate of phase {phase}: {what}."),
                format!("Whoever may, says `{say}`."),
            ),
            Self::Undecided { number, question } => Refusal::new(
                Code::R202,
                format!("A question is open: {question}"),
                format!("Say `decide continue {number}` or `decide rollback {number}`."),
            ),
            Self::Firing { alert, lasting } => Refusal::new(
                Code::R206,
                format!("Alert {alert} fires since {lasting}."),
                "Nothing advances while an alert of this plan fires. Wait for its end, or say `rollback`.",
            ),
            Self::Calming { alert, left } => Refusal::new(
                Code::R206,
                format!("Alert {alert} ended only just now, and its end alone proves nothing."),
                format!("It goes on in {left} if nothing fires until then. Wait, or say `rollback`."),
            )
            .retry_after(*left),
            Self::NoData { why } => Refusal::new(
                Code::R207,
                format!("Health is not known: {why}."),
                "No data is not good news. Check the path from Prometheus through Alertmanager to Tidegate.",
            ),
            Self::Frozen(freeze) => Refusal::new(
                Code::R205,
                format!(
                    "Changes of {} are frozen since {} by {}: \"{}\".",
                    rollout.plan.spec.environment,
                    clock(freeze.at),
                    freeze.by,
                    freeze.reason
                ),
                "Rollback is always allowed. `thaw` ends the freeze.",
            ),
        }
    }
}

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
