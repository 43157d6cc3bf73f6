//! Owns the one decision: what an event means for a rollout. Everything that happens goes through [`step`].
//! Refuses to touch anything; what should happen is in the returned [`Step`].

mod advance;
mod alerts;
mod blocker;
mod clock;
mod commands;
mod commitments;
mod crowd;
mod hooks;
mod outcomes;
mod pod_logs;
mod rollback;
mod signoffs;
mod suspects;

use jiff::Timestamp;

use crate::action::{Action, ActionKind};
use crate::entry::Entry;
use crate::event::Event;
use crate::ids::{ActionId, NoticeId, PersonId};
use crate::notice::{About, NextUpdate, Notice, NoticeKind};
use crate::person::{Actor, Surface};
use crate::refusal::Refusal;
use crate::rollout::{Guard, Hold, Holder, Rollout, Stage};
use crate::surroundings::{Freeze, Surroundings};

pub use alerts::{CLOCK_SKEW, QUIET};
pub use blocker::{Blocker, CALM, blockers, in_the_way};
pub use clock::PAGE_AFTER;
pub use commitments::GRACE;
pub use outcomes::{STUCK_AFTER, UNANSWERED_AFTER};
pub(crate) use suspects::can_be_asked;

/// What an event led to. Saved in one transaction: the rollout, its log, its outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The rollout afterwards; its generation is one higher when anything changed.
    pub next: Rollout,
    /// Whether there is anything to save.
    pub changed: bool,
    /// Lines for the log.
    pub log: Vec<Entry>,
    /// Things to do.
    pub actions: Vec<Action>,
    /// Things to say.
    pub notices: Vec<Notice>,
    /// Set when the whole environment must stand still.
    pub freeze: Option<Freeze>,
    /// Whether this step spends one automatic rollback of the environment's budget.
    pub spends_budget: bool,
}

/// Decides what `event` means for `rollout` at `now`, given what it cannot know by itself. Touches nothing.
///
/// # Errors
/// A [`Refusal`] when a person asked for something that cannot be done now; nothing changed then.
pub fn step(rollout: &Rollout, around: &Surroundings, event: &Event, now: Timestamp) -> Result<Step, Refusal> {
    let mut work = Work::on(rollout, around, now);
    happen(&mut work, event)?;
    clock::settle(&mut work);
    Ok(work.finish(rollout))
}

/// As [`step`], for everything that one delivery tells, in its order and each with its own surroundings: one step to save
/// instead of thousands. What time alone does comes after the last of it, so that nothing advances half-way through.
///
/// # Errors
/// As [`step`]; nothing of the delivery changed anything then.
pub fn step_all(rollout: &Rollout, heard: &[(Surroundings, Event)], now: Timestamp) -> Result<Option<Step>, Refusal> {
    let Some((first, _)) = heard.first() else {
        return Ok(None);
    };
    let mut work = Work::on(rollout, first, now);
    for (around, event) in heard {
        work.around = around;
        happen(&mut work, event)?;
    }
    clock::settle(&mut work);
    Ok(Some(work.finish(rollout)))
}

fn happen(work: &mut Work<'_>, event: &Event) -> Result<(), Refusal> {
    match event {
        Event::Alerted(alert) => alerts::alerted(work, alert, alerts::Word::Webhook),
        Event::Polled(alert) => alerts::alerted(work, alert, alerts::Word::Api),
        Event::Commanded { actor, command, seen } => {
            work.heard_from(actor);
            commands::commanded(work, actor, command, *seen)?;
        }
        Event::Reported { action, outcome } => outcomes::reported(work, action, outcome),
        Event::Drifted { epoch, found, how } => outcomes::drifted(work, *epoch, *found, how),
        Event::Told { notice, channel, at } => commitments::told(work, notice, channel, *at),
        Event::Returned { away_since } => clock::returned(work, *away_since),
        Event::Ticked => {}
    }
    Ok(())
}

/// The step in the making.
pub(crate) struct Work<'a> {
    pub(crate) next: Rollout,
    pub(crate) around: &'a Surroundings,
    pub(crate) now: Timestamp,
    /// Whose order this is, and where they gave it.
    speaker: Option<(String, Surface)>,
    log: Vec<Entry>,
    actions: Vec<Action>,
    notices: Vec<Notice>,
    freeze: Option<Freeze>,
    spends_budget: bool,
}

impl<'a> Work<'a> {
    pub(crate) fn on(rollout: &Rollout, around: &'a Surroundings, now: Timestamp) -> Self {
        Self {
            next: rollout.clone(),
            around,
            now,
            speaker: None,
            log: Vec::new(),
            actions: Vec::new(),
            notices: Vec::new(),
            freeze: None,
            spends_budget: false,
        }
    }

    /// Lines by this person say from now on where the person spoke.
    fn heard_from(&mut self, actor: &Actor) {
        self.speaker = Some((actor.person.to_string(), actor.surface));
    }

    /// Says something: a line in the log and a notice with the same facts, so that they cannot disagree.
    pub(crate) fn say(&mut self, kind: NoticeKind) {
        self.say_to(&[], kind);
    }

    /// As [`Work::say`], to these audiences alone; to whom it concerns, where none is named.
    pub(crate) fn say_to(&mut self, to: &[String], kind: NoticeKind) -> NoticeId {
        let by = kind.by().to_owned();
        self.say_as(by, to, kind)
    }

    /// As [`Work::say`], on the word of a person whom the notice itself does not name.
    pub(crate) fn say_by(&mut self, person: &PersonId, kind: NoticeKind) {
        self.say_as(person.to_string(), &[], kind);
    }

    fn say_as(&mut self, by: String, to: &[String], kind: NoticeKind) -> NoticeId {
        let about = About::of(&self.next);
        self.note(kind.word(), by, kind.sentence(&about));
        let id = NoticeId::of(&self.next.id, self.next.generation + 1, self.notices.len());
        self.notices.push(Notice {
            id: id.clone(),
            at: self.now,
            to: to.to_vec(),
            severity: self.next.severity_of(&kind).map(str::to_owned),
            about,
            kind,
        });
        id
    }

    /// Writes a line into the log only.
    pub(crate) fn note(&mut self, kind: &str, by: String, text: String) {
        let surface = self.speaker.as_ref().filter(|(person, _)| *person == by);
        self.log.push(Entry {
            at: self.now,
            kind: kind.to_owned(),
            surface: surface.map(|(_, surface)| *surface),
            by,
            text,
        });
    }

    /// Asks the world for something under the rollout's present epoch.
    pub(crate) fn ask(&mut self, kind: ActionKind) -> ActionId {
        let id = ActionId::of(&self.next.id, self.next.generation + 1, self.actions.len());
        self.actions.push(Action {
            id: id.clone(),
            rollout: self.next.id.clone(),
            epoch: self.next.epoch,
            kind,
        });
        id
    }

    /// A guard holds the rollout and pages. A guard that already holds for the same subject pages nobody twice: an alert
    /// that flaps would otherwise page at every turn.
    pub(crate) fn guard_holds(&mut self, guard: Guard, subject: &str, reason: String) {
        let already = |hold: &Hold| hold.by == Holder::Guard(guard) && hold.subject == subject;
        if self.next.holds.iter().any(already) {
            self.note("guard-still-holds", "tidegate".to_owned(), reason);
            return;
        }
        let number = self.place_hold(guard, subject, reason.clone());
        let stopped = matches!(self.next.stage, Stage::Advancing { failed: Some(_), .. });
        self.say(NoticeKind::GuardHolds {
            number,
            guard: guard.word().to_owned(),
            reason,
            stopped,
        });
    }

    /// Places a guard's hold; saying so is the caller's.
    pub(crate) fn place_hold(&mut self, guard: Guard, subject: &str, reason: String) -> u32 {
        let number = self.number();
        self.next.holds.push(Hold {
            number,
            by: Holder::Guard(guard),
            reason,
            at: self.now,
            until: None,
            subject: subject.to_owned(),
        });
        number
    }

    /// The next number for a hold or a question; they share one sequence, so that a number names one thing.
    pub(crate) fn number(&mut self) -> u32 {
        self.next.next_number += 1;
        self.next.next_number
    }

    pub(crate) fn freeze_environment(&mut self, reason: String) {
        self.freeze = Some(Freeze {
            by: "tidegate".to_owned(),
            reason,
            at: self.now,
        });
    }

    pub(crate) fn finish(mut self, before: &Rollout) -> Step {
        let changed = self.next != *before || !self.log.is_empty() || !self.actions.is_empty();
        if changed {
            self.next.generation = before.generation + 1;
        }
        let update = NextUpdate::of(&self.next);
        for notice in &mut self.notices {
            notice.about.update.clone_from(&update);
        }
        Step {
            next: self.next,
            changed,
            log: self.log,
            actions: self.actions,
            notices: self.notices,
            freeze: self.freeze,
            spends_budget: self.spends_budget,
        }
    }
}

/// The first step of a rollout: says that it started and enters its first phase.
pub(crate) fn begin(rollout: &Rollout, around: &Surroundings, starter: &Actor, now: Timestamp) -> Step {
    let mut work = Work::on(rollout, around, now);
    work.heard_from(starter);
    let by = starter.person.to_string();
    work.say(NoticeKind::Started { by });
    advance::enter(&mut work, 0);
    commitments::mind(&mut work);
    work.finish(rollout)
}
