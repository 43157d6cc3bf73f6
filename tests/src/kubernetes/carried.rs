//! How many ready endpoints stand behind whatever carries traffic, and the fewest there ever were.

use std::collections::BTreeMap;

use serde_json::Value;

use super::crew::slice_of;
use super::world::Key;

/// By Service, and by route: the backend with the fewest of those that get traffic.
#[derive(Debug, Default)]
pub(super) struct Carried {
    least: BTreeMap<Key, usize>,
}

impl Carried {
    /// Notes how many there are now.
    pub(super) fn count(&mut self, objects: &BTreeMap<Key, Value>, pods: &[Value]) {
        let behind = |service: &Value| {
            let slice = slice_of(service, pods);
            let endpoints = slice["endpoints"].as_array().into_iter().flatten();
            endpoints
                .filter(|endpoint| endpoint["conditions"]["ready"] == true)
                .count()
        };
        let behind_named = |namespace: &str, name: &str| {
            let key = super::key("", "services", namespace, name);
            objects.get(&key).map_or(0, behind)
        };
        for (key, object) in objects {
            let carried = match key.1.as_str() {
                "services" => Some(behind(object)),
                "httproutes" => {
                    let rules = object["spec"]["rules"].as_array().into_iter().flatten();
                    let backends = rules.flat_map(|rule| rule["backendRefs"].as_array().into_iter().flatten());
                    let loaded = backends.filter(|backend| backend["weight"].as_u64() != Some(0));
                    let names = loaded.filter_map(|backend| backend["name"].as_str());
                    names.map(|name| behind_named(&key.2, name)).min()
                }
                _ => None,
            };
            if let Some(carried) = carried {
                let least = self.least.entry(key.clone()).or_insert(carried);
                *least = carried.min(*least);
            }
        }
    }

    /// What was there so far does not count as a dip.
    pub(super) fn count_anew(&mut self) {
        self.least.clear();
    }

    pub(super) fn least(&self, key: &Key) -> Option<usize> {
        self.least.get(key).copied()
    }
}
