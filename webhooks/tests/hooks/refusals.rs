//! What is refused, with which answer; that nothing of it is handed over, and that the next good request works.

use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderValue, Request, StatusCode};
use tidegate_webhooks::{MissedWhy, Refused};

use crate::world::{TOKEN, World, alertmanager, fixture, post};

/// One request with something wrong about it.
struct Case {
    name: &'static str,
    request: Request<axum::body::Body>,
    status: StatusCode,
    code: &'static str,
    /// Whether the sender is known, so that somebody must be told that an alert may be lost.
    missed: bool,
}

fn good() -> String {
    fixture("alertmanager/firing-single.json")
}

fn with_header(name: http::HeaderName, value: &'static str) -> Request<axum::body::Body> {
    let mut request = alertmanager(good());
    request.headers_mut().insert(name, HeaderValue::from_static(value));
    request
}

fn without_header(name: http::HeaderName) -> Request<axum::body::Body> {
    let mut request = alertmanager(good());
    request.headers_mut().remove(name);
    request
}

fn wrong_headers() -> Vec<Case> {
    let unproven = |name, request| Case {
        name,
        request,
        status: StatusCode::UNAUTHORIZED,
        code: "unproven",
        missed: false,
    };
    let media = |name, request, code| Case {
        name,
        request,
        status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
        code,
        missed: false,
    };
    let mut two_tokens = alertmanager(good());
    two_tokens
        .headers_mut()
        .append(AUTHORIZATION, HeaderValue::from_static("Bearer guess"));
    vec![
        unproven("no token", without_header(AUTHORIZATION)),
        unproven("wrong token", with_header(AUTHORIZATION, "Bearer guess")),
        unproven(
            "beginning of the token",
            with_header(AUTHORIZATION, "Bearer s3cr3t-of-alertm"),
        ),
        unproven("token without its scheme", with_header(AUTHORIZATION, TOKEN)),
        unproven("empty token", with_header(AUTHORIZATION, "Bearer ")),
        unproven(
            "token as a basic user",
            with_header(AUTHORIZATION, "Basic czNjcjN0LW9mLWFsZXJ0bWFuYWdlcg=="),
        ),
        unproven(
            "the credentials of another receiver",
            with_header(AUTHORIZATION, "Basic YWxlcnRtYW5hZ2VyOjNjcjN0IHDDtg=="),
        ),
        unproven("the right token and another one", two_tokens),
        media("no content type", without_header(CONTENT_TYPE), "wrong-content-type"),
        media("text", with_header(CONTENT_TYPE, "text/plain"), "wrong-content-type"),
        media(
            "a form",
            with_header(CONTENT_TYPE, "application/x-www-form-urlencoded"),
            "wrong-content-type",
        ),
        media(
            "multipart",
            with_header(CONTENT_TYPE, "multipart/form-data; boundary=x"),
            "wrong-content-type",
        ),
        media(
            "Latin-1",
            with_header(CONTENT_TYPE, "application/json; charset=latin1"),
            "wrong-content-type",
        ),
        media("gzip", with_header(CONTENT_ENCODING, "gzip"), "compressed"),
        media(
            "identity and gzip",
            with_header(CONTENT_ENCODING, "identity, gzip"),
            "compressed",
        ),
    ]
}

/// Name, what is replaced in a good body, and by what. There is only one alert, so nothing of it remains.
const CHANGED: &[(&str, &str, &str)] = &[
    ("alerts missing", r#""alerts":"#, r#""alarms":"#),
    ("alerts twice", r#""status":"firing""#, r#""alerts":[]"#),
    (
        "truncated is a word",
        r#""truncatedAlerts":0"#,
        r#""truncatedAlerts":"many""#,
    ),
    (
        "truncated is negative",
        r#""truncatedAlerts":0"#,
        r#""truncatedAlerts":-1"#,
    ),
    ("version 5", r#""version":"4""#, r#""version":"5""#),
    ("version is a number", r#""version":"4""#, r#""version":4"#),
    (
        "an alert is a word",
        r#""alerts":[{"#,
        r#""alerts":["firing"],"more":[{"#,
    ),
    ("a label is a number", r#""severity":"critical""#, r#""severity":1"#),
    (
        "a label is there twice",
        r#""env":"prod""#,
        r#""env":"prod","env":"dev""#,
    ),
    (
        "an annotation is a list",
        r#""runbook_url":"#,
        r#""list":[],"runbook_url":"#,
    ),
    ("no labels", r#""labels":"#, r#""tags":"#),
    ("labels are a list", r#""labels":{"#, r#""labels":[],"tags":{"#),
    ("no fingerprint", r#""fingerprint":"#, r#""hash":"#),
    ("empty fingerprint", "f347edb4520014c5", ""),
    ("no start", r#""startsAt":"#, r#""since":"#),
    (
        "start is a number",
        r#""startsAt":"#,
        r#""startsAt":1763660994,"since":"#,
    ),
    ("start is no time", "2026-11-20T17:49:54.763Z", "soon"),
    ("unknown status", r#"[{"status":"firing""#, r#"[{"status":"maybe""#),
    (
        "resolved with the zero time",
        r#"[{"status":"firing""#,
        r#"[{"status":"resolved""#,
    ),
    ("a raw NUL", "checkout", "check\0out"),
    ("half a surrogate pair", "checkout", r"\ud800"),
];

/// Bodies that are wrong from the ground up.
fn broken() -> Vec<(&'static str, Vec<u8>)> {
    let deep = |open: &str, close: &str| [open.repeat(1_000_000), close.repeat(1_000_000)].concat();
    let mut not_utf8 = good().into_bytes();
    not_utf8[60] = 0xff;
    vec![
        ("nothing", vec![]),
        ("not JSON", b"alerts".to_vec()),
        ("a list", b"[]".to_vec()),
        ("more after the end", [good().as_bytes(), b"{}"].concat()),
        ("cut short", good().into_bytes()[..600].to_vec()),
        ("alerts are a word", br#"{"alerts":"firing"}"#.to_vec()),
        ("alerts are null", br#"{"alerts":null}"#.to_vec()),
        ("nested a million deep", deep("[", "]").into_bytes()),
        ("nested a million deep and cut short", deep("[", "").into_bytes()),
        (
            "an alert nested deep",
            format!(r#"{{"alerts":[{}]}}"#, deep("[", "]")).into_bytes(),
        ),
        (
            "a label nested deep",
            format!(r#"{{"alerts":[{{"labels":{}}}]}}"#, deep(r#"{"a":"#, "}")).into_bytes(),
        ),
        ("not UTF-8", not_utf8),
        (
            "not UTF-8 where nobody looks",
            b"{\"alerts\":[],\"more\":\"\xff\"}".to_vec(),
        ),
    ]
}

fn wrong_bodies() -> Vec<Case> {
    let changed = CHANGED.iter().map(|&(name, from, to)| {
        let body = good();
        assert!(body.contains(from), "{name}");
        (name, body.replacen(from, to, 1).into_bytes())
    });
    let case = |(name, body): (&'static str, Vec<u8>)| Case {
        name,
        request: alertmanager(body),
        status: StatusCode::BAD_REQUEST,
        code: "malformed",
        missed: true,
    };
    broken().into_iter().chain(changed).map(case).collect()
}

#[tokio::test]
async fn what_is_refused_leaves_nothing_behind_and_the_next_good_request_works() {
    let world = World::new();
    for (turn, case) in wrong_headers().into_iter().chain(wrong_bodies()).enumerate() {
        let missed_before = world.intake.missed().len();
        let got = world.send(case.request).await;
        assert_eq!(
            (got.status, &got.json()["code"]),
            (case.status, &case.code.into()),
            "{}: {}",
            case.name,
            got.body
        );
        assert_eq!(got.header("content-type"), "application/problem+json", "{}", case.name);
        assert!(got.body.len() < 1_000, "{}: {}", case.name, got.body);
        assert!(!got.body.contains(TOKEN), "{}: {}", case.name, got.body);
        assert_eq!(world.intake.received().len(), turn, "{}: handed over", case.name);
        assert_eq!(
            world.intake.missed().len() - missed_before,
            usize::from(case.missed),
            "{}",
            case.name
        );

        assert_eq!(
            world.alertmanager(good()).await.status,
            StatusCode::OK,
            "after {}",
            case.name
        );
        assert_eq!(world.intake.received().len(), turn + 1, "after {}", case.name);
    }
}

#[tokio::test]
async fn a_sender_is_told_how_to_prove_itself() {
    let world = World::new();
    for (path, challenge) in [
        ("/webhooks/alertmanager", r#"Bearer realm="tidegate""#),
        ("/webhooks/alertmanager/basic", r#"Basic realm="tidegate""#),
        (
            "/webhooks/pagerduty",
            r#"Signature realm="tidegate", header="x-pagerduty-signature""#,
        ),
        (
            "/webhooks/grafana/both",
            r#"Bearer realm="tidegate", Signature realm="tidegate", header="x-grafana-alerting-signature""#,
        ),
    ] {
        let got = world.send(post(path, &[], good())).await;
        assert_eq!(
            (got.status, got.header("www-authenticate")),
            (StatusCode::UNAUTHORIZED, challenge),
            "{path}"
        );
    }
}

#[tokio::test]
async fn every_spelling_of_json_is_json() {
    let world = World::new();
    for value in [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=\"UTF-8\"",
        "application/json; version=4",
    ] {
        let got = world.send(with_header(CONTENT_TYPE, value)).await;
        assert_eq!(got.status, StatusCode::OK, "{value}: {}", got.body);
    }
    assert_eq!(
        world.send(with_header(CONTENT_ENCODING, "identity")).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn only_post_is_served() {
    let world = World::new();
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"] {
        let mut request = alertmanager(good());
        *request.method_mut() = method.parse().unwrap();
        assert_eq!(
            world.send(request).await.status,
            StatusCode::METHOD_NOT_ALLOWED,
            "{method}"
        );
    }
    assert_eq!(world.intake.received().len(), 0);
}

#[tokio::test]
async fn what_cannot_be_stored_is_503_and_keeps_our_trouble_to_ourselves() {
    let world = World::new();
    world.intake.set_down(true);
    let got = world.alertmanager(good()).await;
    assert_eq!(
        (got.status, got.header("retry-after")),
        (StatusCode::SERVICE_UNAVAILABLE, "5")
    );
    assert_eq!(got.json()["code"], "not-stored");
    assert!(!got.body.contains("disk"), "{}", got.body);
    world.intake.set_down(false);
    assert_eq!(world.alertmanager(good()).await.status, StatusCode::OK);
    assert_eq!(world.intake.received().len(), 1);
}

#[tokio::test]
async fn what_is_missed_says_where_and_why() {
    let world = World::new();
    world.alertmanager(r#"{"alerts":"firing"}"#).await;
    let missed = world.intake.missed().remove(0);
    assert_eq!(
        (missed.source.word(), missed.receiver.as_str()),
        ("alertmanager", "default")
    );
    let MissedWhy::Malformed { detail } = missed.why else {
        panic!("{missed:?}")
    };
    assert!(detail.contains("expected a list of alerts"), "{detail}");
}

/// Whoever runs this is told what was refused and why, and never under a name or in words that a stranger chose.
#[tokio::test]
async fn what_is_refused_is_told_by_receivers_that_are_configured_and_in_our_words() {
    let world = World::new();
    let guess = [("authorization", "Bearer h4rmless-guess")];
    world.send(with_header(AUTHORIZATION, "Bearer h4rmless-guess")).await;
    world
        .send(post("/webhooks/alertmanager/invented-name", &guess, good()))
        .await;
    world.send(alertmanager(r#"{"alerts":"a word of the sender"}"#)).await;
    world.send(alertmanager(good())).await;
    let told = world.intake.refused();
    let refused = |status, code, why: &str| Refused {
        source: tidegate_rollout::Source::Alertmanager,
        receiver: "default".to_owned(),
        status,
        code,
        why: why.to_owned(),
    };
    let expected = [
        refused(401, "unproven", "the credentials are not those of this receiver"),
        refused(400, "malformed", "its body makes no sense here"),
    ];
    assert_eq!(told, expected);
}
