//! Every change of the fake cluster, in order, as an API server keeps it for whoever watches.
//!
//! Refuses to be kept for ever: what is older than the last [`KEPT`] changes is forgotten, and who asks for it has to list again.

use std::collections::VecDeque;

use serde_json::Value;

use super::world::Key;

/// So many changes are remembered.
const KEPT: usize = 2_000;

/// One object, before and after.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) version: u64,
    pub(super) key: Key,
    /// None where it is new.
    pub(super) before: Option<Value>,
    /// None where it is gone.
    pub(super) after: Option<Value>,
}

/// The versions that were given so far, and what became of each.
#[derive(Debug)]
pub(super) struct History {
    version: u64,
    changes: VecDeque<Change>,
    /// The youngest version of which nothing is known any more.
    forgotten: u64,
}

impl Default for History {
    /// As of a cluster that is there for long: of what was before the first change, nothing is known.
    fn default() -> Self {
        const LONG_AGO: u64 = 100;
        Self {
            version: LONG_AGO,
            changes: VecDeque::new(),
            forgotten: LONG_AGO,
        }
    }
}

impl History {
    /// The youngest version.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// The oldest version from which everything since is known.
    pub(super) fn oldest(&self) -> u64 {
        self.forgotten
    }

    /// A version that was not given before.
    pub(super) fn next(&mut self) -> u64 {
        self.version += 1;
        self.version
    }

    /// Remembers a change, whose version was given last.
    pub(super) fn note(&mut self, key: &Key, before: Option<Value>, after: Option<Value>) {
        self.changes.push_back(Change {
            version: self.version,
            key: key.clone(),
            before,
            after,
        });
        if self.changes.len() > KEPT {
            self.forgotten = self.changes.pop_front().map_or(self.forgotten, |gone| gone.version);
        }
    }

    /// What changed after `version`, the oldest first.
    pub(super) fn since(&self, version: u64) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(move |change| change.version > version)
    }
}
