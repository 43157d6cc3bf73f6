//! Owns the messages that answer somebody in Discord, for their eyes only.
//! Refuses to put anything of theirs, or of anybody else, where Discord would read it as markup.

use super::super::{Answer, DeskError, buttons, pick, words as shared};
use super::card;
use crate::render::Button;
use crate::render::discord::{CONTENT, Markup, Message, fits};

/// What was done; or the code, the reason and the next step of a refusal. A card brings its buttons along.
pub(super) fn answer(answer: &Answer) -> Message {
    let text = || Markup::text(&answer.in_words(), CONTENT);
    match &answer.card {
        None => Message {
            buttons: choices(answer),
            ..Message::words(text())
        },
        Some(shown) => Message {
            // The card says it all, unless something was refused.
            content: if answer.ok { Markup::default() } else { text() },
            embed: Some(card::embed(shown, None, None)),
            buttons: buttons::of(shown, None),
            ..Message::default()
        },
    }
}

/// A button for each of several that may be meant; none, where one of them has no room for what was said: whoever sees some of them
/// would press one of those.
fn choices(answer: &Answer) -> Vec<Button> {
    let buttons = pick::buttons(&answer.choices);
    match buttons.iter().all(fits) {
        true => buttons,
        false => Vec::new(),
    }
}

/// An answer in columns.
pub(super) fn table(answer: &Answer) -> Message {
    Message::words(Markup::table(&answer.text, CONTENT))
}

/// Something in words alone.
pub(super) fn plain(text: &str) -> Message {
    Message::words(Markup::text(text, CONTENT))
}

/// Somebody whom the configuration does not name.
pub fn nobody(user: &str) -> Message {
    answer(&shared::nobody("Discord", "discord", user).into())
}

/// An order, or the proof of who gave it, could not be stored; or nobody knows yet what became of it.
pub fn not_stored(error: &DeskError) -> Message {
    plain(&shared::not_stored(error))
}

#[cfg(test)]
mod tests {
    use tidegate_rollout::Refusal;
    use tidegate_rollout::refusal::Code;

    use super::*;
    use crate::chat::answer::Choice;

    #[test]
    fn a_refusal_has_its_code_its_reason_and_the_next_step() {
        let refusal = Refusal::new(Code::R203, "ana holds it: @everyone.", "Ask *ana*.");
        let shown = answer(&refusal.into());
        assert_eq!(
            shown.content.as_str(),
            "R203 ana holds it\\: \\@everyone.\nAsk \\*ana\\*."
        );
        assert_eq!(shown.embed, None);
    }

    #[test]
    fn of_several_all_are_offered_or_none() {
        let asked = |reason: &str| {
            let choice = |rollout: &str| Choice {
                rollout: rollout.to_owned(),
                generation: 41,
                state: "BAKING".to_owned(),
                weight: "25%".to_owned(),
                say: format!("rollback {rollout} \"{reason}\""),
            };
            Answer {
                choices: vec![choice("pay-1"), choice("checkout-service-blue-12")],
                ..Answer::text("Which one?")
            }
        };
        assert_eq!(answer(&asked("it fails")).buttons.len(), 2);
        let long = "customers report that payments fail since the change";
        assert_eq!(answer(&asked(long)).buttons.len(), 0);
    }

    #[test]
    fn whoever_is_unknown_is_told_what_to_add_and_a_number_stays_a_text() {
        let shown = nobody("80351110224678912");
        assert!(
            shown.content.as_str().contains("discord\\: \"80351110224678912\""),
            "{shown:?}"
        );
    }
}
