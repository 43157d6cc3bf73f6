//! Blue-green: one Service, two colours, and the old one on standby.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tidegate_tests::kubernetes::{Kubernetes, Readiness};
use tidegate_tests::wait;

use super::house::{House, PATIENCE, phase};
use super::moved::Moved;

pub(super) const NAMESPACE: &str = "shop";
const RIGHTS: &str = "service-selector/role.yaml";

fn target() -> Value {
    json!({ "service-selector": {
        "namespace": NAMESPACE, "service": "boka", "label": "version", "new": "green", "old": "blue", "ready": 3,
        "readyWithin": "1m",
    } })
}

/// One Service and two colours.
#[derive(Clone, Copy)]
pub(super) struct Selector;

impl Moved for Selector {
    fn target(self) -> Value {
        target()
    }

    fn phases(self) -> Vec<Value> {
        vec![phase("green", "100%")]
    }

    fn raised(self) -> &'static [&'static str] {
        &["green"]
    }

    fn rights(self) -> &'static str {
        RIGHTS
    }

    fn furnish(self, cluster: &Kubernetes) -> Result<()> {
        cluster.deployment(NAMESPACE, "boka-blue", 3, "boka", "blue")?;
        cluster.deployment(NAMESPACE, "boka-green", 3, "boka", "green")?;
        cluster.service(NAMESPACE, "boka", "boka", Some("blue"))
    }

    fn written(self) -> &'static [&'static str] {
        &["services/boka"]
    }

    fn read(self) -> &'static [&'static str] {
        &["services/boka", "/pods", "/endpointslices"]
    }

    fn namespace(self) -> &'static str {
        NAMESPACE
    }

    fn versions(self) -> [&'static str; 2] {
        ["boka-green", "boka-blue"]
    }

    fn too_few(self) -> usize {
        2
    }

    fn left(self) -> &'static str {
        "the Service boka selects green"
    }

    fn at_zero(self, cluster: &Kubernetes) -> Result<()> {
        let colour = selected(cluster)?;
        ensure!(colour == "blue", "the Service selects {colour}");
        Ok(())
    }

    fn never_dipped(self, cluster: &Kubernetes) -> Result<()> {
        let least = cluster.least_carried("", "services", NAMESPACE, "boka")?;
        ensure!(
            least == 3,
            "only {least} ready pods stood behind the Service at some moment"
        );
        Ok(())
    }
}

async fn house() -> Result<House> {
    house_in(Kubernetes::start().await?).await
}

pub(super) async fn house_in(cluster: Kubernetes) -> Result<House> {
    Selector.furnish(&cluster)?;
    House::start(cluster, &target(), &Selector.phases(), RIGHTS).await
}

pub(super) fn colour(house: &House) -> Result<Value> {
    selected(&house.cluster)
}

fn selected(cluster: &Kubernetes) -> Result<Value> {
    let service = cluster.object("", "services", NAMESPACE, "boka")?;
    assert_eq!(
        service["spec"]["selector"]["app"], "boka",
        "the rest of the selector stays"
    );
    Ok(service["spec"]["selector"]["version"].clone())
}

#[tokio::test]
async fn green_gets_the_traffic_when_it_can_carry_it_and_blue_stays_on_standby() -> Result<()> {
    let house = house().await?;
    house.cluster.readiness(NAMESPACE, "boka-green", Readiness::UpTo(2));
    let id = house.begin().await?;
    wait::until("the Service carries the epoch", PATIENCE, async || {
        let service = house.cluster.object("", "services", NAMESPACE, "boka")?;
        let epoch = &service["metadata"]["annotations"]["tidegate.dev/epoch"];
        ensure!(*epoch == "1", "{service}");
        Ok(())
    })
    .await?;
    assert_eq!(
        colour(&house)?,
        "blue",
        "two of three green pods do not get the traffic"
    );
    house.cluster.readiness(NAMESPACE, "boka-green", Readiness::AtOnce);
    house.waits(&id, "green").await?;
    assert_eq!(colour(&house)?, "green");
    house.told(&id, "all 3 ready endpoints are pods of green").await?;
    assert_eq!(
        house.cluster.replicas(NAMESPACE, "boka-blue")?,
        (3, 3),
        "blue stays on standby"
    );

    house.strike().await?;
    house.becomes(&id, "ROLLED BACK").await?;
    assert_eq!(colour(&house)?, "blue");
    house.told(&id, "all 3 ready endpoints are pods of blue").await?;
    Ok(())
}

#[tokio::test]
async fn traffic_never_goes_back_to_a_colour_that_is_not_there() -> Result<()> {
    let house = house().await?;
    let id = house.begin().await?;
    house.waits(&id, "green").await?;
    house.cluster.readiness(NAMESPACE, "boka-blue", Readiness::Never);
    house.strike().await?;
    house
        .shows(
            &id,
            "0 pods of blue are ready and 3 are needed; the Service still selects green",
        )
        .await?;
    assert_eq!(colour(&house)?, "green", "nobody is sent where nobody is");
    house.cluster.readiness(NAMESPACE, "boka-blue", Readiness::AtOnce);
    house.becomes(&id, "ROLLED BACK").await?;
    assert_eq!(colour(&house)?, "blue");
    Ok(())
}

#[tokio::test]
async fn a_service_that_somebody_else_switches_is_not_switched_back() -> Result<()> {
    let house = house().await?;
    let id = house.begin().await?;
    house.waits(&id, "green").await?;
    let switch = |colour: &str| {
        let patch = json!({ "spec": { "selector": { "version": colour } } });
        house.cluster.patch("", "services", NAMESPACE, "boka", &patch)
    };
    switch("blue")?;
    house.told(&id, "the Service boka selects blue").await?;
    assert_eq!(colour(&house)?, "blue");
    assert_eq!(house.card(&id).await?["state"], "HELD");
    house.say(json!({ "verb": "rollback", "rollout": id })).await?;
    house.becomes(&id, "ROLLED BACK").await?;
    Ok(())
}
