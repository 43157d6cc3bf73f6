//! The story of what is said: a workspace that takes one message at a time and loses a card, a channel that is down while it is
//! to page, and one that stands in for it.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use reqwest::StatusCode;
use serde_json::json;
use tidegate_tests::sink::Sink;
use tidegate_tests::slack::{CHANNEL, Mishap, SECRET, Slack, TEAM, TOKEN};
use tidegate_tests::tidegate::{Setup, Tidegate};
use tidegate_tests::wait;

use super::client::Alert;
use super::death::{PATIENCE, Story};
use super::ledger::Database;
use super::plan_telling;
use super::tale::Tale;

/// The story.
pub(super) struct Told {
    tale: Tale,
    slack: Slack,
    down: Sink,
    stand_in: Sink,
    /// Whether a delivery that cannot be read was answered.
    puzzled: bool,
}

impl Story for Told {
    async fn furnish() -> Result<(Self, Setup)> {
        let (slack, down, stand_in) = (Slack::start().await?, Sink::start().await?, Sink::start().await?);
        down.answer_with(StatusCode::SERVICE_UNAVAILABLE);
        slack.mishap("chat.update", &[Mishap::TooMany(1)]);
        let audiences = json!({
            "team": { "channels": ["releases", "chat", "log"], "hears": "milestones" },
            "oncall": { "channels": ["down"], "hears": "pages" },
        });
        let setup = plan_telling(&audiences)?.with(json!({
            "slack": { "workspaces": [TEAM], "api_url": slack.api_url(), "hooks_url": slack.hooks_url() },
            "channels": { "releases": { "slack": { "channel": CHANNEL } } },
        }));
        let setup = setup
            .secret_file(
                "signing",
                SECRET,
                |it| json!({ "slack": { "signing_secret_file": it } }),
            )?
            .secret_file("bot", TOKEN, |it| json!({ "slack": { "token_file": it } }))?;
        let (down_url, stand_in_url) = (down.url("/told"), stand_in.url("/told"));
        let setup = setup.secret_file("channel.secret", "the-secret-of-the-channels", |it| {
            json!({ "channels": {
                "down": { "webhook": { "url": down_url, "secret_file": it }, "fallback": "stand-in" },
                "stand-in": { "webhook": { "url": stand_in_url, "secret_file": it } },
            } })
        })?;
        let story = Self {
            tale: Tale::default(),
            slack,
            down,
            stand_in,
            puzzled: false,
        };
        Ok((story, setup))
    }

    fn tale(&mut self) -> &mut Tale {
        &mut self.tale
    }

    async fn go_on(&mut self, server: &mut Tidegate, _database: &Database) -> Result<()> {
        let client = self.tale.client(server)?;
        self.tale.hears(&[Alert::watchdog()]).await?;
        if !self.puzzled {
            client.puzzle().await?;
            self.puzzled = true;
        }
        self.tale.begins().await?;
        // The page about what could not be read waits for a channel that is down, and is said by the one that stands in. The
        // later that one is well, the longer is the pause before the next try.
        self.stand_in
            .delivery("a page of the one that is down", PATIENCE, |_| true)
            .await?;
        self.down.answer_with(StatusCode::OK);
        self.tale.serves(10.0, PATIENCE).await?;
        self.the_card_is_deleted().await?;
        self.tale.serves(100.0, PATIENCE).await?;
        self.tale.strikes().await?;
        self.tale.falls(PATIENCE).await
    }

    async fn judge(&mut self, database: &Database) -> Result<()> {
        let (cards, refused) = (self.slack.cards(), self.slack.refused());
        let card = cards
            .iter()
            .rfind(|card| card.sent["metadata"]["event_type"] == "tidegate_card");
        let shown = card.context("there is no card")?.shown();
        ensure!(shown.contains("ROLLED BACK"), "the card says: {shown}");
        // What is told before the card is missed finds no thread, and is told in the next one.
        let of_the_card = [
            "chat.update: message_not_found",
            "chat.postMessage: thread_not_found",
            "conversations.replies: thread_not_found",
        ];
        ensure!(
            refused.iter().all(|why| of_the_card.contains(&why.as_str())),
            "{refused:?}"
        );
        let unsaid = database
            .column("SELECT notice FROM messages WHERE state <> 'sent'")
            .await?;
        ensure!(unsaid.is_empty(), "{unsaid:?} were given up");
        for (sql, heard) in [
            (
                "SELECT notice FROM messages WHERE channel = 'releases'",
                self.heard_in_slack(),
            ),
            ("SELECT notice FROM messages WHERE channel = 'down'", heard(&self.down)),
            (
                "SELECT notice FROM messages WHERE channel = 'stand-in'",
                heard(&self.stand_in),
            ),
        ] {
            let told: BTreeSet<String> = database.column(sql).await?.into_iter().collect();
            ensure!(!told.is_empty(), "nothing was told: {sql}");
            ensure!(told.is_subset(&heard), "{sql}: {told:?}, and only {heard:?} was heard");
        }
        Ok(())
    }
}

impl Told {
    /// Somebody deletes the card; the next picture finds nothing to be put into. A server that died between the post and the
    /// note of it shows another one later, so every card goes until one is missed.
    async fn the_card_is_deleted(&mut self) -> Result<()> {
        let (slack, client) = (&self.slack, self.tale.known()?);
        let missed = || slack.refused().iter().any(|why| why.ends_with("message_not_found"));
        if missed() {
            return Ok(());
        }
        let note = json!({ "verb": "note", "rollout": self.tale.id()?, "note": "the card is gone" });
        let notes = std::cell::Cell::new(0);
        wait::until("the card is missed", PATIENCE, async || {
            if client.flag().await.is_err_and(|error| super::client::is_gone(&error)) {
                return Err(wait::hopeless("the server is gone"));
            }
            let cards = slack.cards();
            let shown = cards
                .iter()
                .filter(|card| card.sent["metadata"]["event_type"] == "tidegate_card");
            let gone = shown.map(|card| slack.delete(&card.ts)).count();
            if gone > 0 {
                // Something new, so that there is a picture to be drawn however far the rollout has come.
                notes.set(notes.get() + 1);
                let said = client.say(&format!("note-{}", notes.get()), &note).await;
                said.map_err(super::client::or_hopeless)?.rollout()?;
            }
            ensure!(missed(), "{:?}", slack.refused());
            Ok(())
        })
        .await
    }

    /// The notices that stand in the workspace.
    fn heard_in_slack(&self) -> BTreeSet<String> {
        let messages = self.slack.messages();
        let notices = messages
            .iter()
            .map(|message| &message.sent["metadata"]["event_payload"]["notice"]);
        notices
            .filter_map(|notice| notice.as_str().map(str::to_owned))
            .collect()
    }
}

/// The notices that a receiver has taken.
fn heard(sink: &Sink) -> BTreeSet<String> {
    let deliveries = sink.deliveries();
    let taken = deliveries.iter().filter(|delivery| delivery.answered == StatusCode::OK);
    taken
        .filter_map(|delivery| delivery.headers.get("webhook-id")?.to_str().ok().map(str::to_owned))
        .collect()
}
