//! Owns what is known of an alert before it fires: from the trigger that it would pull, and from the rule that would raise it.
//! Refuses to take a label for absent because a rule does not name it: a series, Prometheus or a receiver may add it.

use serde_json::Value;
use tidegate_rollout::Labels;
use tidegate_rollout::matcher::{Matcher, Op};
use tidegate_rollout::plan::{Plan, Scope, Trigger};

/// What Prometheus calls the name of a rule in the labels of its alerts.
pub(super) const NAME: &str = "alertname";

/// An alerting rule.
pub(super) struct Rule {
    pub(super) name: String,
    /// The labels that all of its alerts have, its name among them.
    pub(super) labels: Labels,
}

impl Rule {
    /// The alerting rules in an answer of `/api/v1/rules`.
    pub(super) fn all(rules: &Value) -> Vec<Self> {
        let groups = rules["data"]["groups"].as_array().into_iter().flatten();
        let rules = groups.flat_map(|group| group["rules"].as_array().into_iter().flatten());
        rules.filter_map(Self::of).collect()
    }

    fn of(rule: &Value) -> Option<Self> {
        let name = rule["name"].as_str()?.to_owned();
        let labels = rule["labels"].as_object().into_iter().flatten();
        let labels = labels.filter_map(|(label, value)| Some((label.clone(), value.as_str()?.to_owned())));
        // A template says something else each time.
        let mut labels: Labels = labels.filter(|(_, value)| !value.contains("{{")).collect();
        labels.insert(NAME.to_owned(), name.clone());
        Some(Self { name, labels })
    }

    /// Whether an alert of it can fulfil `matcher`, whatever labels are added to it.
    pub(super) fn can_fulfil(&self, matcher: &Matcher) -> bool {
        !self.labels.contains_key(matcher.name()) || matcher.matches(&self.labels)
    }

    /// Whether an alert of it can pull the trigger of a plan.
    pub(super) fn can_pull(&self, plan: &Plan, trigger: &Trigger) -> bool {
        wanted(plan, trigger).iter().all(|matcher| self.can_fulfil(matcher))
    }
}

/// Everything that an alert must fulfil to pull the trigger of a plan.
pub(super) fn wanted(plan: &Plan, trigger: &Trigger) -> Vec<Matcher> {
    let mut all = match trigger.alert.scope {
        Scope::Any => Vec::new(),
        Scope::Own => own(plan),
    };
    all.extend(trigger.alert.matchers.iter().cloned());
    all
}

/// What makes an alert one of the plan's service.
pub(super) fn own(plan: &Plan) -> Vec<Matcher> {
    let spec = &plan.spec;
    vec![
        Matcher::equal("service", &spec.service),
        Matcher::equal("environment", &spec.environment),
    ]
}

/// The labels that every alert has which pulls the trigger of a plan, but for those that a receiver of ours adds.
pub(super) fn labels_of(plan: &Plan, trigger: &Trigger, added: &Labels) -> Labels {
    let all = wanted(plan, trigger).into_iter();
    let fixed = all.filter(|matcher| matcher.op() == Op::Equal && !added.contains_key(matcher.name()));
    fixed
        .map(|matcher| (matcher.name().to_owned(), matcher.value().to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_template_in_a_label_fixes_nothing_and_a_label_that_is_not_there_neither() {
        let rules = json!({ "data": { "groups": [{ "rules": [
            { "name": "Errors", "labels": { "severity": "critical", "team": "{{ $labels.team }}" } },
        ] }] } });
        let rule = Rule::all(&rules).remove(0);
        let can = |matcher: &str| rule.can_fulfil(&matcher.parse().unwrap());
        assert!(can("severity=\"critical\"") && !can("severity=~\"warning|info\""));
        assert!(can("team=\"a\"") && can("zone=\"b\""));
        assert!(can("alertname=~\"Err.*\"") && !can("alertname=\"Err\""));
    }
}
