//! Slack's two addresses as Slack meets them, with the bodies of its documentation.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use hmac::{Hmac, KeyInit, Mac};
use http::{Request, StatusCode};
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::Sha256;
use tidegate_webhooks::SigningSecrets;
use tidegate_webhooks::slack::{App, Heard, Listener, Replayed, Reply, What, router};
use tower::ServiceExt;

use super::world::fixture;

const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
const BEFORE: &str = "the-secret-before";
const NOW: i64 = 1_795_000_000;

/// Keeps what it hears; the same proof twice is a replay.
#[derive(Default)]
struct Ear(Mutex<Vec<Heard>>);

impl Listener for Ear {
    async fn hear(&self, heard: Heard) -> Result<Reply, Replayed> {
        let mut all = self.0.lock().unwrap();
        if all.iter().any(|earlier| earlier.proof == heard.proof) {
            return Err(Replayed);
        }
        all.push(heard);
        Ok(Reply::Json(json!({ "text": "heard" })))
    }
}

struct World {
    router: Router,
    ear: Arc<Ear>,
}

impl World {
    fn new(id: Option<&str>) -> Self {
        let secrets = [SECRET, BEFORE].map(SecretString::from);
        let app = Arc::new(App {
            secrets: SigningSecrets::new(secrets).unwrap(),
            workspaces: vec!["T0001".to_owned()],
            id: id.map(str::to_owned),
        });
        let ear = Arc::new(Ear::default());
        let now = || Timestamp::from_second(NOW).unwrap();
        Self {
            router: router(move || Some(Arc::clone(&app)), now, Arc::clone(&ear)),
            ear,
        }
    }

    async fn post(&self, path: &str, body: &str, secret: &str, at: i64) -> (StatusCode, Value) {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("v0:{at}:{body}").as_bytes());
        let signature = format!("v0={}", hex::encode(mac.finalize().into_bytes()));
        let request = Request::post(path)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("x-slack-request-timestamp", at)
            .header("x-slack-signature", signature)
            .body(Body::from(body.to_owned()))
            .unwrap();
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let status = answer.status();
        let bytes = to_bytes(answer.into_body(), 100_000).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    fn heard(&self) -> Vec<Heard> {
        self.ear.0.lock().unwrap().clone()
    }
}

fn payload(name: &str) -> String {
    let json: String = fixture(name);
    url::form_urlencoded::Serializer::new(String::new())
        .append_pair("payload", &json)
        .finish()
}

#[tokio::test]
async fn the_commands_of_the_documentation_are_understood() {
    let world = World::new(Some("A123456"));
    for (number, (name, text)) in [
        ("slack/slash-status.form", "status"),
        (
            "slack/slash-rollback.form",
            "rollback checkout --reason \"errors in v2\"",
        ),
        ("slack/slash-promote.form", "promote checkout 25%"),
        ("slack/slash-empty.form", ""),
    ]
    .into_iter()
    .enumerate()
    {
        let body = fixture(name);
        let secret = if number % 2 == 0 { SECRET } else { BEFORE };
        let (status, answer) = world.post("/slack/commands", &body, secret, NOW).await;
        assert_eq!((status, &answer["text"]), (StatusCode::OK, &json!("heard")), "{name}");
        let heard = world.heard().pop().unwrap();
        assert_eq!(heard.what, What::Command { text: text.to_owned() });
        assert_eq!((heard.team.as_str(), heard.user.as_str()), ("T0001", "U2147483697"));
        assert_eq!(heard.trigger, "13345224609.738474920.8088930838d88f008e0");
        assert!(
            heard
                .response_url
                .unwrap()
                .starts_with("https://hooks.slack.com/commands/")
        );
    }
}

#[tokio::test]
async fn a_button_and_a_form_are_understood() {
    let world = World::new(Some("A123456"));
    let pressed = world
        .post("/slack/interactions", &payload("slack/block_actions.json"), SECRET, NOW)
        .await;
    assert_eq!(pressed.0, StatusCode::OK);
    let sent = world
        .post(
            "/slack/interactions",
            &payload("slack/view_submission.json"),
            SECRET,
            NOW,
        )
        .await;
    assert_eq!(sent.0, StatusCode::OK);
    let heard = world.heard();
    let What::Press {
        action,
        value,
        view: None,
    } = &heard[0].what
    else {
        panic!("{:?}", heard[0])
    };
    assert_eq!((action.as_str(), value.as_str()), ("approve", "rollout-42"));
    let What::Submit(view) = &heard[1].what else {
        panic!("{:?}", heard[1])
    };
    assert_eq!((view.id.as_str(), view.callback.as_str()), ("V111", "confirm_rollback"));
    assert_eq!(view.fields, [("reason".to_owned(), "errors".to_owned())]);
}

#[tokio::test]
async fn the_documented_signature_is_the_one_that_is_checked() {
    // The example of Slack's documentation, letter by letter.
    let world = World::new(None);
    let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V\
                &channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=\
                &response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN\
                &trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(format!("v0:1531420618:{body}").as_bytes());
    let signature = hex::encode(mac.finalize().into_bytes());
    assert_eq!(
        signature,
        "a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    );
    let (status, _) = world.post("/slack/commands", body, SECRET, 1_531_420_618).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "that was years ago");
}

#[tokio::test]
async fn what_is_not_for_us_is_refused() {
    for (path, whole) in [
        ("/slack/commands", fixture("slack/slash-status.form")),
        ("/slack/interactions", payload("slack/block_actions.json")),
        ("/slack/interactions", payload("slack/view_submission.json")),
    ] {
        let world = World::new(Some("A123456"));
        for (body, secret, at, why) in [
            (whole.clone(), "a guess", NOW, "another secret"),
            (whole.clone(), SECRET, NOW - 301, "too old"),
            (whole.clone(), SECRET, NOW + 301, "from the future"),
            (whole.replace("T0001", "T0002"), SECRET, NOW, "another workspace"),
            (whole.replace("A123456", "A654321"), SECRET, NOW, "another app"),
        ] {
            let (answer, body) = world.post(path, &body, secret, at).await;
            assert_eq!(
                (answer, &body["code"]),
                (StatusCode::UNAUTHORIZED, &json!("unproven")),
                "{path}: {why}"
            );
        }
        assert!(world.heard().is_empty(), "{path}");
        let (first, _) = world.post(path, &whole, SECRET, NOW).await;
        let (second, _) = world.post(path, &whole, SECRET, NOW).await;
        assert_eq!((first, second), (StatusCode::OK, StatusCode::UNAUTHORIZED), "{path}");
    }
}

#[tokio::test]
async fn where_no_app_is_configured_there_is_nothing() {
    let router = router(
        || None,
        || Timestamp::from_second(NOW).unwrap(),
        Arc::new(Ear::default()),
    );
    let request = Request::post("/slack/commands").body(Body::empty()).unwrap();
    assert_eq!(router.oneshot(request).await.unwrap().status(), StatusCode::NOT_FOUND);
}
