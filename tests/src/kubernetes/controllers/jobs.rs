//! The controller of Jobs and the kubelet of their pods, where there are none: one pod for each Job, which ends as it was told.

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};

use super::super::jobs::{self, JobEnd};
use super::super::{full_path, kubelet};
use super::{Controllers, place, same_name, text};

impl Controllers {
    /// What becomes of the Jobs.
    pub(super) async fn jobs(&self) -> Result<()> {
        let end = self.stage().job_end.clone();
        let pods = self.list("/api/v1/pods").await?;
        for job in self.list("/apis/batch/v1/jobs").await? {
            if job["status"]["conditions"].is_array() {
                continue;
            }
            let mut pod = jobs::pod_of(&job);
            if !pods.iter().any(|there| same_name(there, &pod)) {
                self.begin(&job, &mut pod).await?;
            }
            // The log before the end: whoever sees the end asks for it.
            if let Some(printed) = end.printed() {
                let metadata = &pod["metadata"];
                let whose = (
                    text(&metadata["namespace"]).to_owned(),
                    text(&metadata["name"]).to_owned(),
                );
                self.stage().logs.insert(whose, printed.to_owned());
            }
            self.report(&place("", "pods", &pod), &jobs::pod_status(&end)).await?;
            if end.printed().is_some() {
                let status = jobs::status(&job, &end);
                self.report(&place("batch", "jobs", &job), &status).await?;
            }
        }
        Ok(())
    }

    /// Makes the pod of a Job on the one node, and says that it runs.
    async fn begin(&self, job: &Value, pod: &mut Value) -> Result<()> {
        pod["apiVersion"] = "v1".into();
        pod["kind"] = "Pod".into();
        pod["spec"] = job["spec"]["template"]["spec"].clone();
        pod["spec"]["nodeName"] = kubelet::NODE.into();
        // As a mesh does it to every pod that is made.
        let proxy = json!({ "name": jobs::BESIDE, "image": "example.org/mesh:1" });
        pod["spec"]["containers"]
            .as_array_mut()
            .context("no containers")?
            .push(proxy);
        let all = full_path("", "v1", text(&job["metadata"]["namespace"]), "pods");
        let body = Some(("application/json", pod.clone()));
        self.ask(Method::POST, &all, body).await?;
        let status = jobs::status(job, &JobEnd::Never);
        self.report(&place("batch", "jobs", job), &status).await
    }
}
