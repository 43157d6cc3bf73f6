//! Owns the scheduler: what happens next, when, and to whom. One clock that nobody can move, and one stream of chance.
//! Refuses to know what anything means: that is in the rooms beside it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::alert::Alert;
use crate::plan::Plan;

use super::faults::{Fault, Fired};
use super::ladders;
use super::laws::Laws;
use super::mishaps::Mishap;
use super::people::Errand;
use super::polling::Asking;
use super::random::Random;
use super::replica::{Job, Pending, Replica};
use super::source::Source;
use super::store::Store;
use super::target::{self, Target};
use super::telling::Saying;
use super::trace::Trace;
use super::worker::Call;
use super::{Ends, Facts, History, Setup};

/// The moment at which every history begins, on clocks that are right.
const DAWN: i64 = 1_767_600_000;

/// Something that will happen.
#[derive(Debug)]
pub(super) enum Task {
    /// A replica looks at the clock.
    Tick(usize, u32),
    /// A replica takes up what was heard.
    Sweep(usize, u32),
    /// A replica's workers look for work.
    Work(usize, u32),
    /// A replica asks the alert source.
    Poll(usize, u32),
    /// A peer of the alert source answers a replica.
    Answer(usize, u32, Box<Asking>),
    /// A decision is tried again.
    Decide(Box<Job>),
    /// A decision is saved.
    Commit(Box<Pending>),
    /// A worker sends a write.
    Send(Call),
    /// A write arrives at the target; whether its answer will be told.
    Land(Call, bool),
    /// The target is read back.
    Read(Call),
    /// A worker stops waiting.
    GiveUp(Call),
    /// The peers of the alert source answer a worker.
    Asked(usize, u32, usize),
    /// A hook that runs in this life of a replica ends.
    HookEnds(usize, u32, usize),
    /// A message gets where it was said.
    Said(Box<Saying>),
    /// A webhook is sent.
    Webhook(Box<Alert>),
    /// The Watchdog is sent.
    Watchdog,
    /// People look at what to do.
    People,
    /// A person has something done.
    Errand(Box<Errand>),
    /// Something breaks.
    Mishap(Mishap, usize),
    /// A replica comes back.
    Restart(usize),
}

/// Everything in one history.
pub(super) struct World<'a> {
    pub(super) setup: &'a Setup,
    pub(super) random: Random,
    pub(super) now: u64,
    queue: BTreeMap<(u64, u64), Task>,
    sequence: u64,
    pub(super) plans: &'a [Arc<Plan>],
    pub(super) store: Store,
    pub(super) targets: Vec<Target>,
    pub(super) source: Source,
    pub(super) replicas: Vec<Replica>,
    pub(super) fired: Fired,
    pub(super) facts: Facts,
    pub(super) laws: Laws,
    pub(super) trace: Trace,
    pub(super) budget: u32,
}

impl<'a> World<'a> {
    pub(super) fn new(seed: u64, setup: &'a Setup) -> Self {
        let mut random = Random::seeded(seed);
        // A stream of its own for the rungs: whether a plan has any changes nothing else in a history.
        let mut rungs = Random::seeded(seed ^ 0x7275_6e67_735f_5f5f);
        let targets = target::all(&setup.plans, &mut random, &mut rungs);
        let budget = [1, 1, 2, 3][random.index(4)];
        let source = Source::imagine(setup, &mut random);
        Self {
            laws: Laws::new(setup, budget),
            setup,
            random,
            now: 0,
            queue: BTreeMap::new(),
            sequence: 0,
            plans: &setup.plans,
            store: Store::default(),
            targets,
            source,
            replicas: vec![Replica::default(), Replica::default()],
            fired: Fired::default(),
            facts: Facts::default(),
            trace: Trace::new(setup.record),
            budget,
        }
    }

    /// Runs the history to its end, or to the first broken law.
    pub(super) fn run(mut self) -> History {
        for replica in 0..self.replicas.len() {
            self.boot(replica);
        }
        self.schedule_people();
        self.schedule_source();
        self.schedule_mishaps();
        while let Some(((at, _), task)) = self.queue.pop_first() {
            if at > self.setup.ends_at || self.laws.broken() {
                break;
            }
            self.now = at;
            self.handle(task);
        }
        self.laws
            .at_the_end(&self.store, &self.targets, &self.source, self.setup.ends_at);
        self.told()
    }

    fn told(self) -> History {
        let mut ends = Ends::default();
        for rollout in &self.store.rollouts {
            *ends.0.entry(rollout.state_word()).or_default() += 1;
        }
        let facts = ladders::counted(self.facts, &self.store.rollouts);
        let (trace, notices) = self.trace.into_parts();
        History {
            violation: self.laws.into_violation(),
            fired: self.fired,
            facts,
            ends,
            trace,
            notices,
        }
    }

    /// Something will happen `after` so many milliseconds; things due at the same moment happen in the order of asking.
    pub(super) fn later(&mut self, after: u64, task: Task) {
        self.sequence += 1;
        self.queue.insert((self.now + after, self.sequence), task);
    }

    /// Whether faults may still happen: in the last part of a history nothing new breaks.
    pub(super) fn stormy(&self) -> bool {
        self.now < self.setup.calm_from
    }

    /// Whether this fault happens now, so many times in a hundred; counted when it does.
    pub(super) fn strikes(&mut self, fault: Fault, percent: u64) -> bool {
        if !self.setup.faults.has(fault) || !self.stormy() || !self.random.chance(percent) {
            return false;
        }
        self.fired.add(fault);
        true
    }

    /// What a clock that is right says at `at` milliseconds.
    pub(super) fn right(at: u64) -> Timestamp {
        let millis = DAWN * 1_000 + i64::try_from(at).unwrap_or_default();
        Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// What the wall clock of a replica says now.
    pub(super) fn wall(&self, replica: usize) -> Timestamp {
        let offset = SignedDuration::from_millis(self.replicas[replica].offset);
        Self::right(self.now).saturating_add(offset).unwrap_or(Timestamp::MAX)
    }

    pub(super) fn tell(&mut self, text: impl FnOnce(&Self) -> String) {
        if self.setup.record {
            let text = text(self);
            self.trace.line(self.now, || text);
        }
    }

    fn handle(&mut self, task: Task) {
        // A process that stands still does nothing now, and everything later.
        if let Some(until) = self.stands_still(&task) {
            self.later(until - self.now, task);
            return;
        }
        match task {
            Task::Tick(replica, life) => self.tick(replica, life),
            Task::Sweep(replica, life) => self.sweep(replica, life),
            Task::Work(replica, life) => self.work(replica, life),
            Task::Poll(replica, life) => self.poll(replica, life),
            Task::Answer(replica, life, asking) => self.answer(replica, life, *asking),
            Task::Decide(job) => self.decide(*job),
            Task::Commit(pending) => self.commit(*pending),
            Task::Send(call) => self.send(call),
            Task::Land(call, answered) => self.land(call, answered),
            Task::Read(call) => self.read(call),
            Task::GiveUp(call) => self.give_up(call),
            Task::Asked(replica, life, row) => self.asked(replica, life, row),
            Task::HookEnds(replica, life, row) => self.hook_ends(replica, life, row),
            Task::Said(saying) => self.said(*saying),
            Task::Webhook(alert) => self.webhook(*alert),
            Task::Watchdog => self.watchdog(),
            Task::People => self.people(),
            Task::Errand(errand) => self.errand(*errand),
            Task::Mishap(mishap, victim) => self.mishap(mishap, victim),
            Task::Restart(replica) => self.boot(replica),
        }
    }

    fn stands_still(&self, task: &Task) -> Option<u64> {
        let replica = match task {
            Task::Tick(replica, _)
            | Task::Sweep(replica, _)
            | Task::Work(replica, _)
            | Task::Poll(replica, _)
            | Task::Answer(replica, ..)
            | Task::HookEnds(replica, ..)
            | Task::Asked(replica, ..) => *replica,
            Task::Decide(job) => job.replica,
            Task::Commit(pending) => pending.job.replica,
            Task::Send(call) | Task::Read(call) | Task::GiveUp(call) => call.replica,
            Task::Land(..)
            | Task::Said(_)
            | Task::Webhook(_)
            | Task::Watchdog
            | Task::People
            | Task::Errand(_)
            | Task::Mishap(..)
            | Task::Restart(_) => return None,
        };
        Some(self.replicas[replica].still_until).filter(|until| *until > self.now)
    }
}
