//! Owns the checks of law 12: what is due is said, what was told is kept, and what was not is missed aloud, once.
//! Refuses to believe a commitment kept because its update was decided: a message must have been sent.

use crate::event::Event;
use crate::ids::NoticeId;
use crate::notice::NoticeKind;
use crate::plan::{Clock, Commitment, During};
use crate::sim::store::Store;
use crate::sim::world::World;

use super::{Commit, Laws};

/// What fell due is said and judged within this time, once nothing goes wrong any more, in milliseconds.
const NOTICED: u64 = 10_000;

impl Laws {
    /// A message really got to a channel.
    pub(in crate::sim) fn was_told(&mut self, notice: &NoticeId, channel: &str) {
        self.told.insert((notice.clone(), channel.to_owned()));
    }

    /// After every commit: each time that something fell due is open, kept or missed. Kept only by a message that was sent,
    /// missed only aloud.
    pub(super) fn commitments_are_kept_or_missed(&mut self, commit: &Commit<'_>) {
        let id = &commit.step.next.id;
        let sent = match commit.event {
            Event::Told { notice, channel, .. } => self.told.contains(&(notice.clone(), channel.clone())),
            _ => false,
        };
        for (name, track) in &commit.step.next.commitments.tracks {
            let before = commit.before.commitments.tracks.get(name).cloned().unwrap_or_default();
            let open = u32::from(track.open.is_some());
            self.must(track.number == track.kept + track.missed + open, 12, || {
                format!("{id}: {name} fell due {} times: {track:?}", track.number)
            });
            self.must(track.kept == before.kept || sent, 12, || {
                format!("{id}: {name} counts as kept, and nothing was sent")
            });
            let aloud = commit.step.notices.iter().filter_map(|notice| match &notice.kind {
                NoticeKind::CommitmentMissed {
                    name: missed, times, ..
                } if missed == name => Some(*times),
                _ => None,
            });
            let (aloud, missed): (u32, u32) = (aloud.sum(), track.missed.saturating_sub(before.missed));
            // A start is its own before.
            let first = commit.before.generation == commit.step.next.generation;
            self.must(first || aloud == missed, 12, || {
                format!("{id}: {name} was missed {missed} times, and {aloud} were said")
            });
        }
    }

    fn starts(&self) -> Vec<u64> {
        self.ledgers.iter().map(|ledger| ledger.started).collect()
    }

    /// At the end: nothing that was due is forgotten.
    pub(super) fn nothing_due_is_forgotten(&mut self, store: &Store, ends_at: u64) {
        if self.clocks_jump {
            return;
        }
        let noticed = World::right(ends_at.saturating_sub(NOTICED));
        for (rollout, started) in store.rollouts.iter().zip(self.starts()) {
            for (name, track) in &rollout.commitments.tracks {
                let due = track.open.iter().map(|occasion| occasion.until).chain(track.next);
                let forgotten = due.into_iter().find(|due| *due < noticed);
                self.must(forgotten.is_none(), 12, || {
                    format!(
                        "{}: {name} was due at {forgotten:?}, and nothing came of it",
                        rollout.id
                    )
                });
                let clock = rollout.plan.spec.commitments.get(name).and_then(Commitment::clock);
                if let (Some(Clock::Every(every, During::Rollout)), false) = (clock, rollout.is_final()) {
                    let passed = i64::try_from(ends_at - started).unwrap_or_default() / every.as_millis();
                    self.must((i64::from(track.number) - passed).abs() <= 1, 12, || {
                        format!("{}: {name} fell due {} times of {passed}", rollout.id, track.number)
                    });
                }
            }
        }
    }
}
