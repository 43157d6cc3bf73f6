//! Jobs: made once under the name of their action, found again after a crash, their result and the end of their log told.

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tidegate_tests::kubernetes::{JobEnd, Kubernetes, Mishap, TIDEGATE};
use tidegate_tests::paths::repository;
use tidegate_tests::scratch::Scratch;
use tidegate_tests::wait;

use crate::kubernetes::rights::{as_given, given};

use super::house::{Hooked, House, PATIENCE, programs};

const NAMESPACE: &str = "hooks";

struct Cluster {
    kubernetes: Kubernetes,
    _kubeconfig: Scratch,
    settings: Value,
}

async fn cluster() -> Result<Cluster> {
    cluster_of(Kubernetes::start().await?)
}

fn cluster_of(kubernetes: Kubernetes) -> Result<Cluster> {
    kubernetes.grant(&rights()?)?;
    let kubeconfig = Scratch::new("kubeconfig")?;
    let file = kubernetes.kubeconfig(&kubeconfig, TIDEGATE)?;
    let settings = json!({
        "kubernetes": { "kubeconfig": file, "call_timeout": "1500ms" },
        "hooks": { "namespaces": [NAMESPACE] },
    });
    Ok(Cluster {
        kubernetes,
        _kubeconfig: kubeconfig,
        settings,
    })
}

/// The manifest that users apply.
fn rights() -> Result<String> {
    Ok(std::fs::read_to_string(
        repository().join("deploy/kubernetes/hook-jobs/role.yaml"),
    )?)
}

/// A migration before the traffic; it must not run twice.
fn migration() -> Hooked {
    let job = json!({
        "namespace": NAMESPACE, "image": "example.org/migrate:2", "command": ["migrate", "--all"],
        "env": { "DATABASE": "shop" }, "serviceAccount": "migrations", "keep": "30m",
    });
    Hooked {
        hooks: json!({ "migrate": { "run": { "job": job }, "timeout": "90s" } }),
        before: vec!["migrate"],
        ..Hooked::default()
    }
}

async fn house(cluster: &Cluster) -> Result<House> {
    let scratch = programs(&[])?;
    let setup = super::house::setup(&scratch, &migration(), cluster.settings.clone())?;
    House::with(setup, scratch).await
}

fn made(cluster: &Cluster) -> Result<usize> {
    let calls = cluster.kubernetes.calls()?;
    Ok(calls
        .iter()
        .filter(|(method, path)| *method == Method::POST && path.ends_with("/jobs"))
        .count())
}

async fn the_job(cluster: &Cluster) -> Result<Value> {
    wait::until("the Job is there", PATIENCE, async || {
        let mut jobs = cluster.kubernetes.jobs()?;
        ensure!(jobs.len() == 1, "{jobs:?}");
        Ok(jobs.remove(0))
    })
    .await
}

#[tokio::test]
async fn a_job_is_what_the_plan_says_and_traffic_moves_once_it_is_complete() -> Result<()> {
    let cluster = cluster().await?;
    let house = house(&cluster).await?;
    let id = house.begin().await?;
    let job = the_job(&cluster).await?;
    assert_eq!(job["metadata"]["name"], format!("{id}.1.0"), "named after the action");
    assert_eq!(
        (
            &job["spec"]["backoffLimit"],
            &job["spec"]["activeDeadlineSeconds"],
            &job["spec"]["ttlSecondsAfterFinished"]
        ),
        (&json!(0), &json!(90), &json!(1800))
    );
    let pod = &job["spec"]["template"]["spec"];
    assert_eq!(
        (&pod["restartPolicy"], &pod["serviceAccountName"]),
        (&json!("Never"), &json!("migrations"))
    );
    let env = pod["containers"][0]["env"].as_array().cloned().unwrap_or_default();
    for (name, value) in [
        ("DATABASE", "shop"),
        ("ROLLOUT_ID", id.as_str()),
        ("ROLLOUT_PHASE", "all"),
    ] {
        assert!(env.contains(&json!({ "name": name, "value": value })), "{env:?}");
    }
    house.never_moved(&id).await?;
    cluster
        .kubernetes
        .jobs_end(JobEnd::Complete("12 tables\n3 changed".to_owned()));
    house.becomes(&id, "WATCHING").await?;
    let told = house.told(&id, "hook-passed").await?;
    assert!(told.contains("3 changed"), "{told}");
    assert_eq!(made(&cluster)?, 1);
    // For all of that it needed what the shipped Role gives, and no less.
    let given = given(&rights()?)?;
    wait::until("every right of the Role was used", PATIENCE, async || {
        let used = as_given(cluster.kubernetes.used()?, &given);
        ensure!(used == given, "{used:#?}\nof\n{given:#?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_failed_job_holds_with_the_clusters_reason_and_the_end_of_its_log() -> Result<()> {
    let cluster = cluster().await?;
    cluster.kubernetes.jobs_end(JobEnd::Failed(format!(
        "{}ERROR: column exists",
        "a line\n".repeat(500)
    )));
    let house = house(&cluster).await?;
    let id = house.begin().await?;
    house.becomes(&id, "HELD").await?;
    let told = house.told(&id, "hook-failed").await?;
    assert!(
        told.contains("BackoffLimitExceeded") && told.contains("ERROR: column exists"),
        "{told}"
    );
    assert_eq!(made(&cluster)?, 1, "what must not run twice is not made again");
    house.never_moved(&id).await
}

#[tokio::test]
async fn a_pod_that_cannot_start_is_shown_while_it_waits() -> Result<()> {
    let cluster = cluster().await?;
    cluster.kubernetes.jobs_end(JobEnd::NoImage);
    let house = house(&cluster).await?;
    let id = house.begin().await?;
    wait::until("the card says what the pod waits for", PATIENCE, async || {
        let card = house.card(&id).await?;
        ensure!(
            card["next"]
                .as_str()
                .is_some_and(|next| next.contains("ImagePullBackOff")),
            "{card}"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn killed_while_a_job_runs_the_server_finds_it_again_and_makes_no_second_one() -> Result<()> {
    let cluster = cluster().await?;
    let mut house = house(&cluster).await?;
    let id = house.begin().await?;
    the_job(&cluster).await?;
    house.tidegate.kill()?;
    cluster
        .kubernetes
        .jobs_end(JobEnd::Complete("done meanwhile".to_owned()));
    house.revive().await?;
    house.becomes(&id, "WATCHING").await?;
    let told = house.told(&id, "hook-passed").await?;
    assert!(told.contains("done meanwhile"), "{told}");
    assert_eq!(made(&cluster)?, 1);
    Ok(())
}

#[tokio::test]
async fn a_job_that_was_made_although_its_answer_was_lost_is_one_job() -> Result<()> {
    let cluster = cluster_of(Kubernetes::fake().await?)?;
    cluster
        .kubernetes
        .trouble(Method::POST, "/jobs", 1, Mishap::DoneButHangs)?;
    let house = house(&cluster).await?;
    let id = house.begin().await?;
    the_job(&cluster).await?;
    cluster.kubernetes.jobs_end(JobEnd::Complete(String::new()));
    house.becomes(&id, "WATCHING").await?;
    assert_eq!((cluster.kubernetes.struck()?, cluster.kubernetes.jobs()?.len()), (1, 1));
    Ok(())
}

#[tokio::test]
async fn without_the_right_to_make_jobs_it_says_which_one_is_missing_and_a_log_may_stay_secret() -> Result<()> {
    let cluster = cluster().await?;
    let without = |what: &str| -> Result<String> { Ok(rights()?.replace(what, "resources: [nothing]")) };
    cluster.kubernetes.grant(&without("resources: [jobs]")?)?;
    let house = house(&cluster).await?;
    let id = house.begin().await?;
    house.becomes(&id, "HELD").await?;
    let told = house.told(&id, "hook-failed").await?;
    assert!(told.contains("cannot get resource \"jobs\""), "{told}");
    cluster.kubernetes.grant(&without("resources: [pods/log]")?)?;
    cluster
        .kubernetes
        .jobs_end(JobEnd::Complete("nobody reads this".to_owned()));
    house.say(json!({ "verb": "retry", "rollout": id })).await?;
    house.becomes(&id, "WATCHING").await?;
    let told = house.told(&id, "hook-passed").await?;
    assert!(
        told.contains("its log cannot be read") && !told.contains("nobody reads this"),
        "{told}"
    );
    Ok(())
}
