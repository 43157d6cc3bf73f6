//! The API of the server: messages, threads, commands, and the answers to interactions.
//!
//! Says no as Discord does: with a status, a code and a message, and with 429 where there are too many calls.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::any;
use serde_json::{Value, json};

use super::rates::Left;
use super::{APP, BOT, Book, CHANNEL, GUILD, Mishap, PERMISSIONS, Posted, TOKEN, commands, judge, open, snowflake};

type Shared = Arc<Mutex<Book>>;

/// So long an answer can be edited.
const EDITABLE: Duration = Duration::from_secs(15 * 60);

pub(super) fn router(book: Shared) -> Router {
    Router::new().route("/api/v10/{*path}", any(call)).with_state(book)
}

/// A no: the status, the code, the message, and what is wrong with the body.
struct No(u16, u64, String);

fn no<T>(status: u16, code: u64, message: &str) -> Result<T, No> {
    Err(No(status, code, message.to_owned()))
}

/// A call, taken apart.
struct Call<'a> {
    method: &'a Method,
    path: Vec<&'a str>,
    query: BTreeMap<String, String>,
    body: Value,
}

async fn call(
    State(book): State<Shared>,
    method: Method,
    Path(path): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let call = Call {
        method: &method,
        path: path.split('/').collect(),
        query,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    let (answer, silent) = answer(&book, &call, &headers);
    if silent {
        std::future::pending::<()>().await;
    }
    answer
}

/// The name of a route in a test: its method and what it is about.
fn name_of(call: &Call<'_>) -> String {
    let about = call
        .path
        .iter()
        .rev()
        .find(|part| !part.bytes().all(|b| b.is_ascii_digit()));
    format!("{} {}", call.method, about.unwrap_or(&""))
}

/// The answer, and whether it is kept back.
fn answer(book: &Shared, call: &Call<'_>, headers: &HeaderMap) -> (Response, bool) {
    let mut book = open(book);
    let route = name_of(call);
    *book.calls.entry(route.clone()).or_default() += 1;
    let mishap = book.mishaps.get_mut(&route).filter(|left| !left.is_empty());
    let mishap = mishap.map(|left| left.remove(0));
    match &mishap {
        Some(Mishap::Broken) => return (StatusCode::INTERNAL_SERVER_ERROR.into_response(), false),
        Some(Mishap::TooMany(after, global)) => return (too_many(*after, *global), false),
        Some(Mishap::Says(status, code)) => return (said(&No(*status, *code, "as asked for".to_owned())), false),
        Some(Mishap::DoneButLost | Mishap::DoneAndSilent) | None => {}
    }
    let major = call.path.iter().take(2).copied().collect::<Vec<_>>().join("/");
    let left = match book.rates.count(&format!("{route} {major}")) {
        Ok(left) => left,
        Err(left) => return (too_many(left.reset_after, false), false),
    };
    let mut answer = match done(&mut book, call, headers) {
        Ok(answer) => Json(answer).into_response(),
        Err(no) => {
            book.refused.push(format!("{route}: {} {}", no.1, no.2));
            said(&no)
        }
    };
    tell(&mut answer, &left);
    match mishap {
        Some(Mishap::DoneButLost) => (StatusCode::BAD_GATEWAY.into_response(), false),
        Some(Mishap::DoneAndSilent) => (answer, true),
        _ => (answer, false),
    }
}

fn said(no: &No) -> Response {
    let status = StatusCode::from_u16(no.0).unwrap_or(StatusCode::BAD_REQUEST);
    let mut body = json!({ "code": no.1, "message": no.2 });
    if no.1 == 50_035 {
        body["message"] = "Invalid Form Body".into();
        body["errors"] = json!({ "_errors": [{ "code": "BASE_TYPE_BAD_LENGTH", "message": no.2 }] });
    }
    (status, Json(body)).into_response()
}

fn too_many(after: f64, global: bool) -> Response {
    let body = json!({ "message": "You are being rate limited.", "retry_after": after, "global": global });
    let mut answer = (StatusCode::TOO_MANY_REQUESTS, Json(body)).into_response();
    let seconds = HeaderValue::from_str(&after.ceil().to_string());
    if let Ok(seconds) = seconds {
        answer.headers_mut().insert("retry-after", seconds);
    }
    tell(
        &mut answer,
        &Left {
            remaining: 0,
            reset_after: after,
        },
    );
    answer
}

fn tell(answer: &mut Response, left: &Left) {
    for (name, value) in [
        ("x-ratelimit-limit", "5".to_owned()),
        ("x-ratelimit-remaining", left.remaining.to_string()),
        ("x-ratelimit-reset-after", format!("{:.3}", left.reset_after)),
    ] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            answer.headers_mut().insert(name, value);
        }
    }
}

fn done(book: &mut Book, call: &Call<'_>, headers: &HeaderMap) -> Result<Value, No> {
    let header = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    if !header("user-agent").starts_with("DiscordBot (http") {
        return no(403, 40_333, "internal network error: say what program you are");
    }
    if let ["webhooks", app, token, "messages", "@original"] = call.path.as_slice() {
        return edit_answer(book, app, token, &call.body);
    }
    if header("authorization") != format!("Bot {TOKEN}") {
        return no(401, 0, "401: Unauthorized");
    }
    match (call.method.as_str(), call.path.as_slice()) {
        ("POST", ["channels", place, "messages"]) => post(book, place, &call.body),
        ("GET", ["channels", place, "messages"]) => history(book, place, &call.query),
        ("PATCH", ["channels", place, "messages", id]) => edit(book, place, id, &call.body),
        ("POST", ["channels", place, "messages", id, "threads"]) => open_thread(book, place, id, &call.body),
        ("GET", ["applications", "@me"]) => Ok(json!({
            "id": APP, "name": "Tidegate", "verify_key": super::Discord::public_key(),
            "interactions_endpoint_url": book.calls_back,
        })),
        ("GET", ["channels", place]) => {
            let is_thread = known(book, place)?;
            may(book, &[])?;
            let mut channel = json!({ "id": place, "guild_id": GUILD, "type": if is_thread { 11 } else { 0 } });
            if !is_thread {
                channel["permission_overwrites"] = book.rights.overwrites();
            }
            Ok(channel)
        }
        ("GET", ["guilds", GUILD]) => Ok(book.rights.guild()),
        ("GET", ["guilds", GUILD, "members", BOT]) => Ok(book.rights.member()),
        ("GET", ["guilds", GUILD, "members", _]) => no(404, 10_007, "Unknown Member"),
        ("GET", ["guilds", _]) => no(404, 10_004, "Unknown Guild"),
        ("GET", ["applications", APP, "guilds", guild, "commands"]) if *guild == GUILD => {
            Ok(book.registered.get(*guild).cloned().unwrap_or(json!([])))
        }
        ("GET", ["applications", APP, "guilds", _, "commands"]) => no(403, 50_001, "Missing Access"),
        ("GET", ["applications", APP, "commands"]) => {
            Ok(book.registered.get("everywhere").cloned().unwrap_or(json!([])))
        }
        ("GET", ["users", "@me"]) => Ok(json!({ "id": BOT, "bot": true, "username": "tidegate" })),
        ("PUT", ["applications", APP, "guilds", guild, "commands"]) if *guild == GUILD => {
            register(book, guild, &call.body)
        }
        ("PUT", ["applications", APP, "guilds", _, "commands"]) => no(403, 50_001, "Missing Access"),
        ("PUT", ["applications", APP, "commands"]) => register(book, "everywhere", &call.body),
        _ => no(404, 0, "404: Not Found"),
    }
}

fn may(book: &Book, permissions: &[&'static str]) -> Result<(), No> {
    if !book.rights.may(PERMISSIONS[0]) {
        return no(403, 50_001, "Missing Access");
    }
    match permissions.iter().all(|it| book.rights.may(it)) {
        true => Ok(()),
        false => no(403, 50_013, "Missing Permissions"),
    }
}

fn known(book: &Book, place: &str) -> Result<bool, No> {
    let is_thread = book.threads.contains_key(place);
    match place == CHANNEL || is_thread {
        true => Ok(is_thread),
        false => no(404, 10_003, "Unknown Channel"),
    }
}

fn fit(body: &Value) -> Result<(), No> {
    judge::message(body).map_err(|why| match why.strip_prefix("50006 ") {
        Some(why) => No(400, 50_006, why.to_owned()),
        None => No(400, 50_035, why),
    })
}

fn wire(message: &Posted) -> Value {
    let mut wire = message.sent.clone();
    wire["id"] = message.id.as_str().into();
    wire["channel_id"] = message.place.as_str().into();
    wire["author"] = json!({ "id": BOT, "bot": true, "username": "tidegate" });
    // Only who posts hears the nonce again.
    wire["nonce"] = Value::Null;
    wire
}

fn post(book: &mut Book, place: &str, body: &Value) -> Result<Value, No> {
    let in_thread = known(book, place)?;
    may(
        book,
        if in_thread {
            &["SEND_MESSAGES_IN_THREADS"]
        } else {
            &["SEND_MESSAGES"]
        },
    )?;
    if !body["embeds"].as_array().is_none_or(Vec::is_empty) {
        may(book, &["EMBED_LINKS"])?;
    }
    fit(body)?;
    let nonce = body["nonce"].as_str().map(str::to_owned);
    if body["enforce_nonce"] == Value::Bool(true)
        && let Some(known) = book
            .messages
            .iter()
            .find(|known| nonce.is_some() && known.nonce == nonce)
    {
        return Ok(wire(known));
    }
    let posted = Posted {
        id: snowflake(book),
        place: place.to_owned(),
        reply_to: body["message_reference"]["message_id"].as_str().map(str::to_owned),
        sent: body.clone(),
        edits: 0,
        nonce,
    };
    let answer = wire(&posted);
    book.messages.push(posted);
    Ok(answer)
}

fn edit(book: &mut Book, place: &str, id: &str, body: &Value) -> Result<Value, No> {
    known(book, place)?;
    may(book, &[])?;
    let at = book
        .messages
        .iter()
        .position(|message| message.id == id && message.place == place);
    let Some(at) = at else {
        return no(404, 10_008, "Unknown Message");
    };
    // What is not said stays as it was.
    let mut whole = book.messages[at].sent.clone();
    for (key, value) in body.as_object().into_iter().flatten() {
        whole[key] = value.clone();
    }
    fit(&whole)?;
    let message = &mut book.messages[at];
    message.sent = whole;
    message.edits += 1;
    Ok(wire(message))
}

fn history(book: &Book, place: &str, query: &BTreeMap<String, String>) -> Result<Value, No> {
    known(book, place)?;
    may(book, &["READ_MESSAGE_HISTORY"])?;
    let number = |key: &str, usual: u64| query.get(key).map_or(Ok(usual), |text| text.parse::<u64>());
    let (Ok(limit @ 1..=100), Ok(after)) = (number("limit", 50), number("after", 0)) else {
        return no(400, 50_035, "limit: must be between 1 and 100");
    };
    let is_after = |message: &&Posted| message.id.parse::<u64>().is_ok_and(|id| id > after);
    let at_the_place = book
        .messages
        .iter()
        .filter(|message| message.place == place)
        .filter(is_after);
    // The next ones after that id, the newest first.
    let mut page: Vec<Value> = at_the_place
        .take(usize::try_from(limit).unwrap_or(100))
        .map(wire)
        .collect();
    page.reverse();
    Ok(page.into())
}

fn open_thread(book: &mut Book, place: &str, id: &str, body: &Value) -> Result<Value, No> {
    known(book, place)?;
    may(book, &["CREATE_PUBLIC_THREADS"])?;
    if !book.messages.iter().any(|message| message.id == id) {
        return no(404, 10_008, "Unknown Message");
    }
    if book.threads.contains_key(id) {
        return no(400, 160_004, "A thread has already been created for this message");
    }
    let name = body["name"].as_str().unwrap_or_default();
    if !(1..=100).contains(&name.chars().count()) {
        return no(400, 50_035, "name: must be between 1 and 100 in length");
    }
    if ![60, 1_440, 4_320, 10_080].contains(&body["auto_archive_duration"].as_u64().unwrap_or(60)) {
        return no(
            400,
            50_035,
            "auto_archive_duration: Value must be one of (60, 1440, 4320, 10080)",
        );
    }
    book.threads.insert(id.to_owned(), name.to_owned());
    Ok(json!({ "id": id, "name": name, "type": 11, "parent_id": place }))
}

fn edit_answer(book: &mut Book, app: &str, token: &str, body: &Value) -> Result<Value, No> {
    let occasion = book.occasions.get_mut(token).filter(|_| app == APP);
    let Some(occasion) = occasion.filter(|occasion| occasion.acknowledged) else {
        return no(404, 10_015, "Unknown Webhook");
    };
    if occasion.begun.elapsed() > EDITABLE {
        return no(401, 50_027, "Invalid Webhook Token");
    }
    fit(body)?;
    occasion.shown = Some(body.clone());
    Ok(body.clone())
}

fn register(book: &mut Book, place: &str, body: &Value) -> Result<Value, No> {
    register_at(book, place, body).map_err(|why| No(400, 50_035, why))
}

/// Keeps commands that Discord would keep.
pub(super) fn register_at(book: &mut Book, place: &str, body: &Value) -> Result<Value, String> {
    commands::judge(body)?;
    let mut kept = body.clone();
    for command in kept.as_array_mut().into_iter().flatten() {
        command["id"] = snowflake(book).into();
    }
    book.registered.insert(place.to_owned(), kept.clone());
    Ok(kept)
}
