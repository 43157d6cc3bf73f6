//! Who hears what: by how loud it is, and by how bad the plan says that is which caused it.

use serde_json::json;
use tidegate_rollout::notice::NoticeKind;

use crate::bench::{Bench, alert, jon, plan_with};

/// The last notice of a kind, and whether the phone and the team hear it.
fn heard(bench: &Bench, fits: impl Fn(&NoticeKind) -> bool) -> [bool; 2] {
    let said = bench.notices.iter().rfind(|notice| fits(&notice.kind));
    let channels = said
        .map(|notice| bench.rollout.plan.channels_of(notice))
        .unwrap_or_default();
    ["sms", "releases"].map(|channel| channels.contains(channel))
}

fn bench() -> Bench {
    Bench::baking(plan_with(|plan| {
        plan["spec"]["audiences"] = json!({
            "phone": { "channels": ["sms"], "hears": "pages", "severities": ["sev1"] },
            "team": { "channels": ["releases"] },
        });
    }))
}

#[test]
fn the_phone_rings_for_the_worst_and_the_team_hears_all() {
    let mut bench = bench();
    assert_eq!(
        heard(&bench, |kind| matches!(kind, NoticeKind::Started { .. })),
        [false, true]
    );
    bench.pass(60);
    bench.fires(&alert("HighLatency", bench.now));
    let asked = |kind: &NoticeKind| matches!(kind, NoticeKind::DecisionOpened { .. });
    assert_eq!(heard(&bench, asked), [false, true], "a question of sev2");
    bench.fires(&alert("HighErrorRate", bench.now));
    bench.work();
    for kind in ["rolling-back", "rolled-back"] {
        assert_eq!(
            heard(&bench, |said| said.word() == kind),
            [true, true],
            "{kind} for sev1"
        );
    }
}

#[test]
fn what_no_alert_caused_is_heard_as_loud_as_it_is() {
    let mut bench = bench();
    bench
        .types(&jon(), "rollback \"the numbers look odd\"")
        .expect("a rollback");
    bench.work();
    assert_eq!(heard(&bench, |said| said.word() == "rolled-back"), [true, true]);
}
