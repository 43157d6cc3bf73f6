//! Owns the hooks of a rollout as its page shows them: which, when, what came of each.
//! Refuses what they printed: that is kept in the log, and so stands in the timeline.

use jiff::Timestamp;
use serde::Serialize;
use tidegate_rollout::hook::{Ended, HookRun};
use tidegate_rollout::{Period, Rollout};

use super::{Mark, Moment, brief};

/// The most hooks that are shown, the latest ones.
const MOST: usize = 12;

/// One hook as it was asked for.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Ran {
    name: String,
    /// "before phase ten".
    when: String,
    /// Which try it is, where it is not the first.
    attempt: Option<u32>,
    state: Mark,
    since: Moment,
    /// How long it took, or has been waited for.
    lasting: String,
    why: String,
    settled_by: Option<String>,
}

/// The latest hooks, in the order in which they were asked for.
pub(super) fn ran(rollout: &Rollout, now: Timestamp) -> Vec<Ran> {
    let left_out = rollout.hooks.len().saturating_sub(MOST);
    let shown = rollout.hooks.iter().skip(left_out);
    shown.map(|run| one(rollout, run, now)).collect()
}

fn one(rollout: &Rollout, run: &HookRun, now: Timestamp) -> Ran {
    let progress = rollout.progress_of(&run.action).map(|progress| progress.why.as_str());
    let (state, lasting, why) = match &run.end {
        None => (
            Mark::new("ASKED FOR", "bake", "info"),
            Some(Period::between(run.since, now)),
            progress.unwrap_or_default(),
        ),
        Some(end) => (ended(end.how), end.took, end.why.as_str()),
    };
    Ran {
        name: run.name.clone(),
        when: run.moment.words(&rollout.plan),
        attempt: (run.attempt > 1).then_some(run.attempt),
        state,
        since: Moment::of(run.since, now),
        lasting: lasting.map(|it| it.to_string()).unwrap_or_default(),
        why: brief(why, 200),
        settled_by: run.settled_by.as_ref().map(ToString::to_string),
    }
}

fn ended(how: Ended) -> Mark {
    match how {
        Ended::Passed => Mark::new("PASSED", "check", "ok"),
        Ended::Failed => Mark::new("FAILED", "bad", "bad"),
        Ended::Unknown => Mark::new("MAY HAVE RUN", "nodata", "nodata"),
        Ended::NotRun => Mark::new("NOT RUN", "stop", "quiet"),
    }
}
