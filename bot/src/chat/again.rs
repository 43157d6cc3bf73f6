//! Owns saying a command once more, as it would be typed: for whoever has to name the rollout that they mean.
//! Refuses to make up what it cannot say as it was: long text, and text with quotes in it, becomes `"…"`.

use jiff::Timestamp;
use tidegate_rollout::Period;
use tidegate_rollout::command::{Answer, Command, Verb};

/// Longer text is for whoever said it to say again.
const LONGEST: usize = 80;

/// The arguments of a verb that was said just now, with a space before each; the rollout is not among them.
pub(super) fn arguments(verb: &Verb, now: Timestamp) -> String {
    let Verb::Do(command) = verb else {
        return String::new();
    };
    let number = |number: &Option<u32>| number.map(|number| format!(" {number}")).unwrap_or_default();
    match command {
        Command::Advance | Command::Resume | Command::Retry => String::new(),
        Command::Pause { reason } | Command::Rollback { reason } | Command::Abort { reason } => text(reason),
        Command::Hold { reason, until } => {
            let until = until.map(|until| format!(" for:{}", Period::between(now, until)));
            text(reason) + &until.unwrap_or_default()
        }
        Command::Release { number } => format!(" {number}"),
        Command::Decide { number: asked, answer } => {
            let answer = match answer {
                Answer::Continue => "continue",
                Answer::Rollback => "rollback",
            };
            format!(" {answer}{}", number(asked))
        }
        Command::Approve { role, comment } => option("role", role.as_deref()) + &text(comment),
        Command::Check { item, done, evidence } => {
            let done = if *done { "done" } else { "undo" };
            format!(" {done} {item}{}", text(evidence))
        }
        Command::Ack { alert, number: asked } => option("alert", alert.as_deref()) + &number(asked),
        Command::Note { text: said } => text(said),
    }
}

fn text(text: &str) -> String {
    match text {
        "" => String::new(),
        text => format!(" {}", quoted(text)),
    }
}

fn quoted(text: &str) -> String {
    let is_short = text.chars().count() <= LONGEST;
    let shown = if is_short && !text.contains('"') { text } else { "…" };
    format!("\"{shown}\"")
}

fn option(key: &str, value: Option<&str>) -> String {
    let value = value.map(|value| match value.contains(char::is_whitespace) {
        true => quoted(value),
        false => value.to_owned(),
    });
    value.map(|value| format!(" {key}:{value}")).unwrap_or_default()
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
            let rest = arguments(&said.verb, Timestamp::UNIX_EPOCH);
            let again = read(&format!("{} checkout-1{rest}", said.verb.word()));
            assert_eq!(again.verb, said.verb, "{text}: {rest}");
            assert_eq!(again.rollout.as_deref(), Some("checkout-1"), "{text}: {rest}");
        }
    }

    #[test]
    fn what_cannot_be_said_as_it_was_is_left_to_whoever_said_it() {
        for said in ["she said \"no\"".to_owned(), "x".repeat(81)] {
            let note = Verb::Do(Command::Note { text: said });
            assert_eq!(arguments(&note, Timestamp::UNIX_EPOCH), " \"…\"");
        }
    }
}
