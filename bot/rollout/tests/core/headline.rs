//! What every notice says of its rollout: the weight as read back or only wanted, whether it goes back by itself, how long it is held.

use serde_json::json;
use tidegate_rollout::command::Command;
use tidegate_rollout::notice::{About, NoticeKind};
use tidegate_rollout::{Action, Event, Outcome, Period, Role, Weight};

use crate::bench::{Bench, Manner, alert, at, jon, person, plan, plan_with, read_back};
use crate::situations::{latched_or_over, under_way};

fn about(bench: &Bench) -> About {
    About::of(&bench.rollout)
}

/// The last thing said of a kind.
fn last(bench: &Bench, word: &str) -> NoticeKind {
    let said = bench.notices.iter().rev().find(|notice| notice.kind.word() == word);
    said.unwrap_or_else(|| panic!("no {word} was said")).kind.clone()
}

#[test]
fn a_weight_is_confirmed_where_it_was_read_back() {
    let confirmed: Vec<(&str, bool)> = under_way()
        .iter()
        .chain(&latched_or_over())
        .map(|(name, bench)| (*name, about(bench).confirmed))
        .collect();
    let not: Vec<&str> = confirmed.iter().filter(|(_, is)| !is).map(|(name, _)| *name).collect();
    let expected = [
        "advancing into the first phase",
        "advancing into a later phase",
        "advance failed",
        "rolling back",
        "rollback stuck",
        "aborted",
    ];
    assert_eq!(not, expected, "hooks come before the weight is asked for");
}

#[test]
fn a_weight_is_not_confirmed_once_somebody_else_wrote() {
    let mut bench = Bench::baking(plan());
    assert!(about(&bench).confirmed);
    let drift = Event::Drifted {
        epoch: bench.rollout.epoch,
        found: Weight::percent(80),
        how: "v2 has 4 replicas where 1 were written".to_owned(),
    };
    bench.feed(&drift).expect("a look is never refused");
    assert!(!about(&bench).confirmed);
    assert!(!bench.notices.last().expect("a page").about.confirmed);
    let NoticeKind::GuardHolds { stopped, .. } = last(&bench, "guard-holds") else {
        panic!()
    };
    assert!(!stopped, "released, it goes on by itself");
}

/// The step that a guard stops does not go on with the release: the words that settle it say so.
#[test]
fn a_guard_that_stops_a_step_says_that_it_must_be_asked_for_again() {
    for manner in [Manner::Fences(99), Manner::Reads(Weight::percent(80))] {
        let mut bench = Bench::started(plan());
        bench.manner = manner;
        bench.pass(1);
        let NoticeKind::GuardHolds { stopped, .. } = last(&bench, "guard-holds") else {
            panic!()
        };
        assert!(stopped, "{manner:?}");
    }
}

#[test]
fn it_is_armed_where_something_would_take_it_back_without_a_word() {
    let bake = |change: &dyn Fn(&mut serde_json::Value)| about(&Bench::baking(plan_with(|plan| change(plan)))).armed;
    assert!(bake(&|_| ()));
    assert!(!bake(&|plan| plan["spec"]["mode"] = "shadow".into()));
    let only = |severity: &str| {
        let severity = severity.to_owned();
        move |plan: &mut serde_json::Value| {
            let triggers = plan["spec"]["triggers"].as_array_mut().expect("triggers");
            triggers.retain(|trigger| trigger["severity"] == severity.as_str());
        }
    };
    assert!(bake(&only("sev1")));
    assert!(bake(&only("sev2")), "an unanswered question goes back");
    assert!(!bake(&only("sev3")), "it only logs");
    assert!(!bake(&|plan| {
        only("sev2")(plan);
        plan["spec"]["severities"]["sev2"]["action"]["decide"]["default"] = "hold".into();
    }));
    assert!(!bake(&|plan| {
        only("sev1")(plan);
        plan["spec"]["triggers"][0]["alert"]["scope"] = "any".into();
    }));
    assert!(bake(&|plan| {
        only("sev3")(plan);
        plan["spec"]["noData"] = json!({ "rollbackAfter": "10m" });
    }));
    for (name, bench) in latched_or_over() {
        assert!(!about(&bench).armed, "{name}");
    }
}

#[test]
fn a_hold_with_an_end_says_it() {
    let hold = |until| Command::Hold {
        reason: "lunch".to_owned(),
        until,
    };
    let mut bench = Bench::baking(plan());
    for until in [at(300), at(400)] {
        bench.says(&jon(), hold(Some(until))).expect("a hold");
    }
    assert_eq!(about(&bench).held_until, Some(at(400)));
    let NoticeKind::Held { until, .. } = last(&bench, "held") else {
        panic!()
    };
    assert_eq!(until, Some(at(400)));
    let line = &bench.log.last().expect("a line").text;
    assert_eq!(line, "jon placed hold 2 until 2026-01-05 08:06:40 UTC: lunch");
    bench.says(&jon(), hold(None)).expect("a hold");
    assert_eq!(about(&bench).held_until, None, "one of them has no end");
}

#[test]
fn silence_says_when_it_leads_back() {
    let said = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut bench = Bench::baking(plan_with(|plan| {
            plan["spec"]["noData"] = json!({ "rollbackAfter": "10m" });
            change(plan);
        }));
        bench.watchdog = false;
        bench.pass(120);
        match last(&bench, "no-data") {
            NoticeKind::NoData { rolls_back_after, .. } => rolls_back_after,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(said(&|_| ()), Some(Period::minutes(10)));
    assert_eq!(said(&|plan| plan["spec"]["noData"] = "hold".into()), None);
    assert_eq!(said(&|plan| plan["spec"]["mode"] = "shadow".into()), None);
    assert_eq!(said(&|plan| plan["spec"]["phases"][0]["weight"] = "0%".into()), None);
}

/// A plan with two ways back, whose first one did not come through in time.
fn on_the_second_rung() -> (Bench, Action) {
    let mut bench = Bench::baking(plan_with(|plan| {
        plan["spec"]["rollback"] = json!({ "ladder": [
            { "name": "flag-off", "target": { "flag": { "key": "checkout-v2" } }, "within": "10s" },
            { "name": "pods", "target": {
                "deployment-replicas": { "namespace": "shop", "new": "v2", "old": "v1", "total": 4 },
            } },
        ] });
    }));
    let began = bench.now;
    bench.fires(&alert("HighErrorRate", began));
    bench.take_open();
    bench.manner = Manner::Hangs;
    bench.pass(10);
    let second = bench.take_open().remove(0);
    (bench, second)
}

#[test]
fn rolled_back_names_the_rungs_that_are_left() {
    let (mut bench, second) = on_the_second_rung();
    let now = bench.now;
    bench.report(&second, Outcome::Applied(read_back(Weight::ZERO, now)));
    let NoticeKind::RolledBack { left, .. } = last(&bench, "rolled-back") else {
        panic!()
    };
    assert_eq!(left, ["flag-off (flag/checkout-v2)"]);
    assert!(!about(&bench).confirmed, "traffic may still lie with the flag");

    let mut bench = Bench::baking(plan());
    bench
        .says(
            &person("mara", &[Role::IncidentCommander]),
            Command::Rollback { reason: String::new() },
        )
        .expect("a rollback");
    bench.pass(1);
    let NoticeKind::RolledBack { left, .. } = last(&bench, "rolled-back") else {
        panic!()
    };
    assert!(left.is_empty() && about(&bench).confirmed);
}

/// What settles a hold of a hook stands in the refusal, and not in its reason.
#[test]
fn whoever_is_refused_for_a_hook_hears_what_settles_it() {
    let hooked = under_way().into_iter().find(|(name, _)| *name == "hook may have run");
    let (_, mut bench) = hooked.expect("a bench");
    let refusal = bench.says(&jon(), Command::Advance).expect_err("it is held");
    assert!(refusal.hint.contains("Say `retry`"), "{refusal:?}");
    assert!(
        !bench.rollout.holds[0].reason.contains('`'),
        "{}",
        bench.rollout.holds[0].reason
    );
}
