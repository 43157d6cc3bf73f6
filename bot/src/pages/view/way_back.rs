//! Owns the way back in words: what each rung does to its target, what a rollback leaves alone, and the rungs as they were climbed.
//! Refuses to promise what a driver does not do: each kind of target has words of its own.

use jiff::Timestamp;
use serde::Serialize;
use tidegate_rollout::ladder::Climb;
use tidegate_rollout::plan::{Plan, Rung, Target};
use tidegate_rollout::{Period, Rollout};

use super::{Mark, Moment, brief, words};

/// The most rungs that are shown; a person who asks again climbs all of them anew.
const MOST: usize = 12;

/// What asking a target for zero does.
pub(super) fn to_zero(target: &Target) -> String {
    let name = target.name();
    match target {
        Target::Flag(_) => format!("{name} is set to 0%"),
        Target::DeploymentReplicas(it) => format!(
            "{name} is set to 0%: Deployment {} is scaled up to {} pods, and Deployment {} down to none as those become ready",
            it.old, it.total, it.new
        ),
        Target::ServiceSelector(it) => format!(
            "{name} is set to 0%: it selects {}={} again, as soon as enough of those pods are ready",
            it.label, it.old
        ),
        Target::HttpRoute(it) => format!("{name} is set to 0%: all of it goes to Service {}", it.old),
    }
}

/// Each way back, in the order in which they are tried; nothing where there is only one.
pub(super) fn rungs(plan: &Plan) -> Vec<String> {
    let rungs = plan.rungs();
    if rungs.len() < 2 {
        return Vec::new();
    }
    let line = |rung: &Rung| format!("{}: {}. It has {}.", rung.name, to_zero(&rung.target), rung.within);
    rungs.iter().map(line).collect()
}

/// What a rollback leaves as it is.
pub(super) fn left_alone(plan: &Plan) -> Vec<String> {
    let rungs = plan.rungs();
    let scales = |rung: &Rung| matches!(rung.target, Target::DeploymentReplicas(_));
    let pods = if rungs.iter().any(scales) {
        "Images, templates and settings of the Deployments: only their number of pods changes."
    } else if rungs.iter().any(|rung| rung.target.is_in_kubernetes()) {
        "Pods of either version: none is started, stopped or scaled. The old version must be running."
    } else {
        "Programs of either version: none is started, stopped or scaled. The old version must be there."
    };
    vec![
        "The database and everything the new version wrote: nothing is undone there.".to_owned(),
        pods.to_owned(),
    ]
}

/// One rung as it was climbed.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Climbed {
    rung: String,
    target: String,
    state: Mark,
    since: Moment,
    /// How long it took, or has been taking.
    lasting: String,
    /// How long it had before the next one was climbed too.
    within: String,
    how: String,
}

/// The rungs that were climbed, the first one first.
pub(super) fn climbed(rollout: &Rollout, now: Timestamp) -> Vec<Climbed> {
    let one = |climb: &Climb| {
        let (state, until, how) = match &climb.end {
            None => (Mark::new("BEING TRIED", "bake", "info"), now, ""),
            Some(end) if end.verified => (Mark::new("READ BACK", "check", "ok"), end.at, end.how.as_str()),
            Some(end) => (Mark::new("NOT THROUGH", "bad", "bad"), end.at, end.how.as_str()),
        };
        Climbed {
            rung: climb.rung.clone(),
            target: climb.target.clone(),
            state,
            since: Moment::of(climb.since, now),
            lasting: Period::between(climb.since, until).to_string(),
            within: climb.within.to_string(),
            how: words::capital(&brief(how, 200)),
        }
    };
    let left_out = rollout.ladder.len().saturating_sub(MOST);
    rollout.ladder.iter().skip(left_out).map(one).collect()
}
