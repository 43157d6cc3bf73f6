//! One example on its way: everything as it is shipped, but for what a test must have otherwise: addresses, secrets, time.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use regex::Regex;
use serde_json::{Value, json};
use tidegate_tests::alertmanager::Alertmanager;
use tidegate_tests::built::Build;
use tidegate_tests::exporter::Exporter;
use tidegate_tests::kubernetes::{Kubernetes, TIDEGATE, kustomize};
use tidegate_tests::process::Launch;
use tidegate_tests::prometheus::{self, Prometheus};
use tidegate_tests::scratch::Scratch;
use tidegate_tests::sink::Sink;
use tidegate_tests::slack::TOKEN as BOT;
use tidegate_tests::tidegate::{RECEIVER_TOKEN, Setup, Tidegate};
use tidegate_tests::wait;

use super::people::{People, Platform};
use crate::deploy::{routes_are_taken, rules_are_taken, shipped, text};

/// Longer than anything here takes on a busy machine; nothing waits for it to pass.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Where the manifests say that Tidegate is.
const ADDRESS: &str = "http://tidegate.tidegate:9797";
/// What the probe of `blue-green` asks.
const GREEN: &str = "http://boka-green.shop";
/// Where they mount secrets for Tidegate and for Alertmanager.
const SECRETS: &str = "/run/secrets/tidegate";
const TOKEN: &str = "/etc/alertmanager/secrets/tidegate.token";

/// Everything that moves.
pub(super) struct Story {
    pub(super) cluster: Kubernetes,
    pub(super) alertmanager: Alertmanager,
    pub(super) tidegate: Tidegate,
    pub(super) pager: Sink,
    /// What the probe of an example looks at, if it has one: it answers 200 until it is told otherwise.
    pub(super) service: Sink,
    /// Where the example talks to people, if it does.
    pub(super) people: Option<People>,
    example: &'static str,
    _scratch: Scratch,
}

fn folder(example: &str) -> PathBuf {
    shipped("examples").join(example)
}

/// Everything that can be said about the files without carrying them out.
pub(super) fn judge(example: &str, plans: &[&str]) -> Result<()> {
    let name = |file: &str| format!("examples/{example}/{file}");
    rules_are_taken(&name("rules.yml"))?;
    routes_are_taken(&name("alertmanager.yml"))?;
    let program = Build::Shipped.program()?;
    for plan in plans {
        Launch::new(&program)
            .args(["plan", "lint"])
            .arg(shipped(&name(plan)))
            .run()?;
    }
    // The configuration as the pod reads it: beside the plans, with secrets.
    let scratch = Scratch::new("example")?;
    for secret in ["alertmanager.token", "pager.secret", "slack.signing", "smtp.password"] {
        scratch.write(secret, "a-secret")?;
    }
    scratch.write("slack.token", BOT)?;
    let objects = kustomize::build(&folder(example))?;
    let map = objects
        .iter()
        .find(|object| object["kind"] == "ConfigMap")
        .context("no ConfigMap")?;
    for (file, text) in map["data"].as_object().context("no files")? {
        let text = text.as_str().unwrap_or_default();
        scratch.write(file, text.replace(SECRETS, &scratch.path().display().to_string()))?;
    }
    let check = Launch::new(&program)
        .arg("check-config")
        .arg(scratch.path().join("tidegate.yml"));
    let printed = check.run()?;
    ensure!(printed.contains(": good") && !printed.contains("warning"), "{printed}");
    // Every alert that a trigger names is a rule, with the labels by which the plan and the route know it.
    let rules = rules(example)?;
    for plan in plans {
        let plan = kustomize::documents(&shipped(&name(plan)))?.remove(0);
        for trigger in plan["spec"]["triggers"].as_array().context("no triggers")? {
            let matcher = trigger["alert"]["matchers"][0].as_str().context("no matcher")?;
            let (sign, value) = matcher
                .strip_prefix("alertname")
                .and_then(|it| it.split_once('"'))
                .context("no name")?;
            let pattern = match sign {
                "=" => regex::escape(value.trim_end_matches('"')),
                _ => value.trim_end_matches('"').to_owned(),
            };
            let pattern = Regex::new(&format!("^(?:{pattern})$"))?;
            let known: Vec<&Value> = rules
                .iter()
                .filter(|(name, _)| pattern.is_match(name))
                .map(|it| it.1)
                .collect();
            ensure!(!known.is_empty(), "no rule raises {matcher}");
            for labels in known {
                assert_eq!(labels["service"], plan["spec"]["service"], "{matcher}");
                assert_eq!(labels["environment"], plan["spec"]["environment"], "{matcher}");
            }
        }
    }
    ensure!(rules.contains_key("Watchdog"), "no Watchdog");
    Ok(())
}

/// The alerts of an example's rules, with the labels that they get there.
fn rules(example: &str) -> Result<BTreeMap<String, Value>> {
    let file = kustomize::documents(&folder(example).join("rules.yml"))?.remove(0);
    let groups = file["groups"].as_array().cloned().unwrap_or_default();
    let rules = groups
        .iter()
        .flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default());
    let named = rules.filter_map(|rule| Some((rule["alert"].as_str()?.to_owned(), rule["labels"].clone())));
    Ok(named.collect())
}

/// A plan with a moment in the place of each bake, and of the time that a rung has.
fn hurried(plan: &str, watch: &str) -> Result<String> {
    let bake = Regex::new(r"bake: \w+")?;
    let watched = Regex::new(r"(?m)^  watch: \w+$")?;
    let within = Regex::new(r"(?m)^(        within): \w+$")?;
    ensure!(bake.is_match(plan) && watched.is_match(plan), "{plan}");
    let plan = bake.replace_all(plan, "bake: 200ms");
    let plan = watched.replace(&plan, format!("  watch: {watch}"));
    Ok(within.replace_all(&plan, "$1: 2s").into_owned())
}

impl Story {
    /// Everything of `example` up to the moment before somebody starts its plan. `watch` is how long a rollback stays armed.
    pub(super) async fn open(example: &'static str, plan: &str, watch: &str) -> Result<Self> {
        Self::open_with(example, plan, watch, Platform::Slack, |plan| plan).await
    }

    /// The same where people are on this platform, with a plan that is changed a little.
    pub(super) async fn open_with(
        example: &'static str,
        plan: &str,
        watch: &str,
        platform: Platform,
        change: impl FnOnce(String) -> String,
    ) -> Result<Self> {
        Self::open_in(Kubernetes::start().await?, example, plan, watch, platform, change).await
    }

    /// The same in a cluster that is there already.
    pub(super) async fn open_in(
        cluster: Kubernetes,
        example: &'static str,
        plan: &str,
        watch: &str,
        platform: Platform,
        change: impl FnOnce(String) -> String,
    ) -> Result<Self> {
        let name = |file: &str| format!("examples/{example}/{file}");
        let (pager, scratch) = (Sink::start().await?, Scratch::new("example")?);
        let objects = kustomize::build(&folder(example))?;
        cluster.apply(&objects)?;
        let is_right = |object: &&Value| object["kind"] == "Role" || object["kind"] == "RoleBinding";
        let rights: Vec<String> = objects.iter().filter(is_right).map(Value::to_string).collect();
        cluster.grant(&rights.join("\n---\n"))?;
        let mut settings = kustomize::documents(&shipped(&name("tidegate.yml")))?.remove(0);
        let people = People::of(&mut settings, &scratch, platform).await?;
        // What only the pod has: its address, its disk, its account, its Alertmanager. Without peers every alert has to come by
        // the route.
        let kubeconfig = cluster.kubeconfig(&scratch, TIDEGATE)?;
        let all = settings.as_object_mut().context("no settings")?;
        for own in ["web", "storage", "plans", "prometheus"] {
            ensure!(all.remove(own).is_some(), "no `{own}`");
        }
        all["kubernetes"] = json!({ "kubeconfig": kubeconfig });
        all["receivers"]["alertmanager"]["default"] = json!({});
        let secret = scratch.write("pager.secret", "the-secret-of-the-pager")?;
        all["channels"]["pager"]["webhook"] = json!({ "url": pager.url("/page"), "secret_file": secret });
        let service = Sink::start().await?;
        let (url, host) = (service.url(""), service.url("").replace("http://", ""));
        if all.contains_key("egress") {
            all["egress"] = json!({ "allow": [host.trim_end_matches('/')] });
        }
        let asks = |plan: String| plan.replace(GREEN, url.trim_end_matches('/'));
        let mut setup = Setup::new()?
            .plan(plan, &asks(change(hurried(&text(&name(plan))?, watch)?)))?
            .with(settings);
        if let Some(people) = &people {
            setup = setup.env("SSL_CERT_FILE", &people.trusted.display().to_string());
        }
        let token = scratch.write("tidegate.token", RECEIVER_TOKEN)?;
        let routes = text(&name("alertmanager.yml"))?;
        ensure!(routes.contains(ADDRESS) && routes.contains(TOKEN), "{routes}");
        let routes = routes.replace(ADDRESS, setup.url("").trim_end_matches('/'));
        let routes = routes.replace(TOKEN, &token.display().to_string());
        let alertmanager = Alertmanager::start_with(&routes).await?;
        let tidegate = setup.start().await?;
        let story = Self {
            cluster,
            alertmanager,
            tidegate,
            pager,
            service,
            people,
            example,
            _scratch: scratch,
        };
        story.fires("Watchdog", json!({})).await?;
        Ok(story)
    }

    /// An alert of the shipped rules, with the labels they give it and these, as Prometheus tells it.
    pub(super) async fn fires(&self, alert: &str, more: Value) -> Result<()> {
        let mut labels = rules(self.example)?
            .remove(alert)
            .with_context(|| format!("no rule {alert}"))?;
        labels["alertname"] = alert.into();
        for (name, value) in more.as_object().into_iter().flatten() {
            labels[name] = value.clone();
        }
        self.alertmanager.post(&[json!({ "labels": labels })]).await
    }

    /// From now on a real Prometheus measures a service and evaluates the shipped rules, in seconds instead of minutes, by the
    /// names that the service gives its series. It tells the Alertmanager of the example.
    pub(super) async fn is_measured(&self, service: &str) -> Result<(Exporter, Prometheus)> {
        let rules = text(&format!("examples/{}/rules.yml", self.example))?;
        let lasting = Regex::new(r"for: \d+m")?;
        ensure!(
            rules.contains("http_requests_total{") && rules.contains("status=~") && lasting.is_match(&rules),
            "{rules}"
        );
        let rules = rules
            .replace("http_requests_total{", "requests_total{")
            .replace("status=~", "code=~")
            .replace("[5m]", "[3s]");
        let exporter = Exporter::start(service).await?;
        let settings = prometheus::Settings {
            targets: vec![exporter.address()],
            alertmanagers: vec![self.alertmanager.address()],
            rules: Vec::new(),
        };
        let prometheus = Prometheus::start_with(&settings, &lasting.replace_all(&rules, "for: 0s")).await?;
        Ok((exporter, prometheus))
    }

    /// Somebody types a command; what it said.
    pub(super) async fn say(&self, line: &[&str]) -> Result<(i32, Value)> {
        let (code, printed) = self.tidegate.command(line).await?;
        let answer = serde_json::from_str(&printed).with_context(|| printed.clone())?;
        Ok((code, answer))
    }

    /// Starts a plan, once the alert path is known to be alive.
    pub(super) async fn begin(&self, line: &[&str]) -> Result<()> {
        let line = [&["rollout", "start"], line].concat();
        wait::until("it starts", PATIENCE, async || {
            match self.say(&line).await? {
                (0, _) => Ok(()),
                // A plan that cannot be used will not be, either.
                (3, answer) => Err(wait::hopeless(answer.to_string())),
                // Refused, because the Watchdog has not come yet.
                (_, answer) => bail!("{answer}"),
            }
        })
        .await
    }

    /// Where it talks to people.
    pub(super) fn people(&self) -> Result<&People> {
        self.people.as_ref().context("the example talks to nobody")
    }

    /// Waits until the rollout is in a phase, in that state.
    pub(super) async fn is(&self, rollout: &str, phase: &str, state: &str) -> Result<()> {
        wait::until(&format!("{rollout} is in {phase}, {state}"), PATIENCE, async || {
            let (_, card) = self.tidegate.get(&format!("/api/v1/rollouts/{rollout}")).await?;
            ensure!(card["phase"] == phase && card["state"] == state, "{card}");
            Ok(())
        })
        .await
    }

    /// Waits until it is over, which ends `rollout wait` with this code.
    pub(super) async fn ends(&self, rollout: &str, with: i32) -> Result<()> {
        let (code, answer) = self.say(&["rollout", "wait", rollout, "--timeout", "60s"]).await?;
        ensure!(code == with, "it ended with {code}: {answer:#}");
        Ok(())
    }

    /// Everything that is written in the log of the rollout.
    pub(super) async fn told(&self, rollout: &str) -> Result<String> {
        let (_, answer) = self.say(&["rollout", "history", rollout]).await?;
        Ok(answer["result"]["text"].as_str().unwrap_or_default().to_owned())
    }
}
