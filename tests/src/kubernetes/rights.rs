//! Who may do what, read from the very manifests that users apply: Roles and their rules. Whatever no rule allows is refused.

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// One rule of a Role.
#[derive(Clone, Debug)]
struct Rule {
    groups: Vec<String>,
    resources: Vec<String>,
    verbs: Vec<String>,
    /// Empty: all.
    names: Vec<String>,
}

/// What one account may do in one namespace.
#[derive(Clone, Debug, Default)]
pub(super) struct Rights {
    namespace: String,
    rules: Vec<Rule>,
}

/// What is asked for.
pub(super) struct Wish<'a> {
    pub(super) verb: &'a str,
    pub(super) group: &'a str,
    pub(super) resource: &'a str,
    pub(super) namespace: &'a str,
    pub(super) name: Option<&'a str>,
}

/// Everything that a Role gives, each as the attributes of an access review.
pub(super) fn wishes(role: &Value, namespace: &str) -> Vec<String> {
    let mut wishes = Vec::new();
    for rule in role["rules"].as_array().into_iter().flatten().map(Rule::of) {
        let names: Vec<Option<&String>> = match rule.names.as_slice() {
            [] => vec![None],
            names => names.iter().map(Some).collect(),
        };
        for (group, resource, verb, name) in every(&rule, &names) {
            let (resource, part) = resource.split_once('/').unwrap_or((resource, ""));
            let attributes = json!({
                "namespace": namespace, "verb": verb, "group": group, "resource": resource, "subresource": part,
                "name": name.map(String::as_str).unwrap_or_default(),
            });
            wishes.push(attributes.to_string());
        }
    }
    wishes
}

/// Whether any of these rights covers the attributes of an access review.
pub(super) fn allow(rights: &[Rights], attributes: &Value) -> bool {
    let text = |field: &str| attributes[field].as_str().filter(|text| !text.is_empty());
    let resource = text("resource").unwrap_or_default();
    // With a stroke in it no rule of a Role means the part of an object.
    if resource.contains('/') {
        return false;
    }
    let resource = match text("subresource") {
        Some(part) => format!("{resource}/{part}"),
        None => resource.to_owned(),
    };
    let wish = Wish {
        verb: text("verb").unwrap_or_default(),
        group: text("group").unwrap_or_default(),
        resource: &resource,
        namespace: text("namespace").unwrap_or_default(),
        name: text("name"),
    };
    rights.iter().any(|rights| rights.allow(&wish))
}

/// Every combination of a rule.
fn every<'a>(
    rule: &'a Rule,
    names: &'a [Option<&'a String>],
) -> impl Iterator<Item = (&'a String, &'a String, &'a String, Option<&'a String>)> {
    let groups = rule.groups.iter();
    groups.flat_map(move |group| {
        rule.resources.iter().flat_map(move |resource| {
            let verbs = rule.verbs.iter();
            verbs.flat_map(move |verb| names.iter().map(move |name| (group, resource, verb, *name)))
        })
    })
}

impl Rights {
    /// Everything everywhere.
    pub(super) fn all() -> Self {
        let any = || vec!["*".to_owned()];
        Self {
            namespace: "*".to_owned(),
            rules: vec![Rule {
                groups: any(),
                resources: any(),
                verbs: any(),
                names: Vec::new(),
            }],
        }
    }

    /// The rules of every Role in a manifest of several documents, in its own namespace.
    pub(super) fn of_manifest(manifest: &str) -> Result<Vec<Self>> {
        let mut rights = Vec::new();
        for document in manifest.split("\n---") {
            let Ok(object) = serde_saphyr::from_str::<Value>(document) else {
                continue;
            };
            if object["kind"] != "Role" {
                continue;
            }
            let namespace = object["metadata"]["namespace"]
                .as_str()
                .context("a Role without a namespace")?;
            let rules = object["rules"].as_array().context("a Role without rules")?;
            rights.push(Self {
                namespace: namespace.to_owned(),
                rules: rules.iter().map(Rule::of).collect(),
            });
        }
        Ok(rights)
    }

    pub(super) fn allow(&self, wish: &Wish<'_>) -> bool {
        let here = self.namespace == "*" || self.namespace == wish.namespace;
        here && self.rules.iter().any(|rule| rule.allows(wish))
    }
}

impl Rule {
    fn of(value: &Value) -> Self {
        let texts = |key: &str| -> Vec<String> {
            let list = value[key].as_array().into_iter().flatten();
            list.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        Self {
            groups: texts("apiGroups"),
            resources: texts("resources"),
            verbs: texts("verbs"),
            names: texts("resourceNames"),
        }
    }

    fn allows(&self, wish: &Wish<'_>) -> bool {
        let has = |list: &[String], word: &str| list.iter().any(|one| one == word || one == "*");
        // A list or a create has no name, so a rule for certain names does not cover it.
        let named = self.names.is_empty() || wish.name.is_some_and(|name| self.names.iter().any(|one| one == name));
        has(&self.groups, wish.group) && has(&self.resources, wish.resource) && has(&self.verbs, wish.verb) && named
    }
}
