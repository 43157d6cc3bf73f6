//! A configuration file in a folder of its own.

use std::collections::HashMap;

use tidegate::config::{Config, Faults, Sources};
use tidegate_tests::scratch::Scratch;

pub(super) struct Written {
    pub(super) scratch: Scratch,
    pub(super) sources: Sources,
}

impl Written {
    pub(super) fn new(text: &str) -> Self {
        let scratch = Scratch::new("configuration").unwrap();
        let file = scratch.write("tidegate.yml", text).unwrap();
        let sources = Sources {
            file: Some(file),
            environment: HashMap::new(),
            flags: Vec::new(),
        };
        Self { scratch, sources }
    }

    pub(super) fn env(mut self, name: &str, value: &str) -> Self {
        self.sources.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(super) fn flag(mut self, key: &'static str, value: &str) -> Self {
        self.sources.flags.push((key, value.to_owned()));
        self
    }

    pub(super) fn load(&self) -> Result<Config, Faults> {
        self.sources.load()
    }

    /// Every fault, with the folder taken out of the paths.
    pub(super) fn faults(&self) -> String {
        let faults = self.load().expect_err("it should be refused").to_string();
        faults.replace(&format!("{}/", self.scratch.path().display()), "")
    }
}
