//! Owns what became of the hooks of a rollout: which was asked for when, how it ended, what it printed; and whether a worker
//! may begin one now.
//! Refuses to run anything, and to let a hook run twice that nobody declared repeatable.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::action::{Action, ActionKind};
use crate::ids::{ActionId, PersonId};
use crate::period::Period;
use crate::plan::{Errand, Plan};
use crate::planted::{self, Bug};
use crate::rollout::{Guard, Rollout, Stage};
use crate::step::{Blocker, in_the_way};
use crate::surroundings::Surroundings;

/// When in a rollout a hook is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    /// Before any traffic of the phase with this index moves.
    Before(usize),
    /// Once the phase with this index has baked.
    After(usize),
    /// After zero was read back.
    Rollback,
}

/// One hook as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookRun {
    /// Its name in the plan.
    pub name: String,
    /// When it is due.
    pub moment: Moment,
    /// Its place in the list of that moment, from 0.
    pub place: usize,
    /// The action that asks.
    pub action: ActionId,
    /// Which try this is, from 1.
    pub attempt: u32,
    /// Since when it is asked for.
    pub since: Timestamp,
    /// It does not begin earlier.
    pub not_before: Timestamp,
    /// From when on the silence of workers is counted.
    pub heard: Timestamp,
    /// How it ended; nothing while it is waited for.
    pub end: Option<HookEnd>,
    /// Who decided to go on although it did not pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_by: Option<PersonId>,
}

/// How a hook ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookEnd {
    /// In which of the four ways.
    pub how: Ended,
    /// What was seen, in words: "exit code 3".
    pub why: String,
    /// How long it ran, where that is known.
    pub took: Option<Period>,
    /// The last of what it printed or answered.
    pub output: Output,
}

/// The ways in which a hook ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// It did what it should.
    Passed,
    /// It did not.
    Failed,
    /// It may have run, wholly or in part, and nobody knows how far it came.
    Unknown,
    /// It was not wanted any more before it began.
    NotRun,
}

/// The last of what a hook printed. It is text from outside: bounded, one line below the other, without control characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// The last lines.
    pub tail: String,
    /// How many bytes came before and are not kept.
    pub cut: u64,
}

impl Output {
    /// No more is kept, in bytes.
    pub const KEPT: usize = 4_000;

    /// The last of `text`, of which `cut` bytes were lost before already.
    pub fn of(text: &str, cut: u64) -> Self {
        let clean: String = without_escapes(text)
            .chars()
            .filter(|c| *c == '\n' || !is_unprintable(*c))
            .collect();
        let clean = clean.trim_end();
        let tail = last(clean, Self::KEPT);
        Self {
            cut: cut + (clean.len() - tail.len()) as u64,
            tail: tail.to_owned(),
        }
    }

    /// The last of it, at most `bytes`, for where there is little room.
    pub fn excerpt(&self, bytes: usize) -> String {
        let tail = last(&self.tail, bytes);
        let cut = self.cut > 0 || tail.len() < self.tail.len();
        let mark = if cut { "… " } else { "" };
        format!("{mark}{}", tail.trim_start())
    }

    /// Whether it printed nothing.
    pub fn is_empty(&self) -> bool {
        self.tail.is_empty()
    }
}

/// Control characters, and the marks that turn the direction of text around.
fn is_unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `text` without the sequences by which terminals are coloured: ESC `[` … up to a letter.
fn without_escapes(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c == '\u{1b}' && rest.peek() == Some(&'[') {
            for inside in rest.by_ref() {
                if inside.is_ascii_alphabetic() {
                    break;
                }
            }
        } else {
            kept.push(c);
        }
    }
    kept
}

/// The last `bytes` of `text`, cut between two characters.
fn last(text: &str, bytes: usize) -> &str {
    let mut start = text.len().saturating_sub(bytes);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

impl Moment {
    /// The names of what is done then, in order.
    pub fn list(self, plan: &Plan) -> &[String] {
        let phase = |index: usize| plan.spec.phases.get(index);
        match self {
            Self::Before(index) => phase(index).map_or(&[], |phase| phase.hooks.before.as_slice()),
            Self::After(index) => phase(index).map_or(&[], |phase| phase.hooks.after.as_slice()),
            Self::Rollback => &plan.spec.rollback.hooks,
        }
    }

    /// In words: "before phase ten".
    pub fn words(self, plan: &Plan) -> String {
        let name = |index: usize| plan.spec.phases.get(index).map_or("?", |phase| phase.name.as_str());
        match self {
            Self::Before(index) => format!("before phase {}", name(index)),
            Self::After(index) => format!("after phase {}", name(index)),
            Self::Rollback => "after the rollback".to_owned(),
        }
    }
}

impl HookRun {
    /// Whether nothing more comes of it: it passed, or somebody took it as it is. On the way back nothing waits for a person.
    pub fn is_settled(&self) -> bool {
        let Some(end) = &self.end else {
            return false;
        };
        match end.how {
            Ended::Passed => true,
            Ended::Failed | Ended::Unknown | Ended::NotRun => {
                self.settled_by.is_some() || self.moment == Moment::Rollback
            }
        }
    }

    /// In one line: what, when, what came of it.
    pub fn line(&self, plan: &Plan, now: Timestamp) -> String {
        let (name, moment) = (&self.name, self.moment.words(plan));
        let Some(end) = &self.end else {
            return format!("{name} {moment}: asked for {} ago", Period::between(self.since, now));
        };
        let word = match end.how {
            Ended::Passed => "passed",
            Ended::Failed => "failed",
            Ended::Unknown => "may have run",
            Ended::NotRun => "not run",
        };
        let took = end.took.map(|took| format!(" after {took}")).unwrap_or_default();
        let by = self.settled_by.as_ref();
        let by = by
            .map(|person| format!("; {person} went on without it"))
            .unwrap_or_default();
        format!("{name} {moment}: {word}{took}: {}{by}", end.why)
    }
}

impl Rollout {
    /// The hook that is waited for, if one is.
    pub fn hook_awaited(&self) -> Option<&HookRun> {
        self.hooks.iter().rev().find(|run| run.end.is_none())
    }

    /// The hook that did not pass and that a person must settle, if there is one.
    pub fn hook_unsettled(&self) -> Option<&HookRun> {
        let last = self.hooks.last().filter(|run| run.end.is_some())?;
        (!last.is_settled() && !self.is_latched()).then_some(last)
    }

    /// The place in the list of `moment` that comes next; nothing when all of it is settled.
    pub fn next_hook(&self, moment: Moment) -> Option<usize> {
        let settled = self.hooks.iter().filter(|run| run.moment == moment && run.is_settled());
        let place = settled.map(|run| run.place + 1).max().unwrap_or(0);
        (place < moment.list(&self.plan).len()).then_some(place)
    }

    /// Whether a hook is still to be waited for, or to be asked for, on the way back.
    pub fn hooks_outstanding(&self) -> bool {
        match self.stage {
            Stage::RolledBack { .. } => self.hook_awaited().is_some() || self.next_hook(Moment::Rollback).is_some(),
            Stage::Advancing { .. }
            | Stage::Baking { .. }
            | Stage::AtGate { .. }
            | Stage::Watching { .. }
            | Stage::RollingBack { .. }
            | Stage::Completed { .. }
            | Stage::Aborted { .. } => false,
        }
    }

    /// Whether the action in force asks for a hook, and not for a weight.
    pub fn is_hook(&self, action: &ActionId) -> bool {
        self.hooks.iter().any(|run| run.action == *action)
    }
}

impl Guard {
    /// Whether it stands for a hook that a person must settle.
    pub fn is_for_hook(self) -> bool {
        match self {
            Self::HookFailed | Self::HookUnknown => true,
            Self::PreExisting
            | Self::Budget
            | Self::WideAlert
            | Self::OldVersionToo
            | Self::ForeignScope
            | Self::ForeignChange
            | Self::StaleWriter
            | Self::Unanswered
            | Self::Unreadable => false,
        }
    }
}

/// What a worker may do with a hook that it holds in its hands and that does not run in its own process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permit {
    /// Begin it.
    Begin,
    /// Its time has not come; come again.
    InTheWay(Box<Blocker>),
    /// Its time has not come; come again then.
    Rests,
    /// Never begin it: a later decision stands.
    NotWanted,
    /// Never begin it: it may have run already, and twice is not as good as once. A person decides.
    MayHaveRun,
}

/// Whether `action` may begin now. `begun` says that a worker had taken it up before, and that nothing is known since.
pub fn permit(rollout: &Rollout, action: &Action, begun: bool, around: &Surroundings, now: Timestamp) -> Permit {
    let ActionKind::RunHook { errand, .. } = &action.kind else {
        return Permit::NotWanted;
    };
    let waited_for = rollout
        .hooks
        .iter()
        .find(|run| run.action == action.id && run.end.is_none());
    let Some(run) = waited_for else {
        return Permit::NotWanted;
    };
    if begun && !errand.idempotent && !planted::on(Bug::HookRunsTwice) {
        return Permit::MayHaveRun;
    }
    if run.moment != Moment::Rollback {
        if rollout.is_latched() || rollout.is_final() {
            return Permit::NotWanted;
        }
        if let Some(blocker) = in_the_way(rollout, around, now) {
            return Permit::InTheWay(Box::new(blocker));
        }
    }
    // A clock that went back is not waited for.
    let rests = Period::between(now, run.not_before);
    if rests > Period::ZERO && rests <= errand.pause {
        return Permit::Rests;
    }
    Permit::Begin
}

/// How long the longest try of an errand may be silent before nobody believes in it any more, its own time aside.
pub const SILENT_AFTER: Period = Period::minutes(5);

/// How long a worker may say nothing about an errand.
pub fn patience(errand: &Errand) -> Period {
    errand.timeout.plus(errand.pause).plus(SILENT_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_bounded_clean_and_its_end_is_kept() {
        let long = format!("{}the end\n", "ä".repeat(10_000));
        let output = Output::of(&long, 7);
        assert!(output.tail.len() <= Output::KEPT && output.tail.ends_with("äthe end"));
        assert_eq!(output.cut + output.tail.len() as u64, 7 + 20_000 + 7);
        let coloured = Output::of("\u{1b}[31mred\u{1b}[0m\u{202e}\u{7}\r\nnext\0", 0);
        assert_eq!((coloured.tail.as_str(), coloured.cut), ("red\nnext", 0));
        assert_eq!(Output::of("one two", 0).excerpt(3), "… two");
        assert_eq!(Output::of("one", 0).excerpt(3), "one");
    }
}
