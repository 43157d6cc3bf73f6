//! Owns comparing a tree with a JSON Schema: unknown keys, missing keys, wrong kinds of values, all of them in one walk.
//! Refuses a table of its own: what is known, needed and possible is read from the schema, which is made from the types.

mod refusal;
mod word;

use serde_json::{Map, Value as Json};

use super::tree::{Entry, Node, Value};
use crate::plan::diagnostic::Finding;
use crate::plan::place::{Path, Place, Places};

/// What a walk found out.
pub(super) struct Checked {
    /// The text as JSON, without the keys that nobody knows.
    pub(super) value: Json,
    /// Where everything is.
    pub(super) places: Places,
    /// What is wrong.
    pub(super) findings: Vec<Finding>,
}

/// Compares `node`, read from `text`, with `schema`.
pub(super) fn check<'a>(text: &'a str, node: &'a Node, schema: &'a Json) -> Checked {
    let mut walk = Walk {
        text,
        top: node,
        root: schema,
        places: Places::default(),
        findings: Vec::new(),
    };
    let here = Spot {
        path: Path::root(),
        place: node.place,
    };
    walk.places.insert(&here.path, here.place);
    let value = walk.value(node, schema, &here);
    Checked {
        value,
        places: walk.places,
        findings: walk.findings,
    }
}

/// Where the walk stands.
struct Spot {
    path: Path,
    /// Where to point for a finding about the value here.
    place: Place,
}

struct Walk<'a> {
    text: &'a str,
    /// The whole document.
    top: &'a Node,
    root: &'a Json,
    places: Places,
    findings: Vec<Finding>,
}

impl<'a> Walk<'a> {
    /// Checks one value and gives it back as JSON; what is wrong becomes a finding and `null`.
    fn value(&mut self, node: &Node, schema: &'a Json, here: &Spot) -> Json {
        if let Some(name) = definition(schema) {
            return match word::Kind::of(name) {
                Some(kind) => self.word(node, kind, here),
                None => self.value(node, &self.root["$defs"][name], here),
            };
        }
        if let Some(choices) = schema["oneOf"].as_array() {
            return self.choice(node, choices, here);
        }
        let kinds = kinds(schema);
        match &node.value {
            Value::Map(entries) if kinds.contains(&"object") => self.map(entries, schema, here),
            Value::List(items) if kinds.contains(&"array") => self.list(items, schema, here),
            Value::Text(text) if kinds.contains(&"string") => self.text(text, schema, here),
            Value::Bool(value) if kinds.contains(&"boolean") => (*value).into(),
            Value::Number(number) if kinds.contains(&"integer") => self.count(number, schema, here),
            Value::Null if kinds.contains(&"null") => Json::Null,
            _ => self.wrong_kind(node, kinds.first().copied().unwrap_or_default(), here),
        }
    }

    /// A map with known keys, or one with free keys and values of one kind.
    fn map(&mut self, entries: &[Entry], schema: &'a Json, here: &Spot) -> Json {
        let known = schema["properties"].as_object();
        let free = schema["additionalProperties"].is_object();
        let mut result = Map::new();
        for entry in entries {
            let of_key = known.and_then(|known| known.get(&entry.key));
            let of_key = of_key.or(if free {
                Some(&schema["additionalProperties"])
            } else {
                None
            });
            if let Some(schema) = of_key {
                let value = self.entry(entry, &entry.key, schema, here);
                result.insert(entry.key.clone(), value);
            } else if let Some((meant, schema)) = self.unknown_key(entry, known, entries, here) {
                // Reading on under the key that was meant finds what is wrong below it, and what is not missing after all.
                let value = self.entry(entry, meant, schema, here);
                result.insert(meant.to_owned(), value);
            }
        }
        let needed = schema["required"].as_array().into_iter().flatten();
        for key in needed.filter_map(Json::as_str) {
            if !result.contains_key(key) {
                self.missing_key(key, known, here);
            }
        }
        Json::Object(result)
    }

    /// The value of `entry`, which is read as `key`.
    fn entry(&mut self, entry: &Entry, key: &str, schema: &'a Json, here: &Spot) -> Json {
        let there = Spot {
            path: here.path.key(key),
            place: entry.place(),
        };
        self.places.insert(&there.path, there.place);
        self.value(&entry.node, schema, &there)
    }

    fn list(&mut self, items: &[Node], schema: &'a Json, here: &Spot) -> Json {
        let least = schema["minItems"].as_u64().unwrap_or_default();
        if (items.len() as u64) < least {
            self.empty(here);
        }
        let mut values = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let there = Spot {
                path: here.path.index(index),
                place: item.place,
            };
            self.places.insert(&there.path, there.place);
            values.push(self.value(item, &schema["items"], &there));
        }
        Json::Array(values)
    }

    /// One of several words, or a map with exactly one of several keys.
    fn choice(&mut self, node: &Node, choices: &'a [Json], here: &Spot) -> Json {
        let choices = Choices::of(choices);
        match &node.value {
            Value::Text(text) if choices.words.contains(&text.as_str()) => text.as_str().into(),
            Value::Map(entries) => self.chosen_map(entries, &choices, here),
            Value::Text(text) => self.no_such_choice(text, &choices, here),
            Value::Null => self.wrong_kind(node, "", here),
            Value::Bool(_) | Value::Number(_) => {
                let written = self.written(node.place);
                self.no_such_choice(written, &choices, here)
            }
            Value::List(_) => self.no_such_choice(node.value.kind(), &choices, here),
        }
    }

    /// The map of a choice: one key that is possible. Others beside it are unknown keys.
    fn chosen_map(&mut self, entries: &[Entry], choices: &Choices<'a>, here: &Spot) -> Json {
        let known = |entry: &Entry| choices.maps.iter().find(|(key, _)| *key == entry.key);
        let Some((chosen, (key, schema))) = entries.iter().find_map(|entry| Some((entry, *known(entry)?))) else {
            let Some(first) = entries.first() else {
                self.empty(here);
                return Json::Null;
            };
            let at_key = Spot {
                path: here.path.clone(),
                place: first.key_place,
            };
            return self.no_such_choice(&first.key, choices, &at_key);
        };
        for other in entries.iter().filter(|entry| entry.key != chosen.key) {
            self.unknown_key(other, None, entries, here);
        }
        let value = self.entry(chosen, key, schema, here);
        Json::Object(Map::from_iter([(key.to_owned(), value)]))
    }
}

/// What a value may be that is one of several.
struct Choices<'a> {
    /// Plain words.
    words: Vec<&'a str>,
    /// Keys of a map with one entry, and what stands under each.
    maps: Vec<(&'a str, &'a Json)>,
}

impl<'a> Choices<'a> {
    fn of(choices: &'a [Json]) -> Self {
        let first = |choice: &'a Json| choice["properties"].as_object().and_then(|keys| keys.iter().next());
        Self {
            words: choices.iter().filter_map(|choice| choice["const"].as_str()).collect(),
            maps: choices
                .iter()
                .filter_map(first)
                .map(|(key, schema)| (key.as_str(), schema))
                .collect(),
        }
    }
}

/// The name of the definition that `schema` refers to.
fn definition(schema: &Json) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix("#/$defs/")
}

fn kinds(schema: &Json) -> Vec<&str> {
    match &schema["type"] {
        Json::Array(several) => several.iter().filter_map(Json::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    }
}
