//! Owns what time alone does: the bake clock, deadlines, silence that lasts, the end of the watch.
//! Refuses to let any time-out lead forward: they lead to a hold or a rollback.

use jiff::Timestamp;

use crate::notice::NoticeKind;
use crate::period::Period;
use crate::plan::{DecideDefault, Mode, NoData};
use crate::rollout::{Bake, Because, Guard, Stage, Unknown};
use crate::surroundings::Poll;

use super::blocker::blockers;
use super::{CLOCK_SKEW, Work, advance, commitments, hooks, outcomes, rollback, signoffs, suspects};

/// How long health may be unknown before people are paged: two rounds of most things.
pub const PAGE_AFTER: Period = Period::seconds(10);

/// A shorter absence is a pause of the machine, or the beat between two signs of life; nobody is told of it.
const BLINK: Period = Period::seconds(2);

/// Brings everything that depends on time up to `now`. Runs at the end of every step.
pub(super) fn settle(work: &mut Work<'_>) {
    if work.next.is_final() {
        return commitments::mind(work);
    }
    end_holds(work);
    calm_by_our_clock(work);
    suspects::ask_again(work);
    outcomes::mind_workers(work);
    hooks::mind_silence(work);
    mind_silence(work);
    mind_deadlines(work);
    run_bake_clock(work);
    advance::by_itself(work);
    hooks::go_on(work);
    signoffs::forget_what_is_over(work);
    end_watch(work);
    commitments::mind(work);
}

/// Nobody watched from `away_since` to now: that time does not bake, ends no hold and calms nothing. An `away_since` that
/// lies ahead means that the wall clock went back; deadlines go back with it, or they would come late by as much.
///
/// Whoever joins the others says so too: what they have watched until then is counted, for the newcomer has seen nothing
/// of it and would count as much.
pub(super) fn returned(work: &mut Work<'_>, away_since: Timestamp) {
    commitments::returned(work, away_since);
    if work.next.is_final() {
        return;
    }
    let back = Period::between(work.now, away_since).duration();
    let earlier = |at: Timestamp| at.saturating_sub(back).unwrap_or(Timestamp::MIN);
    let unwatched = Period::between(away_since, work.now).duration();
    let moved = |at: Timestamp| earlier(at).saturating_add(unwatched).unwrap_or(Timestamp::MAX);
    for hold in &mut work.next.holds {
        hold.until = hold.until.map(moved);
    }
    for tracked in work.next.alerts.values_mut() {
        tracked.heard_at = moved(tracked.heard_at).min(work.now);
    }
    for decision in &mut work.next.decisions {
        decision.deadline = earlier(decision.deadline);
    }
    for run in work.next.hooks.iter_mut().filter(|run| run.end.is_none()) {
        // Workers did not watch either.
        run.heard = work.now;
    }
    if let Some(unknown) = &mut work.next.no_data {
        unknown.since = earlier(unknown.since);
    }
    let bake = work.next.bake;
    if let Some(since) = bake.since {
        // A process that went on living says itself how long it watched; after a restart only the wall clock can tell.
        let by_the_wall = Period::between(since, away_since.max(since).min(work.now));
        let watched = work
            .around
            .watched
            .map_or(by_the_wall, |watched| watched.min(by_the_wall));
        work.next.bake = Bake {
            counted: bake.counted.plus(watched),
            since: Some(work.now),
        };
        let gap = Period::between(away_since.max(since), work.now);
        if gap > BLINK {
            work.note(
                "returned",
                "tidegate".to_owned(),
                format!("Nobody watched for {gap}; that time does not count as baked."),
            );
        }
    }
}

fn end_holds(work: &mut Work<'_>) {
    let now = work.now;
    let ended = |until: Option<Timestamp>| until.is_some_and(|until| until <= now);
    let numbers: Vec<u32> = work
        .next
        .holds
        .iter()
        .filter(|hold| ended(hold.until))
        .map(|hold| hold.number)
        .collect();
    work.next.holds.retain(|hold| !ended(hold.until));
    for number in numbers {
        work.say(NoticeKind::Released {
            number,
            by: "tidegate".to_owned(),
        });
    }
}

/// An end that was written by a clock ahead of ours calms from now on: waiting for our clock to catch up would stall.
fn calm_by_our_clock(work: &mut Work<'_>) {
    let now = work.now;
    for tracked in work.next.alerts.values_mut() {
        if tracked.heard_at.duration_since(now) > CLOCK_SKEW {
            tracked.heard_at = now;
        }
    }
}

fn mind_silence(work: &mut Work<'_>) {
    if work.next.is_latched() {
        return;
    }
    match (work.next.unknown(work.around, work.now), work.next.no_data.clone()) {
        (None, None) => {}
        (None, Some(unknown)) => {
            work.next.no_data = None;
            if unknown.paged {
                work.say(NoticeKind::DataBack {
                    lasting: Period::between(unknown.since, work.now),
                });
            }
        }
        // A process that has only just started has neither watched nor asked, which is no reason to say that nobody knows.
        (Some(_), None) if work.around.poll == Poll::NotYet && work.around.watched.is_none() => {}
        (Some(why), None) => {
            work.next.no_data = Some(Unknown {
                since: work.now,
                why,
                paged: false,
                acted: false,
            });
        }
        (Some(why), Some(unknown)) => silence_lasts(work, why, &unknown),
    }
}

fn silence_lasts(work: &mut Work<'_>, why: String, unknown: &Unknown) {
    let lasting = Period::between(unknown.since, work.now);
    let pages = !unknown.paged && lasting >= PAGE_AFTER.min(work.around.watchdog_fresh);
    let allowed = match work.next.plan.spec.no_data {
        NoData::Hold => None,
        NoData::RollbackAfter(allowed) => Some(allowed),
    };
    // Once for each silence: in shadow mode, or with the budget spent, every tick would say it again.
    let acts = !unknown.acted && !work.next.wanted.is_zero() && allowed.is_some_and(|allowed| lasting >= allowed);
    if !pages && !acts {
        return;
    }
    work.next.no_data = Some(Unknown {
        since: unknown.since,
        why: why.clone(),
        paged: unknown.paged || pages,
        acted: unknown.acted || acts,
    });
    if pages {
        let acts_by_itself = work.next.plan.spec.mode == Mode::Armed && !work.next.wanted.is_zero();
        work.say(NoticeKind::NoData {
            why: why.clone(),
            rolls_back_after: allowed.filter(|_| acts_by_itself),
        });
    }
    if acts {
        rollback::automatic(work, Because::NoData { why });
    }
}

fn mind_deadlines(work: &mut Work<'_>) {
    let now = work.now;
    let due: Vec<_> = work
        .next
        .decisions
        .iter()
        .filter(|decision| decision.deadline <= now)
        .cloned()
        .collect();
    for decision in due {
        match decision.default {
            DecideDefault::Rollback => rollback::automatic(
                work,
                Because::Unanswered {
                    question: decision.question,
                },
            ),
            DecideDefault::Hold => {
                let reason = format!(
                    "nobody answered decision {} in time: {}",
                    decision.number, decision.question
                );
                work.guard_holds(Guard::Unanswered, &decision.question, reason);
            }
        }
    }
    // A rollback has taken them with it, and says so.
    work.next.decisions.retain(|decision| decision.deadline > now);
}

/// The bake clock counts only time with known health that nobody paused.
fn run_bake_clock(work: &mut Work<'_>) {
    let counts = matches!(work.next.stage, Stage::Baking { .. } | Stage::Watching { .. })
        && work.next.pause.is_none()
        && work.next.no_data.is_none();
    match (counts, work.next.bake.since) {
        (true, None) => {
            work.next.bake.since = Some(work.now);
        }
        // Written by a clock that runs ahead of ours, or ours went back: waiting for it to catch up would stall.
        (true, Some(since)) if since.duration_since(work.now) > CLOCK_SKEW => {
            work.next.bake.since = Some(work.now);
        }
        (false, Some(_)) => {
            work.next.bake = Bake {
                counted: work.next.baked(work.around, work.now),
                since: None,
            };
        }
        (true, Some(_)) | (false, None) => {}
    }
}

fn end_watch(work: &mut Work<'_>) {
    let Stage::Watching { .. } = work.next.stage else {
        return;
    };
    let baked = work.next.baked(work.around, work.now);
    let clear = blockers(&work.next, work.around, work.now).is_empty();
    if clear && baked >= work.next.plan.spec.watch {
        work.next.stage = Stage::Completed { at: work.now };
        work.next.bake = Bake {
            counted: baked,
            since: None,
        };
        work.say(NoticeKind::Completed {
            took: Period::between(work.next.started_at, work.now),
        });
    }
}
