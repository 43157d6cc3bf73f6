//! What PagerDuty sends: believed only with its signature, and read as no more than it says.

use http::{Request, StatusCode};
use tidegate_rollout::AlertStatus::{self, Firing, Resolved};
use tidegate_rollout::Source;

use crate::world::{PAGERDUTY_OLD_SECRET, PAGERDUTY_SECRET, TOKEN, World, fixture, post, sign};

const CREATED: &str = "2026-11-20T17:50:05Z";
const OCCURRED: &str = "2026-11-20T17:50:06.169Z";

fn signed(body: impl AsRef<[u8]>) -> Request<axum::body::Body> {
    let signature = format!("v1={}", sign(PAGERDUTY_SECRET, body.as_ref()));
    with_signature(body, &signature)
}

fn with_signature(body: impl AsRef<[u8]>, signature: &str) -> Request<axum::body::Body> {
    let headers = [("x-pagerduty-signature", signature), ("x-webhook-id", "d5b2")];
    post("/webhooks/pagerduty", &headers, body.as_ref().to_vec())
}

#[tokio::test]
async fn an_incident_becomes_an_alert() {
    let world = World::new();
    let got = world.send(signed(fixture("pagerduty/incident.triggered.json"))).await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.body);

    let received = world.intake.only_received();
    assert_eq!(
        (received.source, received.receiver.as_str()),
        (Source::PagerDuty, "default")
    );
    assert_eq!(received.nonce.as_deref(), Some("01DXQ7Y7JZ7R6J3M4K1R000009"));
    let [alert] = &received.alerts[..] else {
        panic!("{:?}", received.alerts)
    };
    assert_eq!(
        (alert.fingerprint.0.as_str(), alert.name()),
        ("PGR0VU2", "HighErrorRate on checkout v2")
    );
    for (label, value) in [
        ("service", "checkout"),
        ("priority", "P1"),
        ("urgency", "high"),
        ("title", "HighErrorRate on checkout v2"),
        ("dedup_key", "rollout-checkout-v2"),
        ("environment", "production"),
    ] {
        assert_eq!(alert.label(label), Some(value), "{label}");
    }
    assert_eq!(
        alert.annotations["incident_url"],
        "https://acme.pagerduty.com/incidents/PGR0VU2"
    );
}

#[tokio::test]
async fn an_event_says_only_what_it_says() {
    let world = World::new();
    type Said = Option<(AlertStatus, &'static str, Option<&'static str>)>;
    let expected: [(&str, Said); 11] = [
        ("incident.triggered", Some((Firing, CREATED, None))),
        (
            "incident.triggered-no-priority-low-urgency",
            Some((Firing, CREATED, None)),
        ),
        ("incident.priority_updated", Some((Firing, CREATED, None))),
        ("incident.reopened", Some((Firing, OCCURRED, None))),
        ("incident.resolved", Some((Resolved, CREATED, Some(OCCURRED)))),
        ("incident.acknowledged", None),
        ("incident.unacknowledged", None),
        ("incident.escalated", None),
        ("incident.reassigned", None),
        ("incident.annotated", None),
        ("pagey.ping", None),
    ];
    for (name, said) in expected {
        let before = world.intake.received().len();
        let got = world.send(signed(fixture(&format!("pagerduty/{name}.json")))).await;
        assert_eq!(got.status, StatusCode::OK, "{name}: {}", got.body);
        let heard = world.intake.received().split_off(before);
        let alert = heard.first().map(|received| received.alerts[0].clone());
        let times = alert.map(|alert| {
            let end = alert.ends_at.map(|end| end.to_string());
            (alert.status, alert.starts_at.to_string(), end)
        });
        let said = said.map(|(status, start, end)| (status, start.to_owned(), end.map(str::to_owned)));
        assert_eq!(times, said, "{name}");
        assert_eq!(got.json()["status"] == "stored", said.is_some(), "{name}: {}", got.body);
    }
}

/// The last word about an incident that is over must not be that it fires.
#[tokio::test]
async fn a_new_priority_of_a_resolved_incident_says_nothing() {
    let world = World::new();
    let body = fixture("pagerduty/incident.priority_updated.json");
    let body = body.replace(r#""status":"triggered""#, r#""status":"resolved""#);
    let got = world.send(signed(body)).await;
    assert_eq!(
        (got.status, &got.json()["status"]),
        (StatusCode::OK, &"without effect".into())
    );
    assert_eq!(world.intake.received().len(), 0);
}

#[tokio::test]
async fn what_is_not_known_about_an_incident_is_no_label() {
    let world = World::new();
    world
        .send(signed(fixture(
            "pagerduty/incident.triggered-no-priority-low-urgency.json",
        )))
        .await;
    let alert = world.intake.only_received().alerts.remove(0);
    assert_eq!((alert.label("priority"), alert.label("urgency")), (None, Some("low")));
}

/// Mail to PagerDuty makes an incident with any title; none may keep the dead man's switch alive.
#[tokio::test]
async fn an_incident_called_watchdog_is_not_the_watchdog() {
    let world = World::new();
    let body = fixture("pagerduty/incident.triggered.json").replace("HighErrorRate on checkout v2", "Watchdog");
    assert_eq!(world.send(signed(body)).await.status, StatusCode::OK);
    assert!(!world.intake.only_received().alerts[0].is_watchdog());
}

#[tokio::test]
async fn our_own_incident_is_known_by_its_key() {
    let world = World::new();
    let body = fixture("pagerduty/incident.triggered.json").replace("rollout-checkout-v2", "tidegate:checkout-7");
    assert_eq!(world.send(signed(body)).await.status, StatusCode::OK);
    assert!(world.intake.only_received().alerts[0].is_our_own());
}

/// Whoever replays a body can change `X-Webhook-Id`, which is not signed, but not the id of the event.
#[tokio::test]
async fn a_replayed_event_has_no_effect_under_another_webhook_id() {
    let world = World::new();
    let body = fixture("pagerduty/incident.resolved.json");
    let signature = format!("v1={}", sign(PAGERDUTY_SECRET, body.as_bytes()));
    for (webhook_id, status) in [("one", "stored"), ("one", "repeated"), ("two", "repeated")] {
        let headers = [
            ("x-pagerduty-signature", signature.as_str()),
            ("x-webhook-id", webhook_id),
        ];
        let got = world.send(post("/webhooks/pagerduty", &headers, body.clone())).await;
        assert_eq!((got.status, &got.json()["status"]), (StatusCode::OK, &status.into()));
    }
    assert_eq!(world.intake.received().len(), 1);
}

#[tokio::test]
async fn while_a_secret_is_replaced_both_are_good() {
    let body = fixture("pagerduty/incident.triggered.json");
    let good = |secret| sign(secret, body.as_bytes());
    let (new, old, foreign) = (good(PAGERDUTY_SECRET), good(PAGERDUTY_OLD_SECRET), good("foreign"));
    for (signature, status) in [
        (format!("v1={new}"), StatusCode::OK),
        (format!("v1={old}"), StatusCode::OK),
        (format!("v1={foreign},v1={new}"), StatusCode::OK),
        (format!("v1={old}, v1={foreign}"), StatusCode::OK),
        (format!("v2=later,v1={new}"), StatusCode::OK),
        (format!("v1={foreign}"), StatusCode::UNAUTHORIZED),
        (format!("v2={new}"), StatusCode::UNAUTHORIZED),
        (new.clone(), StatusCode::UNAUTHORIZED),
        (format!("v1={}", &new[..62]), StatusCode::UNAUTHORIZED),
        ("v1=".to_owned(), StatusCode::UNAUTHORIZED),
        (String::new(), StatusCode::UNAUTHORIZED),
    ] {
        let world = World::new();
        let got = world.send(with_signature(&body, &signature)).await;
        assert_eq!(got.status, status, "{signature}");
        assert_eq!(
            world.intake.received().len(),
            usize::from(status == StatusCode::OK),
            "{signature}"
        );
    }
}

#[tokio::test]
async fn no_signature_and_a_bearer_token_are_not_enough() {
    let world = World::new();
    let bearer = format!("Bearer {TOKEN}");
    let body = fixture("pagerduty/incident.triggered.json");
    let got = world
        .send(post("/webhooks/pagerduty", &[("authorization", &bearer)], body))
        .await;
    assert_eq!(got.status, StatusCode::UNAUTHORIZED);
    assert!(got.header("www-authenticate").contains("x-pagerduty-signature"));
    assert_eq!(world.intake.received().len(), 0);
}

#[tokio::test]
async fn a_body_changed_in_any_byte_is_refused() {
    let world = World::new();
    let good = fixture("pagerduty/incident.triggered.json").into_bytes();
    let signature = format!("v1={}", sign(PAGERDUTY_SECRET, &good));
    for at in 0..good.len() {
        for flip in [0x01, 0x20, 0x80] {
            let mut bad = good.clone();
            bad[at] ^= flip;
            let got = world.send(with_signature(bad, &signature)).await;
            assert_eq!(got.status, StatusCode::UNAUTHORIZED, "byte {at} ^ {flip:#x}");
        }
    }
    for bad in [&good[1..], &good[..good.len() - 1], &[&good[..], b" "].concat()] {
        assert_eq!(
            world.send(with_signature(bad, &signature)).await.status,
            StatusCode::UNAUTHORIZED
        );
    }
    assert_eq!((world.intake.received().len(), world.intake.missed().len()), (0, 0));
    assert_eq!(
        world.send(with_signature(good, &signature)).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_signature_changed_in_any_digit_is_refused() {
    let world = World::new();
    let body = fixture("pagerduty/incident.triggered.json");
    let good = sign(PAGERDUTY_SECRET, body.as_bytes());
    for at in 0..good.len() {
        let other = if &good[at..=at] == "0" { "1" } else { "0" };
        let bad = format!("v1={}{other}{}", &good[..at], &good[at + 1..]);
        assert_eq!(
            world.send(with_signature(&body, &bad)).await.status,
            StatusCode::UNAUTHORIZED,
            "digit {at}"
        );
    }
    assert_eq!(world.intake.received().len(), 0);
}

/// PagerDuty drops what is answered 4xx and is silent for a day after three drops, so this is taken and reported.
#[tokio::test]
async fn an_incident_that_cannot_be_read_is_handed_over_as_unreadable() {
    let world = World::new();
    let body = fixture("pagerduty/incident.triggered.json").replace(CREATED, "yesterday");
    let got = world.send(signed(body)).await;
    assert_eq!((got.status, &got.json()["unreadable"]), (StatusCode::OK, &1.into()));
    let received = world.intake.only_received();
    assert_eq!((received.alerts.len(), received.unreadable.count), (0, 1));
}

#[tokio::test]
async fn a_signed_body_that_is_no_event_is_refused_and_reported() {
    let world = World::new();
    for body in [
        "",
        "{}",
        "[]",
        r#"{"event":{"id":7}}"#,
        r#"{"event":{"event_type":"incident.triggered"}}"#,
    ] {
        assert_eq!(world.send(signed(body)).await.status, StatusCode::BAD_REQUEST, "{body}");
    }
    assert_eq!((world.intake.received().len(), world.intake.missed().len()), (0, 5));
}
