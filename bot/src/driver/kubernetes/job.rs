//! Owns Jobs that are hooks: made once under the name of their action, so that whoever looks after a crash finds them again;
//! their result, and the end of their log. The cluster itself deletes them later.
//! Refuses to take a Job for ours that somebody else made, and to make one anew that may have been there.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tidegate_rollout::hook::{Ended, HookEnd, Output};
use tidegate_rollout::plan::Job;
use tidegate_rollout::{ActionId, Period};

use super::DriverError;
use super::because;
use super::cluster::{Cluster, Fault};
use super::logs;

/// Which action a Job is.
const ACTION: &str = "tidegate.dev/action";
/// The label that the cluster itself puts on the pods of a Job.
const OF_JOB: &str = "batch.kubernetes.io/job-name";
/// What our container in its pod is called. A mesh may put others beside it.
const CONTAINER: &str = "hook";
/// The longest name: the cluster makes a label of it.
const LONGEST: usize = 63;
/// How many lines of a log are asked for.
const LINES: u32 = 60;

/// What there is of a Job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing, or nothing any more.
    Nothing,
    /// It runs; what its pod waits for, where it does.
    Running(String),
    /// It is over.
    Over(HookEnd),
}

/// The name under which the Job of an action is found again.
pub fn name(action: &ActionId) -> String {
    let whole = action.as_str();
    if whole.len() <= LONGEST {
        return whole.to_owned();
    }
    use sha2::Digest;
    let hash = hex::encode(&sha2::Sha256::digest(whole.as_bytes())[..6]);
    let head: String = whole.chars().take(LONGEST - hash.len() - 1).collect();
    format!("{head}-{hash}")
}

/// Looks at the Job of an action.
///
/// # Errors
/// When the API does not answer, or says no.
pub async fn look(cluster: &Cluster, job: &Job, action: &ActionId) -> Result<Found, DriverError> {
    let path = format!("{}/{}", jobs(job), name(action));
    let object = match cluster.get(&path).await {
        Ok(object) => object,
        Err(Fault::Refused { why }) if why.contains("not found") => return Ok(Found::Nothing),
        Err(fault) => return Err(because("look at the Job", fault)),
    };
    if object["metadata"]["annotations"][ACTION] != action.as_str() {
        return Err(DriverError::Refused {
            tried: "find the Job again",
            why: format!("{} in {} was made by somebody else", name(action), job.namespace),
        });
    }
    let over = |kind: &str| {
        let mut conditions = object["status"]["conditions"].as_array().into_iter().flatten();
        conditions
            .find(|condition| condition["type"] == kind && condition["status"] == "True")
            .cloned()
    };
    let (how, why) = match (over("Complete"), over("Failed")) {
        (Some(_), _) => (Ended::Passed, "the Job is complete".to_owned()),
        (None, Some(condition)) => {
            let text = |key: &str| condition[key].as_str().unwrap_or_default();
            (
                Ended::Failed,
                format!("the Job failed: {} {}", text("reason"), text("message"))
                    .trim_end()
                    .to_owned(),
            )
        }
        (None, None) => return Ok(Found::Running(waits_for(cluster, job, action).await)),
    };
    let output = log(cluster, job, action).await;
    Ok(Found::Over(HookEnd {
        how,
        why,
        took: lasted(&object),
        output,
    }))
}

/// Makes the Job of an action; one that is there already is left as it is.
///
/// # Errors
/// When the API does not answer, or says no.
pub async fn make(
    cluster: &Cluster,
    job: &Job,
    action: &ActionId,
    facts: &BTreeMap<String, String>,
    timeout: Period,
) -> Result<(), DriverError> {
    let made = cluster.create(&jobs(job), &manifest(job, action, facts, timeout)).await;
    match made {
        Ok(_) => Ok(()),
        // Our own, from before a crash, or from a call whose answer was lost: looking at it tells.
        Err(Fault::Refused { why }) if why.contains("already exists") => Ok(()),
        Err(fault) => Err(because("make the Job", fault)),
    }
}

fn jobs(job: &Job) -> String {
    format!("/apis/batch/v1/namespaces/{}/jobs", job.namespace)
}

fn manifest(job: &Job, action: &ActionId, facts: &BTreeMap<String, String>, timeout: Period) -> Value {
    let own = job.env.iter();
    let given = facts.iter().filter(|(name, _)| !job.env.contains_key(*name));
    let env: Vec<Value> = own
        .chain(given)
        .map(|(name, value)| json!({ "name": name, "value": value }))
        .collect();
    let mut container = json!({
        "name": CONTAINER,
        "image": job.image,
        "env": env,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } },
    });
    if !job.command.is_empty() {
        container["command"] = json!(job.command);
    }
    let mut pod = json!({
        "restartPolicy": "Never",
        "automountServiceAccountToken": job.service_account.is_some(),
        "securityContext": { "seccompProfile": { "type": "RuntimeDefault" } },
        "containers": [container],
    });
    if let Some(account) = &job.service_account {
        pod["serviceAccountName"] = json!(account);
    }
    let labels = json!({ "app.kubernetes.io/managed-by": "tidegate" });
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name(action),
            "namespace": job.namespace,
            "labels": labels,
            "annotations": { ACTION: action.as_str() },
        },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": seconds(timeout),
            "ttlSecondsAfterFinished": seconds(job.keep),
            "template": { "metadata": { "labels": labels }, "spec": pod },
        },
    })
}

/// Whole seconds, at least one.
fn seconds(period: Period) -> i64 {
    (period.as_millis() / 1_000).max(1)
}

/// Why the pod of a Job does not run yet, in the cluster's own words; it is only shown.
async fn waits_for(cluster: &Cluster, job: &Job, action: &ActionId) -> String {
    let Some(pod) = pod(cluster, job, action).await else {
        return "the Job was made; no pod of it is there yet".to_owned();
    };
    let mut containers = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
    let ours = containers.find(|container| container["name"] == CONTAINER);
    let waiting = ours.and_then(|container| container["state"]["waiting"]["reason"].as_str());
    match (waiting, pod["status"]["phase"].as_str()) {
        (Some(reason), _) => format!("the pod of the Job waits: {reason}"),
        (None, Some(phase)) => format!("the pod of the Job is {}", phase.to_lowercase()),
        (None, None) => "the Job runs".to_owned(),
    }
}

async fn pod(cluster: &Cluster, job: &Job, action: &ActionId) -> Option<Value> {
    let path = format!("/api/v1/namespaces/{}/pods", job.namespace);
    let pods = cluster.list(&path, &[(OF_JOB, &name(action))], 5).await.ok()?;
    pods.into_iter().next()
}

/// The end of its log. A log that cannot be read changes nothing about the result.
async fn log(cluster: &Cluster, job: &Job, action: &ActionId) -> Output {
    let Some(pod) = pod(cluster, job, action).await else {
        return Output::default();
    };
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    match logs::end_of(cluster, &job.namespace, (name, CONTAINER), LINES, false).await {
        Ok(output) => output,
        Err(Fault::Refused { why }) => Output::of(&format!("(its log cannot be read: {why})"), 0),
        Err(Fault::Conflict | Fault::Unreachable(_)) => Output::of("(its log could not be read)", 0),
    }
}

fn lasted(object: &Value) -> Option<Period> {
    let time = |value: &Value| value.as_str()?.parse::<jiff::Timestamp>().ok();
    let began = time(&object["status"]["startTime"])?;
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    let ended = conditions
        .filter_map(|condition| time(&condition["lastTransitionTime"]))
        .max()?;
    Some(Period::between(began, ended))
}

/// After so long a Job that is not there may have been there, and deleted by the cluster.
pub fn may_be_gone(job: &Job, first_tried: Duration) -> bool {
    let kept = Duration::try_from(job.keep.duration()).unwrap_or_default();
    first_tried >= kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_actions_and_fits_into_a_label() {
        assert_eq!(name(&ActionId::new("checkout-17.41.0")), "checkout-17.41.0");
        let long = |n: u32| name(&ActionId::new(format!("{}-17.{n}.0", "a".repeat(70))));
        assert_eq!((long(41).len(), long(41) == long(42)), (LONGEST, false));
    }
}
