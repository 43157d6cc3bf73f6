//! What the pods of the new version wrote last: read when traffic goes back, kept, told, and waited for by nothing.

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tidegate_tests::kubernetes::{Kubernetes, Manner, Mishap, Readiness};

use super::house::{House, PATIENCE, manifest, plan, setup_for};
use super::moved::Moved;
use super::replicas::{NEW, Replicas};
use super::route::Route;
use super::selector::Selector;

const RIGHTS: &str = "pod-logs.yaml";

/// One of the drivers, whose plan asks for the last two lines, on a server that may read them.
async fn house(moved: impl Moved, rights: Option<&str>) -> Result<House> {
    let cluster = Kubernetes::fake().await?;
    moved.furnish(&cluster)?;
    let mut plan = plan(&moved.target(), &moved.phases());
    plan["spec"]["rollback"] = json!({ "podLogs": 2 });
    plan["spec"]["audiences"]["team"] = json!({ "channels": ["pager"], "hears": "everything" });
    let rights = rights.map(|rights| rights.replace("namespace: shop", &format!("namespace: {}", moved.namespace())));
    let both = [Some(manifest(moved.rights())?), rights]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>();
    let (setup, scratch) = setup_for(&cluster, &plan, &both.join("\n---\n"))?;
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
