//! Owns the streams that keep pages fresh: "something changed", and the lines of the chat.
//! Refuses to outlive the server: a stream ends when it stops, so that a stop need not wait for browsers.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream, StreamExt};
use http::HeaderMap;
use serde::Deserialize;
use tokio_stream::wrappers::{BroadcastStream, WatchStream};

use super::App;
use crate::channel::feed::Line;

/// How often a silent stream says that it lives.
const ALIVE: Duration = Duration::from_secs(10);

fn served(app: &App, events: impl Stream<Item = Result<Event, Infallible>> + Send + 'static) -> Response {
    let stop = app.stop.clone().cancelled_owned();
    let stream = Sse::new(events.take_until(stop));
    stream.keep_alive(KeepAlive::new().interval(ALIVE)).into_response()
}

/// Says that some rollout changed, each time.
pub(super) async fn changes(State(app): State<App>) -> Response {
    let counts = WatchStream::from_changes(app.engine.changes());
    let events = counts.map(|count| Ok(Event::default().event("changed").data(count.to_string())));
    served(&app, events)
}

#[derive(Deserialize)]
pub(super) struct After {
    after: Option<String>,
}

/// The lines of the chat after the one that the reader has.
pub(super) async fn lines(State(app): State<App>, Query(query): Query<After>, headers: HeaderMap) -> Response {
    let start = app.replica.clone();
    // A browser that comes back says what it saw last; that is newer than the address it began with.
    let again = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let number = after(again.or(query.after.as_deref()), &start);
    let (missed, live) = app.engine.feed().after(number);
    // The feed is read and subscribed to under one lock. A reader too slow for it loses the stream and comes back.
    let live = BroadcastStream::new(live)
        .take_while(|line| std::future::ready(line.is_ok()))
        .filter_map(|line| std::future::ready(line.ok()));
    let events = stream::iter(missed)
        .chain(live)
        .map(move |line| Ok(event(&line, &start)));
    served(&app, events)
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
