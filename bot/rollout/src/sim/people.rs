//! Owns the model of people: they start plans, steer in the middle of everything, and clear up in the end.
//! Refuses to be reasonable: any command may come in any state, twice, from two sides.

use std::collections::BTreeMap;

use crate::command::{Answer, Command};
use crate::ids::PersonId;
use crate::period::Period;
use crate::person::{Actor, Role, Surface};
use crate::plan::Plan;
use crate::rollout::Stage;
use crate::surroundings::Freeze;

use super::faults::Fault;
use super::plans::{ITEM, RELEASE};
use super::store::Content;
use super::world::{Task, World};

/// Something a person has done.
#[derive(Clone, Debug)]
pub(super) enum Errand {
    /// Starts a plan, so many more times if it is refused.
    Start(usize, u32),
    /// Says something about a rollout.
    Say(Actor, usize, Command, Option<u64>),
    /// Freezes the environment, or ends the freeze.
    Freeze(bool),
}

/// Lee, who may operate.
pub(super) fn lee() -> Actor {
    actor("lee", Role::Operator)
}

fn actor(id: &str, role: Role) -> Actor {
    Actor {
        person: PersonId::new(id),
        roles: [role].into(),
        surface: Surface::Chat,
    }
}

fn approve() -> Command {
    Command::Approve {
        role: Some(RELEASE.to_owned()),
        comment: String::new(),
    }
}

fn tick(done: bool) -> Command {
    Command::Check {
        item: ITEM.to_owned(),
        done,
        evidence: String::new(),
    }
}

/// What a plan is started with: a version, the one before, and something for whatever else it needs.
pub(super) fn inputs(plan: &Plan) -> BTreeMap<String, String> {
    let value = |name: &str| match name {
        "version" => "2.0.0",
        "previous" => "1.0.0",
        _ => "anything",
    };
    let asked = plan.spec.inputs.keys();
    asked.map(|name| (name.clone(), value(name).to_owned())).collect()
}

/// What is said later than this before the end of a history could not be answered in it any more, in milliseconds.
const LAST_WORD: u64 = 1_000;

impl World<'_> {
    /// People plan their day.
    pub(super) fn schedule_people(&mut self) {
        for plan in 0..self.plans.len() {
            let at = self.random.between(3_000, 20_000);
            self.later(at, Task::Errand(Box::new(Errand::Start(plan, 6))));
        }
        self.later(5_000, Task::People);
    }

    /// People look at what there is to do.
    pub(super) fn people(&mut self) {
        if self.now + LAST_WORD > self.setup.ends_at {
            return;
        }
        let next = self.random.between(1_500, 6_000);
        self.later(next, Task::People);
        self.attend();
        if self.stormy() {
            let busy = self.random.below(100) < 40;
            if busy && self.strikes(Fault::People, 100) {
                self.meddle();
            }
            if self.random.chance(12) {
                let plan = self.random.index(self.plans.len());
                self.later(100, Task::Errand(Box::new(Errand::Start(plan, 0))));
            }
        }
    }

    /// What diligent people always do: open gates, and ask again for a rollback that is stuck.
    fn attend(&mut self) {
        for rollout in self.store.active() {
            let command = match &self.store.rollouts[rollout].stage {
                Stage::AtGate { .. } if self.random.chance(40) => Command::Advance,
                Stage::RollingBack { stuck: Some(_), .. } if self.random.chance(40) => {
                    Command::Rollback { reason: String::new() }
                }
                Stage::Advancing { .. }
                | Stage::Baking { .. }
                | Stage::AtGate { .. }
                | Stage::Watching { .. }
                | Stage::RollingBack { .. }
                | Stage::RolledBack { .. }
                | Stage::Completed { .. }
                | Stage::Aborted { .. } => continue,
            };
            self.errand(Errand::Say(lee(), rollout, command, None));
        }
        self.sign_off();
    }

    /// Those whom gates wait for say their word, one now and one later.
    fn sign_off(&mut self) {
        for rollout in self.store.active() {
            if self.store.rollouts[rollout].open_signoffs().is_empty() || !self.random.chance(50) {
                continue;
            }
            let who = [actor("mara", Role::IncidentCommander), actor("kim", Role::Oncall)];
            let who = self.random.pick(&who).cloned().unwrap_or_else(lee);
            let command = if self.random.chance(50) { approve() } else { tick(true) };
            self.errand(Errand::Say(who, rollout, command, None));
        }
    }

    /// Somebody steers; sometimes two at once.
    fn meddle(&mut self) {
        if self.random.chance(8) {
            let on = self.store.freeze.is_none();
            return self.errand(Errand::Freeze(on));
        }
        let active = self.store.active();
        let Some(rollout) = self.random.pick(&active).copied() else {
            return;
        };
        let at_once = if self.random.chance(25) { 2 } else { 1 };
        for _ in 0..at_once {
            let command = self.any_command(rollout);
            let who = [
                lee(),
                actor("mara", Role::IncidentCommander),
                actor("kim", Role::Oncall),
                actor("vic", Role::Viewer),
            ];
            let actor = self.random.pick(&who).cloned().unwrap_or_else(lee);
            let seen = self.strikes(Fault::StaleButton, 15).then(|| {
                let generation = self.store.rollouts[rollout].generation;
                generation.saturating_sub(1)
            });
            let after = self.random.below(30);
            let errand = Errand::Say(actor, rollout, command, seen);
            self.later(after, Task::Errand(Box::new(errand)));
        }
    }

    fn any_command(&mut self, rollout: usize) -> Command {
        let reason = "because".to_owned();
        let numbers: Vec<u32> = {
            let rollout = &self.store.rollouts[rollout];
            let holds = rollout.holds.iter().map(|hold| hold.number);
            holds
                .chain(rollout.decisions.iter().map(|decision| decision.number))
                .collect()
        };
        let number = self.random.pick(&numbers).copied();
        let soon = self.random.between(3, 20);
        let until = Period::seconds(u32::try_from(soon).unwrap_or_default()).duration();
        let answer = if self.random.chance(60) {
            Answer::Continue
        } else {
            Answer::Rollback
        };
        match self.random.below(24) {
            0..=2 => Command::Advance,
            3 => Command::Retry,
            4 | 5 => Command::Pause { reason },
            6..=8 => Command::Resume,
            9 => Command::Hold {
                reason,
                until: World::right(self.now).checked_add(until).ok(),
            },
            10..=13 => Command::Release {
                number: number.unwrap_or(1),
            },
            14 => Command::Rollback { reason },
            15 => Command::Abort { reason },
            16..=18 => Command::Decide { number, answer },
            19..=21 => approve(),
            22 => tick(self.random.chance(70)),
            _ => Command::Note { text: reason },
        }
    }

    /// Somebody does what they meant to do, through whoever is up.
    pub(super) fn errand(&mut self, errand: Errand) {
        let Some(replica) = self.somebody() else {
            return self.later(2_000, Task::Errand(Box::new(errand)));
        };
        match errand {
            Errand::Start(plan, tries) => {
                let late = self.now + 20_000 > self.setup.calm_from;
                if !late && !self.start(replica, plan) && tries > 0 {
                    let after = self.random.between(3_000, 9_000);
                    self.later(after, Task::Errand(Box::new(Errand::Start(plan, tries - 1))));
                }
            }
            Errand::Say(actor, rollout, command, seen) => {
                let id = self.store.rollouts[rollout].id.clone();
                self.tell(|_| format!("{} to {id}: {command:?} (seen {seen:?})", actor.person));
                let content = Content::Said {
                    actor,
                    rollout,
                    command,
                    seen,
                };
                let now = self.wall(replica);
                self.store.remember(content, now);
                self.take_up(replica, self.store.inbox.len() - 1);
            }
            Errand::Freeze(on) => {
                let at = self.wall(replica);
                self.tell(|_| format!("freeze: {on}"));
                self.store.freeze = on.then(|| Freeze {
                    by: "mara".to_owned(),
                    reason: "cold".to_owned(),
                    at,
                });
                self.store.environment_generation += 1;
            }
        }
    }
}
