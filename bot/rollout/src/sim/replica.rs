//! Owns the model of one process: it hears, lets the core decide, saves, and may die between any two of these.
//! Refuses to keep anything over its death: what counts is in the store.

mod outlook;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::attention::{Attention, Moment};
use crate::event::Event;
use crate::hook::HookEnd;
use crate::period::Period;
use crate::planted::{self, Bug};
use crate::refusal::Refusal;
use crate::rollout::Rollout;
use crate::route::route;
use crate::step::{Step, step};

use super::faults::Fault;
use super::store::{Content, Saved};
use super::world::{Task, World};

/// How often a replica looks at the clock and at the inbox, in milliseconds.
const TICK: u64 = 2_000;
/// How long a replica may work on an arrival before others take it up.
const TAKEN_FOR: u64 = 4_000;
/// How long a seen Watchdog stays fresh here.
pub(super) const FRESH: Period = Period::seconds(15);
/// An answer or a Watchdog of this age is good for everybody, in milliseconds.
const SURELY_GOOD: u64 = 9_000;
/// A longer absence is no pause of the machine.
const GAP: SignedDuration = SignedDuration::from_secs(2);

/// One process.
#[derive(Debug, Default)]
pub(super) struct Replica {
    pub(super) alive: bool,
    /// Counts its starts; work of an earlier life is lost.
    pub(super) life: u32,
    /// How far its wall clock is off, in milliseconds.
    pub(super) offset: i64,
    /// Until when it stands still.
    pub(super) still_until: u64,
    /// Until when it believes that it leads.
    pub(super) leads_until: u64,
    /// Rounds of polling without an answer; `None` before the first round.
    pub(super) silent_rounds: Option<u32>,
    pub(super) silent_since: Option<(u64, Timestamp)>,
    /// When it last got an answer from the alert source.
    pub(super) polled_at: Option<u64>,
    /// Until when it is cut off from the alert source.
    pub(super) blind_until: u64,
    /// The hooks that run in it, by their rows, and how those ended that did.
    pub(super) running: BTreeMap<usize, Option<HookEnd>>,
    attention: Attention,
    began: u64,
}

/// One event for one rollout, on its way to a decision.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) replica: usize,
    pub(super) life: u32,
    pub(super) rollout: usize,
    pub(super) event: Event,
    pub(super) then: Then,
    pub(super) tries: u32,
    /// Whether the replica tells it as one that has watched nothing yet.
    pub(super) joins: bool,
}

impl Job {
    /// Whether a replica does nothing else, and does not say that it watches, before this is saved.
    fn comes_first(&self) -> bool {
        matches!(self.event, Event::Returned { .. })
    }
}

/// What follows when it is decided.
#[derive(Clone, Debug)]
pub(super) enum Then {
    /// Nothing.
    Rest,
    /// An arrival goes on to its next rollout, and is settled after the last.
    Arrival { arrival: usize, rest: Vec<usize> },
    /// An order was settled in the commit itself; a refusal settles it as well.
    Order { arrival: usize },
    /// A row of the outbox is done.
    Close { row: usize, why: &'static str },
    /// A row of the outbox is tried again later.
    Postpone { row: usize, until: u64 },
}

/// A decision that is made and not saved yet.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) job: Job,
    before: Rollout,
    step: Step,
    environment: u64,
    decided_at: u64,
}

impl World<'_> {
    /// Whether work of this life of a replica still counts.
    pub(super) fn lives(&self, replica: usize, life: u32) -> bool {
        self.replicas[replica].alive && self.replicas[replica].life == life
    }

    /// A replica that is up and moving, if there is one.
    pub(super) fn somebody(&mut self) -> Option<usize> {
        let first = self.random.index(self.replicas.len());
        let order = [first, 1 - first];
        order.into_iter().find(|replica| {
            let replica = &self.replicas[*replica];
            replica.alive && replica.still_until <= self.now
        })
    }

    /// A replica starts: what was missed is told to every rollout first.
    pub(super) fn boot(&mut self, replica: usize) {
        let process = &mut self.replicas[replica];
        let (life, offset, blind_until) = (process.life + 1, process.offset, process.blind_until);
        *process = Replica {
            alive: true,
            life,
            offset,
            blind_until,
            began: self.now,
            ..Replica::default()
        };
        self.tell(|_| format!("replica {replica} starts"));
        if self.replicas.iter().any(|other| other.offset != offset) {
            self.laws.restarted_between_clocks();
        }
        if let Some(away_since) = self.store.last_beat(None) {
            self.join(replica, away_since);
        }
        self.watch(replica);
        self.beat(replica);
        let stagger = self.random.below(500);
        self.later(stagger, Task::Tick(replica, life));
        self.later(stagger + 50, Task::Sweep(replica, life));
        self.later(stagger + 100, Task::Work(replica, life));
        self.later(stagger + 150, Task::Poll(replica, life));
    }

    fn tell_all_that_nobody_watched(&mut self, replica: usize, away_since: Timestamp, joins: bool) {
        let life = self.replicas[replica].life;
        for rollout in self.store.active() {
            self.decide(Job {
                replica,
                life,
                rollout,
                event: Event::Returned { away_since },
                then: Then::Rest,
                tries: 0,
                joins,
            });
        }
    }

    /// A replica comes to the others, who were there at `last_beat` at least. A clock of theirs that is a little ahead is no
    /// clock that went back.
    fn join(&mut self, replica: usize, last_beat: Timestamp) {
        let now = self.wall(replica);
        let short = last_beat.duration_since(now).abs() <= GAP;
        if short && planted::on(Bug::NewcomerCuts) {
            return;
        }
        let away_since = if short { last_beat.min(now) } else { last_beat };
        self.tell_all_that_nobody_watched(replica, away_since, true);
    }

    /// It looks at everything, from now on without a break.
    fn watch(&mut self, replica: usize) {
        let (wall, steady) = (self.wall(replica), self.steady(replica));
        self.replicas[replica].attention.look(Moment { wall, steady });
        for rollout in self.store.active() {
            let rollout = &self.store.rollouts[rollout];
            self.replicas[replica].attention.watched(rollout, steady);
        }
    }

    fn beat(&mut self, replica: usize) {
        let beat = (self.wall(replica), self.now);
        self.store.beats.insert(replica, beat);
    }

    /// It stood still, or its clock jumped. Another replica may have watched meanwhile.
    fn mind_breaks(&mut self, replica: usize) {
        let (wall, steady) = (self.wall(replica), self.steady(replica));
        let Some(away_since) = self.replicas[replica].attention.look(Moment { wall, steady }) else {
            return;
        };
        let meanwhile = |beat: &Timestamp| *beat > away_since && *beat <= wall && !planted::on(Bug::NewcomerCuts);
        match self.store.last_beat(Some(replica)).filter(meanwhile) {
            None => self.tell_all_that_nobody_watched(replica, away_since, false),
            Some(last_beat) => {
                self.replicas[replica].attention = Attention::default();
                self.tell_all_that_nobody_watched(replica, last_beat, true);
                self.watch(replica);
            }
        }
    }

    /// The clock: a beat, a look at every rollout.
    pub(super) fn tick(&mut self, replica: usize, life: u32) {
        if !self.lives(replica, life) {
            return;
        }
        self.mind_breaks(replica);
        self.beat(replica);
        // Before the first round it knows nothing of the alert source, which is no reason to say that nobody does.
        let knows = self.replicas[replica].silent_rounds.is_some() || planted::on(Bug::NewcomerCuts);
        if !knows {
            self.watch(replica);
        }
        for rollout in self.store.active() {
            self.laws.looked(rollout, self.now);
            if knows {
                self.decide_now(replica, rollout, Event::Ticked, Then::Rest);
            }
        }
        self.mind_progress();
        self.later(TICK, Task::Tick(replica, life));
    }

    /// Whether a rollout to which nothing happens gets on.
    fn mind_progress(&mut self) {
        let answered = self.store.polled_at.is_some_and(|at| self.now - at <= SURELY_GOOD);
        let alive = self
            .source
            .watchdog_heard
            .is_some_and(|at| self.now - at <= SURELY_GOOD);
        let decided = self.store.inbox.iter().all(|arrival| arrival.settled);
        let well = answered && alive && decided && self.store.freeze.is_none();
        let Some(wall) = self
            .replicas
            .iter()
            .position(|other| other.alive)
            .map(|it| self.wall(it))
        else {
            return;
        };
        for rollout in self.store.active() {
            self.laws
                .way_back_goes_on(rollout, &self.store.rollouts[rollout], self.now);
            self.laws
                .gets_on(rollout, &self.store.rollouts[rollout], well, wall, self.now);
        }
    }

    fn steady(&self, replica: usize) -> Duration {
        Duration::from_millis(self.now - self.replicas[replica].began)
    }

    /// The inbox: what nobody works on is taken up, oldest first.
    pub(super) fn sweep(&mut self, replica: usize, life: u32) {
        if !self.lives(replica, life) {
            return;
        }
        for arrival in 0..self.store.inbox.len() {
            let held = match self.store.inbox[arrival].taken {
                Some((holder, held_life, until)) => self.lives(holder, held_life) && until > self.now,
                None => false,
            };
            if !self.store.inbox[arrival].settled && !held {
                self.take_up(replica, arrival);
            }
        }
        self.later(1_000, Task::Sweep(replica, life));
    }

    /// A replica works on an arrival.
    pub(super) fn take_up(&mut self, replica: usize, arrival: usize) {
        let life = self.replicas[replica].life;
        self.store.inbox[arrival].taken = Some((replica, life, self.now + TAKEN_FOR));
        match self.store.inbox[arrival].content.clone() {
            Content::Alerted(alert) => {
                let concerned = self.concerned(&alert);
                self.pass_on(replica, arrival, concerned, Event::Alerted(alert));
            }
            Content::Polled(alert) => {
                let concerned = self.concerned(&alert);
                self.pass_on(replica, arrival, concerned, Event::Polled(alert));
            }
            Content::Said {
                actor,
                rollout,
                command,
                seen,
            } => {
                let event = Event::Commanded { actor, command, seen };
                self.decide_now(replica, rollout, event, Then::Order { arrival });
            }
        }
    }

    fn concerned(&self, alert: &crate::alert::Alert) -> Vec<usize> {
        let active = self.store.active();
        let ids = route(alert, active.iter().map(|rollout| &self.store.rollouts[*rollout]));
        let named = |rollout: &usize| ids.contains(&self.store.rollouts[*rollout].id);
        active.into_iter().filter(named).collect()
    }

    fn pass_on(&mut self, replica: usize, arrival: usize, mut rest: Vec<usize>, event: Event) {
        match rest.pop() {
            Some(rollout) => self.decide_now(replica, rollout, event, Then::Arrival { arrival, rest }),
            None => self.store.inbox[arrival].settled = true,
        }
    }

    pub(super) fn decide_now(&mut self, replica: usize, rollout: usize, event: Event, then: Then) {
        let life = self.replicas[replica].life;
        self.decide(Job {
            replica,
            life,
            rollout,
            event,
            then,
            tries: 0,
            joins: false,
        });
    }

    /// Reads, decides, and saves at once or a moment later, when somebody else may have been faster: more often where rollouts
    /// compete for something.
    pub(super) fn decide(&mut self, job: Job) {
        if !self.lives(job.replica, job.life) {
            return;
        }
        let before = self.store.rollouts[job.rollout].clone();
        let mut around = self.around(job.replica, &before, &job.event);
        if job.joins {
            around.watched = None;
        }
        let now = self.wall(job.replica);
        let step = match step(&before, &around, &job.event, now) {
            Err(refusal) => return self.refused(job, &before, &refusal),
            Ok(step) => step,
        };
        if !step.changed {
            return self.decided(job);
        }
        if planted::on(Bug::EffectBeforeIntent) {
            self.store.enqueue(job.rollout, &step.actions);
        }
        let pending = Pending {
            job,
            before,
            step,
            environment: self.store.environment_generation,
            decided_at: self.now,
        };
        let slow = if pending.step.spends_budget { 50 } else { 15 };
        if !pending.job.comes_first() && self.random.chance(slow) {
            let after = self.random.between(1, 900);
            self.later(after, Task::Commit(Box::new(pending)));
        } else {
            self.commit(pending);
        }
    }

    /// Saves a decision, or finds that somebody was faster and decides anew.
    pub(super) fn commit(&mut self, pending: Pending) {
        if !self.lives(pending.job.replica, pending.job.life) {
            return;
        }
        if !pending.job.comes_first() && self.strikes(Fault::CommitFails, 2) {
            return self.again(pending.job);
        }
        let order = match &pending.job.then {
            Then::Order { arrival } => Some(*arrival),
            Then::Rest | Then::Arrival { .. } | Then::Close { .. } | Then::Postpone { .. } => None,
        };
        let environment_moved = self.store.environment_generation != pending.environment;
        let saved = self
            .store
            .save(pending.job.rollout, &pending.step, pending.environment, order);
        match saved {
            Saved::Conflict => {
                self.fired.add(Fault::Conflict);
                self.again(pending.job);
            }
            Saved::SettledBefore => self.decided(pending.job),
            Saved::Done => {
                self.saved(&pending, environment_moved);
                if self.strikes(Fault::CommitUnknown, 2) {
                    return self.again(pending.job);
                }
                self.decided(pending.job);
            }
        }
    }

    fn saved(&mut self, pending: &Pending, environment_moved: bool) {
        let Pending { job, before, step, .. } = pending;
        self.facts.commits += 1;
        for entry in &step.log {
            self.tell(|_| format!("{} (r{}) {}: {}", step.next.id, job.replica, entry.kind, entry.text));
        }
        self.laws.committed(
            &super::laws::Commit {
                rollout: job.rollout,
                event: &job.event,
                before,
                step,
                decided_at: pending.decided_at,
                now: self.now,
                environment_moved,
            },
            &self.store,
            &self.source,
        );
        let (rollout, notices) = (job.rollout, step.notices.clone());
        self.say(rollout, &notices);
        let Pending { job, step, .. } = pending;
        if !step.actions.is_empty() {
            // A bell for the workers of this replica; the others find it at their next look.
            let life = self.replicas[job.replica].life;
            self.later(10, Task::Work(job.replica, life));
        }
    }

    fn again(&mut self, job: Job) {
        let tries = job.tries + 1;
        let after = self.random.between(1, 60);
        // A worker or a sweep takes it up again later; a decision is not tried for ever.
        if tries < 16 {
            self.later(after, Task::Decide(Box::new(Job { tries, ..job })));
        }
    }

    fn refused(&mut self, job: Job, before: &Rollout, refusal: &Refusal) {
        self.tell(|_| format!("{} refused: {refusal}", before.id));
        self.facts.refusals += 1;
        self.laws.refused(before, &job.event, refusal);
        self.decided(job);
    }

    fn decided(&mut self, job: Job) {
        match job.then {
            Then::Rest => {}
            Then::Order { arrival } => self.store.inbox[arrival].settled = true,
            Then::Arrival { arrival, rest } => self.pass_on(job.replica, arrival, rest, job.event),
            Then::Close { row, why } => {
                self.store.outbox[row].closed = Some(why);
                self.laws.row_closed(&self.store.outbox[row], &self.store);
            }
            Then::Postpone { row, until } => {
                self.store.outbox[row].due = until;
                self.store.outbox[row].claimed_until = 0;
            }
        }
    }
}
