//! Two Deployments: the story of `weekly-replicas`, week by week and back.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tidegate_tests::kubernetes::{Kubernetes, Readiness};
use tidegate_tests::wait;

use super::house::{House, PATIENCE, phase};
use super::moved::Moved;

pub(super) const NAMESPACE: &str = "finance";
pub(super) const NEW: &str = "finance-service-v2";
pub(super) const OLD: &str = "finance-service-v1";
pub(super) const RIGHTS: &str = "deployment-replicas/role.yaml";

pub(super) fn target() -> Value {
    json!({ "deployment-replicas": { "namespace": NAMESPACE, "new": NEW, "old": OLD, "total": 5, "readyWithin": "1m" } })
}

pub(super) fn weeks() -> Vec<Value> {
    vec![
        phase("week-1", "20%"),
        phase("week-2", "50%"),
        phase("week-3", "80%"),
        phase("week-4", "100%"),
    ]
}

/// Two Deployments.
#[derive(Clone, Copy)]
pub(super) struct Replicas;

impl Moved for Replicas {
    fn target(self) -> Value {
        target()
    }

    fn phases(self) -> Vec<Value> {
        weeks()
    }

    fn raised(self) -> &'static [&'static str] {
        &["week-1", "week-2"]
    }

    fn rights(self) -> &'static str {
        RIGHTS
    }

    /// Five old pods, none of the new version, and another service that is nobody's business.
    fn furnish(self, cluster: &Kubernetes) -> Result<()> {
        cluster.deployment(NAMESPACE, OLD, 5, "finance-service", "v1")?;
        cluster.deployment(NAMESPACE, NEW, 0, "finance-service", "v2")?;
        cluster.deployment(NAMESPACE, "ledger", 3, "ledger", "v1")
    }

    fn written(self) -> &'static [&'static str] {
        &[NEW, OLD]
    }

    fn read(self) -> &'static [&'static str] {
        &["deployments"]
    }

    fn namespace(self) -> &'static str {
        NAMESPACE
    }

    fn versions(self) -> [&'static str; 2] {
        [NEW, OLD]
    }

    fn too_few(self) -> usize {
        4
    }

    fn left(self) -> &'static str {
        "finance-service-v2 has 3 replicas, finance-service-v1 has 2"
    }

    fn at_zero(self, cluster: &Kubernetes) -> Result<()> {
        let count = |name| cluster.replicas(NAMESPACE, name).map(|(asked, _)| asked);
        let asked = (count(NEW)?, count(OLD)?);
        ensure!(asked == (0, 5), "{asked:?} replicas are asked for");
        Ok(())
    }

    fn never_dipped(self, cluster: &Kubernetes) -> Result<()> {
        let least = cluster.least_ready("finance-service");
        ensure!(least == 5, "only {least} pods were ready at some moment");
        Ok(())
    }
}

/// The same in a cluster that can be told to misbehave.
pub(super) async fn fake_cluster() -> Result<Kubernetes> {
    Replicas.cluster().await
}

pub(super) async fn cluster() -> Result<Kubernetes> {
    let cluster = Kubernetes::start().await?;
    Replicas.furnish(&cluster)?;
    Ok(cluster)
}

pub(super) async fn house() -> Result<House> {
    House::start(cluster().await?, &target(), &weeks(), RIGHTS).await
}

/// How many replicas of the new and the old version are asked for.
pub(super) fn asked(house: &House) -> Result<(u64, u64)> {
    let count = |name| house.cluster.replicas(NAMESPACE, name).map(|(asked, _)| asked);
    Ok((count(NEW)?, count(OLD)?))
}

#[tokio::test]
async fn week_by_week_and_back_no_pod_is_ever_missed() -> Result<()> {
    let house = house().await?;
    house
        .cluster
        .readiness(NAMESPACE, NEW, Readiness::After(Duration::from_millis(200)));
    house
        .cluster
        .readiness(NAMESPACE, OLD, Readiness::After(Duration::from_millis(200)));
    let watched = house.cluster.witness("apps", "deployments", NAMESPACE).await?;
    let id = house.begin().await?;
    for (week, replicas, share) in [
        ("week-1", (1, 4), "1 of 5 ready pods are finance-service-v2: 20%"),
        (
            "week-2",
            (3, 2),
            "3 of 5 ready pods are finance-service-v2: 60%, the nearest to 50% that 5 pods can do",
        ),
        ("week-3", (4, 1), "4 of 5 ready pods are finance-service-v2: 80%"),
        ("week-4", (5, 0), "5 of 5 ready pods are finance-service-v2: 100%"),
    ] {
        if week != "week-1" {
            house.advance(&id).await?;
        }
        house.waits(&id, week).await?;
        assert_eq!(asked(&house)?, replicas, "{week}");
        house.told(&id, share).await?;
    }
    house.strike().await?;
    house.becomes(&id, "ROLLED BACK").await?;
    house.told(&id, "0 of 5 ready pods are finance-service-v2: 0%").await?;
    assert_eq!(asked(&house)?, (0, 5));
    assert_eq!(house.cluster.least_ready("finance-service"), 5, "capacity dipped");
    assert_eq!(
        house.cluster.replicas(NAMESPACE, "ledger")?,
        (3, 3),
        "nobody else was touched"
    );

    // Whoever watched saw these steps, and no other.
    let steps = watched
        .changes(|deployment| deployment["spec"]["replicas"].clone())
        .await?;
    assert_eq!(
        steps,
        [
            (NEW, 1),
            (OLD, 4),
            (NEW, 3),
            (OLD, 2),
            (NEW, 4),
            (OLD, 1),
            (NEW, 5),
            (OLD, 0),
            (OLD, 5),
            (NEW, 0),
        ]
        .map(|(name, replicas)| (name.to_owned(), json!(replicas)))
    );
    // Every change is told on its object.
    wait::until("every change is an Event", PATIENCE, async || {
        let events = house.cluster.events()?;
        let (told, changes) = (events.len(), steps.len());
        ensure!(told >= changes, "{told} of {changes}: {events:#?}");
        Ok(())
    })
    .await?;
    let reasons: Vec<Value> = house
        .cluster
        .events()?
        .iter()
        .map(|event| event["reason"].clone())
        .collect();
    assert!(
        reasons.contains(&"TidegateMoved".into()) && reasons.contains(&"TidegateRollback".into()),
        "{reasons:?}"
    );
    Ok(())
}

#[tokio::test]
async fn the_old_version_stays_whole_until_the_new_one_is_ready() -> Result<()> {
    let house = house().await?;
    house.cluster.readiness(NAMESPACE, NEW, Readiness::Never);
    let id = house.begin().await?;
    wait::until("the new version is asked for", PATIENCE, async || {
        ensure!(asked(&house)? == (1, 5), "{:?}", asked(&house)?);
        Ok(())
    })
    .await?;
    assert_eq!(house.card(&id).await?["state"], "ADVANCING");
    // It becomes ready late, and only then the old one shrinks.
    house.cluster.readiness(NAMESPACE, NEW, Readiness::AtOnce);
    house.waits(&id, "week-1").await?;
    assert_eq!(asked(&house)?, (1, 4));
    assert_eq!(house.cluster.least_ready("finance-service"), 5);
    Ok(())
}

#[tokio::test]
async fn a_version_that_is_never_ready_is_given_up_and_somebody_is_told() -> Result<()> {
    let hasty = json!({ "deployment-replicas": { "namespace": NAMESPACE, "new": NEW, "old": OLD, "total": 5, "readyWithin": "2s" } });
    let house = House::start(cluster().await?, &hasty, &weeks(), RIGHTS).await?;
    house.cluster.readiness(NAMESPACE, NEW, Readiness::Never);
    let id = house.begin().await?;
    house
        .told(
            &id,
            "finance-service-v2 has 0 ready pods and is to have 1; finance-service-v1 has 5 and is to have 4",
        )
        .await?;
    assert_eq!(asked(&house)?, (1, 5));
    house.say(json!({ "verb": "rollback", "rollout": id })).await?;
    house.becomes(&id, "ROLLED BACK").await?;
    assert_eq!(asked(&house)?, (0, 5));
    Ok(())
}

#[tokio::test]
async fn on_the_way_back_the_new_pods_go_as_the_old_ones_come() -> Result<()> {
    let house = house().await?;
    let id = house.begin().await?;
    for week in ["week-1", "week-2", "week-3", "week-4"] {
        if week != "week-1" {
            house.advance(&id).await?;
        }
        house.waits(&id, week).await?;
    }
    house.cluster.readiness(NAMESPACE, OLD, Readiness::UpTo(2));
    house.strike().await?;
    wait::until("two new pods have gone for two old ones", PATIENCE, async || {
        ensure!(asked(&house)? == (3, 5), "{:?}", asked(&house)?);
        Ok(())
    })
    .await?;
    assert_eq!(
        house.card(&id).await?["state"],
        "ROLLING BACK",
        "three new pods still carry traffic"
    );
    house.cluster.readiness(NAMESPACE, OLD, Readiness::AtOnce);
    house.becomes(&id, "ROLLED BACK").await?;
    assert_eq!(asked(&house)?, (0, 5));
    assert_eq!(house.cluster.least_ready("finance-service"), 5);
    Ok(())
}

#[tokio::test]
async fn a_foreign_change_holds_the_rollout_and_is_overruled_at_most_once_on_the_way_back() -> Result<()> {
    let house = house().await?;
    let id = house.begin().await?;
    house.waits(&id, "week-1").await?;
    let scale = |name: &str, replicas: u64| {
        house.cluster.patch(
            "apps",
            "deployments",
            NAMESPACE,
            name,
            &json!({ "spec": { "replicas": replicas } }),
        )
    };
    scale(NEW, 4)?;
    let told = house.told(&id, "Somebody else writes to it").await?;
    assert!(
        told.contains("finance-service-v2 has 4 replicas where 1 were written"),
        "{told}"
    );
    let (status, answer) = house.say(json!({ "verb": "advance", "rollout": id })).await?;
    assert!(
        !status.is_success() && answer.to_string().contains("R203"),
        "{status} {answer}"
    );
    assert_eq!(
        asked(&house)?,
        (4, 4),
        "a foreign change is not overruled on the way forward"
    );

    house.strike().await?;
    house.becomes(&id, "ROLLED BACK").await?;
    assert_eq!(asked(&house)?, (0, 5));
    Ok(())
}

#[tokio::test]
async fn a_rollout_does_not_begin_beside_an_autoscaler_or_with_the_wrong_total() -> Result<()> {
    let house = house().await?;
    let scaler = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": { "namespace": NAMESPACE, "name": "busy" },
        "spec": { "scaleTargetRef": { "kind": "Deployment", "name": OLD }, "maxReplicas": 9 },
    });
    house.cluster.place("autoscaling", "horizontalpodautoscalers", scaler)?;
    let said = house.refused().await?;
    assert!(
        said.contains("the HorizontalPodAutoscaler busy scales finance-service-v1 too"),
        "{said}"
    );
    assert_eq!(asked(&house)?, (0, 5), "nothing was written");

    let six = cluster().await?;
    six.deployment(NAMESPACE, OLD, 6, "finance-service", "v1")?;
    let house = House::start(six, &target(), &weeks(), RIGHTS).await?;
    let said = house.refused().await?;
    assert!(
        said.contains("6 replicas are asked for today and the plan says 5 in all"),
        "{said}"
    );
    assert_eq!(asked(&house)?, (0, 6), "nothing was written");
    Ok(())
}
