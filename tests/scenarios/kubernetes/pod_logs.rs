//! What the pods of the new version wrote last: read when traffic goes back, kept, told, and waited for by nothing.

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tidegate_tests::kubernetes::{Kubernetes, Manner, Mishap, Readiness};
use tidegate_tests::pagerduty::{PagerDuty, ROUTING_KEY};
use tidegate_tests::scratch::Scratch;
use tidegate_tests::tidegate::Setup;
use tidegate_tests::wait;

use super::house::{House, PATIENCE, manifest, plan, setup_for};
use super::moved::Moved;
use super::replicas::{NEW, Replicas};
use super::route::Route;
use super::selector::Selector;

const RIGHTS: &str = "pod-logs/role.yaml";

/// A plan of one of the drivers that asks for the last two lines.
fn asking(moved: impl Moved) -> Value {
    let mut plan = plan(&moved.target(), &moved.phases());
    plan["spec"]["rollback"] = json!({ "podLogs": 2 });
    plan["spec"]["audiences"]["team"] = json!({ "channels": ["pager"], "hears": "everything" });
    plan
}

/// A cluster of that driver, and how a server for `plan` is set up in it that may read logs by `rights`.
async fn prepared(moved: impl Moved, plan: &Value, rights: Option<&str>) -> Result<(Kubernetes, Setup, Scratch)> {
    let cluster = Kubernetes::fake().await?;
    moved.furnish(&cluster)?;
    let rights = rights.map(|rights| rights.replace("namespace: shop", &format!("namespace: {}", moved.namespace())));
    let both = [Some(manifest(moved.rights())?), rights].into_iter().flatten();
    let (setup, scratch) = setup_for(&cluster, plan, &both.collect::<Vec<_>>().join("\n---\n"))?;
    Ok((cluster, setup, scratch))
}

async fn house(moved: impl Moved, rights: Option<&str>) -> Result<House> {
    let (cluster, setup, scratch) = prepared(moved, &asking(moved), rights).await?;
    House::with(cluster, setup, scratch).await
}

fn may_read() -> Result<String> {
    manifest(RIGHTS)
}

fn crashes() -> Manner {
    Manner {
        restarts: 4,
        log: "starting\n".to_owned(),
        log_before: Some("starting\nconnecting\npanic: no such column <!channel> \u{1b}[31mcolour\n".to_owned()),
    }
}

/// The notice that the receiver of pages got.
async fn told(house: &House) -> Result<Value> {
    let notice = house
        .pager
        .delivery("what the pods wrote is told", PATIENCE, |body| {
            body["kind"] == "pod-logs" || body["data"]["kind"] == "pod-logs"
        })
        .await?;
    notice.json()
}

#[tokio::test]
async fn the_end_of_what_crashing_pods_wrote_goes_with_the_rollback() -> Result<()> {
    let house = house(Replicas, Some(&may_read()?)).await?;
    let id = house.begin().await?;
    house.waits(&id, "week-1").await?;
    house.advance(&id).await?;
    house.waits(&id, "week-2").await?;
    house.cluster.manner(Replicas.namespace(), NEW, crashes());
    house.cluster.readiness(Replicas.namespace(), NEW, Readiness::Never);
    house.strike().await?;
    house.becomes(&id, "ROLLED BACK").await?;
    // All three that there were, with the log of the run that died, and its last two lines only.
    let lines = house.told(&id, "wrote:").await?;
    ensure!(
        lines.contains("(app: CrashLoopBackOff, 4 restarts) wrote:\nconnecting\npanic: no such column"),
        "{lines}"
    );
    let text = told(&house).await?.to_string();
    ensure!(text.matches("CrashLoopBackOff, 4 restarts").count() >= 3, "{text}");
    ensure!(
        text.contains("panic: no such column") && !text.contains("\\u001b"),
        "{text}"
    );
    let log = house.log(&id).await?;
    ensure!(
        log.iter().filter(|line| line.contains(") wrote:")).count() == 3,
        "{log:?}"
    );
    Ok(())
}

/// Green selects its own pods only; where all of them look well, one of them is heard all the same.
#[tokio::test]
async fn of_pods_that_look_well_one_is_heard_and_none_of_the_old_version() -> Result<()> {
    let house = house(Selector, Some(&may_read()?)).await?;
    let well = |what: &str| Manner {
        log: format!("{what} answers 500\n"),
        ..Manner::default()
    };
    house.cluster.manner("shop", "boka-green", well("green"));
    house.cluster.manner("shop", "boka-blue", well("blue"));
    let id = house.begin().await?;
    house.waits(&id, "green").await?;
    house.strike().await?;
    house.becomes(&id, "ROLLED BACK").await?;
    let line = house.told(&id, "wrote:").await?;
    ensure!(
        line.starts_with("Pod boka-green-") && line.ends_with("(app: ready) wrote:\ngreen answers 500"),
        "{line}"
    );
    let log = house.log(&id).await?.join("\n");
    ensure!(
        log.matches("wrote:").count() == 1 && !log.contains("blue answers"),
        "{log}"
    );
    Ok(())
}

/// The API gives the first bytes of the last lines, and the very end is what tells.
#[tokio::test]
async fn the_very_end_is_kept_however_long_the_lines_are() -> Result<()> {
    let house = house(Selector, Some(&may_read()?)).await?;
    let id = house.begin().await?;
    house.waits(&id, "green").await?;
    let log = format!("{}\nthe very end\n", "x".repeat(60_000));
    house.cluster.manner(
        "shop",
        "boka-green",
        Manner {
            log,
            ..Manner::default()
        },
    );
    house.strike().await?;
    house.becomes(&id, "ROLLED BACK").await?;
    let line = house.told(&id, "wrote:").await?;
    ensure!(line.ends_with("x\nthe very end"), "{line}");
    Ok(())
}

/// It joins the incident of whoever was paged for the rollback, and opens none where the plan wanted nobody to be.
#[tokio::test]
async fn what_they_wrote_joins_the_page_and_wakes_nobody_else() -> Result<()> {
    let (oncall, others) = (PagerDuty::start().await?, PagerDuty::start().await?);
    let mut plan = asking(Selector);
    plan["spec"]["severities"]["sev2"] = json!({ "action": "log" });
    plan["spec"]["audiences"] = json!({
        "oncall": { "channels": ["oncall"], "hears": "pages" },
        "others": { "channels": ["others"], "hears": "everything", "severities": ["sev2"] },
        "team": { "channels": ["pager"], "hears": "everything" },
    });
    let (cluster, setup, scratch) = prepared(Selector, &plan, Some(&may_read()?)).await?;
    let key = scratch.write("routing-key", ROUTING_KEY)?;
    let channel = |to: &PagerDuty| json!({ "pagerduty": { "routing_key_file": key, "events_url": to.url() } });
    let setup = setup.with(json!({ "channels": { "oncall": channel(&oncall), "others": channel(&others) } }));
    let house = House::with(cluster, setup, scratch).await?;
    let id = house.begin().await?;
    house.waits(&id, "green").await?;
    wait::until("both hear of the gate", PATIENCE, async || {
        for pagerduty in [&oncall, &others] {
            ensure!(
                pagerduty.incidents().contains_key("gate"),
                "{:#?}",
                pagerduty.incidents()
            );
        }
        Ok(())
    })
    .await?;
    house.strike().await?;
    wait::until("the page is told what they wrote", PATIENCE, async || {
        let incidents = oncall.incidents();
        let rollback = incidents.get("rollback").context("nobody was paged")?;
        let told = rollback
            .summaries
            .iter()
            .any(|summary| summary.starts_with("PODS sluice-1"));
        ensure!(told && rollback.state == "triggered", "{incidents:#?}");
        Ok(())
    })
    .await?;
    // Whoever hears of the gate's end has heard everything that came for them before it.
    wait::until("the gate is closed for the others", PATIENCE, async || {
        ensure!(
            others.incidents()["gate"].state == "resolved",
            "{:#?}",
            others.incidents()
        );
        Ok(())
    })
    .await?;
    told(&house).await?;
    ensure!(
        !others.incidents().contains_key("rollback"),
        "{:#?}",
        others.incidents()
    );
    ensure!(oncall.refused().is_empty(), "{:?}", oncall.refused());
    Ok(())
}

#[tokio::test]
async fn behind_a_route_the_service_of_the_new_version_says_whose_logs_they_are() -> Result<()> {
    let rights = may_read()?.replace("green", "checkout-canary");
    let house = house(Route, Some(&rights)).await?;
    let id = house.begin().await?;
    house.waits(&id, "some").await?;
    house.cluster.manner("shop", "canary", crashes());
    house.strike().await?;
    house.becomes(&id, "ROLLED BACK").await?;
    let line = house.told(&id, "wrote:").await?;
    ensure!(
        line.starts_with("Pod canary-") && line.contains("panic: no such column"),
        "{line}"
    );
    Ok(())
}

#[tokio::test]
async fn without_the_right_it_rolls_back_all_the_same_and_says_what_is_missing() -> Result<()> {
    let house = house(Replicas, None).await?;
    let id = house.begin().await?;
    house.waits(&id, "week-1").await?;
    house.strike().await?;
    house.becomes(&id, "ROLLED BACK").await?;
    let line = house.told(&id, "Not read: ").await?;
    ensure!(line.contains("could not list the pods: pods is forbidden"), "{line}");
    Ok(())
}

/// An API that never answers a log keeps neither the rollback nor its word waiting.
#[tokio::test]
async fn a_log_that_is_never_answered_is_waited_for_by_nothing() -> Result<()> {
    let house = house(Selector, Some(&may_read()?)).await?;
    let id = house.begin().await?;
    house.waits(&id, "green").await?;
    house.cluster.trouble(Method::GET, "/log", u32::MAX, Mishap::Hangs)?;
    house.strike().await?;
    house.becomes(&id, "ROLLED BACK").await?;
    house.told(&id, "Not read: could not read a log").await?;
    let log = house.log(&id).await?;
    let place = |words: &str| log.iter().position(|line| line.contains(words));
    let (back, unread) = (place("Rolled back"), place("Not read"));
    ensure!(back.is_some() && back < unread, "it was waited for: {log:?}");
    Ok(())
}
