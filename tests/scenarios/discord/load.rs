//! The promise of three seconds, kept by a server of its own while alerts pour in.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use reqwest::StatusCode;
use tidegate::chat::discord::tree;
use tidegate_tests::discord::{self, Discord};
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
    let command = discord.command(ANA, verb, options)?;
    let answered = discord.deliver(&server.url("/discord/interactions"), &command).await?;
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
    let (mut took, mut at_once) = (Vec::new(), 0);
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
    }
    let (alerts, lasted) = (storm.stored() - before, begun.elapsed());
    storm.end().await?;
    took.sort_unstable();
    let at = |part: usize| took[(took.len() - 1) * part / 100];
    println!(
        "counted: {} commands while {alerts} alerts were stored in {lasted:.1?}: p50 {:.2?}, p99 {:.2?}, longest {:.2?}; \
         {at_once} with their result at once",
        took.len(),
        at(50),
        at(99),
        at(100),
    );
    ensure!(alerts > 100, "only {alerts} alerts: that was no storm");
    Ok(())
}
