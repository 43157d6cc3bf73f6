//! An alert fires although its source had said that it ended: the source is asked, and its answer is what counts.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tidegate_tests::serve::Served;
use tidegate_tests::tidegate::Tidegate;
use tidegate_tests::wait;

use crate::crash::client::{Alert, Client};
use crate::crash::{PLAN, setup};

/// Longer than any of this takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the Alertmanager lists, if it can be asked.
type Listed = Arc<Mutex<Option<Vec<Alert>>>>;

/// A rollout that carries traffic, and the Alertmanager behind it.
struct World {
    server: Tidegate,
    client: Client,
    id: String,
    listed: Listed,
    _peer: Served,
}

impl World {
    async fn new() -> Result<Self> {
        let listed: Listed = Arc::new(Mutex::new(Some(vec![Alert::watchdog()])));
        let book = Arc::clone(&listed);
        let list = move || {
            let answer = answer(&book);
            async move { answer }
        };
        let peer = Served::start(Router::new().route("/api/v2/alerts", get(list))).await?;
        let server = setup()?.peers(&[peer.url("")]).start().await?;
        let client = Client::of(&server)?;
        let (_, begun) = client.begin(PLAN, &mut "start".to_owned()).await?;
        let world = Self {
            id: begun.rollout()?,
            server,
            client,
            listed,
            _peer: peer,
        };
        wait::until("it carries traffic", PATIENCE, async || {
            let served = world.client.flag().await?;
            ensure!(
                served.as_ref().is_some_and(|served| served.weight >= 10.0),
                "{served:?}"
            );
            Ok(())
        })
        .await?;
        Ok(world)
    }

    fn lists(&self, alerts: Option<&[Alert]>) {
        *self.listed.lock().unwrap_or_else(PoisonError::into_inner) = alerts.map(<[Alert]>::to_vec);
    }

    /// The end of an alert comes first, and then the word, said before it, that it fires.
    async fn hears_late(&self, alert: &Alert) -> Result<()> {
        self.client.resolve(alert).await?;
        self.client.fire(std::slice::from_ref(alert)).await
    }

    async fn says(&self, words: &str) -> Result<Value> {
        wait::until(&format!("it says {words:?}"), PATIENCE, async || {
            let (_, said) = self.server.command(&["rollout", "history", &self.id]).await?;
            ensure!(said.contains(words), "{said}");
            Ok(self.server.get(&format!("/api/v1/rollouts/{}", self.id)).await?.1)
        })
        .await
    }
}

fn answer(book: &Listed) -> Response {
    let listed = book.lock().unwrap_or_else(PoisonError::into_inner);
    match listed.as_ref() {
        Some(alerts) => Json(json!(alerts.iter().map(Alert::listed).collect::<Vec<Value>>())).into_response(),
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

#[tokio::test]
async fn what_the_source_still_lists_rolls_back() -> Result<()> {
    let (world, alert) = (World::new().await?, Alert::errors(3));
    world.lists(Some(&[Alert::watchdog(), alert.clone()]));
    world.hears_late(&alert).await?;
    world.says("came back after its end").await?;
    world.says("Automatic rollback").await?;
    wait::until("it is rolled back", PATIENCE, async || {
        let served = world.client.flag().await?;
        ensure!(served.as_ref().is_some_and(|served| served.weight == 0.0), "{served:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_the_source_knows_no_more_was_late_word() -> Result<()> {
    let (world, alert) = (World::new().await?, Alert::errors(3));
    world.hears_late(&alert).await?;
    world.says("came back after its end").await?;
    let card = world.says("was late word of its end").await?;
    ensure!(!card["state"].to_string().contains("ROLL"), "{card}");
    let served = world.client.flag().await?;
    ensure!(
        served.as_ref().is_some_and(|served| served.weight >= 10.0),
        "{served:?}"
    );
    Ok(())
}

#[tokio::test]
async fn while_the_source_cannot_be_asked_nothing_advances() -> Result<()> {
    let (world, alert) = (World::new().await?, Alert::errors(3));
    world.lists(None);
    world.hears_late(&alert).await?;
    let card = world.says("its source cannot be asked").await?;
    ensure!(card["health"] == "NO DATA", "{card}");
    ensure!(!card["state"].to_string().contains("ROLL"), "{card}");
    // Once it can be asked again, what it lists counts.
    world.lists(Some(&[Alert::watchdog(), alert]));
    world.says("Automatic rollback").await.map(drop)
}
