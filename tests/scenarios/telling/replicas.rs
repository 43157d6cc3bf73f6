//! Replicas on one PostgreSQL: the chat of each shows everything, one that is cut off serves nobody, and one that goes is
//! not waited for.

use anyhow::{Context, Result, ensure};
use reqwest::StatusCode;
use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use tidegate_tests::postgres::Postgres;
use tidegate_tests::scratch::Scratch;
use tidegate_tests::wait;

use super::{Gate, PATIENCE};

/// A replica on the database at `url`.
async fn replica(url: &str) -> Result<Gate> {
    let scratch = Scratch::new("replica")?;
    let file = scratch.write("postgres.url", url)?;
    Gate::open(&[], &[("/storage/postgres_url_file", json!(file))]).await
}

async fn shows(gate: &Gate, words: &str) -> Result<()> {
    wait::until(&format!("the chat shows {words:?}"), PATIENCE, async || {
        let page = gate.page("/chat").await?;
        ensure!(page.contains(words), "{page}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_chat_of_every_replica_shows_everything_once_also_after_a_start() -> Result<()> {
    let server = Postgres::shared().await?;
    let url = server.create_database().await?;
    let one = replica(&url).await?;
    let id = one.start().await?;
    let began = "k-phase-began";
    shows(&one, began).await?;
    let other = replica(&url).await?;
    shows(&other, began).await?;
    one.say(&format!("rollback {id} errors")).await?;
    for gate in [&one, &other] {
        shows(gate, "k-rolled-back").await?;
        let page = gate.page("/chat").await?;
        for kind in ["k-started", began, "k-rolling-back", "k-rolled-back"] {
            assert_eq!(
                page.matches(&format!("class=\"{kind} ")).count(),
                1,
                "{kind} in\n{page}"
            );
        }
    }
    Ok(())
}

/// Waits until both probes answer so, and, where they are not well, both name the part.
async fn probes_say(gate: &Gate, expected: StatusCode) -> Result<()> {
    wait::until(&format!("the probes say {expected}"), PATIENCE, async || {
        for path in ["/-/ready", "/health"] {
            let request = gate.house.get(path).bearer_auth(gate.house.admin());
            let answer = request.send().await?;
            let (status, body) = (answer.status(), answer.text().await?);
            ensure!(status == expected, "{path} says {status}: {body}");
            ensure!(
                status == StatusCode::OK || body.contains("store"),
                "{path} names no store: {body}"
            );
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_cut_off_serves_no_flag_and_says_why_until_it_is_back() -> Result<()> {
    let mut server = Postgres::start().await?;
    let gate = replica(&server.create_database().await?).await?;
    gate.start().await?;
    let (status, served) = gate.flag().await?;
    assert_eq!((status, &served["metadata"]["weight"]), (StatusCode::OK, &json!("50%")));
    probes_say(&gate, StatusCode::OK).await?;
    server.stop().await?;
    let answer = wait::until("the flag is an error", PATIENCE, async || {
        let (status, body) = gate.flag().await?;
        ensure!(status == StatusCode::SERVICE_UNAVAILABLE, "{status} {body}");
        Ok(body)
    })
    .await?;
    assert_eq!(answer["errorCode"], "GENERAL", "the default of the caller's code holds");
    probes_say(&gate, StatusCode::SERVICE_UNAVAILABLE).await?;
    let alive = gate.house.get("/-/healthy").send().await?.status();
    assert_eq!(alive, StatusCode::OK, "nobody shall restart it for that");
    server.start_again().await?;
    wait::until("the flag is served again", PATIENCE, async || {
        let (status, body) = gate.flag().await?;
        ensure!(status == StatusCode::OK, "{status} {body}");
        Ok(())
    })
    .await?;
    probes_say(&gate, StatusCode::OK).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_goes_is_not_waited_for() -> Result<()> {
    let server = Postgres::shared().await?;
    let url = server.create_database().await?;
    let gate = replica(&url).await?;
    gate.start().await?;
    let mut database = PgConnection::connect(&url).await?;
    let held =
        "SELECT (SELECT COUNT(*) FROM replicas WHERE seen_at > 0) + (SELECT COUNT(*) FROM leases WHERE expires_at > 0)
                + (SELECT COUNT(*) FROM actions WHERE outcome IS NULL AND claimed_until > 0)
                + (SELECT COUNT(*) FROM messages WHERE state = 'waiting' AND claimed_until > 0)";
    let (before,): (i64,) = sqlx::query_as(held).fetch_one(&mut database).await?;
    ensure!(before >= 2, "it lives and leads");
    let beat = "SELECT MAX(beat_at) FROM replicas";
    gate.house.running.stop().await;
    let (after,): (i64,) = sqlx::query_as(held).fetch_one(&mut database).await?;
    assert_eq!(after, 0, "nothing is left for others to wait for");
    let (beat,): (Option<i64>,) = sqlx::query_as(beat).fetch_one(&mut database).await?;
    beat.context("when it watched last is kept")?;
    Ok(())
}
