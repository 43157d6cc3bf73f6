//! The promise of three seconds, kept by a server of its own while alerts pour in.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use reqwest::StatusCode;
use tidegate_tests::slack::Slack;
use tidegate_tests::storm::Storm;
use tidegate_tests::tidegate::Tidegate;
use tidegate_tests::wait;

use super::world::{ANA, PATIENCE, setup};

/// How often everything is said.
const ROUNDS: usize = 8;
/// Slack waits so long.
const PROMISE: Duration = Duration::from_secs(3);

/// Types a command; how long the first answer took, and whether it was the result.
async fn typed(slack: &Slack, server: &Tidegate, text: &str) -> Result<(Duration, bool)> {
    let command = slack.command(ANA, text);
    let answered = slack.deliver(&server.url("/slack/commands"), &command).await?;
    ensure!(answered.status == StatusCode::OK, "{answered:?}");
    ensure!(answered.took < PROMISE, "{:?}", answered.took);
    let mut shown = answered.shown();
    let at_once = !shown.contains("Working on it");
    if !at_once {
        let late = slack.late_answer(&answered.response_url, PATIENCE).await?;
        shown = tidegate_tests::slack::read(&late).0;
    }
    ensure!(!shown.contains("not stored"), "{shown}");
    Ok((answered.took, at_once))
}

/// Presses a button of the card; how long it took until Slack was answered. What the presser sees comes beside that.
async fn pressed(slack: &Slack, server: &Tidegate, action: &str) -> Result<Duration> {
    let cards = slack.cards();
    let card = cards.first().context("there is no card")?;
    let revision = card.button("rollback").context("it cannot be rolled back")?["value"].clone();
    let press = slack.press_with(ANA, &card.ts, action, revision.as_str().unwrap_or_default());
    let answered = slack.deliver(&server.url("/slack/interactions"), &press).await?;
    ensure!(answered.status == StatusCode::OK, "{answered:?}");
    ensure!(answered.took < PROMISE, "{:?}", answered.took);
    let late = slack.late_answer(&answered.response_url, PATIENCE).await?;
    let shown = tidegate_tests::slack::read(&late).0;
    ensure!(!shown.contains("not stored"), "{shown}");
    Ok(answered.took)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_is_answered_in_time_while_512_connections_pour_in_alerts() -> Result<()> {
    let slack = Slack::start().await?;
    slack.unpaced();
    let server = setup(&slack)?.start().await?;
    let storm = Storm::over(&server)?;
    wait::until("the storm is there", PATIENCE, async || {
        ensure!(storm.stored() > 500, "{} alerts are stored", storm.stored());
        Ok(())
    })
    .await?;
    let (begun, before) = (Instant::now(), storm.stored());
    let (mut took, mut at_once, mut presses) = (Vec::new(), 0, 0);
    for round in 0..ROUNDS {
        for text in [
            "status",
            "whoami",
            "list",
            "start checkout version:1",
            "note \"x\"",
            "pause",
            "resume",
        ] {
            let answered = typed(&slack, &server, text).await;
            let (time, inline) = answered.with_context(|| format!("round {round}, {text}"))?;
            took.push(time);
            at_once += usize::from(inline);
        }
        wait::until("the card is there", PATIENCE, async || {
            ensure!(!slack.cards().is_empty(), "{:?}", slack.refused());
            Ok(())
        })
        .await?;
        for action in ["pause", "resume", "status"] {
            let answered = pressed(&slack, &server, action).await;
            took.push(answered.with_context(|| format!("round {round}, the button {action}"))?);
            presses += 1;
        }
    }
    let (alerts, lasted) = (storm.stored() - before, begun.elapsed());
    storm.end().await?;
    took.sort_unstable();
    let at = |part: usize| took[(took.len() - 1) * part / 100];
    println!(
        "counted: {} commands and {presses} presses while {alerts} alerts were stored in {lasted:.1?}: p50 {:.2?}, p99 {:.2?}, longest {:.2?}; \
         {at_once} with their result at once",
        took.len() - presses,
        at(50),
        at(99),
        at(100),
    );
    ensure!(alerts > 100, "only {alerts} alerts: that was no storm");
    Ok(())
}
