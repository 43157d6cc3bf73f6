//! The crash scenarios: the real server dies at any moment, comes back on the same storage, and keeps what it promised.
//!
//! No alert that was answered 200 is lost; a rollback that has begun is finished within five seconds of the restart, without
//! help; the weight never rises after the decision; the log stays whole; the same command key gets the same answer.
//!
//! Zero failures in n kills only bound the rate: 200 kills say "less than 1.5 %" with 95 % confidence, 10,000 "0.03 %".

mod alert;
mod channels;
pub(crate) mod client;
mod death;
mod dice;
mod failpoints;
mod kills;
pub(crate) mod ledger;
mod old;
mod peers;
mod stops;
mod tale;

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use tidegate_tests::tidegate::Setup;

/// The promise: from the start of the process to "rolled back".
const PROMISE: Duration = Duration::from_secs(5);

/// The name of the plan; its rollouts are `sluice-1`, `sluice-2`, …
pub(crate) const PLAN: &str = "sluice";
/// The flag it moves.
pub(crate) const FLAG: &str = "sluice-v2";
/// The service whose alerts count.
pub(crate) const SERVICE: &str = "sluice";
/// The alert that rolls back.
const ERRORS: &str = "ErrorRateHigh";

/// One plan, three quick phases, and a watch that never ends by itself: every rollout is rolled back some day.
pub(crate) fn setup() -> Result<Setup> {
    telling(&["chat", "log"])
}

/// The same, told on these channels.
pub(crate) fn telling(channels: &[&str]) -> Result<Setup> {
    plan_telling(&json!({ "team": { "channels": channels, "hears": "everything" } }))
}

/// The same, told to these audiences.
fn plan_telling(audiences: &Value) -> Result<Setup> {
    let phase = |name, weight| json!({ "name": name, "weight": weight, "bake": "1s" });
    let plan = json!({
        "apiVersion": "tidegate.dev/v1alpha1",
        "kind": "RolloutPlan",
        // Nobody is to be woken by it.
        "metadata": { "name": PLAN, "labels": { "tidegate.dev/demo": "true" } },
        "spec": {
            "title": "The gate that is killed",
            "service": SERVICE,
            "environment": "production",
            "roles": { "oncall": { "members": ["ana"] } },
            "target": { "flag": { "key": FLAG } },
            "phases": [phase("some", "10%"), phase("half", "50%"), phase("all", "100%")],
            "watch": "1d",
            "triggers": [{
                "name": "errors",
                "alert": { "matchers": [format!("alertname={ERRORS:?}")] },
                "severity": "sev1",
            }],
            "severities": { "sev1": { "action": "rollback" } },
            "alerts": { "receivers": ["default"], "watchdog": "required" },
            "noData": "hold",
            "audiences": audiences,
        },
    });
    // JSON is YAML, too.
    let people = json!([{ "id": "ana", "name": "Ana", "roles": ["oncall", "operator"] }]);
    let budget = json!({ "budget": { "automatic_rollbacks": 1_000_000, "window": "15m" } });
    let settings = json!({ "people": people, "environments": budget });
    Ok(Setup::new()?.plan(PLAN, &plan.to_string())?.with(settings))
}
