//! Owns the checks of law 14: rungs are climbed one by one and in time, and what each came to is written down and told.
//! Refuses to believe what a rung is said to have come to: it looks at what workers really read.

use crate::action::{Action, ActionKind, Outcome};
use crate::command::Command;
use crate::event::Event;
use crate::ladder::Climb;
use crate::notice::NoticeKind;
use crate::plan::Rung;
use crate::rollout::{Rollout, Stage};
use crate::sim::store::{Row, Store};
use crate::sim::target::Target;
use crate::sim::world::World;

use super::{Commit, Laws};

/// Between two looks at most so much passes, or nobody was there in between, in milliseconds.
const LOOKS: u64 = 4_500;
/// A rung may take so much longer than it has, for all that is lost on the way to the decision, in milliseconds.
const SLACK: u64 = 6_000;

/// What is known of a way back beside the rollout's own words.
#[derive(Clone, Debug, Default)]
pub(super) struct Way {
    /// When the rung on top was decided.
    since: u64,
    /// How long it has been waited for while somebody looked, and when that was last counted.
    waited: u64,
    waited_at: Option<u64>,
}

impl Laws {
    /// After every commit: the ladder only grows, by one rung at a time, each for a reason; and a way that ends says what it left.
    pub(super) fn rungs_are_climbed_in_turn(&mut self, commit: &Commit<'_>, store: &Store) {
        let (before, next) = (commit.before, &commit.step.next);
        // A start is its own before.
        if before.generation == next.generation {
            return;
        }
        let id = &next.id;
        let (kept, fresh) = next.ladder.split_at(before.ladder.len().min(next.ladder.len()));
        let same =
            kept.len() == before.ladder.len() && kept.iter().zip(&before.ladder).all(|(now, was)| is_kept(now, was));
        self.must(same, 14, || {
            format!("{id} wrote its ladder anew: {:?} was {:?}", next.ladder, before.ladder)
        });
        self.must(fresh.len() <= 1, 14, || {
            format!("{id} climbs two rungs at once: {fresh:?}")
        });
        let asked = commit.step.actions.iter().filter_map(|action| question(action, fresh));
        let (asked, noted) = (asked.collect::<Vec<bool>>(), fresh.len());
        self.must(asked.len() == noted && asked.iter().all(|noted| *noted), 14, || {
            format!(
                "{id} asks for zero what its ladder does not say: {:?}",
                commit.step.actions
            )
        });
        if let Some(climb) = fresh.first() {
            let began = World::right(commit.decided_at);
            self.must(climb.since == began || self.clocks_jump, 14, || {
                format!("{id} climbs {} since {}, it is {began}", climb.rung, climb.since)
            });
            self.was_its_turn(commit, climb);
            let way = &mut self.ledgers[commit.rollout].way;
            *way = Way {
                since: commit.decided_at,
                ..Way::default()
            };
        }
        match &next.stage {
            Stage::RollingBack { .. } => self.top_has_a_successor(commit, store),
            Stage::RolledBack { .. } if !matches!(before.stage, Stage::RolledBack { .. }) => {
                self.way_back_is_written_down(commit);
            }
            Stage::RolledBack { .. }
            | Stage::Advancing { .. }
            | Stage::Baking { .. }
            | Stage::AtGate { .. }
            | Stage::Watching { .. }
            | Stage::Completed { .. }
            | Stage::Aborted { .. } => {}
        }
    }

    /// The first rung comes with the decision or with a person's word, every other one after the one above it.
    fn was_its_turn(&mut self, commit: &Commit<'_>, climb: &Climb) {
        let (before, id) = (commit.before, &commit.step.next.id);
        let rungs = before.plan.rungs();
        let above = before.ladder.last().filter(|above| above.epoch == climb.epoch);
        let Some(above) = above else {
            let again = matches!(
                commit.event,
                Event::Commanded {
                    command: Command::Rollback { .. },
                    ..
                }
            );
            let first = rungs.first().is_some_and(|rung| is_of(climb, rung));
            return self.must(first && (again || !before.is_latched()), 14, || {
                format!("{id} begins its way back with {climb:?} on {:?}", commit.event)
            });
        };
        let place = rungs.iter().position(|rung| is_of(above, rung));
        let turn = place.and_then(|place| rungs.get(place + 1));
        self.must(turn.is_some_and(|rung| is_of(climb, rung)), 14, || {
            format!("{id} climbs {climb:?} after {above:?}")
        });
        let has_failed = match commit.event {
            Event::Reported { action, outcome } if *action == above.action => is_final_word(outcome),
            _ => false,
        };
        let had = commit.decided_at - self.ledgers[commit.rollout].way.since;
        let in_time = had < millis(above) && !self.clocks_jump;
        self.must(has_failed || !in_time, 14, || {
            format!(
                "{id} climbs {} after {had} ms, {} had {}",
                climb.rung, above.rung, above.within
            )
        });
    }

    /// A rung that has failed is followed by the next one, and the last one by a page that says what is left. What was climbed is
    /// tried on.
    fn top_has_a_successor(&mut self, commit: &Commit<'_>, store: &Store) {
        let (before, next) = (commit.before, &commit.step.next);
        let id = &next.id;
        let Some(top) = next.ladder.last() else {
            return self.must(false, 14, || format!("{id} goes back without a rung"));
        };
        // What a target refused to a stale writer is for a person to ask again, under a higher epoch.
        let hopes = |row: &Row| {
            let mut climbs = next.ladder.iter().filter(|climb| climb.epoch == top.epoch);
            climbs.any(|climb| climb.action == row.action.id && climb.fenced_by.is_none())
        };
        let dropped = store
            .outbox
            .iter()
            .find(|row| row.rollout == commit.rollout && row.closed == Some("overtaken") && hopes(row));
        self.must(dropped.is_none(), 14, || {
            format!("{id} tries a rung no more: {dropped:?}")
        });
        let failed = |ladder: &[Climb]| {
            let climb = ladder.iter().find(|climb| climb.action == top.action);
            climb.is_some_and(|climb| climb.end.is_some())
        };
        if !failed(&next.ladder) || failed(&before.ladder) {
            return;
        }
        let rungs = next.plan.rungs();
        self.must(rungs.last().is_some_and(|rung| is_of(top, rung)), 14, || {
            format!("{id} gave {} up and climbs no other", top.rung)
        });
        let climbed: Vec<String> = next
            .ladder
            .iter()
            .filter(|climb| climb.epoch == top.epoch && rungs.len() > 1)
            .map(Climb::called)
            .collect();
        let paged = commit.step.notices.iter().any(|notice| match &notice.kind {
            NoticeKind::RollbackStuck { why, .. } => climbed.iter().all(|rung| why.contains(rung)),
            _ => false,
        });
        self.must(paged, 14, || {
            format!("{id} failed on its last rung, and nobody was paged about {climbed:?}")
        });
    }

    /// Zero was read back: every rung has its end, a good one only where zero was read, and people are told what is left.
    fn way_back_is_written_down(&mut self, commit: &Commit<'_>) {
        let next = &commit.step.next;
        let id = &next.id;
        let was_read = |climb: &Climb| self.read_zero_since_decided(commit.rollout, &climb.target);
        let untrue = next
            .ladder
            .iter()
            .find(|climb| match &climb.end {
                Some(end) => {
                    end.how.is_empty() || end.at < climb.since && !self.clocks_jump || end.verified && !was_read(climb)
                }
                None => true,
            })
            .cloned();
        let any = next
            .ladder
            .iter()
            .any(|climb| climb.end.as_ref().is_some_and(|end| end.verified));
        let left: Vec<String> = next
            .ladder
            .iter()
            .filter(|climb| !was_read(climb))
            .map(Climb::called)
            .collect();
        self.must(any && untrue.is_none(), 14, || {
            format!("{id} went back, and its ladder says {untrue:?} of {:?}", next.ladder)
        });
        let told = commit.step.notices.iter().any(|notice| match &notice.kind {
            NoticeKind::RolledBack {
                read_back, left: told, ..
            } => {
                let named = |rung: &String| read_back.how.contains(rung) && told.contains(rung);
                left.iter().all(named)
            }
            _ => false,
        });
        self.must(told, 14, || {
            format!("{id} went back, and nobody was told that {left:?} did not")
        });
    }

    fn read_zero_since_decided(&self, rollout: usize, target: &str) -> bool {
        let ledger = &self.ledgers[rollout];
        let at = ledger.reads.get(target).and_then(|reads| reads.zero);
        at.is_some() && at >= ledger.decided
    }

    /// A worker is done with a row. A rung that was read back at zero has ended the way back.
    pub(in crate::sim) fn row_closed(&mut self, row: &Row, store: &Store) {
        let rollout = &store.rollouts[row.rollout];
        let top = rollout.ladder.last().filter(|top| top.epoch == row.action.epoch);
        let still = matches!(rollout.stage, Stage::RollingBack { .. }) && top.is_some();
        let through = is_to_zero(&row.action) && row.closed == Some("applied");
        self.must(!(still && through), 14, || {
            format!("{} was read back at zero, and {} goes on", row.action.id, rollout.id)
        });
    }

    /// Looked at by every tick: no rung is waited for longer than it has, silent or not.
    pub(in crate::sim) fn way_back_goes_on(&mut self, index: usize, rollout: &Rollout, now: u64) {
        let clocks_jump = self.clocks_jump;
        let way = &mut self.ledgers[index].way;
        let awaited = rollout.ladder.last().filter(|top| top.end.is_none() && !clocks_jump);
        let rolling_back = matches!(rollout.stage, Stage::RollingBack { .. });
        let Some(top) = awaited.filter(|_| rolling_back) else {
            way.waited_at = None;
            return;
        };
        if let Some(at) = way.waited_at.replace(now)
            && now - at <= LOOKS
        {
            way.waited += now - at;
        }
        let waited = way.waited;
        self.must(waited <= millis(top) + SLACK, 14, || {
            format!(
                "{} waits {waited} ms for {}, which had {}",
                rollout.id, top.rung, top.within
            )
        });
    }

    /// Nobody else may write to what a rollout falls back on.
    pub(super) fn targets_were_free(&mut self, store: &Store) {
        let Some((new, others)) = store.rollouts.split_last() else {
            return;
        };
        let targets = new.plan.targets();
        let shares = |other: &&Rollout| other.plan.targets().iter().any(|target| targets.contains(target));
        let holder = others.iter().filter(|other| !other.is_final()).find(shares);
        self.must(holder.is_none(), 14, || {
            format!(
                "{} and {} share a target",
                new.id,
                holder.map_or("", |other| other.id.as_str())
            )
        });
    }

    /// At the end: what was read at zero on the way back is there still, unless somebody else has written to it.
    pub(super) fn zero_has_stayed(&mut self, index: usize, store: &Store, targets: &[Target]) {
        let (ledger, id) = (self.ledgers[index].clone(), &store.rollouts[index].id);
        for target in targets.iter().filter(|_| ledger.rolled_back.is_some()) {
            let reads = ledger.reads.get(&target.name).copied().unwrap_or_default();
            let read = reads.zero.is_some() && reads.zero >= ledger.decided && reads.zero > reads.other;
            let writes = |rollout: &Rollout| rollout.plan.targets().contains(&target.name);
            let last = store.rollouts.iter().rposition(writes) == Some(index);
            // What somebody else writes between the reading and the saving of it nobody could have seen.
            let untouched = target.foreign_at.is_none() || target.foreign_at < reads.zero;
            self.must(!(read && last && untouched) || target.weight.is_zero(), 3, || {
                format!("{id} is rolled back and {} reads {}", target.name, target.weight)
            });
        }
    }
}

/// Whether an action asks for zero, and if so whether one of these rungs says so.
fn question(action: &Action, fresh: &[Climb]) -> Option<bool> {
    let ActionKind::ToZero { target } = &action.kind else {
        return None;
    };
    let says =
        |climb: &Climb| climb.action == action.id && climb.epoch == action.epoch && climb.target == target.name();
    Some(fresh.iter().any(says))
}

fn is_to_zero(action: &Action) -> bool {
    matches!(action.kind, ActionKind::ToZero { .. })
}

/// What was written down of a rung stays. It fails once, and may come through afterwards.
fn is_kept(now: &Climb, was: &Climb) -> bool {
    let ends = match (&now.end, &was.end) {
        (_, None) => true,
        (Some(now), Some(was)) => now.at == was.at && now.verified == was.verified || now.verified && !was.verified,
        (None, Some(_)) => false,
    };
    ends && now.action == was.action && now.since == was.since && now.epoch == was.epoch && now.target == was.target
}

fn is_of(climb: &Climb, rung: &Rung) -> bool {
    climb.rung == rung.name && climb.target == rung.target.name() && climb.within == rung.within
}

/// Whether no later answer of a worker can be any better.
fn is_final_word(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Applied(read_back) => !read_back.weight.is_zero(),
        Outcome::Foreign { .. } | Outcome::Fenced { .. } | Outcome::GaveUp { .. } => true,
        Outcome::Failing { .. } | Outcome::Asked { .. } | Outcome::Logs(_) | Outcome::Hooked(_) => false,
    }
}

fn millis(climb: &Climb) -> u64 {
    u64::try_from(climb.within.as_millis()).unwrap_or_default()
}
