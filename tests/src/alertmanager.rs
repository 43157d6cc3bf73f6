//! The real Alertmanager, alone or as a pair, with timings of a second.
//!
//! Owns its configuration file and the few calls a scenario makes to its API.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::Client;
use serde_json::{Value, json};

use crate::http;
use crate::ports::Port;
use crate::process::{Launch, Program, installed};
use crate::scratch::Scratch;
use crate::wait;

/// Longest start seen is two seconds; a busy machine gets more.
const START: Duration = Duration::from_secs(30);

/// How Alertmanager proves itself to the receiver.
#[derive(Clone, Debug)]
pub enum Proof {
    /// Not at all.
    Nothing,
    /// `Authorization: Basic`.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// `Authorization: Bearer`.
    Bearer(String),
}

/// Where alerts go, and how fast.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The webhook.
    pub receiver: String,
    /// What it wants to see.
    pub proof: Proof,
    /// The labels of a group; `...` is every label, nothing is one group for all.
    pub group_by: Vec<String>,
    /// Before the first notification of a group.
    pub group_wait: String,
    /// Before a change of a group is told.
    pub group_interval: String,
    /// Before an unchanged group is told again.
    pub repeat_interval: String,
    /// Whether the end of an alert is told.
    pub send_resolved: bool,
    /// At most this many alerts in a notification; 0 is all.
    pub max_alerts: u32,
    /// How long the second of a pair waits for the first one to notify.
    pub peer_timeout: String,
}

impl Settings {
    /// Tells `receiver` everything, at once.
    #[must_use]
    pub fn to(receiver: impl Into<String>) -> Self {
        Self {
            receiver: receiver.into(),
            proof: Proof::Nothing,
            group_by: vec!["alertname".to_owned()],
            group_wait: "0s".to_owned(),
            group_interval: "1s".to_owned(),
            repeat_interval: "1h".to_owned(),
            send_resolved: true,
            max_alerts: 0,
            peer_timeout: "15s".to_owned(),
        }
    }

    /// JSON is YAML, too.
    fn to_json(&self) -> Value {
        let client = match &self.proof {
            Proof::Nothing => json!({}),
            Proof::Basic { user, password } => json!({ "basic_auth": { "username": user, "password": password } }),
            Proof::Bearer(token) => json!({ "authorization": { "type": "Bearer", "credentials": token } }),
        };
        json!({
            "route": {
                "receiver": "scenario",
                "group_by": self.group_by,
                "group_wait": self.group_wait,
                "group_interval": self.group_interval,
                "repeat_interval": self.repeat_interval,
            },
            "receivers": [{
                "name": "scenario",
                "webhook_configs": [{
                    "url": self.receiver,
                    "send_resolved": self.send_resolved,
                    "max_alerts": self.max_alerts,
                    "http_config": client,
                }],
            }],
        })
    }
}

/// A running Alertmanager.
#[derive(Debug)]
pub struct Alertmanager {
    // Stopped before its folder goes.
    program: Program,
    web: Port,
    cluster: Port,
    client: Client,
    _scratch: Scratch,
}

impl Alertmanager {
    /// Starts one that knows no peer and waits until it is ready.
    ///
    /// # Errors
    /// Carries the end of its log.
    pub async fn start(settings: &Settings) -> Result<Self> {
        Self::start_with(&settings.to_json().to_string()).await
    }

    /// Starts one that knows no peer on a configuration as it is written, and waits until it is ready.
    ///
    /// # Errors
    /// Carries the end of its log.
    pub async fn start_with(configuration: &str) -> Result<Self> {
        Self::launch(configuration, &Settings::to("").peer_timeout, None).await
    }

    /// Starts a pair and waits until each knows the other.
    ///
    /// # Errors
    /// Carries the end of the log of the one that did not come up.
    pub async fn start_pair(settings: &Settings) -> Result<[Self; 2]> {
        let configuration = settings.to_json().to_string();
        let first = Self::launch(&configuration, &settings.peer_timeout, None).await?;
        let second = Self::launch(&configuration, &settings.peer_timeout, Some(&first)).await?;
        for one in [&first, &second] {
            wait::until("the peers know each other", START, async || one.sees_peers(2).await).await?;
        }
        Ok([first, second])
    }

    async fn launch(configuration: &str, peer_timeout: &str, peer: Option<&Self>) -> Result<Self> {
        let scratch = Scratch::new("alertmanager")?;
        let configuration = scratch.write("alertmanager.yml", configuration)?;
        let (web, cluster) = (Port::reserve()?, Port::reserve()?);
        let mut launch = Launch::new(installed("prometheus-alertmanager", "prometheus-alertmanager")?)
            .arg(format!("--config.file={}", configuration.display()))
            .arg(format!("--storage.path={}", scratch.path().join("data").display()))
            .arg(format!("--web.listen-address={}", web.address()))
            .arg(format!("--cluster.listen-address={}", cluster.address()))
            .arg(format!("--cluster.peer-timeout={peer_timeout}"))
            // The pair settles in a fraction of a second instead of ten.
            .arg("--cluster.gossip-interval=20ms")
            .arg("--cluster.settle-timeout=2s");
        if let Some(peer) = peer {
            launch = launch.arg(format!("--cluster.peer={}", peer.cluster.address()));
        }
        let mut program = launch.start("alertmanager", &scratch)?;
        let client = http::client()?;
        let ready = format!("{}/-/ready", web.url());
        program
            .ready(START, async || http::answers(&client, &ready).await)
            .await?;
        Ok(Self {
            program,
            web,
            cluster,
            client,
            _scratch: scratch,
        })
    }

    async fn sees_peers(&self, count: usize) -> Result<()> {
        let status = http::get_json(&self.client, &format!("{}/api/v2/status", self.url())).await?;
        let peers = status["cluster"]["peers"].as_array().map_or(0, Vec::len);
        ensure!(peers == count, "it sees {peers} members of the cluster");
        Ok(())
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        self.web.url()
    }

    /// `host:port`, as Prometheus names it.
    #[must_use]
    pub fn address(&self) -> String {
        self.web.address().to_string()
    }

    /// Everything `/api/v2/alerts` lists: active, silenced, inhibited.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn alerts(&self) -> Result<Vec<Value>> {
        let body = http::get_json(&self.client, &format!("{}/api/v2/alerts", self.url())).await?;
        body.as_array().cloned().context("the alerts are not a list")
    }

    /// Posts alerts as Prometheus does.
    ///
    /// # Errors
    /// When it refuses them.
    pub async fn post(&self, alerts: &[Value]) -> Result<()> {
        self.call("/api/v2/alerts", &json!(alerts)).await.map(drop)
    }

    /// Silences every alert with this label and returns the silence's id. `starts` and `ends` are RFC 3339.
    ///
    /// # Errors
    /// When it refuses.
    pub async fn silence(&self, label: &str, value: &str, starts: &str, ends: &str) -> Result<String> {
        let matcher = json!({ "name": label, "value": value, "isRegex": false, "isEqual": true });
        let silence = json!({
            "matchers": [matcher], "startsAt": starts, "endsAt": ends, "createdBy": "scenario", "comment": "a scenario",
        });
        let answer = self.call("/api/v2/silences", &silence).await?;
        let answer: Value = serde_json::from_str(&answer).with_context(|| format!("not JSON: {answer}"))?;
        answer["silenceID"].as_str().map(str::to_owned).context("it gave no id")
    }

    /// Ends a silence.
    ///
    /// # Errors
    /// When it refuses.
    pub async fn end_silence(&self, id: &str) -> Result<()> {
        let address = format!("{}/api/v2/silence/{id}", self.url());
        let answer = self.client.delete(address).send().await?;
        ensure!(
            answer.status().is_success(),
            "Alertmanager answered {}",
            answer.status()
        );
        Ok(())
    }

    async fn call(&self, path: &str, body: &Value) -> Result<String> {
        let answer = self
            .client
            .post(format!("{}{path}", self.url()))
            .json(body)
            .send()
            .await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "Alertmanager answered {status}: {text}");
        Ok(text)
    }

    /// SIGKILL.
    ///
    /// # Errors
    /// When it had already exited.
    pub fn kill(&mut self) -> Result<()> {
        self.program.kill()
    }
}
