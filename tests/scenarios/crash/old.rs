//! The story of a server that finds what is older than its retention: a rollout, lines of its log, alerts, deliveries, messages. It
//! forgets them, and a rollout goes its way meanwhile.

use anyhow::{Result, ensure};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tidegate::store::{Settled, Storage, Store};
use tidegate_rollout::{DeliveryId, Entry};
use tidegate_tests::tidegate::{Setup, Tidegate};
use tidegate_tests::wait;

use super::client::{Alert, or_hopeless};
use super::death::{PATIENCE, Story};
use super::ledger::Database;
use super::setup;
use super::tale::Tale;
use crate::store_contract::outbox::read_back;
use crate::store_contract::world::{CLAIM, alert, delivery, plan, resolved, rollback, started, took, write_down};

/// More than the piece that is forgotten at once.
const LINES: i64 = 260;

/// The story.
#[derive(Default)]
pub(super) struct Forgetful {
    tale: Tale,
}

impl Story for Forgetful {
    async fn furnish() -> Result<(Self, Setup)> {
        Ok((Self::default(), setup()?.with(json!({ "storage": { "keep": "1h" } }))))
    }

    async fn lay_down(&self, server: &Tidegate) -> Result<()> {
        let store = Store::open(&Storage::directory(server.scratch().path().join("data"))).await?;
        age(&store, tidegate::clock::now() - SignedDuration::from_hours(48)).await
    }

    fn tale(&mut self) -> &mut Tale {
        &mut self.tale
    }

    async fn go_on(&mut self, server: &mut Tidegate, database: &Database) -> Result<()> {
        let client = self.tale.client(server)?;
        let told = "SELECT kind FROM log WHERE chain = 'server' AND kind IN ('forgotten', 'forgotten-lines')";
        wait::until("what is old is forgotten", PATIENCE, async || {
            client.flag().await.map_err(or_hopeless)?;
            let told = database.column(told).await?;
            ensure!(told.len() == 2, "{told:?}");
            Ok(())
        })
        .await?;
        self.tale.hears(&[Alert::watchdog()]).await?;
        self.tale.begins().await?;
        self.tale.serves(10.0, PATIENCE).await?;
        self.tale.strikes().await?;
        self.tale.falls(PATIENCE).await
    }

    async fn judge(&mut self, database: &Database) -> Result<()> {
        for sql in [
            "SELECT id FROM rollouts WHERE id = 'old-1'",
            "SELECT kind FROM log WHERE chain = 'old-1'",
            "SELECT notice FROM messages WHERE rollout = 'old-1'",
            "SELECT id FROM deliveries WHERE id IN ('old', 'ghost')",
            "SELECT fingerprint FROM alerts WHERE fingerprint IN ('old', 'ghost')",
        ] {
            let left = database.column(sql).await?;
            ensure!(left.is_empty(), "{sql}: {left:?}");
        }
        Ok(())
    }
}

/// Leaves what a server would have left that stood still since `then`.
async fn age(store: &Store, then: Timestamp) -> Result<()> {
    let after = |seconds| then + SignedDuration::from_secs(seconds);
    let over = resolved(alert("Over", "old", then), after(1));
    store.remember(delivery("old", then, vec![over])).await?;
    // It fires by the last word on it, and nobody has spoken of it for two months.
    let long_before = then - SignedDuration::from_hours(60 * 24);
    let ghost = alert("Ghost", "ghost", long_before);
    store.remember(delivery("ghost", long_before, vec![ghost])).await?;
    for id in ["old", "ghost"].map(DeliveryId::new) {
        store.settle(&[Settled { id, answer: None }]).await?;
    }
    let rollout = started(store, &plan("old", "old-flag"), then).await?;
    let rollout = took(store, &rollout, &rollback("it is old"), after(1)).await?;
    let action = store.open_actions(&rollout.id).await?.remove(0).action;
    let rollout = took(store, &rollout, &read_back(&action), after(2)).await?;
    ensure!(rollout.is_final(), "{}", rollout.state_word());
    store.close_action(&action.id, "applied").await?;
    for channel in store.channels_due(after(3)).await? {
        for message in store.claim_messages(&channel, "r1", after(3), CLAIM, 100).await? {
            store.sent(&message.notice.id, &message.channel).await?;
        }
    }
    for number in 0..LINES {
        let line = Entry {
            at: after(number),
            kind: "noted".to_owned(),
            by: "mara".to_owned(),
            text: format!("line {number}"),
            surface: None,
        };
        write_down(store, &line).await?;
    }
    Ok(())
}
