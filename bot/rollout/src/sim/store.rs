//! Owns the model of the database: what is here survives every crash, and every change of it is one commit.
//! Refuses to decide: it compares generations, and takes or refuses what it is given.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::action::{Action, ActionKind, Lane};
use crate::alert::{Alert, AlertKey, AlertStatus, Fingerprint};
use crate::command::Command;
use crate::period::Period;
use crate::person::Actor;
use crate::planted::{self, Bug};
use crate::rollout::Rollout;
use crate::step::Step;
use crate::surroundings::Freeze;

use super::polling::Seen;

/// The database.
#[derive(Clone, Debug, Default)]
pub(super) struct Store {
    /// Every rollout, in the order of their starts.
    pub(super) rollouts: Vec<Rollout>,
    /// For each rollout, the index of its plan, which is also that of the target that it raises.
    pub(super) plan_of: Vec<usize>,
    /// What was heard and said.
    pub(super) inbox: Vec<Arrival>,
    /// What is to be done.
    pub(super) outbox: Vec<Row>,
    /// The highest epoch ever decided by a rollout that may write to a target, by the target's name.
    pub(super) target_epochs: BTreeMap<String, u64>,
    /// Counts the changes of what the environment's rollouts share; guards the budget.
    pub(super) environment_generation: u64,
    /// When automatic rollbacks were decided, by the deciders' wall clocks.
    pub(super) spent: Vec<Timestamp>,
    /// Set while the environment is frozen.
    pub(super) freeze: Option<Freeze>,
    /// The last word about each occasion, and when it was heard.
    pub(super) heard: BTreeMap<(Fingerprint, Timestamp), (Timestamp, Alert)>,
    /// Where the inbox stood when the source, asked about an occasion, did not know it.
    pub(super) denied: BTreeMap<AlertKey, usize>,
    /// The rounds of polling that every peer answered.
    pub(super) rounds: Vec<Seen>,
    /// When any replica last got an answer from every peer, by the database's clock.
    pub(super) polled_at: Option<u64>,
    /// When the Watchdog was last seen.
    pub(super) watchdog_seen: Option<Timestamp>,
    /// The last heartbeat of each replica, by its own clock, and when that was, in milliseconds of the database's clock.
    pub(super) beats: BTreeMap<usize, (Timestamp, u64)>,
    /// The replica that leads, and until when, in milliseconds of the database's clock.
    pub(super) lease: Option<(usize, u64)>,
}

/// Something heard or said, durable before it was answered.
#[derive(Clone, Debug)]
pub(super) struct Arrival {
    /// What.
    pub(super) content: Content,
    /// When, by the clock of whoever stored it.
    at: Timestamp,
    /// Whether it was decided.
    pub(super) settled: bool,
    /// The replica's life that works on it, and until when others leave it alone.
    pub(super) taken: Option<(usize, u32, u64)>,
}

/// What was heard or said.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// A webhook.
    Alerted(Alert),
    /// A poll.
    Polled(Alert),
    /// A person.
    Said {
        /// Who.
        actor: Actor,
        /// About which rollout.
        rollout: usize,
        /// What.
        command: Command,
        /// The revision of the button.
        seen: Option<u64>,
    },
}

/// One row of the outbox.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// What to do.
    pub(super) action: Action,
    /// For which rollout.
    pub(super) rollout: usize,
    /// Not before this moment.
    pub(super) due: u64,
    /// Others leave it alone until then.
    pub(super) claimed_until: u64,
    /// How often it was tried.
    pub(super) attempts: u32,
    /// When it was first tried, by the worker's wall clock.
    pub(super) first_tried: Option<Timestamp>,
    /// Why it is done, once it is.
    pub(super) closed: Option<&'static str>,
}

/// What came of saving a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Saved {
    /// It is durable.
    Done,
    /// Somebody else was faster; nothing was saved.
    Conflict,
    /// The order that caused it was settled before; nothing was saved.
    SettledBefore,
}

/// The same alert on several services counts as one event within this time.
const TOGETHER: jiff::SignedDuration = jiff::SignedDuration::from_mins(2);

impl Store {
    /// Saves a step in one commit, if nobody saved the rollout meanwhile. Steps that spend the budget or freeze are
    /// guarded by the environment's generation as well. An order is settled in the same commit.
    pub(super) fn save(&mut self, rollout: usize, step: &Step, environment: u64, order: Option<usize>) -> Saved {
        if order.is_some_and(|arrival| self.inbox[arrival].settled) {
            return Saved::SettledBefore;
        }
        let shares = (step.spends_budget && !planted::on(Bug::BudgetUnguarded)) || step.freeze.is_some();
        let moved = self.rollouts[rollout].generation + 1 != step.next.generation;
        if moved || (shares && self.environment_generation != environment) {
            return Saved::Conflict;
        }
        if let Some(arrival) = order {
            self.inbox[arrival].settled = true;
        }
        self.rollouts[rollout] = step.next.clone();
        self.keep(rollout, step);
        Saved::Done
    }

    /// Saves a start; answers the index of the new rollout.
    pub(super) fn begin(&mut self, plan: usize, step: &Step) -> usize {
        let rollout = self.rollouts.len();
        self.rollouts.push(step.next.clone());
        self.plan_of.push(plan);
        self.keep(rollout, step);
        rollout
    }

    fn keep(&mut self, rollout: usize, step: &Step) {
        let epoch = step.next.epoch;
        for target in step.next.plan.targets() {
            let known = self.target_epochs.entry(target).or_default();
            *known = epoch.max(*known);
        }
        if step.spends_budget {
            self.spent.extend(step.log.last().map(|entry| entry.at));
        }
        if let Some(freeze) = &step.freeze {
            self.freeze.get_or_insert_with(|| freeze.clone());
        }
        if step.spends_budget || step.freeze.is_some() {
            self.environment_generation += 1;
        }
        // A decision that changes the wanted weight cancels the writes of earlier ones.
        let overtaken = |row: &&mut Row| row.rollout == rollout && row.closed.is_none() && row.is_write();
        for row in self.outbox.iter_mut().filter(overtaken) {
            if row.action.epoch < epoch {
                row.closed = Some("overtaken");
            }
        }
        self.enqueue(rollout, &step.actions);
    }

    /// Puts actions into the outbox.
    pub(super) fn enqueue(&mut self, rollout: usize, actions: &[Action]) {
        self.outbox.extend(actions.iter().map(|action| Row {
            action: action.clone(),
            rollout,
            due: 0,
            claimed_until: 0,
            attempts: 0,
            first_tried: None,
            closed: None,
        }));
    }

    /// Remembers something; it is durable when this returns.
    pub(super) fn remember(&mut self, content: Content, now: Timestamp) {
        if let Content::Alerted(alert) | Content::Polled(alert) = &content {
            let key = (alert.fingerprint.clone(), alert.starts_at);
            self.heard.insert(key, (now, alert.clone()));
        }
        self.inbox.push(Arrival {
            content,
            at: now,
            settled: false,
            taken: None,
        });
    }

    /// How long the oldest thing that was remembered waits to be decided.
    pub(super) fn undecided(&self, now: Timestamp) -> Option<Period> {
        let oldest = self.inbox.iter().find(|arrival| !arrival.settled)?;
        Some(Period::between(oldest.at, now))
    }

    /// Alerts heard of since `since`, and all that fire by the last word on them.
    pub(super) fn recent(&self, since: Timestamp) -> Vec<Alert> {
        let fires = |alert: &Alert| alert.status == AlertStatus::Firing;
        let fresh = self.heard.values().filter(|(at, alert)| *at >= since || fires(alert));
        fresh.map(|(_, alert)| alert.clone()).collect()
    }

    /// What fires by the last word on it.
    pub(super) fn firing(&self) -> Vec<Alert> {
        let all = self.heard.values().map(|(_, alert)| alert);
        all.filter(|alert| alert.status == AlertStatus::Firing)
            .cloned()
            .collect()
    }

    /// The latest complete round whose news were all decided.
    pub(super) fn settled_round(&self) -> Option<&Seen> {
        let settled = |seen: &&Seen| self.inbox[seen.told.clone()].iter().all(|arrival| arrival.settled);
        self.rounds.iter().rev().find(settled)
    }

    /// Whether a word of the end of this occasion came in since the inbox stood at `place`.
    pub(super) fn heard_its_end(&self, key: &AlertKey, place: usize) -> bool {
        self.inbox[place..].iter().any(|arrival| match &arrival.content {
            Content::Alerted(alert) | Content::Polled(alert) => {
                alert.status == AlertStatus::Resolved && alert.fingerprint == key.fingerprint
            }
            Content::Said { .. } => false,
        })
    }

    /// Whether the last word about this occasion said that it fires, and was decided.
    pub(super) fn last_word_is_firing(&self, occasion: &Alert) -> bool {
        let words = self.inbox.iter().enumerate().rev();
        let mut about = words.filter_map(|(place, arrival)| match &arrival.content {
            Content::Alerted(alert) | Content::Polled(alert) if alert.key() == occasion.key() => {
                Some((place, alert, arrival.settled))
            }
            Content::Alerted(_) | Content::Polled(_) | Content::Said { .. } => None,
        });
        let denied = self.denied.get(&occasion.key()).copied().unwrap_or_default();
        about
            .next()
            .is_some_and(|(place, alert, settled)| alert.status == AlertStatus::Firing && settled && place >= denied)
    }

    /// On how many services an alert of this name began within two minutes of `starts_at`.
    pub(super) fn services_with(&self, name: &str, starts_at: Timestamp) -> u32 {
        let alike = |other: &&Alert| {
            other.name() == name
                && other.status == AlertStatus::Firing
                && starts_at.duration_since(other.starts_at).abs() <= TOGETHER
        };
        let all = self.heard.values().map(|(_, alert)| alert);
        let services: std::collections::BTreeSet<&str> =
            all.filter(alike).filter_map(|alert| alert.label("service")).collect();
        u32::try_from(services.len()).unwrap_or(u32::MAX).max(1)
    }

    /// The last heartbeat of any replica but `except`.
    pub(super) fn last_beat(&self, except: Option<usize>) -> Option<Timestamp> {
        let beats = self.beats.iter().filter(|(replica, _)| Some(**replica) != except);
        beats.max_by_key(|(_, (_, at))| *at).map(|(_, (wall, _))| *wall)
    }

    /// The rollout that is not over and may write to one of these targets.
    pub(super) fn holder_of(&self, targets: &[String]) -> Option<&Rollout> {
        let moves = |rollout: &&Rollout| rollout.plan.targets().iter().any(|name| targets.contains(name));
        self.rollouts.iter().filter(|rollout| !rollout.is_final()).find(moves)
    }

    /// Indexes of the rollouts that are not over, or of which somebody still waits for word.
    pub(super) fn active(&self) -> Vec<usize> {
        let open = |rollout: &usize| !self.rollouts[*rollout].is_settled();
        (0..self.rollouts.len()).filter(open).collect()
    }
}

impl Row {
    /// Whether it writes to a target.
    pub(super) fn is_write(&self) -> bool {
        match self.action.kind {
            ActionKind::SetWeight { .. } | ActionKind::ToZero { .. } => true,
            ActionKind::AskAboutAlert { .. } | ActionKind::ReadLogs { .. } | ActionKind::RunHook { .. } => false,
        }
    }

    /// Whether a worker of this lane may take it at `now`.
    pub(super) fn is_due(&self, lane: Lane, now: u64) -> bool {
        self.closed.is_none() && self.action.lane() == lane && self.due <= now && self.claimed_until <= now
    }
}
