//! The start: what must be true before a plan may run.

use std::sync::Arc;

use tidegate_rollout::alert::{Alert, Suppression};
use tidegate_rollout::begin::Start;
use tidegate_rollout::rollout::Standing;
use tidegate_rollout::surroundings::{Freeze, Poll};
use tidegate_rollout::{ActionKind, Code, Refusal, Role, Rollout, RolloutId, Source, Step, Surroundings, Weight};

use crate::bench::{alert, at, jon, labelled, over, person, plan};

fn start() -> Start {
    Start {
        plan: Arc::new(plan()),
        inputs: [("version".to_owned(), "2.3.0".to_owned())].into(),
        actor: jon(),
        counter: 17,
        recent: Vec::new(),
        target_busy: None,
        target_epoch: 0,
    }
}

fn begin(change: impl FnOnce(&mut Start, &mut Surroundings)) -> Result<Step, Refusal> {
    let (mut start, mut around) = (start(), Surroundings::calm(at(0)));
    change(&mut start, &mut around);
    Rollout::begin(start, &around, at(0))
}

#[test]
fn a_start_asks_for_the_first_phase_at_once() {
    let step = begin(|_, _| ()).expect("a start");
    assert_eq!(step.next.id.as_str(), "checkout-17");
    assert_eq!((step.next.generation, step.next.epoch), (1, 1));
    assert_eq!(step.next.exposed_at, Some(at(0)), "what began earlier is not its fault");
    let [action] = step.actions.as_slice() else {
        panic!("{:?}", step.actions)
    };
    assert_eq!(action.id.as_str(), "checkout-17.1.0");
    assert!(matches!(&action.kind, ActionKind::SetWeight { weight, .. } if *weight == Weight::percent(5)));
    let kinds: Vec<&str> = step.log.iter().map(|entry| entry.kind.as_str()).collect();
    assert_eq!(kinds, ["started", "advancing"]);
}

#[test]
fn nothing_starts_against_a_reason() {
    type Spoil = fn(&mut Start, &mut Surroundings);
    let firing = |start: &mut Start, _: &mut Surroundings| start.recent.push(alert("Chatty", at(-60)));
    let cases: [(&str, Code, Spoil); 9] = [
        ("role", Code::R301, |start, _| {
            start.actor = person("eve", &[Role::Viewer, Role::Oncall])
        }),
        ("missing input", Code::R106, |start, _| start.inputs.clear()),
        ("empty input", Code::R106, |start, _| {
            drop(start.inputs.insert("version".to_owned(), String::new()))
        }),
        ("stray input", Code::R106, |start, _| {
            drop(start.inputs.insert("versoin".to_owned(), "2".to_owned()))
        }),
        ("busy", Code::R406, |start, _| {
            start.target_busy = Some(RolloutId::numbered("checkout", 16))
        }),
        ("frozen", Code::R205, |_, around| {
            around.freeze = Some(Freeze {
                by: "root".to_owned(),
                reason: "cold".to_owned(),
                at: at(-9),
            });
        }),
        ("firing", Code::R206, firing),
        ("unreadable", Code::R207, |_, around| {
            around.poll = Poll::Unreadable { since: at(-9) }
        }),
        ("no Watchdog", Code::R207, |_, around| {
            around.watchdog_seen = Some(at(-91))
        }),
    ];
    for (name, code, spoil) in cases {
        let refusal = begin(spoil).expect_err(name);
        assert_eq!(refusal.code, code, "{name}: {refusal}");
        assert!(!refusal.hint.is_empty(), "{name}");
    }
}

#[test]
fn what_fires_is_not_hidden_behind_the_end_of_an_earlier_occasion() {
    let (older, newer) = (over(&alert("Chatty", at(-300)), at(-200)), alert("Chatty", at(-100)));
    for recent in [vec![older.clone(), newer.clone()], vec![newer, older]] {
        let refusal = begin(|start, _| start.recent = recent).expect_err("it fires");
        assert_eq!(refusal.code, Code::R206);
    }
}

#[test]
fn late_word_of_what_ended_is_in_nobodys_way_where_its_source_cannot_be_asked() {
    let of = |source: Source, alert: Alert| Alert { source, ..alert };
    let chatty = alert("Chatty", at(-300));
    let ended = over(&chatty, at(-100));
    // A reopened incident begins when it is reopened, and ends under the moment when it was created.
    let reopened = alert("Chatty", at(-200));
    // One row of the store: it was told to have ended, and then to fire.
    let after_its_end = Alert {
        ends_at: Some(at(-100)),
        ..chatty.clone()
    };
    let mut asked = 0;
    for source in [Source::PagerDuty, Source::Grafana, Source::Alertmanager] {
        for poll in [Poll::NotConfigured, Poll::Good] {
            for recent in [vec![ended.clone(), reopened.clone()], vec![after_its_end.clone()]] {
                let recent: Vec<Alert> = recent.into_iter().map(|alert| of(source, alert)).collect();
                let begun = begin(|start, around| (start.recent, around.poll) = (recent, poll));
                if source == Source::Alertmanager && poll == Poll::Good {
                    asked += 1;
                    assert_eq!(begun.expect_err("its peers will say").code, Code::R206);
                    continue;
                }
                let next = begun.expect("it is over").next;
                let known: Vec<_> = next.alerts.values().collect();
                assert_eq!(known[0].standing, Standing::Resolved, "{source:?} {poll:?}");
                assert_eq!(known[0].last_end, Some(at(-100)));
            }
        }
    }
    assert_eq!(asked, 2);
    let later = of(Source::PagerDuty, alert("Chatty", at(-99)));
    let ended = of(Source::PagerDuty, ended);
    let refusal = begin(|start, _| start.recent = vec![ended, later]).expect_err("it began after that end");
    assert_eq!(refusal.code, Code::R206);
}

#[test]
fn alerts_from_before_are_known_and_marked() {
    let silenced = Alert {
        suppressed: Some(Suppression::Silenced {
            by: vec!["s-1".to_owned()],
        }),
        ..alert("Chatty", at(-60))
    };
    let ended = over(&alert("HighErrorRate", at(-300)), at(-200));
    let foreign = labelled(alert("HighLatency", at(-60)), "service", "search");
    let step = begin(|start, _| start.recent = vec![silenced, ended, foreign]).expect("nothing blocks");
    let known: Vec<_> = step
        .next
        .alerts
        .values()
        .map(|tracked| (tracked.name.as_str(), &tracked.standing, tracked.from_before))
        .collect();
    let silence = Standing::Suppressed(Suppression::Silenced {
        by: vec!["s-1".to_owned()],
    });
    assert_eq!(
        known,
        [("Chatty", &silence, true), ("HighErrorRate", &Standing::Resolved, true)]
    );
}

#[test]
fn an_input_with_a_default_need_not_be_given() {
    let plan = crate::bench::plan_with(|plan| plan["spec"]["inputs"]["region"]["default"] = "eu".into());
    let step = begin(|start, _| start.plan = Arc::new(plan)).expect("a start");
    assert_eq!(step.next.inputs["region"], "eu");
}
