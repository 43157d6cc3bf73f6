//! The story of an alert: a rollout begins, carries traffic, is rolled back by an alert, and told to a receiver that wants to
//! hear nothing.

use anyhow::Result;
use reqwest::StatusCode;
use serde_json::json;
use tidegate_tests::sink::Sink;
use tidegate_tests::tidegate::{Setup, Tidegate};

use super::client::Alert;
use super::death::{PATIENCE, Story};
use super::ledger::Database;
use super::tale::Tale;
use super::telling;

/// The story.
pub(super) struct Struck {
    tale: Tale,
    /// What is said to it is a dead letter.
    _deaf: Sink,
}

impl Story for Struck {
    async fn furnish() -> Result<(Self, Setup)> {
        let deaf = Sink::start().await?;
        deaf.answer_with(StatusCode::GONE);
        let url = deaf.url("/told");
        let setup = telling(&["chat", "log", "deaf"])?.secret_file(
            "channel.secret",
            "the-secret-of-the-channel",
            |file| json!({ "channels": { "deaf": { "webhook": { "url": url, "secret_file": file } } } }),
        )?;
        let tale = Tale::default();
        Ok((Self { tale, _deaf: deaf }, setup))
    }

    fn tale(&mut self) -> &mut Tale {
        &mut self.tale
    }

    async fn go_on(&mut self, server: &mut Tidegate, _database: &Database) -> Result<()> {
        let client = self.tale.client(server)?;
        client.keeps_house().await?;
        self.tale
            .hears(&[Alert::watchdog(), Alert::foreign(1), Alert::foreign(2)])
            .await?;
        self.tale.begins().await?;
        self.tale.serves(10.0, PATIENCE).await?;
        self.tale.strikes().await?;
        self.tale.falls(PATIENCE).await?;
        client.says_it_again(PATIENCE).await
    }
}
