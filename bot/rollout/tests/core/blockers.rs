//! What stands in the way, in the words that people read: by number, until when, and who may settle it.

use serde_json::json;
use tidegate_rollout::step::blockers;
use tidegate_rollout::{Command, Role};

use crate::bench::{Bench, alert, jon, person, plan_with};

/// What keeps it from going on, line by line.
fn in_the_way(bench: &Bench) -> Vec<String> {
    let found = blockers(&bench.rollout, &bench.around, bench.now);
    found
        .iter()
        .map(|blocker| blocker.refusal(&bench.rollout))
        .map(|refusal| format!("{} {}", refusal.message, refusal.hint))
        .collect()
}

fn asked(default: &str) -> Bench {
    let plan = plan_with(|plan| {
        let decide = json!({ "decide": { "within": "5m", "default": default, "by": ["dba"] } });
        plan["spec"]["severities"]["sev2"]["action"] = decide;
    });
    let mut bench = Bench::baking(plan);
    let began = bench.now;
    bench.fires(&alert("HighLatency", began));
    bench
}

#[test]
fn a_question_says_whom_it_is_for_until_when_and_what_happens_then() {
    for (default, then) in [("rollback", "it rolls back"), ("hold", "it holds")] {
        let bench = asked(default);
        let until = tidegate_rollout::notice::clock(bench.rollout.decisions[0].deadline);
        let lines = in_the_way(&bench);
        let begins = format!("Question 1 is open for dba until {until}, then {then}: ");
        let question = lines.iter().find(|line| line.starts_with(&begins));
        let question = question.unwrap_or_else(|| panic!("{begins} is not in {lines:#?}"));
        assert!(
            question.ends_with("Say `decide continue 1` or `decide rollback 1`."),
            "{question}"
        );
    }
}

#[test]
fn a_question_for_a_role_is_answered_by_its_members_and_by_whoever_commands() {
    let viewer = |id| person(id, &[Role::Viewer]);
    for who in [
        viewer("dana"),
        viewer("mara"),
        person("zoe", &[Role::IncidentCommander]),
    ] {
        let mut bench = asked("rollback");
        bench
            .types(&who, "decide continue")
            .unwrap_or_else(|refusal| panic!("{who:?}: {refusal}"));
        assert!(bench.rollout.decisions.is_empty());
    }
    let refusal = asked("rollback")
        .types(&jon(), "decide continue")
        .expect_err("jon is none of them");
    assert_eq!(refusal.message, "Decision 1 is for dba (dana); jon is none of them.");
}

#[test]
fn a_hold_says_for_how_long_it_stood_and_until_when_it_does() {
    let mut bench = Bench::baking(plan_with(|_| ()));
    let until = bench.now + jiff::SignedDuration::from_hours(1);
    for until in [Some(until), None] {
        let reason = "watching redis".to_owned();
        bench.says(&jon(), Command::Hold { reason, until }).expect("jon may");
    }
    bench.pass(60);
    let lines = in_the_way(&bench);
    let first = format!(
        "Hold 1: jon has held it for 1m, until {}: \"watching redis\". Say `release 1` once that is settled.",
        tidegate_rollout::notice::clock(until)
    );
    assert!(lines.contains(&first), "{lines:#?}");
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("Hold 2: jon has held it for 1m: ")),
        "{lines:#?}"
    );
}
