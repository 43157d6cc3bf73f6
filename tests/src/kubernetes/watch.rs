//! What an API server tells of its objects to whoever watches them: one line of JSON for each change, for as long as was asked.
//!
//! As the real one: without a version a watch begins with what is there; from a version it goes on with everything since, or says
//! that it forgot; what a selector no longer fits is gone for this watch; a bookmark comes before the end to whoever wants one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::api::Place;
use super::fake::{Cluster, open};
use super::listing::{Wanted, asked, number};
use super::world::{No, World};

/// So often time is given to what happens by itself, such as a pod that becomes ready.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long before the end a bookmark comes, and how long a watch lasts of which nothing is said.
const BOOKMARK: Duration = Duration::from_secs(2);
const USUALLY: u64 = 1_800;

/// A watch as it was asked for.
#[derive(Debug)]
pub(super) struct Watch {
    wanted: Wanted,
    /// The version and the kind of its objects.
    kind: (String, &'static str),
    /// Everything up to this version is told, or waits in `lines`.
    told: u64,
    lines: VecDeque<Value>,
    lasts: Duration,
    /// Whether one is wanted, and did not come yet.
    bookmark: bool,
    /// It was asked for what is forgotten; nothing follows that.
    over: bool,
}

impl Watch {
    /// What the parameters ask for.
    pub(super) fn of(world: &World, place: &Place, query: &[(String, String)]) -> Result<Self, No> {
        let known = ["watch", "resourceVersion", "timeoutSeconds", "allowWatchBookmarks"];
        let wanted = Wanted::of(place, query, &known)?;
        // An empty one and 0 mean: from what is there.
        let from = asked(query, "resourceVersion").filter(|version| !version.is_empty());
        let from = from.map_or(Ok(0), |version| {
            // Its own mistake, says the API server, and gives no reason.
            let parsing = format!("strconv.ParseUint: parsing {version:?}: invalid syntax");
            let message = format!("resourceVersion: Invalid value: {version:?}: {parsing}");
            version.parse::<u64>().map_err(|_| (500, "", message))
        })?;
        let mut watch = Self {
            wanted,
            kind: place.kind(),
            told: if from == 0 { world.version() } else { from },
            lines: VecDeque::new(),
            lasts: Duration::from_secs(number(query, "timeoutSeconds")?.unwrap_or(USUALLY)),
            bookmark: asked(query, "allowWatchBookmarks") == Some("true"),
            over: false,
        };
        if from == 0 {
            let there = world.all().filter(|(key, object)| watch.wanted.has(key, object));
            watch.lines = there.map(|(_, object)| line("ADDED", object)).collect();
        } else {
            watch.ends_with_a_gap(world);
        }
        Ok(watch)
    }

    /// The answer, which goes on.
    pub(super) fn answer(self, cluster: Arc<Mutex<Cluster>>) -> Response {
        let ends = Instant::now() + self.lasts;
        let lines = stream::unfold((self, cluster), move |(mut watch, cluster)| async move {
            let line = watch.next(&cluster, ends).await?;
            let mut bytes = line.to_string().into_bytes();
            bytes.push(b'\n');
            Some((Ok::<_, std::convert::Infallible>(Bytes::from(bytes)), (watch, cluster)))
        });
        ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(lines)).into_response()
    }

    async fn next(&mut self, cluster: &Mutex<Cluster>, ends: Instant) -> Option<Value> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Some(line);
            }
            let now = Instant::now();
            if self.over || now >= ends {
                return None;
            }
            {
                let world = &mut open(cluster).world;
                world.tick();
                self.catch_up(world);
                if self.bookmark && ends - now <= BOOKMARK {
                    self.bookmark = false;
                    let (version, kind) = &self.kind;
                    let metadata = json!({ "resourceVersion": world.version().to_string() });
                    let object = json!({ "kind": kind, "apiVersion": version, "metadata": metadata });
                    self.lines.push_back(line("BOOKMARK", &object));
                }
            }
            if self.lines.is_empty() {
                tokio::time::sleep(LOOK_EVERY.min(ends - now)).await;
            }
        }
    }

    /// Ends, when something is forgotten that was not told.
    fn ends_with_a_gap(&mut self, world: &World) {
        let oldest = world.history.oldest();
        if self.told >= oldest {
            return;
        }
        let message = format!("too old resource version: {} ({oldest})", self.told);
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
            "reason": "Expired", "code": 410,
        });
        self.lines.push_back(line("ERROR", &status));
        self.over = true;
    }

    /// Makes lines of what happened since the last time.
    fn catch_up(&mut self, world: &World) {
        self.ends_with_a_gap(world);
        if self.over {
            return;
        }
        for change in world.history.since(self.told) {
            let there = |object: &Option<Value>| object.as_ref().is_some_and(|it| self.wanted.has(&change.key, it));
            let kind = match (there(&change.before), there(&change.after)) {
                (false, false) => continue,
                (false, true) => "ADDED",
                (true, true) => "MODIFIED",
                (true, false) => "DELETED",
            };
            // What is gone is shown as it was last, under the version of its end.
            let shown = if kind == "DELETED" {
                &change.before
            } else {
                &change.after
            };
            let mut object = shown.clone().unwrap_or_default();
            object["metadata"]["resourceVersion"] = change.version.to_string().into();
            self.lines.push_back(line(kind, &object));
        }
        self.told = world.version();
    }
}

fn line(kind: &str, object: &Value) -> Value {
    json!({ "type": kind, "object": object })
}
