//! Owns the check of the rules behind the alerts: each Prometheus answers, has the Watchdog, and tells some Alertmanager; what the
//! plans wait for is a rule somewhere.
//! Refuses to evaluate anything itself.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::Value;
use tidegate_rollout::matcher::Op;
use tidegate_rollout::plan::Scope;
use url::Url;

use super::ask::{Asker, Silence, shown};
use super::{Finding, Subject};

/// What one server said.
struct Server {
    found: Vec<Finding>,
    /// The names of its alerting rules; nothing where it did not tell.
    rules: Option<BTreeSet<String>>,
}

pub(super) async fn look(subject: Arc<Subject>, asker: Asker) -> Vec<Finding> {
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
    let servers = config.prometheus.servers.iter();
    let servers = join_all(servers.map(|server| look_at(&subject, server, &asker))).await;
    let all_told = servers.iter().all(|server| server.rules.is_some());
    let rules: BTreeSet<&String> = servers
        .iter()
        .filter_map(|server| server.rules.as_ref())
        .flatten()
        .collect();
    let mut found: Vec<Finding> = Vec::new();
    if all_told {
        found.extend(unknown_alerts(&subject, &rules));
    }
    found.extend(servers.into_iter().flat_map(|server| server.found));
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
    let names = names_of(&rules);
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
        rules: Some(names),
    }
}

fn names_of(rules: &Value) -> BTreeSet<String> {
    let groups = rules["data"]["groups"].as_array().into_iter().flatten();
    let rules = groups.flat_map(|group| group["rules"].as_array().into_iter().flatten());
    rules
        .filter_map(|rule| rule["name"].as_str())
        .map(str::to_owned)
        .collect()
}

/// Triggers that name an alert which no rule raises. Where a name is a pattern, or comes from elsewhere, nothing is known.
fn unknown_alerts(subject: &Subject, rules: &BTreeSet<&String>) -> Vec<Finding> {
    let mut found = Vec::new();
    for plan in subject.plans.usable() {
        for trigger in plan
            .spec
            .triggers
            .iter()
            .filter(|trigger| trigger.alert.scope == Scope::Own)
        {
            let named = trigger.alert.matchers.iter();
            let named = named.filter(|matcher| matcher.name() == "alertname" && matcher.op() == Op::Equal);
            for alert in named
                .map(|matcher| matcher.value().to_owned())
                .filter(|name| !rules.contains(name))
            {
                found.push(Finding::warn(
                    "prometheus.no-rule",
                    format!(
                        "no rule raises `{alert}`, which pulls the trigger `{}` of {}",
                        trigger.name,
                        plan.name()
                    ),
                    format!("Load a rule `- alert: {alert}`, or correct the matcher of the trigger."),
                ));
            }
        }
    }
    found
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
