//! Owns the card of a rollout as Slack shows it: one message, at most ten blocks, that reads from top to bottom on a phone.
//! Refuses buttons that cannot be pressed now: Slack cannot grey them out, so what they wait for stands in words.

use jiff::Timestamp;
use serde_json::Value;
use url::Url;

use super::super::card::{HOOKS, REASONS, WAY_BACK, known};
use super::super::{Card, buttons};
use crate::render::slack::{self, Run};

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
        text: slack::whole(&card.sentence()),
        blocks: blocks(card, page, Some(now)),
    }
}

/// The blocks of a card. Block ids carry the revision and the time: Slack wants new ones when a message is edited.
pub(super) fn blocks(card: &Card, page: Option<&Url>, as_of: Option<Timestamp>) -> Vec<Value> {
    let at = as_of.map_or(0, Timestamp::as_millisecond);
    let id = |what: &str| format!("{what}:{}.{at}", card.generation);
    let mut lines = vec![vec![
        Run::Bold(known(&card.state)),
        Run::Plain(format!("{}  {}", card.phase_in_words(), card.share_in_words())),
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
    lines.extend(card.plan_changed.clone().map(|it| vec![Run::Plain(it)]));
    lines.extend(card.lookers().into_iter().map(|it| vec![Run::Plain(it)]));
    lines.extend(card.commitments().into_iter().map(|it| vec![Run::Plain(it)]));
    let mut blocks = vec![slack::header(&card.headline()), slack::lines(&id("state"), &lines)];
    let reasons = card.reasons();
    if !reasons.is_empty() {
        blocks.push(slack::words(&id("waits"), REASONS));
        blocks.push(slack::points(&id("reasons"), &reasons));
    }
    if !card.rungs().is_empty() {
        blocks.push(slack::words(&id("back"), WAY_BACK));
        blocks.push(slack::points(&id("rungs"), card.rungs()));
    }
    let hooks = card.latest_hooks();
    if !hooks.is_empty() {
        blocks.push(slack::words(&id("hooks"), HOOKS));
        blocks.push(slack::points(&id("ran"), &hooks));
    }
    let buttons: Vec<_> = buttons::of(card, page)
        .into_iter()
        .filter(|button| button.possible)
        .collect();
    if !buttons.is_empty() {
        blocks.push(slack::actions(&id("act"), &buttons));
    }
    blocks.push(slack::context(&id("print"), &card.small_print(as_of)));
    blocks
}
