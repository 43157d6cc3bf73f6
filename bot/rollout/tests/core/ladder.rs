//! The way back, rung by rung: in order, each with its time, and a page that says everything when the last one fails.

use serde_json::json;
use tidegate_rollout::action::{ActionKind, Outcome};
use tidegate_rollout::{Action, Stage, Weight};

use crate::bench::{Bench, Manner, alert, at, jon, plan_with, read_back};

/// A rollout with three rungs, whose first alert has just come.
fn falling() -> (Bench, Vec<Action>) {
    let plan = plan_with(|plan| {
        plan["spec"]["rollback"] = json!({ "ladder": [
            { "name": "flag-off", "target": { "flag": { "key": "checkout-v2" } }, "within": "10s" },
            { "name": "pods", "within": "20s", "target": {
                "deployment-replicas": { "namespace": "shop", "new": "v2", "old": "v1", "total": 4 },
            } },
            { "name": "colour", "within": "5s", "target": {
                "service-selector": { "namespace": "shop", "service": "shop", "label": "v", "new": "2", "old": "1", "ready": 1 },
            } },
        ] });
    });
    let mut bench = Bench::baking(plan);
    let began = bench.now;
    bench.fires(&alert("HighErrorRate", began));
    let open = bench.take_open();
    // From here on the test answers.
    bench.manner = Manner::Hangs;
    (bench, open)
}

fn target(action: &Action) -> String {
    match &action.kind {
        ActionKind::ToZero { target } => target.name(),
        other => panic!("{other:?} is no way back"),
    }
}

fn failing(since: jiff::Timestamp) -> Outcome {
    Outcome::Failing {
        attempts: 7,
        since,
        why: "connection refused".to_owned(),
    }
}

#[test]
fn a_rung_that_is_read_back_needs_no_other() {
    let (mut bench, open) = falling();
    assert_eq!(open.iter().map(target).collect::<Vec<_>>(), ["flag/checkout-v2"]);
    let now = bench.now;
    bench.report(&open[0], Outcome::Applied(read_back(Weight::ZERO, now)));
    assert_eq!(bench.rollout.state_word(), "ROLLED BACK");
    assert!(bench.rollout.ladder.len() == 1 && bench.rollout.ladder[0].end.as_ref().is_some_and(|end| end.verified));
}

#[test]
fn a_rung_has_its_time_and_then_the_next_one_is_climbed() {
    let (mut bench, open) = falling();
    let began = bench.now;
    bench.pass(9);
    bench.report(&open[0], failing(began));
    assert!(bench.take_open().is_empty(), "it still has a second");
    bench.pass(1);
    let second = bench.take_open();
    assert_eq!(second.iter().map(target).collect::<Vec<_>>(), ["deployment/shop/v2"]);
    assert_eq!(
        bench.notices_of("rollback-stuck"),
        0,
        "nobody is paged while there is another way"
    );
    assert!(bench.log.iter().any(|line| {
        line.text
            .contains("Rung flag-off did not come through: connection refused")
    }));
    let now = bench.now;
    bench.report(&second[0], Outcome::Applied(read_back(Weight::ZERO, now)));
    assert_eq!(bench.rollout.state_word(), "ROLLED BACK");
    let said = &bench.log.last().expect("a line").text;
    let left = "That is rung pods; not read back at zero, and still tried: flag-off (flag/checkout-v2)";
    assert!(said.contains(left), "{said}");
    let lines: Vec<String> = bench.rollout.ladder.iter().map(|climb| climb.line(bench.now)).collect();
    assert!(
        lines[0].starts_with("flag-off (flag/checkout-v2): failed after 10s: connection refused"),
        "{lines:?}"
    );
    assert!(
        lines[1].starts_with("pods (deployment/shop/v2): zero read back after 0s"),
        "{lines:?}"
    );
}

#[test]
fn silence_is_no_rung() {
    let (mut bench, _) = falling();
    bench.pass(10);
    assert_eq!(
        bench.take_open().iter().map(target).collect::<Vec<_>>(),
        ["deployment/shop/v2"]
    );
    bench.pass(20);
    assert_eq!(
        bench.take_open().iter().map(target).collect::<Vec<_>>(),
        ["service/shop/shop"]
    );
    assert_eq!(bench.notices_of("rollback-stuck"), 0);
    bench.pass(5);
    assert_eq!(
        bench.notices_of("rollback-stuck"),
        1,
        "after the last one somebody is paged"
    );
    let Stage::RollingBack { stuck: Some(stuck), .. } = &bench.rollout.stage else {
        panic!("{:?}", bench.rollout.stage)
    };
    for rung in ["flag-off", "pods", "colour"] {
        assert!(stuck.contains(rung), "{stuck}");
    }
    bench.pass(60);
    assert_eq!(bench.notices_of("rollback-stuck"), 1, "once");
}

#[test]
fn a_rung_that_comes_through_late_ends_it_too() {
    let (mut bench, open) = falling();
    bench.pass(40);
    let now = bench.now;
    bench.report(&open[0], Outcome::Applied(read_back(Weight::ZERO, now)));
    assert_eq!(bench.rollout.state_word(), "ROLLED BACK");
}

#[test]
fn another_writer_or_a_higher_epoch_is_a_failed_rung_at_once() {
    let (mut bench, open) = falling();
    bench.report(
        &open[0],
        Outcome::Foreign {
            found: Weight::percent(50),
        },
    );
    let second = bench.take_open();
    assert_eq!(second.iter().map(target).collect::<Vec<_>>(), ["deployment/shop/v2"]);
    bench.report(&second[0], Outcome::Fenced { found: 99 });
    let third = bench.take_open();
    assert_eq!(third.iter().map(target).collect::<Vec<_>>(), ["service/shop/shop"]);
    // The word of a rung below, unless it is zero, is no news.
    bench.report(&open[0], failing(at(0)));
    bench.report(&open[0], Outcome::Applied(read_back(Weight::percent(50), at(60))));
    assert!(bench.take_open().is_empty() && bench.notices_of("rollback-stuck") == 0);
}

#[test]
fn a_person_who_asks_again_climbs_from_the_first_rung() {
    let (mut bench, _) = falling();
    bench.pass(60);
    bench.take_open();
    bench
        .types(&jon(), "rollback")
        .expect("it is stuck, so it may be asked for again");
    assert_eq!(
        bench.take_open().iter().map(target).collect::<Vec<_>>(),
        ["flag/checkout-v2"]
    );
    bench.pass(10);
    assert_eq!(
        bench.take_open().iter().map(target).collect::<Vec<_>>(),
        ["deployment/shop/v2"]
    );
    assert_eq!(bench.rollout.ladder.len(), 5, "what was tried before is kept");
}

#[test]
fn a_person_who_asks_again_goes_above_every_epoch_that_was_found() {
    let (mut bench, open) = falling();
    bench.report(&open[0], Outcome::Fenced { found: 99 });
    let second = bench.take_open();
    assert!(second[0].epoch < 99, "it is not ours to be the newer writer");
    bench.pass(60);
    bench.take_open();
    bench.types(&jon(), "rollback").expect("it is stuck");
    let again = bench.take_open();
    assert_eq!(again.iter().map(target).collect::<Vec<_>>(), ["flag/checkout-v2"]);
    assert!(again[0].epoch > 99, "it would be fenced for ever: {}", again[0].epoch);
}

#[test]
fn a_rung_fails_once_however_often_its_worker_says_so() {
    let (mut bench, _) = falling();
    let began = bench.now;
    bench.pass(60);
    let last = bench.take_open().pop().expect("the last rung");
    let ended = |bench: &Bench| bench.rollout.ladder[2].end.clone().expect("it failed");
    let first = ended(&bench);
    bench.pass(30);
    bench.report(&last, failing(began));
    assert_eq!(ended(&bench).at, first.at, "it is no other moment for being said again");
    assert_eq!(ended(&bench).how, "connection refused", "why is news");
    bench.pass(30);
    let generation = bench.rollout.generation;
    bench.report(&last, failing(began));
    assert_eq!(bench.rollout.generation, generation, "nothing is left to save");
}

#[test]
fn a_rung_that_another_one_came_before_has_its_end_too() {
    let (mut bench, open) = falling();
    bench.pass(12);
    assert_eq!(bench.rollout.ladder.len(), 2);
    let now = bench.now;
    bench.report(&open[0], Outcome::Applied(read_back(Weight::ZERO, now)));
    let lines: Vec<String> = bench.rollout.ladder.iter().map(|climb| climb.line(at(900))).collect();
    assert!(
        lines[0].starts_with("flag-off (flag/checkout-v2): zero read back after 12s"),
        "{lines:?}"
    );
    assert_eq!(
        lines[1], "pods (deployment/shop/v2): failed after 2s: rung flag-off was read back at zero first",
        "nobody waits for it any more"
    );
    let said = &bench.log.last().expect("a line").text;
    let left = "That is rung flag-off; not read back at zero, and still tried: pods (deployment/shop/v2)";
    assert!(said.contains(left), "{said}");
}

#[test]
fn what_was_tried_before_a_person_asked_again_is_told_too() {
    let (mut bench, _) = falling();
    bench.pass(60);
    bench.take_open();
    bench.types(&jon(), "rollback").expect("it is stuck");
    let again = bench.take_open();
    let now = bench.now;
    bench.report(&again[0], Outcome::Applied(read_back(Weight::ZERO, now)));
    assert_eq!(bench.rollout.state_word(), "ROLLED BACK");
    let said = &bench.log.last().expect("a line").text;
    let left = "That is rung flag-off; not read back at zero, and tried no more: pods (deployment/shop/v2), colour (service/shop/shop)";
    assert!(said.contains(left), "{said}");
}

#[test]
fn another_writer_at_the_last_rung_stops_none_of_the_others() {
    let (mut bench, open) = falling();
    bench.pass(30);
    let last = bench.take_open().pop().expect("the last rung");
    bench.report(&last, Outcome::Fenced { found: 99 });
    assert_eq!(bench.notices_of("rollback-stuck"), 1);
    assert_eq!(
        bench.rollout.epoch, open[0].epoch,
        "what is written under a lower epoch than the rollout's is overtaken, and nobody tries it on"
    );
    bench.types(&jon(), "rollback").expect("it is stuck");
    let again = bench.take_open();
    assert!(again[0].epoch > 99, "it would be fenced for ever: {}", again[0].epoch);
}
