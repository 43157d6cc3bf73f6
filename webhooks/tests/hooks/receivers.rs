//! How receivers are made, shown and exchanged.

use std::sync::{Arc, Mutex};

use axum::body::Body;
use http::StatusCode;
use secrecy::SecretString;
use tidegate_rollout::Source;
use tidegate_webhooks::{Credential, Limits, Receiver, ReceiverError, Receivers, SigningSecrets, paths, router};
use tower::ServiceExt;

use crate::world::{self, GRAFANA_SECRET, PAGERDUTY_SECRET, Recorder, TOKEN, alertmanager, fixture};

fn bearer(token: &str) -> Result<Credential, ReceiverError> {
    Credential::bearer(&token.into())
}

#[test]
fn a_receiver_without_an_authenticator_cannot_be_made() {
    assert_eq!(
        Receiver::alertmanager(vec![]).unwrap_err(),
        ReceiverError::NoAuthenticator
    );
    assert_eq!(
        Receiver::grafana(vec![], None).unwrap_err(),
        ReceiverError::NoAuthenticator
    );
    assert_eq!(SigningSecrets::new([]).unwrap_err(), ReceiverError::NoAuthenticator);
}

#[test]
fn a_secret_that_anybody_has_or_that_never_matches_is_refused() {
    for (secret, error) in [
        ("", ReceiverError::EmptySecret),
        ("  \n", ReceiverError::EmptySecret),
        ("token\n", ReceiverError::WhiteSpaceAroundSecret),
        (" token", ReceiverError::WhiteSpaceAroundSecret),
    ] {
        assert_eq!(bearer(secret).unwrap_err(), error, "{secret:?}");
        assert_eq!(
            Credential::basic("user", &secret.into()).unwrap_err(),
            error,
            "{secret:?}"
        );
        let secrets = ["good", secret].map(SecretString::from);
        assert_eq!(SigningSecrets::new(secrets).unwrap_err(), error, "{secret:?}");
    }
    assert_eq!(
        Credential::basic("a:b", &"c".into()).unwrap_err(),
        ReceiverError::ColonInUser
    );
}

#[test]
fn names_fit_into_a_path_and_are_given_once_per_source() {
    let receiver = || Receiver::alertmanager(vec![bearer("token").unwrap()]).unwrap();
    let mut receivers = Receivers::new();
    for name in ["", "a/b", "a b", "..", "ä", &"x".repeat(65)] {
        assert_eq!(
            receivers.add(name, receiver()),
            Err(ReceiverError::Name(name.to_owned()))
        );
    }
    assert!(receivers.is_empty());
    assert_eq!(receivers.add("eu-1", receiver()), Ok(()));
    let twice = receivers.add("eu-1", receiver()).unwrap_err();
    assert_eq!(twice.to_string(), "there are two alertmanager receivers called `eu-1`");
    assert!(receivers.get(Source::Alertmanager, "eu-1").is_some());
    assert!(receivers.get(Source::Grafana, "eu-1").is_none());
}

#[test]
fn what_is_shown_of_a_receiver_says_how_but_not_by_what_it_is_proven() {
    let receivers = world::receivers();
    let mut shown: Vec<_> = receivers
        .iter()
        .map(|(name, receiver)| format!("{name}: {receiver:?}"))
        .collect();
    shown.sort();
    assert_eq!(
        shown,
        [
            "basic: Receiver(alertmanager, Basic)",
            "both: Receiver(grafana, Bearer and signature)",
            "default: Receiver(alertmanager, Bearer)",
            "default: Receiver(grafana, Bearer)",
            "default: Receiver(pagerduty, signature)",
            "signed: Receiver(grafana, signature)",
        ]
    );
    let pieces = [
        format!("{receivers:?}"),
        format!("{:?}", bearer(TOKEN)),
        format!(
            "{:?}",
            SigningSecrets::new([PAGERDUTY_SECRET.into(), GRAFANA_SECRET.into()])
        ),
    ];
    for secret in [TOKEN, PAGERDUTY_SECRET, GRAFANA_SECRET] {
        assert!(!pieces.concat().contains(secret), "{pieces:?}");
    }
}

#[test]
fn every_path_is_listed() {
    assert_eq!(
        paths(),
        [
            "/webhooks/alertmanager/",
            "/webhooks/alertmanager",
            "/webhooks/alertmanager/{receiver}/",
            "/webhooks/alertmanager/{receiver}",
            "/webhooks/pagerduty/",
            "/webhooks/pagerduty",
            "/webhooks/pagerduty/{receiver}/",
            "/webhooks/pagerduty/{receiver}",
            "/webhooks/grafana/",
            "/webhooks/grafana",
            "/webhooks/grafana/{receiver}/",
            "/webhooks/grafana/{receiver}",
        ]
    );
}

/// A path that exists answers 404 until a receiver is configured there, never something kinder.
#[tokio::test]
async fn without_receivers_every_path_is_404() {
    let world = world::World::of(Receivers::new());
    for path in paths() {
        let got = world
            .send(world::post(&path.replace("{receiver}", "eu"), &[], "{}"))
            .await;
        assert_eq!(
            (got.status, &got.json()["code"]),
            (StatusCode::NOT_FOUND, &"no-receiver".into()),
            "{path}"
        );
    }
}

#[tokio::test]
async fn receivers_are_exchanged_while_serving() {
    let current = Arc::new(Mutex::new(Arc::new(Receivers::new())));
    let read = current.clone();
    let intake = Arc::new(Recorder::default());
    let router = router(move || read.lock().unwrap().clone(), intake.clone(), Limits::default());
    let status = async || {
        let request = alertmanager(Body::from(fixture("alertmanager/firing-single.json")));
        router.clone().oneshot(request).await.unwrap().status()
    };
    assert_eq!(status().await, StatusCode::NOT_FOUND);
    *current.lock().unwrap() = Arc::new(world::receivers());
    assert_eq!(status().await, StatusCode::OK);
    *current.lock().unwrap() = Arc::new(Receivers::new());
    assert_eq!(status().await, StatusCode::NOT_FOUND);
    assert_eq!(intake.received().len(), 1);
}

#[tokio::test]
async fn several_tokens_are_good_while_one_is_replaced() {
    let mut receivers = Receivers::new();
    let both = ["old-token", "new-token"].map(|token| bearer(token).unwrap());
    receivers
        .add("default", Receiver::alertmanager(both.to_vec()).unwrap())
        .unwrap();
    let world = world::World::of(receivers);
    for (token, status) in [
        ("old-token", StatusCode::OK),
        ("new-token", StatusCode::OK),
        ("other-token", StatusCode::UNAUTHORIZED),
    ] {
        let authorization = format!("bearer {token}");
        let headers = [("authorization", authorization.as_str())];
        let got = world
            .send(world::post(
                "/webhooks/alertmanager",
                &headers,
                fixture("alertmanager/firing-single.json"),
            ))
            .await;
        assert_eq!(got.status, status, "{token}");
    }
}

#[tokio::test]
async fn labels_of_a_receiver_fill_in_what_the_sender_does_not_say() {
    let labels = [("env", "staging"), ("region", "eu")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let receiver = Receiver::alertmanager(vec![bearer(TOKEN).unwrap()]).unwrap();
    let mut receivers = Receivers::new();
    receivers.add("default", receiver.with_labels(labels.into())).unwrap();
    let world = world::World::of(receivers);
    world.alertmanager(fixture("alertmanager/firing-single.json")).await;
    let alert = world.intake.only_received().alerts.remove(0);
    assert_eq!((alert.label("env"), alert.label("region")), (Some("prod"), Some("eu")));
}
