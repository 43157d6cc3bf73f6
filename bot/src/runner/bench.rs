//! Owns an engine on the workbench: a store in a directory of its own, and peers that answer as a test says.
//! Refuses to run any task by itself: a test asks for one round, or one delivery, and looks at what is remembered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;
use tidegate_rollout::begin::Start;
use tidegate_rollout::plan::{Plan, source};
use tidegate_rollout::{
    Actor, Alert, Event, Outcome, Period, PersonId, ReadBack, Role, Rollout, Step, Surface, Surroundings, Weight,
};
use tokio::net::TcpListener;
use url::Url;

use super::{Budget, Engine, Parts, Queues, Settings};
use crate::channel::Channel;
use crate::config::Alertmanager;
use crate::net::{HostRule, Net};
use crate::plans::Plans;
use crate::render::Renderer;
use crate::store::{Begun, Opening, Storage, Store};
use crate::vitals::Vitals;

/// A peer of Alertmanager: it lists what it is given, refuses what the real one refuses, and may be down.
#[derive(Clone, Default)]
pub(super) struct Peer(Arc<Mutex<Option<Vec<Alert>>>>);

impl Peer {
    /// From now on it lists these.
    pub(super) fn lists(&self, alerts: &[Alert]) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(alerts.to_vec());
    }

    /// From now on it answers nothing useful.
    pub(super) fn fails(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    async fn serve(&self) -> Url {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new()
            .route("/api/v2/alerts", get(answer))
            .with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Url::parse(&url).unwrap()
    }
}

/// Alertmanager answers 400 to a filter that is no truth value, and knows no others than these.
async fn answer(State(peer): State<Peer>, RawQuery(query): RawQuery) -> Response {
    let known = ["active", "silenced", "inhibited", "unprocessed"];
    let fits = |part: &str| {
        part.split_once('=')
            .is_some_and(|(name, value)| known.contains(&name) && matches!(value, "true" | "false"))
    };
    if !query.unwrap_or_default().split('&').all(fits) {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let listed = peer.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match listed {
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Some(alerts) => Json(alerts.iter().map(as_listed).collect::<Vec<Value>>()).into_response(),
    }
}

fn as_listed(alert: &Alert) -> Value {
    json!({
        "fingerprint": alert.fingerprint.0,
        "startsAt": alert.starts_at.to_string(),
        "endsAt": "2099-01-01T00:00:00Z",
        "updatedAt": alert.starts_at.to_string(),
        "labels": alert.labels,
        "annotations": alert.annotations,
        "receivers": [{ "name": "tidegate" }],
        "status": { "state": "active", "silencedBy": [], "inhibitedBy": [] },
    })
}

/// An alert of nobody's rollout, as a webhook to the receiver `default` told it.
pub(super) fn alert(name: &str) -> Alert {
    let document = json!({
        "source": "alertmanager", "receiver": "default", "fingerprint": format!("fp-{name}"), "status": "firing",
        "labels": { "alertname": name, "service": "checkout", "environment": "production" }, "annotations": {},
        "starts_at": "2026-01-05T08:00:00Z", "ends_at": null, "suppressed": null,
    });
    serde_json::from_value(document).unwrap()
}

/// An engine that remembers in `directory` and knows nothing else, as after a restart.
pub(super) async fn engine(directory: &TempDir, peers: &[&Peer]) -> Arc<Engine> {
    engine_with_queues(directory, peers).await.0
}

/// As [`engine`], with what its decider would take from.
pub(super) async fn engine_with_queues(directory: &TempDir, peers: &[&Peer]) -> (Arc<Engine>, Queues) {
    let mut urls = Vec::new();
    for peer in peers {
        urls.push(peer.serve().await);
    }
    let net = Net::new(urls.iter().filter_map(HostRule::of).collect()).unwrap();
    let polled = Alertmanager {
        receiver: "default".to_owned(),
        peers: urls,
        login: None,
        labels: BTreeMap::new(),
    };
    Engine::new(Parts {
        store: Store::open(&Storage::directory(directory.path())).await.unwrap(),
        net,
        vitals: Vitals::default(),
        settings: settings(if peers.is_empty() { Vec::new() } else { vec![polled] }),
        plans: Arc::new(arc_swap::ArcSwap::from_pointee(Plans::of([]))),
        board: Arc::default(),
        feed: Arc::default(),
        renderer: Arc::new(arc_swap::ArcSwap::from_pointee(Renderer::new(None).unwrap())),
    })
}

/// What its configuration says.
pub(super) fn settings(polled: Vec<Alertmanager>) -> Settings {
    Settings {
        replica: "one".to_owned(),
        hooks: crate::hook::Allowed::default(),
        tick_every: Duration::from_millis(250),
        budget: Budget {
            rollbacks: 3,
            window: Period::minutes(60),
        },
        budgets: BTreeMap::new(),
        watchdog_fresh: Period::seconds(90),
        poll_every: Duration::from_secs(5),
        poll_timeout: Duration::from_secs(2),
        polled,
        claim_for: Period::seconds(15),
        lease_for: Period::seconds(15),
        keep_for: Period::minutes(60),
        channels: [("log".to_owned(), Arc::new(Channel::Log))].into(),
        fallbacks: BTreeMap::new(),
        cluster: None,
        pages: None,
    }
}

const PLAN: &str = "apiVersion: tidegate.dev/v1alpha1
kind: RolloutPlan
metadata: { name: checkout }
spec:
  title: Checkout to production
  service: checkout
  environment: production
  target: { flag: { key: checkout } }
  phases:
    - { name: canary, weight: 10%, bake: 30m }
    - { name: everybody, weight: 100%, bake: 10m }
  watch: 1h
  triggers:
    - name: errors
      alert: { matchers: ['alertname=\"HighErrorRate\"'] }
      severity: critical
  severities:
    critical: { action: rollback }
  alerts: { receivers: [default], watchdog: none }
  audiences:
    oncall: { channels: [log], hears: pages }
";

/// Ana, who may do everything.
pub(super) fn ana() -> Actor {
    Actor {
        person: PersonId::new("ana"),
        roles: BTreeSet::from([Role::Admin]),
        surface: Surface::Cli,
    }
}

/// The first step of a rollout that was started at `at`: it asks for the weight of its first phase.
pub(super) async fn begun(engine: &Engine, at: Timestamp) -> Step {
    begun_of(engine, "checkout", at).await
}

async fn begun_of(engine: &Engine, service: &str, at: Timestamp) -> Step {
    let plan = PLAN.replace("checkout", service);
    let plan: Arc<Plan> = Arc::new(source::read(&plan).plan.unwrap());
    let opening = Opening {
        plan: plan.name(),
        target: &plan.spec.target.name(),
        also: &[],
        environment: "production",
        service: Some(service),
        window_since: at,
        cause: None,
        now: at,
    };
    let begun = engine.store.begin(opening, |facts| {
        let start = Start {
            plan: Arc::clone(&plan),
            inputs: BTreeMap::new(),
            actor: ana(),
            counter: facts.counter,
            recent: Vec::new(),
            target_busy: None,
            target_epoch: 0,
        };
        Rollout::begin(start, &Surroundings::calm(at), at)
    });
    match begun.await {
        Ok(Begun::Started { step, .. }) => *step,
        other => panic!("it has to start: {other:?}"),
    }
}

/// A rollout that bakes since `at`, started by a process that is gone or was never this one.
pub(super) async fn baking(engine: &Engine, at: Timestamp) -> Rollout {
    baking_of(engine, "checkout", at).await
}

/// As [`baking`], of this service and its own flag.
pub(super) async fn baking_of(engine: &Engine, service: &str, at: Timestamp) -> Rollout {
    let step = begun_of(engine, service, at).await;
    let event = Event::Reported {
        action: step.actions[0].id.clone(),
        outcome: Outcome::Applied(ReadBack {
            weight: Weight::percent(10),
            how: "read back".to_owned(),
            seen_in_traffic: false,
            observed: None,
            at,
        }),
    };
    let arrived = tidegate_rollout::step(&step.next, &Surroundings::calm(at), &event, at).unwrap();
    engine.store.save(&arrived, 0, None, at).await.unwrap();
    arrived.next
}
