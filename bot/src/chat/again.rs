//! Owns saying a command once more, as it would be typed: for whoever has to name the rollout that they mean.
//! Refuses to make up what it cannot say as it was: long text, and text with quotes in it, becomes `"…"`.

use jiff::Timestamp;
use tidegate_rollout::Period;
use tidegate_rollout::command::{Answer, Command, Verb};

/// Longer text is for whoever said it to say again.
const LONGEST: usize = 80;

/// The arguments of a verb, as they would be typed again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Again {
    /// With a space before each; the rollout is not among them.
    pub(super) words: String,
    /// Whether nothing of what was said is missing.
    pub(super) is_whole: bool,
}

impl Again {
    /// What was said just now.
    pub(super) fn said(verb: &Verb, now: Timestamp) -> Self {
        let again = Self {
            words: String::new(),
            is_whole: true,
        };
        let Verb::Do(command) = verb else {
            return again;
        };
        match command {
            Command::Advance | Command::Resume | Command::Retry => again,
            Command::Pause { reason } | Command::Rollback { reason } | Command::Abort { reason } => again.text(reason),
            Command::Hold { reason, until } => {
                let until = until.map(|until| Period::between(now, until).to_string());
                again.text(reason).option("for", until.as_deref())
            }
            Command::Release { number } => again.number(Some(*number)),
            Command::Decide { number, answer } => {
                let answer = match answer {
                    Answer::Continue => "continue",
                    Answer::Rollback => "rollback",
                };
                again.word(answer).number(*number)
            }
            Command::Approve { role, comment } => again.option("role", role.as_deref()).text(comment),
            Command::Check { item, done, evidence } => {
                let done = if *done { "done" } else { "undo" };
                again.word(done).word(item).text(evidence)
            }
            Command::Ack { alert, number } => again.option("alert", alert.as_deref()).number(*number),
            Command::Note { text } => again.text(text),
        }
    }

    fn word(mut self, word: &str) -> Self {
        self.words.push(' ');
        self.words.push_str(word);
        self
    }

    fn number(self, number: Option<u32>) -> Self {
        match number {
            Some(number) => self.word(&number.to_string()),
            None => self,
        }
    }

    fn option(self, key: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) if value.contains(char::is_whitespace) => {
                let (quoted, whole) = quoted(value);
                self.word(&format!("{key}:{quoted}")).unless(!whole)
            }
            Some(value) => self.word(&format!("{key}:{value}")),
            None => self,
        }
    }

    fn text(self, text: &str) -> Self {
        if text.is_empty() {
            return self;
        }
        let (quoted, whole) = quoted(text);
        self.word(&quoted).unless(!whole)
    }

    fn unless(self, missing: bool) -> Self {
        Self {
            is_whole: self.is_whole && !missing,
            ..self
        }
    }
}

/// A text in quotes, and whether all of it stands there.
fn quoted(text: &str) -> (String, bool) {
    let whole = text.chars().count() <= LONGEST && !text.contains('"');
    (format!("\"{}\"", if whole { text } else { "…" }), whole)
}

#[cfg(test)]
mod tests {
    use tidegate_rollout::command::grammar::{Named, Said, parse};

    use super::*;

    fn read(text: &str) -> Said {
        parse(text, Timestamp::UNIX_EPOCH, |_| Named::No).unwrap()
    }

    #[test]
    fn what_is_said_again_means_the_same() {
        for text in [
            "advance",
            "pause",
            "pause \"watching redis\"",
            "resume",
            "retry",
            "hold \"watching redis\" for:1h30m",
            "hold \"watching redis\"",
            "release 3",
            "rollback \"customers complain\"",
            "abort",
            "decide rollback 2",
            "decide continue",
            "approve role:dba \"cache warm\"",
            "approve",
            "check undo sessions \"three days\"",
            "ack alert:\"High Latency\" 4",
            "ack",
            "note \"all calm\"",
            "status",
            "history",
        ] {
            let said = read(text);
            let Again { words: rest, is_whole } = Again::said(&said.verb, Timestamp::UNIX_EPOCH);
            assert!(is_whole, "{text}");
            let again = read(&format!("{} checkout-1{rest}", said.verb.word()));
            assert_eq!(again.verb, said.verb, "{text}: {rest}");
            assert_eq!(again.rollout.as_deref(), Some("checkout-1"), "{text}: {rest}");
        }
    }

    #[test]
    fn what_cannot_be_said_as_it_was_is_left_to_whoever_said_it() {
        for said in ["she said \"no\"".to_owned(), "x".repeat(81)] {
            let note = Verb::Do(Command::Note { text: said });
            let again = Again::said(&note, Timestamp::UNIX_EPOCH);
            assert_eq!((again.words.as_str(), again.is_whole), (" \"…\"", false));
        }
    }
}
