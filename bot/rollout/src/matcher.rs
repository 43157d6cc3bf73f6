//! Owns label matchers, in Alertmanager's spelling: `severity="critical"`, `service=~"redis|postgres"`.
//! Refuses a matcher that would match by absence: an empty value is an error where it is read.

use std::fmt;
use std::str::FromStr;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use crate::alert::Labels;

/// How the value is compared. Regular expressions are anchored at both ends, as in Prometheus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Matches,
    /// `!~`
    NotMatches,
}

impl Op {
    fn sign(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Matches => "=~",
            Self::NotMatches => "!~",
        }
    }
}

/// One condition on one label.
#[derive(Clone, Debug)]
pub struct Matcher {
    name: String,
    op: Op,
    value: String,
    regex: Option<Regex>,
}

impl Matcher {
    /// `name="value"`.
    pub fn equal(name: &str, value: &str) -> Self {
        Self {
            name: name.to_owned(),
            op: Op::Equal,
            value: value.to_owned(),
            regex: None,
        }
    }

    /// The label it looks at.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it compares.
    pub fn op(&self) -> Op {
        self.op
    }

    /// What it compares with.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether `labels` fulfil it. An absent label is an empty value.
    pub fn matches(&self, labels: &Labels) -> bool {
        let actual = labels.get(&self.name).map_or("", String::as_str);
        let regex_agrees = || self.regex.as_ref().is_some_and(|regex| regex.is_match(actual));
        match self.op {
            Op::Equal => actual == self.value,
            Op::NotEqual => actual != self.value,
            Op::Matches => regex_agrees(),
            Op::NotMatches => !regex_agrees(),
        }
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

impl Eq for Matcher {}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self
            .value
            .replace('\\', r"\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        write!(f, "{}{}\"{value}\"", self.name, self.op.sign())
    }
}

/// Why a text is not a matcher.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAMatcher {
    /// No label name, or no comparison sign after it.
    #[error("a matcher is `name=\"value\"`, with one of `=`, `!=`, `=~`, `!~`")]
    Shape,
    /// The value is empty, so an alert without the label would match.
    #[error("the value of `{0}` is empty: that would match every alert without the label")]
    EmptyValue(String),
    /// A quote is open, or a character follows the closing one.
    #[error("the quotes around the value of `{0}` do not close")]
    Quotes(String),
    /// The regular expression does not compile.
    #[error("the regular expression of `{0}` does not compile: {1}")]
    Regex(String, String),
}

impl FromStr for Matcher {
    type Err = NotAMatcher;

    fn from_str(text: &str) -> Result<Self, NotAMatcher> {
        let text = text.trim();
        let name_end = text
            .bytes()
            .take_while(|b| b.is_ascii_alphanumeric() || *b == b'_')
            .count();
        let (name, rest) = text.split_at(name_end);
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(NotAMatcher::Shape);
        }
        let rest = rest.trim_start();
        // The two-character signs first: `=` is a prefix of `=~`.
        let (op, rest) = [Op::Matches, Op::NotMatches, Op::NotEqual, Op::Equal]
            .into_iter()
            .find_map(|op| rest.strip_prefix(op.sign()).map(|rest| (op, rest)))
            .ok_or(NotAMatcher::Shape)?;
        let value = unquote(rest.trim()).ok_or_else(|| NotAMatcher::Quotes(name.to_owned()))?;
        if value.is_empty() {
            return Err(NotAMatcher::EmptyValue(name.to_owned()));
        }
        let regex = match op {
            Op::Equal | Op::NotEqual => None,
            Op::Matches | Op::NotMatches => Some(anchored(name, &value)?),
        };
        Ok(Self {
            name: name.to_owned(),
            op,
            value,
            regex,
        })
    }
}

/// What a compiled pattern may take, in bytes; hundreds of names fit.
const LARGEST_PATTERN: usize = 1 << 20;

fn anchored(name: &str, value: &str) -> Result<Regex, NotAMatcher> {
    let compiled = |pattern: &str| {
        let regex = RegexBuilder::new(pattern).size_limit(LARGEST_PATTERN).build();
        regex.map_err(|error| {
            let text = error.to_string();
            NotAMatcher::Regex(name.to_owned(), text.lines().last().unwrap_or_default().to_owned())
        })
    };
    // Compiled alone first, so that `)(` cannot escape the anchoring group.
    compiled(value)?;
    compiled(&format!("^(?s:{value})$"))
}

/// Takes off the quotes, if there are any, and resolves `\\`, `\"` and `\n`.
fn unquote(text: &str) -> Option<String> {
    let Some(inner) = text.strip_prefix('"') else {
        return (!text.contains('"')).then(|| text.to_owned());
    };
    let mut value = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    loop {
        match characters.next()? {
            '"' => return characters.next().is_none().then_some(value),
            '\\' => match characters.next()? {
                'n' => value.push('\n'),
                escaped @ ('"' | '\\') => value.push(escaped),
                other => value.extend(['\\', other]),
            },
            other => value.push(other),
        }
    }
}

impl Serialize for Matcher {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Matcher {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Matcher {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Matcher".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[A-Za-z_][A-Za-z0-9_]*\\s*(=~|!~|!=|=)\\s*.+$",
            "description": "A label matcher as Alertmanager writes it, for example severity=\"critical\"."
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn read(text: &str) -> Matcher {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn alertmanagers_spellings_are_read() {
        let cases = [
            (r#"severity="critical""#, "severity", Op::Equal, "critical"),
            ("severity=critical", "severity", Op::Equal, "critical"),
            (r#" severity != "critical" "#, "severity", Op::NotEqual, "critical"),
            (r#"service=~"redis|postgres""#, "service", Op::Matches, "redis|postgres"),
            (
                r#"service!~"redis|postgres""#,
                "service",
                Op::NotMatches,
                "redis|postgres",
            ),
            (r#"path="a=b""#, "path", Op::Equal, "a=b"),
            ("a==", "a", Op::Equal, "="),
            (r#"say="\"hi\"\\\n""#, "say", Op::Equal, "\"hi\"\\\n"),
            (r#"host=~"\d+""#, "host", Op::Matches, r"\d+"),
        ];
        for (text, name, op, value) in cases {
            let matcher = read(text);
            assert_eq!(
                (matcher.name(), matcher.op(), matcher.value()),
                (name, op, value),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_matcher_says_why() {
        let name = || "a".to_owned();
        let cases = [
            ("", NotAMatcher::Shape),
            ("critical", NotAMatcher::Shape),
            (r#"="x""#, NotAMatcher::Shape),
            (r#"1a="x""#, NotAMatcher::Shape),
            (r#"a b="x""#, NotAMatcher::Shape),
            (r#"a="""#, NotAMatcher::EmptyValue(name())),
            ("a=", NotAMatcher::EmptyValue(name())),
            (r#"a="x"#, NotAMatcher::Quotes(name())),
            (r#"a="x" y"#, NotAMatcher::Quotes(name())),
            (r#"a=x""#, NotAMatcher::Quotes(name())),
            (r#"a="x\"#, NotAMatcher::Quotes(name())),
        ];
        for (text, why) in cases {
            assert_eq!(text.parse::<Matcher>(), Err(why), "{text:?}");
        }
        for text in [r#"a=~"(""#, r#"a=~")(""#, r#"a=~"[z-a]""#, r#"a=~"x{9999}{9999}""#] {
            assert!(matches!(text.parse::<Matcher>(), Err(NotAMatcher::Regex(..))), "{text}");
        }
    }

    #[test]
    fn patterns_are_anchored_at_both_ends_in_every_branch() {
        let matcher = read(r#"service=~"redis|post""#);
        assert!(matcher.matches(&labels(&[("service", "redis")])));
        assert!(!matcher.matches(&labels(&[("service", "redis2")])));
        assert!(!matcher.matches(&labels(&[("service", "postgres")])));
        assert!(!matcher.matches(&labels(&[("service", "a\nredis")])));
        assert!(read(r#"text=~"a.b""#).matches(&labels(&[("text", "a\nb")])));
    }

    #[test]
    fn a_pattern_may_list_hundreds_of_names_and_no_more_than_fits() {
        let names: Vec<String> = (0..500).map(|number| format!("service-{number}")).collect();
        let matcher = read(&format!("service=~\"{}\"", names.join("|")));
        assert!(matcher.matches(&labels(&[("service", "service-499")])));
        assert!(!matcher.matches(&labels(&[("service", "service-500")])));
        assert!(matches!(
            r#"a=~"(x{1000}){1000}""#.parse::<Matcher>(),
            Err(NotAMatcher::Regex(..))
        ));
    }

    #[test]
    fn an_absent_label_is_an_empty_value() {
        assert!(read(r#"a!="x""#).matches(&labels(&[])));
        assert!(read(r#"a!~"x""#).matches(&labels(&[])));
        assert!(read(r#"a=~"x?""#).matches(&labels(&[])));
        assert!(!read(r#"a="x""#).matches(&labels(&[])));
    }

    /// Whether `value` is one of the alternatives, without any regular expression.
    fn oracle(op: Op, alternatives: &[String], value: &str) -> bool {
        let listed = alternatives.iter().any(|one| one == value);
        match op {
            Op::Equal | Op::Matches => listed,
            Op::NotEqual | Op::NotMatches => !listed,
        }
    }

    fn ops() -> impl Strategy<Value = Op> {
        prop::sample::select(vec![Op::Equal, Op::NotEqual, Op::Matches, Op::NotMatches])
    }

    proptest! {
        #[test]
        fn matching_agrees_with_comparing_by_hand(
            op in ops(),
            alternatives in prop::collection::vec("[ab.|\\\\\"\n]{1,3}", 1..4),
            value in prop::option::of("[ab.|\\\\\"\n]{0,3}"),
        ) {
            let is_pattern = matches!(op, Op::Matches | Op::NotMatches);
            let alternatives = if is_pattern { alternatives } else { alternatives[..1].to_vec() };
            let written = if is_pattern {
                alternatives.iter().map(|one| regex::escape(one)).collect::<Vec<_>>().join("|")
            } else {
                alternatives[0].clone()
            };
            let quoted = written.replace('\\', r"\\").replace('"', "\\\"").replace('\n', "\\n");
            let matcher: Matcher = format!("l{}\"{quoted}\"", op.sign()).parse().expect("a matcher");
            let labels: Labels = value.iter().map(|value| ("l".to_owned(), value.clone())).collect();
            let actual = value.as_deref().unwrap_or_default();
            prop_assert_eq!(matcher.matches(&labels), oracle(op, &alternatives, actual), "{} on {:?}", matcher, value);
        }

        #[test]
        fn a_matcher_is_read_back_as_it_was_written(name in "[a-zA-Z_][a-zA-Z0-9_]{0,8}", op in ops(), value in "\\PC{1,12}|[\\\\\"\n a]{1,6}") {
            let value = if matches!(op, Op::Matches | Op::NotMatches) { regex::escape(&value) } else { value };
            let quoted = value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', "\\n");
            let matcher: Matcher = format!("{name}{}\"{quoted}\"", op.sign()).parse().expect("a matcher");
            prop_assert_eq!(matcher.value(), &value);
            prop_assert_eq!(matcher.to_string().parse(), Ok(matcher));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,30}|[a-z=!~\"\\\\()|*+]{0,20}") {
            if let Ok(matcher) = text.parse::<Matcher>() {
                prop_assert_eq!(matcher.to_string().parse(), Ok(matcher));
            }
        }
    }
}
