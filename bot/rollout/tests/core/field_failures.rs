//! Failures that the closest tools of this field had in production, each as a test of ours.
//! The name of each test is its name in the list of promises. `stale_epoch_write_is_refused_at_target` is where a target is: in
//! the contract of the store.

use tidegate_rollout::action::{AdvanceToken, NoToken};
use tidegate_rollout::alert::Alert;
use tidegate_rollout::capacity::{self, Side, Split};
use tidegate_rollout::command::Command;
use tidegate_rollout::surroundings::Poll;
use tidegate_rollout::{ActionKind, Code, Event, Fingerprint, Outcome, Role, Rollout, Stage, Weight, envelope, step};

use crate::bench::{Bench, Manner, alert, at, jon, labelled, over, person, plan, plan_with, read_back};
use crate::situations::{commands, latched_or_over, under_way};

fn rollback() -> Command {
    Command::Rollback { reason: String::new() }
}

/// An aborted canary kept a weight above zero for ever (argo-rollouts #4841).
#[test]
fn abort_always_reaches_zero() {
    for (stage, mut bench) in under_way() {
        bench.manner = Manner::Refuses;
        let refusal = bench
            .says(&jon(), Command::Abort { reason: String::new() })
            .expect_err("traffic is on");
        assert_eq!(refusal.code, Code::R404, "{stage}: nothing ends with traffic split");
        assert!(refusal.hint.contains("rollback"), "{stage}: {}", refusal.hint);
        bench
            .says(&jon(), rollback())
            .unwrap_or_else(|refusal| panic!("{stage}: {refusal}"));
        bench.pass(90);
        assert!(!bench.rollout.is_final(), "{stage}: not over while the target refuses");
        bench.manner = Manner::Answers;
        bench.pass(1);
        assert!(
            matches!(bench.rollout.stage, Stage::RolledBack { .. }),
            "{stage}: {:?}",
            bench.rollout.stage
        );
        assert_eq!(bench.weight, Weight::ZERO, "{stage}");
    }
}

/// `abort` with nothing in progress scaled the stable version to zero (argo-rollouts #1292).
#[test]
fn abort_without_rollout_is_noop() {
    let over = latched_or_over()
        .into_iter()
        .filter(|(_, bench)| bench.rollout.is_final());
    let mut seen = 0;
    for (stage, bench) in over {
        seen += 1;
        for command in [Command::Abort { reason: String::new() }, rollback()] {
            let event = Event::Commanded {
                actor: jon(),
                command,
                seen: None,
            };
            let refusal = step(&bench.rollout, &bench.around, &event, bench.now).expect_err(stage);
            assert_eq!(refusal.code, Code::R403, "{stage}");
        }
    }
    assert_eq!(seen, 3);
    let mut without_traffic = Bench::started(plan_with(|plan| plan["spec"]["phases"][0]["weight"] = "0%".into()));
    without_traffic.take_open();
    without_traffic
        .says(&jon(), Command::Abort { reason: String::new() })
        .expect("nothing carries traffic");
    assert!(
        without_traffic.take_open().is_empty(),
        "an abort without traffic writes nothing"
    );
}

/// A restart of an aborted rollout sent traffic to the new version (argo-rollouts #1665).
#[test]
fn rolled_back_is_latched_over_restart() {
    for (stage, bench) in latched_or_over()
        .into_iter()
        .filter(|(_, bench)| bench.rollout.is_latched())
    {
        let stored = envelope::seal(&bench.rollout).expect("sealed");
        let rollout: Rollout = envelope::open(&stored).expect("opened");
        let mut restarted = bench;
        assert_eq!(rollout, restarted.rollout, "{stage}: the store keeps all of it");
        restarted.rollout = rollout;
        restarted.take_open();
        let away = Event::Returned {
            away_since: restarted.now,
        };
        restarted.now = at(7_200);
        restarted.feed(&away).expect("never refused");
        restarted.fires(&over(&alert("HighErrorRate", at(1)), at(60)));
        for (name, command) in commands() {
            let _ = restarted.says(&person("root", &[Role::Admin]), command);
            for action in restarted.take_open() {
                assert!(
                    matches!(action.kind, ActionKind::ToZero { .. }),
                    "{stage} × {name}: {action:?}"
                );
            }
            assert!(
                restarted.rollout.is_latched(),
                "{stage} × {name}: the latch is for ever"
            );
            assert_eq!(restarted.rollout.wanted, Weight::ZERO, "{stage} × {name}");
        }
    }
}

/// An abort was ignored after a request for full promotion (argo-rollouts #4461).
#[test]
fn abort_wins_over_any_pending_advance() {
    let mut bench = Bench::baking(plan());
    bench.manner = Manner::Hangs;
    bench.pass(600);
    let pending = bench.take_open().pop().expect("the advance to 50% is pending");
    assert!(
        AdvanceToken::of(&bench.rollout, &pending, &bench.around, bench.now).is_ok(),
        "nothing forbids it yet"
    );

    bench.says(&jon(), rollback()).expect("a rollback");
    let to_zero = bench.take_open().pop().expect("zero is asked for");
    assert!(
        to_zero.epoch > pending.epoch,
        "a target that fences refuses the advance from now on"
    );
    assert_eq!(
        AdvanceToken::of(&bench.rollout, &pending, &bench.around, bench.now).err(),
        Some(NoToken::Overtaken),
        "no proof for a raise can be made any more"
    );
    bench.report(&pending, Outcome::Applied(read_back(Weight::percent(50), bench.now)));
    assert!(
        matches!(bench.rollout.stage, Stage::RollingBack { .. }),
        "the overtaken answer counts for nothing"
    );
    bench.report(&pending, Outcome::Applied(read_back(Weight::ZERO, bench.now)));
    assert!(
        matches!(bench.rollout.stage, Stage::RollingBack { .. }),
        "not even when it reads zero"
    );
    bench.report(&to_zero, Outcome::Applied(read_back(Weight::ZERO, bench.now)));
    assert!(matches!(bench.rollout.stage, Stage::RolledBack { .. }));
}

/// The selector of the canary flapped after the abort (argo-rollouts #3078, #4973).
#[test]
fn no_write_after_terminal_state() {
    for (stage, mut bench) in latched_or_over()
        .into_iter()
        .filter(|(_, bench)| bench.rollout.is_final())
    {
        bench.take_open();
        let end = bench.rollout.stage.clone();
        let occasion = alert("HighErrorRate", bench.now);
        let events = [
            Event::Ticked,
            Event::Returned { away_since: at(0) },
            Event::Alerted(occasion.clone()),
            Event::Polled(occasion.clone()),
            Event::Alerted(over(&occasion, bench.now)),
            Event::Alerted(occasion),
        ];
        bench.watchdog = false;
        for hours in 0..3 {
            bench.now = at(100_000 + hours * 3_600);
            for event in &events {
                bench.feed(event).expect("never refused");
            }
        }
        for (_, command) in commands() {
            let _ = bench.says(&person("root", &[Role::Admin]), command);
        }
        assert!(
            bench.take_open().is_empty(),
            "{stage}: a rollout that is over asks for nothing"
        );
        assert_eq!(bench.rollout.stage, end, "{stage}");
    }
}

/// A failure during the promotion sent all traffic back to a primary that was broken itself (flagger #1898): where the
/// version to go back to fails too, nothing goes back by itself; people are asked.
#[test]
fn rollback_target_must_be_verified_healthy() {
    let old = labelled(alert("HighErrorRate", at(1)), "version", "2.2.9");
    let old = Alert {
        fingerprint: Fingerprint("fp-old".to_owned()),
        ..old
    };
    let mut bench = Bench::baking(plan());
    let before = bench.rollout.wanted;
    bench.fires(&old);
    bench.fires(&labelled(alert("HighErrorRate", at(2)), "version", "2.3.0"));
    assert!(bench.take_open().is_empty(), "nothing is written anywhere");
    assert_eq!(bench.rollout.wanted, before);
    assert_eq!(bench.notices_of("guard-holds"), 1, "people are paged");
    bench.says(&jon(), rollback()).expect("a person may know better");
    bench.pass(1);
    assert_eq!(bench.weight, Weight::ZERO);
}

/// While waiting for a person the checks failed eighteen times over and nothing rolled back (flagger #1801).
#[test]
fn triggers_evaluated_in_every_non_terminal_state() {
    for (stage, mut bench) in under_way() {
        // Before any traffic was asked for no alert can be its fault.
        if bench.rollout.exposed_at.is_none() {
            continue;
        }
        bench.fires(&alert("HighErrorRate", bench.now));
        assert!(
            matches!(bench.rollout.stage, Stage::RollingBack { .. }),
            "{stage}: {:?}",
            bench.rollout.stage
        );
        assert_eq!(bench.notices_of("rolling-back"), 1, "{stage}");
    }
}

/// A verdict got lost, and the push went on to every site (Google Compute Engine incident 16007).
#[test]
fn missing_verdict_never_advances() {
    type Lose = fn(&mut Bench);
    let losses: [(&str, Lose); 5] = [
        ("no Watchdog was ever seen", |bench| {
            bench.watchdog = false;
            bench.around.watchdog_seen = None;
        }),
        ("the Watchdog stopped", |bench| bench.watchdog = false),
        ("the source is unreadable", |bench| {
            bench.around.poll = Poll::Unreadable { since: bench.now }
        }),
        ("the source was not asked", |bench| bench.around.poll = Poll::NotYet),
        ("an alert came back after its end", |bench| {
            bench.manner = Manner::Hangs;
            let occasion = alert("Chatty", bench.now);
            bench.fires(&over(&occasion, bench.now));
            bench.fires(&occasion);
            bench.take_open();
        }),
    ];
    for (loss, lose) in losses {
        let mut bench = Bench::baking(plan());
        bench.pass(300);
        lose(&mut bench);
        bench.pass(86_400 / 4);
        assert!(
            matches!(bench.rollout.stage, Stage::Baking { phase: 0, .. }),
            "{loss}: {:?}",
            bench.rollout.stage
        );
        let refusal = bench.says(&jon(), Command::Advance).expect_err(loss);
        let codes = [Code::R201, Code::R206, Code::R207];
        assert!(codes.contains(&refusal.code), "{loss}: {refusal}");
        assert_eq!(bench.notices_of("no-data"), 1, "{loss}: people are told once");
    }
}

/// A delayed writer put an old plan over a newer one (AWS DynamoDB, October 2025). What the core owes the targets: every
/// decision writes with a higher epoch than all before it, of this rollout and of the ones before on the same target.
#[test]
fn every_write_is_above_all_epochs_before() {
    let mut bench = Bench::started(plan());
    bench.manner = Manner::Hangs;
    let mut highest = 0;
    let mut written = Vec::new();
    for _ in 0..1_300 {
        for action in bench.take_open() {
            assert!(action.epoch > highest, "{action:?} is not above {highest}");
            highest = action.epoch;
            let ActionKind::SetWeight { weight, .. } = action.kind else {
                panic!("{action:?}")
            };
            written.push(weight);
            bench.report(&action, Outcome::Applied(read_back(weight, bench.now)));
        }
        bench.pass(1);
    }
    assert_eq!(written, [Weight::percent(5), Weight::percent(50), Weight::FULL]);
    bench.take_open();
    bench.says(&jon(), rollback()).expect("a rollback");
    let to_zero = bench.take_open().pop().expect("zero is asked for");
    assert!(to_zero.epoch > highest);

    let start = tidegate_rollout::begin::Start {
        plan: bench.rollout.plan.clone(),
        inputs: bench.rollout.inputs.clone(),
        actor: jon(),
        counter: 18,
        recent: Vec::new(),
        target_busy: None,
        target_epoch: to_zero.epoch,
    };
    let around = tidegate_rollout::Surroundings::calm(bench.now);
    let next = Rollout::begin(start, &around, bench.now).expect("a new start is a new rollout");
    assert!(
        next.actions[0].epoch > to_zero.epoch,
        "late words of the old rollout are stale for the target"
    );
}

/// The answer to a fence: the stale writer stops, holds and pages, and never tries to be the newer one by itself.
#[test]
fn a_fenced_writer_stops_and_a_person_settles_it() {
    let mut bench = Bench::started(plan());
    bench.manner = Manner::Fences(9);
    bench.pass(30);
    assert!(bench.writes.is_empty(), "nothing was written against a higher epoch");
    assert_eq!(bench.notices_of("guard-holds"), 1);
    assert!(bench.take_open().is_empty(), "it does not try again by itself");
    bench.types(&jon(), "release 1").expect("released");
    bench.types(&jon(), "advance").expect("a person goes on");
    bench.pass(1);
    assert!(
        matches!(bench.rollout.stage, Stage::Baking { phase: 0, .. }),
        "{:?}",
        bench.rollout.stage
    );
    assert_eq!(bench.weight, Weight::percent(5));
}

/// A target may accept a write and go on serving the old value: nothing is "rolled back" before zero is read.
#[test]
fn a_lying_target_is_never_called_rolled_back() {
    let mut bench = Bench::baking(plan());
    bench.manner = Manner::Reads(Weight::percent(5));
    bench.fires(&alert("HighErrorRate", at(1)));
    bench.pass(60);
    assert!(
        matches!(bench.rollout.stage, Stage::RollingBack { stuck: Some(_), .. }),
        "{:?}",
        bench.rollout.stage
    );
    assert_eq!(
        (bench.notices_of("rolled-back"), bench.notices_of("rollback-stuck")),
        (0, 1)
    );
    bench.manner = Manner::Answers;
    bench.says(&jon(), rollback()).expect("asked once more");
    bench.pass(1);
    assert!(
        matches!(bench.rollout.stage, Stage::RolledBack { .. }),
        "{:?}",
        bench.rollout.stage
    );
}

/// Every split of up to six pods of each version, asked for and ready.
fn every_side() -> impl Iterator<Item = Side> + Clone {
    (0..=6).flat_map(|asked| (0..=6).map(move |ready| Side { asked, ready }))
}

/// An instant rollback onto an old version that was scaled down overloaded it (flagger #869): what returns is ready before what
/// goes is taken away.
#[test]
fn capacity_before_traffic() {
    const WANTED: Split = Split { new: 0, old: 5 };
    for (new, old) in every_side().flat_map(|new| every_side().map(move |old| (new, old))) {
        let (new_ready, old_ready) = (new.ready.min(new.asked), old.ready.min(old.asked));
        let floor = 5.min(new_ready + old_ready);
        let next = capacity::next(new, old, WANTED, 5);
        // Kubernetes takes away what is not ready first.
        let left = new_ready.min(next.new) + old_ready.min(next.old);
        assert!(
            left >= floor,
            "{new:?} {old:?}: {next:?} leaves {left} of {floor} ready pods"
        );
        assert!(next.old >= 5, "{new:?} {old:?}: the old version does not come back");
    }
}

/// A fast rollback gave 70 % of the traffic to a version that had pods for 5 % (argo-rollouts PR #4612): the old version shrinks by
/// what the new one has ready, and on the way back no weight but zero is ever written.
#[test]
fn no_weight_above_verified_capacity() {
    const WANTED: Split = Split { new: 3, old: 2 };
    for ready in 0..=3 {
        let (new, old) = (Side { asked: 3, ready }, Side { asked: 5, ready: 5 });
        let next = capacity::next(new, old, WANTED, 5);
        assert_eq!(next.old, 5 - ready, "with {ready} of 3 ready");
    }
    for (stage, mut bench) in under_way() {
        bench.take_open();
        bench
            .says(&jon(), rollback())
            .unwrap_or_else(|refusal| panic!("{stage}: {refusal}"));
        let mut asked = 0;
        for _ in 0..200 {
            for action in bench.take_open() {
                asked += 1;
                let to_zero = matches!(action.kind, ActionKind::ToZero { .. });
                assert!(to_zero, "{stage}: {action:?} after the decision");
                bench.report(&action, Outcome::Applied(read_back(Weight::ZERO, bench.now)));
            }
            bench.pass(1);
        }
        assert!(asked > 0, "{stage}: nothing was asked of the target");
    }
}
