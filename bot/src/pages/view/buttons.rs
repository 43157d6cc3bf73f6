//! Owns the three buttons: CONTINUE, PAUSE or RESUME, ROLLBACK. What may not be pressed says why.
//! Refuses to enforce anything: the core decides again when a button is pressed.

use jiff::Timestamp;
use serde::Serialize;
use tidegate_rollout::command::{Command, Verb};
use tidegate_rollout::step::blockers;
use tidegate_rollout::{Refusal, Rollout, Stage, Weight, policy};

use super::{Reader, Seen, brief, next};

/// One button.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Button {
    verb: &'static str,
    label: String,
    /// Why it cannot be pressed; `None`: it can.
    why: Option<String>,
    /// Where to ask before doing it; `None`: it is done at once.
    confirm: Option<String>,
    /// The key that brings the reader to it.
    key: &'static str,
}

/// The row of buttons.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Buttons {
    /// The revision they belong to.
    seen: u64,
    /// Whether there is anything to press at all.
    any: bool,
    /// Whether a hold would mean anything.
    hold: bool,
    advance: Button,
    pause: Button,
    rollback: Button,
}

/// The buttons of a rollout for one reader.
pub(super) fn row(seen: &Seen<'_>, reader: Option<&Reader>, now: Timestamp) -> Buttons {
    let rollout = seen.rollout;
    let label = if is_stuck(rollout) { "TRY AGAIN" } else { "ROLLBACK" };
    Buttons {
        seen: rollout.generation,
        any: !rollout.is_final(),
        hold: !rollout.is_final() && !rollout.is_latched(),
        advance: advance(seen, reader, now),
        pause: pause(rollout, reader),
        rollback: Button {
            verb: "rollback",
            label: label.to_owned(),
            why: over(rollout, true).or_else(|| not_you(rollout, reader, rollback())),
            confirm: Some(format!("/r/{}/confirm/rollback", rollout.id)),
            key: "r",
        },
    }
}

fn rollback() -> Command {
    Command::Rollback { reason: String::new() }
}

fn advance(seen: &Seen<'_>, reader: Option<&Reader>, now: Timestamp) -> Button {
    let rollout = seen.rollout;
    let watching = matches!(rollout.stage, Stage::Watching { .. });
    let done = || watching.then(|| "All phases are done; it completes by itself.".to_owned());
    let blocked = || {
        let found = blockers(rollout, seen.around, now);
        let worst = found.iter().min_by_key(|blocker| next::urgency(blocker))?;
        let first = brief(&worst.refusal(rollout).message, 160);
        Some(match found.len() - 1 {
            0 => first,
            more => format!("{first} And {more} more."),
        })
    };
    let full = next::following(rollout).is_some_and(|phase| phase.weight == Weight::FULL);
    let label = if rollout.is_latched() || rollout.is_final() || watching {
        "CONTINUE".to_owned()
    } else {
        format!("CONTINUE {}", next::onward(rollout))
    };
    Button {
        verb: "advance",
        label,
        why: over(rollout, false)
            .or_else(|| not_you(rollout, reader, Command::Advance))
            .or_else(done)
            .or_else(blocked),
        confirm: full.then(|| format!("/r/{}/confirm/advance", rollout.id)),
        key: "a",
    }
}

fn pause(rollout: &Rollout, reader: Option<&Reader>) -> Button {
    let (verb, label, command) = if rollout.pause.is_some() {
        ("resume", "RESUME", Command::Resume)
    } else {
        ("pause", "PAUSE", Command::Pause { reason: String::new() })
    };
    Button {
        verb,
        label: label.to_owned(),
        why: over(rollout, false).or_else(|| not_you(rollout, reader, command)),
        confirm: None,
        key: "p",
    }
}

/// Whether its way back did not come through; then a person may ask for zero once more, here as in chat.
pub(super) fn is_stuck(rollout: &Rollout) -> bool {
    matches!(&rollout.stage, Stage::RollingBack { stuck: Some(_), .. })
}

/// Why it cannot be steered any more; with `rollback`, why it cannot be rolled back.
pub(super) fn over(rollout: &Rollout, rollback: bool) -> Option<String> {
    match &rollout.stage {
        Stage::RollingBack { stuck: Some(_), .. } if rollback => None,
        Stage::RollingBack { .. } if rollback => Some("It is rolling back already.".to_owned()),
        Stage::RollingBack { .. } => Some("A rollback cannot be undone.".to_owned()),
        Stage::RolledBack { .. } | Stage::Completed { .. } | Stage::Aborted { .. } => Some("It is over.".to_owned()),
        Stage::Advancing { .. } | Stage::Baking { .. } | Stage::AtGate { .. } | Stage::Watching { .. } => None,
    }
}

/// Why this reader may not say it; the policy is asked again when they do.
pub(super) fn not_you(rollout: &Rollout, reader: Option<&Reader>, command: Command) -> Option<String> {
    let Some(reader) = reader else {
        return Some("Sign in to press it.".to_owned());
    };
    let no = |refusal: Refusal| brief(&format!("{} {}", refusal.message, refusal.hint), 300);
    policy::may(&reader.actor, &Verb::Do(command), Some(&rollout.plan))
        .err()
        .map(no)
}
