//! Block Kit as Slack judges it: what is refused, what a reader sees, and what would be more than text.
//!
//! Limits as in the reference of Block Kit and in `@slack/types`.

use std::collections::BTreeSet;

use serde_json::Value;

/// The most blocks of a message and of a form.
const MESSAGE: usize = 50;
const MODAL: usize = 100;

fn refuse<T>(what: impl Into<String>) -> Result<T, String> {
    Err(format!("invalid_blocks: {}", what.into()))
}

fn text<'v>(value: &'v Value, what: &str) -> Result<&'v str, String> {
    value.as_str().map_or_else(|| refuse(format!("{what} is no text")), Ok)
}

fn within(text: &str, most: usize, what: &str) -> Result<(), String> {
    match text.chars().count() {
        0 => refuse(format!("{what} must be more than 0 characters")),
        length if length > most => refuse(format!("{what} must be at most {most} characters, it has {length}")),
        _ => Ok(()),
    }
}

/// Judges a whole message.
pub(super) fn message(message: &Value) -> Result<(), String> {
    let words = message["text"].as_str().unwrap_or_default();
    let empty = Vec::new();
    let blocks = message["blocks"].as_array().unwrap_or(&empty);
    if words.is_empty() && blocks.is_empty() {
        return Err("no_text".to_owned());
    }
    if words.chars().count() > 40_000 {
        return Err("msg_too_long".to_owned());
    }
    all(blocks, MESSAGE, false)
}

/// Judges a form.
pub(super) fn view(view: &Value) -> Result<(), String> {
    if view["type"] != "modal" {
        return refuse("a view is `modal`");
    }
    object(&view["title"], true, 24, "title")?;
    for key in ["submit", "close"] {
        if !view[key].is_null() {
            object(&view[key], true, 24, key)?;
        }
    }
    let Some(blocks) = view["blocks"].as_array() else {
        return refuse("a view has blocks");
    };
    for (key, most) in [("callback_id", 255), ("private_metadata", 3_000), ("external_id", 255)] {
        let long = view[key].as_str().unwrap_or_default().chars().count();
        if long > most {
            return Err(format!(
                "invalid_arguments: {key} has {long} characters, at most {most} are taken"
            ));
        }
    }
    if view.to_string().len() > 250_000 {
        return Err("view_too_large".to_owned());
    }
    let has_input = blocks.iter().any(|block| block["type"] == "input");
    if has_input && view["submit"].is_null() {
        return refuse("a view with inputs needs `submit`");
    }
    all(blocks, MODAL, true)
}

/// Judges what is shown beside the fields of an open form.
pub(super) fn errors(view: &Value, errors: &Value) -> Result<(), String> {
    let Some(errors) = errors.as_object().filter(|errors| !errors.is_empty()) else {
        return refuse("`errors` names no block");
    };
    let blocks = view["blocks"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (name, why) in errors {
        let is_field = |block: &Value| block["type"] == "input" && block["block_id"] == name.as_str();
        if !blocks.iter().any(is_field) {
            return refuse(format!("`{name}` is no field of the form"));
        }
        within(text(why, "an error")?, 3_000, "an error")?;
    }
    Ok(())
}

fn all(blocks: &[Value], most: usize, modal: bool) -> Result<(), String> {
    if blocks.len() > most {
        return refuse(format!("{} blocks are more than {most}", blocks.len()));
    }
    let mut names = BTreeSet::new();
    for block in blocks {
        if let Some(name) = block["block_id"].as_str() {
            within(name, 255, "block_id")?;
            if !names.insert(name) {
                return refuse(format!("`block_id` already exists: {name}"));
            }
        }
        one(block, modal)?;
    }
    Ok(())
}

fn one(block: &Value, modal: bool) -> Result<(), String> {
    match block["type"].as_str() {
        Some("header") => object(&block["text"], true, 150, "header"),
        Some("divider") => Ok(()),
        Some("section") => section(block),
        Some("context") => elements(block, 10, |element| match element["type"].as_str() {
            Some("mrkdwn" | "plain_text") => object(element, false, 2_000, "context"),
            other => refuse(format!("no element of a context: {other:?}")),
        }),
        Some("actions") => {
            let mut names = BTreeSet::new();
            elements(block, 25, |element| {
                self::element(element)?;
                let name = element["action_id"].as_str().unwrap_or_default().to_owned();
                if names.insert(name.clone()) {
                    Ok(())
                } else {
                    refuse(format!("`action_id` already exists: {name}"))
                }
            })
        }
        Some("rich_text") => elements(block, 100, rich),
        Some("input") if modal => input(block),
        other => refuse(format!("unsupported type: {other:?}")),
    }
}

fn elements(block: &Value, most: usize, mut judge: impl FnMut(&Value) -> Result<(), String>) -> Result<(), String> {
    match block["elements"].as_array() {
        Some(all) if (1..=most).contains(&all.len()) => all.iter().try_for_each(&mut judge),
        _ => refuse(format!("{} has no elements, or more than {most}", block["type"])),
    }
}

fn section(block: &Value) -> Result<(), String> {
    if !block["text"].is_null() {
        object(&block["text"], false, 3_000, "section")?;
    }
    let fields = block["fields"].as_array();
    if block["text"].is_null() && fields.is_none() {
        return refuse("a section has text or fields");
    }
    let fields = fields.map(Vec::as_slice).unwrap_or_default();
    if fields.len() > 10 {
        return refuse("a section has at most 10 fields");
    }
    fields.iter().try_for_each(|field| object(field, false, 2_000, "field"))
}

/// A text object.
fn object(value: &Value, plain_only: bool, most: usize, what: &str) -> Result<(), String> {
    match value["type"].as_str() {
        Some("plain_text") => {}
        Some("mrkdwn") if !plain_only => {
            if !value["emoji"].is_null() {
                return refuse(format!("{what}: `emoji` is for plain_text"));
            }
        }
        other => return refuse(format!("{what}: no text object of type {other:?}")),
    }
    within(text(&value["text"], what)?, most, what)
}

fn element(element: &Value) -> Result<(), String> {
    match element["type"].as_str() {
        Some("button") => {}
        Some("static_select") => return select(element),
        other => return refuse(format!("no element of a row: {other:?}")),
    }
    object(&element["text"], true, 75, "button")?;
    within(text(&element["action_id"], "action_id")?, 255, "action_id")?;
    if let Some(value) = element["value"].as_str() {
        within(value, 2_000, "value")?;
    }
    if let Some(url) = element["url"].as_str() {
        within(url, 3_000, "url")?;
        if !url.starts_with("https://") && !url.starts_with("http://") {
            return refuse(format!("no address: {url}"));
        }
    }
    if let Some(aloud) = element["accessibility_label"].as_str() {
        within(aloud, 75, "accessibility_label")?;
    }
    if !matches!(element["style"].as_str(), None | Some("primary" | "danger")) {
        return refuse(format!("no style: {}", element["style"]));
    }
    let confirm = &element["confirm"];
    if confirm.is_null() {
        return Ok(());
    }
    object(&confirm["title"], true, 100, "confirm.title")?;
    object(&confirm["text"], false, 300, "confirm.text")?;
    object(&confirm["confirm"], true, 30, "confirm.confirm")?;
    object(&confirm["deny"], true, 30, "confirm.deny")
}

fn select(element: &Value) -> Result<(), String> {
    within(text(&element["action_id"], "action_id")?, 255, "action_id")?;
    let Some(options) = element["options"].as_array() else {
        return refuse("a list has options");
    };
    if !(1..=100).contains(&options.len()) {
        return refuse(format!("a list of {} options", options.len()));
    }
    for option in options {
        object(&option["text"], true, 75, "option")?;
        within(text(&option["value"], "option")?, 150, "option.value")?;
    }
    let initial = &element["initial_option"];
    if !initial.is_null() && !options.contains(initial) {
        return refuse("the initial option is none of the options");
    }
    Ok(())
}

fn input(block: &Value) -> Result<(), String> {
    object(&block["label"], true, 2_000, "label")?;
    let element = &block["element"];
    match element["type"].as_str() {
        Some("plain_text_input") => {
            within(text(&element["action_id"], "action_id")?, 255, "action_id")?;
            match element["max_length"].as_u64() {
                Some(0 | 3_001..) => refuse("max_length is between 1 and 3000"),
                _ => Ok(()),
            }
        }
        Some("static_select") => select(element),
        other => refuse(format!("no element of an input: {other:?}")),
    }
}

/// Rich text: sections, lists of sections, preformatted text; in them pieces, none of them empty.
fn rich(element: &Value) -> Result<(), String> {
    match element["type"].as_str() {
        Some("rich_text_section" | "rich_text_preformatted" | "rich_text_quote") => elements(element, 1_000, piece),
        Some("rich_text_list") => {
            if !matches!(element["style"].as_str(), Some("bullet" | "ordered")) {
                return refuse("a list is `bullet` or `ordered`");
            }
            elements(element, 1_000, |section| match section["type"].as_str() {
                Some("rich_text_section") => elements(section, 1_000, piece),
                other => refuse(format!("no item of a list: {other:?}")),
            })
        }
        other => refuse(format!("no element of rich text: {other:?}")),
    }
}

fn piece(piece: &Value) -> Result<(), String> {
    match piece["type"].as_str() {
        Some("text") => within(text(&piece["text"], "text")?, 12_000, "a piece of rich text"),
        Some("link" | "emoji" | "user" | "usergroup" | "channel" | "broadcast" | "date") => Ok(()),
        other => refuse(format!("no piece of rich text: {other:?}")),
    }
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// What a reader sees of some blocks, one line for each line.
pub(super) fn shown(blocks: &[Value]) -> String {
    fn walk(value: &Value, out: &mut String) {
        match value["type"].as_str() {
            Some("plain_text" | "mrkdwn") => {
                out.push_str(&unescaped(value["text"].as_str().unwrap_or_default()));
                out.push('\n');
            }
            Some("text") => out.push_str(value["text"].as_str().unwrap_or_default()),
            Some("button") => {
                out.push_str(&format!("[{}]\n", value["text"]["text"].as_str().unwrap_or_default()));
            }
            _ => {
                for key in ["text", "label", "fields", "elements"] {
                    match &value[key] {
                        Value::Array(all) => all.iter().for_each(|one| walk(one, out)),
                        one @ Value::Object(_) => walk(one, out),
                        _ => {}
                    }
                }
                if !out.is_empty() && !out.ends_with('\n') {
                    out.push('\n');
                }
            }
        }
    }
    let mut out = String::new();
    blocks.iter().for_each(|block| walk(block, &mut out));
    out
}

/// Everything in a message that Slack would make more of than text: `<…>` in text objects and in the text of the message,
/// markup where it is read, pieces of rich text that call somebody, and every link.
pub(super) fn pings(message: &Value) -> Vec<String> {
    fn walk(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Array(all) => all.iter().for_each(|one| walk(one, found)),
            Value::Object(fields) => {
                let words = value["text"].as_str().unwrap_or_default();
                match value["type"].as_str() {
                    Some("plain_text") if words.contains(['<', '>']) => found.push(words.to_owned()),
                    Some("plain_text") if value["emoji"] != Value::Bool(false) => {
                        found.push(format!("emoji in {words}"))
                    }
                    Some("mrkdwn") => found.push(words.to_owned()),
                    Some("user" | "usergroup" | "broadcast" | "channel" | "link") => found.push(value.to_string()),
                    _ => {}
                }
                fields.values().for_each(|one| walk(one, found));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    let words = message["text"].as_str().unwrap_or_default();
    if words.contains(['<', '>']) {
        found.push(words.to_owned());
    }
    walk(&message["blocks"], &mut found);
    found
}

fn in_rows(blocks: &[Value]) -> impl Iterator<Item = &Value> {
    let rows = blocks.iter().filter(|block| block["type"] == "actions");
    rows.flat_map(|row| row["elements"].as_array().into_iter().flatten())
}

/// The button of that name.
pub(super) fn button(blocks: &[Value], action: &str) -> Option<Value> {
    in_rows(blocks).find(|button| button["action_id"] == action).cloned()
}

/// The names of the buttons.
pub(super) fn buttons(blocks: &[Value]) -> Vec<String> {
    in_rows(blocks)
        .filter_map(|button| button["action_id"].as_str().map(str::to_owned))
        .collect()
}
