//! A Kubernetes API for the drivers: a strict, stateful fake over HTTP, or the real one where somebody has it.
//!
//! Owns Deployments (with `scale`), Services, HTTPRoutes, autoscalers, Events, and the pods and endpoint slices that follow
//! from them; versions, generations, conflicts, patches, and rights. The fake refuses whatever the real one refuses, and
//! whatever it does not know; it can be watched, and told to misbehave: be slow, hang, fail before or after the effect, lie. With
//! `KUBEBUILDER_ASSETS` set, scenarios that need no misbehaviour run against a real etcd and kube-apiserver.

mod api;
mod carried;
mod controllers;
mod crew;
mod definitions;
mod fake;
mod history;
mod httproute;
mod jobs;
mod kubelet;
pub mod kustomize;
mod listing;
mod patch;
mod pod;
mod real;
mod rights;
mod schema;
mod structural;
mod watch;
pub mod witness;
mod world;

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use reqwest::Method;
use serde_json::{Value, json};

use crate::scratch::Scratch;
use crew::Crews;
use fake::{Fake, Trouble};
use real::Real;
use world::Key;

pub use crew::{Manner, Readiness};
pub use fake::Mishap;
pub use jobs::JobEnd;
pub(crate) use pod::MOUNTED;
pub use pod::Pod;
pub use witness::Witness;

/// The token of an account that may do everything.
pub const ADMIN: &str = "the-token-of-the-cluster-admin";
/// The token of whoever only looks on: what it calls is not counted, and meets no mishap.
pub const WITNESS: &str = "the-token-of-the-witness";
/// The token of Tidegate's service account, when rights are given to it.
pub const TIDEGATE: &str = "the-token-of-tidegate";

/// A right as it was used: verb, group, resource with the part of it, name.
pub type Used = (String, String, String, Option<String>);

/// A cluster.
#[derive(Debug)]
pub struct Kubernetes(Kind);

#[derive(Debug)]
enum Kind {
    Fake(Fake),
    Real(Box<Real>),
}

impl Kubernetes {
    /// An empty cluster: the real one where `KUBEBUILDER_ASSETS` names its programs, else the fake.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start() -> Result<Self> {
        match real::assets() {
            Some(assets) => Ok(Self(Kind::Real(Box::new(Real::start(&assets).await?)))),
            None => Self::fake().await,
        }
    }

    /// An empty fake cluster, which can be told to misbehave.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn fake() -> Result<Self> {
        Ok(Self(Kind::Fake(Fake::start().await?)))
    }

    /// A kubeconfig for the account with this token.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn kubeconfig(&self, scratch: &Scratch, token: &str) -> Result<PathBuf> {
        let cluster = match &self.0 {
            Kind::Fake(fake) => json!({ "server": fake.url() }),
            Kind::Real(real) => json!({ "server": real.url(), "certificate-authority": real.certificates.authority }),
        };
        let text = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "tests",
            "clusters": [{ "name": "tests", "cluster": cluster }],
            "users": [{ "name": "tidegate", "user": { "token": token } }],
            "contexts": [{ "name": "tests", "context": { "cluster": "tests", "user": "tidegate" } }],
        });
        scratch.write("kubeconfig.json", text.to_string())
    }

    /// Gives [`TIDEGATE`] the rights of the Roles in a manifest, and no others.
    ///
    /// # Errors
    /// When there is no Role in it, or it is not taken.
    pub fn grant(&self, manifest: &str) -> Result<()> {
        match &self.0 {
            Kind::Fake(fake) => fake.grant(manifest),
            Kind::Real(real) => real.grant(manifest),
        }
    }

    /// A Deployment whose pods carry `app` and `version`.
    ///
    /// # Errors
    /// When it is not taken.
    pub fn deployment(&self, namespace: &str, name: &str, replicas: u64, app: &str, version: &str) -> Result<()> {
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
        self.place("apps", "deployments", object)
    }

    /// A Service that selects `app`, and `version` where one is given.
    ///
    /// # Errors
    /// When it is not taken.
    pub fn service(&self, namespace: &str, name: &str, app: &str, version: Option<&str>) -> Result<()> {
        let mut selector = json!({ "app": app });
        if let Some(version) = version {
            selector["version"] = version.into();
        }
        let object = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": { "namespace": namespace, "name": name },
            "spec": { "selector": selector, "ports": [{ "port": 80, "protocol": "TCP" }] },
        });
        self.place("", "services", object)
    }

    /// Any other object, as it is written.
    ///
    /// # Errors
    /// When it is not taken.
    pub fn place(&self, group: &str, resource: &str, object: Value) -> Result<()> {
        match &self.0 {
            Kind::Fake(fake) => {
                fake.open().world.place(group, resource, object);
                Ok(())
            }
            Kind::Real(real) => real.apply(group, version_of(group), resource, &object),
        }
    }

    /// What `kubectl apply` would do with these objects: every one is judged as the API server judges it, Namespaces come first.
    ///
    /// # Errors
    /// Says which object is refused, and for what.
    pub fn apply(&self, objects: &[Value]) -> Result<()> {
        let (spaces, rest): (Vec<&Value>, Vec<&Value>) =
            objects.iter().partition(|object| object["kind"] == "Namespace");
        for object in spaces.iter().chain(&rest) {
            let (group, resource) = schema::place_of(object)?;
            match &self.0 {
                Kind::Fake(_) => {
                    schema::accept(object)?;
                    schema::accept_into(&spaces, resource, object)?;
                    self.place(group, resource, (*object).clone())?;
                }
                Kind::Real(real) => real.apply_into(group, version_of(group), resource, object)?,
            }
        }
        match &self.0 {
            Kind::Fake(_) => Ok(()),
            Kind::Real(real) => real.could(),
        }
    }

    /// When the pods of a Deployment become ready from now on.
    pub fn readiness(&self, namespace: &str, name: &str, readiness: Readiness) {
        self.change_crews(|crews| crews.readiness(namespace, name, readiness));
    }

    /// What the container of each pod of a Deployment does, and wrote. There is nobody beside a real API server who runs one.
    pub fn manner(&self, namespace: &str, name: &str, manner: Manner) {
        self.change_crews(|crews| crews.manner(namespace, name, manner));
    }

    /// Whether gateways look at routes.
    pub fn gateways_stand_still(&self, still: bool) {
        self.change_crews(|crews| crews.gateways_stand_still = still);
    }

    /// Whether this gateway says nothing about any route, and takes back what it said.
    pub fn gateway_is_silent(&self, name: &str, silent: bool) {
        self.change_crews(|crews| {
            match silent {
                true => crews.silent_gateways.insert(name.to_owned()),
                false => crews.silent_gateways.remove(name),
            };
        });
    }

    fn change_crews(&self, change: impl FnOnce(&mut Crews)) {
        match &self.0 {
            Kind::Fake(fake) => {
                let world = &mut fake.open().world;
                change(&mut world.crews);
                world.tick();
            }
            Kind::Real(real) => {
                change(&mut real.stage().crews);
                // An API server that does not answer is told of by whoever calls it next.
                let _ = real.looked();
            }
        }
    }

    /// How Jobs end from now on, also those that run already.
    pub fn jobs_end(&self, end: JobEnd) {
        match &self.0 {
            Kind::Fake(fake) => {
                let world = &mut fake.open().world;
                world.job_end = end;
                world.tick();
            }
            Kind::Real(real) => {
                real.stage().job_end = end;
                let _ = real.looked();
            }
        }
    }

    /// Every Job as it is now.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn jobs(&self) -> Result<Vec<Value>> {
        match &self.0 {
            Kind::Fake(fake) => {
                let cluster = fake.open();
                let jobs = cluster.world.objects.iter().filter(|(key, _)| key.1 == "jobs");
                Ok(jobs.map(|(_, job)| job.clone()).collect())
            }
            Kind::Real(real) => {
                let list = real.ask(Method::GET, "/apis/batch/v1/jobs", None)?;
                Ok(list["items"].as_array().cloned().unwrap_or_default())
            }
        }
    }

    /// Somebody else patches an object: a merge patch without a version, as `kubectl` sends it.
    ///
    /// # Errors
    /// When it is not there or the patch is refused.
    pub fn patch(&self, group: &str, resource: &str, namespace: &str, name: &str, patch: &Value) -> Result<()> {
        match &self.0 {
            Kind::Fake(fake) => fake.patch(&key(group, resource, namespace, name), patch),
            Kind::Real(real) => {
                let path = format!("{}/{name}", full_path(group, version_of(group), namespace, resource));
                let body = Some(("application/merge-patch+json", patch.clone()));
                real.ask(Method::PATCH, &path, body)?;
                real.looked()
            }
        }
    }

    /// An object as it is now.
    ///
    /// # Errors
    /// When it is not there.
    pub fn object(&self, group: &str, resource: &str, namespace: &str, name: &str) -> Result<Value> {
        match &self.0 {
            Kind::Fake(fake) => fake.object(&key(group, resource, namespace, name)),
            Kind::Real(real) => {
                let path = format!("{}/{name}", full_path(group, version_of(group), namespace, resource));
                real.ask(Method::GET, &path, None)
            }
        }
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
        match &self.0 {
            Kind::Fake(fake) => {
                let world = &mut fake.open().world;
                world.tick();
                world.crews.least(app)
            }
            Kind::Real(real) => real.stage().crews.least(app),
        }
    }

    /// The fewest ready endpoints that ever stood behind a Service, or behind a backend that a route gave traffic, since the last
    /// object was placed.
    ///
    /// # Errors
    /// When it is not there.
    pub fn least_carried(&self, group: &str, resource: &str, namespace: &str, name: &str) -> Result<usize> {
        let key = key(group, resource, namespace, name);
        let least = match &self.0 {
            Kind::Fake(fake) => {
                let world = &mut fake.open().world;
                world.tick();
                world.carried.least(&key)
            }
            Kind::Real(real) => real.stage().carried.least(&key),
        };
        least.context("nothing of that name carries traffic")
    }

    /// The Events that Tidegate wrote.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn events(&self) -> Result<Vec<Value>> {
        match &self.0 {
            Kind::Fake(fake) => {
                let cluster = fake.open();
                let events = cluster.world.objects.iter().filter(|(key, _)| key.1 == "events");
                Ok(events.map(|(_, event)| event.clone()).collect())
            }
            Kind::Real(real) => {
                let list = real.ask(Method::GET, "/api/v1/events", None)?;
                let events = list["items"].as_array().cloned().unwrap_or_default().into_iter();
                Ok(events
                    .filter(|event| event["source"]["component"] == "tidegate")
                    .collect())
            }
        }
    }

    /// The next `times` calls of this method whose path contains `path` go wrong.
    ///
    /// # Errors
    /// On a real cluster, which cannot be told to.
    pub fn trouble(&self, method: Method, path: &str, times: u32, mishap: Mishap) -> Result<()> {
        self.told()?.open().troubles.push(Trouble {
            method,
            path: path.to_owned(),
            left: times,
            mishap,
        });
        Ok(())
    }

    /// No further call goes wrong.
    ///
    /// # Errors
    /// On a real cluster.
    pub fn calm(&self) -> Result<()> {
        self.told()?.open().troubles.clear();
        Ok(())
    }

    /// How many calls went wrong so far.
    ///
    /// # Errors
    /// On a real cluster.
    pub fn struck(&self) -> Result<usize> {
        Ok(self.told()?.open().struck.len())
    }

    /// Whatever happens from now on to the objects of a kind in a namespace.
    ///
    /// # Errors
    /// When they cannot be watched.
    pub async fn witness(&self, group: &str, resource: &str, namespace: &str) -> Result<Witness> {
        let scratch = Scratch::new("witness")?;
        let kubeconfig = self.kubeconfig(&scratch, WITNESS)?;
        Witness::start(&kubeconfig, &full_path(group, version_of(group), namespace, resource)).await
    }

    /// Every call of Tidegate, in order: what was called, without the query.
    ///
    /// # Errors
    /// When a real cluster did not write them down.
    pub fn calls(&self) -> Result<Vec<(Method, String)>> {
        match &self.0 {
            Kind::Fake(fake) => Ok(fake.open().calls.clone()),
            Kind::Real(real) => real.calls(),
        }
    }

    /// Every right that Tidegate made use of: verb, group, resource, and the one object where one was named.
    ///
    /// # Errors
    /// As [`Kubernetes::calls`].
    pub fn used(&self) -> Result<BTreeSet<Used>> {
        let calls = self.calls()?.into_iter();
        Ok(calls.filter_map(|(method, path)| api::used(&method, &path)).collect())
    }

    /// One call as whoever has this token; the status and the body of the answer.
    ///
    /// # Errors
    /// When there is no answer, or it is not JSON.
    pub async fn call(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Option<(&str, &Value)>,
    ) -> Result<(u16, Value)> {
        let (client, url) = match &self.0 {
            Kind::Fake(fake) => (crate::http::client()?, fake.url()),
            Kind::Real(real) => (real.client.clone(), real.url().to_owned()),
        };
        let mut request = client.request(method, format!("{url}{path}")).bearer_auth(token);
        if let Some((media, body)) = body {
            request = request.header("content-type", media).body(body.to_string());
        }
        let answer = request.send().await?;
        let (status, text) = (answer.status().as_u16(), answer.text().await?);
        let value = serde_json::from_str(&text).with_context(|| format!("{status}: {text}"))?;
        Ok((status, value))
    }

    /// Whether it can be told to misbehave and remembers what it was asked.
    #[must_use]
    pub fn is_fake(&self) -> bool {
        matches!(self.0, Kind::Fake(_))
    }

    fn told(&self) -> Result<&Fake> {
        match &self.0 {
            Kind::Fake(fake) => Ok(fake),
            Kind::Real(_) => bail!("a real cluster does not do that: take `Kubernetes::fake`"),
        }
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

/// The version of a group that is used here.
fn version_of(group: &str) -> &'static str {
    if group == "autoscaling" { "v2" } else { "v1" }
}

/// Where the objects of a kind lie; those of no namespace directly below the version.
fn full_path(group: &str, version: &str, namespace: &str, resource: &str) -> String {
    let top = if group.is_empty() {
        format!("/api/{version}")
    } else {
        format!("/apis/{group}/{version}")
    };
    if namespace.is_empty() {
        return format!("{top}/{resource}");
    }
    format!("{top}/namespaces/{namespace}/{resource}")
}
