//! A server that dies before a write, after it, or before it reads back, at any of them: the way back ends at zero, with all capacity.

use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tidegate_tests::kubernetes::{Kubernetes, Readiness};
use tidegate_tests::wait;

use super::house::{House, PATIENCE};
use super::moved::Moved;
use super::replicas::Replicas;
use super::route::Route;
use super::selector::Selector;

const POINTS: [&str; 3] = [
    "kubernetes.before-write",
    "kubernetes.after-write",
    "kubernetes.before-read-back",
];

/// SIGABRT.
const ABORTED: i32 = 6;

#[tokio::test]
async fn a_death_at_any_write_to_two_deployments_ends_at_zero_with_all_capacity() -> Result<()> {
    dies_everywhere(Replicas, 6, 12).await
}

#[tokio::test]
async fn a_death_at_any_write_to_a_service_ends_at_zero_with_all_capacity() -> Result<()> {
    dies_everywhere(Selector, 3, 6).await
}

#[tokio::test]
async fn a_death_at_any_write_to_a_route_ends_at_zero_with_all_capacity() -> Result<()> {
    dies_everywhere(Route, 5, 10).await
}

/// Dies at each of the first passes of each point; at the least so often, for not every story passes them so often.
async fn dies_everywhere(moved: impl Moved, passes: u32, least: usize) -> Result<()> {
    let all = POINTS
        .iter()
        .flat_map(|point| (1..=passes).map(move |nth| (*point, nth)));
    let deaths: Vec<bool> = stream::iter(all)
        .map(|(point, nth)| dies(moved, point, nth))
        .buffer_unordered(3)
        .try_collect()
        .await?;
    let deaths = deaths.into_iter().filter(|died| *died).count();
    println!("died {deaths} times");
    assert!(deaths >= least, "only {deaths} deaths");
    Ok(())
}

/// One rollout up and back; the server dies when it passes `point` the `nth` time. Whether it did.
async fn dies(moved: impl Moved, point: &str, nth: u32) -> Result<bool> {
    let name = format!("{point}:{nth}");
    let (target, phases) = (moved.target(), moved.phases());
    let cluster = Kubernetes::start().await?;
    moved.furnish(&cluster)?;
    let mut house = House::dying(cluster, &target, &phases, moved.rights(), &name).await?;
    for version in moved.versions() {
        let soon = Readiness::After(Duration::from_millis(100));
        house.cluster.readiness(moved.namespace(), version, soon);
    }
    let story = async |house: &House| -> Result<()> {
        let id = moved.climb(house).await?;
        house.strike().await?;
        moved.ends_at_zero(house, &id).await
    };
    let death = async |house: &mut House| house.tidegate.program()?.exit(PATIENCE).await;
    let address = house.url();
    let told = tokio::select! {
        told = story(&house) => Some(told),
        () = gone(&address) => None,
    };
    if let Some(Ok(())) = told {
        return Ok(false);
    }
    let status = death(&mut house).await.with_context(|| format!("{name}: {told:?}"))?;
    ensure!(status.signal() == Some(ABORTED), "{name}: it ended with {status}");
    house.tidegate.set_env("TIDEGATE_FAILPOINT", None);
    house.tidegate.start_again().await?;
    house.revive().await?;
    let id = "sluice-1";
    // Wherever it was, it is told to go back, and has to arrive with nothing missing.
    if house.card(id).await?["state"] != "ROLLED BACK" {
        house.strike().await?;
        house
            .say(serde_json::json!({ "verb": "rollback", "rollout": id }))
            .await?;
    }
    moved.ends_at_zero(&house, id).await.with_context(|| name.clone())?;
    Ok(true)
}

/// Returns when nobody listens there any more.
async fn gone(url: &str) {
    let address = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let look = async || {
        let open = tokio::net::TcpStream::connect(&address).await.is_ok();
        ensure!(!open, "it listens");
        Ok(())
    };
    let _ = wait::until("the server is gone", Duration::from_secs(120), look).await;
}
