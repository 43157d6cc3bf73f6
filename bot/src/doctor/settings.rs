//! Owns the check of the configuration beyond its own words: the plans and templates that it names, and what it warns of.
//! Refuses to judge them again: the same rules speak in `check-config` and at a reload.

use std::sync::Arc;

use super::{Finding, Subject};

pub(super) async fn look(subject: Arc<Subject>) -> Vec<Finding> {
    let faults = subject.misfits.iter().map(|fault| {
        Finding::fail(
            "configuration.misfit",
            fault.to_string(),
            "Put that right; `tidegate check-config`, `tidegate plan lint` and `tidegate template test` say it with line and column.",
        )
    });
    let config = &subject.config;
    let warnings = config.warnings.iter().chain(&subject.warnings).map(|warning| {
        Finding::warn(
            "configuration.warning",
            warning.clone(),
            "Change the configuration or the plan so that both name the same; docs/configuration.md says how.",
        )
    });
    let mut found: Vec<Finding> = faults.chain(warnings).collect();
    if found.is_empty() {
        let plans = subject.plans.names();
        let receivers = config.receivers.doors.iter().count();
        let says = format!(
            "can be used: {} plans, {receivers} receivers, {} people",
            plans.len(),
            config.people.iter().count()
        );
        found.push(Finding::ok("configuration", says));
    }
    found
}
