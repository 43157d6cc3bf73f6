//! Jobs of the fake: what the API refuses of one, the pod it gets, how it ends, and what it printed.

use serde_json::{Value, json};

use super::world::{Key, No, World};

/// How Jobs end from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum JobEnd {
    /// They run and run.
    #[default]
    Never,
    /// They are complete, and printed this.
    Complete(String),
    /// They fail, and printed this.
    Failed(String),
    /// Their pod never gets its image.
    NoImage,
}

impl JobEnd {
    /// What the pods print, once they are over.
    pub(super) fn printed(&self) -> Option<&str> {
        match self {
            Self::Never | Self::NoImage => None,
            Self::Complete(printed) | Self::Failed(printed) => Some(printed),
        }
    }
}

/// The label by which the pod of a Job is found.
pub(super) const OF_JOB: &str = "batch.kubernetes.io/job-name";
/// What the container of a hook is called.
pub(super) const CONTAINER: &str = "hook";
/// Who is put beside it in every pod, as a mesh does.
pub(super) const BESIDE: &str = "a-mesh-proxy";

/// What the API refuses of a new Job.
pub(super) fn check(object: &Value) -> Result<(), No> {
    let invalid = |message: String| Err((422, "Invalid", message));
    if object["apiVersion"] != "batch/v1" || object["kind"] != "Job" {
        return Err((400, "BadRequest", "the object is no batch/v1 Job".to_owned()));
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    if name.len() > 63 {
        return invalid(format!(
            "metadata.name: Invalid value: {name:?}: must be no more than 63 characters"
        ));
    }
    let spec = &object["spec"];
    let known = [
        "backoffLimit",
        "activeDeadlineSeconds",
        "ttlSecondsAfterFinished",
        "template",
    ];
    for (field, value) in spec.as_object().into_iter().flatten() {
        if !known.contains(&field.as_str()) {
            return Err((
                400,
                "BadRequest",
                format!("strict decoding error: unknown field \"spec.{field}\""),
            ));
        }
        if field != "template" && value.as_u64().is_none() {
            return invalid(format!(
                "spec.{field}: Invalid value: must be greater than or equal to 0"
            ));
        }
    }
    let pod = &spec["template"]["spec"];
    if !matches!(pod["restartPolicy"].as_str(), Some("Never" | "OnFailure")) {
        return invalid(
            "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"".to_owned(),
        );
    }
    let known = [
        "restartPolicy",
        "automountServiceAccountToken",
        "securityContext",
        "containers",
        "serviceAccountName",
    ];
    if let Some(field) = unknown(pod, &known) {
        let message = format!("strict decoding error: unknown field \"spec.template.spec.{field}\"");
        return Err((400, "BadRequest", message));
    }
    let containers = pod["containers"].as_array().map(Vec::as_slice).unwrap_or_default();
    if containers.is_empty() {
        return invalid("spec.template.spec.containers: Required value".to_owned());
    }
    containers.iter().try_for_each(container)
}

fn unknown(object: &Value, known: &[&str]) -> Option<String> {
    let mut fields = object.as_object().into_iter().flatten();
    fields
        .find(|(field, _)| !known.contains(&field.as_str()))
        .map(|(field, _)| field.clone())
}

fn container(container: &Value) -> Result<(), No> {
    let known = [
        "name",
        "image",
        "command",
        "env",
        "terminationMessagePolicy",
        "securityContext",
    ];
    if let Some(field) = unknown(container, &known) {
        let message = format!("strict decoding error: unknown field \"spec.template.spec.containers[0].{field}\"");
        return Err((400, "BadRequest", message));
    }
    for needed in ["name", "image"] {
        if container[needed].as_str().is_none_or(str::is_empty) {
            return Err((
                422,
                "Invalid",
                format!("spec.template.spec.containers[0].{needed}: Required value"),
            ));
        }
    }
    for variable in container["env"].as_array().into_iter().flatten() {
        let fits = variable["name"]
            .as_str()
            .is_some_and(|name| !name.is_empty() && !name.contains('='));
        if !fits || !(variable["value"].is_string() || variable["value"].is_null()) {
            return Err((
                422,
                "Invalid",
                format!("spec.template.spec.containers[0].env: Invalid value: {variable}"),
            ));
        }
    }
    Ok(())
}

/// The pod of a Job, without what becomes of it.
pub(super) fn pod_of(job: &Value) -> Value {
    let (namespace, name) = (&job["metadata"]["namespace"], &job["metadata"]["name"]);
    json!({ "metadata": {
        "name": format!("{}-pod", name.as_str().unwrap_or_default()), "namespace": namespace,
        "labels": { OF_JOB: name, "job-name": name },
    } })
}

/// What becomes of a pod whose Job ends so. Whoever stands beside the hook comes first.
pub(super) fn pod_status(end: &JobEnd) -> Value {
    let phase = match end {
        JobEnd::Never => "Running",
        JobEnd::NoImage => "Pending",
        JobEnd::Complete(_) => "Succeeded",
        JobEnd::Failed(_) => "Failed",
    };
    let container = |name: &str, state: Value| {
        json!({
            "name": name, "image": "example.org/some:1", "imageID": "", "ready": false, "restartCount": 0, "state": state,
        })
    };
    let state = match end {
        JobEnd::NoImage => json!({ "waiting": { "reason": "ImagePullBackOff" } }),
        JobEnd::Never | JobEnd::Complete(_) | JobEnd::Failed(_) => json!({}),
    };
    let proxy = json!({ "waiting": { "reason": "PodInitializing" } });
    json!({ "phase": phase, "containerStatuses": [container(BESIDE, proxy), container(CONTAINER, state)] })
}

/// The status of a Job that ends so. What is decided is said before it is true, as the real controller says it.
pub(super) fn status(job: &Value, end: &JobEnd) -> Value {
    let now = tidegate::clock::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let began = job["status"]["startTime"].as_str().unwrap_or(&now);
    let over = |first: &str, then: &str, reason: &str, message: &str| {
        let condition = |kind: &str| {
            json!({
                "type": kind, "status": "True", "reason": reason, "message": message,
                "lastProbeTime": now, "lastTransitionTime": now,
            })
        };
        json!([condition(first), condition(then)])
    };
    match end {
        JobEnd::Never | JobEnd::NoImage => json!({ "startTime": began, "active": 1 }),
        JobEnd::Complete(_) => json!({
            "startTime": began, "completionTime": now, "active": null, "succeeded": 1,
            "conditions": over("SuccessCriteriaMet", "Complete", "CompletionsReached", "Reached expected number of succeeded pods"),
        }),
        JobEnd::Failed(_) => json!({
            "startTime": began, "active": null, "failed": 1,
            "conditions": over(
                "FailureTarget", "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit",
            ),
        }),
    }
}

/// The end of what was printed, as a kubelet answers it.
///
/// # Errors
/// As it refuses the question.
pub(super) fn end_of(printed: &str, query: &[(String, String)]) -> Result<String, No> {
    let number = |wanted: &str| -> Result<Option<usize>, No> {
        let found = query
            .iter()
            .find(|(key, _)| key == wanted)
            .map(|(_, value)| value.parse());
        found
            .transpose()
            .map_err(|_| (400, "BadRequest", format!("{wanted}: must be an integer")))
    };
    let known = ["tailLines", "limitBytes", "container", "previous"];
    if let Some((key, _)) = query.iter().find(|(key, _)| !known.contains(&key.as_str())) {
        return Err((400, "BadRequest", format!("nobody here knows the parameter {key}")));
    }
    let lines: Vec<&str> = printed.lines().collect();
    let first = lines.len().saturating_sub(number("tailLines")?.unwrap_or(usize::MAX));
    let text = lines[first..].join("\n");
    // As the kubelet does it: the first bytes of the last lines.
    let most = number("limitBytes")?.unwrap_or(usize::MAX).min(text.len());
    Ok(text.chars().take(most).collect())
}

impl World {
    /// What the Job controller and a kubelet make of the Jobs up to now.
    pub(super) fn run_jobs(&mut self) {
        let all: Vec<Key> = self.objects.keys().filter(|key| key.1 == "jobs").cloned().collect();
        let end = self.job_end.clone();
        for key in all {
            let Some(before) = self.objects.get(&key) else {
                continue;
            };
            let mut object = before.clone();
            if !object["status"]["conditions"].is_null() {
                continue;
            }
            let status = status(&object, &end);
            super::patch::merge(&mut object["status"], &status);
            if object != *before {
                self.keep(&key, object);
            }
            if let Some(printed) = end.printed() {
                let whose = (key.2.clone(), format!("{}-pod", key.3));
                self.logs.insert(whose, printed.to_owned());
            }
        }
    }

    /// The pods of the Jobs.
    pub(super) fn job_pods(&self) -> Vec<Value> {
        let jobs = self.objects.iter().filter(|(key, _)| key.1 == "jobs");
        let pod = |(_, job): (&Key, &Value)| {
            let conditions = &job["status"]["conditions"];
            let end = match (conditions[1]["type"].as_str(), &self.job_end) {
                (Some("Complete"), _) => JobEnd::Complete(String::new()),
                (Some(_), _) => JobEnd::Failed(String::new()),
                (None, end) => end.clone(),
            };
            let mut pod = pod_of(job);
            pod["status"] = pod_status(&end);
            pod
        };
        jobs.map(pod).collect()
    }

    /// The end of what a pod printed.
    ///
    /// # Errors
    /// As the API server refuses it.
    pub(super) fn log(&self, namespace: &str, pod: &str, query: &[(String, String)]) -> Result<String, No> {
        let asked = |wanted: &str| {
            let found = query.iter().find(|(key, _)| key == wanted);
            found.map(|(_, value)| value.as_str())
        };
        let container = asked("container");
        let Some(printed) = self.logs.get(&(namespace.to_owned(), pod.to_owned())) else {
            let before = asked("previous") == Some("true");
            return end_of(self.crews.log(namespace, pod, container, before)?, query);
        };
        match container {
            Some(CONTAINER) => end_of(printed, query),
            Some(other) => Err((
                400,
                "BadRequest",
                format!("container {other} is not valid for pod {pod}"),
            )),
            None => {
                let choose = format!("choose one of: [{CONTAINER} {BESIDE}]");
                let message = format!("a container name must be specified for pod {pod}, {choose}");
                Err((400, "BadRequest", message))
            }
        }
    }
}
