//! A server of Discord, a whole Tidegate that belongs to it, and a rollout that somebody steers from there.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tidegate::app::{self, Running};
use tidegate::chat::Desk as _;
use tidegate::chat::discord::tree;
use tidegate::config::Sources;
use tidegate_rollout::Rollout;
use tidegate_tests::discord::{self, APP, Answered, CHANNEL, Discord, GUILD, Posted, Signed, TOKEN};
use tidegate_tests::scratch::Scratch;
use tidegate_tests::tidegate::Setup;
use tidegate_tests::{http, wait};

use crate::platforms;

/// Longer than anything here takes on a busy machine; nothing waits for it to pass.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// May do everything that people do.
pub(super) const ANA: &str = "80351110224678912";
/// May start, advance, pause and roll back, as ana may.
pub(super) const BEN: &str = "80351110224678915";
/// May look.
pub(super) const VIC: &str = "80351110224678913";
/// Is on the server, and unknown to Tidegate.
pub(super) const EVE: &str = "80351110224678914";

/// What the Alertmanager presents.
const ALERTMANAGER: &str = "the-token-of-alertmanager";

/// Text from outside that tries everything.
pub(super) const HOSTILE: &str = "@everyone @here <@80351110224678912> <@&539082325061836999> <#645027906669510667> **bold** `code` ||x|| [click](https://evil.example) https://evil.example :smile: <t:0:R> # big";

pub(super) const PLAN: &str = r##"
apiVersion: tidegate.dev/v1alpha1
kind: RolloutPlan
metadata: { name: checkout }
spec:
  title: "Checkout @everyone & *co*"
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
"##;

/// The settings of the application, all but its token.
fn application(discord: &Discord) -> Value {
    json!({
        "public_key": Discord::public_key(),
        "application": APP,
        "guilds": [GUILD],
        "api_url": discord.api_url(),
    })
}

/// What a real server is told about Discord and the people there.
pub(super) fn setup(discord: &Discord) -> Result<Setup> {
    let setup = Setup::new()?.plan("checkout", PLAN)?.with(json!({
        "people": people(),
        "discord": application(discord),
        "channels": { "releases": { "discord": { "channel": CHANNEL } } },
    }));
    setup.secret_file("bot", TOKEN, |file| json!({ "discord": { "token_file": file } }))
}

fn people() -> Value {
    json!([
        { "id": "ana", "discord": ANA, "roles": ["operator", "oncall", "incident-commander"] },
        { "id": "ben", "discord": BEN, "roles": ["operator"] },
        { "id": "vic", "discord": VIC, "roles": ["viewer"] },
    ])
}

/// All of it.
pub(super) struct World {
    pub(super) discord: Discord,
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
        let (discord, scratch) = (Discord::start().await?, Scratch::new("discord")?);
        discord.register(tree("rollout"))?;
        scratch.write("plan.yaml", PLAN)?;
        let mut settings = json!({
            "web": { "listen_address": "127.0.0.1:0" },
            "storage": { "path": scratch.path().join("data") },
            "people": people(),
            "plans": [scratch.path().join("plan.yaml")],
            "receivers": { "alertmanager": { "default": { "bearer_file": scratch.write("am", ALERTMANAGER)? } } },
            "discord": application(&discord),
            "channels": { "releases": { "discord": { "channel": CHANNEL } } },
        });
        settings["discord"]["token_file"] = scratch.write("token", TOKEN)?.display().to_string().into();
        change(&mut settings);
        let file = scratch.write("tidegate.yml", settings.to_string())?;
        let sources = Sources {
            file: Some(file),
            environment: HashMap::new(),
            flags: Vec::new(),
        };
        let mut world = Self {
            discord,
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

    /// Where Discord posts everything.
    pub(super) fn door(&self) -> String {
        format!("http://{}/discord/interactions", self.running().address)
    }

    /// Delivers a request as Discord does.
    pub(super) async fn deliver(&self, signed: &Signed) -> Result<Answered> {
        self.discord.deliver(&self.door(), signed).await
    }

    /// `user` sends a sub-command, and is answered.
    pub(super) async fn sent(&self, user: &str, verb: &str, options: &[(&str, &str)]) -> Result<Answered> {
        let answered = self.deliver(&self.discord.command(user, verb, options)?).await?;
        ensure!(answered.status == StatusCode::OK, "{verb}: {answered:?}");
        Ok(answered)
    }

    /// `user` sends a sub-command; what they see in the end, which must be for their eyes only and nothing but text.
    pub(super) async fn say(&self, user: &str, verb: &str, options: &[(&str, &str)]) -> Result<String> {
        self.answer_to(verb, self.discord.command(user, verb, options)?).await
    }

    /// As [`World::say`], from a client that shows what was registered once and is not any more.
    pub(super) async fn say_of_old(&self, user: &str, verb: &str, options: &[(&str, &str)]) -> Result<String> {
        let signed = self.discord.command_in(APP, Some(GUILD), user, verb, options);
        self.answer_to(verb, signed).await
    }

    async fn answer_to(&self, verb: &str, signed: Signed) -> Result<String> {
        let answered = self.deliver(&signed).await?;
        ensure!(answered.status == StatusCode::OK, "{verb}: {answered:?}");
        let flags = answered.body["data"]["flags"].as_u64().unwrap_or(0);
        ensure!(flags & 64 == 64, "{verb}: not for their eyes only: {answered:?}");
        self.seen(&answered.token).await
    }

    /// What the person of an interaction sees, once there is something.
    pub(super) async fn seen(&self, token: &str) -> Result<String> {
        let shown = self.discord.sees(token, PATIENCE, |_| true).await?;
        let pings = discord::pings(&shown);
        ensure!(pings.is_empty(), "{pings:?}");
        let refused = self.discord.refused();
        ensure!(refused.is_empty(), "{refused:?}");
        Ok(discord::shown(&shown))
    }

    /// `user` presses a button that asks nothing, or answers a question; what they see.
    pub(super) async fn pressed(&self, signed: &Signed) -> Result<String> {
        let answered = self.deliver(signed).await?;
        ensure!(answered.status == StatusCode::OK, "{answered:?}");
        self.seen(&answered.token).await
    }

    /// `user` presses a button of a message; what they see.
    pub(super) async fn press(&self, user: &str, message: &Posted, action: &str) -> Result<String> {
        self.pressed(&self.discord.press(user, message, action)?).await
    }

    /// `user` presses a button that asks first, and gets the press with which they say yes.
    pub(super) async fn asked(&self, user: &str, message: &Posted, action: &str) -> Result<Signed> {
        let signed = self.discord.press(user, message, action)?;
        let answered = self.deliver(&signed).await?;
        let question = &answered.body["data"];
        ensure!(
            answered.body["type"] == 4 && question["flags"].as_u64().unwrap_or(0) & 64 == 64,
            "{answered:?}"
        );
        ensure!(
            question["content"].as_str().is_some_and(|text| text.contains('?')),
            "{answered:?}"
        );
        self.discord.press_in(user, question, &format!("{action}!"))
    }

    /// `user` presses a button that asks first, and says yes; what they see.
    pub(super) async fn confirmed(&self, user: &str, message: &Posted, action: &str) -> Result<String> {
        self.pressed(&self.asked(user, message, action).await?).await
    }

    /// A rollout whose first phase has baked and waits for a person, and its card.
    pub(super) async fn at_the_first_gate(&self) -> Result<Posted> {
        let said = self
            .say(ANA, "start", &[("plan", "checkout"), ("version", "2.3.0")])
            .await?;
        ensure!(said.contains("checkout-1"), "{said}");
        self.card("the first gate waits", waits).await
    }

    /// The card, once it fits. Nothing that Discord was sent may have been refused meanwhile.
    pub(super) async fn card(&self, what: &str, fits: impl Fn(&Posted) -> bool) -> Result<Posted> {
        let card = self.discord.card(what, PATIENCE, fits).await;
        let refused = self.discord.refused();
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
            let now = format!(":checkout-1:{}", self.rollout().await?.generation);
            let card = self.discord.cards().pop().context("there is no card")?;
            let shows = card.button("rollback").context("it cannot be rolled back")?["custom_id"].clone();
            ensure!(
                shows.as_str().is_some_and(|id| id.ends_with(&now)),
                "it shows {shows}, the rollout is {now}"
            );
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
            let cards = self.discord.cards();
            let card = cards.first().context("there is no card")?;
            let thread = self.discord.messages(&card.id);
            let texts: Vec<String> = thread.iter().map(Posted::shown).collect();
            ensure!(fits(&thread), "{texts:#?}, refused: {:?}", self.discord.refused());
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
        #[expect(clippy::disallowed_methods, reason = "the clock of Prometheus")]
        let now = jiff::Timestamp::now();
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
            .post(format!("http://{}/webhooks/alertmanager", self.running().address))
            .bearer_auth(ALERTMANAGER)
            .json(&body)
            .send()
            .await?;
        ensure!(answer.status() == StatusCode::OK, "{}", answer.status());
        Ok(())
    }
}

/// Whether a card says that a person may advance it.
pub(super) fn waits(card: &Posted) -> bool {
    card.shown().contains("WAITING") && card.buttons().contains(&"[Advance…]".to_owned())
}
