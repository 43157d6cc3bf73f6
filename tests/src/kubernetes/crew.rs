//! The pods of Deployments: when they become ready, which of them go first, and the lowest capacity there ever was.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::world::No;

/// When new pods become ready.
#[derive(Clone, Copy, Debug)]
pub enum Readiness {
    /// As soon as they are there.
    AtOnce,
    /// That long after they were made.
    After(Duration),
    /// At most so many of them, the oldest first.
    UpTo(usize),
    /// Never.
    Never,
}

#[derive(Clone, Debug)]
struct Pod {
    name: String,
    born: Instant,
    ready: bool,
}

/// What the container of a pod does, and wrote.
#[derive(Clone, Debug, Default)]
pub struct Manner {
    /// How often it was started again; it waits for the next start, unless this is 0.
    pub restarts: u64,
    /// What it has written since it was last started.
    pub log: String,
    /// What it had written before.
    pub log_before: Option<String>,
}

/// The pods of one Deployment.
#[derive(Debug)]
struct Crew {
    pods: Vec<Pod>,
    /// Those on their way out: they are listed, and their logs can be read, for as long as they are given to end.
    leaving: Vec<Pod>,
    readiness: Readiness,
    manner: Manner,
    /// What each of them is made of.
    template: Value,
}

/// The pods of all Deployments, by namespace and name.
#[derive(Debug, Default)]
pub(super) struct Crews {
    crews: BTreeMap<(String, String), Crew>,
    names: u64,
    /// Whether gateways look at routes.
    pub(super) gateways_stand_still: bool,
    /// Gateways that say nothing about any route.
    pub(super) silent_gateways: BTreeSet<String>,
    /// The fewest ready pods ever seen, by label `app`.
    least: BTreeMap<String, usize>,
}

impl Crews {
    fn crew(&mut self, namespace: &str, name: &str) -> &mut Crew {
        let key = (namespace.to_owned(), name.to_owned());
        self.crews.entry(key).or_insert(Crew {
            pods: Vec::new(),
            leaving: Vec::new(),
            readiness: Readiness::AtOnce,
            manner: Manner::default(),
            template: Value::Null,
        })
    }

    pub(super) fn readiness(&mut self, namespace: &str, name: &str, readiness: Readiness) {
        self.crew(namespace, name).readiness = readiness;
    }

    pub(super) fn manner(&mut self, namespace: &str, name: &str, manner: Manner) {
        self.crew(namespace, name).manner = manner;
    }

    /// Makes it `wanted` pods of this template; says how many there are, and how many of them are ready.
    pub(super) fn settle(&mut self, namespace: &str, name: &str, wanted: u64, template: Value) -> (u64, u64) {
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        let now = Instant::now();
        let mut names = self.names;
        let crew = self.crew(namespace, name);
        crew.template = template;
        // As a ReplicaSet does: those that are not ready go first, then the youngest.
        crew.pods.sort_by_key(|pod| (!pod.ready, pod.born));
        let leaves = crew.pods.split_off(wanted.min(crew.pods.len()));
        crew.leaving.extend(leaves);
        while crew.pods.len() < wanted {
            names += 1;
            crew.pods.push(Pod {
                name: format!("{name}-{names}"),
                born: now,
                ready: false,
            });
        }
        let (readiness, crashes) = (crew.readiness, crew.manner.restarts > 0);
        for (index, pod) in crew.pods.iter_mut().enumerate() {
            pod.ready = !crashes
                && match readiness {
                    Readiness::AtOnce => true,
                    Readiness::After(delay) => pod.ready || now.duration_since(pod.born) >= delay,
                    Readiness::UpTo(most) => index < most,
                    Readiness::Never => false,
                };
        }
        let ready = crew.pods.iter().filter(|pod| pod.ready).count();
        self.names = names;
        (wanted as u64, ready as u64)
    }

    /// Notes how many are ready now, once every Deployment is settled.
    pub(super) fn count(&mut self) {
        let mut ready: BTreeMap<String, usize> = BTreeMap::new();
        for crew in self.crews.values() {
            let app = crew.template["metadata"]["labels"]["app"].as_str().unwrap_or_default();
            *ready.entry(app.to_owned()).or_default() += crew.pods.iter().filter(|pod| pod.ready).count();
        }
        for (app, count) in ready {
            let least = self.least.entry(app).or_insert(count);
            *least = count.min(*least);
        }
    }

    /// What was there so far does not count as a dip.
    pub(super) fn count_anew(&mut self) {
        self.least.clear();
    }

    pub(super) fn least(&self, app: &str) -> usize {
        self.least.get(app).copied().unwrap_or(0)
    }

    /// All pods as the API shows them, but for those on their way out.
    pub(super) fn pods(&self) -> Vec<Value> {
        let of = |(key, crew): (&(String, String), &Crew)| -> Vec<Value> {
            crew.pods.iter().map(|pod| crew.shown(&key.0, pod)).collect()
        };
        self.crews.iter().flat_map(of).collect()
    }

    /// Those on their way out.
    pub(super) fn leaving(&self) -> Vec<Value> {
        let of = |(key, crew): (&(String, String), &Crew)| -> Vec<Value> {
            let leaving = crew.leaving.iter().map(|pod| {
                let mut pod = crew.shown(&key.0, pod);
                pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
                pod
            });
            leaving.collect()
        };
        self.crews.iter().flat_map(of).collect()
    }

    /// What a container of a pod wrote, or had written before it was started again.
    ///
    /// # Errors
    /// As the API server refuses it.
    pub(super) fn log(&self, namespace: &str, pod: &str, container: Option<&str>, before: bool) -> Result<&str, No> {
        let mut crews = self.crews.iter().filter(|(key, _)| key.0 == namespace);
        let has = |crew: &&Crew| crew.pods.iter().chain(&crew.leaving).any(|known| known.name == pod);
        let crew = crews.find_map(|(_, crew)| Some(crew).filter(has));
        let crew = crew.ok_or_else(|| (404, "NotFound", format!("pods {pod:?} not found")))?;
        let own = crew.container();
        if let Some(unknown) = container.filter(|name| *name != own) {
            let message = format!("container {unknown} is not valid for pod {pod}");
            return Err((400, "BadRequest", message));
        }
        if !before {
            return Ok(&crew.manner.log);
        }
        let message = || format!("previous terminated container {own:?} in pod {pod:?} not found");
        crew.manner
            .log_before
            .as_deref()
            .ok_or_else(|| (400, "BadRequest", message()))
    }
}

impl Crew {
    /// The container that tells how a pod does: the first one.
    fn container(&self) -> &str {
        self.template["spec"]["containers"][0]["name"]
            .as_str()
            .unwrap_or_default()
    }

    fn shown(&self, namespace: &str, pod: &Pod) -> Value {
        let ready = if pod.ready { "True" } else { "False" };
        let restarts = self.manner.restarts;
        let (state, last) = match restarts {
            0 => (json!({ "running": { "startedAt": "2026-01-01T00:00:00Z" } }), json!({})),
            _ => (
                json!({ "waiting": { "reason": "CrashLoopBackOff", "message": "back-off restarting failed container" } }),
                json!({ "terminated": { "exitCode": 1, "reason": "Error" } }),
            ),
        };
        json!({
            "metadata": { "name": pod.name, "namespace": namespace, "labels": self.template["metadata"]["labels"] },
            "spec": self.template["spec"],
            "status": {
                "phase": "Running",
                "conditions": [{ "type": "Ready", "status": ready }],
                "containerStatuses": [{
                    "name": self.container(), "ready": pod.ready, "restartCount": restarts, "state": state, "lastState": last,
                }],
            },
        })
    }
}

/// The endpoint slice of a Service over `pods`, as its controller would keep it.
pub(super) fn slice_of(service: &Value, pods: &[Value]) -> Value {
    let (namespace, name) = (&service["metadata"]["namespace"], &service["metadata"]["name"]);
    let selector = service["spec"]["selector"].as_object().cloned().unwrap_or_default();
    let fits = |pod: &&Value| {
        let labels = &pod["metadata"]["labels"];
        pod["metadata"]["namespace"] == *namespace && selector.iter().all(|(label, value)| labels[label] == *value)
    };
    let endpoints = pods.iter().filter(fits).enumerate().map(|(index, pod)| {
        let ready = pod["status"]["conditions"][0]["status"] == "True";
        json!({
            "addresses": [format!("10.1.0.{}", index + 1)],
            "conditions": { "ready": ready, "serving": ready, "terminating": false },
            "targetRef": { "kind": "Pod", "name": pod["metadata"]["name"], "namespace": namespace },
        })
    });
    json!({
        "metadata": {
            "name": format!("{}-1", name.as_str().unwrap_or_default()), "namespace": namespace,
            "labels": { "kubernetes.io/service-name": name },
        },
        "addressType": "IPv4", "endpoints": endpoints.collect::<Vec<_>>(),
    })
}

/// The status of a route that every gateway has accepted as it is, but for those that say nothing.
pub(super) fn accepted(route: &Value, silent: &BTreeSet<String>) -> Value {
    let generation = &route["metadata"]["generation"];
    let parents = route["spec"]["parentRefs"].as_array().cloned().unwrap_or_default();
    let condition = |kind: &str| {
        json!({
            "type": kind, "status": "True", "reason": kind, "message": "", "observedGeneration": generation,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        })
    };
    let speaks = |parent: &&Value| !parent["name"].as_str().is_some_and(|name| silent.contains(name));
    let parents = parents.iter().filter(speaks).map(|parent| {
        json!({
            "parentRef": parent, "controllerName": "example.com/gateway",
            "conditions": [condition("Accepted"), condition("ResolvedRefs")],
        })
    });
    json!({ "parents": parents.collect::<Vec<_>>() })
}
