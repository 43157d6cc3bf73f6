//! Every stage a rollout can be in, made on the bench by the way that leads there.
//! Refuses to build a stage by hand: each is reached through events.

use tidegate_rollout::command::Command;
use tidegate_rollout::{Stage, Weight};

use crate::bench::{Bench, Manner, alert, at, jon, person, plan, plan_with};
use tidegate_rollout::Role;

/// Names of the stages in which a rollback is possible, and the bench in each of them.
pub(crate) fn under_way() -> Vec<(&'static str, Bench)> {
    let advancing = Bench::started(plan());
    let mut second = Bench::baking(plan());
    second.manner = Manner::Hangs;
    second.pass(600);
    let mut failed = Bench::started(plan());
    failed.manner = Manner::Fences(99);
    failed.pass(1);
    failed.manner = Manner::Answers;
    let baking = Bench::baking(plan());
    let mut at_gate = Bench::baking(plan_with(|plan| plan["spec"]["phases"][0]["gate"] = "manual".into()));
    at_gate.pass(601);
    let mut watching = Bench::baking(plan());
    watching.pass(1_900);
    let mut paused = Bench::baking(plan());
    paused
        .says(&jon(), Command::Pause { reason: String::new() })
        .expect("a pause");
    let mut held = Bench::baking(plan());
    let hold = Command::Hold {
        reason: "watching redis".to_owned(),
        until: None,
    };
    held.says(&jon(), hold).expect("a hold");
    let mut asked = Bench::baking(plan());
    asked.fires(&alert("HighLatency", at(1)));
    let mut blind = Bench::baking(plan());
    blind.watchdog = false;
    blind.pass(120);
    let mut frozen = Bench::baking(plan());
    frozen.around.freeze = Some(freeze());
    let mut asking = Bench::baking(plan_with(|plan| {
        plan["spec"]["phases"][0]["approvals"] = serde_json::json!([{ "role": "dba" }]);
        plan["spec"]["phases"][0]["checks"] = serde_json::json!([{ "id": "sessions", "text": "Sessions last" }]);
    }));
    asking.pass(601);
    let mut hooked = Bench::started(plan_with(|plan| {
        plan["spec"]["hooks"] = serde_json::json!({ "backup": { "run": { "command": ["backup.sh"] } } });
        plan["spec"]["phases"][0]["hooks"] = serde_json::json!({ "before": ["backup"] });
    }));
    hooked.pass(400);
    let benches = vec![
        ("advancing into the first phase", advancing),
        ("advancing into a later phase", second),
        ("advance failed", failed),
        ("baking", baking),
        ("at a gate", at_gate),
        ("watching", watching),
        ("paused", paused),
        ("held", held),
        ("question open", asked),
        ("no data", blind),
        ("frozen", frozen),
        ("gate asks people", asking),
        ("hook may have run", hooked),
    ];
    for (name, bench) in &benches {
        assert!(
            !bench.rollout.is_final() && !bench.rollout.is_latched(),
            "{name} is under way"
        );
    }
    benches
}

/// Names of the stages in which a rollback was decided or nothing can happen any more.
pub(crate) fn latched_or_over() -> Vec<(&'static str, Bench)> {
    let mut rolling_back = Bench::baking(plan());
    rolling_back.manner = Manner::Hangs;
    rolling_back.fires(&alert("HighErrorRate", at(1)));
    let mut stuck = Bench::baking(plan());
    stuck.manner = Manner::Refuses;
    stuck.fires(&alert("HighErrorRate", at(1)));
    stuck.pass(40);
    let mut rolled_back = Bench::baking(plan());
    rolled_back.fires(&alert("HighErrorRate", at(1)));
    rolled_back.pass(1);
    let mut completed = Bench::baking(plan());
    completed.pass(1_900 + 3_601);
    let mut aborted = Bench::started(plan_with(|plan| plan["spec"]["phases"][0]["weight"] = "0%".into()));
    aborted
        .says(&jon(), Command::Abort { reason: String::new() })
        .expect("an abort without traffic");
    let benches = vec![
        ("rolling back", rolling_back),
        ("rollback stuck", stuck),
        ("rolled back", rolled_back),
        ("completed", completed),
        ("aborted", aborted),
    ];
    for (name, bench) in &benches {
        assert!(
            bench.rollout.is_final() || bench.rollout.is_latched(),
            "{name}: {:?}",
            bench.rollout.stage
        );
    }
    benches
}

fn freeze() -> tidegate_rollout::surroundings::Freeze {
    tidegate_rollout::surroundings::Freeze {
        by: "root".to_owned(),
        reason: "Black Friday".to_owned(),
        at: at(0),
    }
}

/// One command of each kind, under a name that never changes.
pub(crate) fn commands() -> Vec<(&'static str, Command)> {
    use tidegate_rollout::command::Answer;
    vec![
        ("advance", Command::Advance),
        (
            "pause",
            Command::Pause {
                reason: "lunch".to_owned(),
            },
        ),
        ("resume", Command::Resume),
        ("retry", Command::Retry),
        (
            "hold",
            Command::Hold {
                reason: "watching redis".to_owned(),
                until: None,
            },
        ),
        ("release", Command::Release { number: 1 }),
        (
            "rollback",
            Command::Rollback {
                reason: "it smells".to_owned(),
            },
        ),
        ("abort", Command::Abort { reason: String::new() }),
        (
            "decide continue",
            Command::Decide {
                number: None,
                answer: Answer::Continue,
            },
        ),
        (
            "decide rollback",
            Command::Decide {
                number: None,
                answer: Answer::Rollback,
            },
        ),
        (
            "approve",
            Command::Approve {
                role: None,
                comment: String::new(),
            },
        ),
        (
            "check",
            Command::Check {
                item: "sessions".to_owned(),
                done: true,
                evidence: String::new(),
            },
        ),
        (
            "ack",
            Command::Ack {
                alert: None,
                number: None,
            },
        ),
        (
            "note",
            Command::Note {
                text: "seen".to_owned(),
            },
        ),
    ]
}

#[test]
fn the_benches_stand_where_their_names_say() {
    let word = |bench: &Bench| bench.rollout.state_word();
    let words: Vec<_> = under_way()
        .iter()
        .chain(&latched_or_over())
        .map(|(_, bench)| word(bench))
        .collect();
    let expected = [
        "ADVANCING",
        "ADVANCING",
        "ADVANCING",
        "BAKING",
        "WAITING",
        "WATCHING",
        "PAUSED",
        "HELD",
        "BAKING",
        "BAKING",
        "BAKING",
        "WAITING",
        "HELD",
        "ROLLING BACK",
        "ROLLING BACK",
        "ROLLED BACK",
        "COMPLETED",
        "ABORTED",
    ];
    assert_eq!(words, expected);
    let mara = person("mara", &[Role::IncidentCommander]);
    for (name, mut bench) in under_way() {
        bench
            .says(&mara, Command::Rollback { reason: String::new() })
            .unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        assert!(matches!(bench.rollout.stage, Stage::RollingBack { .. }), "{name}");
        assert_eq!(bench.rollout.wanted, Weight::ZERO, "{name}");
    }
}
