//! Owns saying a command once more, as it would be typed: for whoever has to name the rollout that they mean.
//! Refuses to make up what it cannot say as it was: long text, and text with quotes in it, becomes `"…"`, and is found to mean something
//! else.

use jiff::Timestamp;
use tidegate_rollout::Period;
use tidegate_rollout::command::grammar::{self, Named, Said};
use tidegate_rollout::command::{Answer, Command, Verb};
use tidegate_rollout::refusal::Refusal;

/// Longer text is for whoever said it to say again.
const LONGEST: usize = 80;
/// No command is longer that comes back from a button.
const CARRIED: usize = 1_900;

/// The whole command, said just now, about this rollout.
pub(super) fn command(verb: &Verb, rollout: &str, now: Timestamp) -> String {
    let Verb::Do(command) = verb else {
        return format!("{} {rollout}", verb.word());
    };
    let number = |number: &Option<u32>| number.map(|number| format!(" {number}")).unwrap_or_default();
    let arguments = match command {
        Command::Advance | Command::Resume | Command::Retry => String::new(),
        Command::Pause { reason } | Command::Rollback { reason } | Command::Abort { reason } => text(reason),
        Command::Hold { reason, until } => {
            let until = until.map(|until| format!(" for:{}", exactly(Period::between(now, until))));
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
    };
    format!("{} {rollout}{arguments}", verb.word())
}

/// Reads such a command: its second word is the rollout, whether it is under way or not.
pub(super) fn read(say: &str, now: Timestamp) -> Result<Said, Refusal> {
    let rollout = say.split(' ').nth(1).unwrap_or_default();
    let named = |word: &str| match word == rollout {
        true => Named::Yes,
        false => Named::No,
    };
    grammar::parse(say, now, named)
}

/// Whether a command, read again, is the one that was said, and can come back from a button.
pub(super) fn means(say: &str, verb: &Verb, rollout: &str, now: Timestamp) -> bool {
    let same = |said: Said| said.verb == *verb && said.rollout.as_deref() == Some(rollout);
    say.len() <= CARRIED && read(say, now).is_ok_and(same)
}

/// In one unit that divides it, so that nothing is lost: `1590m`.
fn exactly(period: Period) -> String {
    let written = serde_json::to_value(period).unwrap_or_default();
    written.as_str().unwrap_or_default().to_owned()
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
    use tidegate_rollout::command::grammar::parse;

    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn is_said_again(verb: &Verb) -> bool {
        means(&command(verb, "checkout-1", NOW), verb, "checkout-1", NOW)
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
            "hold \"watching redis\" for:1d2h30m",
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
            let said = parse(text, NOW, |_| Named::No).unwrap();
            assert!(
                is_said_again(&said.verb),
                "{text}: {}",
                command(&said.verb, "checkout-1", NOW)
            );
        }
    }

    /// As platforms give it that ask for each argument by itself: nothing in it was quoted, or split at its blanks.
    #[test]
    fn what_cannot_be_said_as_it_was_is_found_to_mean_something_else() {
        let note = |text: &str| Command::Note { text: text.to_owned() };
        let check = |item: &str| Command::Check {
            item: item.to_owned(),
            done: true,
            evidence: String::new(),
        };
        let ack = |alert: String| Command::Ack {
            alert: Some(alert),
            number: None,
        };
        let approve = Command::Approve {
            role: Some(String::new()),
            comment: String::new(),
        };
        for command in [
            note("she said \"no\""),
            note(&"x".repeat(81)),
            note("„urgent"),
            note("“urgent”: DB"),
            check("sessions three days"),
            check("db:ok"),
            ack("x".repeat(1_980)),
            approve,
        ] {
            assert!(!is_said_again(&Verb::Do(command.clone())), "{command:?}");
        }
    }
}
