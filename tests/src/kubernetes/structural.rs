//! The schema of a kind that somebody defined, applied as an API server applies it: defaults are filled in, what it does not know
//! is dropped, and what is out of bounds is refused in the server's own words.
//!
//! Owns the words of a schema that the definitions here use. Refuses a schema with any other, for it would not be kept.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::Value;

/// The words that are kept.
const KNOWN: [&str; 13] = [
    "type",
    "properties",
    "required",
    "items",
    "enum",
    "pattern",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "default",
];
/// Those that change nothing here: the size of a number, the form of a time; rules in CEL are judged by whoever has them.
const SILENT: [&str; 2] = ["format", "x-kubernetes-validations"];

/// Fills in what is left out and drops what is not known. What the API server itself keeps on every object stays.
pub(super) fn fill(schema: &Value, object: &mut Value) {
    let metadata = object["metadata"].clone();
    fill_in(schema, object);
    object["metadata"] = metadata;
}

fn fill_in(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let Some(known) = schema["properties"].as_object() else {
                return;
            };
            // Nothing is as good as left out.
            fields.retain(|name, value| known.contains_key(name) && !value.is_null());
            for (name, of) in known {
                if let (false, Some(default)) = (fields.contains_key(name), of.get("default")) {
                    fields.insert(name.clone(), default.clone());
                }
            }
            for (name, value) in fields {
                fill_in(&known[name], value);
            }
        }
        Value::Array(items) => {
            for item in items {
                fill_in(&schema["items"], item);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Everything that is wrong with a value, each with its place.
pub(super) fn faults(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    judge(schema, value, "", &mut found);
    found
}

fn judge(schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
    let unknown = schema.as_object().into_iter().flat_map(|words| words.keys());
    let unknown: BTreeSet<&str> = unknown
        .map(String::as_str)
        .filter(|word| !KNOWN.contains(word) && !SILENT.contains(word))
        .collect();
    if !unknown.is_empty() {
        found.push(format!("{place}: nobody here keeps {unknown:?}"));
    }
    let kind = schema["type"].as_str().unwrap_or_default();
    let fits = match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        other => {
            found.push(format!("{place}: nobody here knows the type {other:?}"));
            return;
        }
    };
    if !fits {
        found.push(format!(
            "{place}: Invalid value: {}: {place} in body must be of type {kind}: {}",
            quoted(name_of(value)),
            quoted(name_of(value))
        ));
        return;
    }
    let mut wrong = |words: String| {
        found.push(format!(
            "{place}: Invalid value: {value}: {place} in body should {words}"
        ))
    };
    if let Some(text) = value.as_str() {
        judge_text(schema, text, &mut wrong);
    }
    if let Some(number) = value.as_i64() {
        if schema["minimum"].as_i64().is_some_and(|least| number < least) {
            wrong(format!("be greater than or equal to {}", schema["minimum"]));
        }
        if schema["maximum"].as_i64().is_some_and(|most| number > most) {
            wrong(format!("be less than or equal to {}", schema["maximum"]));
        }
    }
    let supported = schema["enum"].as_array();
    if supported.is_some_and(|supported| !supported.contains(value)) {
        found.push(format!(
            "{place}: Unsupported value: {value}: supported values: {}",
            schema["enum"]
        ));
    }
    if let Some(items) = value.as_array() {
        judge_items(schema, items, place, found);
    }
    if let Some(fields) = value.as_object() {
        for needed in schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            if !fields.contains_key(needed) {
                found.push(format!("{}: Required value", below(place, needed)));
            }
        }
        for (name, value) in fields {
            if let Some(of) = schema["properties"].get(name) {
                judge(of, value, &below(place, name), found);
            }
        }
    }
}

fn judge_text(schema: &Value, text: &str, wrong: &mut impl FnMut(String)) {
    let length = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
    if schema["minLength"].as_u64().is_some_and(|least| length < least) {
        wrong(format!("be at least {} chars long", schema["minLength"]));
    }
    if schema["maxLength"].as_u64().is_some_and(|most| length > most) {
        wrong(format!("be at most {} chars long", schema["maxLength"]));
    }
    if let Some(pattern) = schema["pattern"].as_str() {
        match Regex::new(pattern) {
            Ok(expression) if expression.is_match(text) => {}
            Ok(_) => wrong(format!("match '{pattern}'")),
            Err(error) => wrong(format!("match a pattern that is none: {error}")),
        }
    }
}

fn judge_items(schema: &Value, items: &[Value], place: &str, found: &mut Vec<String>) {
    let count = u64::try_from(items.len()).unwrap_or(u64::MAX);
    if schema["maxItems"].as_u64().is_some_and(|most| count > most) {
        found.push(format!(
            "{place}: Too many: {count}: must have at most {} items",
            schema["maxItems"]
        ));
    }
    if schema["minItems"].as_u64().is_some_and(|least| count < least) {
        found.push(format!(
            "{place}: Invalid value: {count}: {place} in body should have at least {} items",
            schema["minItems"]
        ));
    }
    for (index, item) in items.iter().enumerate() {
        judge(&schema["items"], item, &format!("{place}[{index}]"), found);
    }
}

fn below(place: &str, name: &str) -> String {
    if place.is_empty() {
        name.to_owned()
    } else {
        format!("{place}.{name}")
    }
}

fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}
