//! Which objects a list or a watch asks for, and the list of them.
//!
//! Refuses parameters that nobody here knows, and selectors of other forms than `key=value`.

use serde_json::{Value, json};

use super::api::Place;
use super::world::{Key, No, World};

/// The objects of one kind in one namespace, some of them.
#[derive(Debug)]
pub(super) struct Wanted {
    group: String,
    resource: String,
    namespace: String,
    labels: Vec<(String, String)>,
    name: Option<String>,
}

/// One parameter of a call.
pub(super) fn asked<'a>(query: &'a [(String, String)], wanted: &str) -> Option<&'a str> {
    let found = query.iter().find(|(key, _)| key == wanted);
    found.map(|(_, value)| value.as_str())
}

/// The number that a parameter has to be.
pub(super) fn number(query: &[(String, String)], wanted: &str) -> Result<Option<u64>, No> {
    let asked = asked(query, wanted);
    let parsed = asked.map(str::parse).transpose();
    let message = || {
        format!(
            "strconv.ParseInt: parsing {:?}: invalid syntax",
            asked.unwrap_or_default()
        )
    };
    parsed.map_err(|_| (400, "BadRequest", message()))
}

impl Wanted {
    /// What the parameters ask for, besides those in `known`.
    pub(super) fn of(place: &Place, query: &[(String, String)], known: &[&str]) -> Result<Self, No> {
        let selectors = ["labelSelector", "fieldSelector"];
        if let Some((key, _)) = query
            .iter()
            .find(|(key, _)| !selectors.contains(&key.as_str()) && !known.contains(&key.as_str()))
        {
            return Err((400, "BadRequest", format!("the fake does not know the parameter {key}")));
        }
        let mut name = None;
        for (field, value) in pairs(asked(query, "fieldSelector").unwrap_or_default())? {
            if field != "metadata.name" {
                let known = "only \"metadata.name\", \"metadata.namespace\"";
                let message = format!("{field:?} is not a known field selector: {known}");
                return Err((400, "BadRequest", message));
            }
            name = Some(value);
        }
        Ok(Self {
            group: place.group.clone(),
            resource: place.resource.clone(),
            namespace: place.namespace.clone(),
            labels: pairs(asked(query, "labelSelector").unwrap_or_default())?,
            name,
        })
    }

    /// Whether this object is one of them.
    pub(super) fn has(&self, key: &Key, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.of_this_kind(key)
            && self.name.as_ref().is_none_or(|name| *name == key.3)
            && self.labels.iter().all(|(label, value)| labels[label] == **value)
    }

    /// Whether objects of this key are of the kind and in the namespace.
    pub(super) fn of_this_kind(&self, key: &Key) -> bool {
        (&key.0, &key.1, &key.2) == (&self.group, &self.resource, &self.namespace)
    }
}

fn pairs(selector: &str) -> Result<Vec<(String, String)>, No> {
    let mut pairs = Vec::new();
    for requirement in selector.split(',').filter(|it| !it.is_empty()) {
        let pair = requirement.split_once('=');
        let (key, value) = pair.ok_or((400, "BadRequest", format!("unable to parse requirement: {requirement}")))?;
        pairs.push((key.to_owned(), value.to_owned()));
    }
    Ok(pairs)
}

/// The list of them, with the version from which a watch can go on.
pub(super) fn list(world: &World, place: &Place, query: &[(String, String)]) -> Result<Value, No> {
    let wanted = Wanted::of(place, query, &["limit"])?;
    let found = world.all().filter(|(key, object)| wanted.has(key, object));
    let mut items: Vec<Value> = found.map(|(_, object)| object.clone()).collect();
    let mut metadata = json!({ "resourceVersion": world.version().to_string() });
    let limit = number(query, "limit")?.filter(|limit| *limit > 0);
    let limit = limit
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(usize::MAX);
    if items.len() > limit {
        metadata["continue"] = "the-rest".into();
        metadata["remainingItemCount"] = (items.len() - limit).into();
        items.truncate(limit);
    }
    // The items of a list do not say what they are, the list does.
    for item in items.iter_mut().filter_map(Value::as_object_mut) {
        item.retain(|field, _| field != "kind" && field != "apiVersion");
    }
    let (version, kind) = place.kind();
    Ok(json!({ "kind": format!("{kind}List"), "apiVersion": version, "metadata": metadata, "items": items }))
}
