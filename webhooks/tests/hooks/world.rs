//! Owns the small world of these tests: a router with real receivers, and an intake that keeps what it is given.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, Request, StatusCode};
use secrecy::SecretString;
use sha2::Sha256;
use tidegate_rollout::Labels;
use tidegate_webhooks::{
    Answer, Credential, Intake, Limits, Missed, Received, Receiver, Receivers, Refused, SigningSecrets, Unavailable,
    router,
};
use tokio::sync::{RwLock, RwLockWriteGuard};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tower::ServiceExt;

pub(crate) const TOKEN: &str = "s3cr3t-of-alertmanager";
pub(crate) const PAGERDUTY_SECRET: &str = "s3cr3t-of-pagerduty";
pub(crate) const PAGERDUTY_OLD_SECRET: &str = "s3cr3t-of-pagerduty-before";
pub(crate) const GRAFANA_SECRET: &str = "s3cr3t-of-grafana";

/// Keeps what it is given; a nonce it has seen is a repetition.
#[derive(Default)]
pub(crate) struct Recorder {
    received: Mutex<Vec<Received>>,
    missed: Mutex<Vec<Missed>>,
    refused: Mutex<Vec<Refused>>,
    down: AtomicBool,
    /// Whoever holds this for writing keeps everything from being stored.
    open: RwLock<()>,
    /// How many deliveries have come this far.
    begun: AtomicUsize,
}

impl Recorder {
    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// The one delivery there was.
    pub(crate) fn only_received(&self) -> Received {
        let mut received = self.received();
        assert_eq!(received.len(), 1, "{received:?}");
        received.remove(0)
    }

    pub(crate) fn missed(&self) -> Vec<Missed> {
        self.missed.lock().unwrap().clone()
    }

    pub(crate) fn refused(&self) -> Vec<Refused> {
        self.refused.lock().unwrap().clone()
    }

    /// From now on nothing can be stored, or it can again.
    pub(crate) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// Lets nothing be stored while the guard lives.
    pub(crate) async fn hold(&self) -> RwLockWriteGuard<'_, ()> {
        self.open.write().await
    }
}

impl Intake for Recorder {
    async fn accept(&self, received: Received) -> Result<Answer, Unavailable> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let _open = self.open.read().await;
        if self.down.load(Ordering::SeqCst) {
            return Err(Unavailable::because("the disk is full"));
        }
        let mut all = self.received.lock().unwrap();
        if received.nonce.is_some() && all.iter().any(|earlier| earlier.nonce == received.nonce) {
            return Ok(Answer::Repeated);
        }
        all.push(received);
        Ok(Answer::Stored)
    }

    async fn missed(&self, missed: Missed) {
        self.missed.lock().unwrap().push(missed);
    }

    fn refused(&self, refused: Refused) {
        self.refused.lock().unwrap().push(refused);
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Got {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) router: Router,
    pub(crate) intake: Arc<Recorder>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Limits::default())
    }

    pub(crate) fn with(limits: Limits) -> Self {
        Self::build(receivers(), limits)
    }

    pub(crate) fn of(receivers: Receivers) -> Self {
        Self::build(receivers, Limits::default())
    }

    fn build(receivers: Receivers, limits: Limits) -> Self {
        let intake = Arc::new(Recorder::default());
        let receivers = Arc::new(receivers);
        Self {
            router: router(move || receivers.clone(), intake.clone(), limits),
            intake,
        }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Got {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = to_bytes(body, 1 << 20).await.unwrap();
        Got {
            status: head.status,
            headers: head.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    /// Like [`World::send`], for a task of its own.
    pub(crate) async fn send_owned(self, request: Request<Body>) -> Got {
        self.send(request).await
    }

    /// Sends `count` requests and comes back when all of them wait to be stored.
    pub(crate) async fn begin(&self, count: usize, request: impl Fn() -> Request<Body>) -> Vec<JoinHandle<Got>> {
        let goal = self.intake.begun.load(Ordering::SeqCst) + count;
        let tasks = (0..count)
            .map(|_| tokio::spawn(self.clone().send_owned(request())))
            .collect();
        let all_begun = async {
            while self.intake.begun.load(Ordering::SeqCst) < goal {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(10), all_begun).await.unwrap();
        tasks
    }

    /// A body of Alertmanager's, as Alertmanager sends it.
    pub(crate) async fn alertmanager(&self, body: impl Into<Body>) -> Got {
        self.send(alertmanager(body)).await
    }
}

/// A request of Alertmanager's to the default receiver, with the right token.
pub(crate) fn alertmanager(body: impl Into<Body>) -> Request<Body> {
    post(
        "/webhooks/alertmanager",
        &[("authorization", &format!("Bearer {TOKEN}"))],
        body,
    )
}

/// A JSON request with `headers`.
pub(crate) fn post(path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Request<Body> {
    let request = Request::post(path).header("content-type", "application/json");
    headers
        .iter()
        .fold(request, |request, (name, value)| request.header(*name, *value))
        .body(body.into())
        .unwrap()
}

/// One receiver of every kind.
pub(crate) fn receivers() -> Receivers {
    let bearer = Credential::bearer(&TOKEN.into()).unwrap();
    let basic = Credential::basic("alertmanager", &"3cr3t pö".into()).unwrap();
    let signing = |secrets: &[&str]| SigningSecrets::new(secrets.iter().map(|&s| SecretString::from(s))).unwrap();
    let mut receivers = Receivers::new();
    let mut add = |name: &str, receiver: Receiver| receivers.add(name, receiver).unwrap();
    add("default", Receiver::alertmanager(vec![bearer.clone()]).unwrap());
    add("basic", Receiver::alertmanager(vec![basic]).unwrap());
    let production = Labels::from([("environment".to_owned(), "production".to_owned())]);
    let pagerduty = Receiver::pagerduty(signing(&[PAGERDUTY_SECRET, PAGERDUTY_OLD_SECRET]));
    add("default", pagerduty.with_labels(production));
    add("default", Receiver::grafana(vec![bearer.clone()], None).unwrap());
    add(
        "signed",
        Receiver::grafana(vec![], Some(signing(&[GRAFANA_SECRET]))).unwrap(),
    );
    add(
        "both",
        Receiver::grafana(vec![bearer], Some(signing(&[GRAFANA_SECRET]))).unwrap(),
    );
    receivers
}

/// HMAC-SHA256 over `body`, in hex.
pub(crate) fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

/// A sample body, as it was captured.
pub(crate) fn fixture(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fixtures")
        .join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
