//! Owns the configuration in force. Everybody asks it again at each request, so a reload reaches all of them at once.
//! Refuses to change a part: one whole configuration replaces another.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::Config;

/// The configuration in force. Clones share it.
#[derive(Clone, Debug)]
pub struct Current(Arc<ArcSwap<Config>>);

impl Current {
    /// The first one.
    pub fn new(config: Config) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(config)))
    }

    /// The one in force now; the caller keeps it for as long as its work takes.
    pub fn get(&self) -> Arc<Config> {
        self.0.load_full()
    }

    /// From now on `config` is in force.
    pub fn replace(&self, config: Config) {
        self.0.store(Arc::new(config));
    }
}
