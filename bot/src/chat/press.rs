//! Owns what a button of a card carries: which verb, which rollout, and the revision that the card showed; and what pressing
//! it does.
//! Refuses whatever no button of ours carries. What comes back from a button is believed as little as typed text.

use jiff::Timestamp;
use tidegate_rollout::command::{Command, Verb};
use tidegate_rollout::refusal::Code;
use tidegate_rollout::{Refusal, RolloutId};

use super::{Answer, Desk, DeskError, Dispatcher, Occasion, pick};

/// The button that only opens a page. Slack tells of it too, and there is nothing to do.
pub(super) const OPEN: &str = "open";

/// Answers a pressed button. Who pressed a button of an old card is shown how things stand now.
pub(super) async fn pressed<D: Desk>(
    dispatcher: &Dispatcher<D>,
    occasion: &Occasion,
    (action, value): (&str, &str),
    now: Timestamp,
) -> Result<Answer, DeskError> {
    let (verb, rollout, seen) = match read(action, value, now) {
        Ok(read) => read,
        Err(refusal) => return Ok(refusal.into()),
    };
    let request = occasion.request(verb, Some(rollout.clone()), seen);
    let answer = dispatcher.dispatch(request, now).await?;
    if answer.code != Some(Code::R401) {
        return Ok(answer);
    }
    match dispatcher.desk().rollout(&RolloutId::new(rollout)).await? {
        Some(rollout) => {
            let card = dispatcher.card(&rollout, now).await?;
            Ok(answer.about(&rollout).with_card(card))
        }
        None => Ok(answer),
    }
}

/// What a button carries.
pub(super) fn value(rollout: &str, generation: u64) -> String {
    format!("{rollout}:{generation}")
}

/// What a press asks for: the verb, the rollout, and the revision that was looked at.
pub(super) fn read(action: &str, value: &str, now: Timestamp) -> Result<(Verb, String, Option<u64>), Refusal> {
    let verb = match action {
        action if pick::is_one(action) => return pick::read(value, now),
        "advance" => Verb::Do(Command::Advance),
        "pause" => Verb::Do(Command::Pause { reason: String::new() }),
        "resume" => Verb::Do(Command::Resume),
        "rollback" => Verb::Do(Command::Rollback { reason: String::new() }),
        "status" => Verb::Status,
        _ => return Err(strange("its name")),
    };
    let (rollout, generation) = value.rsplit_once(':').ok_or_else(|| strange("what it carries"))?;
    let seen = generation.parse().map_err(|_| strange("its revision"))?;
    Ok((verb, rollout.to_owned(), Some(seen)))
}

fn strange(what: &str) -> Refusal {
    Refusal::new(
        Code::R104,
        format!("This button is none of mine: {what} makes no sense."),
        "Say `status` for a fresh card. Nothing was done.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_button_brings_back_what_it_was_given() {
        let (verb, rollout, seen) = read("advance", &value("auth-17", 41), Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(
            (verb, rollout.as_str(), seen),
            (Verb::Do(Command::Advance), "auth-17", Some(41))
        );
        for (action, value) in [
            ("abort", "auth-17:41"),
            ("advance", "auth-17"),
            ("advance", "auth-17:x"),
            ("advance", "auth-17:-1"),
            ("", ""),
        ] {
            let refusal = read(action, value, Timestamp::UNIX_EPOCH).unwrap_err();
            assert_eq!(refusal.code, Code::R104, "{action} {value}");
        }
    }
}
