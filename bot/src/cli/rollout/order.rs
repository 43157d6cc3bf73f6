//! Owns what the words of a command line mean: which rollout, which argument, in the form of fields, so that no word is read
//! a second time on its way.
//! Refuses to guess between a name and a reason: what might be a misspelt name is given back.

use std::collections::BTreeMap;

use tidegate_rollout::command::{Answer, Usage, grammar};
use tidegate_rollout::{Code, Period, Refusal, Surface};

use super::super::{Exit, Failure};
use crate::http::api::Said;

/// A verb with the words behind it, as the shell gave them.
#[derive(Clone, Debug)]
pub(super) struct Order {
    /// The verb.
    pub(super) usage: &'static Usage,
    /// What stands behind it.
    pub(super) words: Vec<String>,
    /// The rollout of `--rollout`.
    pub(super) rollout: Option<String>,
    /// The length of time of `--for`.
    pub(super) period: Option<Period>,
}

impl Order {
    /// Whether it only asks.
    pub(super) fn only_asks(&self) -> bool {
        ["status", "list", "history", "whoami"].contains(&self.usage.verb)
    }

    /// Whether it concerns one rollout.
    pub(super) fn is_about_one(&self) -> bool {
        self.usage.arguments.starts_with("[rollout]")
    }

    /// The first word, where only the server can tell whether it names a rollout or begins a text.
    pub(super) fn doubtful(&self) -> Option<&str> {
        let has_text = self.is_about_one() && self.usage.arguments.contains('"');
        let first = self.words.first().filter(|_| has_text && self.rollout.is_none())?;
        let is_name = !first.is_empty() && !first.contains(|c: char| c.is_whitespace() || c == ':');
        is_name.then_some(first)
    }

    /// The order as fields; `named` says whether a doubtful first word names the rollout.
    pub(super) fn said(mut self, named: bool) -> Result<Said, Failure> {
        let mut said = Said {
            verb: Some(self.usage.verb.to_owned()),
            surface: Some(Surface::Cli),
            rollout: self.named(),
            period: self.period()?,
            ..Said::default()
        };
        match self.usage.verb {
            "start" => {
                said.plan = Some(self.take("the plan's name")?);
                said.inputs = self.inputs()?;
            }
            "freeze" => {
                said.environment = Some(self.take("the environment")?);
                said.reason = Some(self.text().ok_or_else(|| self.lacks("a reason"))?);
            }
            "thaw" => said.environment = Some(self.take("the environment")?),
            "release" => {
                let lacks = || self.lacks("the number of the hold");
                let number = self.words.last().and_then(|word| number(word)).ok_or_else(lacks)?;
                self.words.pop();
                said.number = Some(number);
            }
            "decide" => {
                let at = self.words.iter().position(|word| answer(word).is_some());
                let at = at.ok_or_else(|| self.lacks("`continue` or `rollback`"))?;
                let behind = self.words.split_off(at);
                said.answer = behind.first().and_then(|word| answer(word));
                said.number = behind.get(1).and_then(|word| number(word));
                if let Some(word) = behind.get(1 + usize::from(said.number.is_some())) {
                    return Err(self.unknown(word));
                }
            }
            "check" => {
                let at = self.words.iter().position(|word| tick(word).is_some());
                let at = at.ok_or_else(|| self.lacks("`done` or `undo`"))?;
                let mut behind = self.words.split_off(at);
                said.done = tick(&behind.remove(0));
                if behind.is_empty() {
                    return Err(self.lacks("the item"));
                }
                said.item = Some(behind.remove(0));
                said.note = Some(behind.join(" ")).filter(|text| !text.is_empty());
            }
            "ack" => {
                said.alert = self.option("alert");
                if let Some(at) = self.words.iter().position(|word| number(word).is_some()) {
                    said.number = number(&self.words.remove(at));
                }
            }
            "pause" | "rollback" | "abort" | "hold" | "note" | "approve" => {
                said.role = self.option("role").filter(|_| self.usage.verb == "approve");
                if named && said.rollout.is_none() {
                    said.rollout = Some(self.words.remove(0));
                }
                let text = self.text();
                match self.usage.verb {
                    "approve" => said.note = text,
                    "note" => said.note = Some(text.ok_or_else(|| self.lacks("the text"))?),
                    "hold" => said.reason = Some(text.ok_or_else(|| self.lacks("a reason"))?),
                    _ => said.reason = text,
                }
            }
            _ => {}
        }
        if self.is_about_one() && said.rollout.is_none() && !self.words.is_empty() {
            said.rollout = Some(self.words.remove(0));
        }
        match self.words.first() {
            None => Ok(said),
            Some(word) => Err(self.unknown(word)),
        }
    }

    fn unknown(&self, word: &str) -> Failure {
        self.wrong(&grammar::left_over(self.usage, word))
    }

    /// `--rollout checkout-17`, or `rollout:checkout-17` as in chat.
    fn named(&mut self) -> Option<String> {
        let first = self.words.first().filter(|_| self.is_about_one());
        let in_words = first.and_then(|word| word.strip_prefix("rollout:")).map(str::to_owned);
        if in_words.is_some() && self.rollout.is_none() {
            self.words.remove(0);
            return in_words;
        }
        self.rollout.take()
    }

    /// `role:ops-lead`, as in chat.
    fn option(&mut self, name: &str) -> Option<String> {
        let takes_it = self.usage.arguments.contains(&format!("[{name}:"));
        let is_it = |word: &&String| {
            word.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(':') && rest.len() > 1)
        };
        let at = self.words.iter().position(|word| takes_it && is_it(&word))?;
        let word = self.words.remove(at);
        Some(word[name.len() + 1..].to_owned())
    }

    fn take(&mut self, what: &str) -> Result<String, Failure> {
        match self.words.is_empty() {
            true => Err(self.lacks(what)),
            false => Ok(self.words.remove(0)),
        }
    }

    /// The rest as one text.
    fn text(&mut self) -> Option<String> {
        let text = self.words.drain(..).collect::<Vec<_>>().join(" ");
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// `version:2.3.0`, as in chat.
    fn inputs(&mut self) -> Result<BTreeMap<String, String>, Failure> {
        let words = std::mem::take(&mut self.words);
        let pair = |word: &String| match word.split_once(':') {
            Some((key, value)) if !key.is_empty() && !value.is_empty() => Ok((key.to_owned(), value.to_owned())),
            _ => Err(self.unknown(word)),
        };
        words.iter().map(pair).collect()
    }

    /// `--for 4h`, or `for:4h` as in chat.
    fn period(&mut self) -> Result<Option<Period>, Failure> {
        let takes_one = self.usage.arguments.contains("[for:");
        let at = self.words.iter().position(|word| takes_one && word.starts_with("for:"));
        let Some(word) = at.map(|at| self.words.remove(at)) else {
            return Ok(self.period.take());
        };
        let period = word["for:".len()..].parse();
        period.map(Some).map_err(|error: tidegate_rollout::period::NotAPeriod| {
            self.wrong(&Refusal::new(Code::R104, format!("{error}."), ""))
        })
    }

    fn lacks(&self, what: &str) -> Failure {
        self.wrong(&grammar::lacks(self.usage, what))
    }

    /// Wrong usage, with the code and the words that the server has for it; nothing was asked of it.
    fn wrong(&self, refusal: &Refusal) -> Failure {
        let Usage { verb, arguments, .. } = self.usage;
        Failure::new(Exit::Usage, refusal.message.as_str())
            .code(refusal.code.word())
            .hint(format!("Say: tidegate rollout {verb} {arguments}. Nothing was done."))
    }

    /// What is said when a word may be a misspelt name.
    pub(super) fn misspelt(&self, word: &str, name: &str) -> Failure {
        let Refusal { message, hint, .. } = grammar::misspelt(word, name);
        let verb = self.usage.verb;
        Failure::new(Exit::Usage, message).code(Code::R103.word()).hint(format!(
            "{hint} Where it is a reason: tidegate rollout {verb} --rollout {name} \"{word}\"."
        ))
    }
}

fn number(word: &str) -> Option<u32> {
    word.trim_start_matches('#').parse().ok()
}

fn tick(word: &str) -> Option<bool> {
    match word.to_lowercase().as_str() {
        "done" => Some(true),
        "undo" => Some(false),
        _ => None,
    }
}

fn answer(word: &str) -> Option<Answer> {
    match word.to_lowercase().as_str() {
        "continue" | "go" => Some(Answer::Continue),
        "rollback" | "no-go" => Some(Answer::Rollback),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use tidegate_rollout::command::USAGES;

    use super::*;
    use crate::chat::names::Names;

    fn order(line: &[&str]) -> Order {
        let usage = USAGES.iter().find(|usage| usage.verb == line[0]).expect("a verb");
        Order {
            usage,
            words: line[1..].iter().map(|word| (*word).to_owned()).collect(),
            rollout: None,
            period: None,
        }
    }

    fn names() -> Names {
        Names {
            rollouts: ["checkout-17", "ledger-2"].map(str::to_owned).to_vec(),
            plans: ["checkout", "payments"].map(str::to_owned).to_vec(),
        }
    }

    /// The fields of a line that are not empty.
    fn fields(line: &[&str]) -> Result<serde_json::Value, String> {
        let order = order(line);
        let named = match order.doubtful() {
            None => false,
            Some(word) => names().mean(word).map_err(|name| format!("did you mean {name}"))?,
        };
        let said = order.said(named).map_err(|failure| failure.message)?;
        let mut fields = serde_json::to_value(said).expect("fields");
        let table = fields.as_object_mut().expect("a table");
        table.retain(|key, value| !value.is_null() && value != &serde_json::json!({}) && key != "surface");
        Ok(fields)
    }

    macro_rules! said {
        ($line:expr, $($fields:tt)+) => { assert_eq!(fields(&$line), Ok(serde_json::json!($($fields)+))) };
    }

    #[test]
    fn a_reason_that_looks_like_an_id_is_a_reason() {
        said!(["rollback", "INC-4821"], { "verb": "rollback", "reason": "INC-4821" });
        said!(["rollback", "INC-4821", "errors"], { "verb": "rollback", "reason": "INC-4821 errors" });
        said!(["hold", "JIRA-1", "for:4h"], { "verb": "hold", "reason": "JIRA-1", "for": "4h" });
    }

    #[test]
    fn a_rollout_is_found_by_its_id_or_its_plan_and_the_rest_is_text_as_it_is() {
        said!(["rollback"], { "verb": "rollback" });
        said!(["rollback", "rollout:ledger", "errors"], { "verb": "rollback", "rollout": "ledger", "reason": "errors" });
        said!(["rollback", "checkout-17"], { "verb": "rollback", "rollout": "checkout-17" });
        said!(["rollback", "payments", "too \"many\""],
            { "verb": "rollback", "rollout": "payments", "reason": "too \"many\"" });
        said!(["approve", "checkout-17", "role:oncall", "cache", "warm"],
            { "verb": "approve", "rollout": "checkout-17", "role": "oncall", "note": "cache warm" });
        said!(["check", "checkout-17", "done", "sessions", "see", "graph"],
            { "verb": "check", "rollout": "checkout-17", "done": true, "item": "sessions", "note": "see graph" });
        said!(["check", "undo", "sessions"], { "verb": "check", "done": false, "item": "sessions" });
        said!(["ack", "checkout-17", "3"], { "verb": "ack", "rollout": "checkout-17", "number": 3 });
        said!(["ack", "alert:Errors"], { "verb": "ack", "alert": "Errors" });
        said!(["note", "ledger", "for:", "the", "record"],
            { "verb": "note", "rollout": "ledger", "note": "for: the record" });
        said!(["pause", "checkout is slow"], { "verb": "pause", "reason": "checkout is slow" });
        // A number that is not there is refused by the server, rather than taken for a reason.
        said!(["abort", "checkout-99"], { "verb": "abort", "rollout": "checkout-99" });
    }

    #[test]
    fn a_misspelt_name_is_no_reason() {
        assert_eq!(
            fields(&["rollback", "chekcout"]),
            Err("did you mean checkout".to_owned())
        );
        assert_eq!(
            fields(&["rollback", "ledgre-2", "errors"]),
            Err("did you mean ledger-2".to_owned())
        );
    }

    #[test]
    fn every_verb_reads_its_own_arguments() {
        said!(["start", "checkout", "version:2.3.0", "note:a: b"],
            { "verb": "start", "plan": "checkout", "inputs": { "version": "2.3.0", "note": "a: b" } });
        said!(["status"], { "verb": "status" });
        said!(["history", "checkout-17"], { "verb": "history", "rollout": "checkout-17" });
        said!(["release", "#3"], { "verb": "release", "number": 3 });
        said!(["release", "checkout", "3"], { "verb": "release", "rollout": "checkout", "number": 3 });
        said!(["decide", "go"], { "verb": "decide", "answer": "continue" });
        said!(["decide", "checkout", "rollback", "2"],
            { "verb": "decide", "rollout": "checkout", "answer": "rollback", "number": 2 });
        said!(["freeze", "production", "a", "storm"],
            { "verb": "freeze", "environment": "production", "reason": "a storm" });
        said!(["thaw", "production"], { "verb": "thaw", "environment": "production" });
    }

    #[test]
    fn what_is_missing_or_too_much_is_said() {
        for line in [
            &["start"][..],
            &["start", "checkout", "2.3.0"],
            &["start", "checkout", "version:"],
            &["advance", "checkout", "now"],
            &["release", "checkout"],
            &["decide", "perhaps"],
            &["decide", "checkout", "now", "rollback"],
            &["decide", "rollback", "2", "3"],
            &["hold", "checkout-17"],
            &["hold", "slow", "for:ever"],
            &["note"],
            &["check", "checkout-17"],
            &["check", "done"],
            &["freeze", "production"],
        ] {
            let refused = fields(line);
            assert!(refused.is_err(), "{line:?}: {refused:?}");
        }
    }
}
