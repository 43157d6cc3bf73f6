//! Owns the card of a rollout as Slack shows it: one message, at most eight blocks, that reads from top to bottom on a phone.
//! Refuses buttons that cannot be pressed now: Slack cannot grey them out, so what they wait for stands in words.

use jiff::Timestamp;
use serde_json::Value;
use tidegate_rollout::notice::clock;
use url::Url;

use super::super::Card;
use super::press;
use crate::render::slack::{self, Button, Confirm, Run};

/// The most reasons that are listed; more are counted.
const REASONS: usize = 8;

/// A card to be posted, or to be put in the place of an older one.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// The revision it shows.
    pub generation: u64,
    /// The sentence that stands for it.
    pub text: String,
    /// Its blocks.
    pub blocks: Vec<Value>,
}

/// The picture of a card as of `now`, with a way to its page where there is one.
pub fn picture(card: &Card, page: Option<&Url>, now: Timestamp) -> Picture {
    Picture {
        generation: card.generation,
        text: slack::whole(&sentence(card)),
        blocks: blocks(card, page, Some(now)),
    }
}

fn sentence(card: &Card) -> String {
    let health = card.health.as_deref().map(|it| format!(", {it}")).unwrap_or_default();
    let because = card
        .because
        .as_deref()
        .map(|it| format!(" Because: {it}."))
        .unwrap_or_default();
    format!(
        "{} {}: {}{} at {}{health}.{because} {}",
        card.rollout,
        title(card),
        card.state,
        phase(card),
        card.weight,
        card.next
    )
}

fn title(card: &Card) -> String {
    let version = card.version.as_deref().map(|it| format!(" {it}")).unwrap_or_default();
    format!("{}{version} → {}", card.title, card.environment)
}

fn phase(card: &Card) -> String {
    let name = |name: &String| format!(" phase {} of {} ({name})", card.number, card.phases);
    card.phase.as_ref().map(name).unwrap_or_default()
}

/// The blocks of a card. Block ids carry the revision and the time: Slack wants new ones when a message is edited.
pub(super) fn blocks(card: &Card, page: Option<&Url>, as_of: Option<Timestamp>) -> Vec<Value> {
    let at = as_of.map_or(0, Timestamp::as_millisecond);
    let id = |what: &str| format!("{what}:{}.{at}", card.generation);
    let mut lines = vec![vec![
        Run::Bold(known(&card.state)),
        Run::Plain(format!("{}  {}", phase(card), card.weight)),
    ]];
    if let Some(health) = &card.health {
        let detail = card
            .health_detail
            .as_deref()
            .map(|it| format!("  {it}"))
            .unwrap_or_default();
        lines.push(vec![Run::Bold(known(health)), Run::Plain(detail)]);
    }
    lines.extend(
        card.because
            .as_ref()
            .map(|it| vec![Run::Plain(format!("Because: {it}"))]),
    );
    lines.push(vec![Run::Plain(card.next.clone())]);
    let mut blocks = vec![slack::header(&title(card)), slack::lines(&id("state"), &lines)];
    if !card.waits_for.is_empty() {
        let mut reasons: Vec<String> = card.waits_for.iter().take(REASONS).cloned().collect();
        match card.waits_for.len().saturating_sub(REASONS) {
            0 => {}
            more => reasons.push(format!("and {more} more")),
        }
        blocks.push(slack::words(&id("waits"), "What keeps it from advancing:"));
        blocks.push(slack::points(&id("reasons"), &reasons));
    }
    let mut buttons = buttons(card);
    buttons.splice(0..0, page.map(|page| open(card, page)));
    if !buttons.is_empty() {
        blocks.push(slack::actions(&id("act"), &buttons));
    }
    blocks.push(slack::context(&id("print"), &small_print(card, as_of)));
    blocks
}

fn small_print(card: &Card, as_of: Option<Timestamp>) -> String {
    let mut parts = vec![card.rollout.clone(), format!("started by {}", card.started_by)];
    if card.armed {
        parts.push("auto-rollback ARMED".to_owned());
    }
    parts.push(format!("revision {}", card.generation));
    parts.extend(as_of.map(|at| format!("as of {}", clock(at))));
    parts.join(" · ")
}

/// States and healths are our own words, and there are few of them: nothing else is ever bold.
fn known(word: &str) -> &'static str {
    const WORDS: [&str; 14] = [
        "ABORTED",
        "ADVANCING",
        "BAKING",
        "COMPLETED",
        "CRITICAL",
        "HEALTHY",
        "HELD",
        "NO DATA",
        "OFF TARGET",
        "PAUSED",
        "ROLLED BACK",
        "ROLLING BACK",
        "WAITING",
        "WATCHING",
    ];
    WORDS.into_iter().find(|known| *known == word).unwrap_or("UNKNOWN")
}

fn buttons(card: &Card) -> Vec<Button<'_>> {
    match card.state.as_str() {
        "ROLLING BACK" if card.stuck.is_some() => vec![rollback(card, "Try again…")],
        "ABORTED" | "COMPLETED" | "ROLLED BACK" | "ROLLING BACK" => Vec::new(),
        "ADVANCING" | "BAKING" | "WAITING" if card.waits_for.is_empty() => {
            vec![advance(card), pause(card), rollback(card, "Rollback…")]
        }
        _ => vec![pause(card), rollback(card, "Rollback…")],
    }
}

/// The way to the page, first in its row: Rollback is last, and nothing else stands beside it.
fn open<'a>(card: &Card, page: &Url) -> Button<'a> {
    Button {
        action: press::OPEN,
        value: press::value(&card.rollout, card.generation),
        label: "Open",
        aloud: format!("Open the page of {}", card.rollout),
        dangerous: false,
        confirm: None,
        link: Some(page.to_string()),
    }
}

fn advance(card: &Card) -> Button<'_> {
    Button {
        action: "advance",
        value: press::value(&card.rollout, card.generation),
        label: "Advance…",
        aloud: format!("Advance {} to the next phase", card.rollout),
        dangerous: false,
        confirm: Some(Confirm {
            title: format!("Advance {}?", card.rollout),
            text: format!("It leaves {} and lets more traffic to the new version.", card.weight),
            yes: "Advance",
            no: "Not yet",
        }),
        link: None,
    }
}

fn pause(card: &Card) -> Button<'_> {
    let (action, label) = if card.state == "PAUSED" {
        ("resume", "Resume")
    } else {
        ("pause", "Pause")
    };
    Button {
        action,
        value: press::value(&card.rollout, card.generation),
        label,
        aloud: format!("{label} {}", card.rollout),
        dangerous: false,
        confirm: None,
        link: None,
    }
}

/// Always the last of its row, and never pressed by mistake.
fn rollback<'a>(card: &Card, label: &'a str) -> Button<'a> {
    Button {
        action: "rollback",
        value: press::value(&card.rollout, card.generation),
        label,
        aloud: format!("Roll back {} now", card.rollout),
        dangerous: true,
        confirm: Some(Confirm {
            title: format!("Roll back {} now?", card.rollout),
            text: format!(
                "{} of the traffic returns to the old version. It starts at once and cannot be undone.",
                card.weight
            ),
            yes: "Roll back",
            no: "Keep it",
        }),
        link: None,
    }
}
