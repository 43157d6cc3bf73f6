//! What the pods wrote: asked for beside the way back, told once, and of no weight for anything that is decided.

use serde_json::json;
use tidegate_rollout::action::{ActionKind, Lane, Outcome};
use tidegate_rollout::hook::Output;
use tidegate_rollout::pod_log::{PodLog, PodLogs};
use tidegate_rollout::{Action, Weight};

use crate::bench::{Bench, Manner, alert, jon, plan_with, read_back};

fn target() -> serde_json::Value {
    json!({ "deployment-replicas": { "namespace": "shop", "new": "v2", "old": "v1", "total": 4 } })
}

/// What is asked for when the first alert comes.
fn struck(ladder: serde_json::Value, lines: u32) -> (Bench, Vec<Action>) {
    let plan = plan_with(|plan| plan["spec"]["rollback"] = json!({ "ladder": ladder, "podLogs": lines }));
    let mut bench = Bench::baking(plan);
    let began = bench.now;
    bench.fires(&alert("HighErrorRate", began));
    let open = bench.take_open();
    bench.manner = Manner::Hangs;
    (bench, open)
}

fn on_pods() -> serde_json::Value {
    json!([
        { "name": "flag", "target": { "flag": { "key": "checkout-v2" } } },
        { "name": "pods", "target": target() },
    ])
}

fn logs() -> Outcome {
    let log = |pod: &str, text: &str| PodLog {
        pod: pod.to_owned(),
        container: "app".to_owned(),
        state: "not ready".to_owned(),
        output: Output::of(text, 0),
    };
    Outcome::Logs(Box::new(PodLogs {
        pods: vec![log("v2-1", &format!("{}\nthe end", "x".repeat(900))), log("v2-2", "")],
        unread: Some("could not read a log: it is gone".to_owned()),
    }))
}

#[test]
fn they_are_asked_for_once_beside_the_first_rung_and_only_where_the_plan_says_so() {
    let (_, open) = struck(on_pods(), 20);
    let [zero, asked] = &open[..] else { panic!("{open:?}") };
    assert!(
        matches!(zero.kind, ActionKind::ToZero { .. }),
        "nothing comes before the way back"
    );
    let ActionKind::ReadLogs { target, lines: 20 } = &asked.kind else {
        panic!("{asked:?}")
    };
    assert_eq!(
        (target.name().as_str(), asked.lane()),
        ("deployment/shop/v2", Lane::Safety)
    );
    assert_eq!(struck(on_pods(), 0).1.len(), 1);
    let only_a_flag = json!([{ "name": "flag", "target": { "flag": { "key": "checkout-v2" } } }]);
    assert_eq!(struck(only_a_flag, 20).1.len(), 1, "a flag has no pods");
}

#[test]
fn they_are_told_once_however_often_a_worker_says_it() {
    let (mut bench, open) = struck(on_pods(), 20);
    bench.report(&open[1], logs());
    assert_eq!(bench.notices_of("pod-logs"), 1);
    let said = bench
        .log
        .iter()
        .find(|entry| entry.kind == "pod-log")
        .expect("the log keeps it");
    assert!(
        said.text.starts_with("Pod v2-1 (app: not ready) wrote:\nxxx") && said.text.len() > 900,
        "{said:?}"
    );
    bench.report(&open[1], logs());
    assert_eq!(
        bench.notices_of("pod-logs"),
        1,
        "a worker that died before it closed the row says it again"
    );
    assert_eq!(
        bench.rollout.state_word(),
        "ROLLING BACK",
        "what pods say is no proof of anything"
    );
}

#[test]
fn late_word_of_them_is_told_of_a_rollout_that_is_over() {
    let (mut bench, open) = struck(on_pods(), 20);
    let now = bench.now;
    bench.report(&open[0], Outcome::Applied(read_back(Weight::ZERO, now)));
    assert!(bench.rollout.is_final());
    bench.report(&open[1], logs());
    assert_eq!(bench.notices_of("pod-logs"), 1);
    assert!(bench.rollout.pod_logs.is_none());
}

#[test]
fn they_wake_nobody_whom_a_person_has_spared() {
    let plan = plan_with(|plan| plan["spec"]["rollback"] = json!({ "ladder": on_pods(), "podLogs": 5 }));
    let mut bench = Bench::baking(plan);
    bench.types(&jon(), "rollback looks wrong").expect("jon may");
    let open = bench.take_open();
    bench.report(&open[1], logs());
    let notice = bench
        .notices
        .iter()
        .find(|notice| notice.kind.word() == "pod-logs")
        .expect("it is told");
    let facts = serde_json::to_value(&notice.kind).expect("it is JSON");
    assert_eq!(facts["facts"]["alerted"], false, "{facts}");
}
