//! Owns where an Alertmanager sends an alert of which only some labels are known: its tree of routes, walked as it walks it.
//! Refuses to guess: what hangs on a label that nobody knows has more than one outcome, and says which label it is. What groups,
//! mutes or inhibits an alert is not looked at.

use std::collections::BTreeSet;

use serde_json::Value;
use tidegate_rollout::Labels;
use tidegate_rollout::matcher::{Matcher, Op};

/// A route with those below it.
pub(super) struct Route {
    receiver: String,
    conditions: Vec<Condition>,
    /// Whether the routes after it are looked at, too.
    goes_on: bool,
    below: Vec<Route>,
}

/// Something that the labels of an alert must fulfil.
enum Condition {
    Matcher(Matcher),
    /// That there is such a label, or that there is none.
    Present(String, bool),
    /// It cannot be read, as it stands there.
    Odd(String),
}

/// What can become of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    /// It does not match, and goes elsewhere in the tree.
    Passed,
    /// It goes to somebody, not to us.
    Elsewhere,
    /// It comes to us, whoever else hears it.
    Ours,
}

/// Where an alert goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// To us.
    Here,
    /// To these receivers, and not to us.
    Elsewhere(BTreeSet<String>),
    /// That hangs on these labels, which are not known.
    Unknown(BTreeSet<String>),
}

impl Route {
    /// The tree of a loaded configuration.
    pub(super) fn of(loaded: &Value) -> Self {
        let mut root = Self::read(&loaded["route"], "");
        // The first route takes everything, and the configuration is refused where it says otherwise.
        root.conditions.clear();
        root
    }

    fn read(route: &Value, above: &str) -> Self {
        let receiver = route["receiver"].as_str().unwrap_or(above).to_owned();
        let below = route["routes"].as_array().into_iter().flatten();
        Self {
            conditions: conditions(route),
            goes_on: route["continue"].as_bool().unwrap_or(false),
            below: below.map(|route| Self::read(route, &receiver)).collect(),
            receiver,
        }
    }

    /// Where an alert with these labels goes; it may have others.
    pub(super) fn way(&self, known: &Labels, is_ours: &dyn Fn(&str) -> bool) -> Way {
        let mut walk = Walk {
            known,
            is_ours,
            unknown: BTreeSet::new(),
            heard: BTreeSet::new(),
        };
        let fates = walk.along(self);
        match (fates.contains(&Fate::Ours), fates.contains(&Fate::Elsewhere)) {
            (true, false) => Way::Here,
            (false, _) => Way::Elsewhere(walk.heard),
            (true, true) => Way::Unknown(walk.unknown),
        }
    }
}

struct Walk<'a> {
    known: &'a Labels,
    is_ours: &'a dyn Fn(&str) -> bool,
    /// The labels that something hung on.
    unknown: BTreeSet<String>,
    /// Receivers that hear of it and are not ours.
    heard: BTreeSet<String>,
}

impl Walk<'_> {
    /// Everything that can become of it at this route.
    fn along(&mut self, route: &Route) -> BTreeSet<Fate> {
        let mut unknown = Vec::new();
        for condition in &route.conditions {
            match condition.holds(self.known) {
                Some(true) => {}
                Some(false) => return BTreeSet::from([Fate::Passed]),
                None => unknown.push(condition.label().to_owned()),
            }
        }
        let mut fates = self.below(route);
        if !unknown.is_empty() {
            self.unknown.extend(unknown);
            fates.insert(Fate::Passed);
        }
        fates
    }

    /// What can become of one that matches it: the routes below, in order, and itself where none of them matches.
    fn below(&mut self, route: &Route) -> BTreeSet<Fate> {
        let mut open = BTreeSet::from([Fate::Passed]);
        let mut ended = BTreeSet::new();
        for child in &route.below {
            if open.is_empty() {
                break;
            }
            let here = self.along(child);
            let mut next = BTreeSet::new();
            for (before, now) in open
                .iter()
                .flat_map(|before| here.iter().map(move |now| (*before, *now)))
            {
                if now == Fate::Passed || child.goes_on {
                    next.insert(before.max(now));
                } else {
                    ended.insert(before.max(now));
                }
            }
            open = next;
        }
        if open.remove(&Fate::Passed) {
            if (self.is_ours)(&route.receiver) {
                open.insert(Fate::Ours);
            } else {
                self.heard.insert(route.receiver.clone());
                open.insert(Fate::Elsewhere);
            }
        }
        open.into_iter().chain(ended).collect()
    }
}

impl Condition {
    /// Whether labels like these fulfil it; nothing where that hangs on one that is not known.
    fn holds(&self, known: &Labels) -> Option<bool> {
        match self {
            Self::Matcher(matcher) if known.contains_key(matcher.name()) => Some(matcher.matches(known)),
            // Whatever the label says, or were it not there.
            Self::Matcher(matcher) if matcher.value() == ".*" && matcher.op() == Op::Matches => Some(true),
            Self::Matcher(_) | Self::Odd(_) => None,
            Self::Present(name, wanted) => known.contains_key(name).then_some(*wanted),
        }
    }

    fn label(&self) -> &str {
        match self {
            Self::Matcher(matcher) => matcher.name(),
            Self::Present(name, _) => name,
            Self::Odd(text) => text,
        }
    }

    /// One as it stands under `matchers`.
    fn read(text: &str) -> Self {
        match text.parse() {
            Ok(matcher) => Self::Matcher(matcher),
            Err(_) => Self::about_absence(text).unwrap_or_else(|| Self::Odd(text.to_owned())),
        }
    }

    /// `name=""` and its like, which plans are refused for, and routes are not.
    fn about_absence(text: &str) -> Option<Self> {
        let (name, wanted) = [("!=", true), ("!~", true), ("=~", false), ("=", false)]
            .into_iter()
            .find_map(|(sign, wanted)| {
                text.split_once(sign)
                    .filter(|(_, value)| value.trim() == "\"\"")
                    .map(|(name, _)| (name, wanted))
            })?;
        let name = name.trim();
        let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        is_name.then(|| Self::Present(name.to_owned(), wanted))
    }
}

/// Those of one route, in the three ways they can be written.
fn conditions(route: &Value) -> Vec<Condition> {
    let pairs = |key: &str, sign: &str| {
        let pairs = route[key].as_object().into_iter().flatten();
        let written = pairs.map(|(name, value)| {
            let value = value.as_str().unwrap_or_default();
            let value = value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', "\\n");
            format!("{name}{sign}\"{value}\"")
        });
        written.map(|text| Condition::read(&text)).collect::<Vec<_>>()
    };
    let listed = route["matchers"].as_array().into_iter().flatten();
    let listed = listed.filter_map(Value::as_str).map(Condition::read);
    let all = listed.chain(pairs("match", "="));
    all.chain(pairs("match_re", "=~")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn way(route: Value, known: &[(&str, &str)]) -> Way {
        let known = known
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Route::of(&json!({ "route": route })).way(&known.collect(), &|receiver| receiver == "us")
    }

    fn elsewhere(to: &[&str]) -> Way {
        Way::Elsewhere(to.iter().map(|it| (*it).to_owned()).collect())
    }

    fn unknown(labels: &[&str]) -> Way {
        Way::Unknown(labels.iter().map(|it| (*it).to_owned()).collect())
    }

    const PAY: [(&str, &str); 2] = [("service", "pay"), ("alertname", "Errors")];

    #[test]
    fn a_route_that_matches_ends_the_walk_and_one_that_goes_on_does_not() {
        let tree = |goes_on: bool| {
            json!({ "receiver": "people", "routes": [
                { "receiver": "desk", "matchers": ["service=\"pay\""], "continue": goes_on },
                { "receiver": "us", "matchers": ["alertname=~\"Err.*\""] },
            ] })
        };
        assert_eq!(way(tree(true), &PAY), Way::Here);
        assert_eq!(way(tree(false), &PAY), elsewhere(&["desk"]));
    }

    #[test]
    fn the_nearest_receiver_counts_and_the_root_only_where_no_route_matches() {
        let tree = json!({ "receiver": "us", "routes": [{ "match": { "service": "pay" }, "routes": [
            { "receiver": "desk", "match_re": { "alertname": "Err|Errors" } },
        ] }] });
        assert_eq!(way(tree.clone(), &PAY), elsewhere(&["desk"]));
        // It is none of those below, and has no receiver of its own.
        assert_eq!(
            way(tree.clone(), &[("service", "pay"), ("alertname", "Slow")]),
            Way::Here
        );
        assert_eq!(way(tree, &[("service", "till")]), Way::Here);
    }

    #[test]
    fn patterns_are_anchored() {
        let tree = json!({ "receiver": "us", "routes": [{ "receiver": "desk", "match_re": { "alertname": "Err" } }] });
        assert_eq!(way(tree, &PAY), Way::Here);
    }

    #[test]
    fn what_hangs_on_an_unknown_label_is_said_to() {
        let by_team = json!({ "receiver": "people", "routes": [{ "receiver": "us", "matchers": ["team=\"a\""] }] });
        assert_eq!(way(by_team.clone(), &PAY), unknown(&["team"]));
        assert_eq!(way(by_team, &[("team", "b")]), elsewhere(&["people"]));
        // Either way it comes here, so nothing hangs on it.
        let also = json!({ "receiver": "us", "routes": [{ "receiver": "us", "matchers": ["team=\"a\""] }] });
        assert_eq!(way(also, &PAY), Way::Here);
        let never = json!({ "receiver": "people", "routes": [
            { "receiver": "us", "matchers": ["team=\"a\"", "service=\"till\""] },
            { "receiver": "desk", "matchers": ["team=\"a\""] },
        ] });
        assert_eq!(way(never, &PAY), elsewhere(&["desk", "people"]));
        let odd = json!({ "receiver": "people", "routes": [{ "receiver": "us", "matchers": ["\"of.dots\"=\"a\""] }] });
        assert_eq!(way(odd, &PAY), unknown(&["\"of.dots\"=\"a\""]));
    }

    #[test]
    fn absence_is_a_condition_and_anything_is_none() {
        let ours_if =
            |matcher: &str| json!({ "receiver": "people", "routes": [{ "receiver": "us", "matchers": [matcher] }] });
        for (matcher, expected) in [
            ("service!=\"\"", Way::Here),
            ("service=\"\"", elsewhere(&["people"])),
            ("team=\"\"", unknown(&["team"])),
            ("team=~\".*\"", Way::Here),
            ("team=~\".+\"", unknown(&["team"])),
            ("service!=\"pay\"", elsewhere(&["people"])),
            ("service!~\"till|desk\"", Way::Here),
        ] {
            assert_eq!(way(ours_if(matcher), &PAY), expected, "{matcher}");
        }
    }

    #[test]
    fn a_tree_that_is_none_sends_nothing_here() {
        assert_eq!(way(Value::Null, &PAY), elsewhere(&[""]));
    }
}
