//! What the fake cluster remembers: objects with versions and generations, and what controllers make of them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::crew::{Crews, accepted, slice_of};
use super::jobs::JobEnd;

/// Group, resource, namespace, name.
pub(super) type Key = (String, String, String, String);

/// Everything there is.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) objects: BTreeMap<Key, Value>,
    pub(super) crews: Crews,
    version: u64,
    /// The most pods that the Deployments were ever asked for, in order of the writes.
    pub(super) asked: Vec<(String, u64)>,
    /// The fewest ready endpoints that ever stood behind a Service, or behind a backend that a route gave traffic.
    pub(super) least_carried: BTreeMap<Key, usize>,
    /// How Jobs end.
    pub(super) job_end: JobEnd,
    /// What pods printed, by namespace and name.
    pub(super) logs: BTreeMap<(String, String), String>,
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
        self.crews.count_anew();
        self.least_carried.clear();
        self.tick();
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
            .filter(|_| !self.crews.gateways_stand_still)
            .cloned()
            .collect::<Vec<_>>()
        {
            self.run_route(&key);
        }
        self.run_jobs();
        self.crews.count();
        self.count_carried();
    }

    fn count_carried(&mut self) {
        let pods = self.crews.pods();
        let behind = |service: &Value| {
            let slice = slice_of(service, &pods);
            let endpoints = slice["endpoints"].as_array().into_iter().flatten();
            endpoints
                .filter(|endpoint| endpoint["conditions"]["ready"] == true)
                .count()
        };
        let behind_named = |namespace: &str, name: &str| {
            let key = (
                String::new(),
                "services".to_owned(),
                namespace.to_owned(),
                name.to_owned(),
            );
            self.objects.get(&key).map_or(0, behind)
        };
        for (key, object) in &self.objects {
            let carried = match key.1.as_str() {
                "services" => Some(behind(object)),
                "httproutes" => {
                    let rules = object["spec"]["rules"].as_array().into_iter().flatten();
                    let backends = rules.flat_map(|rule| rule["backendRefs"].as_array().into_iter().flatten());
                    let loaded = backends.filter(|backend| backend["weight"].as_u64() != Some(0));
                    let names = loaded.filter_map(|backend| backend["name"].as_str());
                    names.map(|name| behind_named(&key.2, name)).min()
                }
                _ => None,
            };
            if let Some(carried) = carried {
                let least = self.least_carried.entry(key.clone()).or_insert(carried);
                *least = carried.min(*least);
            }
        }
    }

    fn run_deployment(&mut self, key: &Key) {
        let Some(mut object) = self.objects.get(key).cloned() else {
            return;
        };
        let wanted = object["spec"]["replicas"].as_u64().unwrap_or(1);
        let labels = object["spec"]["template"]["metadata"]["labels"].clone();
        let (pods, ready) = self.crews.settle(&key.2, &key.3, wanted, labels);
        let status = json!({
            "observedGeneration": object["metadata"]["generation"],
            "replicas": pods, "updatedReplicas": pods, "readyReplicas": ready, "availableReplicas": ready,
            "unavailableReplicas": pods - ready,
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
        let status = accepted(&object, &self.crews.silent_gateways);
        if object["status"] != status {
            object["status"] = status;
            object["metadata"]["resourceVersion"] = self.next_version().into();
            self.objects.insert(key.clone(), object);
        }
    }

    /// The pods of a namespace, those on their way out too.
    pub(super) fn pods(&self, namespace: &str) -> Vec<Value> {
        let mut pods = self.crews.pods();
        pods.extend(self.crews.leaving());
        pods.retain(|pod| pod["metadata"]["namespace"] == namespace);
        pods.extend(self.job_pods(namespace));
        pods
    }

    /// The endpoint slices of a namespace.
    pub(super) fn slices(&self, namespace: &str) -> Vec<Value> {
        let pods = self.crews.pods();
        let services = self
            .objects
            .iter()
            .filter(|(key, _)| key.1 == "services" && key.2 == namespace);
        services.map(|(_, service)| slice_of(service, &pods)).collect()
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
