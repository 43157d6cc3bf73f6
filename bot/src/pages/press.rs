//! Owns the form behind every button: which verb, at which revision of the rollout it was seen, and why.
//! Refuses verbs that are no button; whether a verb is allowed now is decided in the core.

use serde::Deserialize;
use tidegate_rollout::command::grammar::LONGEST;
use tidegate_rollout::command::{Answer, Command};
use tidegate_rollout::refusal::{Code, Refusal};

/// What `POST /r/{id}/do` carries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Press {
    /// The verb.
    pub verb: String,
    /// The generation the reader saw; empty: the press does not depend on it.
    pub seen: String,
    /// Why, or the text of a note.
    pub reason: String,
    /// The number of a hold or a question.
    pub number: String,
    /// `continue` or `rollback`, for a question; `done` or `undo`, for an item of the checklist.
    pub answer: String,
    /// The role that approves, or the item.
    pub name: String,
    /// The alert that somebody looks at.
    pub alert: String,
}

impl Press {
    /// The generation the reader saw.
    ///
    /// # Errors
    /// A refusal when it is not a number: the form was not ours.
    pub fn generation(&self) -> Result<Option<u64>, Refusal> {
        if self.seen.is_empty() {
            return Ok(None);
        }
        self.seen.parse().map(Some).map_err(|_| strange("the revision"))
    }

    /// What is asked for.
    ///
    /// # Errors
    /// A refusal when the form is not one of ours, or says nothing where something must be said.
    pub fn command(&self) -> Result<Command, Refusal> {
        if [&self.reason, &self.name, &self.alert]
            .iter()
            .any(|text| text.len() > LONGEST)
        {
            return Err(Refusal::new(
                Code::R104,
                format!("That is longer than {LONGEST} characters."),
                "Shorten it and press again. Nothing was done.",
            ));
        }
        let reason = || self.reason.trim().to_owned();
        let said = |what: &str| match self.reason.trim() {
            "" => Err(Refusal::new(
                Code::R104,
                format!("A {what} needs words."),
                "Write them into the field and press again.",
            )),
            words => Ok(words.to_owned()),
        };
        Ok(match self.verb.as_str() {
            "advance" => Command::Advance,
            "pause" => Command::Pause { reason: reason() },
            "resume" => Command::Resume,
            "retry" => Command::Retry,
            "rollback" => Command::Rollback { reason: reason() },
            "abort" => Command::Abort { reason: reason() },
            "hold" => Command::Hold {
                reason: said("hold")?,
                until: None,
            },
            "note" => Command::Note { text: said("note")? },
            "release" => Command::Release { number: self.number()? },
            "decide" => Command::Decide {
                number: Some(self.number()?),
                answer: match self.answer.as_str() {
                    "continue" => Answer::Continue,
                    "rollback" => Answer::Rollback,
                    _ => return Err(strange("the answer")),
                },
            },
            "approve" => Command::Approve {
                role: Some(self.name.clone()).filter(|role| !role.is_empty()),
                comment: reason(),
            },
            "check" => Command::Check {
                item: self.name.clone(),
                done: match self.answer.as_str() {
                    "done" => true,
                    "undo" => false,
                    _ => return Err(strange("the answer")),
                },
                evidence: reason(),
            },
            "ack" => Command::Ack {
                alert: Some(self.alert.clone()).filter(|alert| !alert.is_empty()),
                number: match self.number.as_str() {
                    "" => None,
                    _ => Some(self.number()?),
                },
            },
            _ => return Err(strange("the verb")),
        })
    }

    fn number(&self) -> Result<u32, Refusal> {
        self.number.parse().map_err(|_| strange("the number"))
    }
}

fn strange(what: &str) -> Refusal {
    Refusal::new(
        Code::R104,
        format!("This form is not one of this page: {what} makes no sense."),
        "Load the page again and press the button there. Nothing was done.",
    )
}
