//! A strict, stateful Kubernetes API over HTTP, for the drivers.
//!
//! Owns Deployments (with `scale`), Services, HTTPRoutes, autoscalers, Events, and the pods and endpoint slices that follow
//! from them; versions, generations, conflicts, patches, and rights. Refuses whatever the real one refuses, and whatever it
//! does not know. It can be told to misbehave as the real one does: be slow, hang, fail before or after the effect, lie.

mod api;
mod patch;
mod rights;
mod world;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::scratch::Scratch;
use crate::serve::Served;
use api::{Place, handle};
use rights::Rights;
use world::{Key, No, World};

pub use world::Readiness;

/// The token of an account that may do everything.
pub const ADMIN: &str = "the-token-of-the-cluster-admin";
/// The token of Tidegate's service account, when rights are given to it.
pub const TIDEGATE: &str = "the-token-of-tidegate";

/// What can go wrong with a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Mishap {
    /// It is answered with this status, and nothing happens.
    Refused(u16),
    /// It happens, and is answered with this status.
    DoneButFailed(u16),
    /// It is never answered, and nothing happens.
    Hangs,
    /// It happens, and is never answered.
    DoneButHangs,
    /// It is answered after this time.
    Slow(Duration),
    /// It is answered as if it had happened.
    Lies,
    /// Somebody else writes to the object between the read and this.
    Overtaken,
}

#[derive(Debug)]
struct Trouble {
    method: Method,
    /// A part of the path.
    path: String,
    left: u32,
    mishap: Mishap,
}

#[derive(Debug, Default)]
struct Cluster {
    world: World,
    accounts: Vec<(String, Vec<Rights>)>,
    troubles: Vec<Trouble>,
    struck: Vec<Mishap>,
    calls: Vec<(Method, String)>,
}

/// The server.
#[derive(Debug)]
pub struct Kubernetes {
    served: Served,
    cluster: Arc<Mutex<Cluster>>,
}

impl Kubernetes {
    /// Starts an empty cluster with one account, [`ADMIN`].
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start() -> Result<Self> {
        let cluster = Arc::new(Mutex::new(Cluster {
            accounts: vec![(ADMIN.to_owned(), vec![Rights::all()])],
            ..Cluster::default()
        }));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&cluster));
        Ok(Self {
            served: Served::start(router).await?,
            cluster,
        })
    }

    /// A kubeconfig for the account with this token.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn kubeconfig(&self, scratch: &Scratch, token: &str) -> Result<PathBuf> {
        let text = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "fake",
            "clusters": [{ "name": "fake", "cluster": { "server": self.served.url("") } }],
            "users": [{ "name": "tidegate", "user": { "token": token } }],
            "contexts": [{ "name": "fake", "context": { "cluster": "fake", "user": "tidegate" } }],
        });
        scratch.write("kubeconfig.json", text.to_string())
    }

    /// Gives [`TIDEGATE`] the rights of the Roles in a manifest, and no others.
    ///
    /// # Errors
    /// When there is no Role in it.
    pub fn grant(&self, manifest: &str) -> Result<()> {
        let rights = Rights::of_manifest(manifest)?;
        anyhow::ensure!(!rights.is_empty(), "there is no Role in the manifest");
        let mut cluster = open(&self.cluster);
        cluster.accounts.retain(|(token, _)| token != TIDEGATE);
        cluster.accounts.push((TIDEGATE.to_owned(), rights));
        Ok(())
    }

    /// A Deployment whose pods carry `app` and `version`.
    pub fn deployment(&self, namespace: &str, name: &str, replicas: u64, app: &str, version: &str) {
        let labels = json!({ "app": app, "version": version });
        let object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "namespace": namespace, "name": name, "labels": labels },
            "spec": {
                "replicas": replicas,
                "selector": { "matchLabels": labels },
                "template": {
                    "metadata": { "labels": labels },
                    "spec": { "containers": [{ "name": "app", "image": "example.org/app:1" }] },
                },
            },
        });
        open(&self.cluster).world.place("apps", "deployments", object);
    }

    /// A Service that selects `app`, and `version` where one is given.
    pub fn service(&self, namespace: &str, name: &str, app: &str, version: Option<&str>) {
        let mut selector = json!({ "app": app });
        if let Some(version) = version {
            selector["version"] = version.into();
        }
        let object = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": { "namespace": namespace, "name": name },
            "spec": { "selector": selector, "ports": [{ "port": 80 }] },
        });
        open(&self.cluster).world.place("", "services", object);
    }

    /// Any other object, as it is written.
    ///
    /// # Errors
    /// When it is not JSON.
    pub fn place(&self, group: &str, resource: &str, object: Value) {
        open(&self.cluster).world.place(group, resource, object);
    }

    /// When the pods of a Deployment become ready from now on.
    pub fn readiness(&self, namespace: &str, name: &str, readiness: Readiness) {
        open(&self.cluster).world.readiness(namespace, name, readiness);
    }

    /// Whether gateways look at routes.
    pub fn gateways_stand_still(&self, still: bool) {
        let mut cluster = open(&self.cluster);
        cluster.world.gateways_stand_still = still;
        cluster.world.tick();
    }

    /// The next `times` calls of this method whose path contains `path` go wrong.
    pub fn trouble(&self, method: Method, path: &str, times: u32, mishap: Mishap) {
        open(&self.cluster).troubles.push(Trouble {
            method,
            path: path.to_owned(),
            left: times,
            mishap,
        });
    }

    /// No further call goes wrong.
    pub fn calm(&self) {
        open(&self.cluster).troubles.clear();
    }

    /// How many calls went wrong so far.
    #[must_use]
    pub fn struck(&self) -> usize {
        open(&self.cluster).struck.len()
    }

    /// Somebody else patches an object: a merge patch without a version, as `kubectl` sends it.
    ///
    /// # Errors
    /// When it is not there or the patch is refused.
    pub fn patch(&self, group: &str, resource: &str, namespace: &str, name: &str, patch: &Value) -> Result<()> {
        let mut cluster = open(&self.cluster);
        let key = key(group, resource, namespace, name);
        let mut object = cluster.world.objects.get(&key).cloned().context("no such object")?;
        patch::merge(&mut object, patch);
        let written = cluster.world.write(&key, object);
        written
            .map(drop)
            .map_err(|(code, _, message)| anyhow::anyhow!("{code}: {message}"))
    }

    /// An object as it is now.
    ///
    /// # Errors
    /// When it is not there.
    pub fn object(&self, group: &str, resource: &str, namespace: &str, name: &str) -> Result<Value> {
        let mut cluster = open(&self.cluster);
        cluster.world.tick();
        let key = key(group, resource, namespace, name);
        cluster.world.objects.get(&key).cloned().context("no such object")
    }

    /// How many replicas a Deployment is asked for, and how many are ready.
    ///
    /// # Errors
    /// When it is not there.
    pub fn replicas(&self, namespace: &str, name: &str) -> Result<(u64, u64)> {
        let object = self.object("apps", "deployments", namespace, name)?;
        let count = |value: &Value| value.as_u64().unwrap_or(0);
        Ok((
            count(&object["spec"]["replicas"]),
            count(&object["status"]["readyReplicas"]),
        ))
    }

    /// The fewest pods of `app` that were ever ready together since the last object was placed.
    #[must_use]
    pub fn least_ready(&self, app: &str) -> usize {
        let mut cluster = open(&self.cluster);
        cluster.world.tick();
        cluster.world.least(app)
    }

    /// Every change of a number of replicas, in order.
    #[must_use]
    pub fn asked(&self) -> Vec<(String, u64)> {
        open(&self.cluster).world.asked.clone()
    }

    /// Every Event, as it was written.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        let cluster = open(&self.cluster);
        let events = cluster.world.objects.iter().filter(|(key, _)| key.1 == "events");
        events.map(|(_, event)| event.clone()).collect()
    }

    /// Every call, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<(Method, String)> {
        open(&self.cluster).calls.clone()
    }
}

fn key(group: &str, resource: &str, namespace: &str, name: &str) -> Key {
    (
        group.to_owned(),
        resource.to_owned(),
        namespace.to_owned(),
        name.to_owned(),
    )
}

/// A panicking reader leaves the cluster whole.
fn open(cluster: &Mutex<Cluster>) -> MutexGuard<'_, Cluster> {
    cluster.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(
    State(cluster): State<Arc<Mutex<Cluster>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mishap = {
        let mut cluster = open(&cluster);
        cluster.world.tick();
        cluster.calls.push((method.clone(), uri.path().to_owned()));
        let hit =
            |trouble: &&mut Trouble| trouble.left > 0 && trouble.method == method && uri.path().contains(&trouble.path);
        let mishap = cluster.troubles.iter_mut().find(hit).map(|trouble| {
            trouble.left -= 1;
            trouble.mishap.clone()
        });
        cluster.struck.extend(mishap.clone());
        mishap
    };
    let act = || {
        let mut cluster = open(&cluster);
        handle(&mut cluster, &method, &uri, &headers, &body)
    };
    match mishap {
        None => shown(act()),
        Some(Mishap::Refused(code)) => shown(Err((code, "InternalError", "the fake was told to refuse".to_owned()))),
        Some(Mishap::DoneButFailed(code)) => {
            let _ = act();
            shown(Err((
                code,
                "InternalError",
                "the fake was told to fail afterwards".to_owned(),
            )))
        }
        Some(Mishap::Hangs) => std::future::pending().await,
        Some(Mishap::DoneButHangs) => {
            let _ = act();
            std::future::pending().await
        }
        Some(Mishap::Slow(delay)) => {
            // The slowness itself is what is tested; nothing waits for it to pass.
            tokio::time::sleep(delay).await;
            shown(act())
        }
        Some(Mishap::Lies) => {
            let before = {
                let cluster = open(&cluster);
                let key = Place::of(uri.path()).and_then(|place| place.key());
                key.and_then(|key| cluster.world.objects.get(&key).cloned())
            };
            shown(
                before
                    .map(|object| (StatusCode::OK, object))
                    .ok_or((404, "NotFound", String::new())),
            )
        }
        Some(Mishap::Overtaken) => {
            if let Some(key) = Place::of(uri.path()).and_then(|place| place.key()) {
                let mut cluster = open(&cluster);
                if let Some(mut object) = cluster.world.objects.get(&key).cloned() {
                    let version = object["metadata"]["resourceVersion"].clone();
                    object["metadata"]["annotations"]["example.org/touched"] = version;
                    let _ = cluster.world.write(&key, object);
                }
            }
            shown(act())
        }
    }
}

fn shown(answer: Result<(StatusCode, Value), No>) -> Response {
    match answer {
        Ok((status, object)) => (status, Json(object)).into_response(),
        Err((code, reason, message)) => {
            // The API server hides what a failed JSON patch said among the causes.
            let (message, causes) = match message.strip_prefix("json patch: ") {
                Some(cause) => (
                    "the server rejected our request due to an error in our request".to_owned(),
                    json!([{ "reason": "UnexpectedServerResponse", "message": cause }]),
                ),
                None => (message, json!([])),
            };
            let status = json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
                "reason": reason, "details": { "causes": causes }, "code": code,
            });
            let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (code, Json(status)).into_response()
        }
    }
}
