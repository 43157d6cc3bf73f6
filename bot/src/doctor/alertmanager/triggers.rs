//! Owns whether the alerts that plans wait for come here by the routes of an Alertmanager, and the route to add where they do not.
//! Refuses to judge a plan that hears from several receivers: its alerts may come by another one.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_rollout::Labels;
use tidegate_rollout::matcher::Matcher;
use tidegate_rollout::plan::{Plan, Scope, Trigger};

use super::routes::{Route, Way};
use crate::config::Alertmanager;
use crate::doctor::rules::{self, Rule};
use crate::doctor::{Finding, Subject};
use crate::render::one_line;

/// A loaded Alertmanager, as seen from one of our receivers.
pub(super) struct Seen<'a> {
    pub(super) who: &'a str,
    pub(super) receiver: &'a Alertmanager,
    pub(super) route: &'a Route,
    /// Its receivers that post to us; there is one.
    pub(super) ours: &'a [&'a str],
    /// Its receivers that post nobody can see where.
    pub(super) hidden: &'a [String],
    /// The rules of every Prometheus, where all of them told.
    pub(super) rules: Option<&'a [&'a Rule]>,
}

/// Triggers of one plan that one route would serve.
#[derive(Default)]
struct Together {
    triggers: Vec<String>,
    /// Receivers that hear of them, or labels that it hangs on.
    what: BTreeSet<String>,
}

/// The plans that hear from a receiver alone.
pub(super) fn judged<'a>(subject: &'a Subject, receiver: &'a Alertmanager) -> impl Iterator<Item = &'a Plan> {
    let here = |plan: &&Plan| plan.spec.alerts.receivers == [receiver.receiver.as_str()];
    subject.plans.usable().filter(here)
}

/// Each of them.
pub(super) fn judge(subject: &Subject, seen: &Seen<'_>) -> Vec<Finding> {
    judged(subject, seen.receiver)
        .flat_map(|plan| seen.plan(plan))
        .collect()
}

impl Seen<'_> {
    fn plan(&self, plan: &Plan) -> Vec<Finding> {
        let (mut elsewhere, mut unknown) = (BTreeMap::<String, Together>::new(), BTreeMap::<String, Together>::new());
        for trigger in &plan.spec.triggers {
            let (group, what) = match self.way(plan, trigger) {
                Way::Here => continue,
                Way::Elsewhere(receivers) => (&mut elsewhere, receivers),
                Way::Unknown(labels) => (&mut unknown, labels),
            };
            let together = group.entry(self.missing_route(plan, trigger)).or_default();
            together.triggers.push(format!("`{}`", trigger.name));
            together.what.extend(what.iter().map(|it| self.named(it)));
        }
        let elsewhere = elsewhere.into_iter().map(|(route, it)| {
            Finding::warn(
                "alertmanager.alerts-elsewhere",
                format!(
                    "{}: alerts that pull {} of {} go to {}, and not here",
                    self.who,
                    it.names(),
                    plan.name(),
                    it.what()
                ),
                format!("Add a route, above those that end: `{route}`."),
            )
        });
        let unknown = unknown.into_iter().map(|(route, it)| {
            Finding::warn(
                "alertmanager.alerts-unknown",
                format!(
                    "{}: whether alerts that pull {} of {} come here hangs on their {}, which nobody knows beforehand",
                    self.who,
                    it.names(),
                    plan.name(),
                    it.what()
                ),
                format!(
                    "{}make sure with a route, above those that end: `{route}`.",
                    self.ask_first()
                ),
            )
        });
        elsewhere.chain(unknown).collect()
    }

    fn named(&self, what: &str) -> String {
        match self.hidden.iter().any(|hidden| hidden == what) {
            true => format!(
                "`{}` (which is not that of the Watchdog, and hides where it posts to)",
                one_line(what)
            ),
            false => format!("`{}`", one_line(what)),
        }
    }

    fn ask_first(&self) -> &'static str {
        match self.rules {
            Some(_) => "Label the rules, or ",
            None => "Name every Prometheus in `prometheus.servers`, whose rules tell their labels, or ",
        }
    }

    /// Where what pulls a trigger goes: each rule's alerts by themselves, and the worst of it.
    fn way(&self, plan: &Plan, trigger: &Trigger) -> Way {
        let known = rules::labels_of(plan, trigger, &self.receiver.labels);
        let rules = self.rules.unwrap_or_default().iter();
        let rules: Vec<_> = rules.filter(|rule| rule.can_pull(plan, trigger)).collect();
        if rules.is_empty() {
            return self.route.way(&known, &|name| self.ours.contains(&name));
        }
        let (mut elsewhere, mut unknown) = (BTreeSet::new(), BTreeSet::new());
        for rule in rules {
            let own = rule.labels.iter().map(|(name, value)| (name.clone(), value.clone()));
            let known: Labels = known.clone().into_iter().chain(own).collect();
            match self.route.way(&known, &|name| self.ours.contains(&name)) {
                Way::Here => {}
                Way::Elsewhere(receivers) => elsewhere.extend(receivers),
                Way::Unknown(labels) => unknown.extend(labels),
            }
        }
        match (elsewhere.is_empty(), unknown.is_empty()) {
            (false, _) => Way::Elsewhere(elsewhere),
            (true, false) => Way::Unknown(unknown),
            (true, true) => Way::Here,
        }
    }

    /// The route that brings what pulls a trigger: all of the service, where that is enough. What our receiver adds is not there yet.
    fn missing_route(&self, plan: &Plan, trigger: &Trigger) -> String {
        let is_there = |matcher: &Matcher| !self.receiver.labels.contains_key(matcher.name());
        let of_service: Vec<_> = match trigger.alert.scope {
            Scope::Own => rules::own(plan).into_iter().filter(is_there).collect(),
            Scope::Any => Vec::new(),
        };
        let matchers = match of_service.is_empty() {
            true => trigger
                .alert
                .matchers
                .iter()
                .filter(|it| is_there(it))
                .cloned()
                .collect(),
            false => of_service,
        };
        let quoted = matchers
            .iter()
            .map(|it| format!("'{}'", it.to_string().replace('\'', "''")));
        format!(
            "- {{ receiver: {}, matchers: [{}], group_by: ['...'], group_wait: 0s, group_interval: 5s, repeat_interval: 1h, \
             continue: true }}",
            self.ours.first().copied().unwrap_or("tidegate"),
            quoted.collect::<Vec<_>>().join(", ")
        )
    }
}

impl Together {
    fn names(&self) -> String {
        let kind = if self.triggers.len() == 1 {
            "the trigger"
        } else {
            "the triggers"
        };
        format!("{kind} {}", self.triggers.join(", "))
    }

    fn what(&self) -> String {
        self.what.iter().cloned().collect::<Vec<_>>().join(", ")
    }
}
