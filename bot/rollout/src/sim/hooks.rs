//! Owns the model of hooks: a worker begins one, it runs in that process and dies with it, and its end is told once, twice
//! or never.
//! Refuses to believe what is told of them: what really ran, and how it ended, goes to the laws.

use crate::action::{ActionKind, Outcome};
use crate::event::Event;
use crate::hook::{Ended, HookEnd, Output, Permit, permit};
use crate::period::Period;

use super::faults::Fault;
use super::replica::Then;
use super::worker::LOOK;
use super::world::{Task, World};

impl World<'_> {
    /// A worker has claimed a hook for the `attempt`-th time.
    pub(super) fn hook(&mut self, replica: usize, row: usize, attempt: u32) {
        let rollout = self.store.outbox[row].rollout;
        match self.replicas[replica].running.get(&row).cloned() {
            Some(None) => self.look_again(row, false),
            Some(Some(end)) => {
                self.replicas[replica].running.remove(&row);
                if self.strikes(Fault::HookWordLost, 10) {
                    // The claim runs out; whoever comes next finds nothing of it in its process.
                    return;
                }
                if self.strikes(Fault::HookWordTwice, 20) {
                    self.tell_end(replica, row, end.clone(), Then::Rest);
                }
                self.tell_end(replica, row, end, Then::Close { row, why: "hooked" });
            }
            None => {
                let action = self.store.outbox[row].action.clone();
                let state = self.store.rollouts[rollout].clone();
                let (around, now) = (self.around(replica, &state, &Event::Ticked), self.wall(replica));
                match permit(&state, &action, attempt > 1, &around, now) {
                    Permit::Begin => self.begin_hook(replica, row),
                    Permit::InTheWay(_) | Permit::Rests => self.look_again(row, true),
                    Permit::NotWanted => self.end_unrun(replica, row, Ended::NotRun),
                    Permit::MayHaveRun => self.end_unrun(replica, row, Ended::Unknown),
                }
            }
        }
    }

    fn look_again(&mut self, row: usize, uncounted: bool) {
        let waiting = &mut self.store.outbox[row];
        waiting.due = self.now + LOOK;
        waiting.claimed_until = 0;
        waiting.attempts -= u32::from(uncounted);
    }

    fn begin_hook(&mut self, replica: usize, row: usize) {
        let (rollout, action) = (self.store.outbox[row].rollout, self.store.outbox[row].action.clone());
        let ActionKind::RunHook { moment, errand, .. } = &action.kind else {
            return;
        };
        let latched = self.store.rollouts[rollout].is_latched();
        self.tell(|_| format!("{} begins", action.id));
        self.laws
            .hook_began(rollout, &action.id, *moment, errand.idempotent, latched);
        self.replicas[replica].running.insert(row, None);
        let life = self.replicas[replica].life;
        let after = if self.strikes(Fault::HookHangs, 10) {
            self.random.between(10_000, 30_000)
        } else {
            self.random.between(5, 3_000)
        };
        self.later(after, Task::HookEnds(replica, life, row));
        self.look_again(row, false);
    }

    /// It ends, if the process that began it still lives: its tree dies with it.
    pub(super) fn hook_ends(&mut self, replica: usize, life: u32, row: usize) {
        if !self.lives(replica, life) {
            return;
        }
        let how = if self.strikes(Fault::HookFails, 25) {
            Ended::Failed
        } else {
            Ended::Passed
        };
        let action = self.store.outbox[row].action.id.clone();
        self.tell(|_| format!("{action} ends: {how:?}"));
        if how == Ended::Passed {
            self.laws.hook_passed(&action);
        }
        let end = HookEnd {
            how,
            why: format!("it {how:?}"),
            took: Some(Period::seconds(1)),
            output: Output::default(),
        };
        self.replicas[replica].running.insert(row, Some(end));
    }

    fn end_unrun(&mut self, replica: usize, row: usize, how: Ended) {
        let end = HookEnd {
            how,
            why: "nobody knows".to_owned(),
            took: None,
            output: Output::default(),
        };
        self.tell_end(replica, row, end, Then::Close { row, why: "hooked" });
    }

    fn tell_end(&mut self, replica: usize, row: usize, end: HookEnd, then: Then) {
        let event = Event::Reported {
            action: self.store.outbox[row].action.id.clone(),
            outcome: Outcome::Hooked(Box::new(end)),
        };
        let rollout = self.store.outbox[row].rollout;
        self.decide_now(replica, rollout, event, then);
    }
}
