//! Owns the check of the rules behind the alerts: each Prometheus answers, has the Watchdog, and tells some Alertmanager; what the
//! plans wait for is a rule somewhere.
//! Refuses to evaluate anything itself.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::join_all;
use tidegate_rollout::Plan;
use tidegate_rollout::matcher::{Matcher, Op};
use tidegate_rollout::plan::{Scope, Trigger};
use tokio::sync::OnceCell;
use url::Url;

use super::ask::{Asker, Silence, shown};
use super::rules::{NAME, Rule, wanted};
use super::{Finding, Subject};
use crate::render::one_line;

/// What one server said.
struct Server {
    found: Vec<Finding>,
    /// Its alerting rules; nothing where it did not tell.
    rules: Option<Vec<Rule>>,
}

/// What the servers said. Whoever wants to know first asks them, once for all.
#[derive(Clone, Default)]
pub(super) struct Servers(Arc<OnceCell<Vec<Server>>>);

impl Servers {
    async fn ask(&self, subject: &Subject, asker: &Asker) -> &[Server] {
        let servers = &subject.config.prometheus.servers;
        let ask = || join_all(servers.iter().map(|server| look_at(subject, server, asker)));
        self.0.get_or_init(ask).await
    }

    /// Every alerting rule there is; nothing where one of the servers did not tell, or none is named.
    pub(super) async fn rules(&self, subject: &Subject, asker: &Asker) -> Option<Vec<&Rule>> {
        let servers = self.ask(subject, asker).await;
        let rules: Option<Vec<_>> = servers.iter().map(|server| server.rules.as_ref()).collect();
        rules
            .filter(|servers| !servers.is_empty())
            .map(|servers| servers.into_iter().flatten().collect())
    }
}

pub(super) async fn look(subject: Arc<Subject>, asker: Asker, servers: Servers) -> Vec<Finding> {
    let config = &subject.config;
    if config.prometheus.servers.is_empty() {
        if config.receivers.alertmanagers.is_empty() {
            return Vec::new();
        }
        return vec![Finding::warn(
            "prometheus.unknown",
            "no Prometheus is named, so nobody looked whether the rules behind the alerts are there",
            "Name the servers in `prometheus.servers`, such as `[http://prometheus:9090]`.",
        )];
    }
    let rules = servers.rules(&subject, &asker).await;
    let mut found: Vec<Finding> = Vec::new();
    if let Some(rules) = rules {
        found.extend(unknown_alerts(&subject, &rules));
    }
    let servers = servers.ask(&subject, &asker).await;
    found.extend(servers.iter().flat_map(|server| server.found.iter().cloned()));
    found
}

async fn look_at(subject: &Subject, server: &Url, asker: &Asker) -> Server {
    let who = shown(server);
    let login = subject.config.prometheus.login.as_ref();
    let rules = asker.json(server, &["api", "v1", "rules"], "type=alert", login);
    let told = asker.json(server, &["api", "v1", "alertmanagers"], "", login);
    let (rules, told) = match futures_util::future::try_join(rules, told).await {
        Ok(both) => both,
        Err(silence) => {
            return Server {
                found: vec![silent(&who, silence)],
                rules: None,
            };
        }
    };
    let rules = Rule::all(&rules);
    let names: BTreeSet<&str> = rules.iter().map(|rule| rule.name.as_str()).collect();
    let mut found = Vec::new();
    if !names.contains("Watchdog") {
        found.push(Finding::fail(
            "prometheus.no-watchdog",
            format!("{who} has no rule `Watchdog`: silence could be health or a dead path, so nothing would advance"),
            "Load deploy/prometheus/rules.yml, or add `- alert: Watchdog` with `expr: vector(1)` to a group of `rule_files`.",
        ));
    }
    let active = told["data"]["activeAlertmanagers"].as_array().map_or(0, Vec::len);
    if active == 0 {
        found.push(Finding::fail(
            "prometheus.tells-nobody",
            format!("{who} sends its alerts to no Alertmanager"),
            "Name the Alertmanagers under `alerting.alertmanagers` of prometheus.yml, and reload it.",
        ));
    }
    if found.is_empty() {
        let says = format!(
            "{who}: {} alerting rules, Watchdog among them, told to {active} Alertmanagers",
            names.len()
        );
        found.push(Finding::ok("prometheus", says));
    }
    Server {
        found,
        rules: Some(rules),
    }
}

/// Triggers that wait for an alert which no rule raises. Those that look beyond their service wait for alerts from elsewhere,
/// of which nothing is known.
fn unknown_alerts(subject: &Subject, rules: &[&Rule]) -> Vec<Finding> {
    let plans = subject.plans.usable();
    let all = plans.flat_map(|plan| plan.spec.triggers.iter().map(move |trigger| (plan, trigger)));
    all.filter(|(_, trigger)| trigger.alert.scope == Scope::Own)
        .filter_map(|(plan, trigger)| unknown_alert(plan, trigger, rules))
        .collect()
}

fn unknown_alert(plan: &Plan, trigger: &Trigger, rules: &[&Rule]) -> Option<Finding> {
    let wanted = wanted(plan, trigger);
    let names: Vec<&Matcher> = wanted.iter().filter(|matcher| matcher.name() == NAME).collect();
    let name = names.iter().find(|it| matches!(it.op(), Op::Equal | Op::Matches))?;
    let fits = |rule: &&&Rule| names.iter().all(|matcher| rule.can_fulfil(matcher));
    let called: Vec<&&Rule> = rules.iter().filter(fits).collect();
    let pulled = format!("which pulls the trigger `{}` of {}", trigger.name, plan.name());
    if called.is_empty() {
        let alert = name.value();
        return Some(match name.op() {
            Op::Matches | Op::NotMatches | Op::NotEqual => Finding::warn(
                "prometheus.no-rule",
                format!("no rule has a name like `{alert}`, {pulled}"),
                format!("Load a rule whose whole name matches `{alert}`, or correct the matcher of the trigger."),
            ),
            Op::Equal => Finding::warn(
                "prometheus.no-rule",
                format!("no rule raises `{alert}`, {pulled}"),
                format!("Load a rule `- alert: {alert}`, or correct the matcher of the trigger."),
            ),
        });
    }
    if called.iter().any(|rule| rule.can_pull(plan, trigger)) {
        return None;
    }
    let missed = wanted
        .iter()
        .find(|matcher| !called.iter().any(|rule| rule.can_fulfil(matcher)));
    let missed = missed.map_or_else(|| "all that is asked for".to_owned(), |matcher| format!("`{matcher}`"));
    let called: BTreeSet<String> = called
        .iter()
        .map(|rule| format!("`{}`", one_line(&rule.name)))
        .collect();
    let called = called.into_iter().collect::<Vec<_>>().join(", ");
    Some(Finding::warn(
        "prometheus.other-labels",
        format!(
            "no alert of {called} fulfils {missed}, so none pulls the trigger `{}` of {}",
            trigger.name,
            plan.name()
        ),
        "Give the rule the labels that the plan's trigger, service and environment ask for, or correct those.",
    ))
}

fn silent(who: &str, silence: Silence) -> Finding {
    match silence {
        Silence::Unreachable(why) => Finding::fail(
            "prometheus.unreachable",
            format!("{who} cannot be reached: {why}"),
            "Start it, or correct its address in `prometheus.servers`.",
        ),
        Silence::Unauthorized(status) => Finding::fail(
            "prometheus.unauthorized",
            format!("{who} does not let us in: {status}"),
            "Put what it asks for into `prometheus.login`.",
        ),
        Silence::Odd(why) => Finding::fail(
            "prometheus.odd",
            format!("{who} does not answer as a Prometheus: {why}"),
            "`prometheus.servers` takes base addresses, with the path of --web.route-prefix and without `/api`.",
        ),
    }
}
