//! What `kubectl apply -k` would send, for as much of kustomize as the shipped folders use. Refuses every other word of it.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use regex::Regex;
use serde_json::{Map, Value, json};

use super::patch;

/// The words of a kustomization that are understood.
const KNOWN: [&str; 8] = [
    "apiVersion",
    "kind",
    "namespace",
    "resources",
    "components",
    "configMapGenerator",
    "generatorOptions",
    "patches",
];

/// The objects of a folder.
///
/// # Errors
/// When a file is missing or is not understood, or a patch has no target.
pub fn build(folder: &Path) -> Result<Vec<Value>> {
    add(folder, Vec::new()).with_context(|| folder.display().to_string())
}

fn add(folder: &Path, mut objects: Vec<Value>) -> Result<Vec<Value>> {
    let words = documents(&folder.join("kustomization.yaml"))?.remove(0);
    for word in words.as_object().context("no kustomization")?.keys() {
        ensure!(KNOWN.contains(&word.as_str()), "nobody here knows the word {word:?}");
    }
    for resource in texts(&words["resources"]) {
        let path = folder.join(&resource);
        objects.extend(if path.is_dir() {
            build(&path)?
        } else {
            documents(&path)?
        });
    }
    for component in texts(&words["components"]) {
        objects = add(&folder.join(component), objects)?;
    }
    for generator in words["configMapGenerator"].as_array().into_iter().flatten() {
        ensure!(
            words["generatorOptions"]["disableNameSuffixHash"] == true,
            "names with a hash are not understood"
        );
        generate(folder, generator, &mut objects)?;
    }
    for patch in words["patches"].as_array().into_iter().flatten() {
        apply(folder, patch, &mut objects)?;
    }
    if let Some(namespace) = words["namespace"].as_str() {
        for object in objects.iter_mut().filter(|object| object["kind"] != "Namespace") {
            object["metadata"]["namespace"] = namespace.into();
        }
    }
    Ok(objects)
}

/// The documents of a file.
///
/// # Errors
/// When it cannot be read.
pub fn documents(path: &Path) -> Result<Vec<Value>> {
    let name = || path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(name)?;
    let documents = format!("\n{text}");
    let read = |document: &str| serde_saphyr::from_str::<Value>(document).with_context(name);
    let all: Result<Vec<Value>> = documents.split("\n---").map(read).collect();
    Ok(all?.into_iter().filter(|document| !document.is_null()).collect())
}

fn texts(list: &Value) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn generate(folder: &Path, generator: &Value, objects: &mut Vec<Value>) -> Result<()> {
    let mut data = Map::new();
    for file in texts(&generator["files"]) {
        let text = std::fs::read_to_string(folder.join(&file)).with_context(|| file.clone())?;
        data.insert(file, text.into());
    }
    let there = objects
        .iter_mut()
        .find(|object| object["kind"] == "ConfigMap" && object["metadata"]["name"] == generator["name"]);
    match (generator["behavior"].as_str(), there) {
        (Some("merge"), Some(there)) => {
            let known = there["data"].as_object_mut().context("no data")?;
            known.extend(data);
        }
        (None | Some("create"), None) => objects.push(json!({
            "apiVersion": "v1", "kind": "ConfigMap", "data": data,
            "metadata": { "name": generator["name"], "namespace": generator["namespace"] },
        })),
        (behavior, _) => bail!(
            "the ConfigMap {} cannot be generated as {behavior:?}",
            generator["name"]
        ),
    }
    Ok(())
}

fn apply(folder: &Path, patch: &Value, objects: &mut Vec<Value>) -> Result<()> {
    let (path, change) = match (patch["path"].as_str(), patch["patch"].as_str()) {
        (Some(path), None) => (path, documents(&folder.join(path))?.remove(0)),
        (None, Some(text)) => ("a patch in its place", serde_saphyr::from_str(text)?),
        _ => bail!("a patch is in a file or in its place: {patch}"),
    };
    let target = if patch["target"].is_null() {
        json!({ "kind": change["kind"], "name": change["metadata"]["name"] })
    } else {
        patch["target"].clone()
    };
    let known = |key: &String| key == "kind" || key == "name";
    let is_known = target.as_object().is_some_and(|target| target.keys().all(known));
    ensure!(is_known, "{path}: a target is a kind and a name, not {target}");
    let (kind, name) = (whole(&target["kind"])?, whole(&target["name"])?);
    let is_meant = |object: &Value| {
        let fits = |pattern: &Regex, value: &Value| value.as_str().is_some_and(|value| pattern.is_match(value));
        fits(&kind, &object["kind"]) && fits(&name, &object["metadata"]["name"])
    };
    ensure!(objects.iter().any(is_meant), "{path}: no matches for {target}");
    if change["$patch"] == "delete" {
        objects.retain(|object| !is_meant(object));
        return Ok(());
    }
    ensure!(
        change.is_array(),
        "{path}: only JSON patches and `$patch: delete` are understood"
    );
    for object in objects.iter_mut().filter(|object| is_meant(object)) {
        patch::json(object, &change).map_err(|why| anyhow::anyhow!("{path}: {why}"))?;
    }
    Ok(())
}

/// The words of a target are patterns, for the whole of what they look at.
fn whole(pattern: &Value) -> Result<Regex> {
    let pattern = pattern.as_str().context("a target without a kind or a name")?;
    Ok(Regex::new(&format!("^(?:{pattern})$"))?)
}
