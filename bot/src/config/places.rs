//! Owns the lines of the configuration file: where each key stands.
//! Refuses to judge or keep a value: it may be a secret.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

/// The line of every key and list item, by its path.
#[derive(Debug, Default)]
pub(super) struct Places(BTreeMap<String, u64>);

impl Places {
    /// The lines of `text`; none where it is no YAML.
    pub(super) fn of(text: &str) -> Self {
        let options = serde_saphyr::options! { with_snippet: false };
        let mut places = Self::default();
        if let Ok(node) = serde_saphyr::from_str_with_options::<Node>(text, options) {
            places.note("", &node);
        }
        places
    }

    /// The line of the key at `path`, else of the table around it that is written down.
    pub(super) fn nearest(&self, path: &str) -> Option<u64> {
        let mut path = path;
        loop {
            if let Some(line) = self.0.get(path) {
                return Some(*line);
            }
            path = &path[..path.rfind(['.', '['])?];
        }
    }

    fn note(&mut self, path: &str, node: &Node) {
        match node {
            Node::Table(entries) => {
                for (key, line, node) in entries {
                    let path = if path.is_empty() {
                        key.clone()
                    } else {
                        format!("{path}.{key}")
                    };
                    self.0.insert(path.clone(), *line);
                    self.note(&path, node);
                }
            }
            Node::List(items) => {
                for (n, (line, node)) in items.iter().enumerate() {
                    let path = format!("{path}[{n}]");
                    self.0.insert(path.clone(), *line);
                    self.note(&path, node);
                }
            }
            Node::Word => {}
        }
    }
}

/// The text as far as it has lines of its own.
enum Node {
    Table(Vec<(String, u64, Node)>),
    List(Vec<(u64, Node)>),
    Word,
}

fn line(location: Location) -> u64 {
    location.line()
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Word)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Word)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
        Ok(Node::Word)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Word)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
        Ok(Node::Word)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Word)
    }

    fn visit_str<E>(self, _: &str) -> Result<Node, E> {
        Ok(Node::Word)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Node::Word)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<Spanned<Node>>()? {
            items.push((line(item.referenced), item.value));
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            entries.push((key.value, line(key.referenced), map.next_value()?));
        }
        Ok(Node::Table(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_its_line_and_a_missing_one_that_of_its_table() {
        let places =
            Places::of("web:\n  session: 1h\npeople:\n  - id: ana\n    roles: [a,\n      b]\n  - { id: li }\n");
        let line = |path| places.nearest(path);
        assert_eq!(line("web.session"), Some(2));
        assert_eq!(line("web.listen_address"), Some(1));
        assert_eq!(line("people[0].roles[1]"), Some(6));
        assert_eq!(line("people[1].id"), Some(7));
        assert_eq!(line("people[9].id"), Some(3));
        assert_eq!(line("slack.token_file"), None);
        assert_eq!(Places::of("web: {").nearest("web"), None);
    }
}
