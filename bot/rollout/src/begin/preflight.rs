//! Owns the preflight: everything a start asks, each point by itself, so that people see all of it before they start.
//! Refuses to decide: a start asks again.

use jiff::Timestamp;

use super::Start;
use crate::alert::AlertStatus;
use crate::command::Verb;
use crate::health::unknown_path;
use crate::policy;
use crate::refusal::Refusal;
use crate::surroundings::Surroundings;

/// One point of the preflight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was looked at, as a statement that is true when all is well.
    pub what: &'static str,
    /// Why it is not; `None`: it is.
    pub trouble: Option<String>,
}

/// Looks at everything that a start with these facts asks, but for the inputs, which are still being filled in.
pub fn preflight(start: &Start, around: &Surroundings, now: Timestamp) -> Vec<Check> {
    let plan = &start.plan;
    let verb = Verb::Start {
        plan: plan.name().to_owned(),
        inputs: start.inputs.clone(),
    };
    let refused = |result: Result<(), Refusal>| result.err().map(|refusal| refusal.message);
    let firing = start
        .recent
        .iter()
        .filter(|alert| alert.status == AlertStatus::Firing && alert.suppressed.is_none())
        .filter(|alert| !super::is_late_word(alert, alert.ends_at, around))
        .find(|alert| {
            let labels = &alert.labels;
            let says = |name: &str, wanted: &str| labels.get(name).is_some_and(|value| value == wanted);
            says("service", &plan.spec.service) && says("environment", &plan.spec.environment)
        });
    vec![
        Check {
            what: "you may start it",
            trouble: refused(policy::may(&start.actor, &verb, Some(plan))),
        },
        Check {
            what: "its target is free",
            trouble: refused(super::target_free(start)),
        },
        Check {
            what: "changes are not frozen",
            trouble: around
                .freeze
                .as_ref()
                .map(|freeze| format!("{} froze {}: {}", freeze.by, plan.spec.environment, freeze.reason)),
        },
        Check {
            what: "no alert of the service fires",
            trouble: firing.map(|alert| format!("{} fires", alert.name())),
        },
        Check {
            what: "the alert path is alive",
            trouble: unknown_path(plan.spec.alerts.watchdog, around, now),
        },
    ]
}
