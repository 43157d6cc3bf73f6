//! Stands in for the controllers and kubelets that a bare API server has not: pods for Deployments and Jobs, endpoint slices for
//! Services, the status of Deployments, Jobs and routes. Every object lies in the API server; only what a kubelet would know, who
//! is ready and what was printed, is known here. Writes nothing that is so already.

mod jobs;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, ensure};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::carried::Carried;
use super::crew::{Crews, accepted, slice_of};
use super::jobs::{JobEnd, OF_JOB};
use super::world::Key;
use super::{ADMIN, full_path, httproute, key};

const MERGE: &str = "application/merge-patch+json";

/// What lies in no object.
#[derive(Debug, Default)]
pub(super) struct Stage {
    pub(super) crews: Crews,
    pub(super) carried: Carried,
    /// How Jobs end.
    pub(super) job_end: JobEnd,
    /// What pods printed, by namespace and name.
    pub(super) logs: BTreeMap<(String, String), String>,
}

/// All of them.
pub(super) struct Controllers {
    pub(super) client: Client,
    pub(super) url: String,
    pub(super) stage: Arc<Mutex<Stage>>,
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

fn same_name(one: &Value, other: &Value) -> bool {
    ["name", "namespace"]
        .iter()
        .all(|field| one["metadata"][field] == other["metadata"][field])
}

/// Whether everything that `wanted` says is so in `there`, which may say more.
fn says(there: &Value, wanted: &Value) -> bool {
    match (there, wanted) {
        (Value::Object(there), Value::Object(wanted)) => wanted
            .iter()
            .all(|(field, wanted)| says(there.get(field).unwrap_or(&Value::Null), wanted)),
        (Value::Array(there), Value::Array(wanted)) => {
            there.len() == wanted.len() && there.iter().zip(wanted).all(|(there, wanted)| says(there, wanted))
        }
        // A list that is empty is shown as nothing, and a count of zero is left out.
        (Value::Null, Value::Array(wanted)) => wanted.is_empty(),
        (Value::Null, wanted) => *wanted == 0,
        (there, wanted) => there == wanted,
    }
}

impl Controllers {
    /// What they would do now.
    pub(super) async fn work(&self) -> Result<()> {
        self.deployments().await?;
        let pods = {
            let crews = &mut self.stage().crews;
            crews.count();
            crews.pods()
        };
        self.pods(&pods).await?;
        self.jobs().await?;
        let mut carrying = self.slices(&pods).await?;
        carrying.extend(self.routes().await?);
        self.stage().carried.count(&carrying, &pods);
        Ok(())
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn list(&self, path: &str) -> Result<Vec<Value>> {
        let mut list = self.ask(Method::GET, path, None).await?;
        Ok(list["items"].as_array_mut().map(std::mem::take).unwrap_or_default())
    }

    async fn ask(&self, method: Method, path: &str, body: Option<(&'static str, Value)>) -> Result<Value> {
        call(&self.client, &self.url, method, path, body).await
    }

    /// Lays this over the status of an object.
    async fn report(&self, path: &str, status: &Value) -> Result<()> {
        let body = Some((MERGE, json!({ "status": status })));
        self.ask(Method::PATCH, &format!("{path}/status"), body).await.map(drop)
    }

    async fn deployments(&self) -> Result<()> {
        for deployment in self.list("/apis/apps/v1/deployments").await? {
            let metadata = &deployment["metadata"];
            let template = deployment["spec"]["template"].clone();
            let wanted = deployment["spec"]["replicas"].as_u64().unwrap_or(1);
            let (namespace, name) = (text(&metadata["namespace"]), text(&metadata["name"]));
            let (pods, ready) = self.stage().crews.settle(namespace, name, wanted, template);
            let status = json!({
                "observedGeneration": metadata["generation"], "replicas": pods, "updatedReplicas": pods,
                "readyReplicas": ready, "availableReplicas": ready,
            });
            if !says(&deployment["status"], &status) {
                self.report(&place("apps", "deployments", &deployment), &status).await?;
            }
        }
        Ok(())
    }

    /// Makes it exactly these pods, besides those of Jobs.
    async fn pods(&self, pods: &[Value]) -> Result<()> {
        let mut there = self.list("/api/v1/pods").await?;
        there.retain(|pod| pod["metadata"]["labels"][OF_JOB].is_null());
        for pod in pods {
            let path = place("", "pods", pod);
            let known = there.iter().find(|there| same_name(there, pod));
            if known.is_none() {
                let mut object = pod.clone();
                object["apiVersion"] = "v1".into();
                object["kind"] = "Pod".into();
                let all = full_path("", "v1", text(&pod["metadata"]["namespace"]), "pods");
                self.ask(Method::POST, &all, Some(("application/json", object))).await?;
            }
            if !known.is_some_and(|known| says(&known["status"], &pod["status"])) {
                self.report(&path, &pod["status"]).await?;
            }
        }
        for gone in there
            .iter()
            .filter(|there| !pods.iter().any(|pod| same_name(there, pod)))
        {
            let path = format!("{}?gracePeriodSeconds=0", place("", "pods", gone));
            self.ask(Method::DELETE, &path, None).await?;
        }
        Ok(())
    }

    /// Keeps the endpoint slices; says which Services there are.
    async fn slices(&self, pods: &[Value]) -> Result<BTreeMap<Key, Value>> {
        let there = self.list("/apis/discovery.k8s.io/v1/endpointslices").await?;
        let mut services = BTreeMap::new();
        for service in self.list("/api/v1/services").await? {
            let metadata = &service["metadata"];
            let (namespace, name) = (text(&metadata["namespace"]), text(&metadata["name"]));
            // The API server's own.
            if namespace == "default" {
                continue;
            }
            let mut slice = slice_of(&service, pods);
            let known = there.iter().find(|there| same_name(there, &slice));
            if !known.is_some_and(|known| says(&known["endpoints"], &slice["endpoints"])) {
                slice["apiVersion"] = "discovery.k8s.io/v1".into();
                slice["kind"] = "EndpointSlice".into();
                let path = place("discovery.k8s.io", "endpointslices", &slice);
                let path = format!("{path}?fieldManager=tests&force=true");
                let body = Some(("application/apply-patch+yaml", slice));
                self.ask(Method::PATCH, &path, body).await?;
            }
            services.insert(key("", "services", namespace, name), service);
        }
        Ok(services)
    }

    /// Speaks for the gateways; says which routes there are.
    async fn routes(&self) -> Result<BTreeMap<Key, Value>> {
        let (silent, still) = {
            let crews = &self.stage().crews;
            (crews.silent_gateways.clone(), crews.gateways_stand_still)
        };
        let mut routes = BTreeMap::new();
        for route in self.list("/apis/gateway.networking.k8s.io/v1/httproutes").await? {
            let status = accepted(&route, &silent);
            if !still && route["status"] != status {
                let path = place(httproute::GROUP, "httproutes", &route);
                self.report(&path, &status).await?;
            }
            let metadata = &route["metadata"];
            let (namespace, name) = (text(&metadata["namespace"]), text(&metadata["name"]));
            routes.insert(key(httproute::GROUP, "httproutes", namespace, name), route);
        }
        Ok(routes)
    }
}
