//! Forms as Discord judges them before it opens them, and as it sends them off.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::judge::{bounded, list};

/// What a field is: words, a list, a text.
const LIST: u64 = 3;
const TEXT: u64 = 4;
const WORDS: u64 = 10;
const LABEL: u64 = 18;

/// Why Discord would not open this form, if it would not.
pub(super) fn judge(form: &Value) -> Result<(), String> {
    let text = |of: &Value, key: &str| of[key].as_str().unwrap_or_default().to_owned();
    bounded("custom_id", &text(form, "custom_id"), 1, 100)?;
    bounded("title", &text(form, "title"), 1, 45)?;
    let places = list(form, "components", 5)?;
    let (mut names, mut shown) = (BTreeSet::new(), 0);
    for (at, place) in places.iter().enumerate() {
        let here = format!("components.{at}");
        match place["type"].as_u64() {
            Some(WORDS) => shown += bounded(&format!("{here}.content"), &text(place, "content"), 1, 4_000)?,
            Some(LABEL) => {
                bounded(&format!("{here}.label"), &text(place, "label"), 1, 45)?;
                bounded(&format!("{here}.description"), &text(place, "description"), 0, 100)?;
                let field = &place["component"];
                field_judged(&here, field)?;
                if !names.insert(field["custom_id"].to_string()) {
                    return Err(format!("{here}.component.custom_id: the same twice"));
                }
            }
            _ => return Err(format!("{here}: nothing that stands in a form: {place}")),
        }
    }
    match (names.is_empty(), shown > 4_000) {
        (true, _) => Err("components: a form without a field".to_owned()),
        (false, true) => Err(format!(
            "components: {shown} characters of words, must be 4000 or fewer"
        )),
        (false, false) => Ok(()),
    }
}

fn field_judged(here: &str, field: &Value) -> Result<(), String> {
    let text = |key: &str| field[key].as_str().unwrap_or_default();
    bounded(&format!("{here}.component.custom_id"), text("custom_id"), 1, 100)?;
    if !field["label"].is_null() || !field["disabled"].is_null() {
        return Err(format!("{here}.component: a label of its own, or greyed out: {field}"));
    }
    match field["type"].as_u64() {
        Some(TEXT) if matches!(field["style"].as_u64(), Some(1 | 2)) => {
            let most = field["max_length"].as_u64().unwrap_or(4_000);
            if !(1..=4_000).contains(&most) || field["min_length"].as_u64().unwrap_or(0) > most {
                return Err(format!("{here}.component.max_length: {field}"));
            }
            let most = usize::try_from(most).unwrap_or(4_000);
            bounded(&format!("{here}.component.value"), text("value"), 0, most)?;
            bounded(&format!("{here}.component.placeholder"), text("placeholder"), 0, 100).map(drop)
        }
        Some(LIST) => select(&format!("{here}.component"), field),
        _ => Err(format!("{here}.component: no field that Discord knows: {field}")),
    }
}

/// Why Discord would not show a list, in a message or in a form.
pub(super) fn select(here: &str, menu: &Value) -> Result<(), String> {
    let text = |of: &Value, key: &str| of[key].as_str().unwrap_or_default().to_owned();
    bounded(&format!("{here}.custom_id"), &text(menu, "custom_id"), 1, 100)?;
    bounded(&format!("{here}.placeholder"), &text(menu, "placeholder"), 0, 150)?;
    let options = list(menu, "options", 25)?;
    let mut values = BTreeSet::new();
    for (at, option) in options.iter().enumerate() {
        bounded(&format!("{here}.options.{at}.label"), &text(option, "label"), 1, 100)?;
        bounded(&format!("{here}.options.{at}.value"), &text(option, "value"), 1, 100)?;
        if !values.insert(text(option, "value")) {
            return Err(format!("{here}.options.{at}.value: the same twice"));
        }
    }
    if options.is_empty() {
        Err(format!("{here}.options: none"))
    } else {
        Ok(())
    }
}

/// Everything that a form shows, top to bottom.
#[must_use]
pub fn shown(form: &Value) -> String {
    let mut lines = vec![form["title"].as_str().unwrap_or_default().to_owned()];
    for place in form["components"].as_array().into_iter().flatten() {
        let text = |pointer: &str| place.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        lines.push(super::judge::plain(text("/content")));
        let mut field = vec![text("/label"), text("/description"), text("/component/value")];
        field.retain(|part| !part.is_empty());
        lines.push(field.join(" "));
    }
    lines.retain(|line| !line.is_empty());
    lines.join("\n")
}

/// The data of a form that comes back, if Discord would send it.
pub(super) fn filled_in(form: &Value, filled_in: &[(&str, &str)]) -> Result<Value> {
    let mut left: Vec<&(&str, &str)> = filled_in.iter().collect();
    let mut components = Vec::new();
    for (at, place) in form["components"].as_array().context("no form")?.iter().enumerate() {
        if place["type"] != LABEL {
            components.push(json!({ "type": place["type"], "id": at + 1 }));
            continue;
        }
        let field = &place["component"];
        let name = field["custom_id"].as_str().unwrap_or_default();
        let typed = left
            .iter()
            .position(|(typed, _)| *typed == name)
            .map(|at| left.remove(at).1);
        let value = typed.unwrap_or_else(|| field["value"].as_str().unwrap_or_default());
        let required = field["required"] != Value::Bool(false);
        ensure!(!(required && value.is_empty()), "`{name}` is required");
        let most = field["max_length"].as_u64().unwrap_or(4_000);
        ensure!(value.encode_utf16().count() as u64 <= most, "`{name}` is too long");
        let mut sent = json!({ "type": field["type"], "id": at + 20, "custom_id": name });
        match field["type"].as_u64() {
            Some(LIST) => sent["values"] = json!([value]),
            _ => sent["value"] = value.into(),
        }
        components.push(json!({ "type": LABEL, "id": at + 1, "component": sent }));
    }
    ensure!(left.is_empty(), "no field for {left:?}: {form}");
    Ok(json!({ "custom_id": form["custom_id"], "components": components }))
}
