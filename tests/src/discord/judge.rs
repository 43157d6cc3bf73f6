//! Messages as Discord judges and shows them: its limits, its markup, whom it would call.

use serde_json::Value;

/// Discord counts as JavaScript does.
fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Why Discord would refuse this message as an invalid form body, if it would.
///
/// # Errors
/// Where, and what is wrong.
pub fn message(message: &Value) -> Result<(), String> {
    let content = message["content"].as_str().unwrap_or_default();
    bounded("content", content, 0, 2_000)?;
    let embeds = list(message, "embeds", 10)?;
    let components = list(message, "components", 5)?;
    if content.trim().is_empty() && embeds.is_empty() {
        return Err("50006 Cannot send an empty message".to_owned());
    }
    let mut whole = 0;
    for (at, one) in embeds.iter().enumerate() {
        whole += embed(&format!("embeds.{at}"), one)?;
    }
    if whole > 6_000 {
        return Err(format!("embeds: {whole} characters in all, must be 6000 or fewer"));
    }
    for (at, row) in components.iter().enumerate() {
        action_row(&format!("components.{at}"), row)?;
    }
    mentions(&message["allowed_mentions"])?;
    if let Some(nonce) = message["nonce"].as_str() {
        bounded("nonce", nonce, 1, 25)?;
    }
    Ok(())
}

pub(super) fn list<'a>(message: &'a Value, key: &str, most: usize) -> Result<&'a [Value], String> {
    let empty: &[Value] = &[];
    let items = match &message[key] {
        Value::Null => empty,
        Value::Array(items) => items,
        _ => return Err(format!("{key}: must be a list")),
    };
    if items.len() > most {
        return Err(format!("{key}: {} of them, must be {most} or fewer", items.len()));
    }
    Ok(items)
}

pub(super) fn bounded(place: &str, text: &str, least: usize, most: usize) -> Result<usize, String> {
    let found = length(text);
    if found < least || found > most {
        return Err(format!(
            "{place}: {found} characters, must be between {least} and {most}"
        ));
    }
    Ok(found)
}

fn embed(place: &str, embed: &Value) -> Result<usize, String> {
    let text = |pointer: &str| embed.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let mut whole = bounded(&format!("{place}.title"), text("/title"), 0, 256)?
        + bounded(&format!("{place}.description"), text("/description"), 0, 4_096)?
        + bounded(&format!("{place}.footer"), text("/footer/text"), 0, 2_048)?
        + bounded(&format!("{place}.author"), text("/author/name"), 0, 256)?;
    if !embed["url"].is_null() && !text("/url").starts_with("http") {
        return Err(format!("{place}.url: not a well formed URL"));
    }
    if embed["color"].as_u64().is_some_and(|colour| colour > 0xff_ff_ff) {
        return Err(format!("{place}.color: no colour"));
    }
    for (at, field) in list(embed, "fields", 25)?.iter().enumerate() {
        let text = |key: &str| field[key].as_str().unwrap_or_default();
        whole += bounded(&format!("{place}.fields.{at}.name"), text("name"), 1, 256)?;
        whole += bounded(&format!("{place}.fields.{at}.value"), text("value"), 1, 1_024)?;
    }
    Ok(whole)
}

fn action_row(place: &str, row: &Value) -> Result<(), String> {
    if row["type"] != 1 {
        return Err(format!("{place}: must be an action row"));
    }
    let buttons = list(row, "components", 5)?;
    if buttons.is_empty() {
        return Err(format!("{place}: an empty row"));
    }
    if let [menu] = buttons
        && menu["type"] == 3
    {
        return super::forms::select(&format!("{place}.components.0"), menu);
    }
    for (at, button) in buttons.iter().enumerate() {
        let place = format!("{place}.components.{at}");
        let text = |key: &str| button[key].as_str().unwrap_or_default();
        bounded(&format!("{place}.label"), text("label"), 1, 80)?;
        match (button["type"].as_u64(), button["style"].as_u64()) {
            (Some(2), Some(5)) if text("url").starts_with("http") && button["custom_id"].is_null() => {}
            (Some(2), Some(1..=4)) if button["url"].is_null() => {
                bounded(&format!("{place}.custom_id"), text("custom_id"), 1, 100)?;
            }
            _ => return Err(format!("{place}: no button that Discord knows: {button}")),
        }
        let same = |other: &&Value| !other["custom_id"].is_null() && other["custom_id"] == button["custom_id"];
        if buttons.iter().filter(same).count() > 1 {
            return Err(format!("{place}.custom_id: the same twice"));
        }
    }
    Ok(())
}

fn mentions(allowed: &Value) -> Result<(), String> {
    let has = |key: &str| allowed[key].as_array().is_some_and(|items| !items.is_empty());
    let parses = |what: &str| {
        allowed["parse"]
            .as_array()
            .is_some_and(|items| items.contains(&what.into()))
    };
    if (parses("users") && has("users")) || (parses("roles") && has("roles")) {
        return Err("allowed_mentions: parse and a list exclude each other".to_owned());
    }
    Ok(())
}

/// Everything a reader sees, top to bottom, as plain text: escapes and emphasis read as Discord reads them.
#[must_use]
pub fn shown(message: &Value) -> String {
    let mut lines = vec![plain(message["content"].as_str().unwrap_or_default())];
    for embed in message["embeds"].as_array().into_iter().flatten() {
        let text = |pointer: &str| embed.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        lines.extend([plain(text("/title")), plain(text("/description"))]);
        for field in embed["fields"].as_array().into_iter().flatten() {
            lines.push(plain(field["name"].as_str().unwrap_or_default()));
            lines.push(plain(field["value"].as_str().unwrap_or_default()));
        }
        lines.push(text("/footer/text").to_owned());
    }
    lines.extend(buttons(message));
    lines.retain(|line| !line.is_empty());
    lines.join("\n")
}

/// Text without its markup.
pub(super) fn plain(markup: &str) -> String {
    if let Some(code) = markup.strip_prefix("```\n").and_then(|code| code.strip_suffix("\n```")) {
        return code.replace('\u{200b}', "");
    }
    let (mut out, mut chars) = (String::new(), markup.chars().peekable());
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            // Discord takes a backslash away from whatever is neither a letter, nor a digit, nor a space.
            ('\\', Some(next)) if !next.is_alphanumeric() && !next.is_whitespace() => out.extend(chars.next()),
            ('*', Some('*')) => drop(chars.next()),
            (c, _) => out.push(c),
        }
    }
    out
}

/// What in this message would be more than text, or call somebody.
#[must_use]
pub fn pings(message: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let allowed = &message["allowed_mentions"];
    let calls = |key: &str| allowed[key].as_array().is_none_or(|items| !items.is_empty());
    if calls("parse") || allowed["replied_user"] == Value::Bool(true) {
        found.push(format!("mentions are parsed: {allowed}"));
    }
    for key in ["users", "roles"] {
        if allowed[key].as_array().is_some_and(|items| !items.is_empty()) {
            found.push(format!("{key} are called: {allowed}"));
        }
    }
    let mut texts = vec![message["content"].as_str().unwrap_or_default()];
    for embed in message["embeds"].as_array().into_iter().flatten() {
        texts.extend(["title", "description"].map(|key| embed[key].as_str().unwrap_or_default()));
        let fields = embed["fields"].as_array().into_iter().flatten();
        texts.extend(fields.flat_map(|field| ["name", "value"].map(|key| field[key].as_str().unwrap_or_default())));
    }
    texts.into_iter().for_each(|text| found.extend(markup(text)));
    found
}

/// What Discord would read as markup in a text, but for emphasis on words in capitals and the small print at the end, which
/// are ours.
fn markup(text: &str) -> Option<String> {
    if let Some(code) = text.strip_prefix("```\n").and_then(|code| code.strip_suffix("\n```")) {
        return code.contains("```").then(|| format!("a block that ends early: {text}"));
    }
    let (text, id) = text.rsplit_once("\n-# ").map_or((text, ""), |(text, id)| (text, id));
    let (mut bare, mut chars) = (
        String::new(),
        format!("{text}\n{id}")
            .chars()
            .collect::<Vec<_>>()
            .into_iter()
            .peekable(),
    );
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some(next)) if !next.is_alphanumeric() && !next.is_whitespace() => drop(chars.next()),
            (c, _) => bare.push(c),
        }
    }
    let parts: Vec<&str> = bare.split("**").collect();
    let ours = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_uppercase() || c == ' ');
    let odd = parts.iter().skip(1).step_by(2).any(|word| !ours(word)) || parts.len().is_multiple_of(2);
    let rest: String = parts.concat();
    let begins = |line: &str| {
        ["# ", "-# ", "> ", ">>> ", "- ", "* ", "+ "]
            .iter()
            .any(|it| line.trim_start().starts_with(it))
    };
    let more = rest.contains(['*', '_', '~', '`', '|', '<', '>', '[', ']', '@', '\\'])
        || rest.contains("://")
        || rest.lines().any(begins);
    (odd || more).then(|| format!("read as more than text: {text}"))
}

fn all_buttons(message: &Value) -> impl Iterator<Item = &Value> {
    let rows = message["components"].as_array().into_iter().flatten();
    rows.flat_map(|row| row["components"].as_array().into_iter().flatten())
}

/// The button whose name begins so.
pub(super) fn button(message: &Value, action: &str) -> Option<Value> {
    let begins = |button: &&Value| {
        let id = button["custom_id"].as_str().unwrap_or_default();
        id.starts_with(&format!("v1:{action}:"))
    };
    all_buttons(message).find(begins).cloned()
}

/// What stands on the buttons, those that cannot be pressed in brackets.
pub(super) fn buttons(message: &Value) -> Vec<String> {
    let label = |button: &Value| {
        let label = button["label"].as_str().unwrap_or_default();
        match button["disabled"] == Value::Bool(true) {
            true => format!("({label})"),
            false => format!("[{label}]"),
        }
    };
    all_buttons(message).map(label).collect()
}
