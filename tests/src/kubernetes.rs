//! A strict, stateful Kubernetes API over HTTP, for the drivers.
//!
//! Owns Deployments (with `scale`), Services, HTTPRoutes, autoscalers, Events, and the pods and endpoint slices that follow
//! from them; versions, generations, conflicts, patches, and rights. Refuses whatever the real one refuses, and whatever it
//! does not know. It can be told to misbehave as the real one does: be slow, hang, fail before or after the effect, lie.

mod patch;
mod rights;
mod world;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::scratch::Scratch;
use crate::serve::Served;
use rights::{Rights, Wish};
use world::{Key, No, World, full, not_found};

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

/// What a path names.
#[derive(Debug)]
struct Place {
    group: String,
    resource: String,
    namespace: String,
    name: Option<String>,
    sub: Option<String>,
}

impl Place {
    fn of(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let ["namespaces", namespace, resource, rest @ ..] = rest else {
            return None;
        };
        let served = [
            ("apps", "v1", "deployments"),
            ("", "v1", "services"),
            ("", "v1", "pods"),
            ("", "v1", "events"),
            ("discovery.k8s.io", "v1", "endpointslices"),
            ("autoscaling", "v2", "horizontalpodautoscalers"),
            ("gateway.networking.k8s.io", "v1", "httproutes"),
        ];
        served.contains(&(group, version, *resource)).then(|| Self {
            group: group.to_owned(),
            resource: (*resource).to_owned(),
            namespace: (*namespace).to_owned(),
            name: rest.first().map(|name| (*name).to_owned()),
            sub: rest.get(1).map(|sub| (*sub).to_owned()),
        })
    }

    fn key(&self) -> Option<Key> {
        Some(key(&self.group, &self.resource, &self.namespace, self.name.as_deref()?))
    }
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

fn handle(
    cluster: &mut Cluster,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<(StatusCode, Value), No> {
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = token
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default();
    let account = cluster.accounts.iter().find(|(known, _)| known == token);
    let Some((_, rights)) = account else {
        return Err((401, "Unauthorized", "Unauthorized".to_owned()));
    };
    let missing = || {
        (
            404,
            "NotFound",
            "the server could not find the requested resource".to_owned(),
        )
    };
    let place = Place::of(uri.path()).ok_or_else(missing)?;
    let query: Vec<(String, String)> = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .into_owned()
        .collect();
    let verb = match (method, &place.name) {
        (&Method::GET, Some(_)) => "get",
        (&Method::GET, None) => "list",
        (&Method::PATCH, Some(_)) => "patch",
        (&Method::PUT, Some(_)) => "update",
        (&Method::POST, None) => "create",
        _ => {
            return Err((
                405,
                "MethodNotAllowed",
                "the server does not allow this method".to_owned(),
            ));
        }
    };
    let resource = match &place.sub {
        Some(sub) => format!("{}/{sub}", place.resource),
        None => place.resource.clone(),
    };
    let wish = Wish {
        verb,
        group: &place.group,
        resource: &resource,
        namespace: &place.namespace,
        name: place.name.as_deref(),
    };
    if !rights.iter().any(|rights| rights.allow(&wish)) {
        let what = full(&place.group, &resource);
        let named = place
            .name
            .as_deref()
            .map(|name| format!("{name:?} "))
            .unwrap_or_default();
        let message = format!(
            "{what} {named}is forbidden: User \"system:serviceaccount:tidegate:tidegate\" cannot {verb} resource {resource:?} in API group {:?} in the namespace {:?}",
            place.group, place.namespace
        );
        return Err((403, "Forbidden", message));
    }
    match verb {
        "list" => list(cluster, &place, &query),
        "create" => create(cluster, &place, body),
        _ => one(cluster, &place, method, headers, body),
    }
}

fn list(cluster: &Cluster, place: &Place, query: &[(String, String)]) -> Result<(StatusCode, Value), No> {
    let known = ["labelSelector", "limit"];
    if let Some((key, _)) = query.iter().find(|(key, _)| !known.contains(&key.as_str())) {
        return Err((400, "BadRequest", format!("the fake does not know the parameter {key}")));
    }
    let items: Vec<Value> = match place.resource.as_str() {
        "pods" => cluster.world.pods(&place.namespace),
        "endpointslices" => cluster.world.slices(&place.namespace),
        _ => {
            let here = cluster.world.objects.iter();
            let here =
                here.filter(|(key, _)| key.0 == place.group && key.1 == place.resource && key.2 == place.namespace);
            here.map(|(_, object)| object.clone()).collect()
        }
    };
    let selector = query
        .iter()
        .find(|(key, _)| key == "labelSelector")
        .map_or("", |(_, value)| value);
    let mut wanted = Vec::new();
    for requirement in selector.split(',').filter(|it| !it.is_empty()) {
        let pair = requirement.split_once('=');
        wanted.push(pair.ok_or((400, "BadRequest", format!("unable to parse requirement: {requirement}")))?);
    }
    let fits = |object: &Value| {
        wanted
            .iter()
            .all(|(key, value)| object["metadata"]["labels"][key] == *value)
    };
    let items: Vec<Value> = items.into_iter().filter(fits).collect();
    Ok((
        StatusCode::OK,
        json!({ "kind": "List", "apiVersion": "v1", "metadata": {}, "items": items }),
    ))
}

fn create(cluster: &mut Cluster, place: &Place, body: &Bytes) -> Result<(StatusCode, Value), No> {
    let object: Value = serde_json::from_slice(body).map_err(|error| (400, "BadRequest", error.to_string()))?;
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let ends =
        name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.ends_with(|c: char| c.is_ascii_alphanumeric());
    if !name.chars().all(fits) || !ends || name.len() > 253 {
        return Err((422, "Invalid", format!("metadata.name: Invalid value: {name:?}")));
    }
    if place.resource == "events" && object["involvedObject"]["namespace"] != place.namespace.as_str() {
        return Err((
            422,
            "Invalid",
            "involvedObject.namespace: does not match event.namespace".to_owned(),
        ));
    }
    let key = key(&place.group, &place.resource, &place.namespace, name);
    if cluster.world.objects.contains_key(&key) {
        return Err((
            409,
            "AlreadyExists",
            format!("{} {name:?} already exists", full(&key.0, &key.1)),
        ));
    }
    cluster.world.objects.insert(key, object.clone());
    Ok((StatusCode::CREATED, object))
}

fn one(
    cluster: &mut Cluster,
    place: &Place,
    method: &Method,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<(StatusCode, Value), No> {
    let missing = || {
        (
            404,
            "NotFound",
            "the server could not find the requested resource".to_owned(),
        )
    };
    let key = place.key().ok_or_else(missing)?;
    let object = cluster
        .world
        .objects
        .get(&key)
        .cloned()
        .ok_or_else(|| not_found(&key))?;
    let scale = match place.sub.as_deref() {
        None => false,
        Some("scale") if place.resource == "deployments" => true,
        Some(_) => return Err(missing()),
    };
    let media = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let parsed = || serde_json::from_slice::<Value>(body).map_err(|error| (400, "BadRequest", error.to_string()));
    let shown = |object: &Value| if scale { scale_of(object) } else { object.clone() };
    let mut changed = shown(&object);
    match *method {
        Method::GET => return Ok((StatusCode::OK, changed)),
        Method::PUT => changed = parsed()?,
        _ => match media {
            "application/merge-patch+json" => patch::merge(&mut changed, &parsed()?),
            "application/json-patch+json" => {
                let applied = patch::json(&mut changed, &parsed()?);
                applied.map_err(|why| (422, "Invalid", format!("json patch: {why}")))?;
            }
            other => {
                let message = format!("the body of the request was in an unknown format: {other}");
                return Err((415, "UnsupportedMediaType", message));
            }
        },
    }
    if scale {
        let mut whole = object;
        whole["spec"]["replicas"] = changed["spec"]["replicas"].clone();
        whole["metadata"]["resourceVersion"] = changed["metadata"]["resourceVersion"].clone();
        changed = whole;
    }
    let written = cluster.world.write(&key, changed)?;
    Ok((StatusCode::OK, shown(&written)))
}

/// A Deployment as its `scale` subresource shows it.
fn scale_of(object: &Value) -> Value {
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": object["metadata"]["name"], "namespace": object["metadata"]["namespace"],
            "uid": object["metadata"]["uid"], "resourceVersion": object["metadata"]["resourceVersion"],
        },
        "spec": { "replicas": object["spec"]["replicas"] },
        "status": { "replicas": object["status"]["replicas"] },
    })
}
