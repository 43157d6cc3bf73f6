//! The fake API over HTTP: strict as the real one, and able to misbehave as the real one does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::api::{Place, Said, bearer, handle};
use super::rights::Rights;
use super::world::{Key, No, World};
use super::{ADMIN, TIDEGATE, WITNESS, patch};
use crate::certificates::Certificates;
use crate::serve::Served;

/// What can go wrong with a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Mishap {
    /// It is answered with this status, and nothing happens.
    Refused(u16),
    /// It happens, and is answered with this status.
    DoneButFailed(u16),
    /// It is never answered, and nothing happens.
    Hangs,
    /// It happens, and is never answered.
    DoneButHangs,
    /// It is answered after this time.
    Slow(Duration),
    /// It is answered as if it had happened.
    Lies,
    /// Somebody else writes to the object between the read and this.
    Overtaken,
    /// The same, and what they write is this merge patch.
    OvertakenBy(Value),
}

#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) method: Method,
    /// A part of the path.
    pub(super) path: String,
    pub(super) left: u32,
    pub(super) mishap: Mishap,
}

#[derive(Debug, Default)]
pub(super) struct Cluster {
    pub(super) world: World,
    pub(super) accounts: Vec<(String, Vec<Rights>)>,
    pub(super) troubles: Vec<Trouble>,
    pub(super) struck: Vec<Mishap>,
    pub(super) calls: Vec<(Method, String)>,
}

impl Cluster {
    /// What goes wrong with this call, if anything does.
    fn strike(&mut self, method: &Method, path: &str) -> Option<Mishap> {
        let hit = |trouble: &&mut Trouble| trouble.left > 0 && trouble.method == method && path.contains(&trouble.path);
        let trouble = self.troubles.iter_mut().find(hit)?;
        trouble.left -= 1;
        self.struck.push(trouble.mishap.clone());
        Some(trouble.mishap.clone())
    }
}

/// A running fake.
#[derive(Debug)]
pub(super) struct Fake {
    served: Served,
    router: Router,
    cluster: Arc<Mutex<Cluster>>,
}

impl Fake {
    /// An empty cluster with two accounts, [`ADMIN`] and [`WITNESS`].
    pub(super) async fn start() -> Result<Self> {
        let cluster = Arc::new(Mutex::new(Cluster {
            accounts: [ADMIN, WITNESS]
                .map(|token| (token.to_owned(), vec![Rights::all()]))
                .into(),
            ..Cluster::default()
        }));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&cluster));
        Ok(Self {
            served: Served::start(router.clone()).await?,
            router,
            cluster,
        })
    }

    /// The same cluster at another address, which shows this certificate.
    pub(super) async fn serve_with(&self, certificates: &Certificates) -> Result<Served> {
        Served::start_with(self.router.clone(), certificates).await
    }

    pub(super) fn url(&self) -> String {
        self.served.url("")
    }

    /// Everything in it. A panicking reader leaves it whole.
    pub(super) fn open(&self) -> MutexGuard<'_, Cluster> {
        open(&self.cluster)
    }

    pub(super) fn grant(&self, manifest: &str) -> Result<()> {
        let rights = Rights::of_manifest(manifest)?;
        anyhow::ensure!(!rights.is_empty(), "there is no Role in the manifest");
        let mut cluster = self.open();
        cluster.accounts.retain(|(token, _)| token != TIDEGATE);
        cluster.accounts.push((TIDEGATE.to_owned(), rights));
        Ok(())
    }

    pub(super) fn patch(&self, key: &Key, patch: &Value) -> Result<()> {
        let mut cluster = self.open();
        let mut object = cluster.world.objects.get(key).cloned().context("no such object")?;
        patch::merge(&mut object, patch);
        let written = cluster.world.write(key, object);
        written
            .map(drop)
            .map_err(|(code, _, message)| anyhow::anyhow!("{code}: {message}"))
    }

    pub(super) fn object(&self, key: &Key) -> Result<Value> {
        let world = &mut self.open().world;
        world.tick();
        world.objects.get(key).cloned().context("no such object")
    }
}

/// A panicking reader leaves the cluster whole.
pub(super) fn open(cluster: &Mutex<Cluster>) -> MutexGuard<'_, Cluster> {
    cluster.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(
    State(cluster): State<Arc<Mutex<Cluster>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mishap = {
        let mut cluster = open(&cluster);
        cluster.world.tick();
        // Whoever only looks on is no part of what is tested.
        if bearer(&headers) == WITNESS {
            None
        } else {
            cluster.calls.push((method.clone(), uri.path().to_owned()));
            cluster.strike(&method, uri.path())
        }
    };
    let act = || {
        let said = handle(&mut open(&cluster), &method, &uri, &headers, &body);
        shown(said, &cluster)
    };
    let refused = |code, words: &str| refusal((code, "InternalError", words.to_owned()));
    match mishap {
        None => act(),
        Some(Mishap::Refused(code)) => refused(code, "the fake was told to refuse"),
        Some(Mishap::DoneButFailed(code)) => {
            let _ = act();
            refused(code, "the fake was told to fail afterwards")
        }
        Some(Mishap::Hangs) => std::future::pending().await,
        Some(Mishap::DoneButHangs) => {
            let _ = act();
            std::future::pending().await
        }
        Some(Mishap::Slow(delay)) => {
            // The slowness itself is what is tested; nothing waits for it to pass.
            tokio::time::sleep(delay).await;
            act()
        }
        Some(Mishap::Lies) => {
            let before = {
                let cluster = open(&cluster);
                let key = Place::of(uri.path()).and_then(|place| place.key());
                key.and_then(|key| cluster.world.objects.get(&key).cloned())
            };
            match before {
                Some(object) => (StatusCode::OK, Json(object)).into_response(),
                None => refusal((404, "NotFound", String::new())),
            }
        }
        Some(Mishap::Overtaken) => {
            overtake(&cluster, &uri, |object| {
                let version = object["metadata"]["resourceVersion"].clone();
                object["metadata"]["annotations"]["example.org/touched"] = version;
            });
            act()
        }
        Some(Mishap::OvertakenBy(change)) => {
            overtake(&cluster, &uri, |object| patch::merge(object, &change));
            act()
        }
    }
}

/// Somebody else writes to the object that a call names.
fn overtake(cluster: &Mutex<Cluster>, uri: &Uri, change: impl FnOnce(&mut Value)) {
    let Some(key) = Place::of(uri.path()).and_then(|place| place.key()) else {
        return;
    };
    let mut cluster = open(cluster);
    if let Some(mut object) = cluster.world.objects.get(&key).cloned() {
        change(&mut object);
        let _ = cluster.world.write(&key, object);
    }
}

fn shown(answer: Result<Said, No>, cluster: &Arc<Mutex<Cluster>>) -> Response {
    match answer {
        Ok(Said::Text(text)) => text.into_response(),
        Ok(Said::Object(status, object)) => (status, Json(object)).into_response(),
        Ok(Said::Changes(watch)) => watch.answer(Arc::clone(cluster)),
        Err(no) => refusal(no),
    }
}

fn refusal((code, reason, message): No) -> Response {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
        "reason": reason, "details": {}, "code": code,
    });
    let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (code, Json(status)).into_response()
}
