//! Nothing is raised while the way back is not alive: what a rollback would need is looked at before each step forward, and said
//! where it is missing.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tidegate_tests::http;
use tidegate_tests::kubernetes::{Kubernetes, Readiness};

use super::house::{House, manifest, phase, plan, setup_for};
use super::replicas::{self, NAMESPACE, NEW, OLD, RIGHTS, asked};
use super::{route, selector};

#[tokio::test]
async fn pods_of_the_old_version_that_are_gone_are_waited_for_before_more_of_the_new_one() -> Result<()> {
    let house = replicas::house().await?;
    let id = house.begin().await?;
    house.waits(&id, "week-1").await?;
    house.cluster.readiness(NAMESPACE, OLD, Readiness::UpTo(3));
    house.advance(&id).await?;
    house
        .shows(
            &id,
            "the way back is not alive: finance-service-v1 has 3 ready pods and is to have 4",
        )
        .await?;
    assert_eq!(asked(&house)?, (1, 4), "nothing was written");
    assert_eq!(house.card(&id).await?["state"], "ADVANCING");
    house.cluster.readiness(NAMESPACE, OLD, Readiness::AtOnce);
    house.waits(&id, "week-2").await?;
    assert_eq!(asked(&house)?, (3, 2));
    Ok(())
}

#[tokio::test]
async fn a_blue_that_is_gone_keeps_the_traffic_until_it_is_back() -> Result<()> {
    let house = selector::house_in(Kubernetes::start().await?).await?;
    house
        .cluster
        .readiness(selector::NAMESPACE, "boka-green", Readiness::UpTo(2));
    let id = house.begin().await?;
    house.shows(&id, "2 pods of green are ready and 3 are needed").await?;
    house
        .cluster
        .readiness(selector::NAMESPACE, "boka-blue", Readiness::Never);
    house
        .cluster
        .readiness(selector::NAMESPACE, "boka-green", Readiness::AtOnce);
    let gone = "the way back is not alive: 0 pods of blue are ready and 3 are needed";
    house.shows(&id, gone).await?;
    assert_eq!(selector::colour(&house)?, "blue");
    house
        .cluster
        .readiness(selector::NAMESPACE, "boka-blue", Readiness::AtOnce);
    house.waits(&id, "green").await?;
    assert_eq!(selector::colour(&house)?, "green");
    Ok(())
}

#[tokio::test]
async fn a_stable_service_without_endpoints_keeps_the_route_as_it_is() -> Result<()> {
    let house = route::house_in(Kubernetes::start().await?).await?;
    let id = house.begin().await?;
    house.waits(&id, "some").await?;
    house.cluster.readiness(route::NAMESPACE, "stable", Readiness::Never);
    house.advance(&id).await?;
    let gone = "the way back is not alive: 0 endpoints of checkout-stable are ready and 1 are needed";
    house.shows(&id, gone).await?;
    assert_eq!(route::weights(&house)?, (90.into(), 10.into()));
    house.cluster.readiness(route::NAMESPACE, "stable", Readiness::AtOnce);
    house.waits(&id, "third").await?;
    assert_eq!(route::weights(&house)?, (6670.into(), 3330.into()));
    Ok(())
}

/// A flag that falls back on pods: each rung has to be alive, not only what is moved forward.
async fn on_a_flag_with_pods_below() -> Result<House> {
    let cluster = replicas::cluster().await?;
    let flag = json!({ "flag": { "key": "finance" } });
    let mut plan = plan(&flag, &[phase("some", "10%"), phase("all", "100%")]);
    plan["spec"]["rollback"] = json!({ "ladder": [
        { "name": "flag-off", "target": flag },
        { "name": "pods", "target": replicas::target() },
    ] });
    let (setup, scratch) = setup_for(&cluster, &plan, &manifest(RIGHTS)?)?;
    House::with(cluster, setup, scratch).await
}

/// The weight that the flag is served with, to anybody on this machine.
async fn served(house: &House) -> Result<Value> {
    let url = house.tidegate.url("/ofrep/v1/evaluate/flags/finance");
    let asked = json!({ "context": { "targetingKey": "anybody" } });
    let answer = http::client()?
        .post(url)
        .json(&asked)
        .send()
        .await?
        .error_for_status()?;
    let answer: Value = answer.json().await?;
    Ok(answer["metadata"]["weight"].clone())
}

#[tokio::test]
async fn every_rung_is_looked_at_and_the_one_that_is_not_alive_is_named() -> Result<()> {
    let house = on_a_flag_with_pods_below().await?;
    let id = house.begin().await?;
    house.waits(&id, "some").await?;
    let before = served(&house).await?;
    ensure!(before == "10%", "{before}");
    house.cluster.readiness(NAMESPACE, OLD, Readiness::Never);
    house.advance(&id).await?;
    let gone = "the way back is not alive, rung pods: finance-service-v1 has 0 ready pods and is to have 5";
    house.shows(&id, gone).await?;
    assert_eq!(served(&house).await?, before, "the flag was not raised");
    house.cluster.readiness(NAMESPACE, OLD, Readiness::AtOnce);
    house.waits(&id, "all").await?;
    assert_eq!(served(&house).await?, "100%");
    assert_eq!(asked(&house)?, (0, 5), "a rung is only looked at");
    Ok(())
}

#[tokio::test]
async fn a_start_is_refused_while_a_rung_is_not_alive() -> Result<()> {
    let house = on_a_flag_with_pods_below().await?;
    house.cluster.readiness(NAMESPACE, OLD, Readiness::UpTo(4));
    let said = house.refused().await?;
    let gone = "the way back is not alive, rung pods: finance-service-v1 has 4 ready pods and is to have 5";
    ensure!(said.contains(gone), "{said}");
    house.cluster.readiness(NAMESPACE, OLD, Readiness::AtOnce);
    let id = house.begin().await?;
    house.waits(&id, "some").await?;
    Ok(())
}

#[tokio::test]
async fn a_rung_that_somebody_scaled_to_nothing_is_no_way_back() -> Result<()> {
    let house = on_a_flag_with_pods_below().await?;
    let scaled = |pods: u64| json!({ "spec": { "replicas": pods } });
    house.cluster.patch("apps", "deployments", NAMESPACE, OLD, &scaled(0))?;
    let said = house.refused().await?;
    let gone = "the way back is not alive, rung pods: finance-service-v1 is asked for no pod";
    ensure!(said.contains(gone), "{said}");
    house.cluster.patch("apps", "deployments", NAMESPACE, OLD, &scaled(5))?;
    house.begin().await.map(drop)
}

/// A rung whose object is gone is the word of the API, which only a person can change.
#[tokio::test]
async fn a_rung_that_cannot_be_found_is_told_in_the_words_of_the_api() -> Result<()> {
    let house = on_a_flag_with_pods_below().await?;
    let id = house.begin().await?;
    house.waits(&id, "some").await?;
    // Nobody may read it any more.
    let rights = manifest(RIGHTS)?.replace(&format!("{OLD}, {NEW}"), NEW);
    ensure!(!rights.contains(OLD), "{rights}");
    house.cluster.grant(&rights)?;
    house.advance(&id).await?;
    let told = house.told(&id, "the way back is not alive, rung pods").await?;
    ensure!(
        told.contains("deployments.apps \"finance-service-v1\" is forbidden"),
        "{told}"
    );
    house.cluster.grant(&manifest(RIGHTS)?)?;
    // It was given up at once, so it goes on when a person says so.
    house.advance(&id).await?;
    house.waits(&id, "all").await
}
