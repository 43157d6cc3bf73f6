//! What the API server says of an object before anybody uses it: fields it does not know, values of the wrong type, selectors and
//! mounts that lead nowhere, pods that a restricted namespace does not take.
//!
//! The types of Kubernetes' own kinds come from its published schema: whatever is lost on the way through them is unknown there.
//! Of kinds that others define only what is used here is known, and everything else refused.

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, PersistentVolumeClaim, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{httproute, structural};

/// Group and resource of a kind.
///
/// # Errors
/// When nobody serves it.
pub(super) fn place_of(object: &Value) -> Result<(&'static str, &'static str)> {
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    Ok(match (text("apiVersion"), text("kind")) {
        ("v1", "Namespace") => ("", "namespaces"),
        ("v1", "ServiceAccount") => ("", "serviceaccounts"),
        ("v1", "ConfigMap") => ("", "configmaps"),
        ("v1", "Secret") => ("", "secrets"),
        ("v1", "Service") => ("", "services"),
        ("v1", "PersistentVolumeClaim") => ("", "persistentvolumeclaims"),
        ("apps/v1", "Deployment") => ("apps", "deployments"),
        ("networking.k8s.io/v1", "NetworkPolicy") => ("networking.k8s.io", "networkpolicies"),
        ("networking.k8s.io/v1", "Ingress") => ("networking.k8s.io", "ingresses"),
        ("policy/v1", "PodDisruptionBudget") => ("policy", "poddisruptionbudgets"),
        ("rbac.authorization.k8s.io/v1", "Role") => ("rbac.authorization.k8s.io", "roles"),
        ("rbac.authorization.k8s.io/v1", "RoleBinding") => ("rbac.authorization.k8s.io", "rolebindings"),
        ("gateway.networking.k8s.io/v1", "HTTPRoute") => (httproute::GROUP, "httproutes"),
        ("monitoring.coreos.com/v1", "ServiceMonitor") => ("monitoring.coreos.com", "servicemonitors"),
        (version, kind) => bail!("no matches for kind {kind:?} in version {version:?}"),
    })
}

/// An object that is as it should be.
///
/// # Errors
/// What the API server would refuse it for.
pub(super) fn accept(object: &Value) -> Result<()> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let kind = text(&object["kind"]);
    let name = text(&object["metadata"]["name"]);
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    ensure!(
        !name.is_empty() && name.chars().all(fits),
        "metadata.name: Invalid value: {name:?}"
    );
    ensure!(
        kind == "Namespace" || !text(&object["metadata"]["namespace"]).is_empty(),
        "{kind} {name} has no namespace"
    );
    let (_, resource) = place_of(object)?;
    let judged = match resource {
        "namespaces" => typed::<Namespace>(object),
        "serviceaccounts" => typed::<ServiceAccount>(object),
        "configmaps" => typed::<ConfigMap>(object),
        "secrets" => typed::<Secret>(object),
        "services" => typed::<Service>(object),
        "persistentvolumeclaims" => typed::<PersistentVolumeClaim>(object),
        "deployments" => typed::<Deployment>(object).and_then(|()| deployment(object)),
        "networkpolicies" => typed::<NetworkPolicy>(object),
        "ingresses" => typed::<Ingress>(object),
        "poddisruptionbudgets" => typed::<PodDisruptionBudget>(object),
        "roles" => typed::<Role>(object),
        "rolebindings" => typed::<RoleBinding>(object),
        "httproutes" => route(object),
        _ => monitor(object),
    };
    judged.with_context(|| format!("{kind} {name}"))
}

/// Whether the namespace that it names is among these, and takes it.
///
/// # Errors
/// What the API server would refuse it for.
pub(super) fn accept_into(spaces: &[&Value], resource: &str, object: &Value) -> Result<()> {
    if resource == "namespaces" {
        return Ok(());
    }
    let (namespace, name) = (&object["metadata"]["namespace"], &object["metadata"]["name"]);
    let space = spaces.iter().find(|space| space["metadata"]["name"] == *namespace);
    let space = space.with_context(|| format!("{resource} {name}: namespaces {namespace} not found"))?;
    let standard = &space["metadata"]["labels"]["pod-security.kubernetes.io/enforce"];
    if resource == "deployments" && *standard == "restricted" {
        restricted(object).with_context(|| format!("{name} violates PodSecurity \"restricted\""))?;
    }
    Ok(())
}

fn typed<T: DeserializeOwned + Serialize>(object: &Value) -> Result<()> {
    let known: T = serde_json::from_value(object.clone()).context("a value of the wrong type")?;
    let known = serde_json::to_value(&known)?;
    match lost(object, &known, String::new()) {
        Some(path) => bail!("strict decoding error: unknown field {path:?}"),
        None => Ok(()),
    }
}

/// The first thing that is in `given` and not in `known`.
fn lost(given: &Value, known: &Value, path: String) -> Option<String> {
    match (given, known) {
        (Value::Object(given), Value::Object(known)) => given.iter().find_map(|(key, value)| {
            let path = format!("{path}.{key}");
            match known.get(key) {
                Some(known) => lost(value, known, path),
                None => (!value.is_null()).then_some(path),
            }
        }),
        (Value::Array(given), Value::Array(known)) if given.len() == known.len() => {
            let pairs = given.iter().zip(known).enumerate();
            pairs
                .into_iter()
                .find_map(|(n, (given, known))| lost(given, known, format!("{path}[{n}]")))
        }
        (given, known) => (given != known).then_some(path),
    }
}

fn deployment(object: &Value) -> Result<()> {
    let template = &object["spec"]["template"];
    for (label, value) in object["spec"]["selector"]["matchLabels"]
        .as_object()
        .into_iter()
        .flatten()
    {
        let labels = &template["metadata"]["labels"];
        ensure!(
            labels[label] == *value,
            "spec.template.metadata.labels: Invalid value: `selector` does not match"
        );
    }
    let pod = &template["spec"];
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let volumes: Vec<Value> = list(&pod["volumes"])
        .iter()
        .map(|volume| volume["name"].clone())
        .collect();
    for container in list(&pod["containers"]) {
        for mount in list(&container["volumeMounts"]) {
            ensure!(
                volumes.contains(&mount["name"]),
                "volumeMounts.name: Not found: {}",
                mount["name"]
            );
        }
        let ports: Vec<Value> = list(&container["ports"])
            .iter()
            .map(|port| port["name"].clone())
            .collect();
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            let port = &container[probe]["httpGet"]["port"];
            let known = port.is_null() || port.is_number() || ports.contains(port);
            ensure!(known, "{probe}.httpGet.port: Invalid value: {port}");
        }
    }
    Ok(())
}

/// Whether a namespace that enforces the restricted standard takes the pods of a Deployment.
fn restricted(object: &Value) -> Result<()> {
    let pod = &object["spec"]["template"]["spec"];
    let shared = &pod["securityContext"];
    ensure!(shared["runAsNonRoot"] == true, "runAsNonRoot != true");
    ensure!(
        shared["seccompProfile"]["type"] == "RuntimeDefault",
        "seccompProfile is not RuntimeDefault"
    );
    for container in pod["containers"].as_array().into_iter().flatten() {
        let own = &container["securityContext"];
        ensure!(
            own["allowPrivilegeEscalation"] == false,
            "allowPrivilegeEscalation != false"
        );
        ensure!(own["capabilities"]["drop"][0] == "ALL", "unrestricted capabilities");
    }
    let allowed = ["configMap", "emptyDir", "persistentVolumeClaim", "secret", "projected"];
    for volume in pod["volumes"].as_array().into_iter().flatten() {
        let kinds = volume.as_object().into_iter().flat_map(|volume| volume.keys());
        for kind in kinds.filter(|kind| *kind != "name") {
            ensure!(allowed.contains(&kind.as_str()), "restricted volume type {kind}");
        }
    }
    Ok(())
}

fn route(object: &Value) -> Result<()> {
    let schema = httproute::schema();
    let mut known = object.clone();
    structural::fill(&schema, &mut known);
    if let Some(path) = lost(object, &known, String::new()) {
        bail!("strict decoding error: unknown field {path:?}");
    }
    let faults = httproute::faults(&known);
    ensure!(faults.is_empty(), "{}", faults.join(", "));
    Ok(())
}

fn monitor(object: &Value) -> Result<()> {
    only(object, &["apiVersion", "kind", "metadata", "spec"])?;
    only(&object["spec"], &["jobLabel", "selector", "endpoints"])?;
    only(&object["spec"]["selector"], &["matchLabels"])?;
    for endpoint in object["spec"]["endpoints"].as_array().context("no endpoints")? {
        only(endpoint, &["port", "path", "interval"])?;
    }
    Ok(())
}

fn only(object: &Value, known: &[&str]) -> Result<()> {
    let keys = object.as_object().context("no object")?.keys();
    for key in keys {
        ensure!(
            known.contains(&key.as_str()),
            "strict decoding error: unknown field {key:?}"
        );
    }
    Ok(())
}
