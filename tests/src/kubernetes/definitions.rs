//! The kinds that others define, as the cluster is told of them: the HTTPRoute, and as much of a ServiceMonitor as is shipped.

use serde_json::{Value, json};

use super::httproute;

/// Every one of them.
pub(super) fn all() -> [Value; 2] {
    [httproute::definition(), service_monitor()]
}

/// What the Prometheus operator calls a ServiceMonitor, as far as the shipped one uses it.
fn service_monitor() -> Value {
    let text = json!({ "type": "string" });
    let endpoint = json!({ "type": "object", "properties": { "port": text, "path": text, "interval": text } });
    let labels = json!({ "type": "object", "additionalProperties": text });
    let spec = json!({
        "type": "object", "required": ["selector", "endpoints"],
        "properties": {
            "jobLabel": text, "endpoints": { "type": "array", "items": endpoint },
            "selector": { "type": "object", "properties": { "matchLabels": labels } },
        },
    });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "servicemonitors.monitoring.coreos.com" },
        "spec": {
            "group": "monitoring.coreos.com", "scope": "Namespaced",
            "names": {
                "plural": "servicemonitors", "singular": "servicemonitor", "kind": "ServiceMonitor",
                "listKind": "ServiceMonitorList",
            },
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": { "openAPIV3Schema": { "type": "object", "required": ["spec"], "properties": { "spec": spec } } },
            }],
        },
    })
}
