//! Stands in for the controllers and kubelets that a bare API server has not: pods for Deployments, endpoint slices for
//! Services, the status of Deployments and routes. Every object lies in the API server; only who is ready is known here.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, ensure};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::crew::{Crews, accepted, slice_of};
use super::{ADMIN, full_path};

const MERGE: &str = "application/merge-patch+json";

/// All of them.
pub(super) struct Controllers {
    pub(super) client: Client,
    pub(super) url: String,
    pub(super) crews: Arc<Mutex<Crews>>,
}

/// One call as the admin of the cluster.
pub(super) async fn call(
    client: &Client,
    url: &str,
    method: Method,
    path: &str,
    body: Option<(&'static str, Value)>,
) -> Result<Value> {
    let mut request = client
        .request(method.clone(), format!("{url}{path}"))
        .bearer_auth(ADMIN);
    if let Some((media, body)) = body {
        request = request.header("content-type", media).body(body.to_string());
    }
    let answer = request.send().await.with_context(|| format!("{method} {path}"))?;
    let status = answer.status();
    let text = answer.text().await?;
    ensure!(status.is_success(), "{method} {path}: {status} {text}");
    serde_json::from_str(&text).with_context(|| text.clone())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Where an object lies among its kind.
fn place(group: &str, resource: &str, object: &Value) -> String {
    let metadata = &object["metadata"];
    let all = full_path(group, "v1", text(&metadata["namespace"]), resource);
    format!("{all}/{}", text(&metadata["name"]))
}

impl Controllers {
    /// What they would do now.
    pub(super) async fn work(&self) -> Result<()> {
        self.deployments().await?;
        let pods = {
            let mut crews = self.crews();
            crews.count();
            crews.pods()
        };
        self.pods(&pods).await?;
        self.slices(&pods).await?;
        self.routes().await
    }

    fn crews(&self) -> MutexGuard<'_, Crews> {
        self.crews.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn list(&self, path: &str) -> Result<Vec<Value>> {
        let mut list = self.ask(Method::GET, path, None).await?;
        Ok(list["items"].as_array_mut().map(std::mem::take).unwrap_or_default())
    }

    async fn ask(&self, method: Method, path: &str, body: Option<(&'static str, Value)>) -> Result<Value> {
        call(&self.client, &self.url, method, path, body).await
    }

    async fn deployments(&self) -> Result<()> {
        for deployment in self.list("/apis/apps/v1/deployments").await? {
            let metadata = &deployment["metadata"];
            let labels = deployment["spec"]["template"]["metadata"]["labels"].clone();
            let wanted = deployment["spec"]["replicas"].as_u64().unwrap_or(1);
            let (pods, ready) =
                self.crews()
                    .settle(text(&metadata["namespace"]), text(&metadata["name"]), wanted, labels);
            let before = &deployment["status"];
            let count = |key: &str| before[key].as_u64().unwrap_or(0);
            let same = count("readyReplicas") == ready && count("replicas") == pods;
            if same && before["observedGeneration"] == metadata["generation"] {
                continue;
            }
            let status = json!({ "status": {
                "observedGeneration": metadata["generation"], "replicas": pods, "updatedReplicas": pods,
                "readyReplicas": ready, "availableReplicas": ready,
            } });
            let path = format!("{}/status", place("apps", "deployments", &deployment));
            self.ask(Method::PATCH, &path, Some((MERGE, status))).await?;
        }
        Ok(())
    }

    async fn pods(&self, pods: &[Value]) -> Result<()> {
        for pod in pods {
            let path = place("", "pods", pod);
            if self.ask(Method::GET, &path, None).await.is_err() {
                let mut object = pod.clone();
                object["apiVersion"] = "v1".into();
                object["kind"] = "Pod".into();
                object["spec"] = json!({ "containers": [{ "name": "app", "image": "example.org/app:1" }] });
                let all = full_path("", "v1", text(&pod["metadata"]["namespace"]), "pods");
                self.ask(Method::POST, &all, Some(("application/json", object))).await?;
            }
            let status = json!({ "status": pod["status"] });
            self.ask(Method::PATCH, &format!("{path}/status"), Some((MERGE, status)))
                .await?;
        }
        for there in self.list("/api/v1/pods").await? {
            let same = |pod: &&Value| {
                ["name", "namespace"]
                    .iter()
                    .all(|key| pod["metadata"][key] == there["metadata"][key])
            };
            if !pods.iter().any(|pod| same(&pod)) {
                let path = format!("{}?gracePeriodSeconds=0", place("", "pods", &there));
                self.ask(Method::DELETE, &path, None).await?;
            }
        }
        Ok(())
    }

    async fn slices(&self, pods: &[Value]) -> Result<()> {
        for service in self.list("/api/v1/services").await? {
            // The API server's own.
            if service["metadata"]["namespace"] == "default" {
                continue;
            }
            let mut slice = slice_of(&service, pods);
            slice["apiVersion"] = "discovery.k8s.io/v1".into();
            slice["kind"] = "EndpointSlice".into();
            let path = place("discovery.k8s.io", "endpointslices", &slice);
            let path = format!("{path}?fieldManager=tests&force=true");
            let body = Some(("application/apply-patch+yaml", slice));
            self.ask(Method::PATCH, &path, body).await?;
        }
        Ok(())
    }

    async fn routes(&self) -> Result<()> {
        let silent = {
            let crews = self.crews();
            if crews.gateways_stand_still {
                return Ok(());
            }
            crews.silent_gateways.clone()
        };
        for route in self.list("/apis/gateway.networking.k8s.io/v1/httproutes").await? {
            let status = accepted(&route, &silent);
            if route["status"] != status {
                let path = format!("{}/status", place("gateway.networking.k8s.io", "httproutes", &route));
                let body = Some((MERGE, json!({ "status": status })));
                self.ask(Method::PATCH, &path, body).await?;
            }
        }
        Ok(())
    }
}
