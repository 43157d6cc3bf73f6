//! What is said: signed, and under one id until it is taken. What cannot be said: a channel that hangs delays no other, and a
//! dead letter is seen and tried once more.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use reqwest::StatusCode;
use tidegate_tests::sink::{Delivery, Sink};
use tidegate_tests::wait;
use tokio::net::TcpListener;

use super::{Gate, PATIENCE, SECRET, json_of};

/// A channel that takes every connection, answers none, and counts them.
async fn hangs() -> Result<(String, Arc<AtomicUsize>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/hook", listener.local_addr()?);
    let count = Arc::new(AtomicUsize::new(0));
    tokio::spawn({
        let count = Arc::clone(&count);
        async move {
            let mut open = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                open.push(stream);
            }
        }
    });
    Ok((url, count))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_hangs_delays_no_other() -> Result<()> {
    let pager = Sink::start().await?;
    let (url, attempts) = hangs().await?;
    let gate = Gate::open(&[("a-hung-one", url), ("pager", pager.url("/page"))], &[]).await?;
    let id = gate.start().await?;
    wait::until("the first message hangs", PATIENCE, async || {
        ensure!(attempts.load(Ordering::SeqCst) == 1);
        Ok(())
    })
    .await?;
    gate.say(&format!("rollback {id} errors")).await?;
    pager
        .delivery("somebody is paged", PATIENCE, |body| {
            body["type"] == "rollout.rolled-back"
        })
        .await?;
    assert_eq!(
        attempts.load(Ordering::SeqCst),
        1,
        "the page went out before even the first attempt on the other channel was over"
    );
    let kinds: Vec<String> = pager
        .deliveries()
        .iter()
        .map(|delivery| anyhow::Ok(delivery.json()?["type"].as_str().context("no type")?.to_owned()))
        .collect::<Result<_>>()?;
    let expected = [
        "rollout.started",
        "rollout.phase-began",
        "rollout.rolling-back",
        "rollout.rolled-back",
    ];
    assert_eq!(
        kinds, expected,
        "within a channel the order is kept, and nothing is said twice"
    );
    Ok(())
}

/// What tells a message from every other one.
fn id_of(delivery: &Delivery) -> Result<&str> {
    let id = delivery.headers.get("webhook-id").context("no id")?;
    Ok(id.to_str()?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_signed_and_comes_again_under_its_id_until_it_is_taken_once() -> Result<()> {
    let pager = Sink::start().await?;
    pager.answer_with(StatusCode::SERVICE_UNAVAILABLE);
    let gate = Gate::open(&[("pager", pager.url("/page"))], &[]).await?;
    let id = gate.start().await?;
    let of = |kind: &'static str| move |body: &serde_json::Value| body["type"] == kind;
    pager.delivery("the first try", PATIENCE, of("rollout.started")).await?;
    pager.answer_with(StatusCode::OK);
    gate.say(&format!("rollback {id} errors")).await?;
    let kinds = [
        "rollout.started",
        "rollout.phase-began",
        "rollout.rolling-back",
        "rollout.rolled-back",
    ];
    // What was put off does not hold up what comes after it.
    let told = wait::until("all of it is taken", PATIENCE, async || {
        let told = pager.deliveries();
        for kind in kinds {
            let taken = |delivery: &Delivery| {
                delivery.answered == StatusCode::OK && delivery.json().is_ok_and(|body| body["type"] == kind)
            };
            ensure!(told.iter().any(taken), "{kind} is not");
        }
        Ok(told)
    })
    .await?;
    for delivery in &told {
        delivery.is_signed_with(SECRET)?;
        let forged = Delivery {
            body: String::from_utf8(delivery.body.to_vec())?
                .replace(&id, "another-1")
                .into(),
            ..delivery.clone()
        };
        ensure!(forged.is_signed_with(SECRET).is_err(), "any body fits the signature");
        ensure!(delivery.is_signed_with("another-secret").is_err(), "any secret fits");
    }
    let mut taken = Vec::new();
    for kind in kinds {
        let tries: Vec<&Delivery> = told
            .iter()
            .filter(|delivery| delivery.json().is_ok_and(|body| body["type"] == kind))
            .collect();
        let (last, before) = tries.split_last().with_context(|| format!("no {kind}"))?;
        assert_eq!(last.answered, StatusCode::OK, "{kind} was not taken");
        for earlier in before {
            assert_eq!(
                earlier.answered,
                StatusCode::SERVICE_UNAVAILABLE,
                "{kind} came again after it was taken"
            );
            assert_eq!(id_of(earlier)?, id_of(last)?, "{kind} came again under another id");
            assert_eq!(earlier.body, last.body, "{kind} came again in other words");
        }
        ensure!(kind != "rollout.started" || !before.is_empty(), "it was never refused");
        taken.push(id_of(last)?);
    }
    taken.sort_unstable();
    taken.dedup();
    assert_eq!(taken.len(), 4, "two messages have one id");
    let letters = gate.api("/api/v1/dead-letters").await?;
    assert_eq!(letters["count"], 0, "{letters}");
    Ok(())
}

/// A channel that is down for a minute has no dead letters, and yet not everything was said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_tried_on_is_no_dead_letter_and_is_told_beside_them() -> Result<()> {
    let pager = Sink::start().await?;
    pager.answer_with(StatusCode::SERVICE_UNAVAILABLE);
    let gate = Gate::open(&[("pager", pager.url("/page"))], &[]).await?;
    gate.start().await?;
    let known = wait::until("it failed once", PATIENCE, async || {
        let known = gate.api("/api/v1/dead-letters").await?;
        ensure!(known["tried_on"][0]["channel"] == "pager", "{known}");
        Ok(known)
    })
    .await?;
    let failing = &known["tried_on"][0];
    ensure!(
        known["count"] == 0 && failing["why"].as_str().is_some_and(|why| why.contains("503")),
        "{known}"
    );
    pager.answer_with(StatusCode::OK);
    wait::until("all of it is said", PATIENCE, async || {
        let known = gate.api("/api/v1/dead-letters").await?;
        ensure!(
            known["tried_on"] == serde_json::json!([]) && known["count"] == 0,
            "{known}"
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_is_seen_and_tried_once_more() -> Result<()> {
    let pager = Sink::start().await?;
    pager.answer_with(StatusCode::NOT_FOUND);
    let gate = Gate::open(&[("pager", pager.url("/page"))], &[]).await?;
    ensure!(!gate.page("/").await?.contains("NOT SAID"));
    let id = gate.start().await?;
    let letters = wait::until("both messages are dead", PATIENCE, async || {
        let letters = gate.api("/api/v1/dead-letters").await?;
        ensure!(letters["count"] == 2, "{letters}");
        Ok(letters)
    })
    .await?;
    let first = &letters["dead_letters"][1];
    ensure!(
        first["kind"] == "started" && first["rollout"] == id.as_str(),
        "{letters}"
    );
    ensure!(
        first["attempts"] == 1 && first["why"].as_str().is_some_and(|why| why.contains("404")),
        "{letters}"
    );
    let board = gate.page("/").await?;
    ensure!(
        board.contains("2 MESSAGES NOT SAID") && board.contains("404"),
        "{board}"
    );

    pager.answer_with(StatusCode::OK);
    let notice = first["notice"].as_str().context("no notice")?;
    let path = format!("/api/v1/dead-letters/{notice}/pager/retry");
    let viewer = gate.house.token("the-viewer", &[]).await;
    let refused = gate.house.post(&path).bearer_auth(viewer).send().await?;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let oncall = gate.house.token("the-oncall", &[]).await;
    let retry = async || gate.house.post(&path).bearer_auth(&oncall).send().await;
    let retried = json_of(retry().await?).await;
    ensure!(
        retried["channel"] == "pager" && retried["notice"] == notice,
        "{retried}"
    );
    let said = |body: &serde_json::Value| body["type"] == "rollout.started";
    wait::until("it is said", PATIENCE, async || {
        let delivered = pager.deliveries();
        ensure!(
            delivered
                .iter()
                .filter(|delivery| delivery.json().is_ok_and(|body| said(&body)))
                .count()
                == 2
        );
        Ok(())
    })
    .await?;
    let left = gate.api("/api/v1/dead-letters").await?;
    ensure!(left["count"] == 1, "{left}");
    assert_eq!(
        retry().await?.status(),
        StatusCode::NOT_FOUND,
        "it is no dead letter any more"
    );
    let log = gate.api("/api/v1/log").await?;
    let lines = log["entries"].as_array().context("no lines")?;
    let retried = lines.iter().find(|line| line["kind"] == "retried");
    let retried = retried.and_then(|line| line["text"].as_str()).context("no line")?;
    ensure!(retried.starts_with("the-oncall has "), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_servers_log_is_shown() -> Result<()> {
    let gate = Gate::open(&[], &[]).await?;
    gate.say("freeze production for the fair").await?;
    gate.say("thaw production").await?;
    let log = gate.api("/api/v1/log").await?;
    let lines = log["entries"].as_array().context("no lines")?;
    let kinds: Vec<_> = lines.iter().filter_map(|line| line["kind"].as_str()).collect();
    assert_eq!(kinds, ["token-made", "freeze", "thaw"], "{log}");
    let board = gate.page("/").await?;
    ensure!(board.contains("admin allowed changes of production again."), "{board}");
    ensure!(board.contains("for the fair"), "{board}");
    Ok(())
}
