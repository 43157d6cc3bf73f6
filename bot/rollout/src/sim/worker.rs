//! Owns the model of the hands: workers claim rows, write to targets, read back, and report.
//! Refuses to remember: a claim runs out, and somebody else does it again.

use crate::action::{Action, ActionKind, AdvanceToken, Lane, NoToken, Outcome, ReadBack, SuspectAnswer};
use crate::event::Event;
use crate::weight::Weight;

use super::faults::Fault;
use super::laws::Landed;
use super::replica::Then;
use super::target::{Fence, Write};
use super::world::{Task, World};

/// How often workers look for work, in milliseconds.
pub(super) const LOOK: u64 = 1_000;
/// How long a claimed row belongs to its worker.
const CLAIM: u64 = 8_000;
/// How long a worker waits for an answer. Where a target has no fence, no call lands later than this.
const PATIENCE: u64 = 4_000;
/// How long a lease lasts.
const LEASE: u64 = 6_000;
/// A forward action that failed so often is given up.
const FORWARD_ATTEMPTS: u32 = 5;

/// One attempt to write to a target and read it back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) replica: usize,
    life: u32,
    row: usize,
    target: usize,
    pub(super) write: Write,
    /// When it was last seen that the rollout still wants it.
    pub(super) wanted_at: u64,
    /// Which attempt of the row this is; the answer to an earlier one counts for nothing.
    attempt: u32,
    /// How often it was read back.
    reads: u32,
}

impl World<'_> {
    /// Workers of a replica take what is due: the way to zero always, the way forward only when it leads.
    pub(super) fn work(&mut self, replica: usize, life: u32) {
        if !self.lives(replica, life) {
            return;
        }
        let leads = self.leads(replica);
        for row in 0..self.store.outbox.len() {
            let waiting = &self.store.outbox[row];
            let due = waiting.is_due(Lane::Safety, self.now) || leads && waiting.is_due(Lane::Forward, self.now);
            if due {
                self.attempt(replica, row);
            }
        }
        self.later(LOOK, Task::Work(replica, life));
    }

    /// Asks for the lease, or relies on the one it has.
    fn leads(&mut self, replica: usize) -> bool {
        if self.replicas[replica].leads_until > self.now + LEASE / 2 {
            return true;
        }
        if self.strikes(Fault::LeaseLost, 4) {
            // The database gives it to the other one; this one still believes until its own deadline.
            self.store.lease = Some((1 - replica, self.now + LEASE));
        }
        let free = self
            .store
            .lease
            .is_none_or(|(holder, until)| holder == replica || until <= self.now);
        if free {
            self.store.lease = Some((replica, self.now + LEASE));
            self.replicas[replica].leads_until = self.now + LEASE;
        }
        self.replicas[replica].leads_until > self.now
    }

    fn attempt(&mut self, replica: usize, row: usize) {
        let (wall, life) = (self.wall(replica), self.replicas[replica].life);
        let claimed = &mut self.store.outbox[row];
        claimed.claimed_until = self.now + CLAIM;
        claimed.attempts += 1;
        claimed.first_tried.get_or_insert(wall);
        let (rollout, attempt, action) = (claimed.rollout, claimed.attempts, claimed.action.clone());
        let (target, weight) = match &action.kind {
            ActionKind::AskAboutAlert { .. } => {
                let after = self.random.between(5, 400);
                return self.later(after, Task::Asked(replica, life, row));
            }
            ActionKind::ReadLogs { .. } => {
                let outcome = Outcome::Logs(Box::default());
                let id = action.id;
                let event = Event::Reported { action: id, outcome };
                return self.decide_now(replica, rollout, event, Then::Close { row, why: "read" });
            }
            ActionKind::RunHook { .. } => return self.hook(replica, row, attempt),
            ActionKind::ToZero { target } => {
                if attempt == 1 {
                    self.may_go_down(rollout, &target.name());
                }
                (target, Weight::ZERO)
            }
            ActionKind::SetWeight { target, weight, .. } => match self.token(replica, rollout, &action) {
                Ok(_) => (target, *weight),
                Err(NoToken::Overtaken) => {
                    self.store.outbox[row].closed = Some("overtaken");
                    return;
                }
                Err(NoToken::InTheWay(_)) => {
                    let waiting = &mut self.store.outbox[row];
                    waiting.due = self.now + LOOK;
                    waiting.claimed_until = 0;
                    waiting.attempts -= 1;
                    return;
                }
            },
        };
        let call = Call {
            replica,
            life,
            row,
            target: self.target_named(&target.name()),
            write: Write {
                rollout,
                epoch: action.epoch,
                weight,
            },
            wanted_at: self.now,
            attempt,
            reads: 0,
        };
        let after = self.random.between(1, 20);
        self.later(after, Task::Send(call));
    }

    /// What makes people go back often takes with it what they would go back by; a ladder is there for that.
    fn may_go_down(&mut self, rollout: usize, name: &str) {
        if self.store.rollouts[rollout].plan.spec.rollback.ladder.len() < 2 {
            return;
        }
        let target = self.target_named(name);
        if self.targets[target].fence == Fence::Epoch && self.strikes(Fault::ForeignWrite, 15) {
            self.targets[target].foreign_at = Some(self.now);
            self.another_copy_writes(target);
        }
        if self.strikes(Fault::TargetDown, 40) {
            let until = self.now + self.random.between(10_000, 60_000);
            self.targets[target].down_until = until.min(self.setup.calm_from);
            self.tell(|_| format!("nothing reaches {name}"));
        }
    }

    /// Every target that a plan names is there.
    fn target_named(&self, name: &str) -> usize {
        let named = self.targets.iter().position(|target| target.name == name);
        named.unwrap_or_default()
    }

    fn token(&mut self, replica: usize, rollout: usize, action: &Action) -> Result<AdvanceToken, NoToken> {
        let rollout = self.store.rollouts[rollout].clone();
        let (around, now) = (self.around(replica, &rollout, &Event::Ticked), self.wall(replica));
        AdvanceToken::of(&rollout, action, &around, now)
    }

    /// The write goes out. A process that stood still between looking and sending sends all the same.
    pub(super) fn send(&mut self, mut call: Call) {
        if !self.lives(call.replica, call.life) {
            return;
        }
        let unfenced = self.targets[call.target].fence == Fence::None;
        if unfenced {
            // Nothing but this look keeps a stale writer off such a target.
            let row = &self.store.outbox[call.row];
            let overtaken = row.closed.is_some() || row.attempts != call.attempt;
            let raises = !call.write.weight.is_zero();
            let leads = self.replicas[call.replica].leads_until > self.now;
            let action = row.action.clone();
            if overtaken || (raises && !(leads && self.token(call.replica, call.write.rollout, &action).is_ok())) {
                return;
            }
            call.wanted_at = self.now;
        }
        let action = self.store.outbox[call.row].action.id.clone();
        self.laws.sent(&action, &call.write);
        self.later(PATIENCE, Task::GiveUp(call));
        if self.strikes(Fault::CallDropped, 10) || self.targets[call.target].down_until > self.now {
            return;
        }
        let answered = !self.strikes(Fault::DoneButFailed, 10);
        let after = if self.strikes(Fault::CallHangs, 10) {
            let latest = if unfenced { PATIENCE - 500 } else { 40_000 };
            self.random.between(2_000, latest)
        } else {
            self.random.between(5, 200)
        };
        self.later(after, Task::Land(call, answered));
    }

    /// The write arrives at the target, whoever still waits for it.
    pub(super) fn land(&mut self, call: Call, answered: bool) {
        let decided = self.store.rollouts[call.write.rollout].epoch;
        let before = self.targets[call.target].weight;
        let taken = self.targets[call.target].write(call.write, decided, self.now);
        let after = self.targets[call.target].weight;
        let id = self.store.rollouts[call.write.rollout].id.clone();
        let (write, name) = (call.write, self.targets[call.target].name.clone());
        self.tell(|_| match taken {
            Ok(()) => format!(
                "{id} {name}: {} under epoch {}: {before} to {after}",
                write.weight, write.epoch
            ),
            Err(found) => format!("{id} {name} refuses epoch {}, it has {found}", write.epoch),
        });
        self.facts.writes += 1;
        if taken.is_ok() && !(call.write.weight > Weight::ZERO && after == before) {
            let landed = Landed {
                target: &self.targets[call.target],
                write,
                wanted_at: call.wanted_at,
                before,
            };
            self.laws.landed(&landed, self.now);
        }
        if !answered {
            return;
        }
        let after = self.random.between(5, 150);
        match taken {
            Ok(()) => self.later(after, Task::Read(call)),
            Err(found) => self.report(call, Outcome::Fenced { found }),
        }
    }

    /// What carries the traffic is asked what it carries.
    pub(super) fn read(&mut self, mut call: Call) {
        if !self.waits(&call) || self.targets[call.target].down_until > self.now {
            return;
        }
        let found = self.targets[call.target].weight;
        self.laws
            .was_read(call.write.rollout, &self.targets[call.target].name, found, self.now);
        if found != call.write.weight {
            return self.report(call, Outcome::Foreign { found });
        }
        call.reads += 1;
        let unfenced = self.targets[call.target].fence == Fence::None;
        if unfenced && found.is_zero() && call.reads == 1 {
            // A raise may still be on its way: look again after the longest time that a call takes.
            return self.later(PATIENCE, Task::Read(call));
        }
        let read_back = ReadBack {
            weight: found,
            how: format!("the target reads {found}"),
            seen_in_traffic: false,
            observed: None,
            at: self.wall(call.replica),
        };
        self.report(call, Outcome::Applied(read_back));
    }

    /// Nobody answered in time. A read-back that is only waiting for its second look is not given up.
    pub(super) fn give_up(&mut self, call: Call) {
        let row = &self.store.outbox[call.row];
        let answered = row.due > self.now || row.closed.is_some();
        let second_look = self.targets[call.target].fence == Fence::None && call.write.weight.is_zero();
        if !self.waits(&call) || answered {
            return;
        }
        if second_look && self.targets[call.target].weight.is_zero() {
            return;
        }
        let (attempts, since) = (row.attempts, row.first_tried);
        let why = "no answer in time".to_owned();
        let forward = row.action.lane() == Lane::Forward;
        let outcome = if forward && attempts >= FORWARD_ATTEMPTS {
            Outcome::GaveUp { attempts, why }
        } else {
            let since = since.unwrap_or_else(|| self.wall(call.replica));
            Outcome::Failing { attempts, since, why }
        };
        self.report(call, outcome);
    }

    /// Whether the worker of this call still waits for its answer.
    fn waits(&self, call: &Call) -> bool {
        let row = &self.store.outbox[call.row];
        // A worker does not learn that a later decision closed its row; it reports, and the core must know better.
        let open = matches!(row.closed, None | Some("overtaken"));
        self.lives(call.replica, call.life) && open && row.attempts == call.attempt
    }

    /// The outcome is saved before the row is closed: a crash in between repeats, and never loses.
    fn report(&mut self, call: Call, outcome: Outcome) {
        if !self.waits(&call) {
            return;
        }
        let row = call.row;
        let action = self.store.outbox[row].action.clone();
        // Of a rollout that is over nobody goes on against another writer.
        let over = action.lane() == Lane::Forward || self.store.rollouts[call.write.rollout].is_final();
        let again = Then::Postpone {
            row,
            until: self.now + 300 * u64::from(call.attempt.min(8)),
        };
        let then = match &outcome {
            Outcome::Applied(_) => Then::Close { row, why: "applied" },
            Outcome::GaveUp { .. } => Then::Close { row, why: "given up" },
            Outcome::Foreign { .. } if over => Then::Close { row, why: "foreign" },
            Outcome::Fenced { .. } if over => Then::Close { row, why: "fenced" },
            Outcome::Foreign { .. }
            | Outcome::Fenced { .. }
            | Outcome::Failing { .. }
            | Outcome::Asked { .. }
            | Outcome::Logs(_)
            | Outcome::Hooked(_) => again,
        };
        // From now on nobody else answers for this attempt.
        self.store.outbox[row].due = self.now + CLAIM;
        let event = Event::Reported {
            action: action.id,
            outcome,
        };
        self.decide_now(call.replica, call.write.rollout, event, then);
    }

    /// The peers of the alert source answer a question about a suspect alert.
    pub(super) fn asked(&mut self, replica: usize, life: u32, row: usize) {
        let open = self.store.outbox[row].closed.is_none();
        if !self.lives(replica, life) || !open {
            return;
        }
        let action = self.store.outbox[row].action.clone();
        let ActionKind::AskAboutAlert { key, .. } = &action.kind else {
            return;
        };
        let answer = if self.source.unreadable(self.now) || self.strikes(Fault::RoundLost, 12) {
            SuspectAnswer::Unreadable
        } else if self.source.lists(key, self.now) {
            SuspectAnswer::Active
        } else {
            self.store.denied.insert(key.clone(), self.store.inbox.len());
            SuspectAnswer::Absent
        };
        let rollout = self.store.outbox[row].rollout;
        let event = Event::Reported {
            action: action.id,
            outcome: Outcome::Asked {
                key: key.clone(),
                answer,
            },
        };
        self.decide_now(replica, rollout, event, Then::Close { row, why: "asked" });
    }
}
