//! Owns what keeps a rollout from going on, and how each of it is said to whoever asks.
//! Refuses to weigh one against another: all of it is told, and all of it must be gone.

use jiff::Timestamp;

use crate::notice::clock;
use crate::period::Period;
use crate::plan::DecideDefault;
use crate::planted::{self, Bug};
use crate::refusal::{Code, Refusal};
use crate::rollout::{Holder, Rollout, Stage, Standing};
use crate::signoff::Open;
use crate::surroundings::{Freeze, Surroundings};

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
        /// Until when, if it ends by itself.
        until: Option<Timestamp>,
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
pub fn blockers(rollout: &Rollout, around: &Surroundings, now: Timestamp) -> Vec<Blocker> {
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
pub(super) fn obstacles(rollout: &Rollout, around: &Surroundings, now: Timestamp) -> Vec<Blocker> {
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
        until: hold.until,
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
pub fn in_the_way(rollout: &Rollout, around: &Surroundings, now: Timestamp) -> Option<Blocker> {
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
fn calming(rollout: &Rollout, now: Timestamp) -> Option<Blocker> {
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
                until,
            } => {
                let until = until
                    .map(|until| format!(", until {}", clock(until)))
                    .unwrap_or_default();
                Refusal::new(
                    Code::R203,
                    format!("Hold {number}: {by} has held it for {lasting}{until}: \"{reason}\"."),
                    settles(rollout, *number),
                )
            }
            Self::Unsigned { what, say } => Refusal::new(
                Code::R202,
                format!("Open at the gate of phase {phase}: {what}."),
                format!("Whoever may, says `{say}`."),
            ),
            Self::Undecided { number, question } => Refusal::new(
                Code::R202,
                format!("Question {number} is open{}: {question}", unanswered(rollout, *number)),
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

/// What takes a hold away.
fn settles(rollout: &Rollout, number: u32) -> String {
    let hold = rollout.holds.iter().find(|hold| hold.number == number);
    match hold.map(|hold| &hold.by) {
        Some(Holder::Guard(guard)) if guard.is_for_hook() => {
            format!("Say `retry` to run it once more, or `release {number}` to go on without it.")
        }
        Some(Holder::Guard(_) | Holder::Person(_)) | None => format!("Say `release {number}` once that is settled."),
    }
}

/// Who is asked, until when, and what happens then.
fn unanswered(rollout: &Rollout, number: u32) -> String {
    let Some(asked) = rollout.decisions.iter().find(|decision| decision.number == number) else {
        return String::new();
    };
    let of = match &asked.by[..] {
        [] => String::new(),
        roles => format!(" for {}", roles.join(" or ")),
    };
    let then = match asked.default {
        DecideDefault::Rollback => "it rolls back",
        DecideDefault::Hold => "it holds",
    };
    format!("{of} until {}, then {then}", clock(asked.deadline))
}
