//! Owns the streams that keep pages fresh: "something changed", and the lines of the chat.
//! Refuses to outlive the server, and the right of its reader to see: it ends with the session, so that nobody who was
//! shut out reads on.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream, StreamExt};
use http::HeaderMap;
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_stream::wrappers::{BroadcastStream, WatchStream};

use super::App;
use crate::channel::feed::Line;
use crate::http::asked::Query;
use crate::http::{Auth, Guard, Problem};

/// How often a silent stream says that it lives.
const ALIVE: Duration = Duration::from_secs(10);
/// How often it is asked whether the reader may still read; a revocation on this server is heard at once.
const LOOK: Duration = Duration::from_secs(5);
/// So many streams there are at most. Whoever gets none reads the page again by its clock.
const MOST: usize = 256;

/// What the streams are made of.
#[derive(Clone)]
pub(super) struct Streams {
    app: App,
    guard: Arc<Guard>,
    places: Arc<Semaphore>,
}

impl Streams {
    pub(super) fn new(app: App, guard: Arc<Guard>) -> Self {
        Self {
            app,
            guard,
            places: Arc::new(Semaphore::new(MOST)),
        }
    }

    /// Serves `events` to whoever sent `headers`, for as long as they may read them and the server runs.
    fn serve(
        &self,
        headers: HeaderMap,
        events: impl Stream<Item = Result<Event, Infallible>> + Send + 'static,
    ) -> Response {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return Problem::unavailable("Too many pages are watched at once; this one reads itself again.")
                .into_response();
        };
        let (stop, guard) = (self.app.stop.clone(), self.guard.clone());
        let end = async move {
            tokio::select! {
                () = stop.cancelled_owned() => {}
                () = shut_out(&guard, &headers) => {}
            }
            drop(place);
        };
        let stream = Sse::new(events.take_until(Box::pin(end)));
        stream.keep_alive(KeepAlive::new().interval(ALIVE)).into_response()
    }
}

/// Waits until whoever sent these headers may no longer read: signed out, revoked, expired, or not named any more.
async fn shut_out(guard: &Guard, headers: &HeaderMap) {
    let mut revocations = guard.keyring.revocations();
    while guard.still_admits(headers, Auth::PERSON).await {
        // Either way it is time to look again.
        let _ = timeout(LOOK, revocations.changed()).await;
    }
}

/// Says that some rollout changed, each time.
pub(super) async fn changes(State(streams): State<Streams>, headers: HeaderMap) -> Response {
    let counts = WatchStream::from_changes(streams.app.engine.changes());
    let events = counts.map(|count| Ok(Event::default().event("changed").data(count.to_string())));
    streams.serve(headers, events)
}

#[derive(Deserialize)]
pub(super) struct After {
    after: Option<String>,
}

/// The lines of the chat after the one that the reader has.
pub(super) async fn lines(State(streams): State<Streams>, Query(query): Query<After>, headers: HeaderMap) -> Response {
    let start = streams.app.replica.clone();
    // A browser that comes back says what it saw last; that is newer than the address it began with.
    let again = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let number = after(again.or(query.after.as_deref()), &start);
    let (missed, live) = streams.app.engine.feed().after(number);
    // The feed is read and subscribed to under one lock. A reader too slow for it loses the stream and comes back.
    let live = BroadcastStream::new(live)
        .take_while(|line| std::future::ready(line.is_ok()))
        .filter_map(|line| std::future::ready(line.ok()));
    let events = stream::iter(missed)
        .chain(live)
        .map(move |line| Ok(event(&line, &start)));
    streams.serve(headers, events)
}

/// The number behind an id of this start; 0 for an id of another one, whose numbers mean nothing here.
fn after(id: Option<&str>, start: &str) -> u64 {
    let number = |id: &str| id.strip_prefix(start)?.strip_prefix('.')?.parse().ok();
    id.and_then(number).unwrap_or(0)
}

fn event(line: &Line, start: &str) -> Event {
    let data = serde_json::to_string(line).unwrap_or_default();
    Event::default().id(format!("{start}.{}", line.number)).data(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_another_start_asks_for_everything() {
        assert_eq!(after(Some("one.41"), "one"), 41);
        assert_eq!(after(Some("two.41"), "one"), 0);
        assert_eq!(after(Some("one."), "one"), 0);
        assert_eq!(after(None, "one"), 0);
    }
}
