//! The weights of an HTTPRoute, and nothing else of it.

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tidegate_tests::kubernetes::{Kubernetes, Mishap, Readiness};
use tidegate_tests::paths::repository;
use tidegate_tests::wait;

use super::house::{House, PATIENCE, phase};
use super::moved::Moved;

pub(super) const NAMESPACE: &str = "shop";
const RIGHTS: &str = "httproute/role.yaml";

fn target() -> Value {
    json!({ "httproute": {
        "namespace": NAMESPACE, "route": "boka", "new": "checkout-canary", "old": "checkout-stable", "readyWithin": "1m",
    } })
}

/// The route of the fixture, with what Tidegate must leave alone.
fn route() -> Result<Value> {
    let fixture = repository().join("tests/fixtures/k8s/httproute-weights.json");
    let mut route: Value = serde_json::from_str(&std::fs::read_to_string(fixture)?)?;
    route["metadata"] = json!({ "namespace": NAMESPACE, "name": "boka" });
    let rules = &mut route["spec"]["rules"];
    rules[0]["matches"] = json!([{ "path": { "type": "PathPrefix", "value": "/shop" } }]);
    rules[0]["filters"] = json!([{ "type": "RequestHeaderModifier", "requestHeaderModifier": { "set": [{ "name": "x", "value": "y" }] } }]);
    rules[0]["backendRefs"][0]["weight"] = 100.into();
    rules[0]["backendRefs"][1]["weight"] = 0.into();
    if let Some(rules) = rules.as_array_mut() {
        rules.push(json!({ "backendRefs": [{ "name": "static", "port": 80 }] }));
    }
    Ok(route)
}

async fn house() -> Result<House> {
    house_in(Kubernetes::start().await?).await
}

pub(super) async fn house_in(cluster: Kubernetes) -> Result<House> {
    Route.furnish(&cluster)?;
    House::start(cluster, &target(), &Route.phases(), RIGHTS).await
}

/// The weights of one HTTPRoute, each side of which takes three pods.
#[derive(Clone, Copy)]
pub(crate) struct Route;

impl Moved for Route {
    fn target(self) -> Value {
        let mut target = target();
        target["httproute"]["ready"] = 3.into();
        target
    }

    fn phases(self) -> Vec<Value> {
        vec![phase("some", "10%"), phase("third", "33.3%"), phase("all", "100%")]
    }

    fn raised(self) -> &'static [&'static str] {
        &["some", "third", "all"]
    }

    fn rights(self) -> &'static str {
        RIGHTS
    }

    fn furnish(self, cluster: &Kubernetes) -> Result<()> {
        cluster.deployment(NAMESPACE, "stable", 3, "checkout", "stable")?;
        cluster.deployment(NAMESPACE, "canary", 3, "checkout", "canary")?;
        // Behind the rule that is nobody's business.
        cluster.deployment(NAMESPACE, "static", 3, "static", "v1")?;
        cluster.service(NAMESPACE, "static", "static", None)?;
        cluster.service(NAMESPACE, "checkout-stable", "checkout", Some("stable"))?;
        cluster.service(NAMESPACE, "checkout-canary", "checkout", Some("canary"))?;
        cluster.place("gateway.networking.k8s.io", "httproutes", route()?)
    }

    fn written(self) -> &'static [&'static str] {
        &["httproutes/boka"]
    }

    fn read(self) -> &'static [&'static str] {
        &["httproutes/boka", "/endpointslices"]
    }

    fn namespace(self) -> &'static str {
        NAMESPACE
    }

    fn versions(self) -> [&'static str; 2] {
        ["canary", "stable"]
    }

    fn too_few(self) -> usize {
        2
    }

    fn left(self) -> &'static str {
        "the weights of boka read 100:0"
    }

    fn at_zero(self, cluster: &Kubernetes) -> Result<()> {
        let weights = divided(cluster)?;
        ensure!(weights == (100.into(), 0.into()), "the weights read {weights:?}");
        Ok(())
    }

    fn never_dipped(self, cluster: &Kubernetes) -> Result<()> {
        let least = cluster.least_carried("gateway.networking.k8s.io", "httproutes", NAMESPACE, "boka")?;
        ensure!(
            least == 3,
            "a backend with {least} ready endpoints got traffic at some moment"
        );
        Ok(())
    }
}

fn object(house: &House) -> Result<Value> {
    house
        .cluster
        .object("gateway.networking.k8s.io", "httproutes", NAMESPACE, "boka")
}

/// The weights of the stable and the canary backend.
pub(super) fn weights(house: &House) -> Result<(Value, Value)> {
    divided(&house.cluster)
}

fn divided(cluster: &Kubernetes) -> Result<(Value, Value)> {
    let route = cluster.object("gateway.networking.k8s.io", "httproutes", NAMESPACE, "boka")?;
    let backends = route["spec"]["rules"][0]["backendRefs"].clone();
    Ok((backends[0]["weight"].clone(), backends[1]["weight"].clone()))
}

#[tokio::test]
async fn two_numbers_change_and_everything_else_of_the_route_stays() -> Result<()> {
    let house = house().await?;
    let before = object(&house)?["spec"].clone();
    let watched = house
        .cluster
        .witness("gateway.networking.k8s.io", "httproutes", NAMESPACE)
        .await?;
    let id = house.begin().await?;
    house.waits(&id, "some").await?;
    assert_eq!(weights(&house)?, (90.into(), 10.into()));
    house
        .told(
            &id,
            "boka gives 10% to checkout-canary, and every gateway has accepted it",
        )
        .await?;
    house.advance(&id).await?;
    house.waits(&id, "third").await?;
    assert_eq!(weights(&house)?, (6670.into(), 3330.into()));
    house.strike().await?;
    house.becomes(&id, "ROLLED BACK").await?;
    assert_eq!(weights(&house)?, (100.into(), 0.into()));
    assert_eq!(
        object(&house)?["spec"],
        before,
        "matches, filters and parents are as they were"
    );
    let backends = |route: &Value| route["spec"]["rules"][0]["backendRefs"].clone();
    let steps = watched
        .changes(|route| json!([backends(route)[0]["weight"], backends(route)[1]["weight"]]))
        .await?;
    let steps: Vec<Value> = steps.into_iter().map(|(_, weights)| weights).collect();
    assert_eq!(
        steps,
        [json!([90, 10]), json!([6670, 3330]), json!([100, 0])],
        "and nothing in between"
    );
    Ok(())
}

#[tokio::test]
async fn whoever_writes_to_the_route_in_between_is_read_again_and_not_undone() -> Result<()> {
    let house = house_in(Kubernetes::fake().await?).await?;
    let contended = |times| {
        house
            .cluster
            .trouble(Method::PATCH, "httproutes", times, Mishap::Overtaken)
    };
    contended(3)?;
    let id = house.begin().await?;
    house.waits(&id, "some").await?;
    assert_eq!(weights(&house)?, (90.into(), 10.into()));
    contended(3)?;
    house.strike().await?;
    house.becomes(&id, "ROLLED BACK").await?;
    assert_eq!(weights(&house)?, (100.into(), 0.into()));
    assert_eq!(house.cluster.struck()?, 6, "somebody else wrote every time");
    let touched = object(&house)?["metadata"]["annotations"]["example.org/touched"].clone();
    assert!(touched.is_string(), "what somebody else wrote stands");
    Ok(())
}

#[tokio::test]
async fn a_rule_that_somebody_takes_away_in_between_is_read_again() -> Result<()> {
    let house = house_in(Kubernetes::fake().await?).await?;
    let mut two = object(&house)?["spec"]["rules"].clone();
    let first = two[0].clone();
    let rules = two.as_array_mut().context("no rules")?;
    rules.insert(0, first.clone());
    let set = |rules: Value| json!({ "spec": { "rules": rules } });
    let place = ("gateway.networking.k8s.io", "httproutes", NAMESPACE, "boka");
    house
        .cluster
        .patch(place.0, place.1, place.2, place.3, &set(two.clone()))?;
    // The first rule goes between the read and the write: the places of the others are no longer what was read.
    let gone = set(json!([two[2], first]));
    house
        .cluster
        .trouble(Method::PATCH, "httproutes", 1, Mishap::OvertakenBy(gone))?;
    let id = house.begin().await?;
    house.waits(&id, "some").await?;
    let rules = object(&house)?["spec"]["rules"].clone();
    assert_eq!(
        (&rules[0], &rules[1]["backendRefs"][1]["weight"], rules[2].is_null()),
        (&two[2], &json!(10), true),
        "{rules}"
    );
    Ok(())
}

#[tokio::test]
async fn rolled_back_is_said_only_when_the_gateway_has_taken_it_over() -> Result<()> {
    let house = house().await?;
    let id = house.begin().await?;
    house.waits(&id, "some").await?;
    house.cluster.gateways_stand_still(true);
    house.strike().await?;
    wait::until("zero is written", PATIENCE, async || {
        ensure!(weights(&house)? == (100.into(), 0.into()), "{:?}", weights(&house)?);
        Ok(())
    })
    .await?;
    house
        .shows(&id, "the gateway shop/gw has not looked at generation 3 of boka yet")
        .await?;
    assert_eq!(
        house.card(&id).await?["state"],
        "ROLLING BACK",
        "written is not read back"
    );
    house.cluster.gateways_stand_still(false);
    house.becomes(&id, "ROLLED BACK").await?;
    Ok(())
}

#[tokio::test]
async fn a_gateway_that_has_not_reported_is_waited_for_whatever_another_one_says() -> Result<()> {
    let house = house().await?;
    let both = json!({ "spec": { "parentRefs": [{ "name": "gw" }, { "name": "edge", "sectionName": "https" }] } });
    let (group, resource) = ("gateway.networking.k8s.io", "httproutes");
    house.cluster.patch(group, resource, NAMESPACE, "boka", &both)?;
    house.cluster.gateway_is_silent("edge", true);
    let silent = "the gateway shop/edge/https says nothing about boka";
    let refused = house.refused().await?;
    ensure!(refused.contains(silent), "{refused}");
    assert_eq!(weights(&house)?, (100.into(), 0.into()));

    house.cluster.gateway_is_silent("edge", false);
    let id = house.begin().await?;
    house.waits(&id, "some").await?;
    house.cluster.gateway_is_silent("edge", true);
    house.advance(&id).await?;
    house.shows(&id, silent).await?;
    assert_eq!(weights(&house)?, (6670.into(), 3330.into()));
    assert_eq!(house.card(&id).await?["state"], "ADVANCING");

    house.cluster.gateway_is_silent("edge", false);
    house.waits(&id, "third").await?;
    house.cluster.gateway_is_silent("edge", true);
    house.strike().await?;
    house.shows(&id, silent).await?;
    assert_eq!(weights(&house)?, (100.into(), 0.into()));
    assert_eq!(
        house.card(&id).await?["state"],
        "ROLLING BACK",
        "one of two gateways may still send everything to the new version"
    );
    house.cluster.gateway_is_silent("edge", false);
    house.becomes(&id, "ROLLED BACK").await?;
    Ok(())
}

#[tokio::test]
async fn a_service_without_endpoints_gets_no_traffic_either_way() -> Result<()> {
    let house = house().await?;
    house.cluster.readiness(NAMESPACE, "canary", Readiness::Never);
    let id = house.begin().await?;
    wait::until("the route carries the epoch", PATIENCE, async || {
        let route = object(&house)?;
        ensure!(route["metadata"]["annotations"]["tidegate.dev/epoch"] == "1", "{route}");
        Ok(())
    })
    .await?;
    assert_eq!(weights(&house)?, (100.into(), 0.into()));
    house.cluster.readiness(NAMESPACE, "canary", Readiness::AtOnce);
    house.waits(&id, "some").await?;
    house.cluster.readiness(NAMESPACE, "stable", Readiness::Never);
    house.strike().await?;
    house
        .shows(&id, "0 endpoints of checkout-stable are ready and 1 are needed")
        .await?;
    assert_eq!(weights(&house)?, (90.into(), 10.into()));
    house.cluster.readiness(NAMESPACE, "stable", Readiness::AtOnce);
    house.becomes(&id, "ROLLED BACK").await?;
    Ok(())
}

#[tokio::test]
async fn a_route_that_somebody_else_turns_holds_the_rollout() -> Result<()> {
    let house = house().await?;
    let id = house.begin().await?;
    house.waits(&id, "some").await?;
    let mut turned = object(&house)?["spec"]["rules"].clone();
    turned[0]["backendRefs"][1]["weight"] = 90.into();
    house.cluster.patch(
        "gateway.networking.k8s.io",
        "httproutes",
        NAMESPACE,
        "boka",
        &json!({ "spec": { "rules": turned } }),
    )?;
    house.told(&id, "the weights of boka read 90:90").await?;
    assert_eq!(weights(&house)?, (90.into(), 90.into()), "somebody else's word stands");
    house.strike().await?;
    house.becomes(&id, "ROLLED BACK").await?;
    assert_eq!(weights(&house)?, (100.into(), 0.into()));
    Ok(())
}

#[tokio::test]
async fn a_backend_of_another_group_is_no_service_whatever_it_is_called() -> Result<()> {
    let house = house().await?;
    let mut rules = object(&house)?["spec"]["rules"].clone();
    rules[0]["backendRefs"][1]["group"] = "example.org".into();
    let change = json!({ "spec": { "rules": rules } });
    let (group, resource) = ("gateway.networking.k8s.io", "httproutes");
    house.cluster.patch(group, resource, NAMESPACE, "boka", &change)?;
    let refused = house.refused().await?;
    ensure!(
        refused.contains("rule 0 of boka names only one of the two Services"),
        "{refused}"
    );
    Ok(())
}
