//! What the fake cluster remembers: objects with versions and generations, and what controllers make of them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::carried::Carried;
use super::crew::{Crews, accepted, slice_of};
use super::history::History;
use super::jobs::JobEnd;
use super::{httproute, structural};

/// Group, resource, namespace, name.
pub(super) type Key = (String, String, String, String);

/// Everything there is.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) objects: BTreeMap<Key, Value>,
    /// What controllers make of them: pods and endpoint slices.
    derived: BTreeMap<Key, Value>,
    pub(super) crews: Crews,
    pub(super) history: History,
    /// The fewest ready endpoints that ever stood behind a Service, or behind a backend that a route gave traffic.
    pub(super) carried: Carried,
    /// How Jobs end.
    pub(super) job_end: JobEnd,
    /// What pods printed, by namespace and name.
    pub(super) logs: BTreeMap<(String, String), String>,
}

/// A refusal: status code, reason, message.
pub(super) type No = (u16, &'static str, String);

impl World {
    /// The youngest version of anything.
    pub(super) fn version(&self) -> u64 {
        self.history.version()
    }

    /// Everything that there is.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Key, &Value)> {
        self.objects.iter().chain(&self.derived)
    }

    /// Puts an object where it was, or where none was, under a new version.
    pub(super) fn keep(&mut self, key: &Key, mut object: Value) {
        object["metadata"]["resourceVersion"] = self.history.next().to_string().into();
        let before = self.objects.insert(key.clone(), object.clone());
        self.history.note(key, before, Some(object));
    }

    /// A new object, as it is shown from then on.
    pub(super) fn make(&mut self, key: &Key, mut object: Value) -> Value {
        object["metadata"]["uid"] = format!("uid-{}", self.version() + 1).into();
        // The kinds of the core have none.
        if !key.0.is_empty() {
            object["metadata"]["generation"] = 1.into();
        }
        self.keep(key, object);
        self.objects.get(key).cloned().unwrap_or_default()
    }

    /// Puts an object there as if it had been applied long ago.
    pub(super) fn place(&mut self, group: &str, resource: &str, mut object: Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (namespace, name) = (
            text(&object["metadata"]["namespace"]),
            text(&object["metadata"]["name"]),
        );
        if resource == "httproutes" {
            structural::fill(&httproute::schema(), &mut object);
        }
        self.make(&(group.to_owned(), resource.to_owned(), namespace, name), object);
        self.tick();
        // What was there before anybody looked does not count as a dip.
        self.crews.count_anew();
        self.carried.count_anew();
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
        if key.1 == "httproutes" {
            structural::fill(&httproute::schema(), &mut changed);
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
        if changed["spec"] != before["spec"] && !key.0.is_empty() {
            let generation = before["metadata"]["generation"].as_u64().unwrap_or(0) + 1;
            changed["metadata"]["generation"] = generation.into();
        }
        self.keep(key, changed);
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
        let pods = self.crews.pods();
        self.carried.count(&self.objects, &pods);
        self.derive(&pods);
    }

    /// Pods and endpoint slices as they are now; each that is another than before is a change.
    fn derive(&mut self, pods: &[Value]) {
        let mut now: BTreeMap<Key, Value> = BTreeMap::new();
        let services = self.objects.iter().filter(|(key, _)| key.1 == "services");
        for (_, service) in services {
            let mut slice = slice_of(service, pods);
            // A list that is empty is shown as nothing.
            if slice["endpoints"] == json!([]) {
                slice["endpoints"] = Value::Null;
            }
            put(
                &mut now,
                ("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice"),
                slice,
            );
        }
        let others = [self.crews.leaving(), self.job_pods()];
        for pod in pods.iter().cloned().chain(others.into_iter().flatten()) {
            put(&mut now, ("", "v1", "pods", "Pod"), pod);
        }
        let gone: Vec<Key> = self
            .derived
            .keys()
            .filter(|key| !now.contains_key(key))
            .cloned()
            .collect();
        for key in gone {
            let before = self.derived.remove(&key);
            self.history.next();
            self.history.note(&key, before, None);
        }
        for (key, mut object) in now {
            let before = self.derived.get(&key);
            if let Some(before) = before {
                for same in ["resourceVersion", "uid"] {
                    object["metadata"][same] = before["metadata"][same].clone();
                }
                if object == *before {
                    continue;
                }
            }
            let version = self.history.next();
            if before.is_none() {
                object["metadata"]["uid"] = format!("uid-{version}").into();
            }
            object["metadata"]["resourceVersion"] = version.to_string().into();
            let before = self.derived.insert(key.clone(), object.clone());
            self.history.note(&key, before, Some(object));
        }
    }

    fn run_deployment(&mut self, key: &Key) {
        let Some(mut object) = self.objects.get(key).cloned() else {
            return;
        };
        let wanted = object["spec"]["replicas"].as_u64().unwrap_or(1);
        let template = object["spec"]["template"].clone();
        let (pods, ready) = self.crews.settle(&key.2, &key.3, wanted, template);
        let mut status = json!({
            "observedGeneration": object["metadata"]["generation"],
            "replicas": pods, "updatedReplicas": pods, "readyReplicas": ready, "availableReplicas": ready,
            "unavailableReplicas": pods - ready,
        });
        // A count of zero is left out.
        if let Some(counts) = status.as_object_mut() {
            counts.retain(|_, count| *count != 0);
        }
        if object["status"] != status {
            object["status"] = status;
            self.keep(key, object);
        }
    }

    fn run_route(&mut self, key: &Key) {
        let Some(mut object) = self.objects.get(key).cloned() else {
            return;
        };
        let status = accepted(&object, &self.crews.silent_gateways);
        if object["status"] != status {
            object["status"] = status;
            self.keep(key, object);
        }
    }
}

/// Among those that controllers make.
fn put(all: &mut BTreeMap<Key, Value>, (group, version, resource, kind): (&str, &str, &str, &str), mut object: Value) {
    object["apiVersion"] = if group.is_empty() {
        version.into()
    } else {
        format!("{group}/{version}").into()
    };
    object["kind"] = kind.into();
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
    let key = super::key(group, resource, text("namespace"), text("name"));
    all.insert(key, object);
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
    let invalid = |kind: &str, why: String| {
        let which = format!("{kind} {:?} is invalid", key.3);
        Err((422, "Invalid", format!("{which}: {why}")))
    };
    // What does not fit into the type of a field is said of the patch, and not of the object.
    let malformed = |what: &str| {
        let message = format!(
            " \"\" is invalid: patch: Invalid value: {:?}: {what}",
            changed.to_string()
        );
        Err((422, "Invalid", message))
    };
    let texts = |map: &Value| map.as_object().is_none_or(|map| map.values().all(Value::is_string));
    if !texts(&changed["metadata"]["annotations"]) {
        return malformed("metadata.annotations: expects a string");
    }
    match key.1.as_str() {
        "deployments" => {
            const KIND: &str = "Deployment.apps";
            let replicas = &changed["spec"]["replicas"];
            let Some(count) = replicas.as_i64() else {
                return malformed("spec.replicas: expects a number");
            };
            if count < 0 {
                let why = format!("spec.replicas: Invalid value: {count}: must be greater than or equal to 0");
                return invalid(KIND, why);
            }
            let selector = &changed["spec"]["selector"];
            if *selector != before["spec"]["selector"] {
                let why = format!("spec.selector: Invalid value: {selector}: field is immutable");
                return invalid(KIND, why);
            }
        }
        "services" if !texts(&changed["spec"]["selector"]) => {
            return malformed("spec.selector: expects a string");
        }
        "httproutes" => {
            let faults = httproute::faults(changed);
            let why = match faults.as_slice() {
                [] => return Ok(()),
                [one] => one.clone(),
                more => format!("[{}]", more.join(", ")),
            };
            return invalid(&format!("HTTPRoute.{}", httproute::GROUP), why);
        }
        _ => {}
    }
    Ok(())
}
