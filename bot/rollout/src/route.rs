//! Owns which rollouts an alert concerns, and through which trigger.
//! Refuses to match by absence: an alert without the plan's service and environment is not about this rollout.

use crate::alert::{Alert, Source};
use crate::ids::RolloutId;
use crate::plan::{Scope, SeverityAction, Trigger};
use crate::rollout::Rollout;
use crate::tracked::Tracked;

/// How an alert concerns a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concern<'a> {
    /// It pulls this trigger.
    Trigger(&'a Trigger),
    /// It would pull this trigger, but names the old version.
    OldVersion(&'a Trigger),
}

/// The rollouts that `alert` concerns. An alert that concerns none is stored, counted and shown, never acted on.
pub fn route<'a>(alert: &Alert, active: impl IntoIterator<Item = &'a Rollout>) -> Vec<RolloutId> {
    let concerned = |rollout: &&Rollout| concern(rollout, alert).is_some() || is_tracked(rollout, alert);
    active
        .into_iter()
        .filter(concerned)
        .map(|rollout| rollout.id.clone())
        .collect()
}

/// Whether it is word of an alert that the rollout knows: from where it was told before. Another receiver may use the same
/// fingerprint for an alert of another environment, told apart only by the labels that the receiver adds.
fn is_tracked(rollout: &Rollout, alert: &Alert) -> bool {
    let from_there = |known: &Tracked| {
        known.source == alert.source && (known.receiver.is_empty() || known.receiver == alert.receiver)
    };
    rollout.alerts.get(&alert.fingerprint).is_some_and(from_there)
}

/// Whether a delivery concerns none of `active`, whatever of them is being decided at this moment. What an alert concerns
/// follows from its labels, and with them its fingerprint stands; but the labels of an incident of PagerDuty change under
/// its fingerprint, so that the word in hand may concern a rollout which this one names no more.
pub fn concerns_nobody<'a>(
    source: Source,
    alerts: &[Alert],
    active: impl IntoIterator<Item = &'a Rollout, IntoIter: Clone>,
) -> bool {
    let active = active.into_iter();
    let nobody = |alert| route(alert, active.clone()).is_empty();
    source != Source::PagerDuty && alerts.iter().all(nobody)
}

/// How `alert` concerns `rollout`, by the trigger with the strongest answer.
pub fn concern<'a>(rollout: &'a Rollout, alert: &Alert) -> Option<Concern<'a>> {
    if alert.is_our_own() || alert.is_watchdog() {
        return None;
    }
    let spec = &rollout.plan.spec;
    let strongest = spec
        .triggers
        .iter()
        .filter(|trigger| pulls(rollout, trigger, alert))
        .max_by_key(|trigger| strength(rollout, trigger))?;
    match about(rollout, alert) {
        Version::New => Some(Concern::Trigger(strongest)),
        Version::Old => Some(Concern::OldVersion(strongest)),
        Version::Neither => None,
    }
}

fn pulls(rollout: &Rollout, trigger: &Trigger, alert: &Alert) -> bool {
    let spec = &rollout.plan.spec;
    let in_scope = match trigger.alert.scope {
        Scope::Any => true,
        Scope::Own => {
            alert.label("service") == Some(spec.service.as_str())
                && alert.label("environment") == Some(spec.environment.as_str())
        }
    };
    let matchers = &trigger.alert.matchers;
    in_scope && !matchers.is_empty() && matchers.iter().all(|matcher| matcher.matches(&alert.labels))
}

/// Whether `severity` asks for more than `other` does, as when an incident's priority is raised.
pub(crate) fn outranks(rollout: &Rollout, severity: &str, other: &str) -> bool {
    rank(rollout, severity) > rank(rollout, other)
}

fn rank(rollout: &Rollout, severity: &str) -> u8 {
    let severity = rollout.plan.spec.severities.get(severity);
    match severity.map(|severity| &severity.action) {
        Some(SeverityAction::Rollback) => 3,
        Some(SeverityAction::Decide(_)) => 2,
        Some(SeverityAction::Log) => 1,
        None => 0,
    }
}

/// Rollback over decide over log; the earlier trigger among equals.
fn strength(rollout: &Rollout, trigger: &Trigger) -> (u8, std::cmp::Reverse<usize>) {
    let place = rollout.plan.spec.triggers.iter().position(|other| other == trigger);
    (
        rank(rollout, &trigger.severity),
        std::cmp::Reverse(place.unwrap_or(usize::MAX)),
    )
}

enum Version {
    New,
    Old,
    Neither,
}

/// A `version` or `rollout` label, if present, must agree.
fn about(rollout: &Rollout, alert: &Alert) -> Version {
    if alert.label("rollout").is_some_and(|id| id != rollout.id.as_str()) {
        return Version::Neither;
    }
    let named = alert.label("version");
    let previous = rollout.inputs.get("previous").map(String::as_str);
    match (named, rollout.version()) {
        (None, _) => Version::New,
        (Some(named), Some(version)) if named == version => Version::New,
        (Some(named), _) if Some(named) == previous => Version::Old,
        // A plan that asks for no version cannot tell versions apart: the alert counts.
        (Some(_), None) => Version::New,
        (Some(_), Some(_)) => Version::Neither,
    }
}
