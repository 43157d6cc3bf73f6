//! Owns the tables of `docs/plan.md`: every key with what it takes, and every code with its remedy, as Markdown.
//! Refuses to be written by hand: the keys come from the schema, the codes from their list, and a test compares.

use serde_json::Value as Json;

use super::codes::CODES;
use super::schema::schema;

/// Types that are one word; each has a section of its own in the prose.
const WORDS: [(&str, &str); 5] = [
    ("Weight", "weight"),
    ("Period", "length of time"),
    ("Matcher", "matcher"),
    ("TimeOfDay", "time of day"),
    ("PersonId", "person"),
];

/// A table of keys for every map of a plan, from the top down.
pub fn keys() -> String {
    let mut text = String::new();
    let mut todo: Vec<(String, &Json)> = vec![(String::new(), schema())];
    let mut done: Vec<&str> = Vec::new();
    while !todo.is_empty() {
        let (path, schema) = todo.remove(0);
        let title = if path.is_empty() {
            "The file".to_owned()
        } else {
            format!("`{path}`")
        };
        let about = schema["description"].as_str().unwrap_or_default();
        text.push_str(&format!(
            "### {title}\n\n{about}\n\n| key | takes | if left out | |\n|---|---|---|---|\n"
        ));
        for (key, required, value) in properties(schema) {
            let left_out = left_out(required, value);
            text.push_str(&format!(
                "| `{key}` | {} | {left_out} | {} |\n",
                takes(value),
                cell(&meaning(value))
            ));
            for (below, name) in maps_below(value, &join(&path, key)) {
                if !done.contains(&name) {
                    done.push(name);
                    todo.push((below, definition(name)));
                }
            }
        }
        text.push('\n');
    }
    text.trim_end().to_owned()
}

/// A table of every code.
pub fn codes() -> String {
    let mut text = "| code | level | | why | what to do |\n|---|---|---|---|---|\n".to_owned();
    for doc in CODES {
        let (code, level) = (doc.code, doc.level.word());
        let row = [doc.title, doc.why, doc.fix].map(cell).join(" | ");
        text.push_str(&format!("| `{code}` | {level} | {row} |\n"));
    }
    text.trim_end().to_owned()
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

fn definition(name: &str) -> &'static Json {
    &schema()["$defs"][name]
}

fn name_of(schema: &Json) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix("#/$defs/")
}

/// The keys of a map, the required ones first.
fn properties(schema: &Json) -> Vec<(&String, bool, &Json)> {
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
        .collect();
    let all = schema["properties"].as_object().into_iter().flatten();
    let mut keys: Vec<_> = all
        .map(|(key, value)| (key, required.contains(&key.as_str()), value))
        .collect();
    keys.sort_by_key(|(key, required, _)| (!required, *key));
    keys
}

/// What a key takes, in words.
fn takes(schema: &Json) -> String {
    if let Some(name) = name_of(schema) {
        if let Some((_, word)) = WORDS.iter().find(|(definition, _)| *definition == name) {
            return (*word).to_owned();
        }
        return takes(definition(name));
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let words = choices.iter().map(|choice| match choice["const"].as_str() {
            Some(word) => format!("`{word}`"),
            None => choice["properties"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(key, value)| format!("`{key}:` {}", takes(value)))
                .collect(),
        });
        return words.collect::<Vec<_>>().join(" or ");
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
    match kind {
        Some("array") => format!("list of {}", plural(&takes(&schema["items"]))),
        Some("object") if schema["additionalProperties"].is_object() => {
            format!("{} by name", plural(&takes(&schema["additionalProperties"])))
        }
        Some("object") => "map".to_owned(),
        Some("boolean") => "`true` or `false`".to_owned(),
        Some("integer") => "whole number".to_owned(),
        _ => "text".to_owned(),
    }
}

fn plural(word: &str) -> String {
    match word {
        "text" => "texts".to_owned(),
        "person" => "people".to_owned(),
        list if list.starts_with("list of") => list.replacen("list", "lists", 1),
        other => format!("{other}s"),
    }
}

fn left_out(required: bool, schema: &Json) -> String {
    match (&schema["default"], required) {
        (_, true) => "required".to_owned(),
        (Json::String(text), _) => format!("`{text}`"),
        (Json::Bool(value), _) => format!("`{value}`"),
        (Json::Number(value), _) => format!("`{value}`"),
        (Json::Null | Json::Array(_) | Json::Object(_), _) => String::new(),
    }
}

/// What the key means, and what each of its words means.
fn meaning(schema: &Json) -> String {
    let own = schema["description"].as_str().unwrap_or_default().to_owned();
    let choices = name_of(schema).and_then(|name| definition(name)["oneOf"].as_array());
    let each = choices.into_iter().flatten().filter_map(|choice| {
        let map = || {
            choice["properties"]
                .as_object()
                .and_then(|keys| keys.keys().next())
                .map(String::as_str)
        };
        let word = choice["const"].as_str().or_else(map)?;
        Some(format!(" `{word}`: {}", choice["description"].as_str()?))
    });
    // A single choice is said by the key already.
    let each: Vec<String> = each.collect();
    if each.len() > 1 { own + &each.concat() } else { own }
}

/// The maps with keys of their own that stand under a key, each with its path.
fn maps_below(schema: &'static Json, path: &str) -> Vec<(String, &'static str)> {
    if let Some(name) = name_of(schema) {
        let inner = definition(name);
        if inner["properties"].is_object() {
            return vec![(path.to_owned(), name)];
        }
        let choices = inner["oneOf"].as_array().into_iter().flatten();
        let maps = choices.filter_map(|choice| choice["properties"].as_object());
        return maps
            .flatten()
            .flat_map(|(key, value)| maps_below(value, &join(path, key)))
            .collect();
    }
    match schema["type"].as_str() {
        Some("array") => maps_below(&schema["items"], &format!("{path}[]")),
        Some("object") => maps_below(&schema["additionalProperties"], &join(path, "<name>")),
        _ => Vec::new(),
    }
}
