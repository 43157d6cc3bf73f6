//! Approvals, the checklist, and who looks at what: who may, once, and what opens a gate.

use serde_json::json;
use tidegate_rollout::notice::NoticeKind;
use tidegate_rollout::{Actor, Code, Command, Role, Stage, Weight};

use crate::bench::{Bench, alert, jon, person, plan_with};

/// Two of the dbas and one of product must approve the first phase, and one item must be ticked by product.
fn gated() -> Bench {
    Bench::baking(plan_with(|plan| {
        plan["spec"]["roles"]["dba"] = json!({ "members": ["dana", "dave", "jon"] });
        plan["spec"]["roles"]["product"] = json!({ "members": ["pia", "dana"] });
        plan["spec"]["phases"][0]["approvals"] = json!([{ "role": "dba", "people": 2 }, { "role": "product" }]);
        plan["spec"]["phases"][0]["checks"] = json!([
            { "id": "sessions", "text": "Sessions persist", "owner": "product" },
            { "id": "tracing", "text": "Traces are whole" },
        ]);
    }))
}

fn viewer(id: &str) -> Actor {
    person(id, &[Role::Viewer])
}

fn code(result: Result<(), tidegate_rollout::Refusal>) -> Code {
    result.expect_err("a refusal").code
}

#[test]
fn a_gate_opens_once_everybody_has_said_so_and_not_before() {
    let mut bench = gated();
    bench.pass(700);
    assert!(matches!(bench.rollout.stage, Stage::AtGate { phase: 0, .. }));
    let asked = bench.notices.iter().find_map(|notice| match &notice.kind {
        NoticeKind::ApprovalAsked { open, .. } => Some(open.join("; ")),
        _ => None,
    });
    let asked = asked.expect("people are asked");
    for part in [
        "2 of dba (dana, dave)",
        "product (pia, dana)",
        "sessions: Sessions persist, product",
        "tracing",
    ] {
        assert!(asked.contains(part), "{part}: {asked}");
    }
    let refused = bench.types(&jon(), "advance").expect_err("it is open");
    assert_eq!(refused.code, Code::R202);
    assert!(
        refused.message.contains("dba") && refused.message.contains("tracing"),
        "{refused}"
    );

    bench
        .types(&viewer("dana"), "approve role:dba \"cache warm\"")
        .expect("dana is a dba");
    bench.types(&viewer("pia"), "approve").expect("pia is product");
    bench
        .types(&viewer("pia"), "check done sessions \"see graph\"")
        .expect("pia owns it");
    bench.types(&jon(), "check done tracing").expect("jon operates");
    bench.pass(60);
    assert_eq!(bench.weight, Weight::percent(5), "one dba is missing");
    bench.types(&viewer("dave"), "approve").expect("dave is a dba");
    bench.pass(1);
    assert_eq!(bench.weight, Weight::percent(50), "an automatic gate is passed then");
    assert_eq!((bench.notices_of("approved"), bench.notices_of("checked")), (3, 2));
}

#[test]
fn nobody_approves_twice_for_somebody_else_or_what_they_started() {
    let mut bench = gated();
    bench.pass(10);
    assert_eq!(code(bench.types(&viewer("eve"), "approve")), Code::R301);
    assert_eq!(
        code(bench.types(&jon(), "approve role:dba")),
        Code::R302,
        "jon started it"
    );
    assert_eq!(
        code(bench.types(&viewer("dana"), "approve")),
        Code::R407,
        "dana is asked for two roles"
    );
    assert_eq!(code(bench.types(&viewer("dana"), "approve role:legal")), Code::R407);
    assert_eq!(code(bench.types(&viewer("pia"), "approve role:dba")), Code::R301);
    bench
        .types(&viewer("dana"), "approve role:product")
        .expect("either is hers");
    assert_eq!(
        code(bench.types(&viewer("dana"), "approve role:dba")),
        Code::R402,
        "one person counts once"
    );
    assert_eq!(
        code(bench.types(&viewer("pia"), "approve")),
        Code::R402,
        "one was enough"
    );
    let admin = person("root", &[Role::Admin]);
    assert_eq!(
        code(bench.types(&admin, "approve role:dba")),
        Code::R301,
        "an admin is no dba"
    );
    assert_eq!(bench.rollout.approvals.len(), 1);
}

#[test]
fn a_plan_may_let_the_starter_approve() {
    let mut bench = Bench::baking(plan_with(|plan| {
        plan["spec"]["roles"]["dba"] = json!({ "members": ["jon"] });
        plan["spec"]["phases"][0]["approvals"] = json!([{ "role": "dba", "selfApproval": true }]);
    }));
    bench.types(&jon(), "approve").expect("the plan says so");
    bench.pass(700);
    assert_eq!(bench.weight, Weight::percent(50));
    assert_eq!(
        code(bench.types(&jon(), "approve")),
        Code::R405,
        "the next gate asks for none"
    );
}

#[test]
fn a_tick_is_its_owners_and_can_be_taken_back() {
    let mut bench = gated();
    bench.pass(10);
    assert_eq!(code(bench.types(&jon(), "check done sessions")), Code::R301);
    assert_eq!(code(bench.types(&viewer("dana"), "check done tracing")), Code::R301);
    assert_eq!(code(bench.types(&viewer("pia"), "check done nothing")), Code::R407);
    assert_eq!(code(bench.types(&viewer("pia"), "check undo sessions")), Code::R405);
    bench.types(&viewer("pia"), "check done sessions").expect("hers");
    assert_eq!(code(bench.types(&viewer("pia"), "check done sessions")), Code::R402);
    bench
        .types(&viewer("mara"), "check undo sessions")
        .expect("the plan's commander may");
    assert!(bench.rollout.checks.is_empty());
    assert_eq!(code(bench.types(&jon(), "check maybe sessions")), Code::R104);
}

#[test]
fn a_rollback_waits_for_no_approval() {
    let mut bench = gated();
    bench.pass(700);
    let reason = Command::Rollback { reason: String::new() };
    bench.says(&person("ola", &[Role::Oncall]), reason).expect("always");
    bench.pass(1);
    assert_eq!(bench.weight, Weight::ZERO);
}

#[test]
fn who_looks_at_an_alert_is_known_until_it_is_over() {
    let mut bench = Bench::baking(plan_with(|_| ()));
    let ola = person("ola", &[Role::Oncall]);
    assert_eq!(code(bench.types(&ola, "ack")), Code::R407, "nothing fires");
    let since = bench.now;
    bench.fires(&alert("Chatty", since));
    bench.fires(&alert("HighLatency", since));
    assert_eq!(code(bench.types(&ola, "ack")), Code::R407, "two alerts and a question");
    assert_eq!(code(bench.types(&viewer("eve"), "ack alert:Chatty")), Code::R301);
    bench.types(&ola, "ack alert:Chatty").expect("it fires");
    bench.types(&ola, "ack 1").expect("the question");
    assert_eq!(code(bench.types(&ola, "ack alert:Chatty")), Code::R402);
    bench.types(&ola, "ack").expect("only one is left");
    let looked: Vec<&str> = bench.rollout.acknowledged.iter().map(|one| one.what.as_str()).collect();
    assert_eq!(looked, ["Chatty", "decision 1", "HighLatency"]);
    let ended = bench.now;
    bench.fires(&crate::bench::over(&alert("Chatty", since), ended));
    let looked: Vec<&str> = bench.rollout.acknowledged.iter().map(|one| one.what.as_str()).collect();
    assert_eq!(looked, ["decision 1", "HighLatency"], "nobody looks at what is over");
}
