//! What one delivery tells is decided at once: heard to its end before anything is done, and saved in one step.

use jiff::SignedDuration;
use tidegate_rollout::action::{AdvanceToken, NoToken};
use tidegate_rollout::alert::Alert;
use tidegate_rollout::{
    ActionKind, Command, Event, Fingerprint, Lane, Period, Stage, Step, Surroundings, Weight, step, step_all,
};

use crate::bench::{Bench, Manner, alert, at, jon, over, plan, plan_with};

fn numbered(number: usize) -> Alert {
    let mut alert = alert("HighErrorRate", at(20));
    alert.fingerprint = Fingerprint(format!("pod-{number}"));
    alert.labels.insert("pod".to_owned(), number.to_string());
    alert
}

fn delivered(bench: &Bench, alerts: &[Alert]) -> Step {
    let heard: Vec<_> = alerts
        .iter()
        .map(|alert| (bench.around.clone(), Event::Alerted(alert.clone())))
        .collect();
    step_all(&bench.rollout, &heard, bench.now)
        .expect("never refused")
        .expect("something was told")
}

#[test]
fn a_thousand_alerts_are_one_step_and_one_way_back() {
    let mut bench = Bench::baking(plan());
    bench.pass(30);
    let alerts: Vec<Alert> = (0..1_000).map(numbered).collect();
    let step = delivered(&bench, &alerts);
    assert_eq!(step.next.generation, bench.rollout.generation + 1);
    assert!(matches!(step.next.stage, Stage::RollingBack { .. }));
    let [only] = step.actions.as_slice() else {
        panic!("{:?}", step.actions)
    };
    assert!(matches!(only.kind, ActionKind::ToZero { .. }) && only.epoch == step.next.epoch);
    assert_eq!(step.next.alerts.len(), 1_000, "every one of them is known");
}

#[test]
fn together_means_the_same_as_one_by_one() {
    let mut bench = Bench::baking(plan_with(|plan| {
        plan["spec"]["severities"]["sev1"] = serde_json::json!({ "action": "log" });
    }));
    bench.pass(30);
    let alerts: Vec<Alert> = (0..20).map(numbered).chain([over(&numbered(3), at(25))]).collect();
    let together = delivered(&bench, &alerts).next;
    let mut one_by_one = bench.rollout.clone();
    for alert in alerts {
        let heard = Event::Alerted(alert);
        one_by_one = step(&one_by_one, &bench.around, &heard, bench.now)
            .expect("never refused")
            .next;
    }
    one_by_one.generation = together.generation;
    assert_eq!(together, one_by_one);
}

/// The phase has baked since the last look at the clock: the first alert of the delivery, which does not matter, must not
/// open the way for an advance before the second one is heard.
#[test]
fn nothing_advances_half_way_through() {
    let mut bench = Bench::baking(plan());
    let mut seconds = 0;
    while bench.rollout.wanted == Weight::percent(5) {
        bench.pass(1);
        seconds += 1;
    }
    let mut bench = Bench::baking(plan());
    bench.pass(seconds - 1);
    bench.now += SignedDuration::from_secs(2);
    assert_eq!(bench.rollout.wanted, Weight::percent(5), "nobody has looked yet");
    let step = delivered(
        &bench,
        &[
            over(&alert("Chatty", at(-900)), at(-800)),
            alert("HighErrorRate", bench.now),
        ],
    );
    assert_eq!(step.next.wanted, Weight::ZERO);
    assert!(
        step.actions.iter().all(|action| action.lane() == Lane::Safety),
        "{:?}",
        step.actions
    );
}

#[test]
fn nothing_told_is_nothing_done() {
    let bench = Bench::baking(plan());
    assert_eq!(step_all(&bench.rollout, &[], bench.now), Ok(None));
}

/// An alert was answered 200, and the decider has not come to it yet.
#[test]
fn nothing_is_raised_over_what_was_not_decided() {
    let mut bench = Bench::baking(plan());
    bench.around.undecided = Some(Surroundings::BEHIND.plus(Period::millis(1)));
    bench.pass(3_600);
    assert_eq!(bench.rollout.wanted, Weight::percent(5));
    bench.around.undecided = Some(Surroundings::BEHIND);
    bench.pass(3_600);
    assert!(bench.rollout.wanted > Weight::percent(5), "in time is early enough");
}

/// Decided, not written yet: the leader died, and a person pauses before the next one leads.
#[test]
fn a_raise_waits_for_what_came_after_its_decision() {
    let mut bench = Bench::baking(plan());
    bench.manner = Manner::Hangs;
    bench.pass(600);
    let raise = bench.take_open().pop().expect("the advance is pending");
    let token = |bench: &Bench| AdvanceToken::of(&bench.rollout, &raise, &bench.around, bench.now);
    assert!(token(&bench).is_ok());
    bench
        .says(
            &jon(),
            Command::Pause {
                reason: "look first".to_owned(),
            },
        )
        .expect("a pause");
    assert!(
        matches!(token(&bench), Err(NoToken::InTheWay(_))),
        "{:?}",
        token(&bench)
    );
    bench.says(&jon(), Command::Resume).expect("a resume");
    assert!(token(&bench).is_ok(), "it goes on where it stood");
    bench.around.undecided = Some(Period::minutes(1));
    assert!(matches!(token(&bench), Err(NoToken::InTheWay(_))));
}
