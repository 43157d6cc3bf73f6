//! Owns the card of a rollout as Discord shows it: a sentence, a picture that reads from top to bottom on a phone, one row of
//! buttons. Refuses to hide what cannot be pressed: Discord greys it out, and what it waits for stands in words.

use jiff::Timestamp;
use url::Url;

use super::super::card::{HOOKS, REASONS, WAY_BACK, known};
use super::super::{Card, buttons};
use crate::render::discord::{Embed, Markup, Message};

/// The most characters of the sentence, of a line, of a point.
const SENTENCE: usize = 900;
const LINE: usize = 700;
const POINT: usize = 300;

/// The picture of a card as of `now`, with a way to its page where there is one.
pub fn picture(card: &Card, page: Option<&Url>, now: Timestamp) -> Message {
    Message {
        content: Markup::text(&card.sentence(), SENTENCE),
        embed: Some(embed(card, page, Some(now))),
        buttons: buttons::of(card, page),
        ..Message::default()
    }
}

pub(super) fn embed(card: &Card, page: Option<&Url>, as_of: Option<Timestamp>) -> Embed {
    let text = |text: &str| Markup::text(text, LINE);
    let place = format!("{}  {}", card.phase_in_words(), card.share_in_words());
    let mut lines = vec![Markup::bold(known(&card.state)).and(text(&place))];
    if let Some(health) = &card.health {
        let detail = card.health_detail.as_deref().map(|it| format!("  {it}"));
        lines.push(Markup::bold(known(health)).and(text(&detail.unwrap_or_default())));
    }
    lines.extend(card.because.as_ref().map(|it| text(&format!("Because: {it}"))));
    lines.push(text(&card.next));
    lines.extend(card.plan_changed.as_ref().map(|it| text(it)));
    lines.extend(card.lookers().iter().map(|it| text(it)));
    lines.extend(card.commitments().iter().map(|it| text(it)));
    let mut fields = Vec::new();
    if !card.waits_for.is_empty() {
        fields.push((REASONS, points(&card.reasons())));
    }
    if !card.rungs().is_empty() {
        fields.push((WAY_BACK, points(card.rungs())));
    }
    let hooks = card.latest_hooks();
    if !hooks.is_empty() {
        fields.push((HOOKS, points(&hooks)));
    }
    Embed {
        title: card.headline(),
        url: page.map(Url::to_string),
        colour: colour(card),
        description: Markup::lines(lines),
        fields,
        footer: card.small_print(as_of),
    }
}

fn points(points: &[String]) -> Markup {
    Markup::lines(points.iter().map(|point| Markup::text(&format!("• {point}"), POINT)))
}

/// Decoration: the words say the same.
fn colour(card: &Card) -> u32 {
    const GREEN: u32 = 0x2e_8b_57;
    const RED: u32 = 0xc0_39_2b;
    const AMBER: u32 = 0xd6_8a_1b;
    const BLUE: u32 = 0x2f_6f_a8;
    match (card.state.as_str(), card.health.as_deref()) {
        ("ROLLING BACK" | "ROLLED BACK" | "ABORTED", _) | (_, Some("CRITICAL")) => RED,
        ("COMPLETED", _) => GREEN,
        ("HELD" | "PAUSED", _) | (_, Some("OFF TARGET" | "NO DATA")) => AMBER,
        _ => BLUE,
    }
}
