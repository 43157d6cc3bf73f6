//! Owns what people still have to say at the gate, and what they have said: approvals, the checklist, who looks at what.
//! Refuses to know who may: the core is asked what it would answer, and asked again when a button is pressed.

use jiff::Timestamp;
use serde::Serialize;
use tidegate_rollout::command::Command;
use tidegate_rollout::signoff::Open;
use tidegate_rollout::{Event, PersonId, Rollout, step};

use super::buttons::not_you;
use super::{Moment, Reader, Seen, brief};

/// The most rows of each list.
const MOST: usize = 20;

/// What people say at the gate.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Signoffs {
    open: Vec<Asked>,
    given: Vec<Given>,
}

/// Something that a person has to say.
#[derive(Clone, Debug, Serialize)]
struct Asked {
    /// Tells the fields of this form from those of the others.
    number: usize,
    verb: &'static str,
    label: &'static str,
    /// The role that approves, or the item that is ticked.
    name: String,
    what: String,
    /// What may be written beside it.
    beside: &'static str,
    /// Why this reader may not; `None`: they may.
    why: Option<String>,
}

/// Something that a person has said.
#[derive(Clone, Debug, Serialize)]
struct Given {
    by: String,
    what: String,
    at: Moment,
    /// The item whose tick this reader may take back.
    undo: Option<String>,
}

/// What is open and what is said at the gate of the phase; `None` where its plan asks nobody, or nobody is asked now.
pub(super) fn of(seen: &Seen<'_>, reader: Option<&Reader>, now: Timestamp) -> Option<Signoffs> {
    let rollout = seen.rollout;
    let open = rollout.open_signoffs().into_iter().take(MOST).enumerate();
    let signoffs = Signoffs {
        open: open
            .map(|(number, open)| asked(seen, reader, now, number, &open))
            .collect(),
        given: given(seen, reader, now),
    };
    let shown = !signoffs.open.is_empty() || !signoffs.given.is_empty();
    (shown && !rollout.is_final() && !rollout.is_latched()).then_some(signoffs)
}

fn asked(seen: &Seen<'_>, reader: Option<&Reader>, now: Timestamp, number: usize, open: &Open) -> Asked {
    let (verb, label, name, what, beside, command) = match open {
        Open::Approval { role, missing, people } => {
            let names: Vec<&str> = people.iter().map(PersonId::as_str).collect();
            let command = Command::Approve {
                role: Some(role.clone()),
                comment: String::new(),
            };
            let names = names.join(", ");
            let what = match usize::try_from(*missing) {
                Ok(missing) if missing >= people.len() => format!("approval by {names}"),
                _ => format!("approval by {missing} of {names}"),
            };
            ("approve", "Approve", role, what, "Comment", command)
        }
        Open::Check { id, text, owner } => {
            let command = Command::Check {
                item: id.clone(),
                done: true,
                evidence: String::new(),
            };
            let owner = owner.as_ref().map(|role| format!(" ({role})")).unwrap_or_default();
            ("check", "Tick", id, format!("{text}{owner}"), "What shows it", command)
        }
    };
    Asked {
        number,
        verb,
        label,
        name: name.clone(),
        what: brief(&what, 300),
        beside,
        why: refused(seen, reader, command, now),
    }
}

fn given(seen: &Seen<'_>, reader: Option<&Reader>, now: Timestamp) -> Vec<Given> {
    let rollout = seen.rollout;
    let index = rollout.phase_index();
    let approvals = rollout
        .approvals
        .iter()
        .filter(|one| one.phase == index)
        .map(|one| Given {
            by: one.by.to_string(),
            what: format!("approved as {}", one.role),
            at: Moment::of(one.at, now),
            undo: None,
        });
    let ticks = rollout.checks.iter().filter(|one| one.phase == index).map(|one| {
        let undo = Command::Check {
            item: one.id.clone(),
            done: false,
            evidence: String::new(),
        };
        Given {
            by: one.by.to_string(),
            what: format!("ticked {}", one.id),
            at: Moment::of(one.at, now),
            undo: refused(seen, reader, undo, now).is_none().then(|| one.id.clone()),
        }
    });
    approvals.chain(ticks).take(MOST).collect()
}

/// Why the core would not do it for this reader; `None`: it would.
pub(super) fn refused(seen: &Seen<'_>, reader: Option<&Reader>, command: Command, now: Timestamp) -> Option<String> {
    if let Some(why) = not_you(seen.rollout, reader, command.clone()) {
        return Some(why);
    }
    let event = Event::Commanded {
        actor: reader?.actor.clone(),
        command,
        seen: None,
    };
    let refusal = step(seen.rollout, seen.around, &event, now).err()?;
    Some(brief(&format!("{} {}", refusal.message, refusal.hint), 300))
}

/// Who looks at something, in words; empty where nobody does.
pub(super) fn lookers(rollout: &Rollout, what: &str) -> String {
    let looking = rollout.acknowledged.iter().filter(|one| one.what == what);
    let names: Vec<String> = looking.map(|one| one.by.to_string()).take(MOST).collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => format!("{one} looks at it."),
        several => format!("{} look at it.", several.join(", ")),
    }
}
