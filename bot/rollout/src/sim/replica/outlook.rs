//! Owns what a replica of the model knows around a rollout, and how somebody starts one there.
//! Refuses to decide: it gathers what the core asks for.

use jiff::{SignedDuration, Timestamp};

use super::{FRESH, Job, Pending, Then};
use crate::begin::Start;
use crate::event::Event;
use crate::planted::{self, Bug};
use crate::rollout::Rollout;
use crate::sim::world::World;
use crate::surroundings::{Poll, Surroundings};

/// An answer of the alert source that is older counts for nothing, in milliseconds.
const OLD_ANSWER: u64 = 15_000;
/// The window of the budget: longer than any history, and than all that its clocks jump.
const WINDOW: SignedDuration = SignedDuration::from_hours(24 * 7);
/// Alerts heard of within this time before a start are not the rollout's fault.
const RECENT: SignedDuration = SignedDuration::from_mins(10);

impl World<'_> {
    /// What the rollout cannot know by itself, as this replica reads it.
    pub(in crate::sim) fn around(&mut self, replica: usize, rollout: &Rollout, event: &Event) -> Surroundings {
        let (now, steady) = (self.wall(replica), self.steady(replica));
        let services = event
            .concerning(rollout)
            .map_or(1, |(name, starts_at)| self.store.services_with(name, starts_at));
        let watched = self.replicas[replica].attention.watched(rollout, steady);
        Surroundings {
            watched,
            services_with_this_alert: services,
            ..self.around_a_start(replica, now)
        }
    }

    fn around_a_start(&self, replica: usize, now: Timestamp) -> Surroundings {
        let process = &self.replicas[replica];
        let answered = self.last_answer(replica);
        let failed = process.silent_rounds.unwrap_or_default() >= 3;
        let poll = match (answered, process.silent_since) {
            (last, Some((at, since))) if failed && last.is_none_or(|last| last < at) => Poll::Unreadable { since },
            (None, _) => Poll::NotYet,
            // A process that stood still knows nothing of the rounds that it missed.
            (Some(last), since) if self.now - last > OLD_ANSWER => Poll::Unreadable {
                since: since.map_or(now, |(_, since)| since),
            },
            (Some(_), _) => Poll::Good,
        };
        let since = now.saturating_sub(WINDOW).unwrap_or(Timestamp::MIN);
        let spent = self.store.spent.iter().filter(|at| **at >= since).count();
        Surroundings {
            watchdog_seen: self.store.watchdog_seen,
            watchdog_fresh: FRESH,
            poll,
            automatic_rollbacks: u32::try_from(spent).unwrap_or(u32::MAX),
            automatic_rollbacks_allowed: self.budget,
            freeze: self.store.freeze.clone(),
            watched: None,
            undecided: self.store.undecided(now),
            services_with_this_alert: 1,
        }
    }

    /// A person starts a plan: decided and saved in one transaction.
    pub(in crate::sim) fn start(&mut self, replica: usize, plan: usize) -> bool {
        let now = self.wall(replica);
        let around = self.around_a_start(replica, now);
        let mut targets = self.plans[plan].targets();
        let epochs = targets.iter().filter_map(|name| self.store.target_epochs.get(name));
        let target_epoch = epochs.copied().max().unwrap_or_default();
        if planted::on(Bug::RungsNotHeld) {
            targets.truncate(1);
        }
        let starts = self.store.plan_of.iter().filter(|other| **other == plan).count();
        let start = Start {
            plan: std::sync::Arc::clone(&self.plans[plan]),
            inputs: crate::sim::people::inputs(&self.plans[plan]),
            actor: crate::sim::people::lee(),
            counter: u64::try_from(starts).unwrap_or_default() + 1,
            recent: self.store.recent(now.saturating_sub(RECENT).unwrap_or(Timestamp::MIN)),
            target_busy: self.store.holder_of(&targets).map(|rollout| rollout.id.clone()),
            target_epoch,
        };
        match Rollout::begin(start, &around, now) {
            Err(refusal) => {
                self.tell(|_| format!("start refused: {refusal}"));
                self.facts.refusals += 1;
                false
            }
            Ok(step) => {
                let rollout = self.store.begin(plan, &step);
                let job = Job {
                    replica,
                    life: self.replicas[replica].life,
                    rollout,
                    event: Event::Ticked,
                    then: Then::Rest,
                    tries: 0,
                    joins: false,
                };
                self.laws.began(plan, self.now, &self.store);
                let pending = Pending {
                    job,
                    before: step.next.clone(),
                    step,
                    environment: self.store.environment_generation,
                    decided_at: self.now,
                };
                self.saved(&pending, false);
                true
            }
        }
    }
}
