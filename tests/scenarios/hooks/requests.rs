//! Requests and probes: a small real server answers them, well and badly.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, ensure};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tidegate_tests::serve::Served;

use super::house::{Hooked, House, programs};

/// What was received, and how often health was looked at.
#[derive(Debug, Default)]
struct Seen {
    posts: Vec<(String, Value)>,
    looks: usize,
}

type Shared = Arc<Mutex<Seen>>;

async fn shadow(State(seen): State<Shared>, headers: HeaderMap, Json(body): Json<Value>) -> StatusCode {
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok());
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    seen.posts.push((key.unwrap_or_default().to_owned(), body));
    StatusCode::ACCEPTED
}

/// Green is ready at the third look.
async fn health(State(seen): State<Shared>) -> Json<Value> {
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    seen.looks += 1;
    let status = if seen.looks < 3 { "warming" } else { "ok" };
    Json(json!({ "status": status, "database": { "version": 14 } }))
}

async fn service() -> Result<(Served, Shared)> {
    let seen = Shared::default();
    let router = Router::new()
        .route("/shadow", post(shadow))
        .route("/health", get(health))
        .with_state(Arc::clone(&seen));
    Ok((Served::start(router).await?, seen))
}

fn hooked(served: &Served, attempts: u32, version: &str) -> Hooked {
    let expect = json!({ "status": 200, "json": { "/status": "ok", "/database/version": version } });
    Hooked {
        hooks: json!({ "shadow": { "run": { "http": { "url": served.url("/shadow") } } } }),
        probes: json!({ "green": {
            "http": { "url": served.url("/health"), "expect": expect }, "attempts": attempts, "pause": "100ms",
        } }),
        before: vec!["shadow", "green"],
        ..Hooked::default()
    }
}

async fn house(served: &Served, hooked: &Hooked) -> Result<House> {
    let scratch = programs(&[])?;
    let allowed = json!({ "egress": { "allow": [served.address().to_string()] } });
    let setup = super::house::setup(&scratch, hooked, allowed)?;
    House::with(setup, scratch).await
}

#[tokio::test]
async fn a_request_is_named_and_carries_the_facts_and_a_probe_looks_until_it_sees() -> Result<()> {
    let (served, seen) = service().await?;
    let house = house(&served, &hooked(&served, 5, "14")).await?;
    let id = house.begin().await?;
    house.becomes(&id, "WATCHING").await?;
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    ensure!(seen.posts.len() == 1 && seen.looks == 3, "{seen:?}");
    let (key, body) = &seen.posts[0];
    assert!(key.starts_with(&format!("{id}.")), "{key}");
    assert_eq!(
        (body["rollout_id"].as_str(), body["rollout_phase"].as_str()),
        (Some(id.as_str()), Some("all"))
    );
    Ok(())
}

#[tokio::test]
async fn a_probe_that_sees_something_else_says_what_and_nothing_moves() -> Result<()> {
    let (served, _seen) = service().await?;
    let house = house(&served, &hooked(&served, 4, "15")).await?;
    let id = house.begin().await?;
    house.becomes(&id, "HELD").await?;
    let told = house.told(&id, "hook-failed").await?;
    assert!(
        told.contains("says `14` at `/database/version` instead of `15`"),
        "{told}"
    );
    assert!(told.contains(r#""status":"ok""#), "the answer is shown: {told}");
    house.never_moved(&id).await
}

#[tokio::test]
async fn a_host_that_is_not_allowed_is_not_called() -> Result<()> {
    let (served, seen) = service().await?;
    let scratch = programs(&[])?;
    let setup = super::house::setup(&scratch, &hooked(&served, 1, "14"), json!({}))?;
    let said = super::house::faults(setup).await?;
    assert!(said.contains("is not in `egress.allow`"), "{said}");
    assert_eq!(seen.lock().unwrap_or_else(PoisonError::into_inner).looks, 0);
    Ok(())
}
