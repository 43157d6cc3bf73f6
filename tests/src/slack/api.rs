//! The Web API of the workspace, and the addresses for late answers.
//!
//! Says no as Slack does: with status 200 and a word, but for "too many", which is 429 with `Retry-After`.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use serde_json::{Value, json};

use super::{Book, CHANNEL, Mishap, Posted, TEAM, blocks, open, seconds};

type Shared = Arc<Mutex<Book>>;

/// How long a trigger opens a form, and how long Slack waits for the answer to one that was sent off.
const TRIGGER: Duration = Duration::from_secs(3);
/// One message a second in a channel. Slack forgives a little; so does this.
const PACE: Duration = Duration::from_millis(900);
/// Edits of all messages, in a minute.
const EDITS: usize = 50;
/// Answers to one address.
const ANSWERS: usize = 5;

pub(super) fn router(book: Shared) -> Router {
    Router::new()
        .route("/api/{method}", post(call))
        .route("/hooks/{number}", post(late))
        .with_state(book)
}

/// A no.
enum No {
    Word(String),
    TooMany(u64),
}

fn no<T>(word: &str) -> Result<T, No> {
    Err(No::Word(word.to_owned()))
}

async fn call(State(book): State<Shared>, Path(method): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    let (answer, silent) = judge(&book, method, &headers, &body);
    if silent {
        std::future::pending::<()>().await;
    }
    answer
}

/// The answer, and whether it is kept back.
fn judge(book: &Shared, method: String, headers: &HeaderMap, body: &[u8]) -> (Response, bool) {
    let mut book = open(book);
    book.calls.entry(method.clone()).or_default().push(Instant::now());
    let mishap = book.mishaps.get_mut(&method).filter(|left| !left.is_empty());
    let mishap = mishap.map(|left| left.remove(0));
    let outcome = match &mishap {
        Some(Mishap::Says(word)) => no(word),
        Some(Mishap::TooMany(seconds)) => Err(No::TooMany(*seconds)),
        Some(Mishap::Broken) => return (StatusCode::INTERNAL_SERVER_ERROR.into_response(), false),
        Some(Mishap::DoneButLost | Mishap::DoneAndSilent) | None => done(&mut book, &method, headers, body),
    };
    if matches!(mishap, Some(Mishap::DoneButLost)) {
        return (StatusCode::BAD_GATEWAY.into_response(), false);
    }
    let silent = matches!(mishap, Some(Mishap::DoneAndSilent));
    let answer = match outcome {
        Ok(mut answer) => {
            answer["ok"] = true.into();
            with_head(&book, Json(answer).into_response())
        }
        Err(No::TooMany(seconds)) => {
            (StatusCode::TOO_MANY_REQUESTS, [("retry-after", seconds.to_string())]).into_response()
        }
        Err(No::Word(word)) => {
            let error = word.split(':').next().unwrap_or_default().to_owned();
            if mishap.is_none() {
                book.refused.push(format!("{method}: {word}"));
            }
            Json(json!({ "ok": false, "error": error })).into_response()
        }
    };
    (answer, silent)
}

/// What stands in the head of every answer to a token that is known.
fn with_head(book: &Book, mut answer: Response) -> Response {
    let head = answer.headers_mut();
    if let Ok(scopes) = book.scopes.join(",").parse() {
        head.insert("x-oauth-scopes", scopes);
    }
    let seconds = i64::try_from(seconds()).unwrap_or(0) + book.clock_ahead;
    let date = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    if let Ok(date) = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string().parse() {
        head.insert("date", date);
    }
    answer
}

fn done(book: &mut Book, method: &str, headers: &HeaderMap, body: &[u8]) -> Result<Value, No> {
    let header = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    match header("authorization").strip_prefix("Bearer ") {
        None => return no("not_authed"),
        Some(token) if token != book.token => return no("invalid_auth"),
        Some(_) => {}
    }
    let is_json = header("content-type").starts_with("application/json");
    let reads = method.starts_with("conversations.");
    if method == "auth.test" {
        // Takes whatever it is sent, and needs no scope.
        return Ok(json!({
            "url": "https://acme.slack.com/", "team": "Acme", "team_id": TEAM, "user": "tidegate", "user_id": "U0BOT",
            "bot_id": "B0BOT", "is_enterprise_install": false,
        }));
    }
    if is_json == reads {
        return no(if reads {
            "invalid_form_data"
        } else {
            "invalid_post_type"
        });
    }
    let arguments: Value = if is_json {
        serde_json::from_slice(body).map_err(|_| No::Word("invalid_json".to_owned()))?
    } else {
        let fields = url::form_urlencoded::parse(body);
        fields
            .map(|(name, value)| (name.into_owned(), Value::from(value.into_owned())))
            .collect()
    };
    let scope = match method {
        "chat.postMessage" | "chat.update" => "chat:write",
        "conversations.history" | "conversations.replies" => "channels:history",
        _ => "commands",
    };
    if !book.scopes.contains(&scope) {
        return no("missing_scope");
    }
    match method {
        "chat.postMessage" => post_message(book, &arguments),
        "chat.update" => update(book, &arguments),
        "conversations.history" => history(book, &arguments),
        "conversations.replies" => replies(book, &arguments),
        "views.open" => open_view(book, &arguments),
        "views.update" => update_view(book, &arguments),
        _ => no("unknown_method"),
    }
}

fn channel(book: &Book, arguments: &Value) -> Result<(), No> {
    match arguments["channel"].as_str() {
        Some(CHANNEL) if book.member => Ok(()),
        Some(CHANNEL) => no("not_in_channel"),
        _ => no("channel_not_found"),
    }
}

fn fit(arguments: &Value) -> Result<(), No> {
    blocks::message(arguments).map_err(No::Word)?;
    let metadata = &arguments["metadata"];
    if metadata.is_null() {
        return Ok(());
    }
    let named = metadata["event_type"].as_str().is_some_and(|name| !name.is_empty());
    if !named || !metadata["event_payload"].is_object() {
        return no("invalid_metadata_format");
    }
    Ok(())
}

fn post_message(book: &mut Book, arguments: &Value) -> Result<Value, No> {
    channel(book, arguments)?;
    fit(arguments)?;
    let now = Instant::now();
    let last = book.messages.iter().map(|message| message.at).max();
    if book.paced && last.is_some_and(|at| now.duration_since(at) < PACE) {
        return Err(No::TooMany(1));
    }
    let thread = arguments["thread_ts"].as_str().map(str::to_owned);
    if let Some(thread) = &thread
        && !book.messages.iter().any(|message| message.ts == *thread)
    {
        return no("thread_not_found");
    }
    book.number += 1;
    let ts = format!("{}.{:06}", seconds(), book.number);
    book.messages.push(Posted {
        ts: ts.clone(),
        broadcast: thread.is_some() && arguments["reply_broadcast"] == Value::Bool(true),
        thread,
        text: arguments["text"].as_str().unwrap_or_default().to_owned(),
        blocks: arguments["blocks"].as_array().cloned().unwrap_or_default(),
        sent: arguments.clone(),
        edits: 0,
        at: now,
    });
    Ok(json!({ "channel": CHANNEL, "ts": ts, "message": { "ts": ts } }))
}

fn update(book: &mut Book, arguments: &Value) -> Result<Value, No> {
    channel(book, arguments)?;
    fit(arguments)?;
    let minute = Duration::from_secs(60);
    let calls = book.calls.get("chat.update").map(Vec::as_slice).unwrap_or_default();
    if calls.iter().filter(|at| at.elapsed() < minute).count() > EDITS {
        return Err(No::TooMany(5));
    }
    let ts = arguments["ts"].as_str().unwrap_or_default();
    let Some(message) = book.messages.iter_mut().find(|message| message.ts == ts) else {
        return no("message_not_found");
    };
    let reused = |name: &Value| message.blocks.iter().any(|block| block["block_id"] == *name);
    let new: Vec<Value> = arguments["blocks"].as_array().cloned().unwrap_or_default();
    let changed = new != message.blocks;
    if changed
        && new
            .iter()
            .any(|block| !block["block_id"].is_null() && reused(&block["block_id"]) && !message.blocks.contains(block))
    {
        return no("invalid_blocks: an edited block needs a new block_id");
    }
    message.text = arguments["text"].as_str().unwrap_or_default().to_owned();
    message.blocks = new;
    message.sent = arguments.clone();
    message.edits += 1;
    Ok(json!({ "channel": CHANNEL, "ts": ts }))
}

fn wire(message: &Posted, arguments: &Value) -> Value {
    let mut wire = json!({ "type": "message", "ts": message.ts, "text": message.text });
    if arguments["include_all_metadata"] == "true" {
        wire["metadata"] = message.sent["metadata"].clone();
    }
    if let Some(thread) = &message.thread {
        wire["thread_ts"] = thread.as_str().into();
    }
    wire
}

fn history(book: &Book, arguments: &Value) -> Result<Value, No> {
    channel(book, arguments)?;
    let oldest: f64 = arguments["oldest"]
        .as_str()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0.0);
    let after = |message: &&Posted| message.ts.parse::<f64>().is_ok_and(|ts| ts > oldest);
    let in_channel = |message: &&Posted| message.thread.is_none() || message.broadcast;
    let found = book.messages.iter().rev().filter(after).filter(in_channel);
    let messages: Vec<Value> = found.map(|message| wire(message, arguments)).collect();
    Ok(json!({ "messages": messages, "has_more": false }))
}

fn replies(book: &Book, arguments: &Value) -> Result<Value, No> {
    channel(book, arguments)?;
    let ts = arguments["ts"].as_str().unwrap_or_default();
    if !book.messages.iter().any(|message| message.ts == ts) {
        return no("thread_not_found");
    }
    let inside = |message: &&Posted| message.ts == ts || message.thread.as_deref() == Some(ts);
    let found = book.messages.iter().filter(inside);
    let messages: Vec<Value> = found.map(|message| wire(message, arguments)).collect();
    Ok(json!({ "messages": messages, "has_more": false }))
}

fn open_view(book: &mut Book, arguments: &Value) -> Result<Value, No> {
    let trigger = arguments["trigger_id"].as_str().unwrap_or_default();
    match book.triggers.get_mut(trigger) {
        None => return no("invalid_trigger_id"),
        Some((_, true)) => return no("exchanged_trigger_id"),
        Some((at, _)) if at.elapsed() > TRIGGER => return no("expired_trigger_id"),
        Some((_, used)) => *used = true,
    }
    blocks::view(&arguments["view"]).map_err(No::Word)?;
    book.number += 1;
    let id = format!("V{:06}", book.number);
    keep(book, &id, &arguments["view"]);
    Ok(json!({ "view": book.views[&id] }))
}

/// Keeps a form as it stands now.
pub(super) fn keep(book: &mut Book, id: &str, view: &Value) {
    book.number += 1;
    let mut kept = view.clone();
    kept["id"] = id.into();
    kept["hash"] = format!("{}.h", book.number).into();
    book.views.insert(id.to_owned(), kept);
}

fn update_view(book: &mut Book, arguments: &Value) -> Result<Value, No> {
    let Some(id) = arguments["view_id"].as_str().map(str::to_owned) else {
        return no("invalid_arguments: neither `view_id` nor `external_id`");
    };
    if book.sent_off.get(&id).is_some_and(|at| at.elapsed() < TRIGGER) {
        // Slack takes it. But the answer to the request may come after it, and then stands in its place for ever.
        book.refused
            .push(format!("views.update: {id} was sent off less than three seconds ago"));
    }
    let Some(known) = book.views.get(&id) else {
        return no("not_found");
    };
    if !arguments["hash"].is_null() && arguments["hash"] != known["hash"] {
        return no("hash_conflict");
    }
    blocks::view(&arguments["view"]).map_err(No::Word)?;
    keep(book, &id, &arguments["view"]);
    Ok(json!({ "view": book.views[&id] }))
}

/// A late answer; an address takes five of them.
async fn late(State(book): State<Shared>, Path(number): Path<String>, body: Bytes) -> Response {
    let mut book = open(&book);
    let before = book.late.iter().filter(|(known, _)| *known == number).count();
    let Ok(answer) = serde_json::from_slice::<Value>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    if before >= ANSWERS {
        return (StatusCode::NOT_FOUND, "used_url").into_response();
    }
    if let Err(why) = blocks::message(&answer) {
        book.refused.push(format!("late answer: {why}"));
        return (StatusCode::BAD_REQUEST, why).into_response();
    }
    book.late.push((number, answer));
    "ok".into_response()
}
