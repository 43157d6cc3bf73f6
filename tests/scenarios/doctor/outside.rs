//! The cluster and its rights, channels, and the hosts that plans may name.

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tidegate::driver::kubernetes::rights::{Right, needed, needed_for_hook, needed_for_logs};
use tidegate_rollout::plan::{Job, Target};
use tidegate_tests::kubernetes::Mishap;
use tidegate_tests::paths::repository;
use tidegate_tests::ports::Port;
use tidegate_tests::scratch::Scratch;

use super::house::{House, NAMESPACE, plan, rights};

#[tokio::test]
async fn each_right_that_is_missing_is_named_with_the_rule_that_gives_it() -> Result<()> {
    let house = House::new().await?;
    for (given, instead, level, lacking, rule) in [
        (
            "[finance-service-v1, finance-service-v2]",
            "[finance-service-v1]",
            "fail",
            "may not get deployments/finance-service-v2, patch deployments/finance-service-v2 in finance",
            "{ apiGroups: [apps], resources: [deployments], resourceNames: [finance-service-v2], verbs: [patch] }",
        ),
        (
            "verbs: [get, patch]",
            "verbs: [get]",
            "fail",
            "may not patch deployments/finance-service-v2, patch deployments/finance-service-v1 in finance",
            "resourceNames: [finance-service-v1], verbs: [patch] }",
        ),
        (
            "resources: [horizontalpodautoscalers]",
            "resources: [nothing]",
            "fail",
            "may not list horizontalpodautoscalers in finance",
            "{ apiGroups: [autoscaling], resources: [horizontalpodautoscalers], verbs: [list] }",
        ),
        (
            "resources: [events]",
            "resources: [nothing]",
            "warn",
            "may not create events in finance",
            "{ apiGroups: [\"\"], resources: [events], verbs: [create] }",
        ),
    ] {
        let manifest = rights()?;
        ensure!(manifest.contains(given), "{given}");
        house.cluster.grant(&manifest.replace(given, instead))?;
        house.look().await?.finds(level, "target.no-right", lacking, rule);
    }
    house
        .cluster
        .grant(&rights()?.replace(&format!("namespace: {NAMESPACE}"), "namespace: elsewhere"))?;
    house.look().await?.finds(
        "fail",
        "target.no-right",
        "may not get deployments",
        "deploy/kubernetes",
    );
    house.cluster.grant(&rights()?)?;

    let scratch = Scratch::new("stranger")?;
    let stranger = house.cluster.kubeconfig(&scratch, "the-token-of-a-stranger")?;
    let said = house
        .look_at(|settings| settings["kubernetes"]["kubeconfig"] = json!(stranger))
        .await?;
    said.finds(
        "fail",
        "target.unknown-account",
        "does not take our credentials",
        "kubernetes.kubeconfig",
    );
    house
        .cluster
        .trouble(Method::POST, "/selfsubjectaccessreviews", u32::MAX, Mishap::Hangs)?;
    house.look().await?.finds(
        "fail",
        "target.unreachable",
        "ask what our account may do",
        "NetworkPolicy",
    );
    house.cluster.calm()?;
    let said = house.look_at(|settings| settings["kubernetes"] = json!({})).await?;
    said.finds(
        "warn",
        "configuration.warning",
        "names no cluster",
        "docs/configuration.md",
    );
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_to_use_the_account_of_its_pod_and_runs_in_none_is_told_so() -> Result<()> {
    let house = House::new().await?;
    let said = house
        .look_at(|settings| settings["kubernetes"] = json!({ "in_cluster": true }))
        .await?;
    said.finds(
        "fail",
        "target.unreachable",
        "could not ask what our account may do: this is no pod with a service account",
        "Kubernetes API",
    );
    Ok(())
}

/// What the drivers need and what the shipped Roles give is one thing, told twice: asked for by name, and given by manifest.
#[test]
fn the_shipped_roles_give_exactly_what_the_drivers_need() -> Result<()> {
    for (target, manifest) in [
        (
            json!({ "deployment-replicas": {
                "namespace": "finance", "new": "finance-service-v2", "old": "finance-service-v1", "total": 5,
            } }),
            "deployment-replicas/role.yaml",
        ),
        (
            json!({ "service-selector": {
                "namespace": "shop", "service": "boka", "label": "version", "new": "green", "old": "blue", "ready": 3,
            } }),
            "service-selector/role.yaml",
        ),
        (
            json!({ "httproute": { "namespace": "shop", "route": "boka", "new": "green", "old": "blue" } }),
            "httproute/role.yaml",
        ),
    ] {
        let target: Target = serde_json::from_value(target)?;
        assert_eq!(asked_for(&needed(&target)), given_by(manifest)?, "{manifest}");
    }
    let job: Job = serde_json::from_value(json!({ "namespace": "hooks", "image": "example.org/migrate:2" }))?;
    let manifest = "hook-jobs/role.yaml";
    assert_eq!(asked_for(&needed_for_hook(&job)), given_by(manifest)?, "{manifest}");
    let route = json!({ "httproute": { "namespace": "shop", "route": "boka", "new": "green", "old": "blue" } });
    let (route, manifest): (Target, _) = (serde_json::from_value(route)?, "pod-logs/role.yaml");
    assert_eq!(asked_for(&needed_for_logs(&route)), given_by(manifest)?, "{manifest}");
    Ok(())
}

/// Rights in words, in order.
fn asked_for(rights: &[Right]) -> Vec<String> {
    let words = rights.iter().map(|right| {
        let name = right.name.clone().unwrap_or_default();
        format!(
            "{} {}/{} {name} in {}",
            right.verb, right.group, right.resource, right.namespace
        )
    });
    let mut words: Vec<String> = words.collect();
    words.sort();
    words
}

/// The rights of a shipped Role in the same words and order.
fn given_by(manifest: &str) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(repository().join("deploy/kubernetes").join(manifest))?;
    let role: Value = serde_saphyr::from_str(text.split("\n---").next().unwrap_or_default())?;
    let texts = |value: &Value| -> Vec<String> {
        let all = value.as_array().cloned().unwrap_or_default();
        all.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let namespace = role["metadata"]["namespace"].as_str().unwrap_or_default();
    let mut given = Vec::new();
    for rule in role["rules"].as_array().into_iter().flatten() {
        let names = texts(&rule["resourceNames"]);
        let names = if names.is_empty() { vec![String::new()] } else { names };
        for (group, resource) in texts(&rule["apiGroups"]).iter().zip(texts(&rule["resources"])) {
            for verb in texts(&rule["verbs"]) {
                let named = names
                    .iter()
                    .map(|name| format!("{verb} {group}/{resource} {name} in {namespace}"));
                given.extend(named);
            }
        }
    }
    given.sort();
    Ok(given)
}

/// A Job before the traffic is the plan's as much as its target: without its rights the rollout would stand still at its start.
#[tokio::test]
async fn the_rights_of_hooks_that_are_jobs_are_looked_at_too() -> Result<()> {
    let house = House::new().await?;
    let mut plan = plan();
    plan["metadata"]["name"] = "finance".into();
    plan["spec"]["hooks"] = json!({ "migrate": { "run": { "job": {
        "namespace": "hooks", "image": "example.org/migrate:2",
    } } } });
    plan["spec"]["phases"][0]["hooks"] = json!({ "before": ["migrate"] });
    let file = house.tidegate.scratch().write("with-a-job.yaml", plan.to_string())?;
    let jobs = std::fs::read_to_string(repository().join("deploy/kubernetes/hook-jobs/role.yaml"))?;
    let look = async || {
        house
            .look_at(|settings| {
                settings["plans"] = json!([file]);
                settings["hooks"] = json!({ "namespaces": ["hooks"] });
            })
            .await
    };
    look().await?.finds(
        "fail",
        "target.no-right",
        "hooks in hooks: our account may not create jobs, get jobs, list pods, get pods/log in hooks",
        "{ apiGroups: [batch], resources: [jobs], verbs: [create] }",
    );
    house.cluster.grant(&format!("{}\n---\n{jobs}", rights()?))?;
    look().await?.finds_nothing();
    let without = jobs.replace("resources: [pods/log]", "resources: [nothing]");
    house.cluster.grant(&format!("{}\n---\n{without}", rights()?))?;
    look().await?.finds(
        "warn",
        "target.no-right",
        "may not get pods/log in hooks",
        "{ apiGroups: [\"\"], resources: [pods/log], verbs: [get] }",
    );
    Ok(())
}

#[tokio::test]
async fn a_place_that_cannot_be_reached_is_named_without_its_secret() -> Result<()> {
    let house = House::new().await?;
    let nobody = Port::reserve()?;
    let hidden = format!("{}/services/c4n4ry?key=c4n4ry", nobody.url());
    let said = house
        .look_at(|settings| settings["channels"]["pager"]["webhook"]["url"] = hidden.into())
        .await?;
    ensure!(!said.answer.to_string().contains("c4n4ry"), "{}", said.answer);
    said.finds(
        "fail",
        "channel.unreachable",
        &format!("`pager` at {}", nobody.url()),
        "channels.pager.webhook.url",
    );
    let rule = nobody.address().to_string();
    let said = house
        .look_at(|settings| settings["egress"]["allow"] = json!([rule]))
        .await?;
    said.finds("fail", "egress.unreachable", &rule, "take `127.0.0.1:");
    let said = house
        .look_at(|settings| settings["egress"]["allow"] = json!(["nowhere.invalid"]))
        .await?;
    said.finds("fail", "egress.unreachable", "nowhere.invalid", "egress.allow");
    Ok(())
}
