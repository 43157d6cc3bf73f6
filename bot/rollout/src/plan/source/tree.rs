//! Owns the text as a tree in which every key and value knows its place, whatever the plan's types say.
//! Refuses what a plan never needs: more than a quarter of a megabyte, deep nesting, alias bombs, two documents, one key twice.

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::{DuplicateKeyPolicy, Error, Location, MessageFormatter, Options, Spanned, UserMessageFormatter};

use crate::plan::place::Place;

/// The largest text that is read, in bytes.
pub const MAX_BYTES: usize = 256 << 10;
const MAX_DEPTH: usize = 32;

/// A value of the text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) place: Place,
}

/// What kinds of values YAML knows.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_place: Place,
    pub(super) node: Node,
}

impl Value {
    /// What it is called in a message.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

impl Entry {
    /// Where to point for its value: at the value where it is a word, else at the key.
    pub(super) fn place(&self) -> Place {
        match self.node.value {
            Value::Null | Value::List(_) | Value::Map(_) => self.key_place,
            Value::Bool(_) | Value::Number(_) | Value::Text(_) => self.node.place,
        }
    }
}

/// A text that is no YAML, or more than we read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unreadable {
    pub(super) message: String,
    pub(super) help: Option<&'static str>,
    pub(super) place: Option<Place>,
}

impl Node {
    /// Reads one YAML document.
    pub(super) fn read(text: &str) -> Result<Self, Unreadable> {
        if text.len() > MAX_BYTES {
            return Err(Unreadable {
                message: format!("the text has {} bytes, and at most {MAX_BYTES} are read", text.len()),
                help: None,
                place: None,
            });
        }
        serde_saphyr::from_str_with_options::<Spanned<Value>>(text, options())
            .map(Self::from)
            .map_err(|error| Unreadable::new(&error, text))
    }

    /// What stands under `key`, if this is a map.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::List(_) => None,
        }
    }
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 100_000,
            max_nodes: 20_000,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_documents: 1,
            max_total_scalar_bytes: MAX_BYTES,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 20_000,
            max_replay_stack_depth: 16,
            max_alias_expansions_per_anchor: 1_000,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        strict_booleans: true,
        with_snippet: false,
    }
}

impl Unreadable {
    fn new(error: &Error, text: &str) -> Self {
        let error = error.without_snippet();
        let help = match error {
            Error::Budget {
                breach: BudgetBreach::Documents { .. },
                ..
            }
            | Error::MultipleDocuments { .. } => {
                Some("a file carries one document: take out the `---` and what follows it")
            }
            Error::DuplicateMappingKey { .. } => Some("keep one of the two"),
            _ => None,
        };
        let message = UserMessageFormatter.format_message(error);
        // The library's words may quote the text, and a control character must not reach a terminal.
        let message = message.replace(char::is_control, "\u{fffd}").replace("\\'", "'");
        Self {
            message: format!("this is not YAML that a plan can be read from: {message}"),
            help,
            place: error.location().and_then(place).map(|place| with_offset(place, text)),
        }
    }
}

fn place(location: Location) -> Option<Place> {
    (location != Location::UNKNOWN).then(|| Place {
        offset: small(location.span().byte_offset().unwrap_or(u64::MAX)),
        length: small(location.span().byte_len().unwrap_or_default()),
        line: small(location.line()),
        column: small(location.column()),
    })
}

fn small(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The scanner knows only line and column.
fn with_offset(place: Place, text: &str) -> Place {
    if place.offset <= text.len() {
        return place;
    }
    let lines_before = text.split_inclusive('\n').take(place.line.saturating_sub(1));
    let line_start: usize = lines_before.map(str::len).sum();
    let line = text[line_start..].lines().next().unwrap_or_default();
    let (in_line, length) = line
        .char_indices()
        .nth(place.column.saturating_sub(1))
        .map_or((line.len(), 0), |(at, character)| (at, character.len_utf8()));
    Place {
        offset: line_start + in_line,
        length,
        ..place
    }
}

const START: Place = Place {
    offset: 0,
    length: 0,
    line: 1,
    column: 1,
};

impl From<Spanned<Value>> for Node {
    fn from(spanned: Spanned<Value>) -> Self {
        Self {
            place: place(spanned.referenced).unwrap_or(START),
            value: spanned.value,
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("this number is infinite, or none"))?;
        Ok(Value::Number(number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<Spanned<Value>>()? {
            items.push(item.into());
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries: Vec<Entry> = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let node = map.next_value::<Spanned<Value>>()?.into();
            let key_place = place(key.referenced).unwrap_or(START);
            entries.push(Entry {
                key: key.value,
                key_place,
                node,
            });
        }
        Ok(Value::Map(entries))
    }
}
