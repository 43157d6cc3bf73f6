//! Owns the configuration in force. Everybody asks it again at each request, so a reload reaches all of them at once.
//! Refuses to change a part: one whole configuration replaces another.

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::Timestamp;

use super::{Config, Fault};

/// The configuration in force, and the last one that was refused in its place. Clones share them.
#[derive(Clone, Debug)]
pub struct Current {
    config: Arc<ArcSwap<Config>>,
    refused: Arc<ArcSwapOption<Refused>>,
}

/// A reload that changed nothing, because of what is wrong with the files.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Refused {
    /// When that was.
    pub at: Timestamp,
    /// Everything that is wrong.
    pub faults: Vec<Fault>,
}

impl Current {
    /// The first one.
    pub fn new(config: Config) -> Self {
        Self {
            config: Arc::new(ArcSwap::from_pointee(config)),
            refused: Arc::default(),
        }
    }

    /// The one in force now; the caller keeps it for as long as its work takes.
    pub fn get(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// From now on `config` is in force.
    pub fn replace(&self, config: Config) {
        self.config.store(Arc::new(config));
        self.refused.store(None);
    }

    /// Another one was refused; the one in force stays.
    pub fn refuse(&self, refused: Refused) {
        self.refused.store(Some(Arc::new(refused)));
    }

    /// The reload that was refused since the one in force came to be.
    pub fn refused(&self) -> Option<Arc<Refused>> {
        self.refused.load_full()
    }
}
