//! As much of a kubelet as an API server needs to answer what a pod printed: a node, and its logs over TLS.
//!
//! Refuses a caller whom it cannot tell, as far as a bare one can: whoever reaches it is the API server of the test.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::routing::get;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::controllers::Stage;
use super::jobs;
use crate::certificates::Certificates;
use crate::serve::Served;

/// The one node that there is.
pub(super) const NODE: &str = "node";

/// Serves the logs of what runs on the node.
pub(super) async fn start(stage: Arc<Mutex<Stage>>, certificates: &Certificates) -> Result<Served> {
    let router = Router::new()
        .route("/containerLogs/{namespace}/{pod}/{container}", get(logs))
        .with_state(stage);
    Served::start_with(router, certificates).await
}

/// The node, and what its status says of where its kubelet listens.
pub(super) fn node(kubelet: &Served) -> (Value, Value) {
    let node = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": NODE } });
    let status = json!({ "status": {
        "addresses": [{ "type": "InternalIP", "address": kubelet.address().ip() }],
        "daemonEndpoints": { "kubeletEndpoint": { "Port": kubelet.address().port() } },
    } });
    (node, status)
}

async fn logs(
    State(stage): State<Arc<Mutex<Stage>>>,
    Path((namespace, pod, container)): Path<(String, String, String)>,
    RawQuery(query): RawQuery,
) -> (StatusCode, String) {
    let query: Vec<(String, String)> = form_urlencoded::parse(query.unwrap_or_default().as_bytes())
        .into_owned()
        .collect();
    let stage = stage.lock().unwrap_or_else(PoisonError::into_inner);
    let known = container == jobs::CONTAINER;
    let Some(printed) = stage.logs.get(&(namespace, pod)).filter(|_| known) else {
        return (StatusCode::NOT_FOUND, "no such container".to_owned());
    };
    match jobs::end_of(printed, &query) {
        Ok(text) => (StatusCode::OK, text),
        Err((code, _, message)) => (StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_REQUEST), message),
    }
}
