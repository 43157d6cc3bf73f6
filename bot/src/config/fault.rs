//! Owns what can be said against a configuration: every fault with its path, all of them at once.
//! Refuses to show values of keys that hold secrets, and to stop at the first fault.

use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Fault {
    /// The path of the key, `web.listen_address`; empty for the file as a whole.
    pub path: String,
    /// The file, the environment variable or the flag that says so, where one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.origin {
            Some(origin) => write!(f, " [{origin}]"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct Faults {
    /// Every fault, in the order of reading.
    pub all: Vec<Fault>,
    /// What should be looked at besides.
    pub warnings: Vec<String>,
}

impl Faults {
    /// One fault of the configuration as a whole.
    pub fn whole(message: impl Into<String>) -> Self {
        let fault = Fault {
            path: String::new(),
            origin: None,
            message: message.into(),
        };
        Self {
            all: vec![fault],
            warnings: Vec::new(),
        }
    }
}

impl fmt::Display for Faults {
    /// One line for each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.all.iter().map(Fault::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}
