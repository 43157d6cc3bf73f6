//! Patches as the API server applies them: RFC 7386 and RFC 6902, as far as its clients use them.

use serde_json::{Map, Value};

/// Applies a JSON Merge Patch.
pub(super) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            merge(target.entry(key).or_insert(Value::Null), value);
        }
    }
}

/// Applies a JSON Patch, whole or not at all.
///
/// # Errors
/// In the words of the library that the API server uses.
pub(super) fn json(target: &mut Value, patch: &Value) -> Result<(), String> {
    let mut result = target.clone();
    let operations = patch.as_array().ok_or("a JSON patch is a list")?;
    for operation in operations {
        let field = |name: &str| operation[name].as_str().ok_or(format!("missing {name}"));
        let (op, path) = (field("op")?, field("path")?);
        match op {
            "test" => {
                if result.pointer(path) != Some(&operation["value"]) {
                    return Err(format!("testing value {path} failed: test failed"));
                }
            }
            "add" => add(&mut result, path, operation["value"].clone())?,
            "replace" => {
                let place = result.pointer_mut(path);
                *place.ok_or(format!("replace operation does not apply: doc is missing key: {path}"))? =
                    operation["value"].clone();
            }
            "remove" => remove(&mut result, path)?,
            other => return Err(format!("Unexpected kind: {other}")),
        }
    }
    *target = result;
    Ok(())
}

fn split(path: &str) -> Result<(&str, String), String> {
    let (parent, last) = path.rsplit_once('/').ok_or(format!("no pointer: {path}"))?;
    Ok((parent, last.replace("~1", "/").replace("~0", "~")))
}

fn add(target: &mut Value, path: &str, value: Value) -> Result<(), String> {
    let (parent, key) = split(path)?;
    let missing = || format!("add operation does not apply: doc is missing path: {path}");
    match target.pointer_mut(parent).ok_or_else(missing)? {
        Value::Object(map) => {
            map.insert(key, value);
            Ok(())
        }
        Value::Array(list) if key == "-" => {
            list.push(value);
            Ok(())
        }
        Value::Array(list) => {
            let index: usize = key.parse().map_err(|_| missing())?;
            if index > list.len() {
                return Err(missing());
            }
            list.insert(index, value);
            Ok(())
        }
        _ => Err(missing()),
    }
}

fn remove(target: &mut Value, path: &str) -> Result<(), String> {
    let (parent, key) = split(path)?;
    let missing = || format!("remove operation does not apply: doc is missing path: {path}");
    match target.pointer_mut(parent).ok_or_else(missing)? {
        Value::Object(map) => map.remove(&key).map(drop).ok_or_else(missing),
        Value::Array(list) => {
            let index: usize = key.parse().map_err(|_| missing())?;
            if index >= list.len() {
                return Err(missing());
            }
            list.remove(index);
            Ok(())
        }
        _ => Err(missing()),
    }
}
