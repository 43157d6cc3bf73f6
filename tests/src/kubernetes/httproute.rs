//! The HTTPRoute as the Gateway API defines it, `v1` of its standard channel: fields, defaults, bounds.
//!
//! Owns the definition that the real API server is given and by which the fake judges, so that both refuse the same. Refuses to
//! know what the standard channel does not; of the rules between fields it has the one that concerns backends.

use serde_json::{Value, json};

use super::structural;

pub(super) const GROUP: &str = "gateway.networking.k8s.io";

const LABEL: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
const SUBDOMAIN: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
const MAYBE_SUBDOMAIN: &str = r"^$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
const HOSTNAME: &str = r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
const KIND: &str = "^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$";
const HEADER: &str = r"^[A-Za-z0-9!#$%&'*+\-.^_`|~]+$";
const DURATION: &str = "^([0-9]{1,5}(h|m|s|ms)){1,4}$";
const CONTROLLER: &str =
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/[A-Za-z0-9\/\-._~%!$&'()*+,;=:]+$";
const CONDITION: &str =
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$";
const REASON: &str = "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$";

/// What is said of a Service without a port.
const NEEDS_A_PORT: &str = "Must have port for Service reference";

/// What an API server is told of it.
pub(super) fn definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {
            "name": format!("httproutes.{GROUP}"),
            "annotations": { "api-approved.kubernetes.io": "https://github.com/kubernetes-sigs/gateway-api" },
        },
        "spec": {
            "group": GROUP, "scope": "Namespaced",
            "names": { "plural": "httproutes", "singular": "httproute", "kind": "HTTPRoute", "listKind": "HTTPRouteList" },
            "versions": [{
                "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": schema() },
                "subresources": { "status": {} },
            }],
        },
    })
}

/// What its fields may be.
pub(super) fn schema() -> Value {
    let hostname = text(1, 253, HOSTNAME);
    let spec = json!({
        "parentRefs": list(32, object(&json!(parent()), &["name"])),
        "hostnames": list(16, hostname),
        "rules": {
            "type": "array", "maxItems": 16, "items": object(&rule(), &[]),
            "default": [{ "matches": [{ "path": { "type": "PathPrefix", "value": "/" } }] }],
        },
    });
    let whole = json!({
        "apiVersion": { "type": "string" }, "kind": { "type": "string" }, "metadata": { "type": "object" },
        "spec": object(&spec, &[]), "status": status(),
    });
    object(&whole, &["spec"])
}

/// Everything that an API server refuses of a route whose defaults are filled in.
pub(super) fn faults(route: &Value) -> Vec<String> {
    let mut faults = structural::faults(&schema(), route);
    for (rule, value) in route["spec"]["rules"].as_array().into_iter().flatten().enumerate() {
        for (index, backend) in value["backendRefs"].as_array().into_iter().flatten().enumerate() {
            let service = backend["group"] == "" && backend["kind"] == "Service";
            if service && backend["port"].is_null() {
                let place = format!("spec.rules[{rule}].backendRefs[{index}]");
                faults.push(format!("{place}: Invalid value: {NEEDS_A_PORT}"));
            }
        }
    }
    faults
}

fn text(least: u32, most: u32, pattern: &str) -> Value {
    json!({ "type": "string", "minLength": least, "maxLength": most, "pattern": pattern })
}

fn free(least: u32, most: u32) -> Value {
    json!({ "type": "string", "minLength": least, "maxLength": most })
}

fn one_of(values: &[&str]) -> Value {
    json!({ "type": "string", "enum": values })
}

fn number(least: u32, most: u32) -> Value {
    json!({ "type": "integer", "format": "int32", "minimum": least, "maximum": most })
}

fn list(most: u32, items: Value) -> Value {
    json!({ "type": "array", "maxItems": most, "items": items })
}

fn object(properties: &Value, required: &[&str]) -> Value {
    let mut object = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    object
}

fn with_default(mut schema: Value, default: &Value) -> Value {
    schema["default"] = default.clone();
    schema
}

fn group(default: &str) -> Value {
    with_default(
        json!({ "type": "string", "maxLength": 253, "pattern": MAYBE_SUBDOMAIN }),
        &json!(default),
    )
}

fn kind(default: &str) -> Value {
    with_default(text(1, 63, KIND), &json!(default))
}

fn parent() -> Value {
    json!({
        "group": group(GROUP), "kind": kind("Gateway"), "namespace": text(1, 63, LABEL), "name": free(1, 253),
        "sectionName": text(1, 253, SUBDOMAIN), "port": number(1, 65_535),
    })
}

/// Who is named by group, kind and name; a Service unless something else is said.
fn backend() -> Value {
    json!({
        "group": group(""), "kind": kind("Service"), "namespace": text(1, 63, LABEL), "name": free(1, 253),
        "port": number(1, 65_535),
    })
}

/// A Service is nothing without its port. API servers before 1.25 do not know such rules, and drop this one.
fn with_a_port(mut backend: Value) -> Value {
    let rule = "(size(self.group) == 0 && self.kind == 'Service') ? has(self.port) : true";
    backend["x-kubernetes-validations"] = json!([{ "message": NEEDS_A_PORT, "rule": rule }]);
    backend
}

fn rule() -> Value {
    let mut weighed = backend();
    weighed["weight"] = with_default(number(0, 1_000_000), &json!(1));
    weighed["filters"] = list(16, filter());
    let path = json!({
        "type": with_default(one_of(&["Exact", "PathPrefix", "RegularExpression"]), &json!("PathPrefix")),
        "value": with_default(json!({ "type": "string", "maxLength": 1024 }), &json!("/")),
    });
    let named = json!({
        "type": with_default(one_of(&["Exact", "RegularExpression"]), &json!("Exact")),
        "name": text(1, 256, HEADER), "value": free(1, 4096),
    });
    let root = json!({ "type": "PathPrefix", "value": "/" });
    let methods = [
        "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
    ];
    let matching = json!({
        "path": with_default(object(&path, &[]), &root),
        "headers": list(16, object(&named, &["name", "value"])),
        "queryParams": list(16, object(&named, &["name", "value"])),
        "method": one_of(&methods),
    });
    let duration = json!({ "type": "string", "pattern": DURATION });
    json!({
        "name": text(1, 253, SUBDOMAIN),
        "matches": with_default(list(64, object(&matching, &[])), &json!([{ "path": root }])),
        "filters": list(16, filter()),
        "backendRefs": list(16, with_a_port(object(&weighed, &["name"]))),
        "timeouts": object(&json!({ "request": duration, "backendRequest": duration }), &[]),
    })
}

/// What happens to a request on its way; the same for a rule and for one backend of it.
fn filter() -> Value {
    let header = json!({ "name": text(1, 256, HEADER), "value": free(1, 4096) });
    let headers = json!({
        "set": list(16, object(&header, &["name", "value"])), "add": list(16, object(&header, &["name", "value"])),
        "remove": list(16, json!({ "type": "string" })),
    });
    let path = json!({
        "type": one_of(&["ReplaceFullPath", "ReplacePrefixMatch"]),
        "replaceFullPath": { "type": "string", "maxLength": 1024 },
        "replacePrefixMatch": { "type": "string", "maxLength": 1024 },
    });
    let path = object(&path, &["type"]);
    let fraction = json!({
        "numerator": { "type": "integer", "format": "int32", "minimum": 0 },
        "denominator": with_default(json!({ "type": "integer", "format": "int32", "minimum": 1 }), &json!(100)),
    });
    let mirror = json!({
        "backendRef": with_a_port(object(&backend(), &["name"])), "percent": number(0, 100),
        "fraction": object(&fraction, &["numerator"]),
    });
    let redirect = json!({
        "scheme": one_of(&["http", "https"]), "hostname": text(1, 253, SUBDOMAIN), "path": path,
        "port": number(1, 65_535),
        "statusCode": { "type": "integer", "enum": [301, 302], "default": 302 },
    });
    let extension = json!({ "group": json!({ "type": "string", "maxLength": 253, "pattern": MAYBE_SUBDOMAIN }),
        "kind": text(1, 63, KIND), "name": free(1, 253) });
    let types = [
        "RequestHeaderModifier",
        "ResponseHeaderModifier",
        "RequestMirror",
        "RequestRedirect",
        "URLRewrite",
        "ExtensionRef",
    ];
    let filter = json!({
        "type": one_of(&types),
        "requestHeaderModifier": object(&headers, &[]), "responseHeaderModifier": object(&headers, &[]),
        "requestMirror": object(&mirror, &["backendRef"]), "requestRedirect": object(&redirect, &[]),
        "urlRewrite": object(&json!({ "hostname": text(1, 253, SUBDOMAIN), "path": path }), &[]),
        "extensionRef": object(&extension, &["group", "kind", "name"]),
    });
    object(&filter, &["type"])
}

/// What the gateways say of it.
fn status() -> Value {
    let condition = json!({
        "type": { "type": "string", "maxLength": 316, "pattern": CONDITION },
        "status": one_of(&["True", "False", "Unknown"]),
        "reason": text(1, 1024, REASON), "message": { "type": "string", "maxLength": 32_768 },
        "observedGeneration": { "type": "integer", "format": "int64", "minimum": 0 },
        "lastTransitionTime": { "type": "string", "format": "date-time" },
    });
    let needed = ["lastTransitionTime", "message", "reason", "status", "type"];
    let mut conditions = list(8, object(&condition, &needed));
    conditions["minItems"] = 1.into();
    let said = json!({
        "parentRef": object(&parent(), &["name"]), "controllerName": text(1, 253, CONTROLLER), "conditions": conditions,
    });
    let parents = list(32, object(&said, &["conditions", "controllerName", "parentRef"]));
    object(&json!({ "parents": parents }), &["parents"])
}
