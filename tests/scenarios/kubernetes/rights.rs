//! What happens without a right, without a cluster, and with a name that is not there: somebody is told the exact word.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tidegate_tests::kubernetes::{Kubernetes, TIDEGATE, Used};
use tidegate_tests::scratch::Scratch;
use tidegate_tests::tidegate::Setup;
use tidegate_tests::wait;

use super::house::{House, PATIENCE, phase};
use super::moved::Moved;
use super::replicas::{self, NAMESPACE, OLD, RIGHTS, Replicas, asked};
use super::route::Route;
use super::selector::Selector;

#[tokio::test]
async fn without_the_right_to_patch_it_says_which_one_is_missing_at_once() -> Result<()> {
    let house = replicas::house().await?;
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

/// Everything that a shipped Role gives.
pub(crate) fn given(manifest: &str) -> Result<BTreeSet<Used>> {
    let role = manifest.split("\n---").next().context("no Role")?;
    let role: Value = serde_saphyr::from_str(role)?;
    let texts = |list: &Value| -> Vec<String> {
        let list = list.as_array().into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut given = BTreeSet::new();
    for rule in role["rules"].as_array().context("no rules")? {
        let names: Vec<Option<String>> = match texts(&rule["resourceNames"]) {
            names if names.is_empty() => vec![None],
            names => names.into_iter().map(Some).collect(),
        };
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                for verb in texts(&rule["verbs"]) {
                    let right = |name: &Option<String>| (verb.clone(), group.clone(), resource.clone(), name.clone());
                    given.extend(names.iter().map(right));
                }
            }
        }
    }
    Ok(given)
}

/// What was called as the Role names it: without the object where no rule could name it.
pub(crate) fn as_given(used: BTreeSet<Used>, given: &BTreeSet<Used>) -> BTreeSet<Used> {
    let unnamed = |(verb, group, resource, name): Used| {
        let any = (verb.clone(), group.clone(), resource.clone(), None);
        if given.contains(&any) {
            any
        } else {
            (verb, group, resource, name)
        }
    };
    used.into_iter().map(unnamed).collect()
}

async fn uses_all_and_no_more(moved: impl Moved) -> Result<()> {
    let cluster = Kubernetes::start().await?;
    moved.furnish(&cluster)?;
    let house = House::start(cluster, &moved.target(), &moved.phases(), moved.rights()).await?;
    let id = moved.climb(&house).await?;
    house.strike().await?;
    moved.ends_at_zero(&house, &id).await?;
    let given = given(&super::house::manifest(moved.rights())?)?;
    wait::until("every right of the Role was used", PATIENCE, async || {
        let used = as_given(house.cluster.used()?, &given);
        ensure!(used == given, "{used:#?}\nof\n{given:#?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_rollout_there_and_back_uses_every_right_of_the_shipped_roles_and_no_other() -> Result<()> {
    tokio::try_join!(
        uses_all_and_no_more(Replicas),
        uses_all_and_no_more(Selector),
        uses_all_and_no_more(Route)
    )
    .map(drop)
}

#[tokio::test]
async fn the_shipped_rights_are_all_that_is_used_and_events_may_be_missing() -> Result<()> {
    let house = replicas::house().await?;
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
    let cluster = Kubernetes::start().await?;
    cluster.deployment(NAMESPACE, OLD, 5, "finance-service", "v1")?;
    let house = House::start(cluster, &replicas::target(), &replicas::weeks(), RIGHTS).await?;
    let said = house.refused().await?;
    assert!(
        said.contains("deployments.apps \"finance-service-v2\" not found"),
        "{said}"
    );

    let cluster = replicas::cluster().await?;
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
