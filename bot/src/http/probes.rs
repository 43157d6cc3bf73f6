//! Owns what Tidegate answers about itself: alive, ready, the comprehensive health, its metrics, and the reload.
//! Refuses to say more to strangers than whether it is alive and ready.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;
use tokio::time::timeout;

use super::problem::Problem;
use super::routes::{Auth, Routes};
use crate::config::{Current, Faults};
use crate::vitals::Vitals;

/// What has to be read for an answer may take so long, and is left out then: a probe is asked above all when something does
/// not answer.
const READ: Duration = Duration::from_secs(2);

/// Loads the configuration again: its warnings, or why the one in force stays so.
pub type Reload = Arc<dyn Fn() -> BoxFuture<'static, Result<Vec<String>, Faults>> + Send + Sync>;

/// What the parts behind the HTTP surface say about themselves.
pub type Detail = Arc<dyn Fn() -> BoxFuture<'static, serde_json::Value> + Send + Sync>;

/// The gauges of what simply is, read at each scrape.
pub type Standing = Arc<dyn Fn() -> BoxFuture<'static, String> + Send + Sync>;

/// What the probes look at.
#[derive(Clone)]
pub struct Probes {
    /// The configuration in force.
    pub current: Current,
    /// The signs of life.
    pub vitals: Vitals,
    /// The series that are recorded as things happen.
    pub metrics: PrometheusHandle,
    /// Those that are read.
    pub standing: Standing,
    /// Loads the configuration again.
    pub reload: Reload,
    /// What else the comprehensive health says.
    pub detail: Detail,
    /// When the process began to serve.
    pub since: Instant,
}

/// The probes and the reload.
pub fn routes(routes: Routes, probes: &Probes) -> Routes {
    routes
        .get("/-/healthy", Auth::Open, healthy, ())
        .get("/-/ready", Auth::Open, ready, probes.clone())
        .post("/-/reload", Auth::ADMIN, reload, probes.clone())
        .get("/metrics", Auth::Metrics, metrics, probes.clone())
        .get("/health", Auth::HEALTH, health, probes.clone())
}

async fn healthy() -> &'static str {
    "Tidegate is healthy.\n"
}

async fn ready(State(probes): State<Probes>) -> Response {
    let (ready, signs) = probes.vitals.check();
    if ready {
        return "Tidegate is ready.\n".into_response();
    }
    // Which part is not well helps whoever looks; why it is not is for those who may see the comprehensive health.
    let parts: Vec<_> = signs.iter().filter(|sign| !sign.ok).map(|sign| sign.part).collect();
    let text = format!("Tidegate is not ready: {}.\n", parts.join(", "));
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

async fn health(State(probes): State<Probes>) -> Response {
    let (ready, signs) = probes.vitals.check();
    let config = probes.current.get();
    let receivers: Vec<_> = config
        .receivers
        .doors
        .iter()
        .map(|(name, receiver)| {
            json!({
                "source": receiver.source().word(),
                "name": name,
                "authenticator": receiver.authenticator(),
            })
        })
        .collect();
    let body = json!({
        "status": if ready { "ok" } else { "not ready" },
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_s": probes.since.elapsed().as_secs(),
        "parts": signs,
        "detail": timeout(READ, (probes.detail)()).await.ok(),
        "receivers": receivers,
        "warnings": config.warnings,
        // The one in force is older than the files then; a restart would not come up with them as they are.
        "refused_reload": probes.current.refused().as_deref(),
    });
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(body)).into_response()
}

async fn metrics(State(probes): State<Probes>) -> Response {
    let content_type = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    let standing = timeout(READ, (probes.standing)()).await.unwrap_or_default();
    (content_type, probes.metrics.render() + &standing).into_response()
}

async fn reload(State(probes): State<Probes>) -> Response {
    if !probes.current.get().web.enable_lifecycle {
        let detail = "The lifecycle API is off.";
        return Problem::new(StatusCode::FORBIDDEN, "lifecycle-off", detail)
            .hint("Start with --web.enable-lifecycle, or send SIGHUP to the process.")
            .into_response();
    }
    match (probes.reload)().await {
        Ok(warnings) => Json(json!({ "reloaded": true, "warnings": warnings })).into_response(),
        Err(faults) => {
            let count = faults.all.len();
            let detail = format!("The configuration in force stays: the new one has {count} faults.\n{faults}");
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-configuration", detail).into_response()
        }
    }
}
