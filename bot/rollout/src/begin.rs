//! Owns the start: what must be true before a plan may run, and the first step of the rollout.
//! Refuses to start on silence, in a freeze, or while an alert of the plan fires.

mod preflight;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::alert::{Alert, AlertStatus};
use crate::command::Verb;
use crate::commitment::Commitments;
use crate::health::unknown_path;
use crate::ids::RolloutId;
use crate::person::Actor;
use crate::plan::Plan;
use crate::planted::{self, Bug};
use crate::policy;
use crate::refusal::{Code, Refusal};
use crate::rollout::{Bake, Rollout, Stage, Standing, Tracked};
use crate::route::{Concern, concern};
use crate::step::{Blocker, Step, begin as first_step, can_be_asked};
use crate::surroundings::Surroundings;
use crate::weight::Weight;

pub use preflight::{Check, preflight};

/// What a start asks for.
#[derive(Clone, Debug)]
pub struct Start {
    /// The plan, as its file says now; the rollout keeps this copy.
    pub plan: Arc<Plan>,
    /// What the plan asks for, such as the version.
    pub inputs: BTreeMap<String, String>,
    /// Who starts it.
    pub actor: Actor,
    /// The number of this start among the starts of the plan.
    pub counter: u64,
    /// Alerts heard of in the last ten minutes, firing or not. They are not this rollout's fault.
    pub recent: Vec<Alert>,
    /// The id of a rollout that is not final and may write to one of the plan's targets, the rungs of its way back included.
    pub target_busy: Option<RolloutId>,
    /// The highest epoch that any rollout ever wrote to this target; 0 when none did. Epochs of a target only grow, so
    /// this rollout starts above it: else its first write would be refused as a stale one.
    pub target_epoch: u64,
}

impl Rollout {
    /// Starts a plan: the first phase is entered at once.
    ///
    /// # Errors
    /// A [`Refusal`] when something is missing or in the way; nothing was started then.
    pub fn begin(start: Start, around: &Surroundings, now: Timestamp) -> Result<Step, Refusal> {
        let plan = &start.plan;
        let verb = Verb::Start {
            plan: plan.name().to_owned(),
            inputs: start.inputs.clone(),
        };
        policy::may(&start.actor, &verb, Some(plan))?;
        let inputs = complete(plan, &start.inputs)?;
        target_free(&start)?;
        let id = RolloutId::numbered(plan.name(), start.counter);
        let mut rollout = Self {
            id: id.clone(),
            plan: Arc::clone(plan),
            inputs,
            started_by: start.actor.person.clone(),
            started_at: now,
            generation: 0,
            epoch: if planted::on(Bug::EpochsBeginAnew) {
                0
            } else {
                start.target_epoch
            },
            wanted: Weight::ZERO,
            exposed_at: None,
            stage: Stage::Advancing {
                phase: 0,
                action: crate::ids::ActionId::of(&id, 1, 0),
                since: now,
                failed: None,
            },
            bake: Bake::default(),
            pause: None,
            holds: Vec::new(),
            next_number: 0,
            decisions: Vec::new(),
            alerts: BTreeMap::new(),
            no_data: None,
            progress: None,
            ladder: Vec::new(),
            pod_logs: None,
            hooks: Vec::new(),
            approvals: Vec::new(),
            checks: Vec::new(),
            acknowledged: Vec::new(),
            commitments: Commitments::default(),
        };
        remember(&mut rollout, &start.recent, around, now);
        may_begin(&rollout, around, now)?;
        Ok(first_step(&rollout, around, &start.actor, now))
    }
}

/// One target carries one rollout at a time, and is nobody else's way back meanwhile.
fn target_free(start: &Start) -> Result<(), Refusal> {
    match &start.target_busy {
        None => Ok(()),
        Some(other) => Err(Refusal::new(
            Code::R406,
            format!(
                "{other} is not over, and moves {} or a target that one of the two falls back on.",
                start.plan.spec.target.name()
            ),
            format!("Finish or roll back {other} first."),
        )),
    }
}

/// The inputs with defaults filled in.
fn complete(plan: &Plan, given: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Refusal> {
    let known: Vec<&str> = plan.spec.inputs.keys().map(String::as_str).collect();
    let asked = format!("{} asks for: {}.", plan.name(), known.join(", "));
    if let Some(stray) = given.keys().find(|key| !plan.spec.inputs.contains_key(*key)) {
        return Err(Refusal::new(
            Code::R106,
            format!("`{stray}` is not an input of {}.", plan.name()),
            asked,
        ));
    }
    let mut inputs = given.clone();
    for (name, input) in &plan.spec.inputs {
        if let (None, Some(default)) = (inputs.get(name), &input.default) {
            inputs.insert(name.clone(), default.clone());
        }
        if input.required && inputs.get(name).is_none_or(String::is_empty) {
            return Err(Refusal::new(
                Code::R106,
                format!("{} needs `{name}`.", plan.name()),
                format!("Say: start {} {name}:<value>", plan.name()),
            ));
        }
    }
    Ok(inputs)
}

/// Marks every alert that was heard of before the start, so that it cannot be blamed on this rollout. Of several
/// occasions of one label set the latest counts; what fires is never hidden behind an older end.
fn remember(rollout: &mut Rollout, recent: &[Alert], around: &Surroundings, now: Timestamp) {
    let mut recent: Vec<&Alert> = recent.iter().collect();
    recent.sort_by_key(|alert| (alert.starts_at, alert.status == AlertStatus::Resolved, alert.ends_at));
    for alert in recent {
        let (trigger, old_version) = match concern(rollout, alert) {
            Some(Concern::Trigger(trigger)) => (trigger, false),
            Some(Concern::OldVersion(trigger)) => (trigger, true),
            None => continue,
        };
        let earlier_end = rollout
            .alerts
            .get(&alert.fingerprint)
            .and_then(|tracked| tracked.last_end);
        let last_end = alert.ends_at.max(earlier_end);
        let late = is_late_word(alert, last_end, around);
        let standing = match (alert.status, &alert.suppressed) {
            (AlertStatus::Resolved, _) => Standing::Resolved,
            (AlertStatus::Firing, Some(suppression)) => Standing::Suppressed(suppression.clone()),
            (AlertStatus::Firing, None) if late => Standing::Resolved,
            (AlertStatus::Firing, None) => Standing::PreExisting,
        };
        let tracked = Tracked {
            name: alert.name().to_owned(),
            source: alert.source,
            receiver: alert.receiver.clone(),
            starts_at: alert.starts_at,
            trigger: trigger.name.clone(),
            severity: trigger.severity.clone(),
            labels: alert.labels.clone(),
            standing,
            last_end,
            from_before: true,
            old_version,
            acted_on: None,
            ask_again: None,
            unanswered: 0,
            heard_at: now,
        };
        rollout.alerts.insert(alert.fingerprint.clone(), tracked);
    }
}

/// What is told to fire and began before an end that was told too is late word of that occasion. Where its source can be
/// asked, the next poll says so; elsewhere nobody ever would, and it would be in the way of every start.
fn is_late_word(alert: &Alert, last_end: Option<Timestamp>, around: &Surroundings) -> bool {
    last_end.is_some_and(|end| alert.starts_at <= end) && !can_be_asked(alert.source, around)
}

/// A start lets traffic through, so it needs the same proof as an advance.
fn may_begin(rollout: &Rollout, around: &Surroundings, now: Timestamp) -> Result<(), Refusal> {
    let firing = rollout.alerts.values().find(|tracked| tracked.standing.blocks());
    let silent = unknown_path(rollout.plan.spec.alerts.watchdog, around, now);
    let blocker = match (&around.freeze, firing, silent) {
        (Some(freeze), _, _) => Blocker::Frozen(freeze.clone()),
        (None, Some(tracked), _) => Blocker::Firing {
            alert: tracked.name.clone(),
            lasting: crate::period::Period::between(tracked.starts_at, now),
        },
        (None, None, Some(why)) => Blocker::NoData { why },
        (None, None, None) => return Ok(()),
    };
    Err(blocker.refusal(rollout))
}
