//! The metrics: everything that is said to be exported is there after a whole rollout, and nothing else.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use tidegate::telemetry::metrics::{EVERY, Kind};
use tidegate_tests::paths::repository;
use tidegate_tests::sink::Sink;
use tidegate_tests::{scrape, wait};

use super::{Gate, PATIENCE, plan};

/// The names of the series with their types, as a scrape announces them.
fn announced(text: &str) -> BTreeMap<&str, &str> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.filter_map(|line| line.split_once(' ')).collect()
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Seconds => "histogram",
    }
}

#[test]
fn every_series_is_explained() -> Result<()> {
    let page = std::fs::read_to_string(repository().join("docs/configuration.md"))?;
    for series in EVERY {
        ensure!(
            page.contains(&format!("`{}`", series.name)),
            "{} is not in the table",
            series.name
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_exported_is_what_the_list_says() -> Result<()> {
    let pager = Sink::start().await?;
    let gate = Gate::open(&[("pager", pager.url("/page"))], &[]).await?;
    gate.fire(&["Watchdog"]).await?;
    let stranger = gate.house.post("/webhooks/alertmanager").bearer_auth("a guess").send();
    ensure!(stranger.await?.status() == 401, "a stranger was let in");
    let id = gate.start().await?;
    let (_, served) = gate.flag().await?;
    ensure!(served["metadata"]["weight"] == "50%", "{served}");
    let during = gate.metrics().await?;
    let has = |text: &str, line: &str| {
        ensure!(text.lines().any(|it| it == line), "no {line:?} in\n{text}");
        anyhow::Ok(())
    };
    has(
        &during,
        &format!("tidegate_rollout_state{{rollout=\"{id}\",state=\"baking\"}} 1"),
    )?;
    has(
        &during,
        &format!("tidegate_phase_weight_ratio{{rollout=\"{id}\",kind=\"declared\"}} 0.5"),
    )?;
    gate.fire(&["HighErrorRate"]).await?;
    gate.until_state(&id, "ROLLED BACK").await?;
    pager
        .delivery("it is told", PATIENCE, |body| body["type"] == "rollout.rolled-back")
        .await?;
    let after = wait::until("everything that is listed is exported", PATIENCE, async || {
        let text = gate.metrics().await?;
        let found = announced(&text);
        let missing: Vec<&str> = EVERY
            .iter()
            .map(|series| series.name)
            .filter(|name| !found.contains_key(name))
            .collect();
        ensure!(missing.is_empty(), "{missing:?} are missing in\n{text}");
        Ok(text)
    })
    .await?;
    for (name, kind) in announced(&after) {
        let listed = EVERY.iter().find(|series| series.name == name);
        let listed = listed.with_context(|| format!("{name} is exported and stands in no list"))?;
        ensure!(word(listed.kind) == kind, "{name} is a {kind}");
    }
    has(
        &after,
        &format!("tidegate_rollout_state{{rollout=\"{id}\",state=\"rolled-back\"}} 1"),
    )?;
    has(
        &after,
        &format!("tidegate_phase_weight_ratio{{rollout=\"{id}\",kind=\"declared\"}} 0"),
    )?;
    ensure!(
        !after.contains("state=\"baking\""),
        "a state that is over is not exported"
    );
    ensure!(
        after.contains(
            "tidegate_webhook_refused_total{source=\"alertmanager\",receiver=\"default\",code=\"unproven\"} "
        ),
        "{after}"
    );
    ensure!(
        after.contains("tidegate_rollbacks_total{source=\"alert\",reason=\"errors\"}"),
        "{after}"
    );
    ensure!(
        after.contains("tidegate_commands_total{surface=\"api\",command=\"start\",result=\"done\"}"),
        "{after}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_observed_share_is_what_users_were_answered() -> Result<()> {
    let mut plan = plan(&[]);
    plan["spec"]["phases"][0]["weight"] = "25%".into();
    let gate = Gate::with_plan(&plan, &[], &[]).await?;
    let id = gate.start().await?;
    let observed = async || {
        let labels = [("rollout", id.as_str()), ("kind", "observed")];
        scrape::sum(&gate.metrics().await?, "tidegate_phase_weight_ratio", &labels)
    };
    assert_eq!(observed().await?, None, "nobody has asked yet");
    let mut on = 0_u32;
    for user in 0..90 {
        let (_, answer) = gate.flag_for(&format!("user-{user}")).await?;
        on += u32::from(answer["value"] == true);
    }
    // Never just what is declared: a quarter of ninety is no number of users.
    ensure!((5..60).contains(&on), "{on} of ninety are in at 25 %");
    let points = (f64::from(on) / 90.0 * 10_000.0).floor() / 10_000.0;
    let seen = observed().await?.context("nothing is observed")?;
    ensure!(
        (seen - points).abs() < 0.000_2,
        "{on} of ninety are in, and {seen} is exported"
    );
    let labels = [("rollout", id.as_str()), ("kind", "declared")];
    let declared = scrape::sum(&gate.metrics().await?, "tidegate_phase_weight_ratio", &labels)?;
    assert_eq!(declared, Some(0.25), "what is declared is another matter");
    Ok(())
}
