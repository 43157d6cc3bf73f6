//! Owns the form in which programs give commands: the verb and its arguments as fields, so that nothing has to be quoted.
//! Refuses arguments that the verb does not take.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tidegate_rollout::command::grammar::{self, LONGEST};
use tidegate_rollout::command::{Answer, Usage, Verb};
use tidegate_rollout::{Code, Command, Period, Refusal, Surface};
use utoipa::ToSchema;

/// Something said: either `text`, as in chat, or `verb` with its arguments.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Said {
    /// A line as in chat: `rollback auth-17 "errors"`.
    pub text: Option<String>,
    /// A verb: `rollback`.
    pub verb: Option<String>,
    /// The rollout, by its id or the name of its plan; left out: the only active one.
    pub rollout: Option<String>,
    /// The generation of the rollout that the caller looked at; refused if it has moved on.
    pub seen: Option<u64>,
    /// Where it was said, for the log: `cli`; everything else that comes here counts as `api`.
    #[schema(value_type = Option<String>)]
    pub surface: Option<Surface>,
    /// start: the plan.
    pub plan: Option<String>,
    /// start: what the plan asks for.
    pub inputs: BTreeMap<String, String>,
    /// pause, hold, rollback, abort, freeze: why.
    pub reason: Option<String>,
    /// hold: for how long, such as `4h`.
    #[serde(rename = "for")]
    #[schema(value_type = Option<String>)]
    pub period: Option<Period>,
    /// release, decide, ack: which hold or question.
    pub number: Option<u32>,
    /// decide: `continue` or `rollback`.
    #[schema(value_type = Option<String>)]
    pub answer: Option<Answer>,
    /// note: what. approve, check: what is said to it, or what shows it.
    pub note: Option<String>,
    /// freeze, thaw: which environment.
    pub environment: Option<String>,
    /// approve: for which role of the plan; left out: the only one that is asked of the caller.
    pub role: Option<String>,
    /// check: which item.
    pub item: Option<String>,
    /// check: `false` takes a tick back; left out: it is ticked.
    pub done: Option<bool>,
    /// ack: the name of the alert.
    pub alert: Option<String>,
}

impl Said {
    /// The verb with its arguments.
    pub(super) fn verb(mut self, now: Timestamp) -> Result<Verb, Refusal> {
        self.bounded()?;
        // As in chat: an alias means its verb, and a misspelt one is told the nearest.
        let usage = grammar::find(self.verb.take().unwrap_or_default().trim())?;
        let verb = match usage.verb {
            "start" => Verb::Start {
                plan: needed(usage, self.plan.take(), "the plan's name", "plan")?,
                inputs: std::mem::take(&mut self.inputs),
            },
            "status" => Verb::Status,
            "list" => Verb::List,
            "history" => Verb::History,
            "whoami" => Verb::Whoami,
            "help" => Verb::Help,
            "freeze" => Verb::Freeze {
                environment: needed(usage, self.environment.take(), "the environment", "environment")?,
                reason: needed(usage, self.reason.take(), "a reason", "reason")?,
            },
            "thaw" => Verb::Thaw {
                environment: needed(usage, self.environment.take(), "the environment", "environment")?,
            },
            _ => Verb::Do(self.command(usage, now)?),
        };
        match self.left_over() {
            None => Ok(verb),
            Some(field) => Err(misread(format!("`{}` takes no `{field}`.", verb.word()))),
        }
    }

    fn command(&mut self, usage: &Usage, now: Timestamp) -> Result<Command, Refusal> {
        Ok(match usage.verb {
            "advance" => Command::Advance,
            "resume" => Command::Resume,
            "retry" => Command::Retry,
            "pause" => Command::Pause {
                reason: self.reason.take().unwrap_or_default(),
            },
            "hold" => Command::Hold {
                reason: needed(usage, self.reason.take(), "a reason", "reason")?,
                until: self.period.take().map(|period| super::super::rights::end(period, now)),
            },
            "release" => Command::Release {
                number: needed(usage, self.number.take(), "the number of the hold", "number")?,
            },
            "rollback" => Command::Rollback {
                reason: self.reason.take().unwrap_or_default(),
            },
            "abort" => Command::Abort {
                reason: self.reason.take().unwrap_or_default(),
            },
            "decide" => Command::Decide {
                number: self.number.take(),
                answer: needed(usage, self.answer.take(), "`continue` or `rollback`", "answer")?,
            },
            "approve" => Command::Approve {
                role: self.role.take(),
                comment: self.note.take().unwrap_or_default(),
            },
            "check" => Command::Check {
                item: needed(usage, self.item.take(), "the item", "item")?,
                done: self.done.take().unwrap_or(true),
                evidence: self.note.take().unwrap_or_default(),
            },
            "ack" => Command::Ack {
                alert: self.alert.take(),
                number: self.number.take(),
            },
            "note" => Command::Note {
                text: needed(usage, self.note.take(), "the text", "note")?,
            },
            verb => {
                return Err(Refusal::new(
                    Code::R101,
                    format!("`{verb}` cannot be said as a document yet. Nothing was done."),
                    "Say it as `text`, as in a chat.",
                ));
            }
        })
    }

    /// As long as in chat at most: what is said here is shown on the same pages and sent to the same channels.
    fn bounded(&self) -> Result<(), Refusal> {
        let named = [
            ("rollout", &self.rollout),
            ("plan", &self.plan),
            ("reason", &self.reason),
            ("note", &self.note),
            ("environment", &self.environment),
            ("role", &self.role),
            ("item", &self.item),
            ("alert", &self.alert),
        ];
        let texts = named
            .into_iter()
            .filter_map(|(field, text)| Some((field, text.as_deref()?)));
        let inputs = self
            .inputs
            .iter()
            .flat_map(|(name, value)| [("inputs", &**name), ("inputs", &**value)]);
        match texts.chain(inputs).find(|(_, text)| text.len() > LONGEST) {
            None => Ok(()),
            Some((field, _)) => Err(misread(format!("`{field}` is longer than {LONGEST} characters."))),
        }
    }

    /// An argument that the verb did not take.
    fn left_over(&self) -> Option<&'static str> {
        let given = [
            ("plan", self.plan.is_some()),
            ("inputs", !self.inputs.is_empty()),
            ("reason", self.reason.is_some()),
            ("for", self.period.is_some()),
            ("number", self.number.is_some()),
            ("answer", self.answer.is_some()),
            ("note", self.note.is_some()),
            ("environment", self.environment.is_some()),
            ("role", self.role.is_some()),
            ("item", self.item.is_some()),
            ("done", self.done.is_some()),
            ("alert", self.alert.is_some()),
        ];
        given.into_iter().find(|(_, given)| *given).map(|(field, _)| field)
    }
}

/// The words are those of the chat; the hint names the field.
fn needed<T>(usage: &Usage, value: Option<T>, what: &str, field: &str) -> Result<T, Refusal> {
    value.ok_or_else(|| Refusal {
        hint: format!("Give it as `{field}`. See /api/openapi.json. Nothing was done."),
        ..grammar::lacks(usage, what)
    })
}

fn misread(what: String) -> Refusal {
    Refusal::new(Code::R104, what, "See /api/openapi.json. Nothing was done.")
}

#[cfg(test)]
mod tests {
    use tidegate_rollout::command::USAGES;

    use super::*;

    fn read(json: serde_json::Value) -> Result<Verb, Code> {
        let said: Said = serde_json::from_value(json).unwrap();
        said.verb(Timestamp::UNIX_EPOCH).map_err(|refusal| refusal.code)
    }

    #[test]
    fn every_verb_of_the_grammar_can_be_given_as_fields() {
        for usage in USAGES {
            let all = serde_json::json!({
                "verb": usage.verb, "plan": "p", "reason": "r", "number": 1, "answer": "continue", "note": "n",
                "environment": "e", "role": "x", "item": "i", "done": true, "alert": "a",
            });
            let said: Said = serde_json::from_value(all).unwrap();
            // With every argument at once a verb refuses one of them, but never itself.
            let code = said.verb(Timestamp::UNIX_EPOCH).map_err(|refusal| refusal.code);
            assert_eq!(code, Err(Code::R104), "{}", usage.verb);
        }
    }

    #[test]
    fn a_text_is_no_longer_than_in_chat() {
        let fits = "x".repeat(LONGEST);
        assert!(read(serde_json::json!({ "verb": "note", "note": fits })).is_ok());
        let long = format!("{fits}x");
        for said in [
            serde_json::json!({ "verb": "note", "note": long }),
            serde_json::json!({ "verb": "rollback", "reason": long }),
            serde_json::json!({ "verb": "start", "plan": "p", "inputs": { "version": long } }),
            serde_json::json!({ "verb": "freeze", "environment": long, "reason": "r" }),
        ] {
            assert_eq!(read(said), Err(Code::R104));
        }
    }

    #[test]
    fn a_verb_takes_its_own_arguments_and_no_others() {
        let rollback = Command::Rollback {
            reason: "errors \"quoted\"".to_owned(),
        };
        let said = serde_json::json!({ "verb": "rollback", "reason": "errors \"quoted\"" });
        assert_eq!(read(said), Ok(Verb::Do(rollback)));
        assert_eq!(
            read(serde_json::json!({ "verb": "advance", "reason": "x" })),
            Err(Code::R104)
        );
        assert_eq!(read(serde_json::json!({ "verb": "hold" })), Err(Code::R104));
        assert_eq!(read(serde_json::json!({ "verb": "advnce" })), Err(Code::R101));
        assert_eq!(
            read(serde_json::json!({ "verb": "Promote" })),
            Ok(Verb::Do(Command::Advance))
        );
        assert_eq!(read(serde_json::json!({})), Err(Code::R101));
    }
}
