//! An API that fails, hangs, lies or is contended, and a server that dies: the way back ends at zero, with all capacity, or with
//! a page that says exactly what is left.

use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::Method;
use serde_json::json;
use tidegate_tests::kubernetes::{Mishap, Readiness};
use tidegate_tests::wait;

use super::house::{House, PATIENCE, phase, plan, setup};
use super::replicas::{self, NAMESPACE, NEW, OLD, RIGHTS, asked, target, weeks};

/// From a decision that does not come through to the page, with time for a busy machine.
const PAGED: Duration = Duration::from_secs(60);

/// A house whose rollout carries three of five pods.
async fn in_week_two() -> Result<(House, String)> {
    let house = replicas::fake_house().await?;
    let id = house.begin().await?;
    house.waits(&id, "week-1").await?;
    house.advance(&id).await?;
    house.waits(&id, "week-2").await?;
    Ok((house, id))
}

async fn ends_at_zero(house: &House, id: &str) -> Result<()> {
    house.becomes(id, "ROLLED BACK").await?;
    assert_eq!(asked(house)?, (0, 5));
    assert_eq!(house.cluster.least_ready("finance-service"), 5, "capacity dipped");
    Ok(())
}

#[tokio::test]
async fn whatever_a_single_call_does_the_way_back_ends_at_zero() -> Result<()> {
    let mishaps = [
        (Mishap::Refused(500), 2),
        (Mishap::Refused(503), 2),
        (Mishap::Refused(429), 1),
        (Mishap::Refused(403), 2),
        (Mishap::DoneButFailed(500), 2),
        (Mishap::DoneButFailed(504), 1),
        (Mishap::Hangs, 1),
        (Mishap::DoneButHangs, 2),
        (Mishap::Slow(Duration::from_millis(300)), 4),
        (Mishap::Lies, 3),
        (Mishap::Overtaken, 4),
    ];
    let one = async |(mishap, times): (Mishap, u32)| -> Result<()> {
        for (method, path) in [(Method::PATCH, NEW), (Method::PATCH, OLD), (Method::GET, "deployments")] {
            if method == Method::GET && mishap == Mishap::Overtaken {
                continue;
            }
            let (house, id) = in_week_two().await?;
            house.cluster.trouble(method.clone(), path, times, mishap.clone())?;
            let struck = Instant::now();
            house.strike().await?;
            let end = ends_at_zero(&house, &id).await;
            end.with_context(|| format!("{method} {path}: {mishap:?}"))?;
            ensure!(
                house.cluster.struck()? > 0,
                "{method} {path}: {mishap:?} never happened"
            );
            println!(
                "{method} {path} {mishap:?} ×{times}: at zero after {:?}",
                struck.elapsed()
            );
        }
        Ok(())
    };
    stream::iter(mishaps)
        .map(one)
        .buffer_unordered(3)
        .try_collect::<Vec<()>>()
        .await
        .map(drop)
}

#[tokio::test]
async fn an_api_that_lies_is_never_called_rolled_back_and_somebody_is_paged() -> Result<()> {
    let (house, id) = in_week_two().await?;
    house
        .cluster
        .trouble(Method::PATCH, "deployments", u32::MAX, Mishap::Lies)?;
    house.strike().await?;
    wait::until("the page", PAGED, async || {
        let log = house.log(&id).await?;
        let paged = log
            .iter()
            .any(|line| line.contains("stuck") && line.contains("goes on showing what was there before"));
        ensure!(paged, "{}", log.join("\n"));
        Ok(())
    })
    .await?;
    assert_eq!(house.card(&id).await?["state"], "ROLLING BACK");
    house.cluster.calm()?;
    ends_at_zero(&house, &id).await
}

#[tokio::test]
async fn nobody_is_overruled_twice_on_the_way_back() -> Result<()> {
    let (house, id) = in_week_two().await?;
    // The old version does not come up, so the way back takes its time.
    house.cluster.readiness(NAMESPACE, OLD, Readiness::UpTo(4));
    house.strike().await?;
    let settles = async |replicas: u64| {
        wait::until(&format!("{replicas} new pods are asked for"), PATIENCE, async || {
            ensure!(asked(&house)? == (replicas, 5), "{:?}", asked(&house)?);
            Ok(())
        })
        .await
    };
    settles(1).await?;
    let raise = || {
        house.cluster.patch(
            "apps",
            "deployments",
            NAMESPACE,
            NEW,
            &json!({ "spec": { "replicas": 4 } }),
        )
    };
    raise()?;
    settles(1).await?;
    raise()?;
    house
        .told(&id, "the target still reads 80%; another writer may be at work")
        .await?;
    let before = house.calls(&Method::PATCH, NEW)?;
    wait::until("it has looked again", PATIENCE, async || {
        let looks = house.calls(&Method::GET, NEW)?;
        ensure!(looks > before + 10, "{looks} looks");
        Ok(())
    })
    .await?;
    assert_eq!(
        asked(&house)?,
        (4, 5),
        "the other writer's word stands after the second time"
    );
    assert_eq!(house.calls(&Method::PATCH, NEW)?, before);
    // A person settles who owns it, and says so.
    house.cluster.readiness(NAMESPACE, OLD, Readiness::AtOnce);
    house.say(json!({ "verb": "rollback", "rollout": id })).await?;
    house.becomes(&id, "ROLLED BACK").await?;
    assert_eq!(asked(&house)?, (0, 5));
    Ok(())
}

#[tokio::test]
async fn a_cluster_that_hangs_delays_no_other_rollback() -> Result<()> {
    let cluster = replicas::fake_cluster().await?;
    let (setup, scratch) = setup(&cluster, &target(), &weeks(), RIGHTS)?;
    let mut other = plan(&json!({ "flag": { "key": "other" } }), &[phase("all", "100%")]);
    other["metadata"]["name"] = "other".into();
    other["spec"]["service"] = "other".into();
    let house = House::with(cluster, setup.plan("other", &other.to_string())?, scratch).await?;
    let id = house.begin().await?;
    house.waits(&id, "week-1").await?;
    let (_, answer) = house.say(json!({ "verb": "start", "plan": "other" })).await?;
    let flag = answer["rollout"].as_str().context("no rollout")?.to_owned();
    house.waits(&flag, "all").await?;

    house
        .cluster
        .trouble(Method::GET, "deployments", u32::MAX, Mishap::Hangs)?;
    house
        .cluster
        .trouble(Method::PATCH, "deployments", u32::MAX, Mishap::Hangs)?;
    house.strike().await?;
    wait::until("the cluster hangs", PATIENCE, async || {
        ensure!(house.cluster.struck()? > 0, "nothing was asked of it yet");
        Ok(())
    })
    .await?;
    let said = Instant::now();
    house.say(json!({ "verb": "rollback", "rollout": flag })).await?;
    house.becomes(&flag, "ROLLED BACK").await?;
    println!(
        "beside a hanging cluster the flag was at zero after {:?}",
        said.elapsed()
    );
    assert!(said.elapsed() < Duration::from_secs(2), "{:?}", said.elapsed());
    house.cluster.calm()?;
    house.becomes(&id, "ROLLED BACK").await?;
    Ok(())
}

/// SIGABRT.
const ABORTED: i32 = 6;

#[tokio::test]
async fn a_death_at_any_write_ends_at_zero_with_all_capacity() -> Result<()> {
    let points = [
        "kubernetes.before-write",
        "kubernetes.after-write",
        "kubernetes.before-read-back",
    ];
    let all = points.iter().flat_map(|point| (1..=6).map(move |nth| (*point, nth)));
    let deaths: Vec<bool> = stream::iter(all)
        .map(|(point, nth)| dies(point, nth))
        .buffer_unordered(3)
        .try_collect()
        .await?;
    let deaths = deaths.into_iter().filter(|died| *died).count();
    println!("died {deaths} times");
    assert!(deaths >= 12, "only {deaths} deaths");
    Ok(())
}

/// One rollout up to its second week and back; the server dies when it passes `point` the `nth` time. Whether it did.
async fn dies(point: &str, nth: u32) -> Result<bool> {
    let name = format!("{point}:{nth}");
    let mut house = House::dying(replicas::fake_cluster().await?, &target(), &weeks(), RIGHTS, &name).await?;
    for version in [NEW, OLD] {
        house
            .cluster
            .readiness(NAMESPACE, version, Readiness::After(Duration::from_millis(100)));
    }
    let story = async |house: &House| -> Result<()> {
        let id = house.begin().await?;
        house.waits(&id, "week-1").await?;
        house.advance(&id).await?;
        house.waits(&id, "week-2").await?;
        house.strike().await?;
        ends_at_zero(house, &id).await
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
        house.say(json!({ "verb": "rollback", "rollout": id })).await?;
    }
    ends_at_zero(&house, id).await.with_context(|| name.clone())?;
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

#[tokio::test]
async fn nothing_shrinks_before_both_deployments_refuse_an_older_writer() -> Result<()> {
    let (house, id) = in_week_two().await?;
    // Pods that are not ready may go at once, so nothing but the fence keeps them here.
    house.cluster.readiness(NAMESPACE, NEW, Readiness::Never);
    house
        .cluster
        .trouble(Method::PATCH, OLD, u32::MAX, Mishap::Refused(500))?;
    house.strike().await?;
    wait::until("the old version was tried several times", PATIENCE, async || {
        ensure!(house.cluster.struck()? >= 3, "{} times", house.cluster.struck()?);
        Ok(())
    })
    .await?;
    assert_eq!(
        asked(&house)?,
        (3, 2),
        "an older writer could still shrink the old version"
    );
    house.cluster.calm()?;
    house.becomes(&id, "ROLLED BACK").await?;
    assert_eq!(asked(&house)?, (0, 5));
    Ok(())
}
