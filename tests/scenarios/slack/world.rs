//! A workspace, a whole server that belongs to it, and a rollout that somebody steers from there.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tidegate::app::{self, Running};
use tidegate::chat::Desk as _;
use tidegate::config::Sources;
use tidegate_rollout::Rollout;
use tidegate_tests::scratch::Scratch;
use tidegate_tests::slack::{Answered, CHANNEL, Posted, SECRET, Signed, Slack, TEAM, TOKEN};
use tidegate_tests::tidegate::Setup;
use tidegate_tests::{http, wait};

use crate::platforms;

/// Longer than anything here takes on a busy machine; nothing waits for it to pass.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// May do everything that people do.
pub(super) const ANA: &str = "U0ANA";
/// May start, advance, pause and roll back, as ana may.
pub(super) const BEN: &str = "U0BEN";
/// May look.
pub(super) const VIC: &str = "U0VIC";
/// Is in the workspace, and unknown to Tidegate.
pub(super) const EVE: &str = "U0EVE";

/// What the Alertmanager presents.
const ALERTMANAGER: &str = "the-token-of-alertmanager";

/// Text from outside that tries everything.
pub(super) const HOSTILE: &str = "<!channel> <!here|x> <@U0ANA> <!subteam^S1> <https://evil.example|click> @everyone *bold* `code` :fire: &lt;!channel&gt;";

pub(super) const PLAN: &str = r#"
apiVersion: tidegate.dev/v1alpha1
kind: RolloutPlan
metadata: { name: checkout }
spec:
  title: "Checkout <!channel> & *co*"
  service: checkout
  environment: production
  inputs: { version: { required: true } }
  target: { flag: { key: checkout-v2 } }
  phases:
    - { name: canary, weight: 5%, bake: 1s, gate: manual }
    - { name: half, weight: 50%, bake: 1s, gate: manual }
    - { name: everybody, weight: 100%, bake: 1s, gate: manual }
  watch: 1h
  triggers:
    - name: error-rate
      alert: { matchers: ['alertname="HighErrorRate"'] }
      severity: sev1
  severities:
    sev1: { action: rollback, page: true }
  alerts: { receivers: [default], watchdog: none }
  audiences:
    team: { channels: [releases], hears: everything }
"#;

/// What a real server is told about the workspace and the people in it.
pub(super) fn setup(slack: &Slack) -> Result<Setup> {
    let setup = Setup::new()?
        .plan("checkout", PLAN)?
        .with(json!({
            "people": people(),
            "slack": { "workspaces": [TEAM], "api_url": slack.api_url(), "hooks_url": slack.hooks_url() },
            "channels": { "releases": { "slack": { "channel": CHANNEL } } },
        }))
        .secret_file(
            "signing",
            SECRET,
            |file| json!({ "slack": { "signing_secret_file": file } }),
        )?;
    setup.secret_file("bot", TOKEN, |file| json!({ "slack": { "token_file": file } }))
}

fn people() -> Value {
    json!([
        { "id": "ana", "slack": ANA, "roles": ["operator", "oncall", "incident-commander"] },
        { "id": "ben", "slack": BEN, "roles": ["operator"] },
        { "id": "vic", "slack": VIC, "roles": ["viewer"] },
    ])
}

/// All of it.
pub(super) struct World {
    pub(super) slack: Slack,
    pub(super) scratch: Scratch,
    running: Option<Running>,
    sources: Sources,
}

impl World {
    pub(super) async fn new() -> Result<Self> {
        Self::with(|_| {}).await
    }

    /// With other settings.
    pub(super) async fn with(change: impl FnOnce(&mut Value)) -> Result<Self> {
        let (slack, scratch) = (Slack::start().await?, Scratch::new("slack")?);
        scratch.write("plan.yaml", PLAN)?;
        let secret = |name: &str, text: &str| scratch.write(name, text);
        let mut settings = json!({
            "web": { "listen_address": "127.0.0.1:0" },
            "storage": { "path": scratch.path().join("data") },
            "people": people(),
            "plans": [scratch.path().join("plan.yaml")],
            "receivers": { "alertmanager": { "default": { "bearer_file": secret("am", ALERTMANAGER)? } } },
            "slack": {
                "signing_secret_file": secret("signing", SECRET)?,
                "workspaces": [TEAM],
                "app": tidegate_tests::slack::APP,
                "token_file": secret("token", TOKEN)?,
                "api_url": slack.api_url(),
                "hooks_url": slack.hooks_url(),
            },
            "channels": { "releases": { "slack": { "channel": CHANNEL } } },
        });
        change(&mut settings);
        let file = scratch.write("tidegate.yml", settings.to_string())?;
        let sources = Sources {
            file: Some(file),
            environment: HashMap::new(),
            flags: Vec::new(),
        };
        let mut world = Self {
            slack,
            scratch,
            running: None,
            sources,
        };
        world.start().await?;
        Ok(world)
    }

    async fn start(&mut self) -> Result<()> {
        let config = self.sources.load().context("the configuration is refused")?;
        self.running = Some(app::start(self.sources.clone(), config, None).await?);
        Ok(())
    }

    /// Starts another replica on the same storage.
    pub(super) async fn replica(&self) -> Result<Running> {
        let config = self.sources.load().context("the configuration is refused")?;
        app::start(self.sources.clone(), config, None).await
    }

    /// Stops the server and starts it again on the same storage.
    pub(super) async fn restart(&mut self) -> Result<()> {
        self.running.take().context("it runs")?.stop().await;
        self.start().await
    }

    pub(super) fn running(&self) -> &Running {
        self.running.as_ref().expect("it runs")
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running().address)
    }

    /// Delivers a request as Slack does.
    pub(super) async fn deliver(&self, path: &str, signed: &Signed) -> Result<Answered> {
        self.slack.deliver(&self.url(path), signed).await
    }

    /// `user` types the slash command with `text`, and is answered.
    pub(super) async fn typed(&self, user: &str, text: &str) -> Result<Answered> {
        let answered = self.deliver("/slack/commands", &self.slack.command(user, text)).await?;
        ensure!(answered.status == StatusCode::OK, "{text}: {answered:?}");
        Ok(answered)
    }

    /// `user` types the slash command with `text`; what they see, which must be for their eyes only and nothing but text.
    pub(super) async fn say(&self, user: &str, text: &str) -> Result<String> {
        let answered = self.typed(user, text).await?;
        ensure!(answered.body["response_type"] == "ephemeral", "{text}: {answered:?}");
        tidegate_tests::slack::judge(&answered.body).map_err(|why| anyhow::anyhow!("{text}: {why}"))?;
        let (shown, pings) = tidegate_tests::slack::read(&answered.body);
        ensure!(pings.is_empty(), "{text}: {pings:?}");
        Ok(shown)
    }

    /// `user` presses a button, and sees the answer.
    pub(super) async fn press(&self, user: &str, message: &Posted, action: &str) -> Result<String> {
        let signed = self.slack.press(user, message, action)?;
        self.pressed(&signed).await
    }

    /// Delivers a press, and waits for what its presser sees.
    pub(super) async fn pressed(&self, signed: &Signed) -> Result<String> {
        let answered = self.deliver("/slack/interactions", signed).await?;
        ensure!(answered.status == StatusCode::OK, "{answered:?}");
        let answer = self.slack.late_answer(&signed.response_url, PATIENCE).await?;
        ensure!(answer["replace_original"] == Value::Bool(false), "{answer}");
        let (shown, pings) = tidegate_tests::slack::read(&answer);
        ensure!(pings.is_empty(), "{pings:?}");
        Ok(shown)
    }

    /// Sends an open form off while the database is held for longer than an order is heeded; what the form becomes.
    pub(super) async fn refused_late(&self, form: &Value) -> Result<Value> {
        let other = platforms::holding_the_database(&self.scratch, PATIENCE).await?;
        let begun = Instant::now();
        let signed = self.slack.submit(ANA, form, &[("input:version", "2.3.0")]);
        self.deliver("/slack/interactions", &signed).await?;
        wait::until("it is too late for a start", PATIENCE, async || {
            ensure!(begun.elapsed() > Duration::from_millis(2_600));
            Ok(())
        })
        .await?;
        drop(other);
        let refused = |form: &Value| tidegate_tests::slack::read(form).0.starts_with("R408");
        self.slack
            .form_once("it is refused in the form", PATIENCE, refused)
            .await
    }

    /// A rollout whose first phase has baked and waits for a person, and its card.
    pub(super) async fn at_the_first_gate(&self) -> Result<Posted> {
        let said = self.say(ANA, "start checkout version:2.3.0").await?;
        ensure!(said.contains("checkout-1"), "{said}");
        self.card("the first gate waits", |card| {
            card.text.contains("WAITING") && card.button("advance").is_some()
        })
        .await
    }

    /// The card, once it fits. Nothing that Slack was sent may have been refused meanwhile.
    pub(super) async fn card(&self, what: &str, fits: impl Fn(&Posted) -> bool) -> Result<Posted> {
        let card = self.slack.card(what, PATIENCE, fits).await;
        let refused = self.slack.refused();
        ensure!(refused.is_empty(), "{refused:?}");
        card
    }

    /// The rollout as the server has it.
    pub(super) async fn rollout(&self) -> Result<Rollout> {
        let found = platforms::rollout(self.running(), "checkout-1").await?;
        Ok(found.as_ref().clone())
    }

    /// The card, once it shows the revision that the rollout has.
    pub(super) async fn present_card(&self) -> Result<Posted> {
        wait::until("the card shows the present revision", PATIENCE, async || {
            let now = format!("checkout-1:{}", self.rollout().await?.generation);
            let card = self.slack.cards().pop().context("there is no card")?;
            let shows = card.button("rollback").context("it cannot be rolled back")?["value"].clone();
            ensure!(shows == now.as_str(), "it shows {shows}, the rollout is {now}");
            Ok(card)
        })
        .await
    }

    /// Who did something of that kind, in order.
    pub(super) async fn did(&self, kind: &str) -> Result<Vec<String>> {
        platforms::did(self.running(), "checkout-1", kind).await
    }

    /// How many rollouts there are.
    pub(super) async fn rollouts(&self) -> Result<usize> {
        Ok(self.running().app.dispatcher.desk().newest(10).await?.len())
    }

    /// What the thread of the one card says, once it fits.
    pub(super) async fn thread(&self, what: &str, fits: impl Fn(&[Posted]) -> bool) -> Result<Vec<Posted>> {
        wait::until(what, PATIENCE, async || {
            let cards = self.slack.cards();
            let card = cards.first().context("there is no card")?;
            let thread = self.slack.thread(&card.ts);
            let texts: Vec<&str> = thread.iter().map(|message| message.text.as_str()).collect();
            ensure!(fits(&thread), "{texts:#?}, refused: {:?}", self.slack.refused());
            Ok(thread.clone())
        })
        .await
    }

    /// Waits until nothing is left to be said in the channel.
    pub(super) async fn all_is_said(&self) -> Result<()> {
        let file = self.scratch.path().join("data/tidegate.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file).read_only(true);
        let mut reader = sqlx::ConnectOptions::connect(&options).await?;
        wait::until("all is said", PATIENCE, async || {
            let waiting = "SELECT COUNT(*) FROM messages WHERE channel = 'releases' AND state = 'waiting'";
            let left: i64 = sqlx::query_scalar(waiting).fetch_one(&mut reader).await?;
            ensure!(left == 0, "{left} messages wait");
            Ok(())
        })
        .await
    }

    /// An alert of this plan fires since now, with a hostile text in it.
    pub(super) async fn alert(&self) -> Result<()> {
        let now = jiff::Timestamp::from_second(i64::try_from(seconds())?)?;
        let alert = json!({
            "status": "firing",
            "labels": {
                "alertname": "HighErrorRate", "service": "checkout", "environment": "production", "path": HOSTILE,
            },
            "annotations": { "summary": HOSTILE },
            "startsAt": now.to_string(),
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus.example/graph",
            "fingerprint": "f1f1f1f1f1f1f1f1",
        });
        let body = json!({
            "receiver": "tidegate", "status": "firing", "alerts": [alert], "groupLabels": {}, "commonLabels": {},
            "commonAnnotations": {}, "externalURL": "http://am.example", "version": "4", "groupKey": "{}:{}",
            "truncatedAlerts": 0,
        });
        let answer = http::client()?
            .post(self.url("/webhooks/alertmanager"))
            .bearer_auth(ALERTMANAGER)
            .json(&body)
            .send()
            .await?;
        ensure!(answer.status() == StatusCode::OK, "{}", answer.status());
        Ok(())
    }
}

fn seconds() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "the clock of Prometheus")]
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
