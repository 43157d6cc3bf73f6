//! A server with everything around it that there can be, all of it well.

use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tidegate_tests::alertmanager::{Alertmanager, Proof, Settings};
use tidegate_tests::built::Build;
use tidegate_tests::kubernetes::{self, Kubernetes};
use tidegate_tests::prometheus::{self, Prometheus, Rule};
use tidegate_tests::scratch::Scratch;
use tidegate_tests::sink::Sink;
use tidegate_tests::slack::{CHANNEL, SECRET, Slack, TEAM, TOKEN};
use tidegate_tests::tidegate::{RECEIVER_TOKEN, Setup, Tidegate};
use tidegate_tests::wait;

/// Longer than anything here takes on a busy machine; nothing waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(30);

const SIGNED_WITH: &str = "the-secret-of-the-pager";

/// Whatever must never be shown.
const SECRETS: [&str; 5] = [RECEIVER_TOKEN, TOKEN, SECRET, SIGNED_WITH, kubernetes::TIDEGATE];

pub(super) const NAMESPACE: &str = "finance";

/// The rights that users apply.
pub(super) fn rights() -> Result<String> {
    let manifest = tidegate_tests::paths::repository().join("deploy/kubernetes/deployment-replicas/role.yaml");
    std::fs::read_to_string(manifest).context("the manifest of the rights")
}

pub(super) fn plan() -> Value {
    json!({
        "apiVersion": "tidegate.dev/v1alpha1",
        "kind": "RolloutPlan",
        "metadata": { "name": "finance" },
        "spec": {
            "title": "A new version", "service": "finance-service", "environment": "production",
            "roles": { "oncall": { "members": ["ana"] } },
            "target": { "deployment-replicas": {
                "namespace": NAMESPACE, "new": "finance-service-v2", "old": "finance-service-v1", "total": 5,
            } },
            "phases": [{ "name": "all", "weight": "100%", "bake": "1m" }],
            "watch": "1d",
            "triggers": [{
                "name": "errors", "alert": { "matchers": ["alertname=\"ErrorRateHigh\""] }, "severity": "sev1",
            }],
            "severities": { "sev1": { "action": "rollback", "page": true } },
            "alerts": { "receivers": ["default"], "watchdog": "required" },
            "audiences": {
                "oncall": { "channels": ["pager"], "hears": "pages" },
                "team": { "channels": ["releases"], "hears": "everything" },
            },
        },
    })
}

/// The rules of a Prometheus that knows everything the plan waits for.
pub(super) fn rules() -> Vec<Rule> {
    let errors = Rule::new("ErrorRateHigh", "vector(0) > 1").label("service", "finance-service");
    vec![Rule::watchdog(), errors.label("environment", "production")]
}

/// All of it.
pub(super) struct House {
    pub(super) alertmanager: Alertmanager,
    _prometheus: Prometheus,
    pub(super) slack: Slack,
    pub(super) cluster: Kubernetes,
    pub(super) pager: Sink,
    pub(super) tidegate: Tidegate,
    _scratch: Scratch,
}

/// What `doctor` said.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) exit: i32,
    pub(super) answer: Value,
}

impl Said {
    /// The findings that are not well.
    pub(super) fn bad(&self) -> Vec<Value> {
        let all = self.answer["result"]["checks"].as_array().cloned().unwrap_or_default();
        all.into_iter().filter(|finding| finding["level"] != "ok").collect()
    }

    /// The codes of those.
    pub(super) fn codes(&self) -> Vec<String> {
        let code = |finding: &Value| finding["code"].as_str().unwrap_or_default().to_owned();
        self.bad().iter().map(code).collect()
    }

    /// All is well.
    #[track_caller]
    pub(super) fn finds_nothing(&self) {
        assert_eq!((self.exit, self.bad()), (0, Vec::new()));
    }

    /// Exactly one thing is not well, and this is what it is and what to do.
    #[track_caller]
    pub(super) fn finds(&self, level: &str, code: &str, says: &str, fix: &str) {
        let bad = self.bad();
        assert_eq!(self.codes(), [code], "{bad:#?}");
        assert_eq!(bad[0]["level"], level, "{bad:#?}");
        let has = |key: &str, part: &str| bad[0][key].as_str().is_some_and(|text| text.contains(part));
        assert!(has("says", says), "{says:?} is not in {:#}", bad[0]);
        assert!(has("fix", fix), "{fix:?} is not in {:#}", bad[0]);
        let expected = if level == "warn" { 0 } else { 8 };
        assert_eq!(self.exit, expected, "{bad:#?}");
    }
}

impl House {
    pub(super) async fn new() -> Result<Self> {
        let (slack, pager, cluster) = (Slack::start().await?, Sink::start().await?, Kubernetes::fake().await?);
        cluster.grant(&rights()?)?;
        let setup = Setup::new()?;
        let mut to_us = Settings::to(setup.webhook());
        to_us.proof = Proof::Bearer(RECEIVER_TOKEN.to_owned());
        let alertmanager = Alertmanager::start(&to_us).await?;
        let prometheus = Prometheus::start(&prometheus::Settings {
            alertmanagers: vec![alertmanager.address()],
            rules: rules(),
            ..prometheus::Settings::default()
        })
        .await?;
        let scratch = Scratch::new("doctor")?;
        let kubeconfig = cluster.kubeconfig(&scratch, kubernetes::TIDEGATE)?;
        let signing = scratch.write("signing", SECRET)?;
        let (token, pager_secret) = (scratch.write("token", TOKEN)?, scratch.write("pager", SIGNED_WITH)?);
        let setup = setup.plan("finance", &plan().to_string())?.peers(&[alertmanager.url()]);
        let setup = setup.with(json!({
            "people": [{ "id": "ana", "slack": "U0ANA", "roles": ["operator", "oncall"] }],
            "prometheus": { "servers": [prometheus.url()] },
            "kubernetes": { "kubeconfig": kubeconfig },
            "slack": {
                "signing_secret_file": signing, "token_file": token, "workspaces": [TEAM],
                "api_url": slack.api_url(), "hooks_url": slack.hooks_url(),
            },
            "channels": {
                "pager": { "webhook": { "url": pager.url("/page?key=1"), "secret_file": pager_secret } },
                "releases": { "slack": { "channel": CHANNEL } },
            },
            "egress": { "allow": [pager.url("").replace("http://", "")] },
        }));
        let tidegate = setup.start().await?;
        wait::until("the Watchdog is in Alertmanager", PATIENCE, async || {
            let alerts = alertmanager.alerts().await?;
            ensure!(
                alerts.iter().any(|alert| alert["labels"]["alertname"] == "Watchdog"),
                "{alerts:?}"
            );
            Ok(())
        })
        .await?;
        Ok(Self {
            alertmanager,
            _prometheus: prometheus,
            slack,
            cluster,
            pager,
            tidegate,
            _scratch: scratch,
        })
    }

    /// The server's configuration file with something else in it.
    pub(super) fn file(&self, change: impl FnOnce(&mut Value)) -> Result<PathBuf> {
        let folder = self.tidegate.scratch();
        let text = std::fs::read_to_string(folder.path().join("tidegate.yml"))?;
        let mut settings: Value = serde_json::from_str(&text)?;
        change(&mut settings);
        folder.write("other.yml", settings.to_string())
    }

    /// What `doctor` says about the server as it is configured.
    pub(super) async fn look(&self) -> Result<Said> {
        self.look_at(|_| {}).await
    }

    /// What it says about another configuration.
    pub(super) async fn look_at(&self, change: impl FnOnce(&mut Value)) -> Result<Said> {
        let file = self.file(change)?;
        let output = run(&["-o", "json", "doctor", "--config.file", &file.display().to_string()]).await?;
        let answer = serde_json::from_slice(&output.stdout);
        Ok(Said {
            exit: output.status.code().context("it was killed")?,
            answer: answer.with_context(|| format!("{output:?}"))?,
        })
    }
}

/// Runs the command line; whatever it prints, no secret is in it.
pub(super) async fn run(arguments: &[&str]) -> Result<Output> {
    let mut command = tokio::process::Command::new(Build::Shipped.program()?);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TIDEGATE_")) {
        command.env_remove(name);
    }
    // Nor whatever pod the tests run in themselves.
    command.env_remove("KUBERNETES_SERVICE_HOST");
    let output = command.args(arguments).kill_on_drop(true).output().await?;
    let printed = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    for secret in SECRETS {
        ensure!(!printed.contains(secret), "a secret is shown: {printed}");
    }
    Ok(output)
}
