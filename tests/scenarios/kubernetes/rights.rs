//! What happens without a right, without a cluster, and with a name that is not there: somebody is told the exact word.

use anyhow::Result;
use reqwest::Method;
use serde_json::json;
use tidegate_tests::kubernetes::{Kubernetes, TIDEGATE};
use tidegate_tests::scratch::Scratch;
use tidegate_tests::tidegate::Setup;

use super::house::{House, phase};
use super::replicas::{self, NAMESPACE, OLD, RIGHTS, asked};

#[tokio::test]
async fn without_the_right_to_patch_it_says_which_one_is_missing_at_once() -> Result<()> {
    let house = replicas::fake_house().await?;
    let rules = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: { name: reader, namespace: finance }\nrules:\n\
        - { apiGroups: [apps], resources: [deployments], verbs: [get] }\n\
        - { apiGroups: [autoscaling], resources: [horizontalpodautoscalers], verbs: [list] }\n";
    house.cluster.grant(rules)?;
    let id = house.begin().await?;
    let told = house.told(&id, "cannot patch resource").await?;
    assert!(
        told.contains("deployments.apps \"finance-service-v2\" is forbidden"),
        "{told}"
    );
    assert_eq!(asked(&house)?, (0, 5));
    // Given the right, the same rollout goes on when a person says so.
    let manifest = tidegate_tests::paths::repository()
        .join("deploy/kubernetes")
        .join(RIGHTS);
    house.cluster.grant(&std::fs::read_to_string(manifest)?)?;
    house.advance(&id).await?;
    house.waits(&id, "week-1").await?;
    Ok(())
}

#[tokio::test]
async fn the_shipped_rights_are_all_that_is_used_and_events_may_be_missing() -> Result<()> {
    let house = replicas::fake_house().await?;
    let manifest = tidegate_tests::paths::repository()
        .join("deploy/kubernetes")
        .join(RIGHTS);
    let manifest = std::fs::read_to_string(manifest)?.replace("resources: [events]", "resources: [nothing]");
    house.cluster.grant(&manifest)?;
    let id = house.begin().await?;
    house.waits(&id, "week-1").await?;
    assert!(house.calls(&Method::POST, "/events")? > 0 && house.cluster.events()?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_deployment_that_is_not_there_and_a_token_that_is_not_known_are_named() -> Result<()> {
    let cluster = Kubernetes::fake().await?;
    cluster.deployment(NAMESPACE, OLD, 5, "finance-service", "v1")?;
    let house = House::start(cluster, &replicas::target(), &replicas::weeks(), RIGHTS).await?;
    let said = house.refused().await?;
    assert!(
        said.contains("deployments.apps \"finance-service-v2\" not found"),
        "{said}"
    );

    let cluster = replicas::fake_cluster().await?;
    let (setup, _kubeconfig) = super::house::setup(&cluster, &replicas::target(), &replicas::weeks(), RIGHTS)?;
    let scratch = Scratch::new("stranger")?;
    let stranger = cluster.kubeconfig(&scratch, "the-token-of-a-stranger")?;
    assert_ne!(TIDEGATE, "the-token-of-a-stranger");
    let setup = setup.with(json!({ "kubernetes": { "kubeconfig": stranger } }));
    let house = House::with(cluster, setup, scratch).await?;
    let said = house.refused().await?;
    assert!(said.contains("does not take our credentials"), "{said}");
    assert!(!said.contains("the-token-of-a-stranger"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_plan_for_a_cluster_that_is_not_configured_says_what_to_fill_in() -> Result<()> {
    let cluster = replicas::fake_cluster().await?;
    let plan = super::house::plan(&replicas::target(), &[phase("all", "100%")]);
    let setup = Setup::new()?.plan("sluice", &plan.to_string())?;
    let house = House::with(cluster, setup, Scratch::new("none")?).await?;
    let said = house.refused().await?;
    assert!(
        said.contains("the server's configuration names none; fill in `kubernetes`"),
        "{said}"
    );
    Ok(())
}
