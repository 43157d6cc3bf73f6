//! Commands as Discord judges them before it registers them, and as its clients let people type them afterwards.

use serde_json::{Value, json};

const STRING: u64 = 3;
const SUB_COMMAND: u64 = 1;

/// The characters that count against the 4,000 of a command: every name, every description, every value.
#[must_use]
pub fn length_of_tree(command: &Value) -> usize {
    let own: usize = ["name", "description", "value"]
        .iter()
        .filter_map(|key| command[key].as_str())
        .map(|text| text.chars().count())
        .sum();
    let below = ["options", "choices"].iter().filter_map(|key| command[key].as_array());
    own + below.flatten().map(length_of_tree).sum::<usize>()
}

/// Why Discord would not register these, if it would not.
pub(super) fn judge(commands: &Value) -> Result<(), String> {
    let commands = commands.as_array().ok_or("must be a list")?;
    for command in commands {
        named(command, 32)?;
        let long = length_of_tree(command);
        if long > 4_000 {
            return Err(format!(
                "{}: {long} characters in all, must be 4000 or fewer",
                command["name"]
            ));
        }
        for option in options(command)? {
            named(option, 32)?;
            match option["type"].as_u64() {
                Some(SUB_COMMAND) => sub_command(option)?,
                other => return Err(format!("{}: a top level option of type {other:?}", option["name"])),
            }
        }
    }
    Ok(())
}

fn options(of: &Value) -> Result<&[Value], String> {
    let empty: &[Value] = &[];
    let options = of["options"].as_array().map_or(empty, Vec::as_slice);
    if options.len() > 25 {
        return Err(format!(
            "{}: {} options, must be 25 or fewer",
            of["name"],
            options.len()
        ));
    }
    let names = options.iter().map(|option| option["name"].to_string());
    let different: std::collections::BTreeSet<String> = names.collect();
    if different.len() != options.len() {
        return Err(format!("{}: two options of one name", of["name"]));
    }
    Ok(options)
}

fn sub_command(command: &Value) -> Result<(), String> {
    let mut optional_before = false;
    for option in options(command)? {
        named(option, 32)?;
        let place = format!("{}.{}", command["name"], option["name"]);
        if option["type"] != STRING {
            return Err(format!("{place}: of type {}", option["type"]));
        }
        let required = option["required"] == Value::Bool(true);
        if required && optional_before {
            return Err(format!(
                "{place}: required options must be placed before non-required options"
            ));
        }
        optional_before |= !required;
        let choices = option["choices"].as_array().map(Vec::as_slice).unwrap_or_default();
        if option["autocomplete"] == Value::Bool(true) && !choices.is_empty() {
            return Err(format!("{place}: autocomplete and choices exclude each other"));
        }
        if choices.len() > 25 {
            return Err(format!("{place}: {} choices", choices.len()));
        }
    }
    Ok(())
}

/// What a client sends for a sub-command, if what is registered lets anybody type it. With `typing`, the last option is the
/// one that is being typed; what is required may still be missing then.
pub(super) fn typed(
    registered: Option<&Value>,
    verb: &str,
    options: &[(&str, &str)],
    typing: bool,
) -> Result<Value, String> {
    let offered = |of: &Value, name: &str| -> Result<Value, String> {
        let all = of["options"].as_array().into_iter().flatten();
        let found = all.clone().find(|option| option["name"] == name);
        let names = all
            .map(|option| option["name"].to_string())
            .collect::<Vec<_>>()
            .join(", ");
        found.cloned().ok_or_else(|| {
            format!(
                "nothing of the name `{name}` is offered below {}, only: {names}",
                of["name"]
            )
        })
    };
    let command = registered
        .and_then(|all| all.get(0))
        .ok_or("no command is registered")?;
    let sub_command = offered(command, verb)?;
    for (at, (name, value)) in options.iter().enumerate() {
        let option = offered(&sub_command, name)?;
        let focused = typing && at + 1 == options.len();
        let choices = option["choices"].as_array().map(Vec::as_slice).unwrap_or_default();
        let offers = choices.is_empty() || choices.iter().any(|choice| choice["value"] == *value);
        if focused && option["autocomplete"] != Value::Bool(true) {
            return Err(format!("{verb}: nobody is asked what `{name}` could be"));
        }
        if !focused && (value.is_empty() || value.encode_utf16().count() > 6_000 || !offers) {
            return Err(format!("{verb}: `{name}` cannot be `{value}`"));
        }
        if options[..at].iter().any(|(before, _)| before == name) {
            return Err(format!("{verb}: `{name}` is given twice"));
        }
    }
    let given = |option: &&Value| options.iter().any(|(name, _)| option["name"] == *name);
    let mut required = sub_command["options"].as_array().into_iter().flatten();
    let missing = required.find(|option| option["required"] == Value::Bool(true) && !given(option));
    match missing {
        Some(option) if !typing => Err(format!("{verb}: {} is required", option["name"])),
        _ => Ok(data(command, verb, options, typing)),
    }
}

/// What is sent for a sub-command of a command, whether it has any like it or not.
pub(super) fn data(command: &Value, verb: &str, options: &[(&str, &str)], typing: bool) -> Value {
    let mut sent: Vec<Value> = options
        .iter()
        .map(|(name, value)| json!({ "name": name, "type": STRING, "value": value }))
        .collect();
    if let Some(last) = sent.last_mut().filter(|_| typing) {
        last["focused"] = true.into();
    }
    json!({ "id": command["id"], "name": command["name"], "type": 1,
        "options": [{ "type": SUB_COMMAND, "name": verb, "options": sent }] })
}

fn named(thing: &Value, most: usize) -> Result<(), String> {
    let text = |key: &str| thing[key].as_str().unwrap_or_default();
    let name = text("name");
    let fits = |c: char| (c.is_alphanumeric() && !c.is_uppercase()) || matches!(c, '-' | '_' | '\'');
    if name.is_empty() || name.chars().count() > most || !name.chars().all(fits) {
        return Err(format!("name: `{name}` does not match"));
    }
    match text("description").chars().count() {
        1..=100 => Ok(()),
        long => Err(format!(
            "{name}.description: {long} characters, must be between 1 and 100"
        )),
    }
}
