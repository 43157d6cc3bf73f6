//! Owns how the walk says what is wrong: the words, the suggestion, the place.
//! Refuses long values: what is quoted in a message is cut.

use std::borrow::Cow;

use serde_json::{Map, Value as Json};

use super::{Choices, Spot, Walk, definition};
use crate::plan::codes::Code;
use crate::plan::diagnostic::Finding;
use crate::plan::place::Place;
use crate::plan::source::tree::{Entry, Node, Value};
use crate::plan::suggest::closest;

/// Words of neighbouring tools, and what they are called here.
const CALLED_HERE: [(&str, &str); 12] = [
    ("duration", "bake"),
    ("pause", "bake"),
    ("soak", "watch"),
    ("steps", "phases"),
    ("stages", "phases"),
    ("setWeight", "weight"),
    ("percent", "weight"),
    ("percentage", "weight"),
    ("labels", "matchers"),
    ("users", "members"),
    ("timeZone", "timezone"),
    ("promises", "commitments"),
];

/// `text` as it may stand in a message.
pub(super) fn short(text: &str) -> Cow<'_, str> {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
    }
}

impl<'a> Walk<'a> {
    pub(super) fn report(&mut self, finding: Finding, here: &Spot) {
        self.findings.push(finding.at(here.place));
    }

    /// What stands at `place`.
    pub(super) fn written(&self, place: Place) -> &'a str {
        self.text
            .get(place.offset..place.offset + place.length)
            .unwrap_or_default()
            .trim()
    }

    pub(super) fn empty(&mut self, here: &Spot) {
        let message = format!("`{}` is empty, and needs at least one entry", here.path.name());
        self.report(Finding::new(Code::P106, here.path.clone(), message), here);
    }

    /// A value of the wrong kind; `wanted` is the schema's word for the right one.
    pub(super) fn wrong_kind(&mut self, node: &Node, wanted: &str, here: &Spot) -> Json {
        let name = here.path.name();
        if node.value == Value::Null {
            let message = format!("`{name}` has no value");
            let help = "fill it in, or take the line out";
            self.report(Finding::new(Code::P106, here.path.clone(), message).help(help), here);
            return Json::Null;
        }
        let wanted_words = match wanted {
            "object" => "a map",
            "array" => "a list",
            "boolean" => "`true` or `false`",
            "integer" => "a whole number",
            _ => "text",
        };
        let found = node.value.kind();
        let written = short(self.written(node.place));
        let help = match (wanted, &node.value) {
            ("string", Value::Number(_) | Value::Bool(_)) => Some(format!("put it in quotes: `\"{written}\"`")),
            ("array", Value::Text(_) | Value::Number(_) | Value::Bool(_)) => {
                Some(format!("write a list with one entry: `[{written}]`"))
            }
            ("integer", Value::Text(_)) => Some("write it in digits, without quotes".to_owned()),
            ("boolean", _) => Some("write `true` or `false`, without quotes".to_owned()),
            _ => None,
        };
        let mut finding = Finding::new(
            Code::P104,
            here.path.clone(),
            format!("`{name}` is {found}, but {wanted_words} is needed"),
        );
        finding.help = help;
        self.report(finding, here);
        Json::Null
    }

    /// A key that the schema does not know here. Gives back the key that was meant, if that is plain and it is not there.
    pub(super) fn unknown_key(
        &mut self,
        entry: &Entry,
        schemas: Option<&'a Map<String, Json>>,
        beside: &[Entry],
        here: &Spot,
    ) -> Option<(&'a str, &'a Json)> {
        let key = short(&entry.key);
        let message = match here.path.as_str() {
            "" => format!("unknown key `{key}`"),
            path => format!("unknown key `{key}` in `{path}`"),
        };
        let finding = Finding::new(Code::P101, here.path.key(&entry.key), message).at(entry.key_place);
        let is_free = |key: &str| beside.iter().all(|entry| entry.key != key);
        let known = schemas.into_iter().flat_map(Map::keys).map(String::as_str);
        let free: Vec<&'a str> = known.filter(|known| is_free(known)).collect();
        let called = CALLED_HERE
            .iter()
            .find(|(other, ours)| *other == entry.key && free.contains(ours));
        let meant = called.and_then(|(_, ours)| free.iter().copied().find(|free| free == ours));
        let near = closest(&entry.key, free.iter().copied());
        let help = match (meant, near, self.home_of(&entry.key, here)) {
            (Some(ours), _, _) => format!("it is called `{ours}` here"),
            (None, Some(near), _) => format!("did you mean `{near}`?"),
            (None, None, Some(home)) => format!("`{key}` belongs under `{home}`: mind the indentation"),
            (None, None, None) if free.is_empty() => "take it out: no more keys are possible here".to_owned(),
            (None, None, None) => format!("possible here: {}", listed(&free)),
        };
        self.findings.push(finding.help(help));
        let meant = meant.or(near)?;
        schemas
            .and_then(|schemas| schemas.get(meant))
            .map(|schema| (meant, schema))
    }

    /// The top-level key under which `key` is at home, when it is not there already.
    fn home_of(&self, key: &str, here: &Spot) -> Option<&'a str> {
        let top = self.root["properties"].as_object()?;
        let home = top.iter().find(|(_, schema)| {
            let keys = definition(schema).map(|name| &self.root["$defs"][name]["properties"]);
            keys.is_some_and(|keys| keys.get(key).is_some())
        });
        let has_it = |home: &str| self.top.get(home).is_some_and(|node| node.get(key).is_some());
        home.map(|(home, _)| home.as_str())
            .filter(|home| *home != here.path.as_str() && !has_it(home))
    }

    /// A key that is needed here and is not there.
    pub(super) fn missing_key(&mut self, key: &str, known: Option<&Map<String, Json>>, here: &Spot) {
        let message = match here.path.as_str() {
            "" => format!("`{key}` is missing"),
            path => format!("`{key}` is missing in `{path}`"),
        };
        let mut finding = Finding::new(Code::P103, here.path.clone(), message);
        finding.help = Some(format!("add `{key}: {}`", example(key)));
        let meaning = known
            .and_then(|known| known.get(key))
            .and_then(|schema| schema["description"].as_str());
        finding.note = meaning.map(str::to_owned);
        self.report(finding, here);
    }

    /// None of the words, and none of the maps, that are possible here.
    pub(super) fn no_such_choice(&mut self, found: &str, choices: &Choices<'_>, here: &Spot) -> Json {
        let name = here.path.name();
        let possible: Vec<&str> = choices
            .words
            .iter()
            .copied()
            .chain(choices.maps.iter().map(|(key, _)| *key))
            .collect();
        let message = format!("`{}` is not possible for `{name}`", short(found));
        let mut finding = Finding::new(Code::P105, here.path.clone(), message);
        let wants_more = choices.maps.iter().any(|(key, _)| *key == found);
        finding.help = Some(if wants_more {
            format!("`{found}` says more about itself: write `{found}: {}`", example(found))
        } else if let Some(near) = closest(found, possible.iter().copied()) {
            format!("did you mean `{near}`?")
        } else {
            let maps = choices.maps.iter().map(|(key, _)| format!("{key}: {}", example(key)));
            let all: Vec<String> = choices
                .words
                .iter()
                .map(|word| (*word).to_owned())
                .chain(maps)
                .collect();
            format!(
                "possible: {}",
                listed(&all.iter().map(String::as_str).collect::<Vec<_>>())
            )
        });
        self.report(finding, here);
        Json::Null
    }
}

/// What a key may look like, for help.
fn example(key: &str) -> &'static str {
    match key {
        "apiVersion" => "tidegate.dev/v1alpha1",
        "kind" => "RolloutPlan",
        "metadata" => "{ name: checkout }",
        "weight" => "25%",
        "bake" => "30m",
        "within" | "rollbackAfter" => "15m",
        "default" => "rollback",
        "decide" => "{ within: 15m, default: rollback }",
        "flag" => "{ key: checkout-v2 }",
        "deployment-replicas" => "{ namespace: shop, new: checkout-v2, old: checkout-v1, total: 5 }",
        "service-selector" => "{ namespace: shop, service: checkout, label: version, new: v2, old: v1, ready: 3 }",
        "httproute" => "{ namespace: shop, route: checkout, new: checkout-v2, old: checkout-v1 }",
        "rollback" => "{ ladder: [{ name: flag-off, target: { flag: { key: checkout-v2 } }, within: 15s }] }",
        "total" | "ready" => "5",
        "target" => "{ flag: { key: checkout-v2 } }",
        "matchers" => "['severity=\"critical\"']",
        "alert" => "{ matchers: ['severity=\"critical\"'] }",
        "action" => "rollback",
        "members" => "[mara]",
        "channels" => "[chat]",
        "to" => "[stakeholders]",
        _ => "…",
    }
}

fn listed(words: &[&str]) -> String {
    words
        .iter()
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ")
}
