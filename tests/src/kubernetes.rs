//! A Kubernetes API for the drivers: a strict, stateful fake over HTTP, or the real one where somebody has it.
//!
//! Owns Deployments (with `scale`), Services, HTTPRoutes, autoscalers, Events, and the pods and endpoint slices that follow
//! from them; versions, generations, conflicts, patches, and rights. The fake refuses whatever the real one refuses, and
//! whatever it does not know; it can be told to misbehave: be slow, hang, fail before or after the effect, lie. With
//! `KUBEBUILDER_ASSETS` set, scenarios that need no misbehaviour run against a real etcd and kube-apiserver.

mod api;
mod controllers;
mod crew;
mod fake;
mod jobs;
pub mod kustomize;
mod patch;
mod real;
mod rights;
mod schema;
mod world;

use std::path::PathBuf;
use std::sync::PoisonError;

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

/// The token of an account that may do everything.
pub const ADMIN: &str = "the-token-of-the-cluster-admin";
/// The token of Tidegate's service account, when rights are given to it.
pub const TIDEGATE: &str = "the-token-of-tidegate";

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
            Kind::Real(real) => json!({ "server": real.url(), "insecure-skip-tls-verify": true }),
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
            "spec": { "selector": selector, "ports": [{ "port": 80 }] },
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
            let (group, resource) = schema::accept(object)?;
            let namespace = &object["metadata"]["namespace"];
            let space = spaces.iter().find(|space| space["metadata"]["name"] == *namespace);
            let name = &object["metadata"]["name"];
            if resource != "namespaces" {
                let space = space.with_context(|| format!("{resource} {name}: namespaces {namespace} not found"))?;
                let standard = &space["metadata"]["labels"]["pod-security.kubernetes.io/enforce"];
                if resource == "deployments" && *standard == "restricted" {
                    schema::restricted(object)
                        .with_context(|| format!("{name} violates PodSecurity \"restricted\""))?;
                }
            }
            self.place(group, resource, (*object).clone())?;
        }
        Ok(())
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
            Kind::Real(real) => change(&mut real.crews.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    /// How Jobs end from now on, also those that run already.
    ///
    /// # Errors
    /// On a real cluster, which runs no Jobs here.
    pub fn jobs_end(&self, end: JobEnd) -> Result<()> {
        let mut cluster = self.told()?.open();
        cluster.world.job_end = end;
        cluster.world.tick();
        Ok(())
    }

    /// Every Job as it is now.
    ///
    /// # Errors
    /// On a real cluster.
    pub fn jobs(&self) -> Result<Vec<Value>> {
        let cluster = self.told()?.open();
        let jobs = cluster.world.objects.iter().filter(|(key, _)| key.1 == "jobs");
        Ok(jobs.map(|(_, job)| job.clone()).collect())
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
                real.ask(Method::PATCH, &path, body).map(drop)
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
            Kind::Real(real) => {
                let crews = real.crews.lock().unwrap_or_else(PoisonError::into_inner);
                crews.least(app)
            }
        }
    }

    /// The fewest ready endpoints that ever stood behind a Service, or behind a backend that a route gave traffic, since the last
    /// object was placed.
    ///
    /// # Errors
    /// On a real cluster, or when it is not there.
    pub fn least_carried(&self, group: &str, resource: &str, namespace: &str, name: &str) -> Result<usize> {
        let world = &mut self.told()?.open().world;
        world.tick();
        let least = world.least_carried.get(&key(group, resource, namespace, name));
        least.copied().context("nothing of that name carries traffic")
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

    /// Every change of a number of replicas, in order.
    ///
    /// # Errors
    /// On a real cluster.
    pub fn asked(&self) -> Result<Vec<(String, u64)>> {
        Ok(self.told()?.open().world.asked.clone())
    }

    /// Every call, in order.
    ///
    /// # Errors
    /// On a real cluster.
    pub fn calls(&self) -> Result<Vec<(Method, String)>> {
        Ok(self.told()?.open().calls.clone())
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
