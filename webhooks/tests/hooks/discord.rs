//! Discord's address as Discord meets it, with the bodies of its documentation.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use ed25519_dalek::{Signer, SigningKey};
use http::{Request, StatusCode};
use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tidegate_webhooks::discord::{App, Form, Heard, Listener, NoKey, Replayed, Reply, Spoken, What, router};
use tower::ServiceExt;

use super::world::fixture;

const APP: &str = "771825006014889999";
const GUILD: &str = "290926798626357999";
const NOW: i64 = 1_795_000_000;
const SEED: [u8; 32] = [1; 32];

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
        Ok(Reply::Json(json!({ "type": 4 })))
    }
}

struct World {
    router: Router,
    ear: Arc<Ear>,
}

impl World {
    fn new() -> Self {
        let key = hex::encode(SigningKey::from_bytes(&SEED).verifying_key().to_bytes());
        let app = Arc::new(App::new(&key, APP.to_owned(), vec![GUILD.to_owned()]).unwrap());
        let ear = Arc::new(Ear::default());
        let now = || Timestamp::from_second(NOW).unwrap();
        Self {
            router: router(move || Some(Arc::clone(&app)), now, Arc::clone(&ear)),
            ear,
        }
    }

    async fn post(&self, body: &str, seed: [u8; 32], at: i64) -> (StatusCode, Value) {
        let signature = SigningKey::from_bytes(&seed).sign(format!("{at}{body}").as_bytes());
        let request = Request::post("/discord/interactions")
            .header("content-type", "application/json")
            .header("x-signature-timestamp", at)
            .header("x-signature-ed25519", hex::encode(signature.to_bytes()))
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

#[tokio::test]
async fn the_interactions_of_the_documentation_are_understood() {
    let world = World::new();
    for name in ["slash-rollback", "autocomplete", "component-button"] {
        let body = fixture(&format!("discord/{name}.json"));
        let (status, answer) = world.post(&body, SEED, NOW).await;
        assert_eq!((status, answer), (StatusCode::OK, json!({ "type": 4 })), "{name}");
    }
    let heard = world.heard();
    for one in &heard {
        assert_eq!((one.guild.as_str(), one.user.as_str()), (GUILD, "53908232506183680"));
        assert_eq!(one.place.as_deref(), Some("645027906669510667"));
        assert_eq!(
            (one.id.as_str(), one.token.expose_secret()),
            ("786008729715212338", "aW50ZXJhY3Rpb24udG9rZW4")
        );
    }
    let spoken = |options: &[(&str, &str)]| Spoken {
        verb: "rollback".to_owned(),
        options: options
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect(),
    };
    let what: Vec<&What> = heard.iter().map(|one| &one.what).collect();
    assert_eq!(
        *what[0],
        What::Command(spoken(&[("service", "checkout"), ("reason", "errors in v2")]))
    );
    let complete = What::Complete {
        spoken: spoken(&[("service", "che")]),
        focused: "service".to_owned(),
        typed: "che".to_owned(),
    };
    assert_eq!(*what[1], complete);
    let button = "approve:rollout-42".to_owned();
    assert_eq!(*what[2], What::Press { button });
    assert!(
        !format!("{heard:?}").contains("aW50ZXJhY3Rpb24udG9rZW4"),
        "the token would print"
    );
}

/// Where it was said only helps to know what is meant.
#[tokio::test]
async fn a_place_that_is_not_named_as_it_should_be_silences_nobody() {
    let world = World::new();
    let whole: Value = serde_json::from_str(&fixture("discord/slash-rollback.json")).unwrap();
    for (number, place) in [Value::Null, json!(7), json!({}), json!("77\u{0}8")]
        .into_iter()
        .enumerate()
    {
        let mut body = whole.clone();
        body["id"] = format!("78600872971521234{number}").into();
        body["channel_id"] = place;
        let (status, _) = world.post(&body.to_string(), SEED, NOW).await;
        assert_eq!(status, StatusCode::OK);
    }
    let places: Vec<Option<String>> = world.heard().into_iter().map(|one| one.place).collect();
    assert_eq!(places, [None, None, None, Some("77␀8".to_owned())]);
}

/// A label around each field as the documentation has it, a row around fields as older forms have them, and words alone.
#[tokio::test]
async fn a_form_and_a_choice_are_understood() {
    let world = World::new();
    let form = fixture("discord/modal.json");
    let mut old: Value = serde_json::from_str(&form).unwrap();
    old["id"] = "786008729715212339".into();
    old["data"]["components"] = json!([
        { "type": 10, "id": 1 },
        { "type": 1, "components": [{ "type": 4, "custom_id": "a", "value": "1" }, { "type": 4, "custom_id": "b", "value": "2" }] },
        { "type": 18, "component": { "type": 3, "custom_id": "c", "values": ["3"] } },
        { "type": 18, "component": { "type": 4, "custom_id": "empty", "value": "" } },
        { "type": 18, "component": { "type": 3, "custom_id": "nothing", "values": [] } },
    ]);
    let mut choice: Value = serde_json::from_str(&fixture("discord/component-button.json")).unwrap();
    choice["data"] = json!({ "component_type": 3, "custom_id": "v1:plan:", "values": ["checkout"] });
    for body in [form, old.to_string(), choice.to_string()] {
        let (status, answer) = world.post(&body, SEED, NOW).await;
        assert_eq!((status, answer), (StatusCode::OK, json!({ "type": 4 })), "{body}");
    }
    let form = |fields: &[(&str, &str)]| {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        What::Submit(Form {
            name: "confirm".to_owned(),
            fields: fields.iter().map(owned).collect(),
        })
    };
    let heard = world.heard();
    assert_eq!(heard[0].what, form(&[("reason", "errors")]));
    assert_eq!(
        heard[1].what,
        form(&[("a", "1"), ("b", "2"), ("c", "3"), ("empty", "")])
    );
    let (list, value) = ("v1:plan:".to_owned(), "checkout".to_owned());
    assert_eq!(heard[2].what, What::Choose { list, value });
    choice["data"]["values"] = json!(["one", "two"]);
    let (status, _) = world.post(&choice.to_string(), SEED, NOW).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "two choices from a list for one");
}

#[tokio::test]
async fn a_ping_is_answered_here() {
    let world = World::new();
    let ping = fixture("discord/ping.json");
    let (status, answer) = world.post(&ping, SEED, NOW).await;
    assert_eq!((status, answer), (StatusCode::OK, json!({ "type": 1 })));
    let (status, _) = world.post(&ping, [2; 32], NOW).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "another key");
    assert!(world.heard().is_empty());
}

#[tokio::test]
async fn what_is_not_for_us_is_refused() {
    let world = World::new();
    let command = fixture("discord/slash-rollback.json");
    for (body, seed, at, why) in [
        (command.clone(), [2; 32], NOW, "another key"),
        (command.clone(), SEED, NOW - 301, "too old"),
        (command.clone(), SEED, NOW + 301, "from the future"),
        (
            command.replace(GUILD, "290926798626357000"),
            SEED,
            NOW,
            "another server",
        ),
        (
            command.replace(APP, "771825006014889000"),
            SEED,
            NOW,
            "another application",
        ),
        (fixture("discord/slash-dm.json"), SEED, NOW, "a direct message"),
    ] {
        let (status, body) = world.post(&body, seed, at).await;
        assert_eq!(
            (status, &body["code"]),
            (StatusCode::UNAUTHORIZED, &json!("unproven")),
            "{why}"
        );
    }
    assert!(world.heard().is_empty());
    let (first, _) = world.post(&command, SEED, NOW).await;
    let (second, _) = world.post(&command, SEED, NOW).await;
    assert_eq!((first, second), (StatusCode::OK, StatusCode::UNAUTHORIZED));
}

#[tokio::test]
async fn where_no_application_is_configured_there_is_nothing() {
    let router = router(
        || None,
        || Timestamp::from_second(NOW).unwrap(),
        Arc::new(Ear::default()),
    );
    let request = Request::post("/discord/interactions").body(Body::empty()).unwrap();
    assert_eq!(router.oneshot(request).await.unwrap().status(), StatusCode::NOT_FOUND);
}

#[test]
fn what_is_no_key_is_refused() {
    for text in ["", "00", &"g".repeat(64), &"00".repeat(33)] {
        assert_eq!(App::new(text, APP.to_owned(), Vec::new()).unwrap_err(), NoKey, "{text}");
    }
}
