//! Owns the words that have a grammar of their own: weights, lengths of time, matchers, and names with a pattern.
//! Refuses to repeat those grammars: each type reads itself, here is only said what went wrong and what was probably meant.

use regex::Regex;
use serde_json::{Number, Value as Json};

use super::{Spot, Walk};
use crate::matcher::Matcher;
use crate::period::Period;
use crate::plan::TimeOfDay;
use crate::plan::codes::Code;
use crate::plan::diagnostic::Finding;
use crate::plan::source::tree::{Node, Value};
use crate::weight::{NotAWeight, Weight};

/// A type that is written as one word.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Weight,
    Period,
    Matcher,
    TimeOfDay,
}

impl Kind {
    /// The kind that the schema knows as `definition`.
    pub(super) fn of(definition: &str) -> Option<Self> {
        match definition {
            "Weight" => Some(Self::Weight),
            "Period" => Some(Self::Period),
            "Matcher" => Some(Self::Matcher),
            "TimeOfDay" => Some(Self::TimeOfDay),
            _ => None,
        }
    }
}

impl Walk<'_> {
    /// A word of `kind`. A number is read as it is written, so that `25` is told that its unit is missing.
    pub(super) fn word(&mut self, node: &Node, kind: Kind, here: &Spot) -> Json {
        let text = match (&node.value, kind) {
            (Value::Text(text), _) => text.as_str(),
            (Value::Number(_) | Value::Bool(_), _) => self.written(node.place),
            (Value::Map(_), Kind::Matcher) => {
                let help = "write it as one text: `'severity=\"critical\"'`";
                self.report(
                    Finding::new(Code::P109, here.path.clone(), "a matcher is one text, not a map").help(help),
                    here,
                );
                return Json::Null;
            }
            (Value::Null | Value::List(_) | Value::Map(_), _) => return self.wrong_kind(node, "string", here),
        };
        let refusal = match kind {
            Kind::Weight => text.parse::<Weight>().err().map(|why| not_a_weight(text, why, here)),
            Kind::Period => text.parse::<Period>().err().map(|_| not_a_period(text, here)),
            Kind::TimeOfDay => text.parse::<TimeOfDay>().err().map(|_| {
                let text = super::refusal::short(text);
                Finding::new(Code::P110, here.path.clone(), format!("`{text}` is not a time of day"))
                    .help("write hours and minutes, each with two digits: `\"09:30\"`")
            }),
            Kind::Matcher => text.parse::<Matcher>().err().map(|why| {
                Finding::new(Code::P109, here.path.clone(), why.to_string())
                    .help("write `name=\"value\"`, for example `'severity=\"critical\"'`")
            }),
        };
        match refusal {
            None => text.into(),
            Some(finding) => {
                self.report(finding, here);
                Json::Null
            }
        }
    }

    /// A whole number, within the bounds that the schema may set.
    pub(super) fn count(&mut self, number: &Number, schema: &Json, here: &Spot) -> Json {
        let (least, most) = (
            schema["minimum"].as_u64().unwrap_or(0),
            schema["maximum"].as_u64().unwrap_or(u64::MAX),
        );
        if let Some(count) = number.as_u64().filter(|count| (least..=most).contains(count)) {
            return count.into();
        }
        let name = here.path.name();
        let message = format!("`{name}` is {number}, but a whole number from {least} to {most} is needed");
        self.report(Finding::new(Code::P104, here.path.clone(), message), here);
        Json::Null
    }

    /// Text, with the pattern that the schema may ask for.
    pub(super) fn text(&mut self, text: &str, schema: &Json, here: &Spot) -> Json {
        let pattern = schema["pattern"].as_str().and_then(|pattern| Regex::new(pattern).ok());
        if pattern.is_some_and(|pattern| !pattern.is_match(text)) {
            let message = format!("`{}` is not a usable name", super::refusal::short(text));
            let help = "use at most 40 lower-case letters, digits and `-`, beginning and ending with a letter or digit";
            self.report(Finding::new(Code::P107, here.path.clone(), message).help(help), here);
        }
        text.into()
    }
}

fn not_a_weight(text: &str, why: NotAWeight, here: &Spot) -> Finding {
    let text = super::refusal::short(text);
    let finding = Finding::new(
        Code::P120,
        here.path.clone(),
        format!("`{text}` is not a weight: {why}"),
    );
    let number: Option<f64> = text.parse().ok();
    match (why, number) {
        (NotAWeight::NoUnit, Some(number)) if number > 0.0 && number <= 1.0 => {
            let percent = number * 100.0;
            finding.help(format!(
                "write `{percent}%` if it is a ratio, or `{number}%` if it is a percentage"
            ))
        }
        (NotAWeight::NoUnit, Some(number)) => finding.help(format!("write `{number}%`")),
        _ => finding.help("write a percentage from `0%` to `100%`, such as `25%` or `0.5%`"),
    }
}

fn not_a_period(text: &str, here: &Spot) -> Finding {
    let text = super::refusal::short(text);
    let finding = Finding::new(
        Code::P108,
        here.path.clone(),
        format!("`{text}` is not a length of time"),
    );
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return finding.help(format!("write the unit: `{text}s`, `{text}m` or `{text}h`"));
    }
    finding.help("write `90s`, `30m`, `6h`, `2d` or `1h30m`")
}
