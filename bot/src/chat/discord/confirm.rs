//! Owns what a press of a button does in Discord, which has no "are you sure?" of its own: what must not be pressed by
//! mistake is asked once more, for the presser's eyes only, and the answer replaces the question.
//! Refuses to remember the question: everything it needs comes back with the second button, and is believed as little.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tidegate_rollout::command::{Command, Verb};
use tidegate_rollout::refusal::Code;
use tidegate_rollout::{Refusal, RolloutId, policy};

use super::super::{Desk, DeskError, Dispatcher, Occasion, buttons, pick, press};
use super::{Response, start, words};
use crate::render::discord::{CONTENT, Markup, Message, read_custom_id};
use crate::render::{Button, Confirm};

/// The buttons that ask first, and what the second button is called.
const ASKED: [(&str, &str); 2] = [("advance", "advance!"), ("rollback", "rollback!")];
/// The second button for whoever thinks better of it.
pub(super) const LEAVE: &str = "leave";

/// Whether a press answers a question that only its presser sees, so that the answer goes in its place.
pub fn is_confirmed(button: &str) -> bool {
    let Some((action, _)) = read_custom_id(button) else {
        return false;
    };
    [LEAVE, start::START].contains(&action) || confirmed(action).is_some() || pick::is_one(action)
}

/// What a second button does.
fn confirmed(action: &str) -> Option<&'static str> {
    ASKED
        .iter()
        .find(|(_, second)| *second == action)
        .map(|(first, _)| *first)
}

/// Answers a pressed button.
///
/// # Errors
/// [`DeskError`] when the order could not be stored; nothing was done then.
pub async fn pressed<D: Desk>(
    dispatcher: &Dispatcher<D>,
    occasion: &Occasion,
    button: &str,
    now: Timestamp,
) -> Result<Response, DeskError> {
    let Some((action, value)) = read_custom_id(button) else {
        return Ok(Response::Tell(words::answer(&strange().into())));
    };
    if action == LEAVE {
        return Ok(Response::Replace(words::plain("Nothing was done.")));
    }
    if action == start::OPEN {
        return start::open(dispatcher, occasion, Some((value, &BTreeMap::new()))).await;
    }
    if action == start::START {
        let answer = start::start(dispatcher, occasion, value, BTreeMap::new(), now).await?;
        return Ok(Response::Replace(words::answer(&answer)));
    }
    if let Some(first) = confirmed(action) {
        let answer = press::pressed(dispatcher, occasion, (first, value), now).await?;
        return Ok(Response::Replace(words::answer(&answer)));
    }
    let message = match question(dispatcher, occasion, (action, value), now).await? {
        Some(question) => question,
        None => words::answer(&press::pressed(dispatcher, occasion, (action, value), now).await?),
    };
    Ok(match is_confirmed(button) {
        true => Response::Replace(message),
        false => Response::Tell(message),
    })
}

/// What the second button is called that a button asks by, if it ever asks.
fn second(action: &str) -> Option<&'static str> {
    match pick::is_one(action) {
        true => (action != pick::SURE).then_some(pick::SURE),
        false => ASKED
            .iter()
            .find(|(first, _)| *first == action)
            .map(|(_, second)| *second),
    }
}

/// What is asked before the button counts; `None` where nothing needs to be asked, because it is harmless, or refused for certain.
async fn question<D: Desk>(
    dispatcher: &Dispatcher<D>,
    occasion: &Occasion,
    (action, value): (&str, &str),
    now: Timestamp,
) -> Result<Option<Message>, DeskError> {
    let (Some(second), Ok((verb, named, seen))) = (second(action), press::read(action, value, now)) else {
        return Ok(None);
    };
    let Some(rollout) = dispatcher.desk().rollout(&RolloutId::new(named.as_str())).await? else {
        return Ok(None);
    };
    let goes_back = matches!(verb, Verb::Do(Command::Rollback { .. }));
    let is_stale = !goes_back && seen != Some(rollout.generation);
    let may_not = policy::may(&occasion.actor, &verb, Some(&rollout.plan)).is_err();
    if is_stale || may_not || rollout.is_final() {
        return Ok(None);
    }
    let card = dispatcher.card(&rollout, now).await?;
    if pick::is_one(action) {
        let say = value.split_once(':').map_or(value, |(_, say)| say);
        let confirm = pick::confirm(verb.word(), &card.rollout, &card.weight, say);
        return Ok(confirm.map(|confirm| asked(&confirm, second, value, goes_back)));
    }
    let confirm = buttons::of(&card, None)
        .into_iter()
        .find(|button| button.action == action);
    let confirm = confirm.and_then(|button| button.confirm).unwrap_or_else(|| Confirm {
        title: format!("{}: {action}?", rollout.id),
        text: "It may be refused as things stand.".to_owned(),
        yes: "Try",
        no: "Leave it",
    });
    Ok(Some(asked(&confirm, second, value, goes_back)))
}

fn asked(confirm: &Confirm, second: &'static str, value: &str, dangerous: bool) -> Message {
    let button = |action, label: &'static str, dangerous| Button {
        action,
        value: value.to_owned(),
        label: label.into(),
        aloud: label.to_owned(),
        possible: true,
        dangerous,
        confirm: None,
        link: None,
    };
    Message {
        content: Markup::text(&format!("{}\n{}", confirm.title, confirm.text), CONTENT),
        buttons: vec![button(second, confirm.yes, dangerous), button(LEAVE, confirm.no, false)],
        ..Message::default()
    }
}

/// What is said of a button, a list or a form that no message of ours has.
pub(super) fn strange() -> Refusal {
    Refusal::new(
        Code::R104,
        "This is none of mine. Nothing was done.",
        "Say `status` for a fresh card.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_carries_what_the_button_carried() {
        let confirm = Confirm {
            title: "Roll back checkout-1 now?".to_owned(),
            text: "5% of the traffic returns.".to_owned(),
            yes: "Roll back",
            no: "Keep it",
        };
        let question = asked(&confirm, "rollback!", "checkout-1:41", true).edited();
        let buttons = &question["components"][0]["components"];
        let ids: Vec<&str> = [0, 1].map(|at| buttons[at]["custom_id"].as_str().unwrap()).into();
        assert_eq!(ids, ["v1:rollback!:checkout-1:41", "v1:leave:checkout-1:41"]);
        assert!(ids.into_iter().all(is_confirmed) && !is_confirmed("v1:rollback:checkout-1:41"));
    }
}
