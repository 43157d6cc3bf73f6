//! Owns which buttons a card has now, and what each of them asks before it counts.
//! Refuses to decide anything: a press of a button that should not be there is refused like any other word.

use url::Url;

use super::{Card, press};
use crate::render::{Button, Confirm};

/// The buttons of a card: the way to its page first, Rollback last and never pressed by mistake. Advance stands there, not
/// possible, while something keeps the rollout from advancing.
pub(super) fn of(card: &Card, page: Option<&Url>) -> Vec<Button> {
    let steering = match card.state.as_str() {
        "ROLLING BACK" if card.stuck.is_some() => vec![rollback(card, "Try again…")],
        "ABORTED" | "COMPLETED" | "ROLLED BACK" | "ROLLING BACK" => Vec::new(),
        "WATCHING" => vec![pause(card), rollback(card, "Rollback…")],
        _ => vec![advance(card), pause(card), rollback(card, "Rollback…")],
    };
    page.map(|page| open(card, page)).into_iter().chain(steering).collect()
}

fn open(card: &Card, page: &Url) -> Button {
    Button {
        aloud: format!("Open the page of {}", card.rollout),
        link: Some(page.to_string()),
        ..button(card, press::OPEN, "Open")
    }
}

fn advance(card: &Card) -> Button {
    let state = card.state.as_str();
    Button {
        aloud: format!("Advance {} to the next phase", card.rollout),
        possible: matches!(state, "ADVANCING" | "BAKING" | "WAITING") && card.waits_for.is_empty(),
        confirm: Some(may_advance(&card.rollout, &card.weight)),
        ..button(card, "advance", "Advance…")
    }
}

fn pause(card: &Card) -> Button {
    match card.state.as_str() {
        "PAUSED" => button(card, "resume", "Resume"),
        _ => button(card, "pause", "Pause"),
    }
}

fn rollback(card: &Card, label: &'static str) -> Button {
    Button {
        aloud: format!("Roll back {} now", card.rollout),
        dangerous: true,
        confirm: Some(may_roll_back(&card.rollout, &card.weight)),
        ..button(card, "rollback", label)
    }
}

/// What is asked before a rollout is advanced that is to have this share.
pub(super) fn may_advance(rollout: &str, weight: &str) -> Confirm {
    Confirm {
        title: format!("Advance {rollout}?"),
        text: format!("It leaves {weight} and lets more traffic to the new version."),
        yes: "Advance",
        no: "Not yet",
    }
}

/// The same before it is rolled back.
pub(super) fn may_roll_back(rollout: &str, weight: &str) -> Confirm {
    Confirm {
        title: format!("Roll back {rollout} now?"),
        text: format!("{weight} of the traffic returns to the old version. It starts at once and cannot be undone."),
        yes: "Roll back",
        no: "Keep it",
    }
}

/// A button that does at once what stands on it.
fn button(card: &Card, action: &'static str, label: &'static str) -> Button {
    Button {
        action,
        value: press::value(&card.rollout, card.generation),
        label: label.into(),
        aloud: format!("{label} {}", card.rollout),
        possible: true,
        dangerous: false,
        confirm: None,
        link: None,
    }
}
