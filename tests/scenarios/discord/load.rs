//! The promise of three seconds, kept by a server of its own while alerts pour in.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use reqwest::StatusCode;
use tidegate::chat::discord::tree;
use tidegate_tests::discord::{self, Discord, Signed};
use tidegate_tests::storm::Storm;
use tidegate_tests::tidegate::Tidegate;
use tidegate_tests::wait;

use super::world::{ANA, PATIENCE, setup};

/// How often everything is said.
const ROUNDS: usize = 4;
/// Discord waits so long.
const PROMISE: Duration = Duration::from_secs(3);

/// Sends a command; how long the first answer took, and whether it was the result.
async fn sent(discord: &Discord, server: &Tidegate, verb: &str, options: &[(&str, &str)]) -> Result<(Duration, bool)> {
    answered(discord, server, discord.command(ANA, verb, options)?).await
}

/// Presses a button of the card; as [`sent`].
async fn pressed(discord: &Discord, server: &Tidegate, action: &str) -> Result<(Duration, bool)> {
    let cards = discord.cards();
    let card = cards.first().context("there is no card")?;
    let rollback = card.button("rollback").context("it cannot be rolled back")?["custom_id"].clone();
    let button = rollback.as_str().unwrap_or_default().replace("rollback", action);
    answered(discord, server, discord.press_with(ANA, &button)).await
}

async fn answered(discord: &Discord, server: &Tidegate, signed: Signed) -> Result<(Duration, bool)> {
    let answered = discord.deliver(&server.url("/discord/interactions"), &signed).await?;
    ensure!(answered.status == StatusCode::OK, "{answered:?}");
    ensure!(answered.took < PROMISE, "{:?}", answered.took);
    let shown = discord.sees(&answered.token, PATIENCE, |_| true).await?;
    let shown = discord::shown(&shown);
    ensure!(!shown.contains("not stored"), "{shown}");
    Ok((answered.took, answered.body["type"] == 4))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_is_answered_in_time_while_512_connections_pour_in_alerts() -> Result<()> {
    let discord = Discord::start().await?;
    discord.register(tree("rollout"))?;
    discord.unpaced();
    let server = setup(&discord)?.start().await?;
    let storm = Storm::over(&server)?;
    wait::until("the storm is there", PATIENCE, async || {
        ensure!(storm.stored() > 500, "{} alerts are stored", storm.stored());
        Ok(())
    })
    .await?;
    let (begun, before) = (Instant::now(), storm.stored());
    let (mut took, mut at_once, mut presses) = (Vec::new(), 0, 0);
    let start: &[(&str, &str)] = &[("plan", "checkout"), ("version", "1")];
    for round in 0..ROUNDS {
        for (verb, options) in [
            ("status", &[][..]),
            ("whoami", &[]),
            ("list", &[]),
            ("start", start),
            ("note", &[("text", "x")]),
            ("pause", &[]),
            ("resume", &[]),
        ] {
            let answered = sent(&discord, &server, verb, options).await;
            let (time, inline) = answered.with_context(|| format!("round {round}, {verb}"))?;
            took.push(time);
            at_once += usize::from(inline);
        }
        wait::until("the card is there", PATIENCE, async || {
            ensure!(!discord.cards().is_empty(), "{:?}", discord.refused());
            Ok(())
        })
        .await?;
        for action in ["pause", "resume", "status"] {
            let answered = pressed(&discord, &server, action).await;
            let (time, inline) = answered.with_context(|| format!("round {round}, the button {action}"))?;
            took.push(time);
            at_once += usize::from(inline);
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
