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

/// The label by which the pod of a Job is found.
const OF_JOB: &str = "batch.kubernetes.io/job-name";

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

impl World {
    /// What the Job controller and a kubelet make of the Jobs up to now.
    pub(super) fn run_jobs(&mut self) {
        let all: Vec<Key> = self.objects.keys().filter(|key| key.1 == "jobs").cloned().collect();
        for key in all {
            let Some(mut object) = self.objects.get(&key).cloned() else {
                continue;
            };
            let now = tidegate::clock::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            if object["status"].is_null() {
                object["status"] = json!({ "startTime": now, "active": 1 });
            }
            let over = !object["status"]["conditions"].is_null();
            let condition = match &self.job_end {
                _ if over => None,
                JobEnd::Never | JobEnd::NoImage => None,
                JobEnd::Complete(log) => Some(("Complete", "CompletionsReached", log.clone())),
                JobEnd::Failed(log) => Some(("Failed", "BackoffLimitExceeded", log.clone())),
            };
            if let Some((kind, reason, log)) = condition {
                object["status"]["active"] = 0.into();
                object["status"]["conditions"] = json!([{
                    "type": kind, "status": "True", "reason": reason, "lastTransitionTime": now,
                    "message": if kind == "Failed" { "Job has reached the specified backoff limit" } else { "" },
                }]);
                self.logs.insert((key.2.clone(), format!("{}-pod", key.3)), log);
            }
            self.objects.insert(key, object);
        }
    }

    /// The pods of the Jobs of a namespace.
    pub(super) fn job_pods(&self, namespace: &str) -> Vec<Value> {
        let jobs = self
            .objects
            .iter()
            .filter(|(key, _)| key.1 == "jobs" && key.2 == namespace);
        let pod = |(key, object): (&Key, &Value)| {
            let over = object["status"]["conditions"][0]["type"].as_str();
            let phase = match over {
                Some("Complete") => "Succeeded",
                Some(_) => "Failed",
                None if self.job_end == JobEnd::NoImage => "Pending",
                None => "Running",
            };
            let state = if phase == "Pending" {
                json!([{ "state": { "waiting": { "reason": "ImagePullBackOff" } } }])
            } else {
                json!([])
            };
            json!({
                "metadata": {
                    "name": format!("{}-pod", key.3), "namespace": namespace, "labels": { OF_JOB: key.3 },
                },
                "status": { "phase": phase, "containerStatuses": state },
            })
        };
        jobs.map(pod).collect()
    }

    /// The end of what a pod printed.
    ///
    /// # Errors
    /// As the API server refuses it.
    pub(super) fn log(&self, namespace: &str, pod: &str, query: &[(String, String)]) -> Result<String, No> {
        let number = |wanted: &str| -> Result<Option<usize>, No> {
            let found = query
                .iter()
                .find(|(key, _)| key == wanted)
                .map(|(_, value)| value.parse());
            found
                .transpose()
                .map_err(|_| (400, "BadRequest", format!("{wanted}: must be an integer")))
        };
        let known = ["container", "limitBytes", "previous", "tailLines"];
        if let Some((key, _)) = query.iter().find(|(key, _)| !known.contains(&key.as_str())) {
            return Err((400, "BadRequest", format!("the fake does not know the parameter {key}")));
        }
        let text = |wanted: &str| {
            query
                .iter()
                .find(|(key, _)| key == wanted)
                .map(|(_, value)| value.as_str())
        };
        let all = match self.logs.get(&(namespace.to_owned(), pod.to_owned())) {
            Some(log) => log,
            None => self
                .crews
                .log(namespace, pod, text("container"), text("previous") == Some("true"))?,
        };
        let lines: Vec<&str> = all.lines().collect();
        let first = lines.len().saturating_sub(number("tailLines")?.unwrap_or(usize::MAX));
        let text = lines[first..].join("\n");
        // As the kubelet does it: the first bytes of the last lines.
        let most = number("limitBytes")?.unwrap_or(usize::MAX).min(text.len());
        Ok(text.chars().take(most).collect())
    }
}
