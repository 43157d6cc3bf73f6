//! What Grafana alerting sends: Alertmanager's shape with its own times, values and proofs.

use http::StatusCode;
use tidegate_rollout::{AlertStatus, Source};

use crate::world::{GRAFANA_SECRET, TOKEN, World, fixture, post, sign};

const SIGNATURE: &str = "x-grafana-alerting-signature";
const TIMESTAMP: &str = "x-grafana-alerting-timestamp";

#[tokio::test]
async fn a_captured_body_becomes_an_alert() {
    let world = World::new();
    let bearer = format!("Bearer {TOKEN}");
    let got = world
        .send(post(
            "/webhooks/grafana",
            &[("authorization", &bearer)],
            fixture("grafana/firing.json"),
        ))
        .await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.body);
    let received = world.intake.only_received();
    assert_eq!((received.source, received.nonce), (Source::Grafana, None));
    let alert = &received.alerts[0];
    assert_eq!(
        (alert.source, alert.status, alert.ends_at),
        (Source::Grafana, AlertStatus::Firing, None)
    );
    assert_eq!(
        (alert.name(), alert.fingerprint.0.as_str()),
        ("High error rate", "c6eadffa33fcdf37")
    );
    assert_eq!(
        alert.starts_at.to_string(),
        "2026-11-20T15:51:03.157076Z",
        "two hours east of UTC"
    );
}

#[tokio::test]
async fn values_may_be_null_and_an_end_may_have_an_offset() {
    let world = World::new();
    let body = fixture("grafana/firing.json")
        .replace(r#""B": 44.23943737541908,"#, "")
        .replace(r#""values": {"#, r#""more": null, "values": {"#)
        .replace(r#""status": "firing""#, r#""status": "resolved""#)
        .replace("0001-01-01T00:00:00Z", "2026-11-20T18:00:00+02:00");
    let bearer = format!("Bearer {TOKEN}");
    let got = world
        .send(post("/webhooks/grafana", &[("authorization", &bearer)], body))
        .await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.body);
    let alert = world.intake.only_received().alerts.remove(0);
    assert_eq!(alert.status, AlertStatus::Resolved);
    assert_eq!(alert.ends_at.unwrap().to_string(), "2026-11-20T16:00:00Z");
}

#[tokio::test]
async fn a_signature_counts_over_the_body_and_over_the_timestamp_with_the_body() {
    let body = fixture("grafana/firing.json");
    let plain = sign(GRAFANA_SECRET, body.as_bytes());
    let timed = sign(GRAFANA_SECRET, format!("1763661063:{body}").as_bytes());
    let ok = StatusCode::OK;
    let refused = StatusCode::UNAUTHORIZED;
    for (signature, timestamp, status) in [
        (&plain, None, ok),
        (&timed, Some("1763661063"), ok),
        (&timed, Some("1763661064"), refused),
        (&timed, None, refused),
        (&plain, Some("1763661063"), refused),
        (&plain, Some(""), refused),
        (&timed, Some("1763661063:x"), refused),
        (&sign("foreign", body.as_bytes()), None, refused),
        (
            &sign(GRAFANA_SECRET, format!("soon:{body}").as_bytes()),
            Some("soon"),
            refused,
        ),
        (&sign(GRAFANA_SECRET, format!(":{body}").as_bytes()), Some(""), refused),
    ] {
        let world = World::new();
        let mut headers = vec![(SIGNATURE, signature.as_str())];
        headers.extend(timestamp.map(|timestamp| (TIMESTAMP, timestamp)));
        let got = world
            .send(post("/webhooks/grafana/signed", &headers, body.clone()))
            .await;
        assert_eq!(got.status, status, "{headers:?}");
        assert_eq!(world.intake.received().len(), usize::from(status == ok), "{headers:?}");
    }
}

#[tokio::test]
async fn where_both_proofs_are_configured_both_are_needed() {
    let body = fixture("grafana/firing.json");
    let (bearer, signature) = (format!("Bearer {TOKEN}"), sign(GRAFANA_SECRET, body.as_bytes()));
    let (token, signature) = (("authorization", bearer.as_str()), (SIGNATURE, signature.as_str()));
    for (headers, status) in [
        (vec![token, signature], StatusCode::OK),
        (vec![token], StatusCode::UNAUTHORIZED),
        (vec![signature], StatusCode::UNAUTHORIZED),
        (
            vec![("authorization", "Bearer guess"), signature],
            StatusCode::UNAUTHORIZED,
        ),
        (vec![token, (SIGNATURE, &"0".repeat(64))], StatusCode::UNAUTHORIZED),
    ] {
        let world = World::new();
        let got = world.send(post("/webhooks/grafana/both", &headers, body.clone())).await;
        assert_eq!(got.status, status, "{headers:?}");
    }
}

/// The two look alike, but their alerts are asked for in different ways.
#[tokio::test]
async fn a_body_at_the_wrong_door_is_shown_the_right_one() {
    let world = World::new();
    let bearer = format!("Bearer {TOKEN}");
    for (path, body, door) in [
        (
            "/webhooks/grafana",
            "alertmanager/firing-single.json",
            "/webhooks/alertmanager",
        ),
        ("/webhooks/alertmanager", "grafana/firing.json", "/webhooks/grafana"),
    ] {
        let got = world
            .send(post(path, &[("authorization", &bearer)], fixture(body)))
            .await;
        assert_eq!(got.status, StatusCode::BAD_REQUEST);
        assert!(got.body.contains(door), "{}", got.body);
    }
    assert_eq!(world.intake.missed().len(), 2, "an alert was in each");
}
