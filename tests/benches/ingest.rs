//! How fast alerts become durable, beside a server that only parses and one that writes naively; and flag evaluations.

use std::time::Duration;

use anyhow::Result;
use tidegate_tests::tidegate::Setup;

use crate::load::{self, Done, GROUP};
use crate::table::{Goal, Table, quantile};
use crate::usage;
use crate::yardstick::{Work, Yardstick};

/// How often everything is measured in turn.
const ROUNDS: usize = 3;
/// How long each load lasts.
const LASTING: Duration = Duration::from_secs(2);

#[derive(Default)]
struct Rounds {
    rate: Vec<f64>,
    cpu: Vec<f64>,
    p99: Vec<f64>,
}

impl Rounds {
    #[expect(clippy::cast_precision_loss, reason = "CPU per thousand alerts")]
    fn add(&mut self, done: &Done, cpu: f64) {
        self.rate.push(done.alerts_per_second());
        self.cpu
            .push(cpu * 1_000.0 / ((done.requests * GROUP) as f64 / 1_000.0));
        self.p99.push(quantile(&done.latencies, 0.99));
    }
}

async fn round(url: &str, process: u32, connections: usize, rounds: &mut Rounds) -> Result<()> {
    let before = usage::cpu(process)?;
    let done = load::groups(url, connections, LASTING).await?;
    rounds.add(&done, usage::cpu(process)? - before);
    Ok(())
}

/// Durable ingest at 16 and 128 connections.
pub(crate) async fn durable(table: &mut Table) -> Result<()> {
    for connections in [16, 128] {
        let mut server = Setup::new()?.start().await?;
        let process = usage::process(&mut server)?;
        let (parse, naive) = (
            Yardstick::start(Work::Parse).await?,
            Yardstick::start(Work::Transaction).await?,
        );
        let (mut ours, mut parsed, mut naively) = (Rounds::default(), Rounds::default(), Rounds::default());
        for _ in 0..ROUNDS {
            round(&server.webhook(), process, connections, &mut ours).await?;
            round(&parse.url, parse.process(), connections, &mut parsed).await?;
            round(&naive.url, naive.process(), connections, &mut naively).await?;
        }
        let at = format!("at {connections} connections");
        table.figure(
            &format!("durable ingest {at}"),
            "alerts/s",
            &ours.rate,
            "SQLite, FULL, group commit",
        );
        table.figure(&format!("parse only {at}"), "alerts/s", &parsed.rate, "no database");
        table.figure(
            &format!("one transaction per request {at}"),
            "alerts/s",
            &naively.rate,
            "SQLite, FULL",
        );
        table.ratio(
            &format!("durable / parse only, alerts/s {at}"),
            &ours.rate,
            &parsed.rate,
            Goal(0.25, 0.4, 0.6),
        );
        table.ratio(
            &format!("durable / parse only, CPU {at}"),
            &ours.cpu,
            &parsed.cpu,
            Goal(4.0, 2.5, 1.8),
        );
        table.ratio(
            &format!("group commit / naive, alerts/s {at}"),
            &ours.rate,
            &naively.rate,
            Goal(3.0, 4.0, 6.0),
        );
        table.figure(
            &format!("CPU of durable ingest {at}"),
            "ms per 1,000 alerts",
            &ours.cpu,
            "",
        );
        table.figure(
            &format!("CPU of parse only {at}"),
            "ms per 1,000 alerts",
            &parsed.cpu,
            "",
        );
        table.figure(
            &format!("p99 of durable ingest {at}"),
            "ms",
            &ours.p99,
            "closed loop, so optimistic",
        );
        let memory = usage::resident(process)?;
        table.figure(&format!("memory after the load {at}"), "MiB", &[memory], "");
    }
    Ok(())
}

/// Evaluations of a flag over OFREP, beside the cheapest answer of the same server.
pub(crate) async fn flags(table: &mut Table) -> Result<()> {
    let server = crate::reaction::exposed(1).await?;
    let url = server.url("/ofrep/v1/evaluate/flags/bench");
    let body = r#"{"context":{"targetingKey":"user-17"}}"#;
    let (mut evaluations, mut ceiling) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        evaluations.push(load::same(&url, Some(body), 16, LASTING).await?.requests_per_second());
        ceiling.push(
            load::same(&server.url("/-/healthy"), None, 16, LASTING)
                .await?
                .requests_per_second(),
        );
    }
    table.figure("flag evaluations", "per s", &evaluations, "16 connections");
    table.figure(
        "the cheapest answer",
        "per s",
        &ceiling,
        "GET /-/healthy, 16 connections",
    );
    table.ratio(
        "evaluations / cheapest answer",
        &evaluations,
        &ceiling,
        Goal(0.5, 0.7, 0.85),
    );
    Ok(())
}
