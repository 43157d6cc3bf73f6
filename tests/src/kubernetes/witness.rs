//! Somebody who sees every change of a kind of objects, in order, by the watch of the official client: where a look now and then
//! could miss what was so for a moment only.
//!
//! Refuses to go on with a gap: when the watch breaks off, it says so to whoever asks next.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use futures_util::TryStreamExt as _;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::WatchEvent;
use kube::{Client, Config};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::wait;

/// What was done is told well before this.
const PATIENCE: Duration = Duration::from_secs(30);

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// It is new, or fits the selector now.
    Added,
    /// It is another than before.
    Modified,
    /// It is gone, or does not fit the selector any more.
    Deleted,
}

/// One change: what, and the object afterwards; before, where it is gone.
pub type Seen = (Happened, Value);

/// A watch that goes on until this is dropped.
#[derive(Debug)]
pub struct Witness {
    client: Witnessed,
    path: String,
    /// What was there at the beginning.
    first: Vec<Value>,
    notes: Arc<Mutex<Notes>>,
    task: JoinHandle<()>,
}

struct Witnessed(Client);

impl std::fmt::Debug for Witnessed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a client")
    }
}

#[derive(Debug, Default)]
struct Notes {
    seen: Vec<Seen>,
    /// Why nothing follows any more.
    broke: Option<String>,
}

impl Witness {
    /// Watches what lies at `path` from now on.
    pub(super) async fn start(kubeconfig: &Path, path: &str) -> Result<Self> {
        let client = client(kubeconfig).await?;
        let list = get(&client, path).await?;
        let version = list["metadata"]["resourceVersion"].as_str();
        let version = version.context("the list has no version")?;
        let events = watch(&client, path, &format!("resourceVersion={version}")).await?;
        let notes = Arc::<Mutex<Notes>>::default();
        let task = tokio::spawn(write_down(events, Arc::clone(&notes)));
        Ok(Self {
            client: Witnessed(client),
            path: path.to_owned(),
            first: items(&list),
            notes,
            task,
        })
    }

    /// Everything since the beginning, up to what is so now. Of what is gone by now, the last word may still be on its way.
    ///
    /// # Errors
    /// When the watch broke off.
    pub async fn so_far(&self) -> Result<Vec<Seen>> {
        let now = items(&get(&self.client.0, &self.path).await?);
        wait::until("the watch has told everything", PATIENCE, async || {
            let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(broke) = &notes.broke {
                return Err(wait::hopeless(format!("the watch of {} broke off: {broke}", self.path)));
            }
            for object in &now {
                let told = notes.seen.iter().map(|(_, seen)| seen);
                let known = self.first.iter().chain(told).any(|seen| same(seen, object));
                ensure!(known, "this was not told: {object}");
            }
            Ok(notes.seen.clone())
        })
        .await
    }

    /// Each change of what `of` reads of an object, with its name, in order.
    ///
    /// # Errors
    /// As [`Witness::so_far`].
    pub async fn changes(&self, of: impl Fn(&Value) -> Value) -> Result<Vec<(String, Value)>> {
        let mut last: BTreeMap<String, Value> = self.first.iter().map(|object| (name(object), of(object))).collect();
        let mut changes = Vec::new();
        for (_, object) in self.so_far().await? {
            let (name, value) = (name(&object), of(&object));
            if last.insert(name.clone(), value.clone()).as_ref() != Some(&value) {
                changes.push((name, value));
            }
        }
        Ok(changes)
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The official client, as whoever this kubeconfig names.
///
/// # Errors
/// When it cannot be made.
pub async fn client(kubeconfig: &Path) -> Result<Client> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.proxy_url = None;
    Ok(Client::try_from(config)?)
}

/// The events of a watch with these parameters, as the official client takes them.
///
/// # Errors
/// When it is refused.
pub async fn watch(
    client: &Client,
    path: &str,
    parameters: &str,
) -> Result<impl futures_util::Stream<Item = kube::Result<WatchEvent<Value>>> + Send + use<>> {
    let uri = format!("{path}?watch=true&{parameters}");
    let request = http::Request::get(uri).body(Vec::new())?;
    Ok(client.request_events::<Value>(request).await?)
}

async fn get(client: &Client, path: &str) -> Result<Value> {
    let request = http::Request::get(path).body(Vec::new())?;
    Ok(client.request(request).await?)
}

fn items(list: &Value) -> Vec<Value> {
    list["items"].as_array().cloned().unwrap_or_default()
}

fn name(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}

/// Whether both are one version of one object.
fn same(one: &Value, other: &Value) -> bool {
    ["name", "resourceVersion"]
        .iter()
        .all(|field| one["metadata"][field] == other["metadata"][field])
}

async fn write_down(
    events: impl futures_util::Stream<Item = kube::Result<WatchEvent<Value>>>,
    notes: Arc<Mutex<Notes>>,
) {
    let note = |event| {
        let seen = match event {
            WatchEvent::Added(object) => (Happened::Added, object),
            WatchEvent::Modified(object) => (Happened::Modified, object),
            WatchEvent::Deleted(object) => (Happened::Deleted, object),
            WatchEvent::Bookmark(_) => return Ok(()),
            WatchEvent::Error(status) => bail!("{}", status.message),
        };
        notes.lock().unwrap_or_else(PoisonError::into_inner).seen.push(seen);
        Ok(())
    };
    let ended = events
        .map_err(anyhow::Error::from)
        .try_for_each(|event| std::future::ready(note(event)))
        .await;
    let broke = ended.map_or_else(|error| format!("{error:#}"), |()| "it ended".to_owned());
    notes.lock().unwrap_or_else(PoisonError::into_inner).broke = Some(broke);
}
