//! Owns the real thing: Debian's or anybody's Prometheus and Alertmanager, when both are on the PATH.
//! Refuses to leave them running: they are children of the demo and end with it.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use http::Method;
use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use url::Url;

use super::DemoError;
use super::alerts::{ALERT, FOR, TOO_MANY, WATCHDOG, WINDOW, Ways, storm_as_posted};
use super::files::Files;
use super::serving::Open;
use super::shop::{REQUESTS, Version};
use crate::clock;
use crate::net::Net;

/// The longest start seen takes two seconds; a busy machine gets more.
const START: Duration = Duration::from_secs(20);
/// Between two looks while something is awaited.
const LOOK: Duration = Duration::from_millis(100);
/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// Where the two programs are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Programs {
    prometheus: PathBuf,
    alertmanager: PathBuf,
}

impl Programs {
    /// Looks for them in `path`, a list of directories as in the environment. Debian calls the second one differently.
    pub(super) fn find(path: &OsStr) -> Option<Self> {
        let first = |names: &[&str]| {
            let directories: Vec<PathBuf> = std::env::split_paths(path).collect();
            let candidates = names
                .iter()
                .flat_map(|name| directories.iter().map(move |directory| directory.join(name)));
            candidates.into_iter().find(|candidate| is_program(candidate))
        };
        Some(Self {
            prometheus: first(&["prometheus"])?,
            alertmanager: first(&["alertmanager", "prometheus-alertmanager"])?,
        })
    }

    /// What they are, for the story.
    pub(super) fn says(&self) -> String {
        format!("{} and {}", self.prometheus.display(), self.alertmanager.display())
    }
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata()
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// Both of them while they run.
pub(super) struct Stack {
    prometheus: Child,
    alertmanager: Child,
    apis: Apis,
    storm: Option<JoinHandle<Option<Duration>>>,
}

/// Where both can be asked.
#[derive(Clone)]
struct Apis {
    prometheus: Url,
    alertmanager: Url,
    net: Net,
}

/// The ports they will open, known before they are started because others must know them.
pub(super) struct Ports {
    prometheus: SocketAddr,
    alertmanager: SocketAddr,
}

impl Ports {
    /// Two that are free.
    pub(super) async fn pick() -> std::io::Result<Self> {
        // Both are held until both are known, so that they differ.
        let (first, second) = (Open::port(0).await?, Open::port(0).await?);
        Ok(Self {
            prometheus: first.give_back(),
            alertmanager: second.give_back(),
        })
    }

    /// Where Alertmanager can be asked.
    pub(super) fn alertmanager(&self) -> SocketAddr {
        self.alertmanager
    }
}

impl Stack {
    /// Starts both and waits until they are ready.
    pub(super) async fn start(
        programs: &Programs,
        ports: &Ports,
        ways: &Ways,
        files: &Files,
        net: Net,
    ) -> Result<Self, DemoError> {
        let mut stack = Self::launch(programs, ports, ways, files, net)
            .map_err(|fault| DemoError::failed("start Prometheus and Alertmanager", fault))?;
        let started = Instant::now();
        loop {
            for (name, child) in [
                ("prometheus", &mut stack.prometheus),
                ("alertmanager", &mut stack.alertmanager),
            ] {
                if let Ok(Some(status)) = child.try_wait() {
                    let fault = anyhow::anyhow!("{name} ended with {status}: {}", last_lines(files, name));
                    return Err(DemoError::failed("start Prometheus and Alertmanager", fault));
                }
            }
            if stack.apis.ready().await {
                return Ok(stack);
            }
            if started.elapsed() > START {
                let fault = anyhow::anyhow!(
                    "not ready after {} s: {}",
                    START.as_secs(),
                    last_lines(files, "prometheus")
                );
                return Err(DemoError::failed("start Prometheus and Alertmanager", fault));
            }
            sleep(LOOK).await;
        }
    }

    fn launch(programs: &Programs, ports: &Ports, ways: &Ways, files: &Files, net: Net) -> anyhow::Result<Self> {
        let write = |name: &str, content: Value| -> anyhow::Result<PathBuf> {
            let path = files.path(name);
            // JSON is YAML, too.
            std::fs::write(&path, format!("{content:#}")).with_context(|| format!("could not write {name}"))?;
            Ok(path)
        };
        write("rules.yml", rules())?;
        let prometheus = write("prometheus.yml", prometheus_config(ports, &ways.metrics)?)?;
        let alertmanager = write("alertmanager.yml", alertmanager_config(ways))?;
        let flag = |name: &str, value: &dyn std::fmt::Display| format!("--{name}={value}");
        let alertmanager = spawn(
            &programs.alertmanager,
            &[
                flag("config.file", &alertmanager.display()),
                flag("storage.path", &files.path("alertmanager").display()),
                flag("web.listen-address", &ports.alertmanager),
                // No peers, so no port for them.
                "--cluster.listen-address=".to_owned(),
            ],
            files,
            "alertmanager",
        )?;
        let prometheus = spawn(
            &programs.prometheus,
            &[
                flag("config.file", &prometheus.display()),
                flag("storage.tsdb.path", &files.path("prometheus").display()),
                flag("web.listen-address", &ports.prometheus),
                "--rules.alert.resend-delay=1s".to_owned(),
            ],
            files,
            "prometheus",
        )?;
        Ok(Self {
            prometheus,
            alertmanager,
            apis: Apis {
                prometheus: base(ports.prometheus)?,
                alertmanager: base(ports.alertmanager)?,
                net,
            },
            storm: None,
        })
    }

    /// Since when the alert about the shop fires, as Alertmanager lists it; `None` while it does not.
    pub(super) async fn firing_since(&self) -> Option<Timestamp> {
        let listed = self.apis.get(&self.apis.alertmanager, "api/v2/alerts").await?;
        let listed: Vec<Value> = serde_json::from_str(&listed).ok()?;
        let ours = listed.iter().find(|alert| alert["labels"]["alertname"] == ALERT)?;
        ours["startsAt"].as_str()?.parse().ok()
    }

    /// Posts thousands of other alerts to Alertmanager, as soon as Prometheus sees the shop fail.
    pub(super) fn brew_storm(&mut self) {
        let apis = self.apis.clone();
        self.storm = Some(tokio::spawn(async move { apis.storm().await }));
    }

    /// How long it took until Alertmanager had taken all of the storm; `None` until then.
    pub(super) async fn storm_took(&mut self) -> Option<Duration> {
        let storm = self.storm.take_if(|storm| storm.is_finished())?;
        storm.await.ok().flatten()
    }

    /// The machine with the monitoring fails: both are killed.
    pub(super) async fn kill(&mut self) {
        if let Some(storm) = self.storm.take() {
            storm.abort();
        }
        // A program that has ended by itself is as dead as we want it.
        let _ = tokio::join!(self.prometheus.kill(), self.alertmanager.kill());
    }
}

impl Apis {
    async fn ready(&self) -> bool {
        let (one, other) = tokio::join!(
            self.get(&self.prometheus, "-/ready"),
            self.get(&self.alertmanager, "-/ready")
        );
        one.is_some() && other.is_some()
    }

    async fn get(&self, base: &Url, path: &str) -> Option<String> {
        let url = base.join(path).ok()?;
        let answer = self.net.request(Method::GET, &url, DEADLINE).ok()?.send().await.ok()?;
        answer.error_for_status().ok()?.text().await.ok()
    }

    async fn storm(&self) -> Option<Duration> {
        while !self.get(&self.prometheus, "api/v1/alerts").await?.contains(ALERT) {
            sleep(LOOK).await;
        }
        let began = Instant::now();
        let url = self.alertmanager.join("api/v2/alerts").ok()?;
        let request = self.net.request(Method::POST, &url, DEADLINE).ok()?;
        let answer = request.json(&storm_as_posted(clock::now())).send().await.ok()?;
        answer.error_for_status().ok()?;
        Some(began.elapsed())
    }
}

fn base(address: SocketAddr) -> anyhow::Result<Url> {
    Ok(Url::parse(&format!("http://{address}/"))?)
}

fn spawn(program: &Path, arguments: &[String], files: &Files, name: &str) -> anyhow::Result<Child> {
    let log = std::fs::File::create(files.path(&format!("{name}.log"))).context("could not open its log")?;
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone().context("could not open its log twice")?)
        .stderr(log)
        // Ctrl-C is the demo's to answer, not theirs.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("could not start {}", program.display()))
}

/// The end of what a program wrote.
fn last_lines(files: &Files, name: &str) -> String {
    let written = std::fs::read_to_string(files.path(&format!("{name}.log"))).unwrap_or_default();
    let lines: Vec<&str> = written.lines().rev().take(3).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
}

/// The rule of the built-in evaluator, in PromQL.
fn rules() -> Value {
    let new = Version::New.number();
    let rate = |codes: &str| {
        let window = WINDOW.as_secs();
        format!("sum by (version, rollout) (rate({REQUESTS}{{version=\"{new}\"{codes}}}[{window}s]))")
    };
    let share = format!("{} / {}", rate(",code=~\"5..\""), rate(""));
    let percent = TOO_MANY / 10;
    json!({ "groups": [{ "name": "shop", "interval": "1s", "rules": [
        {
            "alert": WATCHDOG,
            "expr": "vector(1)",
            "labels": { "severity": "none" },
            "annotations": { "summary": "Always fires; its absence says that nobody watches." },
        },
        {
            "alert": ALERT,
            "expr": format!("{share} > {percent} / 100"),
            "for": format!("{}s", FOR.as_secs()),
            "labels": { "service": "shop", "environment": "demo", "severity": "critical" },
            "annotations": { "summary": "{{ $value | humanizePercentage }} of the visits to {{ $labels.version }} fail" },
        },
    ]}]})
}

fn prometheus_config(ports: &Ports, metrics: &Url) -> anyhow::Result<Value> {
    let host = metrics.host_str().context("the shop has no host")?;
    let port = metrics.port().context("the shop has no port")?;
    Ok(json!({
        "global": { "scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s" },
        "rule_files": ["rules.yml"],
        "alerting": { "alertmanagers": [{ "static_configs": [{ "targets": [ports.alertmanager.to_string()] }] }] },
        "scrape_configs": [{ "job_name": "shop", "static_configs": [{ "targets": [format!("{host}:{port}")] }] }],
    }))
}

/// An own route with no wait: the part of the way to a rollback that belongs to Alertmanager.
fn alertmanager_config(ways: &Ways) -> Value {
    json!({
        "route": {
            "receiver": "tidegate",
            "group_by": ["alertname"],
            "group_wait": "0s",
            "group_interval": "1s",
            "repeat_interval": "1h",
            "routes": [
                // Said again and again, because that is all it says.
                { "receiver": "tidegate", "matchers": [format!("alertname=\"{WATCHDOG}\"")], "repeat_interval": "1s" },
            ],
        },
        "receivers": [{ "name": "tidegate", "webhook_configs": [{
            "url": ways.webhook.as_str(),
            "http_config": {
                "authorization": { "type": "Bearer", "credentials": ways.token.expose_secret() },
            },
        }]}],
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn program(directory: &Path, name: &str, mode: u32) {
        let path = directory.join(name);
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn both_programs_must_be_there_and_debians_name_will_do() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = std::env::join_paths([one.path(), other.path()]).unwrap();
        assert_eq!(Programs::find(&path), None);
        program(other.path(), "prometheus", 0o755);
        assert_eq!(Programs::find(&path), None);
        program(one.path(), "prometheus-alertmanager", 0o644);
        assert_eq!(Programs::find(&path), None, "a file that cannot be run is no program");
        program(other.path(), "prometheus-alertmanager", 0o755);
        let found = Programs::find(&path).unwrap();
        assert_eq!(found.alertmanager, other.path().join("prometheus-alertmanager"));
        program(other.path(), "alertmanager", 0o755);
        assert_eq!(
            Programs::find(&path).unwrap().alertmanager,
            other.path().join("alertmanager")
        );
    }

    #[test]
    fn the_rule_asks_what_the_built_in_one_asks() {
        let rules = rules();
        let rule = &rules["groups"][0]["rules"][1];
        assert_eq!(
            rule["expr"],
            "sum by (version, rollout) (rate(shop_requests_total{version=\"2.0.0\",code=~\"5..\"}[3s])) \
             / sum by (version, rollout) (rate(shop_requests_total{version=\"2.0.0\"}[3s])) > 5 / 100"
        );
        assert_eq!(rule["for"], "1s");
    }
}
