//! The way back, rung by rung, against an API that fails one of them: the next one brings traffic home, and the card tells all.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::Method;
use serde_json::{Value, json};
use tidegate_tests::kubernetes::{Kubernetes, Mishap};
use tidegate_tests::wait;

use super::house::{House, PATIENCE, manifest, phase, plan, setup_for};

const NAMESPACE: &str = "shop";

fn route() -> Value {
    json!({ "httproute": {
        "namespace": NAMESPACE, "route": "boka", "new": "boka-green", "old": "boka-blue", "readyWithin": "1m",
    } })
}

fn pods() -> Value {
    json!({ "deployment-replicas": { "namespace": NAMESPACE, "new": "green", "old": "blue", "total": 3 } })
}

/// The Service that the route leads to, which can answer with blue as well.
fn service() -> Value {
    json!({ "service-selector": {
        "namespace": NAMESPACE, "service": "boka-green", "label": "version", "new": "green", "old": "blue", "ready": 3,
    } })
}

/// So long a rung is tried that will not come through.
const SHORT: &str = "3s";
/// So long one may take that will, with a restart in between on a busy machine.
const LONG: &str = "2m";

/// Three ways back, each with its time.
fn ladder(rungs: [(&str, Value, &str); 3]) -> Value {
    let rungs = rungs.map(|(name, target, within)| json!({ "name": name, "target": target, "within": within }));
    json!({ "ladder": rungs })
}

/// A route first, then the pods behind it, then the flag; so many of them do not come through.
async fn house(failing: usize) -> Result<(House, String)> {
    let flag = json!({ "flag": { "key": "boka" } });
    let within = |rung: usize| if rung < failing { SHORT } else { LONG };
    house_on(ladder([
        ("route", route(), within(0)),
        ("pods", pods(), within(1)),
        ("flag-off", flag, within(2)),
    ]))
    .await
}

async fn house_on(ladder: Value) -> Result<(House, String)> {
    let cluster = Kubernetes::fake().await?;
    cluster.deployment(NAMESPACE, "blue", 3, "boka", "blue")?;
    cluster.deployment(NAMESPACE, "green", 3, "boka", "green")?;
    cluster.service(NAMESPACE, "boka-blue", "boka", Some("blue"))?;
    cluster.service(NAMESPACE, "boka-green", "boka", Some("green"))?;
    let backend = |name: &str, weight: u32| json!({ "name": name, "port": 80, "weight": weight });
    let object = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": { "namespace": NAMESPACE, "name": "boka" },
        "spec": {
            "parentRefs": [{ "name": "gw" }],
            "rules": [{ "backendRefs": [backend("boka-blue", 100), backend("boka-green", 0)] }],
        },
    });
    cluster.place("gateway.networking.k8s.io", "httproutes", object)?;
    let mut plan = plan(&route(), &[phase("half", "50%")]);
    plan["spec"]["rollback"] = ladder;
    let pods = manifest("deployment-replicas/role.yaml")?
        .replace("namespace: finance", "namespace: shop")
        .replace("finance-service-v1, finance-service-v2", "blue, green");
    let service =
        manifest("service-selector/role.yaml")?.replace("resourceNames: [boka]", "resourceNames: [boka-green]");
    let rights = format!("{}\n---\n{pods}\n---\n{service}", manifest("httproute/role.yaml")?);
    let (setup, scratch) = setup_for(&cluster, &plan, &rights)?;
    let house = House::with(cluster, setup, scratch).await?;
    let id = house.begin().await?;
    house.waits(&id, "half").await?;
    Ok((house, id))
}

fn green_weight(house: &House) -> Result<Value> {
    let route = house
        .cluster
        .object("gateway.networking.k8s.io", "httproutes", NAMESPACE, "boka")?;
    Ok(route["spec"]["rules"][0]["backendRefs"][1]["weight"].clone())
}

/// The rungs as the card tells them.
async fn told(house: &House, id: &str) -> Result<Vec<String>> {
    let card = house.card(id).await?;
    let lines = card["ladder"].as_array().cloned().unwrap_or_default();
    Ok(lines
        .iter()
        .map(|line| line.as_str().unwrap_or_default().to_owned())
        .collect())
}

#[tokio::test]
async fn the_first_rung_is_enough_when_it_works() -> Result<()> {
    let (house, id) = house(0).await?;
    house.strike().await?;
    house.becomes(&id, "ROLLED BACK").await?;
    assert_eq!(green_weight(&house)?, 0);
    let told = told(&house, &id).await?;
    assert!(
        told.len() == 1 && told[0].starts_with("route (httproute/shop/boka): zero read back"),
        "{told:?}"
    );
    assert_eq!(
        house.cluster.replicas(NAMESPACE, "green")?,
        (3, 3),
        "no other rung was touched"
    );
    Ok(())
}

/// When the server dies, while the rungs that are in trouble are in trouble.
#[derive(Clone, Copy, Debug)]
enum Dies {
    /// As soon as the first call has met its mishap.
    Struck,
    /// Once the next rung was begun.
    Climbed,
}

/// One way back: so many rungs, from the first one on, meet this mishap at every write.
#[derive(Clone, Debug)]
struct Case {
    rungs: usize,
    mishap: Mishap,
    dies: Dies,
}

impl Case {
    fn all() -> Vec<Self> {
        let mishaps = [
            Mishap::Refused(500),
            Mishap::Refused(403),
            Mishap::Hangs,
            Mishap::Lies,
            Mishap::Overtaken,
        ];
        let with = |rungs, dies| mishaps.clone().map(|mishap| Self { rungs, mishap, dies });
        [with(1, Dies::Struck), with(1, Dies::Climbed), with(2, Dies::Climbed)]
            .into_iter()
            .flatten()
            .collect()
    }

    async fn comes_back(&self) -> Result<()> {
        let (mut house, id) = house(self.rungs).await?;
        let written = ["httproutes", "deployments"];
        for path in &written[..self.rungs] {
            house
                .cluster
                .trouble(Method::PATCH, path, u32::MAX, self.mishap.clone())?;
        }
        house.strike().await?;
        wait::until("it is where it dies", PATIENCE, async || {
            let climbed = told(&house, &id).await?.len();
            match self.dies {
                Dies::Struck => ensure!(house.cluster.struck()? > 0, "nothing has struck"),
                Dies::Climbed => ensure!(climbed > self.rungs, "{climbed} rungs"),
            }
            Ok(())
        })
        .await?;
        // Dying in between loses neither the rung nor what was told of the one before.
        house.dies_and_returns().await?;
        house.becomes(&id, "ROLLED BACK").await?;
        let told = told(&house, &id).await?;
        println!("{self:?}: {told:#?}");
        ensure!(told.len() == self.rungs + 1, "{told:?}");
        ensure!(
            told[0].starts_with("route (httproute/shop/boka): failed after"),
            "{told:?}"
        );
        for failed in &told[..self.rungs] {
            ensure!(failed.contains("failed after"), "{told:?}");
        }
        ensure!(told[self.rungs].contains("zero read back after"), "{told:?}");
        self.is_at_zero(&house).await
    }

    /// The rungs below are tried on: nothing stays raised once it can be lowered.
    async fn is_at_zero(&self, house: &House) -> Result<()> {
        let pods = || {
            let (green, blue) = (
                house.cluster.replicas(NAMESPACE, "green")?,
                house.cluster.replicas(NAMESPACE, "blue")?,
            );
            ensure!(green.0 == 0 && blue == (3, 3), "green {green:?}, blue {blue:?}");
            anyhow::Ok(())
        };
        if self.rungs == 1 {
            pods()?;
        }
        house.cluster.calm()?;
        wait::until("the rungs below are at zero, too", PATIENCE, async || {
            ensure!(green_weight(house)? == 0, "{}", green_weight(house)?);
            pods()
        })
        .await
    }
}

#[tokio::test]
async fn whatever_is_wrong_with_rungs_the_next_one_brings_traffic_home() -> Result<()> {
    let one = async |case: Case| case.comes_back().await.with_context(|| format!("{case:?}"));
    stream::iter(Case::all())
        .map(one)
        .buffer_unordered(3)
        .try_collect::<Vec<()>>()
        .await
        .map(drop)
}

/// A write that is done comes through, whatever is answered: no other rung is needed.
#[tokio::test]
async fn a_rung_that_is_done_and_not_told_is_enough() -> Result<()> {
    let one = async |mishap: Mishap| -> Result<()> {
        let (mut house, id) = house(0).await?;
        house.cluster.trouble(Method::PATCH, "httproutes", u32::MAX, mishap)?;
        house.strike().await?;
        wait::until("it happens", PATIENCE, async || {
            ensure!(house.cluster.struck()? > 0, "it never happened");
            Ok(())
        })
        .await?;
        house.dies_and_returns().await?;
        house.becomes(&id, "ROLLED BACK").await?;
        let told = told(&house, &id).await?;
        ensure!(told.len() == 1 && green_weight(&house)? == 0, "{told:?}");
        Ok(())
    };
    tokio::try_join!(one(Mishap::DoneButFailed(500)), one(Mishap::DoneButHangs)).map(drop)
}

/// Whoever was told that a rung is still tried is told when it is not: another owner of its target is not overruled.
#[tokio::test]
async fn a_rung_that_is_still_tried_is_given_up_aloud_where_somebody_else_owns_its_target() -> Result<()> {
    let (house, id) = house(1).await?;
    house
        .cluster
        .trouble(Method::PATCH, "httproutes", u32::MAX, Mishap::Refused(500))?;
    house.strike().await?;
    house.becomes(&id, "ROLLED BACK").await?;
    house.told(&id, "still tried: route (httproute/shop/boka)").await?;
    let owned = json!({ "metadata": { "annotations": { "tidegate.dev/epoch": "99" } } });
    house
        .cluster
        .patch("gateway.networking.k8s.io", "httproutes", NAMESPACE, "boka", &owned)?;
    house.cluster.calm()?;
    let words = [
        "GIVEN UP",
        "httproute/shop/boka was never read back at zero",
        "the higher epoch 99",
    ];
    house.paged(PATIENCE, &words).await?;
    ensure!(green_weight(&house)? != 0, "it was overruled");
    Ok(())
}

#[tokio::test]
async fn the_last_rung_ends_what_two_before_it_could_not() -> Result<()> {
    let (house, id) = house(2).await?;
    house
        .cluster
        .trouble(Method::PATCH, "httproutes", u32::MAX, Mishap::Refused(500))?;
    house
        .cluster
        .trouble(Method::PATCH, "deployments", u32::MAX, Mishap::Refused(403))?;
    // The flag is ours and cannot fail, so the story ends there, with two rungs named that did not come through.
    house.strike().await?;
    let card = wait::until("the flag ends it", Duration::from_secs(60), async || {
        let card = house.card(&id).await?;
        ensure!(card["state"] == "ROLLED BACK", "{card}");
        Ok(card)
    })
    .await?;
    let told = told(&house, &id).await?;
    assert!(
        told.len() == 3 && told[0].contains("failed after") && told[1].contains("failed after"),
        "{told:?}"
    );
    assert!(
        told[2].starts_with("flag-off (flag/boka): zero read back after"),
        "{told:?}"
    );
    assert!(card["next"].to_string().contains("The flag serves 0%"), "{card}");
    for rung in ["Rung route did not come through", "Rung pods did not come through"] {
        house.told(&id, rung).await?;
    }
    Ok(())
}

#[tokio::test]
async fn when_the_last_rung_fails_as_well_the_page_names_each_of_them_and_what_stands_in_its_way() -> Result<()> {
    let rungs = [
        ("route", route(), SHORT),
        ("service", service(), SHORT),
        ("pods", pods(), SHORT),
    ];
    let (mut house, id) = house_on(ladder(rungs)).await?;
    let refuse = |path, code| {
        house
            .cluster
            .trouble(Method::PATCH, path, u32::MAX, Mishap::Refused(code))
    };
    refuse("httproutes", 500)?;
    refuse("services", 503)?;
    refuse("deployments", 403)?;
    house.strike().await?;
    house
        .paged(
            Duration::from_secs(60),
            &[
                &format!("ROLLBACK STUCK {id}: 0% is not confirmed"),
                "every rung was tried",
                "route (httproute/shop/boka): failed after",
                "the weights of boka read 50:50, and the write did not come through: the Kubernetes API answered 500",
                "service (service/shop/boka-green): failed after",
                "the Service boka-green selects green, and the write did not come through: the Kubernetes API answered 503",
                "pods (deployment/shop/green): failed after",
                "could not scale the Deployments: the fake was told to refuse; green has 3 replicas",
                "take it that the new version still gets traffic",
            ],
        )
        .await?;
    assert_eq!(house.card(&id).await?["state"], "ROLLING BACK", "nobody says otherwise");
    assert_eq!(green_weight(&house)?, 50, "this is left");
    // Whoever comes after a death knows what was tried, and tries on.
    house.dies_and_returns().await?;
    assert_eq!(house.card(&id).await?["state"], "ROLLING BACK");
    assert_eq!(told(&house, &id).await?.len(), 3);
    // The first that works again ends it.
    house.cluster.calm()?;
    house.becomes(&id, "ROLLED BACK").await?;
    wait::until("the route is at zero", PATIENCE, async || {
        ensure!(green_weight(&house)? == 0, "{}", green_weight(&house)?);
        Ok(())
    })
    .await
}
