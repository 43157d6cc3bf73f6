//! What the fake cluster remembers: objects with versions and generations, pods that become ready when they are told to, and
//! the lowest capacity there ever was.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Group, resource, namespace, name.
pub(super) type Key = (String, String, String, String);

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

/// The pods of one Deployment.
#[derive(Debug)]
struct Crew {
    pods: Vec<Pod>,
    readiness: Readiness,
}

/// Everything there is.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) objects: BTreeMap<Key, Value>,
    crews: BTreeMap<(String, String), Crew>,
    version: u64,
    names: u64,
    /// Whether gateways look at routes.
    pub(super) gateways_stand_still: bool,
    /// The fewest ready pods ever seen, per label `app`.
    least: BTreeMap<String, usize>,
    /// The most pods that the Deployments were ever asked for, in order of the writes.
    pub(super) asked: Vec<(String, u64)>,
}

/// A refusal: status code, reason, message.
pub(super) type No = (u16, &'static str, String);

impl World {
    fn next_version(&mut self) -> String {
        self.version += 1;
        self.version.to_string()
    }

    /// Puts an object there as if it had been applied long ago.
    pub(super) fn place(&mut self, group: &str, resource: &str, mut object: Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (namespace, name) = (
            text(&object["metadata"]["namespace"]),
            text(&object["metadata"]["name"]),
        );
        object["metadata"]["resourceVersion"] = self.next_version().into();
        object["metadata"]["uid"] = format!("uid-{}", self.version).into();
        object["metadata"]["generation"] = 1.into();
        self.objects
            .insert((group.to_owned(), resource.to_owned(), namespace, name), object);
        self.tick();
        // What was there before anybody looked does not count as a dip.
        self.least.clear();
        self.tick();
    }

    pub(super) fn readiness(&mut self, namespace: &str, name: &str, readiness: Readiness) {
        let crew = self.crew(namespace, name);
        crew.readiness = readiness;
        self.tick();
    }

    fn crew(&mut self, namespace: &str, name: &str) -> &mut Crew {
        self.crews
            .entry((namespace.to_owned(), name.to_owned()))
            .or_insert(Crew {
                pods: Vec::new(),
                readiness: Readiness::AtOnce,
            })
    }

    /// Replaces an object by a changed one, as any writer does.
    ///
    /// # Errors
    /// As the API server refuses it.
    pub(super) fn write(&mut self, key: &Key, mut changed: Value) -> Result<Value, No> {
        let before = self.objects.get(key).cloned().ok_or_else(|| not_found(key))?;
        let version = &changed["metadata"]["resourceVersion"];
        if !version.is_null() && *version != before["metadata"]["resourceVersion"] {
            let message = format!(
                "Operation cannot be fulfilled on {} {:?}: the object has been modified; please apply your changes to the latest version and try again",
                full(&key.0, &key.1),
                key.3
            );
            return Err((409, "Conflict", message));
        }
        for fixed in ["name", "namespace", "uid"] {
            if changed["metadata"][fixed] != before["metadata"][fixed] {
                return Err((
                    422,
                    "Invalid",
                    format!("metadata.{fixed}: Invalid value: field is immutable"),
                ));
            }
        }
        check(key, &before, &changed)?;
        // The status belongs to controllers.
        changed["status"] = before["status"].clone();
        let same = |a: &Value, b: &Value| {
            let strip = |value: &Value| {
                let mut value = value.clone();
                value["metadata"]["resourceVersion"] = Value::Null;
                value
            };
            strip(a) == strip(b)
        };
        if same(&changed, &before) {
            return Ok(before);
        }
        changed["metadata"]["resourceVersion"] = self.next_version().into();
        if changed["spec"] != before["spec"] {
            let generation = before["metadata"]["generation"].as_u64().unwrap_or(0) + 1;
            changed["metadata"]["generation"] = generation.into();
        }
        if key.1 == "deployments" && changed["spec"]["replicas"] != before["spec"]["replicas"] {
            let asked = changed["spec"]["replicas"].as_u64().unwrap_or(1);
            self.asked.push((key.3.clone(), asked));
        }
        self.objects.insert(key.clone(), changed);
        self.tick();
        self.objects.get(key).cloned().ok_or_else(|| not_found(key))
    }

    /// Lets the controllers do their work up to now.
    pub(super) fn tick(&mut self) {
        let deployments: Vec<Key> = self
            .objects
            .keys()
            .filter(|key| key.1 == "deployments")
            .cloned()
            .collect();
        for key in &deployments {
            self.run_deployment(key);
        }
        let routes: Vec<Key> = self
            .objects
            .keys()
            .filter(|key| key.1 == "httproutes")
            .cloned()
            .collect();
        for key in routes
            .iter()
            .filter(|_| !self.gateways_stand_still)
            .cloned()
            .collect::<Vec<_>>()
        {
            self.run_route(&key);
        }
        self.count(&deployments);
    }

    fn run_deployment(&mut self, key: &Key) {
        let Some(mut object) = self.objects.get(key).cloned() else {
            return;
        };
        let wanted = usize::try_from(object["spec"]["replicas"].as_u64().unwrap_or(1)).unwrap_or(usize::MAX);
        let now = Instant::now();
        let mut names = self.names;
        let crew = self.crew(&key.2, &key.3);
        // As a ReplicaSet does: those that are not ready go first, then the youngest.
        crew.pods.sort_by_key(|pod| (!pod.ready, pod.born));
        crew.pods.truncate(wanted);
        while crew.pods.len() < wanted {
            names += 1;
            crew.pods.push(Pod {
                name: format!("{}-{names}", key.3),
                born: now,
                ready: false,
            });
        }
        let readiness = crew.readiness;
        for (index, pod) in crew.pods.iter_mut().enumerate() {
            pod.ready = match readiness {
                Readiness::AtOnce => true,
                Readiness::After(delay) => pod.ready || now.duration_since(pod.born) >= delay,
                Readiness::UpTo(most) => index < most,
                Readiness::Never => false,
            };
        }
        let ready = crew.pods.iter().filter(|pod| pod.ready).count();
        self.names = names;
        let status = json!({
            "observedGeneration": object["metadata"]["generation"],
            "replicas": wanted, "updatedReplicas": wanted, "readyReplicas": ready, "availableReplicas": ready,
            "unavailableReplicas": wanted - ready,
        });
        if object["status"] != status {
            object["status"] = status;
            object["metadata"]["resourceVersion"] = self.next_version().into();
            self.objects.insert(key.clone(), object);
        }
    }

    fn run_route(&mut self, key: &Key) {
        let Some(mut object) = self.objects.get(key).cloned() else {
            return;
        };
        let generation = object["metadata"]["generation"].clone();
        let parents = object["spec"]["parentRefs"].as_array().cloned().unwrap_or_default();
        let condition = |kind: &str| json!({ "type": kind, "status": "True", "reason": kind, "message": "", "observedGeneration": generation });
        let status = json!({ "parents": parents.iter().map(|parent| json!({
            "parentRef": parent, "controllerName": "example.com/gateway",
            "conditions": [condition("Accepted"), condition("ResolvedRefs")],
        })).collect::<Vec<_>>() });
        if object["status"] != status {
            object["status"] = status;
            object["metadata"]["resourceVersion"] = self.next_version().into();
            self.objects.insert(key.clone(), object);
        }
    }

    fn count(&mut self, deployments: &[Key]) {
        let mut ready: BTreeMap<String, usize> = BTreeMap::new();
        for key in deployments {
            let app = self.objects[key]["spec"]["template"]["metadata"]["labels"]["app"]
                .as_str()
                .unwrap_or_default();
            let crew = self.crews.get(&(key.2.clone(), key.3.clone()));
            let count = crew.map_or(0, |crew| crew.pods.iter().filter(|pod| pod.ready).count());
            *ready.entry(app.to_owned()).or_default() += count;
        }
        for (app, count) in ready {
            let least = self.least.entry(app).or_insert(count);
            *least = count.min(*least);
        }
    }

    pub(super) fn least(&self, app: &str) -> usize {
        self.least.get(app).copied().unwrap_or(0)
    }

    /// All pods of a namespace as the API shows them.
    pub(super) fn pods(&self, namespace: &str) -> Vec<Value> {
        let mut pods = Vec::new();
        for ((of, name), crew) in self.crews.iter().filter(|((of, _), _)| of == namespace) {
            let key = ("apps".to_owned(), "deployments".to_owned(), of.clone(), name.clone());
            let labels = self
                .objects
                .get(&key)
                .map(|it| it["spec"]["template"]["metadata"]["labels"].clone());
            pods.extend(crew.pods.iter().map(|pod| {
                let ready = if pod.ready { "True" } else { "False" };
                json!({
                    "metadata": { "name": pod.name, "namespace": of, "labels": labels },
                    "status": { "phase": "Running", "conditions": [{ "type": "Ready", "status": ready }] },
                })
            }));
        }
        pods
    }

    /// The endpoint slices of a namespace, as their controller would keep them.
    pub(super) fn slices(&self, namespace: &str) -> Vec<Value> {
        let services = self
            .objects
            .iter()
            .filter(|(key, _)| key.1 == "services" && key.2 == namespace);
        let slice = |(key, service): (&Key, &Value)| {
            let selector = service["spec"]["selector"].as_object().cloned().unwrap_or_default();
            let pods = self.pods(namespace);
            let fits = |pod: &&Value| {
                selector
                    .iter()
                    .all(|(label, value)| pod["metadata"]["labels"][label] == *value)
            };
            let endpoints = pods.iter().filter(fits).enumerate().map(|(index, pod)| {
                let ready = pod["status"]["conditions"][0]["status"] == "True";
                json!({
                    "addresses": [format!("10.0.0.{}", index + 1)], "conditions": { "ready": ready, "serving": ready },
                    "targetRef": { "kind": "Pod", "name": pod["metadata"]["name"], "namespace": namespace },
                })
            });
            json!({
                "metadata": {
                    "name": format!("{}-1", key.3), "namespace": namespace,
                    "labels": { "kubernetes.io/service-name": key.3 },
                },
                "addressType": "IPv4", "endpoints": endpoints.collect::<Vec<_>>(),
            })
        };
        services.map(slice).collect()
    }
}

/// `deployments.apps`, as the API names a resource in its messages.
pub(super) fn full(group: &str, resource: &str) -> String {
    if group.is_empty() {
        resource.to_owned()
    } else {
        format!("{resource}.{group}")
    }
}

pub(super) fn not_found(key: &Key) -> No {
    (
        404,
        "NotFound",
        format!("{} {:?} not found", full(&key.0, &key.1), key.3),
    )
}

/// What the schema of each kind refuses.
fn check(key: &Key, before: &Value, changed: &Value) -> Result<(), No> {
    let invalid = |message: String| Err((422, "Invalid", message));
    for (name, value) in changed["metadata"]["annotations"].as_object().into_iter().flatten() {
        if !value.is_string() {
            return Err((
                400,
                "BadRequest",
                format!("metadata.annotations: {name}: expected string"),
            ));
        }
    }
    match key.1.as_str() {
        "deployments" => {
            if changed["spec"]["replicas"].as_u64().is_none() {
                return invalid("spec.replicas: Invalid value: must be greater than or equal to 0".to_owned());
            }
            if changed["spec"]["selector"] != before["spec"]["selector"] {
                return invalid("spec.selector: Invalid value: field is immutable".to_owned());
            }
        }
        "services" => {
            let selector = changed["spec"]["selector"].as_object().cloned().unwrap_or_default();
            if selector.values().any(|value| !value.is_string()) {
                return invalid("spec.selector: expected string".to_owned());
            }
        }
        "httproutes" => {
            for rule in changed["spec"]["rules"].as_array().into_iter().flatten() {
                for backend in rule["backendRefs"].as_array().into_iter().flatten() {
                    let weight = &backend["weight"];
                    if !weight.is_null() && weight.as_u64().is_none_or(|weight| weight > 1_000_000) {
                        return invalid(format!("spec.rules.backendRefs.weight: Invalid value: {weight}"));
                    }
                    if backend["name"].as_str().is_none() {
                        return invalid("spec.rules.backendRefs.name: Required value".to_owned());
                    }
                }
            }
        }
        _ => {}
    }
    Ok(())
}
