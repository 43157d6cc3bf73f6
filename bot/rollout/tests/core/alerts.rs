//! What alerts do to a rollout: order and repetition change nothing, and an occasion acts once.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use tidegate_rollout::action::SuspectAnswer;
use tidegate_rollout::alert::{Alert, Suppression};
use tidegate_rollout::rollout::{Guard, Holder, Standing};
use tidegate_rollout::{AlertStatus, Event, Fingerprint, Stage, Weight};

use crate::bench::{Bench, Manner, alert, at, labelled, over, plan, plan_with};

fn standing(bench: &Bench, name: &str) -> Standing {
    bench.rollout.alerts[&Fingerprint(format!("fp-{name}"))]
        .standing
        .clone()
}

fn polled(bench: &mut Bench, alert: Alert) {
    bench.feed(&Event::Polled(alert)).expect("never refused");
}

fn silenced(alert: &Alert) -> Alert {
    Alert {
        suppressed: Some(Suppression::Silenced {
            by: vec!["s-1".to_owned()],
        }),
        ..alert.clone()
    }
}

fn guards(bench: &Bench) -> Vec<Guard> {
    let guard = |holder: &Holder| match holder {
        Holder::Guard(guard) => Some(*guard),
        Holder::Person(_) => None,
    };
    bench.rollout.holds.iter().filter_map(|hold| guard(&hold.by)).collect()
}

#[test]
fn an_alert_from_before_the_traffic_holds_and_does_not_roll_back() {
    let mut bench = Bench::baking(plan());
    bench.fires(&alert("HighErrorRate", at(-6)));
    assert_eq!(
        (standing(&bench, "HighErrorRate"), guards(&bench)),
        (Standing::PreExisting, vec![Guard::PreExisting])
    );
    assert_eq!(bench.notices_of("guard-holds"), 1, "people are paged");
    assert_eq!(bench.rollout.wanted, Weight::percent(5));
}

#[test]
fn what_is_silenced_from_the_outset_is_found_in_the_log_and_told_to_nobody() {
    let mut bench = Bench::baking(plan());
    let before = bench.notices.len();
    for _ in 0..3 {
        polled(&mut bench, silenced(&alert("HighErrorRate", at(10))));
    }
    let lines = bench.log.iter().filter(|line| line.kind == "alert-suppressed");
    assert_eq!(
        lines.map(|line| line.text.as_str()).collect::<Vec<_>>(),
        ["Alert HighErrorRate fires and is suppressed: silenced by s-1. It does not count."]
    );
    assert_eq!(bench.notices.len(), before);
    assert_eq!(bench.rollout.wanted, Weight::percent(5));
}

#[test]
fn clocks_may_differ_by_five_seconds() {
    let mut bench = Bench::baking(plan());
    bench.fires(&alert("HighErrorRate", at(-5)));
    assert!(matches!(bench.rollout.stage, Stage::RollingBack { .. }));
}

#[test]
fn an_alert_of_an_earlier_phase_stays_ours() {
    let mut bench = Bench::baking(plan());
    bench.pass(1_250);
    assert!(matches!(bench.rollout.stage, Stage::Baking { phase: 2, .. }));
    bench.fires(&alert("HighErrorRate", at(30)));
    assert!(matches!(bench.rollout.stage, Stage::RollingBack { .. }));
}

#[test]
fn a_fingerprint_from_before_is_ours_only_after_ten_quiet_minutes() {
    let before = over(&alert("HighErrorRate", at(-900)), at(-60));
    for (again, ours) in [(539, false), (540, true)] {
        let inputs = [("version", "2.3.0")];
        let mut bench = Bench::try_start(plan(), &inputs, vec![before.clone()]).expect("nothing fires now");
        bench.pass(500);
        bench.fires(&alert("HighErrorRate", at(again)));
        assert_eq!(bench.rollout.is_latched(), ours, "again after {} s", again + 60);
        assert_eq!(guards(&bench).len(), usize::from(!ours));
        let why = bench.rollout.holds.iter().map(|hold| hold.reason.as_str());
        let why: String = why.collect();
        assert_eq!(why.contains("had not been quiet for 10 minutes"), !ours, "{why}");
        assert!(
            !why.contains("before the rollout carried traffic"),
            "that is not true: {why}"
        );
    }
}

#[test]
fn an_end_that_was_lost_is_not_quiet() {
    let inputs = [("version", "2.3.0")];
    let before = over(&alert("HighErrorRate", at(-900)), at(-60));
    let mut bench = Bench::try_start(plan(), &inputs, vec![before]).expect("nothing fires now");
    bench.pass(60);
    // Fires again too early to be ours; its end is never told.
    bench.fires(&alert("HighErrorRate", at(50)));
    bench.pass(700);
    bench.fires(&alert("HighErrorRate", at(700)));
    assert_eq!(standing(&bench, "HighErrorRate"), Standing::PreExisting);
}

#[test]
fn a_repeated_delivery_changes_nothing_at_all() {
    let occasion = alert("HighLatency", at(1));
    let end = over(&occasion, at(9));
    for first in [&occasion, &end] {
        let mut bench = Bench::baking(plan());
        bench.fires(first);
        let before = bench.rollout.clone();
        for _ in 0..3 {
            bench.now += SignedDuration::from_millis(100);
            bench.fires(first);
        }
        assert_eq!(bench.rollout, before, "{:?}", first.status);
    }
}

#[test]
fn a_poll_that_says_the_same_each_time_changes_nothing() {
    let occasion = alert("HighLatency", at(1));
    for told in [occasion.clone(), silenced(&occasion), over(&occasion, at(5))] {
        let mut bench = Bench::baking(plan());
        bench.fires(&occasion);
        polled(&mut bench, told.clone());
        let before = bench.rollout.clone();
        for seconds in 1..4 {
            bench.now += SignedDuration::from_millis(100);
            let told = Alert {
                ends_at: told.ends_at.map(|end| end + SignedDuration::from_secs(seconds)),
                ..told.clone()
            };
            polled(&mut bench, told);
        }
        assert_eq!(bench.rollout, before, "{told:?}");
    }
}

#[test]
fn a_suspect_alert_blocks_until_its_source_answers() {
    let occasion = alert("Chatty", at(1));
    for (answer, expected) in [
        (SuspectAnswer::Active, Standing::Counting),
        (SuspectAnswer::Absent, Standing::Stale),
        (SuspectAnswer::Unreadable, Standing::Suspect),
    ] {
        let mut bench = Bench::baking(plan());
        bench.peers = answer;
        bench.fires(&occasion);
        bench.fires(&over(&occasion, at(9)));
        bench.fires(&occasion);
        assert_eq!(standing(&bench, "Chatty"), Standing::Suspect);
        assert!(bench.rollout.unknown(&bench.around, bench.now).is_some(), "it blocks");
        bench.work();
        assert_eq!(standing(&bench, "Chatty"), expected, "{answer:?}");
        assert_eq!(
            bench.notices_of("alert-logged"),
            1,
            "the occasion acted when it fired first, and not again"
        );
        assert_eq!(
            guards(&bench),
            if answer == SuspectAnswer::Unreadable {
                vec![Guard::Unreadable]
            } else {
                vec![]
            }
        );
    }
}

/// A source that was just back from a break did not list it yet, and tells it again once it does.
#[test]
fn what_is_told_again_after_its_source_denied_it_is_asked_about_again() {
    let occasion = alert("HighErrorRate", at(1));
    let mut bench = Bench::baking(plan());
    bench.fires(&over(&occasion, at(9)));
    bench.fires(&occasion);
    bench.work();
    assert_eq!(standing(&bench, "HighErrorRate"), Standing::Stale);
    bench.fires(&occasion);
    assert_eq!(standing(&bench, "HighErrorRate"), Standing::Suspect, "it blocks");
    bench.work();
    assert_eq!(standing(&bench, "HighErrorRate"), Standing::Stale, "late word, twice");
    bench.peers = SuspectAnswer::Active;
    bench.fires(&occasion);
    bench.work();
    assert!(bench.rollout.is_latched(), "{:?}", bench.rollout.stage);
}

#[test]
fn an_unreadable_source_is_asked_again_until_it_answers() {
    let mut bench = Bench::baking(plan());
    bench.peers = SuspectAnswer::Unreadable;
    let occasion = alert("HighErrorRate", at(1));
    bench.fires(&over(&occasion, at(9)));
    bench.fires(&occasion);
    bench.pass(60);
    assert_eq!(standing(&bench, "HighErrorRate"), Standing::Suspect);
    assert_eq!(bench.notices_of("guard-holds"), 1, "people are paged once");
    bench.peers = SuspectAnswer::Active;
    bench.pass(60);
    assert!(
        matches!(bench.rollout.stage, Stage::RolledBack { .. }),
        "{:?}",
        bench.rollout.stage
    );
}

#[test]
fn a_repeated_end_does_not_hide_what_was_confirmed_to_fire() {
    let mut bench = Bench::baking(plan());
    bench.peers = SuspectAnswer::Active;
    let (occasion, end) = (alert("HighLatency", at(1)), over(&alert("HighLatency", at(1)), at(9)));
    for word in [&occasion, &end, &occasion] {
        bench.fires(word);
        bench.work();
    }
    bench.fires(&end);
    assert_eq!(standing(&bench, "HighLatency"), Standing::Counting);
    bench.fires(&over(&occasion, at(60)));
    assert_eq!(
        standing(&bench, "HighLatency"),
        Standing::Resolved,
        "a later end is believed"
    );
}

#[test]
fn one_question_for_one_occasion_and_for_one_open_question() {
    let mut bench = Bench::baking(plan());
    bench.peers = SuspectAnswer::Active;
    let occasion = alert("HighLatency", at(1));
    for word in [&occasion, &over(&occasion, at(9)), &occasion] {
        bench.fires(word);
        bench.work();
    }
    assert_eq!(bench.notices_of("decision-opened"), 1, "the same occasion came back");
    bench.fires(&alert("HighLatency", at(20)));
    assert_eq!(
        bench.notices_of("decision-opened"),
        1,
        "a question about this alert is open already"
    );
    bench.types(&crate::bench::jon(), "decide continue").expect("answered");
    bench.fires(&alert("HighLatency", at(40)));
    assert_eq!(bench.notices_of("decision-opened"), 2, "a new occasion asks anew");
}

#[test]
fn peers_that_disagree_about_the_start_do_not_ask_in_turns() {
    let mut bench = Bench::baking(plan());
    for _ in 0..5 {
        for start in [1, 2] {
            polled(&mut bench, alert("Chatty", at(start)));
        }
    }
    assert_eq!(bench.notices_of("alert-logged"), 2, "each start once, and then no more");
}

#[test]
fn a_silenced_alert_counts_only_when_the_silence_is_over() {
    let occasion = alert("HighErrorRate", at(1));
    let mut bench = Bench::baking(plan());
    polled(&mut bench, silenced(&occasion));
    bench.fires(&occasion);
    assert!(!bench.rollout.is_latched(), "late word from before the silence");
    polled(&mut bench, occasion);
    assert!(bench.rollout.is_latched());
}

#[test]
fn a_silence_after_firing_keeps_the_question_open_and_is_told() {
    let occasion = alert("HighLatency", at(1));
    let mut bench = Bench::baking(plan());
    bench.fires(&occasion);
    polled(&mut bench, silenced(&occasion));
    assert_eq!(
        (bench.rollout.decisions.len(), bench.notices_of("alert-suppressed")),
        (1, 1)
    );
    bench.pass(301);
    assert!(
        matches!(bench.rollout.stage, Stage::RolledBack { .. }),
        "its deadline still counts"
    );
}

#[test]
fn the_old_version_failing_too_is_evidence_against_a_rollback() {
    let old = Alert {
        fingerprint: Fingerprint("fp-old".to_owned()),
        ..labelled(alert("HighErrorRate", at(1)), "version", "2.2.9")
    };
    let new = labelled(alert("HighErrorRate", at(2)), "version", "2.3.0");
    let mut bench = Bench::baking(plan());
    bench.fires(&old);
    bench.fires(&new);
    assert_eq!(guards(&bench), [Guard::OldVersionToo]);
    assert!(bench.around.freeze.is_some(), "the environment is frozen");
    assert_eq!(bench.rollout.wanted, Weight::percent(5));
}

#[test]
fn an_alert_of_the_old_version_never_becomes_ours() {
    let old = labelled(alert("HighErrorRate", at(1)), "version", "2.2.9");
    let again = labelled(alert("HighErrorRate", at(60)), "version", "2.2.9");
    let mut bench = Bench::baking(plan());
    bench.peers = SuspectAnswer::Active;
    for word in [&old, &over(&old, at(9)), &old, &again, &over(&again, at(70)), &again] {
        bench.fires(word);
        bench.work();
        assert!(!bench.rollout.is_latched(), "{word:?}");
    }
    polled(&mut bench, silenced(&again));
    polled(&mut bench, again);
    assert_eq!(standing(&bench, "HighErrorRate"), Standing::OldVersion);
}

#[test]
fn a_priority_that_is_raised_later_counts() {
    let plan = plan_with(|plan| {
        plan["spec"]["triggers"][0]["alert"]["matchers"] = ["priority=\"P1\""].as_slice().into();
        plan["spec"]["triggers"][2]["alert"]["matchers"] = ["priority=\"P4\""].as_slice().into();
    });
    let incident = |priority: &str| labelled(alert("incident", at(1)), "priority", priority);
    let mut bench = Bench::baking(plan);
    bench.fires(&incident("P4"));
    assert_eq!(bench.notices_of("alert-logged"), 1);
    bench.fires(&incident("P1"));
    assert!(bench.rollout.is_latched(), "the same incident, but worse");
}

#[test]
fn a_flapping_alert_pages_once() {
    let mut bench = Bench::baking(plan());
    for flap in 0..50 {
        let occasion = alert("HighErrorRate", at(-1_000 + flap * 2));
        bench.fires(&occasion);
        bench.fires(&over(&occasion, at(-999 + flap * 2)));
    }
    assert_eq!((bench.notices_of("guard-holds"), bench.rollout.holds.len()), (1, 1));
}

#[test]
fn what_is_remembered_is_bounded_and_what_fires_is_kept() {
    let mut bench = Bench::baking(plan());
    let numbered = |n: i64| Alert {
        fingerprint: Fingerprint(format!("{n:05}")),
        ..alert("Chatty", at(1))
    };
    bench.fires(&numbered(0));
    for n in 1..1_500 {
        bench.fires(&over(&numbered(n), at(2)));
    }
    assert_eq!(bench.rollout.alerts.len(), 1_000);
    assert!(bench.rollout.alerts.contains_key(&Fingerprint("00000".to_owned())));
}

/// What really happened to one label set: occasions one after the other, the last one perhaps still going on.
#[derive(Clone, Debug)]
struct Truth {
    occasions: Vec<(Timestamp, Timestamp)>,
    still_firing: bool,
}

impl Truth {
    fn words(&self) -> Vec<Alert> {
        let last = self.occasions.len() - 1;
        let mut words = Vec::new();
        for (n, (start, end)) in self.occasions.iter().enumerate() {
            let firing = alert("Chatty", *start);
            if n < last || !self.still_firing {
                words.push(over(&firing, *end));
            }
            words.push(firing);
        }
        words
    }

    /// What a poll of every peer says in the end.
    fn in_the_end(&self) -> Alert {
        let (start, end) = self.occasions[self.occasions.len() - 1];
        let firing = alert("Chatty", start);
        if self.still_firing { firing } else { over(&firing, end) }
    }
}

fn truths() -> impl Strategy<Value = Truth> {
    let lengths = prop::collection::vec((1_i64..40, 1_i64..40), 1..4);
    (lengths, any::<bool>()).prop_map(|(lengths, still_firing)| {
        let mut now = 1;
        let mut occasions = Vec::new();
        for (lasts, quiet) in lengths {
            occasions.push((at(now), at(now + lasts)));
            now += lasts + quiet;
        }
        Truth {
            occasions,
            still_firing,
        }
    })
}

/// Deliveries of a truth: each word up to five times or never, in any order.
fn deliveries() -> impl Strategy<Value = (Truth, Vec<Alert>)> {
    truths().prop_flat_map(|truth| {
        let words = truth.words();
        let times = prop::collection::vec(0usize..=5, words.len());
        (Just(truth), Just(words), times).prop_flat_map(|(truth, words, times)| {
            let all: Vec<Alert> = words
                .iter()
                .zip(times)
                .flat_map(|(word, times)| std::iter::repeat_n(word.clone(), times))
                .collect();
            (Just(truth), Just(all).prop_shuffle())
        })
    })
}

/// A bench after these deliveries, the answers of the source, and one complete poll.
fn after(truth: &Truth, deliveries: &[Alert]) -> Bench {
    let mut bench = Bench::baking(plan());
    bench.peers = if truth.still_firing {
        SuspectAnswer::Active
    } else {
        SuspectAnswer::Absent
    };
    bench.now = at(300);
    for delivery in deliveries {
        bench.fires(delivery);
        bench.work();
    }
    let end = truth.in_the_end();
    let blocks = |bench: &Bench| bench.rollout.alerts.values().any(|tracked| tracked.standing.blocks());
    // A poll lists what is active; of what is missing it tells the end only if we think that it fires.
    if end.status == AlertStatus::Firing || blocks(&bench) {
        polled(&mut bench, end);
    }
    bench
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_order_in_the_end_it_blocks_exactly_if_it_fires((truth, deliveries) in deliveries()) {
        let bench = after(&truth, &deliveries);
        let blocks = bench.rollout.alerts.values().any(|tracked| tracked.standing.blocks());
        prop_assert_eq!(blocks, truth.still_firing, "{:?}", bench.rollout.alerts);
        for (start, _) in &truth.occasions {
            let since = format!("fires since {}", tidegate_rollout::notice::clock(*start));
            let acted = bench.log.iter().filter(|entry| entry.kind == "alert-logged" && entry.text.contains(&since)).count();
            prop_assert!(acted <= 1, "{} {} times", since, acted);
        }
    }

    #[test]
    fn a_duplicate_right_after_the_word_changes_nothing((_, deliveries) in deliveries()) {
        let mut bench = Bench::baking(plan());
        bench.manner = Manner::Hangs;
        bench.now = at(300);
        for delivery in &deliveries {
            bench.fires(delivery);
            let before = bench.rollout.clone();
            bench.now += SignedDuration::from_millis(1);
            bench.fires(delivery);
            prop_assert_eq!(&bench.rollout, &before, "{:?}", delivery);
        }
    }

    #[test]
    fn in_order_every_occasion_under_traffic_acts_once(truth in truths()) {
        let mut words = truth.words();
        words.sort_by_key(|word| (word.starts_at, word.status == AlertStatus::Resolved));
        let bench = after(&truth, &words);
        prop_assert_eq!(bench.notices_of("alert-logged"), truth.occasions.len());
    }
}
