//! What a round of polling teaches: the same rule that the service lives by and the simulation proves.

use std::collections::BTreeSet;

use tidegate_rollout::alert::Suppression;
use tidegate_rollout::poll::{Before, Round, news};
use tidegate_rollout::rollout::Standing;
use tidegate_rollout::{Alert, AlertStatus, Event, Fingerprint, Rollout};

use crate::bench::{Bench, alert, at, over, plan};

fn named(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A round that every peer of the receivers `read` answered, out of `default` and `other`.
fn round(bench: &Bench, firing: &[Alert], listed: &[Alert], read: &[&str]) -> Vec<Alert> {
    during(&bench.rollout, &bench.rollout, firing, listed, read)
}

/// The same, while the rollout went from one state to the other.
fn during(before: &Rollout, after: &Rollout, firing: &[Alert], listed: &[Alert], read: &[&str]) -> Vec<Alert> {
    let (polled, read) = (named(&["default", "other"]), named(read));
    let round = Round {
        listed,
        polled: &polled,
        read: &read,
        began: at(100),
    };
    let before = Before {
        rollouts: &[before],
        firing: Some(firing),
    };
    news(&round, &before, &[after])
}

fn told(bench: &mut Bench, news: Vec<Alert>) {
    for alert in news {
        bench.feed(&Event::Polled(alert)).expect("never refused");
    }
}

fn from(receiver: &str, alert: &Alert) -> Alert {
    Alert {
        receiver: receiver.to_owned(),
        ..alert.clone()
    }
}

#[test]
fn one_peer_says_resolved_and_the_other_lists_it_so_it_blocks_again() {
    let mut bench = Bench::baking(plan());
    let occasion = alert("HighLatency", at(1));
    bench.fires(&occasion);
    bench.fires(&over(&occasion, at(9)));
    let listed = [occasion.clone()];
    let news = round(&bench, &[], &listed, &["default"]);
    assert_eq!(news, listed);
    told(&mut bench, news);
    let fingerprint = Fingerprint("fp-HighLatency".to_owned());
    assert_eq!(bench.rollout.alerts[&fingerprint].standing, Standing::Counting);
    assert_eq!(bench.notices_of("decision-opened"), 1, "the occasion acts once");
    assert_eq!(round(&bench, &listed, &listed, &["default"]), [], "and then no more");
}

/// Nothing of the process before is left but the store.
#[test]
fn what_ended_while_nobody_listened_is_told_after_a_restart() {
    let mut bench = Bench::baking(plan());
    let occasion = alert("Chatty", at(1));
    bench.fires(&occasion);
    let foreign = Alert {
        labels: [("alertname".to_owned(), "Elsewhere".to_owned())].into(),
        ..alert("Elsewhere", at(2))
    };
    let firing = [occasion, foreign];
    let news = round(&bench, &firing, &[], &["default"]);
    let ended: Vec<(&str, AlertStatus)> = news.iter().map(|alert| (alert.name(), alert.status)).collect();
    let expected = ["Chatty", "Elsewhere"].map(|name| (name, AlertStatus::Resolved));
    assert_eq!(ended, expected);
    told(&mut bench, news);
    assert!(bench.rollout.alerts.values().all(|tracked| !tracked.standing.blocks()));
}

#[test]
fn only_the_peers_of_its_receiver_end_an_alert() {
    let mut bench = Bench::baking(plan());
    let occasion = alert("Chatty", at(1));
    bench.fires(&occasion);
    let firing = [occasion];
    assert_eq!(round(&bench, &firing, &[], &[]), [], "nobody answered");
    assert_eq!(round(&bench, &firing, &[], &["other"]), [], "its own peers did not");
    assert_eq!(round(&bench, &firing, &[], &["default"]).len(), 1);
}

/// Told through a receiver that cannot be asked, it would never end if its last webhook were lost.
#[test]
fn a_receiver_that_can_be_asked_takes_an_alert_over() {
    let mut bench = Bench::baking(plan());
    let occasion = alert("Chatty", at(1));
    bench.fires(&from("unpolled", &occasion));
    let firing = [from("unpolled", &occasion), occasion.clone()];
    assert_eq!(
        round(&bench, &firing, &[], &["default", "other"]),
        [],
        "it cannot end there"
    );
    let listed = [occasion];
    let news = round(&bench, &firing, &listed, &["default"]);
    assert_eq!(news, listed);
    told(&mut bench, news);
    assert_eq!(bench.notices_of("alert-logged"), 1);
    assert_eq!(round(&bench, &firing, &listed, &["default"]), [], "once");
    let news = round(&bench, &firing, &[], &["default"]);
    told(&mut bench, news);
    assert!(bench.rollout.alerts.values().all(|tracked| !tracked.standing.blocks()));
}

#[test]
fn what_changed_while_the_peers_were_asked_waits_for_the_next_round() {
    let mut bench = Bench::baking(plan());
    let occasion = alert("Chatty", at(1));
    let before = bench.rollout.clone();
    bench.fires(&occasion);
    assert_eq!(
        during(&before, &bench.rollout, &[], &[], &["default"]),
        [],
        "the answers are older than the webhook"
    );
    let before = bench.rollout.clone();
    bench.fires(&over(&occasion, at(9)));
    let listed = [occasion];
    assert_eq!(during(&before, &bench.rollout, &listed, &listed, &["default"]), []);
}

#[test]
fn receivers_that_disagree_about_a_silence_do_not_tell_it_in_turns() {
    let mut bench = Bench::baking(plan());
    let occasion = alert("Chatty", at(1));
    bench.fires(&occasion);
    let silenced = Alert {
        suppressed: Some(Suppression::Silenced {
            by: vec!["s-1".to_owned()],
        }),
        ..from("other", &occasion)
    };
    let firing = [occasion.clone(), from("other", &occasion)];
    let listed = [occasion, silenced];
    assert_eq!(round(&bench, &firing, &listed, &["default", "other"]), []);
}

/// The end of an earlier occasion must not end the one that goes on.
#[test]
fn an_earlier_occasion_ends_before_the_next_began() {
    let mut bench = Bench::baking(plan());
    let (first, second) = (alert("HighLatency", at(1)), alert("HighLatency", at(50)));
    bench.fires(&first);
    bench.fires(&second);
    let firing = [first, second.clone()];
    let listed = [second];
    let news = round(&bench, &firing, &listed, &["default"]);
    assert_eq!(news.len(), 1);
    assert!(news[0].ends_at < Some(at(50)), "{news:?}");
    told(&mut bench, news);
    let blocks = bench.rollout.alerts.values().any(|tracked| tracked.standing.blocks());
    assert!(blocks, "{:?}", bench.rollout.alerts);
}
