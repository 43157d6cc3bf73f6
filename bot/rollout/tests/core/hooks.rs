//! Hooks and probes: before a phase nothing moves until they passed, after it the gate waits, on the way back nothing waits.

use serde_json::{Value, json};
use tidegate_rollout::action::ActionKind;
use tidegate_rollout::hook::{Ended, HookEnd, Moment, Output, Permit, permit};
use tidegate_rollout::notice::NoticeKind;
use tidegate_rollout::{Action, Code, Command, Outcome, Period, Role, Stage, Weight};

use crate::bench::{Bench, alert, jon, person, plan_with};

fn hooked(change: impl FnOnce(&mut Value)) -> Bench {
    let plan = plan_with(|plan| {
        plan["spec"]["hooks"] = json!({
            "backup": { "run": { "command": ["backup.sh"] }, "timeout": "30m" },
            "warm": { "run": { "command": ["warm.sh"] }, "idempotent": true, "attempts": 2, "pause": "5s" },
            "undo": { "run": { "command": ["undo.sh"] } },
        });
        plan["spec"]["probes"] = json!({ "green": { "http": { "url": "https://green.example/health" } } });
        change(plan);
    });
    Bench::started(plan)
}

/// Before the first phase: a backup that must not run twice, and a probe that may.
fn before() -> Bench {
    hooked(|plan| {
        plan["spec"]["phases"][0]["hooks"] = json!({ "before": ["backup", "green"] });
        plan["spec"]["rollback"] = json!({ "hooks": ["undo"] });
    })
}

fn name(action: &Action) -> &str {
    match &action.kind {
        ActionKind::RunHook { name, .. } => name,
        ActionKind::SetWeight { .. } => "weight",
        ActionKind::ToZero { .. } => "zero",
        ActionKind::AskAboutAlert { .. } => "question",
        ActionKind::ReadLogs { .. } => "logs",
    }
}

fn only(bench: &mut Bench) -> Action {
    let mut open = bench.take_open();
    assert_eq!(open.len(), 1, "{open:?}");
    open.remove(0)
}

fn end(how: Ended, why: &str, printed: &str) -> Outcome {
    Outcome::Hooked(Box::new(HookEnd {
        how,
        why: why.to_owned(),
        took: Some(Period::seconds(3)),
        output: Output::of(printed, 0),
    }))
}

fn passes(bench: &mut Bench, expected: &str) {
    let action = only(bench);
    assert_eq!(name(&action), expected);
    bench.report(&action, end(Ended::Passed, "exit code 0", "all well"));
}

fn hold(bench: &Bench) -> u32 {
    assert_eq!(bench.rollout.holds.len(), 1, "{:?}", bench.rollout.holds);
    bench.rollout.holds[0].number
}

#[test]
fn traffic_moves_once_every_hook_before_it_has_passed_and_in_their_order() {
    let mut bench = before();
    bench.pass(600);
    assert_eq!((bench.writes.len(), bench.rollout.wanted), (0, Weight::ZERO));
    assert_eq!(bench.rollout.exposed_at, None);
    passes(&mut bench, "backup");
    bench.pass(5);
    assert!(bench.writes.is_empty(), "the probe has not answered");
    passes(&mut bench, "green");
    bench.pass(1);
    assert_eq!(bench.weight, Weight::percent(5));
    assert!(matches!(bench.rollout.stage, Stage::Baking { phase: 0, .. }));
    assert_eq!(bench.notices_of("hook-passed"), 2);
    let said = bench
        .log
        .iter()
        .any(|line| line.text.contains("Hook backup before phase five passed after 3s"));
    assert!(said, "{:?}", bench.log);
}

#[test]
fn a_hook_is_told_what_it_works_for() {
    let mut bench = before();
    let ActionKind::RunHook {
        facts, moment, errand, ..
    } = only(&mut bench).kind
    else {
        panic!("no hook");
    };
    assert_eq!((moment, errand.timeout), (Moment::Before(0), Period::minutes(30)));
    let expected = [
        ("ROLLOUT_ID", "checkout-17"),
        ("ROLLOUT_PHASE", "five"),
        ("ROLLOUT_WEIGHT", "5%"),
        ("ROLLOUT_MOMENT", "before"),
        ("ROLLOUT_INPUT_VERSION", "2.3.0"),
    ];
    for (key, value) in expected {
        assert_eq!(facts.get(key).map(String::as_str), Some(value), "{key}");
    }
}

#[test]
fn a_failing_before_holds_says_why_and_moves_nothing() {
    let mut bench = before();
    let action = only(&mut bench);
    bench.report(
        &action,
        end(Ended::Failed, "exit code 3", "disk full\nno backup written"),
    );
    bench.pass(3_600);
    assert!(bench.writes.is_empty() && bench.take_open().is_empty());
    assert_eq!(
        (bench.notices_of("hook-failed"), bench.notices_of("advance-failed")),
        (1, 0)
    );
    let said = bench.notices.iter().find_map(|notice| match &notice.kind {
        NoticeKind::HookFailed { why, output, hold, .. } => Some((why.as_str(), output.as_str(), *hold)),
        _ => None,
    });
    assert_eq!(said, Some(("exit code 3", "disk full\nno backup written", Some(1))));
    let refused = bench.says(&jon(), Command::Advance).expect_err("it is held");
    assert_eq!(refused.code, Code::R203);
    assert!(
        refused.hint.contains("`retry`") && refused.message.contains("exit code 3"),
        "{refused:?}"
    );
}

#[test]
fn a_person_has_it_run_once_more_or_goes_on_without_it() {
    let mut bench = before();
    let failed = only(&mut bench);
    bench.report(&failed, end(Ended::Failed, "exit code 3", ""));
    bench.says(&jon(), Command::Retry).expect("it can be tried again");
    assert!(bench.rollout.holds.is_empty());
    let again = only(&mut bench);
    assert!(name(&again) == "backup" && again.id != failed.id);
    bench.report(&again, end(Ended::Failed, "exit code 4", ""));
    let number = hold(&bench);
    bench.says(&jon(), Command::Release { number }).expect("jon operates");
    let settled: Vec<_> = bench
        .rollout
        .hooks
        .iter()
        .filter_map(|run| run.settled_by.as_ref())
        .collect();
    assert_eq!(settled, [&jon().person]);
    assert!(
        bench
            .log
            .iter()
            .any(|line| line.kind == "hook-skipped" && line.by == "jon")
    );
    passes(&mut bench, "green");
    bench.pass(1);
    assert_eq!(bench.weight, Weight::percent(5));
    let refused = bench.says(&jon(), Command::Retry).expect_err("nothing waits for it");
    assert_eq!(refused.code, Code::R405);
}

#[test]
fn what_may_run_twice_is_tried_again_and_what_must_not_is_not() {
    let mut bench = hooked(|plan| plan["spec"]["phases"][0]["hooks"] = json!({ "before": ["warm"] }));
    let first = only(&mut bench);
    bench.report(&first, end(Ended::Unknown, "Tidegate stopped while it ran", ""));
    let second = only(&mut bench);
    assert_ne!(first.id, second.id);
    let rests = permit(&bench.rollout, &second, false, &bench.around, bench.now);
    assert_eq!(rests, Permit::Rests, "five seconds lie between two tries");
    bench.pass(5);
    assert_eq!(
        permit(&bench.rollout, &second, true, &bench.around, bench.now),
        Permit::Begin
    );
    bench.report(&second, end(Ended::Failed, "exit code 1", ""));
    assert_eq!(
        bench.rollout.holds[0].by.to_string(),
        "tidegate (hook failed)",
        "both tries are spent"
    );

    let mut bench = before();
    let action = only(&mut bench);
    let again = permit(&bench.rollout, &action, true, &bench.around, bench.now);
    assert_eq!(again, Permit::MayHaveRun);
    bench.report(&action, end(Ended::Unknown, "Tidegate stopped while it ran", ""));
    assert_eq!(bench.rollout.holds[0].by.to_string(), "tidegate (hook may have run)");
    assert!(bench.take_open().is_empty(), "nothing runs by itself");
}

#[test]
fn a_hook_does_not_begin_in_a_pause_a_hold_or_a_freeze() {
    let mut bench = before();
    let action = only(&mut bench);
    bench
        .says(&jon(), Command::Pause { reason: String::new() })
        .expect("a pause");
    let paused = permit(&bench.rollout, &action, false, &bench.around, bench.now);
    assert!(matches!(paused, Permit::InTheWay(_)), "{paused:?}");
    bench.pass(7_200);
    assert!(
        bench.rollout.holds.is_empty(),
        "a worker that rightly waits is not silent"
    );
    bench.says(&jon(), Command::Resume).expect("a resume");
    assert_eq!(
        permit(&bench.rollout, &action, false, &bench.around, bench.now),
        Permit::Begin
    );
}

#[test]
fn a_worker_that_says_nothing_is_not_waited_for_for_ever() {
    let mut bench = before();
    bench.pass(30 * 60 + 5 + 5 * 60 - 1);
    assert!(bench.rollout.holds.is_empty());
    bench.pass(1);
    assert_eq!(bench.rollout.holds[0].by.to_string(), "tidegate (hook may have run)");
    assert!(
        bench.rollout.holds[0].reason.contains("no worker has answered"),
        "{:?}",
        bench.rollout.holds
    );
}

#[test]
fn what_follows_a_long_hook_needs_proof_anew() {
    let mut bench = hooked(|plan| plan["spec"]["phases"][0]["hooks"] = json!({ "before": ["backup"] }));
    bench.watchdog = false;
    bench.pass(200);
    passes(&mut bench, "backup");
    bench.pass(60);
    assert!(bench.writes.is_empty(), "the Watchdog is silent");
    bench.watchdog = true;
    bench.pass(2);
    assert_eq!(bench.weight, Weight::percent(5));
}

#[test]
fn a_failing_after_holds_at_the_gate() {
    let mut bench = hooked(|plan| plan["spec"]["phases"][0]["hooks"] = json!({ "after": ["green", "warm"] }));
    bench.pass(700);
    assert!(
        matches!(bench.rollout.stage, Stage::AtGate { phase: 0, .. }),
        "{:?}",
        bench.rollout.stage
    );
    passes(&mut bench, "green");
    let action = only(&mut bench);
    bench.report(&action, end(Ended::Failed, "exit code 1", ""));
    let action = only(&mut bench);
    bench.report(&action, end(Ended::Failed, "exit code 1", ""));
    bench.pass(3_600);
    assert_eq!(bench.weight, Weight::percent(5));
    let number = hold(&bench);
    bench.says(&jon(), Command::Release { number }).expect("a release");
    bench.pass(1);
    assert_eq!(bench.weight, Weight::percent(50), "an automatic gate is passed then");
}

#[test]
fn a_manual_gate_waits_for_a_person_after_its_hooks() {
    let mut bench = hooked(|plan| {
        plan["spec"]["phases"][0]["hooks"] = json!({ "after": ["green"] });
        plan["spec"]["phases"][0]["gate"] = json!("manual");
    });
    bench.pass(700);
    assert_eq!(bench.notices_of("waits-at-gate"), 0, "nothing to press yet");
    let refused = bench
        .says(&jon(), Command::Advance)
        .expect_err("the probe has not answered");
    assert_eq!(refused.code, Code::R210);
    passes(&mut bench, "green");
    assert_eq!(bench.notices_of("waits-at-gate"), 1);
    bench.pass(60);
    assert_eq!(bench.weight, Weight::percent(5));
    bench.says(&jon(), Command::Advance).expect("its time has come");
    bench.pass(1);
    assert_eq!(bench.weight, Weight::percent(50));
}

#[test]
fn on_the_way_back_traffic_goes_first_and_waits_for_no_hook() {
    let mut bench = before();
    passes(&mut bench, "backup");
    passes(&mut bench, "green");
    bench.pass(10);
    let began = bench.now;
    bench.fires(&alert("HighErrorRate", began));
    let zero = only(&mut bench);
    assert_eq!(name(&zero), "zero");
    bench.report(&zero, Outcome::Applied(crate::bench::read_back(Weight::ZERO, began)));
    assert_eq!(
        (bench.rollout.state_word(), bench.notices_of("rolled-back")),
        ("ROLLED BACK", 1)
    );
    assert!(!bench.rollout.is_final(), "its last hook is still out");
    let refused = bench
        .says(&jon(), Command::Rollback { reason: String::new() })
        .expect_err("it is back");
    assert_eq!(refused.code, Code::R403);
    let undo = only(&mut bench);
    bench.report(&undo, end(Ended::Failed, "exit code 9", "no such host"));
    assert!(bench.rollout.is_final() && bench.rollout.holds.is_empty());
    assert_eq!(bench.notices_of("hook-failed"), 1, "the failure is told");
}

#[test]
fn a_rollback_during_a_hook_does_not_wait_for_it_and_what_undoes_it_does() {
    let mut bench = hooked(|plan| {
        plan["spec"]["phases"][1]["hooks"] = json!({ "before": ["backup", "green"] });
        plan["spec"]["rollback"] = json!({ "hooks": ["undo"] });
    });
    bench.pass(700);
    let backup = only(&mut bench);
    assert_eq!(name(&backup), "backup");
    let mara = person("mara", &[Role::IncidentCommander]);
    bench
        .says(&mara, Command::Rollback { reason: String::new() })
        .expect("always");
    let not_begun = permit(&bench.rollout, &backup, false, &bench.around, bench.now);
    assert_eq!(not_begun, Permit::NotWanted);
    bench.pass(1);
    assert_eq!(
        (bench.weight, bench.rollout.state_word()),
        (Weight::ZERO, "ROLLED BACK")
    );
    assert!(bench.take_open().is_empty(), "the backup may still be at work");
    bench.report(&backup, end(Ended::Failed, "exit code 1", ""));
    assert!(bench.rollout.holds.is_empty(), "nobody has to settle it any more");
    passes(&mut bench, "undo");
    assert!(bench.rollout.is_final());
    assert_eq!(bench.rollout.hooks.len(), 2, "the probe was never asked");
}

#[test]
fn what_has_begun_is_not_aborted_away() {
    let mut bench = before();
    let refused = bench
        .says(&jon(), Command::Abort { reason: String::new() })
        .expect_err("a backup may run");
    assert_eq!(refused.code, Code::R404);
}

#[test]
fn the_same_end_told_twice_is_one_and_a_late_one_changes_nothing() {
    let mut bench = before();
    let backup = only(&mut bench);
    bench.report(&backup, end(Ended::Failed, "exit code 1", ""));
    let (generation, lines) = (bench.rollout.generation, bench.log.len());
    bench.report(&backup, end(Ended::Failed, "exit code 1", ""));
    assert_eq!((bench.rollout.generation, bench.log.len()), (generation, lines));
    bench.report(&backup, end(Ended::Passed, "exit code 0", ""));
    assert_eq!(bench.rollout.holds.len(), 1, "a person has been asked");
    assert_eq!(bench.log.last().map(|line| line.kind.as_str()), Some("hook-late"));
}

#[test]
fn long_output_is_in_the_log_and_its_end_in_the_notice() {
    let mut bench = before();
    let backup = only(&mut bench);
    let printed = format!("{}the last line", "a line\n".repeat(2_000));
    bench.report(&backup, end(Ended::Failed, "exit code 1", &printed));
    let kept = bench
        .log
        .iter()
        .find(|line| line.kind == "hook-output")
        .expect("a line");
    assert!(
        kept.text.ends_with("the last line") && kept.text.len() < 5_000,
        "{}",
        kept.text.len()
    );
    assert!(kept.text.contains("bytes before it are not kept"), "{}", kept.text);
    let stored = serde_json::to_string(&bench.rollout).expect("JSON");
    assert!(!stored.contains("a line\\na line\\n"), "the rollout itself stays small");
}
