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
        alert.receiver, "default",
        "only the peers of its receiver can say that it is over"
    );
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

#[tokio::test]
async fn nothing_to_tell_is_200_without_effect() {
    let world = World::new();
    let got = world
        .alertmanager(r#"{"version":"4","alerts":[],"truncatedAlerts":0}"#)
        .await;
    assert_eq!(
        (got.status, &got.json()["status"]),
        (StatusCode::OK, &"without effect".into())
    );
    assert_eq!(world.intake.received().len(), 0);
}

/// All alerts of the group were left out: absence proves nothing, so it must be heard.
#[tokio::test]
async fn nothing_but_truncated_alerts_is_handed_over() {
    let world = World::new();
    world
        .alertmanager(r#"{"version":"4","alerts":[],"truncatedAlerts":12}"#)
        .await;
    assert_eq!(world.intake.only_received().truncated, 12);
}

#[tokio::test]
async fn nul_is_made_visible() {
    let world = World::new();
    let body = fixture("alertmanager/firing-single.json")
        .replace("checkout-v2", r"checkout\u0000v2")
        .replace(r#""cluster":"#, r#""clus\u0000ter":"#)
        .replace("f347edb4520014c5", r"f347\u0000");
    assert_eq!(world.alertmanager(body).await.status, StatusCode::OK);
    let alert = world.intake.only_received().alerts.remove(0);
    assert_eq!(alert.label("rollout"), Some("checkout␀v2"));
    assert_eq!(alert.label("clus␀ter"), Some("test"));
    assert_eq!(alert.fingerprint.0, "f347␀");
}

#[tokio::test]
async fn a_bad_alert_never_fails_its_neighbours() {
    let world = World::new();
    let body = fixture("alertmanager/firing-five-two-versions.json");
    let bad = body.replacen(r#""startsAt":"2026"#, r#""startsAt":"-2026"#, 1);
    assert_ne!(body, bad);
    let got = world.alertmanager(bad).await;
    assert_eq!(
        (&got.json()["alerts"], &got.json()["unreadable"]),
        (&4.into(), &1.into())
    );
    let received = world.intake.only_received();
    assert_eq!((received.alerts.len(), received.unreadable.count), (4, 1));
    let (index, why) = &received.unreadable.reasons[0];
    assert!(*index == 0 && why.contains("year"), "{index}: {why}");
}

/// Whatever a sender does wrong a million times costs us ten lines.
#[tokio::test]
async fn reasons_are_few_and_short() {
    let world = World::new();
    let long = format!(r#"{{"status":"{}"}}"#, "x".repeat(10_000));
    let body = fixture("alertmanager/firing-single.json");
    let body = body.replacen(
        r#""alerts":["#,
        &format!(r#""alerts":[{long},{}"#, "7,".repeat(100_000)),
        1,
    );
    assert_eq!(world.alertmanager(body).await.status, StatusCode::OK);
    let received = world.intake.only_received();
    assert_eq!((received.alerts.len(), received.unreadable.count), (1, 100_001));
    assert_eq!(received.unreadable.reasons.len(), 10);
    assert!(
        received
            .unreadable
            .reasons
            .iter()
            .all(|(_, why)| why.chars().count() <= 200)
    );
}

#[tokio::test]
async fn an_alert_with_thousands_of_labels_is_set_aside() {
    let world = World::new();
    let labels: String = (0..1_000).map(|n| format!(r#""l{n}":"","#)).collect();
    let body = fixture("alertmanager/firing-two-severities.json");
    let body = body.replacen(r#""labels":{"#, &format!(r#""labels":{{{labels}"#), 1);
    assert_eq!(world.alertmanager(body).await.status, StatusCode::OK);
    let received = world.intake.only_received();
    assert_eq!((received.alerts.len(), received.unreadable.count), (1, 1));
}

/// Alertmanager adds fields, templates of the user's leave some out, and depth in what nobody reads is harmless.
#[tokio::test]
async fn what_nobody_reads_may_be_anything() {
    let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    let digits = "9".repeat(1_000_000);
    for more in [deep, digits, "null".to_owned(), r#"{"a":{"a":1},"a":2}"#.to_owned()] {
        let world = World::new();
        let body = fixture("alertmanager/firing-single.json");
        let body = body.replacen(r#""groupLabels":"#, &format!(r#""more":{more},"groupLabels":"#), 1);
        let body = body.replacen(r#""generatorURL":"#, &format!(r#""more":{more},"generatorURL":"#), 1);
        assert_eq!(world.alertmanager(body).await.status, StatusCode::OK);
        assert_eq!(world.intake.only_received().alerts.len(), 1);
    }
    let world = World::new();
    let least = r#"{"alerts":[{"status":"firing","labels":{"alertname":"A"},"startsAt":"2026-11-20T17:49:54Z","fingerprint":"f"}]}"#;
    assert_eq!(world.alertmanager(least).await.status, StatusCode::OK);
    assert_eq!(world.intake.only_received().alerts[0].annotations.len(), 0);
}

#[tokio::test]
async fn a_time_keeps_its_nanoseconds() {
    let world = World::new();
    world
        .alertmanager(fixture("alertmanager/truncated-10-of-1000.json"))
        .await;
    let received = world.intake.only_received();
    assert_eq!(
        received.alerts[0].starts_at.to_string(),
        "2026-11-20T17:49:42.391484911Z"
    );
}
