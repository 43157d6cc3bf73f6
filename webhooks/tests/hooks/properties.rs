//! What holds for every body: decoding never panics, and what a sender meant is what is handed over.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_rollout::{Alert, AlertStatus, Fingerprint, Labels, Source};
use tidegate_webhooks::{Batch, Malformed, Receivers, decode};

use crate::world::{self, GRAFANA_SECRET, PAGERDUTY_SECRET, TOKEN, fixture, sign};

/// Proves `body` as its source would, and decodes it.
fn read(receivers: &Receivers, source: Source, body: &[u8]) -> Result<Batch, Malformed> {
    let (name, header, value) = match source {
        Source::Alertmanager => ("default", "authorization", format!("Bearer {TOKEN}")),
        Source::PagerDuty => (
            "default",
            "x-pagerduty-signature",
            format!("v1={}", sign(PAGERDUTY_SECRET, body)),
        ),
        Source::Grafana => ("signed", "x-grafana-alerting-signature", sign(GRAFANA_SECRET, body)),
    };
    let headers = HeaderMap::from_iter([(header.parse().unwrap(), HeaderValue::from_str(&value).unwrap())]);
    let receiver = receivers.get(source, name).unwrap();
    let claim = receiver.admit(&headers).unwrap();
    decode(&claim.prove(Bytes::copy_from_slice(body)).unwrap())
}

fn any_source() -> impl Strategy<Value = Source> {
    prop::sample::select(vec![Source::Alertmanager, Source::PagerDuty, Source::Grafana])
}

fn any_fixture() -> impl Strategy<Value = (Source, String)> {
    prop::sample::select(vec![
        (Source::Alertmanager, "alertmanager/mixed-firing-resolved.json"),
        (Source::Alertmanager, "alertmanager/firing-five-two-versions.json"),
        (Source::PagerDuty, "pagerduty/incident.triggered.json"),
        (Source::PagerDuty, "pagerduty/incident.annotated.json"),
        (Source::Grafana, "grafana/firing.json"),
    ])
    .prop_map(|(source, name)| (source, fixture(name)))
}

/// Values of any JSON kind, to be put where they do not belong.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(json!("0001-01-01T00:00:00Z")),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(any::<String>(), inner, 0..4).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

/// JSON pointers to every value inside of `value`, itself included.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                pointers(item, &format!("{at}/{index}"), found);
            }
        }
        Value::Object(map) => {
            for (key, item) in map {
                pointers(
                    item,
                    &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")),
                    found,
                );
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What is true of everything that is handed over.
fn check(body: &[u8], batch: &Batch) {
    for alert in &batch.alerts {
        assert!(!alert.fingerprint.0.is_empty());
        assert_eq!(alert.ends_at.is_some(), alert.status == AlertStatus::Resolved);
        assert_eq!(alert.suppressed, None);
        let texts = alert.labels.iter().chain(&alert.annotations);
        assert!(
            texts
                .flat_map(|(name, value)| [name, value])
                .all(|text| !text.contains('\0'))
        );
    }
    assert!(std::str::from_utf8(body).is_ok());
    if let Some(sent) = serde_json::from_slice::<Value>(body).unwrap()["alerts"].as_array() {
        assert_eq!(
            batch.alerts.len() as u64 + batch.unreadable.count,
            sent.len() as u64,
            "none is lost silently"
        );
    }
}

fn any_time() -> impl Strategy<Value = Timestamp> {
    // From 1970 to 2200.
    (0..7_258_118_400_i64, 0..1_000_000_000_i32).prop_map(|(second, nano)| Timestamp::new(second, nano).unwrap())
}

fn any_labels() -> impl Strategy<Value = Labels> {
    let name = any::<String>().prop_map(|name| name.replace('\0', "0"));
    btree_map(name, any::<String>(), 0..6)
}

fn any_alert() -> impl Strategy<Value = Alert> {
    let parts = (
        "[0-9a-f]{16}",
        any_labels(),
        any_labels(),
        any_time(),
        prop::option::of(any_time()),
    );
    parts.prop_map(|(fingerprint, labels, annotations, starts_at, ends_at)| Alert {
        source: Source::Alertmanager,
        receiver: String::new(),
        fingerprint: Fingerprint(fingerprint),
        status: if ends_at.is_some() {
            AlertStatus::Resolved
        } else {
            AlertStatus::Firing
        },
        labels,
        annotations,
        starts_at,
        ends_at,
        suppressed: None,
    })
}

/// An alert as Alertmanager and Grafana write it.
fn written(alert: &Alert) -> Value {
    json!({
        "status": alert.status,
        "labels": alert.labels,
        "annotations": alert.annotations,
        "startsAt": alert.starts_at,
        "endsAt": alert.ends_at.map_or("0001-01-01T00:00:00Z".to_owned(), |end| end.to_string()),
        "generatorURL": "http://prometheus.example.com/graph",
        "fingerprint": alert.fingerprint,
    })
}

/// What is kept of an alert: everything, with NUL made visible.
fn kept(mut alert: Alert, source: Source) -> Alert {
    let visible = |texts: Labels| {
        texts
            .into_iter()
            .map(|(name, value)| (name, value.replace('\0', "␀")))
            .collect()
    };
    alert.source = source;
    alert.labels = visible(alert.labels);
    alert.annotations = visible(alert.annotations);
    alert
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_no_alert(source in any_source(), body in vec(any::<u8>(), 0..300)) {
        let read = read(&world::receivers(), source, &body);
        prop_assert!(read.is_err(), "{read:?}");
    }

    #[test]
    fn a_sample_with_changed_bytes_is_read_or_refused(
        (source, body) in any_fixture(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut body = body.into_bytes();
        for (at, byte) in changes {
            let at = at.index(body.len());
            body[at] = byte;
        }
        if let Ok(batch) = read(&world::receivers(), source, &body) {
            check(&body, &batch);
        }
    }

    #[test]
    fn a_sample_with_changed_values_is_read_or_refused(
        (source, body) in any_fixture(),
        changes in vec((any::<prop::sample::Index>(), any_value()), 1..4),
    ) {
        let mut body: Value = serde_json::from_str(&body).unwrap();
        for (at, value) in changes {
            let mut places: Vec<String> = Vec::new();
            pointers(&body, "", &mut places);
            let place = at.get(&places).as_str();
            *body.pointer_mut(place).unwrap() = value;
        }
        let body = body.to_string();
        if let Ok(batch) = read(&world::receivers(), source, body.as_bytes()) {
            check(body.as_bytes(), &batch);
        }
    }

    #[test]
    fn what_is_sent_is_what_is_handed_over(
        grafana in any::<bool>(),
        alerts in vec(any_alert(), 1..8),
        truncated in any::<u64>(),
    ) {
        let (source, version) = if grafana { (Source::Grafana, "1") } else { (Source::Alertmanager, "4") };
        let sent: Vec<Value> = alerts.iter().map(written).collect();
        let body = json!({ "version": version, "alerts": sent, "truncatedAlerts": truncated }).to_string();
        let batch = read(&world::receivers(), source, body.as_bytes()).unwrap();
        let expected: Vec<Alert> = alerts.into_iter().map(|alert| kept(alert, source)).collect();
        prop_assert_eq!(batch.alerts, expected);
        prop_assert_eq!((batch.truncated, batch.unreadable.count), (truncated, 0));
    }

    #[test]
    fn a_bad_alert_never_fails_its_neighbours(
        alerts in vec(any_alert(), 1..8),
        at in any::<prop::sample::Index>(),
        bad in any_value(),
    ) {
        let at = at.index(alerts.len() + 1);
        let mut sent: Vec<Value> = alerts.iter().map(written).collect();
        sent.insert(at, bad);
        let body = json!({ "version": "4", "alerts": sent }).to_string();
        let batch = read(&world::receivers(), Source::Alertmanager, body.as_bytes()).unwrap();
        let expected: Vec<Alert> = alerts.into_iter().map(|alert| kept(alert, Source::Alertmanager)).collect();
        prop_assert_eq!(batch.alerts, expected);
        prop_assert_eq!(batch.unreadable.reasons.first().map(|(index, _)| *index), Some(at as u64));
    }
}
