//! Owns what the gateways of an HTTPRoute say in its status: whether each that the route names has taken it over as it is now.
//! Refuses to take the word of one gateway for that of another.

use serde_json::Value;

/// How much of a gateway's own words is kept.
const WORDS: usize = 200;

/// One entry of `parentRefs`, with what the API takes for a field that is left out.
#[derive(PartialEq, Eq)]
struct Parent<'a> {
    group: &'a str,
    kind: &'a str,
    namespace: &'a str,
    name: &'a str,
    section: Option<&'a str>,
    port: Option<u64>,
}

impl<'a> Parent<'a> {
    /// As a route in `namespace` says it.
    fn of(reference: &'a Value, namespace: &'a str) -> Self {
        let text = |key: &str| reference[key].as_str();
        Self {
            group: text("group").unwrap_or("gateway.networking.k8s.io"),
            kind: text("kind").unwrap_or("Gateway"),
            namespace: text("namespace").unwrap_or(namespace),
            name: text("name").unwrap_or_default(),
            section: text("sectionName"),
            port: reference["port"].as_u64(),
        }
    }
}

impl std::fmt::Display for Parent<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}/{}", self.kind.to_lowercase(), self.namespace, self.name)?;
        if let Some(section) = self.section {
            write!(f, "/{section}")?;
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// Whether every gateway that `route` names says that it has taken it over as it is now; else which one does not.
///
/// What is said by a gateway that the route no longer names counts for nothing.
pub(super) fn accept(route: &Value) -> Result<(), String> {
    let text = |key: &str| route["metadata"][key].as_str().unwrap_or_default();
    let (name, namespace) = (text("name"), text("namespace"));
    let generation = route["metadata"]["generation"].as_u64().unwrap_or(0);
    let list = |value: &'_ Value| value.as_array().cloned().unwrap_or_default();
    let (named, said) = (list(&route["spec"]["parentRefs"]), list(&route["status"]["parents"]));
    if named.is_empty() {
        return Err(format!("{name} names no gateway"));
    }
    for reference in &named {
        let parent = Parent::of(reference, namespace);
        // More than one controller may answer for a gateway; each has to take it.
        let mut answers = said
            .iter()
            .filter(|said| Parent::of(&said["parentRef"], namespace) == parent)
            .peekable();
        if answers.peek().is_none() {
            return Err(format!("the {parent} says nothing about {name}"));
        }
        answers.try_for_each(|said| takes(&said["conditions"], &parent, name, generation))?;
    }
    Ok(())
}

fn takes(conditions: &Value, parent: &Parent<'_>, name: &str, generation: u64) -> Result<(), String> {
    let conditions = || conditions.as_array().into_iter().flatten();
    let accepted = conditions().find(|condition| condition["type"] == "Accepted");
    let current = accepted.filter(|it| it["observedGeneration"].as_u64().unwrap_or(0) >= generation);
    let Some(current) = current else {
        return Err(format!(
            "the {parent} has not looked at generation {generation} of {name} yet"
        ));
    };
    let refusing =
        conditions().find(|it| (it["type"] == "Accepted" || it["type"] == "ResolvedRefs") && it["status"] != "True");
    if current["status"] != "True" || refusing.is_some() {
        let words = refusing.unwrap_or(current)["message"].as_str().unwrap_or_default();
        let words: String = words.chars().take(WORDS).collect();
        return Err(format!("the {parent} does not take {name}: {words}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn says(parent: Value, generation: u64, status: &str) -> Value {
        let condition =
            |kind: &str| json!({ "type": kind, "status": status, "observedGeneration": generation, "message": "no" });
        json!({ "parentRef": parent, "conditions": [condition("Accepted"), condition("ResolvedRefs")] })
    }

    fn route(named: Value, said: Vec<Value>) -> Value {
        json!({
            "metadata": { "name": "boka", "namespace": "shop", "generation": 3 },
            "spec": { "parentRefs": named }, "status": { "parents": said },
        })
    }

    #[test]
    fn each_gateway_speaks_for_itself_alone_and_of_this_generation() {
        let (inner, outer) = (
            json!({ "name": "inner" }),
            json!({ "name": "outer", "namespace": "edge" }),
        );
        let both = || json!([inner, outer]);
        let judged = |said: Vec<Value>| accept(&route(both(), said)).err();
        let fine = |parent: &Value| says(parent.clone(), 3, "True");
        assert_eq!(judged(vec![fine(&inner), fine(&outer)]), None);
        let silent = "the gateway edge/outer says nothing about boka";
        assert_eq!(judged(vec![fine(&inner)]).as_deref(), Some(silent));
        let elsewhere = json!({ "name": "outer" });
        assert_eq!(judged(vec![fine(&inner), fine(&elsewhere)]).as_deref(), Some(silent));
        assert_eq!(
            judged(vec![fine(&inner), says(outer.clone(), 2, "True")]).as_deref(),
            Some("the gateway edge/outer has not looked at generation 3 of boka yet")
        );
        assert_eq!(
            judged(vec![fine(&inner), fine(&outer), says(outer.clone(), 3, "False")]).as_deref(),
            Some("the gateway edge/outer does not take boka: no"),
            "a second controller refuses it"
        );
    }

    #[test]
    fn a_field_that_is_left_out_is_what_the_api_takes_it_for() {
        let short = json!([{ "name": "gw", "sectionName": "https" }]);
        let long = json!({
            "group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": "shop", "name": "gw", "sectionName": "https",
        });
        assert_eq!(accept(&route(short.clone(), vec![says(long, 3, "True")])), Ok(()));
        let other = says(json!({ "name": "gw", "sectionName": "http" }), 3, "True");
        let silent = "the gateway shop/gw/https says nothing about boka".to_owned();
        assert_eq!(accept(&route(short, vec![other.clone()])), Err(silent));
        let left = json!([{ "name": "new" }]);
        let said = vec![other, says(json!({ "name": "new" }), 3, "True")];
        assert_eq!(
            accept(&route(left, said)),
            Ok(()),
            "what is no longer named counts for nothing"
        );
        assert_eq!(
            accept(&route(json!([]), Vec::new())),
            Err("boka names no gateway".to_owned())
        );
    }
}
