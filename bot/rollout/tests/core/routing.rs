//! Which rollouts an alert concerns. Most of all: which it does not.

use tidegate_rollout::alert::{Alert, Fingerprint};
use tidegate_rollout::route::{Concern, concern, route};
use tidegate_rollout::{Rollout, Weight};

use crate::bench::{Bench, alert, at, labelled, over, plan, plan_with};

fn rollout() -> Rollout {
    Bench::baking(plan()).rollout
}

fn without(mut alert: Alert, label: &str) -> Alert {
    alert.labels.remove(label);
    alert
}

#[test]
fn an_alert_without_any_one_of_the_labels_is_about_nothing() {
    let (rollout, ours) = (rollout(), alert("HighErrorRate", at(5)));
    assert!(concern(&rollout, &ours).is_some());
    for label in ["alertname", "service", "environment"] {
        assert_eq!(
            concern(&rollout, &without(ours.clone(), label)),
            None,
            "{label} is missing"
        );
        assert_eq!(
            concern(&rollout, &labelled(ours.clone(), label, "")),
            None,
            "{label} is empty"
        );
        assert_eq!(
            concern(&rollout, &labelled(ours.clone(), label, "other")),
            None,
            "{label} is another"
        );
    }
}

#[test]
fn a_version_or_rollout_label_must_agree() {
    let (rollout, ours) = (rollout(), alert("HighErrorRate", at(5)));
    let about = |key: &str, value: &str| concern(&rollout, &labelled(ours.clone(), key, value));
    assert!(matches!(about("version", "2.3.0"), Some(Concern::Trigger(_))));
    assert!(matches!(about("version", "2.2.9"), Some(Concern::OldVersion(_))));
    assert_eq!(about("version", "1.0.0"), None);
    assert!(matches!(about("rollout", "checkout-17"), Some(Concern::Trigger(_))));
    assert_eq!(about("rollout", "checkout-16"), None);
}

#[test]
fn the_strongest_trigger_is_pulled_whatever_their_order() {
    for severities in [["sev3", "sev1"], ["sev1", "sev3"]] {
        let plan = plan_with(|plan| {
            for (place, severity) in severities.iter().enumerate() {
                plan["spec"]["triggers"][place]["severity"] = (*severity).into();
                plan["spec"]["triggers"][place]["alert"]["matchers"] = ["team=\"pay\""].as_slice().into();
            }
        });
        let rollout = Bench::baking(plan).rollout;
        let alert = labelled(alert("Whatever", at(5)), "team", "pay");
        let Some(Concern::Trigger(trigger)) = concern(&rollout, &alert) else {
            panic!("{severities:?}")
        };
        assert_eq!(trigger.severity, "sev1", "{severities:?}");
    }
}

#[test]
fn our_own_alerts_and_the_watchdog_concern_nobody() {
    let plan = plan_with(|plan| {
        plan["spec"]["triggers"][0]["alert"]["matchers"] = ["alertname=~\".+\""].as_slice().into();
    });
    let rollout = Bench::baking(plan).rollout;
    assert!(concern(&rollout, &alert("Anything", at(5))).is_some());
    assert_eq!(concern(&rollout, &alert("Watchdog", at(5))), None);
    assert_eq!(
        concern(&rollout, &labelled(alert("Anything", at(5)), "job", "tidegate")),
        None
    );
    assert_eq!(
        concern(
            &rollout,
            &labelled(alert("Anything", at(5)), "dedup_key", "tidegate:checkout-17")
        ),
        None
    );
}

#[test]
fn an_alert_reaches_every_rollout_it_concerns_and_no_other() {
    let ours = rollout();
    let mut other = Bench::baking(plan_with(|plan| {
        plan["metadata"]["name"] = "search".into();
        plan["spec"]["service"] = "search".into();
    }))
    .rollout;
    let firing = alert("HighErrorRate", at(5));
    assert_eq!(route(&firing, [&ours, &other]), std::slice::from_ref(&ours.id));
    let shared = Alert {
        fingerprint: Fingerprint("known".to_owned()),
        ..alert("Nobody", at(5))
    };
    assert_eq!(route(&shared, [&ours, &other]), []);
    // Once tracked, its end reaches the rollout even if its labels changed.
    let tracked = Bench::baking(plan());
    let mut tracked = tracked;
    tracked.fires(&alert("Chatty", at(5)));
    other.alerts = tracked.rollout.alerts.clone();
    let end = without(crate::bench::over(&alert("Chatty", at(5)), at(9)), "service");
    assert_eq!(route(&end, [&ours, &other]), [other.id.clone()]);
}

#[test]
fn a_trigger_that_looks_beyond_its_service_holds_and_never_rolls_back() {
    let mut bench = Bench::baking(plan_with(|plan| {
        plan["spec"]["triggers"][0]["alert"]["scope"] = "any".into()
    }));
    bench.fires(&labelled(alert("HighErrorRate", at(5)), "service", "database"));
    assert_eq!(bench.rollout.holds.len(), 1);
    assert_eq!(bench.rollout.wanted, Weight::percent(5));
}

/// Alertmanagers of two environments whose alerts only their receivers' labels tell apart give them the same fingerprint.
#[test]
fn word_from_another_receiver_is_not_about_the_alert_that_is_known() {
    let mut bench = Bench::baking(plan_with(|plan| {
        plan["spec"]["triggers"][0]["severity"] = "sev3".into();
    }));
    let ours = alert("HighErrorRate", bench.now);
    bench.fires(&ours);
    let theirs = Alert {
        receiver: "staging".to_owned(),
        ..over(&labelled(ours.clone(), "environment", "staging"), bench.now)
    };
    assert_eq!(route(&theirs, [&bench.rollout]), []);
    assert_eq!(
        route(&over(&ours, bench.now), [&bench.rollout]),
        [bench.rollout.id.clone()]
    );
    let unlabelled = Alert {
        labels: [("alertname".to_owned(), "HighErrorRate".to_owned())].into(),
        ..over(&ours, bench.now)
    };
    assert_eq!(
        route(&unlabelled, [&bench.rollout]),
        [bench.rollout.id.clone()],
        "its own source may change the labels under a fingerprint"
    );
}
