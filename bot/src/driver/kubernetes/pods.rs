//! Owns who can carry traffic: the ready pods with certain labels, and the ready endpoints of a Service.
//! Refuses to take a pod on its way out for one that is there.

use std::collections::BTreeSet;

use serde_json::Value;

use super::cluster::{Cluster, Fault};

/// More pods or slices than this are not looked at.
const MOST: u32 = 500;

/// The pods with these labels, those on their way out too.
pub(super) async fn all(cluster: &Cluster, namespace: &str, labels: &[(&str, &str)]) -> Result<Vec<Value>, Fault> {
    let path = format!("/api/v1/namespaces/{namespace}/pods");
    cluster.list(&path, labels, MOST).await
}

/// The names of the ready pods with these labels.
pub(super) async fn ready(
    cluster: &Cluster,
    namespace: &str,
    labels: &[(&str, &str)],
) -> Result<BTreeSet<String>, Fault> {
    let pods = all(cluster, namespace, labels).await?;
    let names = pods.iter().filter(|pod| is_ready(pod)).filter_map(|pod| {
        let name = pod["metadata"]["name"].as_str()?;
        Some(name.to_owned())
    });
    Ok(names.collect())
}

fn is_ready(pod: &Value) -> bool {
    let leaves = !pod["metadata"]["deletionTimestamp"].is_null();
    let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    !leaves && conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// The pods behind the ready endpoints of a Service, over all its slices.
pub(super) async fn behind(cluster: &Cluster, namespace: &str, service: &str) -> Result<BTreeSet<String>, Fault> {
    let path = format!("/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices");
    let slices = cluster
        .list(&path, &[("kubernetes.io/service-name", service)], MOST)
        .await?;
    let endpoints = slices
        .iter()
        .flat_map(|slice| slice["endpoints"].as_array().into_iter().flatten());
    // Without a word about it an endpoint is ready.
    let ready = endpoints.filter(|endpoint| endpoint["conditions"]["ready"].as_bool().unwrap_or(true));
    let names = ready.filter_map(|endpoint| {
        let pod = endpoint["targetRef"]["name"].as_str();
        pod.or(endpoint["addresses"][0].as_str()).map(str::to_owned)
    });
    Ok(names.collect())
}
