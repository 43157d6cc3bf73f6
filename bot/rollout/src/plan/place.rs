//! Owns where things are: the path of a value inside a plan, and the place of that path in the text.
//! Refuses to be part of a plan: the same plan from another text is equal, and has the same digest.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::diagnostic::Finding;

/// A stretch of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// First byte, from 0.
    pub offset: usize,
    /// How many bytes.
    pub length: usize,
    /// Line of the first character, from 1.
    pub line: usize,
    /// Column of the first character, in characters, from 1.
    pub column: usize,
}

/// Where a value is inside a plan, as people say it: `spec.phases[2].weight`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path {
    text: String,
    /// Where the last key begins.
    last: usize,
}

impl Path {
    /// The plan as a whole.
    pub fn root() -> Self {
        Self::default()
    }

    /// What stands under `spec`.
    pub fn spec(key: &str) -> Self {
        Self::root().key("spec").key(key)
    }

    /// The value of `key` in the map that is here.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let mut text = self.text.clone();
        if key.is_empty() || !key.bytes().all(plain) {
            text.push_str(&format!("[{key:?}]"));
            return Self {
                last: self.text.len(),
                text,
            };
        }
        if !text.is_empty() {
            text.push('.');
        }
        let last = text.len();
        text.push_str(key);
        Self { text, last }
    }

    /// The `index`-th item, from 0, of the list that is here.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        Self {
            text: format!("{}[{index}]", self.text),
            last: self.last,
        }
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The end of it, enough to name it where the place is known: `weight`, `matchers[0]`; `the plan` for the whole.
    pub fn name(&self) -> &str {
        match &self.text[self.last..] {
            "" => "the plan",
            name => name,
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Path {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

/// Path → place, for every value of a text that could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places(BTreeMap<String, Place>);

impl Places {
    /// Remembers where `path` is.
    pub(super) fn insert(&mut self, path: &Path, place: Place) {
        self.0.insert(path.text.clone(), place);
    }

    /// Where `path` is: the value where it is one word, its key where it is a map or a list.
    pub fn of(&self, path: &Path) -> Option<Place> {
        self.0.get(path.as_str()).copied()
    }

    /// Where `path` is, or the nearest thing around it: what is missing has no place of its own.
    pub fn near(&self, path: &Path) -> Option<Place> {
        let mut text = path.as_str();
        loop {
            if let Some(place) = self.0.get(text) {
                return Some(*place);
            }
            if text.is_empty() {
                return None;
            }
            text = &text[..text.rfind(['.', '[']).unwrap_or_default()];
        }
    }

    /// Gives a place to every finding that has none.
    pub fn locate(&self, findings: &mut [Finding]) {
        for finding in findings {
            finding.place = finding.place.or_else(|| self.near(&finding.path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_as_people_say_it() {
        let path = Path::spec("phases").index(2).key("weight");
        assert_eq!(path.as_str(), "spec.phases[2].weight");
        assert_eq!(path.name(), "weight");
        assert_eq!(Path::spec("triggers").index(0).name(), "triggers[0]");
        assert_eq!(Path::spec("roles").key("a.b c").as_str(), "spec.roles[\"a.b c\"]");
        assert_eq!(Path::root().name(), "the plan");
    }

    #[test]
    fn what_is_missing_is_near_what_surrounds_it() {
        let place = |line| Place {
            offset: 0,
            length: 1,
            line,
            column: 1,
        };
        let mut places = Places::default();
        places.insert(&Path::root(), place(1));
        places.insert(&Path::spec("roles"), place(2));
        places.insert(&Path::spec("roles").key("a.b"), place(3));
        assert_eq!(
            places.near(&Path::spec("roles").key("a.b").key("members")),
            Some(place(3))
        );
        assert_eq!(places.near(&Path::spec("roles").key("c[d")), Some(place(2)));
        assert_eq!(places.near(&Path::root().key("metadata")), Some(place(1)));
        assert_eq!(Places::default().near(&Path::spec("roles")), None);
    }
}
