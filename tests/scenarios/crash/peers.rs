//! The story of an Alertmanager that never sends anything: what it lists is asked for, and rolls back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tidegate_tests::serve::Served;
use tidegate_tests::tidegate::{Setup, Tidegate};

use super::client::Alert;
use super::death::{PATIENCE, Story};
use super::ledger::Database;
use super::setup;
use super::tale::Tale;

type Listed = Arc<Mutex<Vec<Alert>>>;

/// The story.
pub(super) struct Polled {
    tale: Tale,
    listed: Listed,
    _peer: Served,
}

impl Story for Polled {
    async fn furnish() -> Result<(Self, Setup)> {
        let listed: Listed = Arc::new(Mutex::new(vec![Alert::watchdog()]));
        let book = Arc::clone(&listed);
        let list = move || {
            let alerts: Vec<Value> = open(&book).iter().map(Alert::listed).collect();
            async move { Json(json!(alerts)) }
        };
        let peer = Served::start(Router::new().route("/api/v2/alerts", get(list))).await?;
        let setup = setup()?.peers(&[peer.url("")]);
        let tale = Tale::default();
        Ok((
            Self {
                tale,
                listed,
                _peer: peer,
            },
            setup,
        ))
    }

    fn tale(&mut self) -> &mut Tale {
        &mut self.tale
    }

    async fn go_on(&mut self, server: &mut Tidegate, _database: &Database) -> Result<()> {
        self.tale.client(server)?;
        self.tale.begins().await?;
        self.tale.serves(10.0, PATIENCE).await?;
        if !self.tale.promised() {
            open(&self.listed).push(Alert::errors(3));
            self.tale.lies_in_wait();
        }
        self.tale.falls(PATIENCE).await
    }
}

fn open(listed: &Listed) -> MutexGuard<'_, Vec<Alert>> {
    listed.lock().unwrap_or_else(PoisonError::into_inner)
}
