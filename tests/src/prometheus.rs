//! The real Prometheus, scraping and evaluating every second.
//!
//! Owns its configuration and rules files and the few questions a scenario asks it.

use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::Client;
use serde_json::{Map, Value, json};

use crate::http;
use crate::ports::Port;
use crate::process::{Launch, Program, installed};
use crate::scratch::Scratch;

/// Longest start seen is two seconds; a busy machine gets more.
const START: Duration = Duration::from_secs(30);

/// An alerting rule.
#[derive(Clone, Debug)]
pub struct Rule {
    name: String,
    expression: String,
    lasting: String,
    labels: Map<String, Value>,
    annotations: Map<String, Value>,
}

impl Rule {
    /// Fires as soon as `expression` has a result.
    #[must_use]
    pub fn new(name: &str, expression: &str) -> Self {
        let (labels, annotations) = (Map::new(), Map::new());
        Self {
            name: name.to_owned(),
            expression: expression.to_owned(),
            lasting: "0s".to_owned(),
            labels,
            annotations,
        }
    }

    /// Fires for ever: the proof that the whole way works.
    #[must_use]
    pub fn watchdog() -> Self {
        Self::new("Watchdog", "vector(1)").label("severity", "none")
    }

    /// Fires only after the expression had a result for this long (`"2s"`).
    #[must_use]
    pub fn lasting(mut self, duration: &str) -> Self {
        self.lasting = duration.to_owned();
        self
    }

    /// Adds a label.
    #[must_use]
    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.labels.insert(name.to_owned(), value.into());
        self
    }

    /// Adds an annotation.
    #[must_use]
    pub fn annotation(mut self, name: &str, value: &str) -> Self {
        self.annotations.insert(name.to_owned(), value.into());
        self
    }

    fn to_json(&self) -> Value {
        json!({
            "alert": self.name,
            "expr": self.expression,
            "for": self.lasting,
            "labels": self.labels,
            "annotations": self.annotations,
        })
    }
}

/// What a Prometheus looks at and whom it tells.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `host:port` of everything to scrape.
    pub targets: Vec<String>,
    /// `host:port` of every Alertmanager.
    pub alertmanagers: Vec<String>,
    /// Its alerting rules.
    pub rules: Vec<Rule>,
}

/// A running Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    // Stopped before its folder goes.
    program: Program,
    port: Port,
    client: Client,
    _scratch: Scratch,
}

impl Prometheus {
    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// Carries the end of its log.
    pub async fn start(settings: &Settings) -> Result<Self> {
        Self::start_with(settings, "groups: []").await
    }

    /// The same, with a file of rules beside its own, as text.
    ///
    /// # Errors
    /// Carries the end of its log.
    pub async fn start_with(settings: &Settings, file: &str) -> Result<Self> {
        let scratch = Scratch::new("prometheus")?;
        // JSON is YAML, too.
        let rules: Vec<Value> = settings.rules.iter().map(Rule::to_json).collect();
        let rules = json!({ "groups": [{ "name": "scenario", "rules": rules }] });
        let rules = [
            scratch.write("rules.yml", rules.to_string())?,
            scratch.write("file.yml", file)?,
        ];
        let configuration = json!({
            "global": { "scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s" },
            "rule_files": rules,
            "alerting": { "alertmanagers": [{ "static_configs": [{ "targets": settings.alertmanagers }] }] },
            "scrape_configs": [{ "job_name": "scenario", "static_configs": [{ "targets": settings.targets }] }],
        });
        let configuration = scratch.write("prometheus.yml", configuration.to_string())?;
        let port = Port::reserve()?;
        let mut program = Launch::new(installed("prometheus", "prometheus")?)
            .arg(format!("--config.file={}", configuration.display()))
            .arg(format!("--storage.tsdb.path={}", scratch.path().join("data").display()))
            .arg(format!("--web.listen-address={}", port.address()))
            .arg("--rules.alert.resend-delay=1s")
            .start("prometheus", &scratch)?;
        let client = http::client()?;
        let ready = format!("{}/-/ready", port.url());
        program
            .ready(START, async || http::answers(&client, &ready).await)
            .await?;
        Ok(Self {
            program,
            port,
            client,
            _scratch: scratch,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        self.port.url()
    }

    /// The samples of an instant query: labels and value.
    ///
    /// # Errors
    /// When it does not answer with a vector.
    pub async fn query(&self, expression: &str) -> Result<Vec<(Value, f64)>> {
        let url = format!("{}/api/v1/query", self.url());
        let answer = self.client.post(&url).form(&[("query", expression)]).send().await?;
        let body: Value = answer
            .json()
            .await
            .with_context(|| format!("{url} did not answer with JSON"))?;
        let samples = body["data"]["result"]
            .as_array()
            .with_context(|| format!("no vector in {body}"))?;
        let read = |sample: &Value| {
            let value = sample["value"][1].as_str().and_then(|text| text.parse().ok());
            Ok((
                sample["metric"].clone(),
                value.with_context(|| format!("no value in {sample}"))?,
            ))
        };
        samples.iter().map(read).collect()
    }

    /// Everything `/api/v1/alerts` lists: pending and firing.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn alerts(&self) -> Result<Vec<Value>> {
        let body = http::get_json(&self.client, &format!("{}/api/v1/alerts", self.url())).await?;
        Ok(body["data"]["alerts"].as_array().cloned().unwrap_or_default())
    }

    /// SIGKILL.
    ///
    /// # Errors
    /// When it had already exited.
    pub fn kill(&mut self) -> Result<()> {
        self.program.kill()
    }
}
