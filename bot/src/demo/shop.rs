//! Owns a tiny shop in two versions behind one flag: its visits, its counters, its page with the fault switch.
//! Refuses to know Tidegate but over OFREP, as any service would, and serves the old version whenever the flag is silent.

mod page;
mod tally;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{Form, Query, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{HeaderMap, Method, StatusCode, header};
use serde::Deserialize;
use serde_json::json;
use url::Url;

pub(super) use tally::{Answers, REQUESTS, Tally};

use super::DemoError;
use super::serving::{Open, Serving};
use crate::clock;
use crate::net::Net;

/// The key of the flag, as the plan names it.
pub(super) const FLAG: &str = "shop-v2";

/// How long the shop waits for the flag before its visitor gets the old version.
const PATIENCE: Duration = Duration::from_millis(500);

/// Of ten visits to a faulty version, so many fail.
const FAILING_OF_TEN: u64 = 3;

/// The two versions that are deployed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// The one that was there before; also the default of the code.
    Old,
    /// The one that is rolled out.
    New,
}

impl Version {
    /// Its number, as metrics and alerts name it.
    pub(super) const fn number(self) -> &'static str {
        match self {
            Self::Old => "1.9.0",
            Self::New => "2.0.0",
        }
    }
}

/// The shop while it is open.
pub(super) struct Shop {
    state: Arc<Floor>,
    serving: Serving,
}

/// What the handlers share.
struct Floor {
    net: Net,
    flag: Url,
    tally: Mutex<Tally>,
    faulty: AtomicBool,
    turns: AtomicU64,
}

impl Shop {
    /// Opens the shop on `open`; the flag is evaluated by the service at `service`.
    pub(super) fn open(open: Open, service: &Url, net: Net) -> Result<Self, DemoError> {
        let flag = service
            .join(&format!("ofrep/v1/evaluate/flags/{FLAG}"))
            .map_err(|fault| DemoError::failed("name the flag's address", fault))?;
        let state = Arc::new(Floor {
            net,
            flag,
            tally: Mutex::default(),
            faulty: AtomicBool::new(false),
            turns: AtomicU64::new(0),
        });
        let router = Router::new()
            .route("/", get(front))
            .route("/visit", get(visit))
            .route("/fault", post(fault))
            .route("/metrics", get(metrics))
            .with_state(Arc::clone(&state));
        Ok(Self {
            state,
            serving: open.serve(router),
        })
    }

    /// Where it is.
    pub(super) fn address(&self) -> SocketAddr {
        self.serving.address()
    }

    /// Makes the new version fail, or heals it.
    pub(super) fn fail(&self, on: bool) {
        self.state.faulty.store(on, Ordering::Relaxed);
    }

    /// Everything counted so far.
    pub(super) fn tally(&self) -> Tally {
        self.state.tally().clone()
    }

    /// Closes it.
    pub(super) async fn close(self) {
        self.serving.stop().await;
    }
}

impl Floor {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves one visitor, from the flag's answer to the counters.
    async fn serve(&self, visitor: &str) -> Served {
        let (version, rollout) = match self.evaluate(visitor).await {
            Some(answer) if answer.value => (Version::New, answer.metadata.rollout),
            Some(_) => (Version::Old, String::new()),
            None => {
                self.tally().count_unanswered();
                (Version::Old, String::new())
            }
        };
        let faulty = version == Version::New && self.faulty.load(Ordering::Relaxed);
        let failed = faulty && self.turns.fetch_add(1, Ordering::Relaxed) % 10 < FAILING_OF_TEN;
        self.tally().count(version, &rollout, failed, clock::now());
        Served { version, failed }
    }

    /// What the flag says; nothing when it says nothing that can be understood in time.
    async fn evaluate(&self, visitor: &str) -> Option<Evaluated> {
        let context = json!({ "context": { "targetingKey": visitor } });
        let request = self.net.request(Method::POST, &self.flag, PATIENCE).ok()?;
        let answer = request.json(&context).send().await.ok()?;
        if !answer.status().is_success() {
            return None;
        }
        answer.json().await.ok()
    }
}

/// The part of an OFREP answer that the shop looks at.
#[derive(Deserialize)]
struct Evaluated {
    value: bool,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    rollout: String,
}

struct Served {
    version: Version,
    failed: bool,
}

#[derive(Deserialize)]
struct Visitor {
    #[serde(default)]
    visitor: String,
}

/// `GET /visit?visitor=…`
async fn visit(State(shop): State<Arc<Floor>>, Query(query): Query<Visitor>) -> Response {
    let served = shop.serve(&query.visitor).await;
    let status = if served.failed {
        StatusCode::INTERNAL_SERVER_ERROR
    } else {
        StatusCode::OK
    };
    (status, Json(json!({ "version": served.version.number() }))).into_response()
}

/// `GET /`: the page, itself a visit.
async fn front(State(shop): State<Arc<Floor>>, Query(query): Query<Visitor>) -> Response {
    let visitor = match query.visitor.as_str() {
        "" => "you",
        named => named,
    };
    let served = shop.serve(visitor).await;
    let faulty = shop.faulty.load(Ordering::Relaxed);
    let page = page::front(visitor, &served, &shop.tally(), faulty);
    let policy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'";
    let headers = [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, Html(page)).into_response()
}

#[derive(Deserialize)]
struct Switch {
    on: bool,
}

/// `POST /fault`, from the form of the page. Another site's page cannot press it.
async fn fault(State(shop): State<Arc<Floor>>, headers: HeaderMap, Form(switch): Form<Switch>) -> Response {
    let from = headers.get("sec-fetch-site").map(|value| value.as_bytes());
    if from.is_some_and(|from| from != b"same-origin" && from != b"none") {
        return (StatusCode::FORBIDDEN, "Press the button on the shop's own page.").into_response();
    }
    shop.faulty.store(switch.on, Ordering::Relaxed);
    Redirect::to("/").into_response()
}

/// `GET /metrics`
async fn metrics(State(shop): State<Arc<Floor>>) -> Response {
    let text = shop.tally().exposition();
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        text,
    )
        .into_response()
}
