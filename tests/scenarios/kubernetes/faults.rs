//! An API that fails, hangs, lies or is contended, and a server that dies of it: the way back ends at zero, with all capacity, or
//! with a page that says exactly what is left.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::Method;
use serde_json::json;
use tidegate_tests::kubernetes::{Mishap, Readiness};
use tidegate_tests::wait;

use super::house::{House, PATIENCE, phase, plan, setup};
use super::moved::Moved;
use super::replicas::{self, NAMESPACE, NEW, OLD, RIGHTS, Replicas, asked, target, weeks};
use super::route::Route;
use super::selector::Selector;

/// From a decision that does not come through to the page, with time for a busy machine.
const PAGED: Duration = Duration::from_secs(60);

async fn in_week_two() -> Result<(House, String)> {
    Replicas.raised_house().await
}

/// One thing that goes wrong on the way back.
#[derive(Clone, Debug)]
struct Case {
    method: Method,
    path: &'static str,
    mishap: Mishap,
    times: u32,
    /// Whether the server is killed once it has happened.
    dies: bool,
}

/// Every mishap at every call, and at every write those besides which a server does not survive.
fn cases(moved: impl Moved) -> Vec<Case> {
    let writes = [
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
    let reads = [
        (Mishap::Refused(503), 2),
        (Mishap::Refused(403), 2),
        (Mishap::Hangs, 1),
        (Mishap::Slow(Duration::from_millis(300)), 4),
    ];
    let case = |method: &Method, path, (mishap, times): &(Mishap, u32), dies| Case {
        method: method.clone(),
        path,
        mishap: mishap.clone(),
        times: *times,
        dies,
    };
    let mut cases = Vec::new();
    for path in moved.written() {
        for (mishap, dies) in writes.iter().flat_map(|mishap| [(mishap, false), (mishap, true)]) {
            // Each kind once: to a server that is dead, one status is as good as another.
            if !(dies && matches!(mishap.0, Mishap::Refused(503 | 429 | 403) | Mishap::DoneButFailed(504))) {
                cases.push(case(&Method::PATCH, path, mishap, dies));
            }
        }
    }
    for path in moved.read() {
        cases.extend(reads.iter().map(|mishap| case(&Method::GET, path, mishap, false)));
    }
    cases
}

/// Goes back through the mishap. While it strikes a write, the old version has too few pods to go back to.
async fn comes_back(moved: impl Moved, case: &Case) -> Result<()> {
    let (mut house, id) = moved.raised_house().await?;
    let writes = case.method == Method::PATCH;
    if writes {
        moved.old_pods(&house.cluster, Readiness::UpTo(moved.too_few()));
    }
    let Case {
        method, path, mishap, ..
    } = case.clone();
    house.cluster.trouble(method, path, case.times, mishap)?;
    house.strike().await?;
    if writes {
        wait::until("it happens", PATIENCE, async || happened(&house)).await?;
        if case.dies {
            house.dies_and_returns().await?;
        }
        moved.old_pods(&house.cluster, Readiness::AtOnce);
    }
    moved.ends_at_zero(&house, &id).await?;
    happened(&house)
}

fn happened(house: &House) -> Result<()> {
    ensure!(house.cluster.struck()? > 0, "it never happened");
    Ok(())
}

async fn always_comes_back(moved: impl Moved) -> Result<()> {
    let cases = cases(moved);
    let all = cases.len();
    let one = async |case: Case| comes_back(moved, &case).await.with_context(|| format!("{case:?}"));
    let done: Vec<()> = stream::iter(cases).map(one).buffer_unordered(3).try_collect().await?;
    println!("{} of {all} mishaps ended at zero", done.len());
    Ok(())
}

#[tokio::test]
async fn whatever_a_single_call_does_two_deployments_come_back() -> Result<()> {
    always_comes_back(Replicas).await
}

#[tokio::test]
async fn whatever_a_single_call_does_a_service_comes_back() -> Result<()> {
    always_comes_back(Selector).await
}

#[tokio::test]
async fn whatever_a_single_call_does_a_route_comes_back() -> Result<()> {
    always_comes_back(Route).await
}

/// An API that takes every write and does none: nobody says "rolled back", a page says what is left, and once it does what it
/// says, the rollout is over.
async fn is_paged_for(moved: impl Moved) -> Result<()> {
    let (mut house, id) = moved.raised_house().await?;
    for path in moved.written() {
        house.cluster.trouble(Method::PATCH, path, u32::MAX, Mishap::Lies)?;
    }
    house.strike().await?;
    let left = format!(
        "the API takes the write and goes on showing what was there before: {}",
        moved.left()
    );
    house.paged(PAGED, &[&format!("ROLLBACK STUCK {id}"), &left]).await?;
    // Nor does anybody say so who comes after a death.
    house.dies_and_returns().await?;
    assert_eq!(house.card(&id).await?["state"], "ROLLING BACK");
    house.cluster.calm()?;
    moved.ends_at_zero(&house, &id).await
}

#[tokio::test]
async fn an_api_that_lies_is_never_called_rolled_back_and_somebody_is_paged() -> Result<()> {
    tokio::try_join!(is_paged_for(Replicas), is_paged_for(Selector), is_paged_for(Route)).map(drop)
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
