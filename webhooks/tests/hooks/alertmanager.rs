//! What Alertmanager sends, as it was captured from it, becomes alerts.

use http::StatusCode;
use tidegate_rollout::{AlertStatus, Source};

use crate::world::{TOKEN, World, fixture, post};

#[tokio::test]
async fn a_firing_alert_is_handed_over_before_200() {
    let world = World::new();
    let body = fixture("alertmanager/firing-single.json");
    let got = world.alertmanager(body.clone()).await;
    assert_eq!((got.status, &got.json()["status"]), (StatusCode::OK, &"stored".into()));

    let received = world.intake.received();
    let [received] = &received[..] else {
        panic!("{received:?}")
    };
    assert_eq!(
        (received.source, received.receiver.as_str()),
        (Source::Alertmanager, "default")
    );
    assert_eq!(
        (received.body.as_ref(), &received.nonce, received.truncated),
        (body.as_bytes(), &None, 0)
    );
    let [alert] = &received.alerts[..] else {
        panic!("{:?}", received.alerts)
    };
    assert_eq!(alert.fingerprint.0, "f347edb4520014c5");
    assert_eq!(
        (alert.name(), alert.label("severity")),
        ("HighErrorRate", Some("critical"))
    );
    assert_eq!((alert.status, alert.ends_at), (AlertStatus::Firing, None));
    assert_eq!(alert.starts_at.to_string(), "2026-11-20T17:49:54.763Z");
    assert_eq!(alert.annotations["summary"], "Error rate 33.47% on checkout v2");
}

#[tokio::test]
async fn every_captured_body_is_read_whole() {
    let world = World::new();
    let expected = [
        ("firing-five-two-versions", 5, 0, 0),
        ("firing-single", 1, 0, 0),
        ("firing-two-severities", 2, 0, 0),
        ("firing-v0.34-extra-fields", 1, 0, 0),
        ("group-by-all-labels", 1, 0, 0),
        ("mixed-firing-resolved", 2, 1, 0),
        ("new-alert-joins-group", 3, 0, 0),
        ("resolved-single", 1, 1, 0),
        ("truncated-10-of-1000", 10, 0, 990),
    ];
    for (name, alerts, resolved, truncated) in expected {
        let got = world.alertmanager(fixture(&format!("alertmanager/{name}.json"))).await;
        assert_eq!(got.status, StatusCode::OK, "{name}: {}", got.body);
        let received = world.intake.received().pop().unwrap();
        let ended = received.alerts.iter().filter(|alert| alert.ends_at.is_some()).count();
        let marked = received
            .alerts
            .iter()
            .filter(|alert| alert.status == AlertStatus::Resolved)
            .count();
        assert_eq!(
            (
                received.alerts.len(),
                ended,
                marked,
                received.truncated,
                received.unreadable.count
            ),
            (alerts, resolved, resolved, truncated, 0),
            "{name}"
        );
    }
    assert_eq!(world.intake.received().len(), expected.len());
}

#[tokio::test]
async fn every_spelling_of_the_path_is_served_and_none_is_redirected() {
    let world = World::new();
    let bearer = format!("Bearer {TOKEN}");
    let basic = "Basic YWxlcnRtYW5hZ2VyOjNjcjN0IHDDtg==";
    for (path, authorization, receiver) in [
        ("/webhooks/alertmanager", bearer.as_str(), "default"),
        ("/webhooks/alertmanager/", bearer.as_str(), "default"),
        ("/webhooks/alertmanager?from=eu", bearer.as_str(), "default"),
        ("/webhooks/alertmanager/default", bearer.as_str(), "default"),
        ("/webhooks/alertmanager/default/", bearer.as_str(), "default"),
        ("/webhooks/alertmanager/basic", basic, "basic"),
    ] {
        let body = fixture("alertmanager/firing-single.json");
        let got = world.send(post(path, &[("authorization", authorization)], body)).await;
        assert_eq!(got.status, StatusCode::OK, "{path}: {}", got.body);
        assert_eq!(world.intake.received().pop().unwrap().receiver, receiver, "{path}");
    }
}
