//! Owns the Events on the objects that were moved, so that `kubectl describe` tells who did it and why.
//! Refuses to matter: an Event that cannot be written is a line in the log, and nothing waits for it.

use std::sync::Arc;

use serde_json::{Value, json};
use tracing::debug;

use super::Intent;
use super::cluster::{Cluster, Fault};

/// Tells on `object` that it was moved, without waiting. The name is made of what happened, so that telling it twice after a
/// crash is telling it once.
pub(super) fn tell(cluster: &Arc<Cluster>, intent: &Intent<'_>, object: &Value, wrote: &str, now: jiff::Timestamp) {
    let metadata = &object["metadata"];
    let (namespace, name) = (text(&metadata["namespace"]), text(&metadata["name"]));
    let (kind, reason) = match intent.goes_back() {
        true => ("Warning", "TidegateRollback"),
        false => ("Normal", "TidegateMoved"),
    };
    let said: String = wrote
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let said = said.trim_matches('-').to_lowercase();
    let at = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let event = json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "namespace": namespace,
            "name": format!("{name}.tidegate.{}.{}.{said}", intent.rollout, intent.epoch),
        },
        "involvedObject": {
            "apiVersion": object["apiVersion"],
            "kind": object["kind"],
            "namespace": namespace,
            "name": name,
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
        },
        "type": kind,
        "reason": reason,
        "message": format!("{} wrote {wrote} under epoch {}", intent.rollout, intent.epoch),
        "source": { "component": "tidegate" },
        "reportingComponent": "tidegate.dev/tidegate",
        "reportingInstance": "tidegate",
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
    });
    let cluster = Arc::clone(cluster);
    tokio::spawn(async move {
        let path = format!("/api/v1/namespaces/{namespace}/events");
        match cluster.create(&path, &event).await {
            Ok(_) => {}
            Err(Fault::Conflict) => {}
            Err(Fault::Refused { why }) => debug!("An Event on {name} was not taken: {why}"),
            Err(Fault::Unreachable(error)) => debug!("An Event on {name} could not be written: {error:#}"),
        }
    });
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
