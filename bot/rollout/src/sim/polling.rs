//! Owns the model of polling: each peer answers at its own moment, or does not, and then the round is told.
//! Refuses to know better than the service: what an answer means is the rule of [`crate::poll`], and no other.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::alert::Alert;
use crate::planted::{self, Bug};
use crate::poll::{Before, Round, news};
use crate::rollout::Rollout;

use super::faults::Fault;
use super::source::{EVERY, PEERS, RECEIVER};
use super::store::Content;
use super::world::{Task, World};

/// A round of polling under way: each peer answers at its own moment.
#[derive(Clone, Debug)]
pub(super) struct Asking {
    began_at: u64,
    began: Timestamp,
    /// Where the inbox stood.
    inbox: usize,
    rollouts: Vec<Rollout>,
    firing: Vec<Alert>,
    listed: Vec<Alert>,
    complete: bool,
    /// How many peers were asked already.
    asked: usize,
}

/// A complete round, as the laws look at it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) began_at: u64,
    /// Where the inbox stood when it began, and what it told.
    pub(super) inbox: usize,
    pub(super) told: std::ops::Range<usize>,
}

impl World<'_> {
    /// A replica begins to ask every peer what is active.
    pub(super) fn poll(&mut self, replica: usize, life: u32) {
        if !self.lives(replica, life) {
            return;
        }
        self.later(EVERY, Task::Poll(replica, life));
        let active = self.store.active();
        let asking = Asking {
            began_at: self.now,
            began: self.wall(replica),
            inbox: self.store.inbox.len(),
            rollouts: active
                .iter()
                .map(|rollout| self.store.rollouts[*rollout].clone())
                .collect(),
            firing: self.store.firing(),
            listed: Vec::new(),
            complete: true,
            asked: 0,
        };
        let after = self.random.between(5, 300);
        self.later(after, Task::Answer(replica, life, Box::new(asking)));
    }

    /// A peer answers, or does not; then the next one. After the last the round is told.
    pub(super) fn answer(&mut self, replica: usize, life: u32, mut asking: Asking) {
        if !self.lives(replica, life) {
            return;
        }
        if self.source.unreadable(self.now) {
            self.fired.add(Fault::PollUnreadable);
            asking.complete = false;
        } else if self.replicas[replica].blind_until > self.now || self.strikes(Fault::RoundLost, 12) {
            asking.complete = false;
        } else {
            asking.listed.extend(self.source.listed(asking.asked, self.now));
        }
        asking.asked += 1;
        if asking.asked < PEERS {
            let after = self.random.between(5, 300);
            self.later(after, Task::Answer(replica, life, Box::new(asking)));
        } else {
            self.polled(replica, &asking);
        }
    }

    /// What the round says of the source. An answer that another replica got since this one is in vain is as good as its own.
    fn count_round(&mut self, replica: usize, complete: bool) {
        let (now, wall, last) = (self.now, self.wall(replica), self.last_answer(replica));
        let process = &mut self.replicas[replica];
        if complete {
            process.polled_at = Some(now);
            (process.silent_rounds, process.silent_since) = (Some(0), None);
            return;
        }
        let rounds = process.silent_rounds.unwrap_or_default();
        let answered_since = process
            .silent_since
            .is_some_and(|(at, _)| last.is_some_and(|last| last > at));
        if rounds == 0 || answered_since {
            process.silent_rounds = Some(1);
            process.silent_since = Some((now, wall));
        } else {
            process.silent_rounds = Some(rounds + 1);
        }
    }

    /// When the source last answered in full, as far as this replica knows.
    pub(super) fn last_answer(&self, replica: usize) -> Option<u64> {
        if planted::on(Bug::OwnPollsOnly) {
            self.replicas[replica].polled_at
        } else {
            self.store.polled_at
        }
    }

    /// What differs from what is believed is told, by the same rule that the service lives by.
    fn polled(&mut self, replica: usize, asking: &Asking) {
        if asking.complete {
            self.store.polled_at = Some(self.now);
        }
        self.count_round(replica, asking.complete);
        let answered = asking.complete || !asking.listed.is_empty();
        if answered && !self.source.is_dead(self.now) {
            self.saw_watchdog(replica);
        }
        let polled: BTreeSet<String> = [RECEIVER.to_owned()].into();
        let nothing = BTreeSet::new();
        let round = Round {
            listed: &asking.listed,
            polled: &polled,
            read: if asking.complete { &polled } else { &nothing },
            began: asking.began,
        };
        let before = Before {
            rollouts: &asking.rollouts,
            firing: Some(asking.firing.as_slice()),
        };
        let active = self.store.active();
        let active: Vec<Rollout> = active
            .iter()
            .map(|rollout| self.store.rollouts[*rollout].clone())
            .collect();
        let first = self.store.inbox.len();
        for alert in news(&round, &before, &active) {
            self.hear(replica, Content::Polled(alert));
        }
        if asking.complete {
            self.store.rounds.push(Seen {
                began_at: asking.began_at,
                inbox: asking.inbox,
                told: first..self.store.inbox.len(),
            });
        }
    }
}
