//! Owns the buttons that ask which of several rollouts was meant, and what a press of one says: the command once more, with that
//! name in it.
//! Refuses to guess, to say anything but what stands on the button, and to believe it more than typed text.

use jiff::Timestamp;
use tidegate_rollout::Refusal;
use tidegate_rollout::command::Verb;
use tidegate_rollout::refusal::Code;

use super::answer::Choice;
use super::{again, buttons};
use crate::render::{Button, Confirm};

/// What they are called: Slack wants a name of its own for each. A row of Discord holds as many; more are named in words.
const PICKS: [&str; 5] = ["pick-1", "pick-2", "pick-3", "pick-4", "pick-5"];
/// What the second one is called, where a platform asks by a button whether somebody is sure.
pub(super) const SURE: &str = "pick!";

/// Whether it is one of these that was pressed, the second one included.
pub(super) fn is_one(action: &str) -> bool {
    action == SURE || PICKS.contains(&action)
}

/// A button for each of the first of them.
pub(super) fn buttons(choices: &[Choice]) -> Vec<Button> {
    let button = |(action, choice): (&&'static str, &Choice)| {
        let verb = choice.say.split(' ').next().unwrap_or_default();
        Button {
            action,
            value: format!("{}:{}", choice.generation, choice.say),
            label: format!("{} ({} {})", choice.rollout, choice.state, choice.weight).into(),
            aloud: choice.say.clone(),
            possible: true,
            dangerous: verb == "rollback",
            confirm: confirm(verb, &choice.rollout, &choice.weight, &choice.say),
            link: None,
        }
    };
    PICKS.iter().zip(choices).map(button).collect()
}

/// What is asked before one counts that moves traffic: the other one stands right beside it.
pub(super) fn confirm(verb: &str, rollout: &str, weight: &str, say: &str) -> Option<Confirm> {
    match verb {
        "advance" => Some(buttons::may_advance(rollout, weight)),
        "rollback" => Some(buttons::may_roll_back(rollout, weight)),
        "decide" | "abort" => Some(Confirm {
            title: format!("{rollout}?"),
            text: format!("You said: {say}"),
            yes: "This one",
            no: "Leave it",
        }),
        _ => None,
    }
}

/// What a press says: the verb, the rollout, and the revision that was looked at.
pub(super) fn read(value: &str, now: Timestamp) -> Result<(Verb, String, Option<u64>), Refusal> {
    let (generation, say) = value.split_once(':').ok_or_else(strange)?;
    let seen = generation.parse().map_err(|_| strange())?;
    let said = again::read(say, now)?;
    match said.rollout {
        Some(rollout) => Ok((said.verb, rollout, Some(seen))),
        None => Err(strange()),
    }
}

fn strange() -> Refusal {
    Refusal::new(
        Code::R104,
        "This button is none of mine: what it carries makes no sense.",
        "Say the command once more, with the name of a rollout. Nothing was done.",
    )
}

#[cfg(test)]
mod tests {
    use tidegate_rollout::command::Command;

    use super::*;

    fn choice(rollout: &str, say: &str) -> Choice {
        Choice {
            rollout: rollout.to_owned(),
            generation: 41,
            state: "BAKING".to_owned(),
            weight: "25%".to_owned(),
            say: say.to_owned(),
        }
    }

    #[test]
    fn a_button_says_what_was_said_with_the_name_in_it() {
        let choices = ["a-1", "b-1"].map(|id| choice(id, &format!("hold {id} \"watching redis\" for:30m")));
        let buttons = buttons(&choices);
        assert_eq!(buttons[1].label, "b-1 (BAKING 25%)");
        let (verb, rollout, seen) = read(&buttons[1].value, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!((rollout.as_str(), seen), ("b-1", Some(41)));
        let Verb::Do(Command::Hold { reason, until }) = verb else {
            panic!("{verb:?}");
        };
        assert_eq!(
            (reason.as_str(), until.map(Timestamp::as_second)),
            ("watching redis", Some(1_800))
        );
    }

    #[test]
    fn what_moves_traffic_is_asked_once_more_and_no_two_have_one_name() {
        let asked = |say: &str| buttons(&[choice("a-1", say), choice("b-1", say)]);
        assert!(asked("advance a-1").iter().all(|button| button.confirm.is_some()));
        assert!(asked("pause a-1").iter().all(|button| button.confirm.is_none()));
        let many: Vec<Choice> = (0..9).map(|n| choice(&format!("a-{n}"), "rollback a-1")).collect();
        let buttons = buttons(&many);
        let names: std::collections::BTreeSet<&str> = buttons.iter().map(|button| button.action).collect();
        assert_eq!((buttons.len(), names.len()), (5, 5));
        assert!(buttons.iter().all(|button| button.dangerous && is_one(button.action)));
    }

    #[test]
    fn what_no_button_of_ours_carries_is_refused() {
        for value in [
            "",
            "41",
            "advance a-1",
            "x:advance a-1",
            "41:advance",
            "41:whoami",
            "41:start checkout",
            "-1:advance a-1",
        ] {
            assert_eq!(
                read(value, Timestamp::UNIX_EPOCH).unwrap_err().code,
                Code::R104,
                "{value}"
            );
        }
    }
}
