//! What an API server answers to the calls that matter here, word for word: the same to the fake and to the real one.

use anyhow::{Context as _, Result, ensure};
use regex::Regex;
use reqwest::Method;
use serde_json::{Value, json};
use tidegate_tests::kubernetes::{ADMIN, Kubernetes, TIDEGATE};

use super::house::manifest;
use super::moved::Moved as _;
use super::replicas::{self, Replicas};
use super::route::Route;

const MERGE: &str = "application/merge-patch+json";
const JSON: &str = "application/json";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/finance/deployments/finance-service-v1";
const ROUTE: &str = "/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes/boka";
const SERVICE: &str = "/api/v1/namespaces/shop/services/checkout-stable";
const JOBS: &str = "/apis/batch/v1/namespaces/hooks/jobs";

async fn cluster() -> Result<Kubernetes> {
    let cluster = Kubernetes::start().await?;
    Replicas.furnish(&cluster)?;
    Route.furnish(&cluster)?;
    cluster.grant(&manifest(replicas::RIGHTS)?)?;
    // So that the namespace of the Jobs is there.
    cluster.service("hooks", "any", "any", None)?;
    Ok(cluster)
}

/// A call that is refused, and how: the code, the reason, a part of the message.
struct Refusal {
    token: &'static str,
    method: Method,
    path: &'static str,
    body: Option<(&'static str, Value)>,
    says: (u16, &'static str, &'static str),
}

fn get(token: &'static str, path: &'static str, says: (u16, &'static str, &'static str)) -> Refusal {
    Refusal {
        token,
        method: Method::GET,
        path,
        body: None,
        says,
    }
}

fn patch(path: &'static str, body: Value, says: (u16, &'static str, &'static str)) -> Refusal {
    Refusal {
        token: ADMIN,
        method: Method::PATCH,
        path,
        body: Some((MERGE, body)),
        says,
    }
}

fn post(path: &'static str, body: Value, says: (u16, &'static str, &'static str)) -> Refusal {
    Refusal {
        method: Method::POST,
        body: Some((JSON, body)),
        ..patch(path, Value::Null, says)
    }
}

/// A change on a version that is long gone.
fn stale() -> Value {
    json!({ "metadata": { "resourceVersion": "1", "annotations": { "example.org/a": "b" } } })
}

fn overtaken(path: &'static str, message: &'static str) -> Refusal {
    patch(path, stale(), (409, "Conflict", message))
}

/// Who is nobody, who may not, and what is not there.
fn by_who_asks() -> Vec<Refusal> {
    const NONE: &str = "/apis/apps/v1/namespaces/finance/deployments/none";
    const LEDGER: &str = "/apis/apps/v1/namespaces/finance/deployments/ledger";
    const PODS: &str = "/api/v1/namespaces/finance/pods";
    let may_not_patch = "deployments.apps \"ledger\" is forbidden: User \"system:serviceaccount:tidegate:tidegate\" cannot patch \
                         resource \"deployments\" in API group \"apps\" in the namespace \"finance\"";
    let may_not_list = "pods is forbidden: User \"system:serviceaccount:tidegate:tidegate\" cannot list resource \"pods\" in API \
                        group \"\" in the namespace \"finance\"";
    vec![
        get(ADMIN, NONE, (404, "NotFound", "deployments.apps \"none\" not found")),
        get("a-stranger", DEPLOYMENT, (401, "Unauthorized", "Unauthorized")),
        get(TIDEGATE, PODS, (403, "Forbidden", may_not_list)),
        Refusal {
            token: TIDEGATE,
            ..patch(LEDGER, stale(), (403, "Forbidden", may_not_patch))
        },
    ]
}

/// What does not fit to the kinds of Kubernetes itself.
fn by_their_types() -> Vec<Refusal> {
    const MALFORMED: (u16, &str, &str) = (422, "Invalid", " \"\" is invalid: patch: Invalid value: ");
    let rejected = "the server rejected our request due to an error in our request";
    let negative = "Deployment.apps \"finance-service-v1\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal \
                    to 0";
    let selector = json!({ "spec": { "selector": { "matchLabels": { "app": "other" } } } });
    vec![
        overtaken(
            DEPLOYMENT,
            "Operation cannot be fulfilled on deployments.apps \"finance-service-v1\": the object has been \
                               modified; please apply your changes to the latest version and try again",
        ),
        overtaken(
            SERVICE,
            "Operation cannot be fulfilled on services \"checkout-stable\": the object has been modified; please \
                            apply your changes to the latest version and try again",
        ),
        patch(
            DEPLOYMENT,
            json!({ "spec": { "replicas": -1 } }),
            (422, "Invalid", negative),
        ),
        patch(DEPLOYMENT, json!({ "spec": { "replicas": "five" } }), MALFORMED),
        patch(
            DEPLOYMENT,
            json!({ "metadata": { "annotations": { "a": 1 } } }),
            MALFORMED,
        ),
        patch(SERVICE, json!({ "spec": { "selector": { "app": 1 } } }), MALFORMED),
        patch(DEPLOYMENT, selector, (422, "Invalid", "field is immutable")),
        Refusal {
            body: Some((
                "application/json-patch+json",
                json!([{ "op": "test", "path": "/spec/replicas", "value": 77 }]),
            )),
            ..patch(DEPLOYMENT, Value::Null, (422, "Invalid", rejected))
        },
        Refusal {
            body: Some((JSON, json!({}))),
            ..patch(DEPLOYMENT, Value::Null, (415, "UnsupportedMediaType", ""))
        },
    ]
}

/// What does not fit to the definition of a route.
fn by_the_definition() -> Vec<Refusal> {
    let backend = |backend: Value| json!({ "spec": { "rules": [{ "backendRefs": [backend] }] } });
    let weighed = |weight: Value| backend(json!({ "name": "checkout-stable", "port": 80, "weight": weight }));
    let invalid = |body: Value, message: &'static str| patch(ROUTE, body, (422, "Invalid", message));
    vec![
        overtaken(
            ROUTE,
            "Operation cannot be fulfilled on httproutes.gateway.networking.k8s.io \"boka\": the object has been \
                          modified; please apply your changes to the latest version and try again",
        ),
        invalid(
            weighed(json!(1_000_001)),
            "HTTPRoute.gateway.networking.k8s.io \"boka\" is invalid: \
            spec.rules[0].backendRefs[0].weight: Invalid value: 1000001: spec.rules[0].backendRefs[0].weight in body should be \
            less than or equal to 1000000",
        ),
        invalid(
            weighed(json!(-1)),
            "HTTPRoute.gateway.networking.k8s.io \"boka\" is invalid: \
            spec.rules[0].backendRefs[0].weight: Invalid value: -1: spec.rules[0].backendRefs[0].weight in body should be greater \
            than or equal to 0",
        ),
        invalid(
            weighed(json!("ten")),
            "spec.rules[0].backendRefs[0].weight in body must be of type integer: \"string\"",
        ),
        invalid(
            backend(json!({ "port": 80 })),
            "spec.rules[0].backendRefs[0].name: Required value",
        ),
        invalid(json!({ "spec": { "rules": vec![json!({}); 17] } }), "spec.rules: "),
        invalid(
            json!({ "spec": { "hostnames": ["No_Host"] } }),
            "spec.hostnames[0] in body should match ",
        ),
    ]
}

/// What is not made.
fn by_what_is_new() -> Vec<Refusal> {
    let job = |name: &str| {
        json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": name, "namespace": "hooks" },
            "spec": { "template": { "spec": { "containers": [{ "name": "hook", "image": "example.org/a:1" }] } } },
        })
    };
    let event = json!({
        "apiVersion": "v1", "kind": "Event", "metadata": { "name": "a.b", "namespace": "finance" },
        "involvedObject": { "kind": "Deployment", "namespace": "shop", "name": "a" },
    });
    let elsewhere = "involvedObject.namespace: Invalid value: \"shop\": does not match event.namespace";
    vec![
        post(
            JOBS,
            job("Big"),
            (422, "Invalid", "metadata.name: Invalid value: \"Big\""),
        ),
        post(
            JOBS,
            job("fine"),
            (422, "Invalid", "spec.template.spec.restartPolicy: "),
        ),
        post("/api/v1/namespaces/finance/events", event, (422, "Invalid", elsewhere)),
    ]
}

/// Without the places in lists, which older API servers do not say.
fn placeless(message: &str) -> Result<String> {
    Ok(Regex::new(r"\[\d+\]")?.replace_all(message, "").into_owned())
}

#[tokio::test]
async fn what_is_refused_is_refused_in_these_words() -> Result<()> {
    let cluster = cluster().await?;
    let all = [by_who_asks(), by_their_types(), by_the_definition(), by_what_is_new()];
    let mut wrong = Vec::new();
    for refusal in all.into_iter().flatten() {
        let asked = format!("{} {} {:?}", refusal.method, refusal.path, refusal.body);
        let body = refusal.body.as_ref().map(|(media, body)| (*media, body));
        let (status, answer) = cluster.call(refusal.token, refusal.method, refusal.path, body).await?;
        let text = |field: &str| answer[field].as_str().unwrap_or_default();
        let (code, reason, message) = refusal.says;
        let whole = answer["kind"] == "Status" && answer["status"] == "Failure" && answer["code"] == code;
        let said = placeless(text("message"))?.contains(&placeless(message)?);
        if !whole || (status, text("reason")) != (code, reason) || !said {
            wrong.push(format!(
                "{asked}\n  said {status}: {answer}\n  and not {:?}",
                refusal.says
            ));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Rules between fields are kept from 1.25 on; before, the API server drops them from the definition.
#[tokio::test]
async fn a_service_without_a_port_is_no_backend_where_rules_between_fields_are_kept() -> Result<()> {
    let cluster = cluster().await?;
    let change = json!({ "spec": { "rules": [{ "backendRefs": [{ "name": "static" }] }] } });
    let (status, said) = cluster
        .call(ADMIN, Method::PATCH, ROUTE, Some((MERGE, &change)))
        .await?;
    let kept = cluster.is_fake() || {
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/httproutes.gateway.networking.k8s.io";
        let (_, definition) = cluster.call(ADMIN, Method::GET, path, None).await?;
        definition.to_string().contains("x-kubernetes-validations")
    };
    let message = said["message"].as_str().unwrap_or_default();
    let refused = status == 422 && message.contains("Must have port for Service reference");
    ensure!(refused == kept, "{status}: {said}");
    Ok(())
}

#[tokio::test]
async fn what_is_shown_is_shown_in_this_form() -> Result<()> {
    let cluster = cluster().await?;
    let get = async |path: &str| -> Result<Value> {
        let (status, shown) = cluster.call(ADMIN, Method::GET, path, None).await?;
        ensure!(status == 200, "{path}: {status} {shown}");
        Ok(shown)
    };
    // What is left out of a route is filled in, and what nobody knows is dropped.
    let change =
        json!({ "spec": { "rules": [{ "backendRefs": [{ "name": "static", "port": 80, "colour": "red" }] }] } });
    let (status, route) = cluster
        .call(ADMIN, Method::PATCH, ROUTE, Some((MERGE, &change)))
        .await?;
    assert_eq!(status, 200, "{route}");
    assert_eq!(
        route["spec"]["rules"],
        json!([{
            "matches": [{ "path": { "type": "PathPrefix", "value": "/" } }],
            "backendRefs": [{ "group": "", "kind": "Service", "name": "static", "port": 80, "weight": 1 }],
        }])
    );
    assert_eq!(route["metadata"]["generation"], 2);
    // A write that changes nothing is no new version.
    let same = json!({ "spec": { "rules": route["spec"]["rules"] } });
    let (_, again) = cluster.call(ADMIN, Method::PATCH, ROUTE, Some((MERGE, &same))).await?;
    assert_eq!(again["metadata"]["generation"], 2);
    // A count of zero is left out, and what is in a list does not say what it is.
    let none = get("/apis/apps/v1/namespaces/finance/deployments/finance-service-v2").await?;
    assert_eq!(
        (&none["spec"]["replicas"], &none["status"]["readyReplicas"]),
        (&json!(0), &Value::Null)
    );
    let pods = get("/api/v1/namespaces/finance/pods?labelSelector=app%3Dledger&limit=500").await?;
    let pods = pods["items"].as_array().context("no items")?;
    assert_eq!(pods.len(), 3, "{pods:?}");
    ensure!(
        pods.iter()
            .all(|pod| pod["kind"].is_null() && pod["apiVersion"].is_null()),
        "{pods:?}"
    );
    // A Service has no generation.
    let service = get(SERVICE).await?;
    assert_eq!(service["metadata"]["generation"], Value::Null);
    // A part of a resource is asked for apart.
    for (resource, part, allowed) in [
        ("deployments", "", true),
        ("deployments", "scale", false),
        ("deployments/scale", "", false),
    ] {
        let attributes = json!({
            "namespace": "finance", "verb": "patch", "group": "apps", "resource": resource, "subresource": part,
            "name": "finance-service-v1",
        });
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": { "resourceAttributes": attributes },
        });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let (status, said) = cluster
            .call(TIDEGATE, Method::POST, path, Some((JSON, &review)))
            .await?;
        assert_eq!(
            (status, said["status"]["allowed"].as_bool()),
            (201, Some(allowed)),
            "{said}"
        );
    }
    Ok(())
}
