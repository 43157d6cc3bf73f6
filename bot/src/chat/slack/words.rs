//! Owns the messages that answer somebody in Slack, for their eyes only.
//! Refuses to put anything of theirs, or of anybody else, where Slack would read it as markup.

use serde_json::{Value, json};

use super::super::{Answer, DeskError, pick, words as shared};
use super::card;
use crate::render::slack;

/// A message that only the person who asked can see.
fn message(text: &str, blocks: Vec<Value>) -> Value {
    let text = if text.is_empty() { "Done." } else { text };
    json!({
        "response_type": "ephemeral",
        "replace_original": false,
        "text": slack::whole(text),
        "blocks": blocks,
    })
}

/// Something in words alone.
pub(super) fn told(text: &str) -> Value {
    message(text, vec![slack::words("answer", text)])
}

/// What was done; or the code, the reason and the next step of a refusal.
pub(super) fn answer(answer: &Answer) -> Value {
    let text = answer.in_words();
    let mut blocks = match (&answer.card, answer.ok) {
        // The card says it all.
        (Some(_), true) => Vec::new(),
        (Some(_) | None, _) => vec![slack::words("answer", &text)],
    };
    if let Some(card) = &answer.card {
        blocks.extend(card::blocks(card, None, None));
    }
    if !answer.choices.is_empty() {
        blocks.push(slack::actions("choices", &pick::buttons(&answer.choices)));
    }
    message(&text, blocks)
}

/// The same in the place of the question that it answers.
pub(super) fn instead(mut message: Value) -> Value {
    message["replace_original"] = true.into();
    message
}

/// An answer in columns.
pub(super) fn table(answer: &Answer) -> Value {
    message(&answer.text, vec![slack::table("answer", &answer.text)])
}

/// Somebody whom the configuration does not name.
pub fn nobody(member: &str) -> Value {
    answer(&shared::nobody("Slack", "slack", member).into())
}

/// An order that is being decided and takes longer than Slack waits.
pub fn working() -> Value {
    told(shared::WORKING)
}

/// An order, or the proof of who gave it, could not be stored; or nobody knows yet what became of it.
pub fn not_stored(error: &DeskError) -> Value {
    told(&shared::not_stored(error))
}

/// A form could not be opened; the words do the same.
pub fn not_now(command: &str, why: &str) -> Value {
    told(&format!(
        "The form could not be opened: {why}. Say it in words: {command} start <plan> version:<v>"
    ))
}

#[cfg(test)]
mod tests {
    use tidegate_rollout::Refusal;
    use tidegate_rollout::refusal::Code;

    use super::*;

    #[test]
    fn a_refusal_has_its_code_its_reason_and_the_next_step() {
        let refusal = Refusal::new(Code::R203, "ana holds it: <!channel>.", "Ask *ana*.");
        let shown = answer(&refusal.into());
        assert_eq!(shown["response_type"], "ephemeral");
        assert_eq!(shown["text"], "R203 ana holds it: &lt;!channel&gt;.\nAsk *ana*.");
        let literal = shown.pointer("/blocks/0/elements/0/elements/0").unwrap();
        assert_eq!(
            *literal,
            json!({ "type": "text", "text": "R203 ana holds it: <!channel>.\nAsk *ana*." })
        );
    }
}
