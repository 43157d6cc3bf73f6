//! The way back on the pages: what a rollback will do and what it leaves alone, by the kind of target; rungs and hooks as they went.

use serde_json::{Value, json};
use tidegate_rollout::hook::{Ended, HookEnd, Output};
use tidegate_rollout::{Outcome, Period, Plan};

use super::*;

fn plan_with(change: impl FnOnce(&mut Value)) -> Plan {
    let mut plan = serde_json::to_value(samples::plan()).unwrap();
    change(&mut plan["spec"]);
    serde_json::from_value(plan).unwrap()
}

fn pods() -> Value {
    json!({ "deployment-replicas": { "namespace": "shop", "new": "v2", "old": "v1", "total": 4 } })
}

fn colour() -> Value {
    json!({ "service-selector": {
        "namespace": "shop", "service": "shop", "label": "version", "new": "green", "old": "blue", "ready": 2,
    } })
}

fn route() -> Value {
    json!({ "httproute": { "namespace": "shop", "route": "shop", "new": "green", "old": "blue" } })
}

fn ladder() -> Value {
    json!({
        "ladder": [
            { "name": "route", "within": "30s", "target": route() },
            { "name": "old-up", "within": "5m", "target": pods() },
        ],
        "hooks": ["undo"],
    })
}

/// A rollout with a ladder and hooks, whose first phase a hook has opened.
fn laddered() -> Story {
    let plan = plan_with(|spec| {
        spec["target"] = route();
        spec["rollback"] = ladder();
        spec["hooks"] = json!({
            "backup": { "run": { "command": ["backup.sh"] } },
            "undo": { "run": { "command": ["undo.sh"] } },
        });
        spec["phases"][0] =
            json!({ "name": "canary", "weight": "5%", "bake": "30m", "hooks": { "before": ["backup"] } });
    });
    let passed = hooked(Ended::Passed, "exit code 0", "412 tables");
    Story::begins(plan, 9).reports(passed).read_back()
}

fn hooked(how: Ended, why: &str, printed: &str) -> Outcome {
    Outcome::Hooked(Box::new(HookEnd {
        how,
        why: why.to_owned(),
        took: Some(Period::seconds(42)),
        output: Output::of(printed, 0),
    }))
}

fn asked_before(story: &Story) -> String {
    let reader = reader(Role::Operator);
    let page = Confirm::rollback(&story.seen(), Some(&reader), story.now);
    words(&shown("confirm-rollback-kinds", pages().confirm(&page)))
}

#[test]
fn a_rollback_is_announced_in_the_words_of_its_kind_of_target() {
    let not_scaled = "none is started, stopped or scaled";
    for (target, does, leaves) in [
        (
            json!({ "flag": { "key": "checkout-v2" } }),
            "flag/checkout-v2 is set to 0%.",
            not_scaled,
        ),
        (
            pods(),
            "Deployment v1 is scaled up to 4 pods, and Deployment v2 down to none as those become ready.",
            "only their number of pods changes",
        ),
        (colour(), "it selects version=blue again", not_scaled),
        (route(), "all of it goes to Service blue.", not_scaled),
    ] {
        let scales = target.get("deployment-replicas").is_some();
        let plan = plan_with(|spec| spec["target"] = target);
        let text = asked_before(&Story::begins(plan, 7).read_back());
        assert!(text.contains(does) && text.contains(leaves), "{text}");
        assert_eq!(text.contains(not_scaled), !scales, "{text}");
        assert!(!text.contains("rung by rung"), "there is one way only: {text}");
    }
}

#[test]
fn a_rollback_over_a_ladder_lists_its_rungs_with_their_times_and_its_hooks() {
    let text = asked_before(&laddered());
    let place = |words: &str| text.find(words).unwrap_or_else(|| panic!("{words} is missing: {text}"));
    let first = place("route: httproute/shop/shop is set to 0%: all of it goes to Service blue. It has 30s.");
    let second = place("old-up: deployment/shop/v2 is set to 0%: Deployment v1 is scaled up to 4 pods");
    assert!(first < second && place("It has 5m.") > second);
    assert!(text.contains("After that these hooks run, one by one: undo."), "{text}");
    assert!(
        !text.contains("none is started, stopped or scaled"),
        "the second rung scales: {text}"
    );
}

#[test]
fn the_page_shows_the_rungs_as_they_were_climbed_and_the_hooks_as_they_went() {
    let begun = shown("rollout-hooks", pages().rollout(&page_of(&laddered(), Role::Operator)));
    let text = words(&begun);
    assert!(
        text.contains("PASSED backup before phase canary, asked for") && text.contains("(42s)"),
        "{text}"
    );
    assert!(
        text.contains("Its output ended with: 412 tables"),
        "it is in the timeline: {text}"
    );
    assert!(!text.contains("The way back"), "nothing was climbed: {text}");

    let falls = laddered()
        .later(5)
        .alert("CheckoutErrorRateHigh", "checkout-7d9f", -1)
        .later(1);
    let text = words(&shown(
        "rollout-rungs",
        pages().rollout(&page_of(&falls, Role::Operator)),
    ));
    assert!(text.contains("NOT THROUGH route httproute/shop/shop, since"), "{text}");
    assert!(
        text.contains("(1m of 30s)") && text.contains("The target has not been read at zero"),
        "{text}"
    );
    assert!(
        text.contains("BEING TRIED old-up deployment/shop/v2, since") && text.contains("of 5m)"),
        "{text}"
    );

    let back = falls
        .read_back()
        .reports(hooked(Ended::Failed, "exit code 3", "no such table"));
    let text = words(&shown(
        "rollout-rungs-back",
        pages().rollout(&page_of(&back, Role::Operator)),
    ));
    assert!(text.contains("READ BACK old-up deployment/shop/v2"), "{text}");
    assert!(
        text.contains("FAILED undo after the rollback") && text.contains("exit code 3"),
        "{text}"
    );
}
