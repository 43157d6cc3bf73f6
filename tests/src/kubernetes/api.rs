//! What the API does with a call: who asks, whether they may, and what comes of it.

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::fake::Cluster;
use super::rights::{self, Rights, Wish};
use super::watch::Watch;
use super::world::{Key, No, full, not_found};
use super::{Used, jobs, key, listing, patch};

/// Where an account asks what it may do.
const REVIEW: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

/// What a path names.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) group: String,
    pub(super) resource: String,
    pub(super) namespace: String,
    version: String,
    kind: &'static str,
    name: Option<String>,
    sub: Option<String>,
}

/// What the answer to a call is made of.
pub(super) enum Said {
    Object(StatusCode, Value),
    /// A log is no JSON.
    Text(String),
    /// It goes on for as long as the caller wants.
    Changes(Watch),
}

/// Group, version, resource and kind of what is served.
const SERVED: [(&str, &str, &str, &str); 8] = [
    ("apps", "v1", "deployments", "Deployment"),
    ("batch", "v1", "jobs", "Job"),
    ("", "v1", "services", "Service"),
    ("", "v1", "pods", "Pod"),
    ("", "v1", "events", "Event"),
    ("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice"),
    (
        "autoscaling",
        "v2",
        "horizontalpodautoscalers",
        "HorizontalPodAutoscaler",
    ),
    ("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute"),
];

impl Place {
    pub(super) fn of(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let ["namespaces", namespace, resource, rest @ ..] = rest else {
            return None;
        };
        let served = SERVED
            .iter()
            .find(|served| (served.0, served.1, served.2) == (group, version, *resource))?;
        Some(Self {
            group: group.to_owned(),
            resource: (*resource).to_owned(),
            namespace: (*namespace).to_owned(),
            version: version.to_owned(),
            kind: served.3,
            name: rest.first().map(|name| (*name).to_owned()),
            sub: rest.get(1).map(|sub| (*sub).to_owned()),
        })
    }

    /// The `apiVersion` and the `kind` of its objects.
    pub(super) fn kind(&self) -> (String, &'static str) {
        let version = match self.group.as_str() {
            "" => self.version.clone(),
            group => format!("{group}/{}", self.version),
        };
        (version, self.kind)
    }

    pub(super) fn key(&self) -> Option<Key> {
        Some(key(&self.group, &self.resource, &self.namespace, self.name.as_deref()?))
    }
}

/// The verb of a call on what it names.
fn verb_of(method: &Method, named: bool) -> Option<&'static str> {
    Some(match (method, named) {
        (&Method::GET, true) => "get",
        (&Method::GET, false) => "list",
        (&Method::PATCH, true) => "patch",
        (&Method::PUT, true) => "update",
        (&Method::POST, false) => "create",
        _ => return None,
    })
}

/// The right that a call makes use of; none where everybody may call.
pub(super) fn used(method: &Method, path: &str) -> Option<Used> {
    let place = Place::of(path)?;
    let verb = verb_of(method, place.name.is_some())?;
    let resource = match &place.sub {
        Some(sub) => format!("{}/{sub}", place.resource),
        None => place.resource,
    };
    Some((verb.to_owned(), place.group, resource, place.name))
}

/// Who calls, by their token.
pub(super) fn bearer(headers: &HeaderMap) -> &str {
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    token
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default()
}

/// Does what a call asks for.
///
/// # Errors
/// As the API server refuses it.
pub(super) fn handle(
    cluster: &mut Cluster,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Said, No> {
    let token = bearer(headers);
    let account = cluster.accounts.iter().find(|(known, _)| known == token);
    let Some((_, rights)) = account else {
        return Err((401, "Unauthorized", "Unauthorized".to_owned()));
    };
    let missing = || {
        (
            404,
            "NotFound",
            "the server could not find the requested resource".to_owned(),
        )
    };
    if uri.path() == REVIEW && method == Method::POST {
        let (status, answer) = review(rights, body)?;
        return Ok(Said::Object(status, answer));
    }
    let place = Place::of(uri.path()).ok_or_else(missing)?;
    let query: Vec<(String, String)> = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .into_owned()
        .collect();
    let Some(verb) = verb_of(method, place.name.is_some()) else {
        return Err((
            405,
            "MethodNotAllowed",
            "the server does not allow this method".to_owned(),
        ));
    };
    let watched = listing::asked(&query, "watch").is_some_and(|watch| matches!(watch, "true" | "1"));
    let verb = if verb == "list" && watched { "watch" } else { verb };
    let resource = match &place.sub {
        Some(sub) => format!("{}/{sub}", place.resource),
        None => place.resource.clone(),
    };
    let wish = Wish {
        verb,
        group: &place.group,
        resource: &resource,
        namespace: &place.namespace,
        name: place.name.as_deref(),
    };
    if !rights.iter().any(|rights| rights.allow(&wish)) {
        let what = full(&place.group, &resource);
        let named = place
            .name
            .as_deref()
            .map(|name| format!("{name:?} "))
            .unwrap_or_default();
        let message = format!(
            "{what} {named}is forbidden: User \"system:serviceaccount:tidegate:tidegate\" cannot {verb} resource {resource:?} in API group {:?} in the namespace {:?}",
            place.group, place.namespace
        );
        return Err((403, "Forbidden", message));
    }
    let (status, answer) = match verb {
        "watch" => return Watch::of(&cluster.world, &place, &query).map(Said::Changes),
        "list" => (StatusCode::OK, listing::list(&cluster.world, &place, &query)?),
        "create" => create(cluster, &place, body)?,
        "get" if resource == "pods/log" => {
            let pod = place.name.as_deref().unwrap_or_default();
            return cluster.world.log(&place.namespace, pod, &query).map(Said::Text);
        }
        _ => one(cluster, &place, method, headers, body)?,
    };
    Ok(Said::Object(status, answer))
}

/// Answers what an account may do. Everybody may ask that about themselves, and nothing is stored.
fn review(rights: &[Rights], body: &Bytes) -> Result<(StatusCode, Value), No> {
    let mut object: Value = serde_json::from_slice(body).map_err(|error| (400, "BadRequest", error.to_string()))?;
    if object["kind"] != "SelfSubjectAccessReview" || object["apiVersion"] != "authorization.k8s.io/v1" {
        let message = "the object provided is no SelfSubjectAccessReview of authorization.k8s.io/v1".to_owned();
        return Err((400, "BadRequest", message));
    }
    let asked = object["spec"]["resourceAttributes"].clone();
    let known = [
        "namespace",
        "verb",
        "group",
        "version",
        "resource",
        "subresource",
        "name",
    ];
    let Some(fields) = asked.as_object() else {
        let message = "spec.resourceAttributes: Invalid value: exactly one of nonResourceAttributes or resourceAttributes must be \
                       specified";
        return Err((422, "Invalid", message.to_owned()));
    };
    if let Some(unknown) = fields.keys().find(|key| !known.contains(&key.as_str())) {
        return Err((
            400,
            "BadRequest",
            format!("strict decoding error: unknown field {unknown:?}"),
        ));
    }
    let allowed = rights::allow(rights, &asked);
    object["status"] = json!({ "allowed": allowed });
    Ok((StatusCode::CREATED, object))
}

fn create(cluster: &mut Cluster, place: &Place, body: &Bytes) -> Result<(StatusCode, Value), No> {
    let object: Value = serde_json::from_slice(body).map_err(|error| (400, "BadRequest", error.to_string()))?;
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let ends =
        name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.ends_with(|c: char| c.is_ascii_alphanumeric());
    if !name.chars().all(fits) || !ends || name.len() > 253 {
        return Err((422, "Invalid", format!("metadata.name: Invalid value: {name:?}")));
    }
    if place.resource == "events" && object["involvedObject"]["namespace"] != place.namespace.as_str() {
        let namespace = &object["involvedObject"]["namespace"];
        let why = format!("involvedObject.namespace: Invalid value: {namespace}: does not match event.namespace");
        let which = format!("Event {name:?} is invalid");
        return Err((422, "Invalid", format!("{which}: {why}")));
    }
    if place.resource == "jobs" {
        jobs::check(&object)?;
    }
    let key = key(&place.group, &place.resource, &place.namespace, name);
    if cluster.world.objects.contains_key(&key) {
        return Err((
            409,
            "AlreadyExists",
            format!("{} {name:?} already exists", full(&key.0, &key.1)),
        ));
    }
    let made = cluster.world.make(&key, object);
    cluster.world.tick();
    Ok((StatusCode::CREATED, made))
}

fn one(
    cluster: &mut Cluster,
    place: &Place,
    method: &Method,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<(StatusCode, Value), No> {
    let missing = || {
        (
            404,
            "NotFound",
            "the server could not find the requested resource".to_owned(),
        )
    };
    let key = place.key().ok_or_else(missing)?;
    let object = cluster
        .world
        .objects
        .get(&key)
        .cloned()
        .ok_or_else(|| not_found(&key))?;
    let scale = match place.sub.as_deref() {
        None => false,
        Some("scale") if place.resource == "deployments" => true,
        Some(_) => return Err(missing()),
    };
    let media = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let parsed = || serde_json::from_slice::<Value>(body).map_err(|error| (400, "BadRequest", error.to_string()));
    let shown = |object: &Value| if scale { scale_of(object) } else { object.clone() };
    let mut changed = shown(&object);
    match *method {
        Method::GET => return Ok((StatusCode::OK, changed)),
        Method::PUT => changed = parsed()?,
        _ => match media {
            "application/merge-patch+json" => patch::merge(&mut changed, &parsed()?),
            "application/json-patch+json" => {
                // Which operation did not apply, and why, the API server tells nobody.
                let rejected = "the server rejected our request due to an error in our request";
                let applied = patch::json(&mut changed, &parsed()?);
                applied.map_err(|_| (422, "Invalid", rejected.to_owned()))?;
            }
            other => {
                let message = format!("the body of the request was in an unknown format: {other}");
                return Err((415, "UnsupportedMediaType", message));
            }
        },
    }
    if scale {
        let mut whole = object;
        whole["spec"]["replicas"] = changed["spec"]["replicas"].clone();
        whole["metadata"]["resourceVersion"] = changed["metadata"]["resourceVersion"].clone();
        changed = whole;
    }
    let written = cluster.world.write(&key, changed)?;
    Ok((StatusCode::OK, shown(&written)))
}

/// A Deployment as its `scale` subresource shows it.
fn scale_of(object: &Value) -> Value {
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": object["metadata"]["name"], "namespace": object["metadata"]["namespace"],
            "uid": object["metadata"]["uid"], "resourceVersion": object["metadata"]["resourceVersion"],
        },
        "spec": { "replicas": object["spec"]["replicas"] },
        "status": { "replicas": object["status"]["replicas"] },
    })
}
