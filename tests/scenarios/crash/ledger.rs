//! What the server has promised, kept by the other side: answered alerts, weights as served, answers by key.
//!
//! Owns every judgement of the crash scenarios. Reads the database directly: what is answered over HTTP could come from memory.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tidegate_tests::tidegate::Tidegate;

use super::client::{Alert, Answered, Client, Served};

/// Where the server remembers.
#[derive(Clone, Debug)]
pub(crate) enum Database {
    /// A file.
    Sqlite(PathBuf),
    /// A URL.
    Postgres(String),
}

impl Database {
    /// The file of a server on SQLite.
    pub(crate) fn of(server: &Tidegate) -> Self {
        Self::Sqlite(server.scratch().path().join("data/tidegate.db"))
    }

    /// The rollouts that were not over when the server died. SQLite is looked at in a copy: opening it would tidy up what the
    /// server has to find as it was left.
    pub(crate) async fn left_open(&self) -> Result<Vec<String>> {
        let sql = "SELECT id FROM rollouts WHERE is_final = 0";
        let Self::Sqlite(file) = self else {
            return self.column(sql).await;
        };
        let folder = tempfile::tempdir()?;
        let copy = folder.path().join("copy.db");
        std::fs::copy(file, &copy)?;
        let log = file.with_extension("db-wal");
        if log.exists() {
            std::fs::copy(log, folder.path().join("copy.db-wal"))?;
        }
        let mut link = SqliteConnectOptions::new().filename(&copy).connect().await?;
        let rows: Vec<(String,)> = sqlx::query_as(sql).fetch_all(&mut link).await?;
        link.close().await?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

    /// The first column of every row.
    pub(crate) async fn column(&self, sql: &'static str) -> Result<Vec<String>> {
        let rows: Vec<(String,)> = match self {
            Self::Sqlite(file) => {
                let mut link = SqliteConnectOptions::new()
                    .filename(file)
                    .read_only(true)
                    .connect()
                    .await?;
                let rows = sqlx::query_as(sql).fetch_all(&mut link).await?;
                link.close().await?;
                rows
            }
            Self::Postgres(url) => {
                let mut link = PgConnection::connect(url).await?;
                let rows = sqlx::query_as(sql).fetch_all(&mut link).await?;
                link.close().await?;
                rows
            }
        };
        Ok(rows.into_iter().map(|(text,)| text).collect())
    }
}

/// The ledger of one server.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Alerts that were answered 200.
    acked: HashSet<String>,
    /// Rollouts that are over; their flag stays at zero.
    over: BTreeSet<String>,
    /// The rollout now, and its weight as seen last.
    now: Option<(String, f64)>,
    /// The rollout now must not rise any more.
    latched: bool,
    /// The last command and its answer.
    answer: Option<(String, Value, Answered)>,
    /// How many rollouts there are.
    pub(crate) begun: usize,
}

impl Ledger {
    /// These were answered 200.
    pub(crate) fn acked(&mut self, alerts: &[Alert]) {
        self.acked.extend(alerts.iter().map(|alert| alert.fingerprint.clone()));
    }

    /// How many alerts were answered 200.
    pub(crate) fn alerts(&self) -> usize {
        self.acked.len()
    }

    /// This rollout began.
    pub(crate) fn began(&mut self, rollout: &str) {
        self.begun += 1;
        self.now = Some((rollout.to_owned(), 0.0));
        self.latched = false;
    }

    /// The rollout now is rolled back.
    pub(crate) fn ended(&mut self) {
        self.over.extend(self.now.take().map(|(rollout, _)| rollout));
    }

    /// The rollout now has decided to go back.
    pub(crate) fn decided(&mut self) {
        self.latched = true;
    }

    /// Judges a weight: after the decision it never rises, and what is over stays at zero.
    pub(crate) fn serves(&mut self, served: Option<&Served>) -> Result<()> {
        let Some(Served { rollout, weight, on }) = served else {
            return Ok(());
        };
        // What a user is answered is what counts; the weight beside it must say the same.
        ensure!(
            !on || *weight > 0.0,
            "{rollout} says {weight}%, and its user is in the new version"
        );
        ensure!(
            *on || *weight < 100.0,
            "{rollout} says {weight}%, and its user is in the old version"
        );
        ensure!(
            !self.over.contains(rollout) || *weight == 0.0,
            "{rollout} is over and serves {weight}%"
        );
        let Some((_, before)) = self.now.as_mut().filter(|(now, _)| now == rollout) else {
            return Ok(());
        };
        ensure!(
            !self.latched || *weight <= *before,
            "{rollout} rose from {before}% to {weight}% after it had decided to go back"
        );
        // Planned weights only rise: one that falls is a decision seen.
        self.latched |= *weight < *before;
        *before = *weight;
        Ok(())
    }

    /// Keeps the answer to a command.
    pub(crate) fn answered(&mut self, key: &str, said: &Value, answer: &Answered) {
        self.answer = Some((key.to_owned(), said.clone(), answer.clone()));
    }

    /// Gives the last command again: it gets its first answer.
    pub(crate) async fn ask_again(&self, client: &Client) -> Result<()> {
        let Some((key, said, first)) = &self.answer else {
            return Ok(());
        };
        let again = client.say(key, said).await?;
        ensure!(again == *first, "{key} was answered {first:?}, and then {again:?}");
        Ok(())
    }

    /// Compares with what the server remembers.
    pub(crate) async fn compare(&self, database: &Database) -> Result<()> {
        let stored: HashSet<String> = database
            .column("SELECT fingerprint FROM alerts")
            .await
            .context("read the alerts")?
            .into_iter()
            .collect();
        let lost: Vec<&String> = self.acked.difference(&stored).collect();
        ensure!(lost.is_empty(), "answered 200, and not in the store: {lost:?}");
        let rollouts = database
            .column("SELECT id FROM rollouts")
            .await
            .context("read the rollouts")?;
        ensure!(
            rollouts.len() == self.begun,
            "{} rollouts were started, and there are {rollouts:?}",
            self.begun
        );
        Ok(())
    }
}

/// Lets the product check its own log.
pub(crate) async fn log_is_whole(server: &Tidegate) -> Result<()> {
    let configuration = server.scratch().path().join("tidegate.yml");
    let configuration = format!("--config.file={}", configuration.display());
    let (code, printed) = server.command(&["log", "verify", &configuration]).await?;
    ensure!(code == 0, "`log verify` ended with {code}: {printed}");
    Ok(())
}
