//! Owns where plans are looked for.
//! Refuses to read them: that is [`crate::plans`].

use std::path::PathBuf;

use super::section::Section;

/// Which files are plans. They are looked up again at every reload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanFiles {
    /// What the patterns are relative to: the directory of the configuration file.
    pub directory: PathBuf,
    /// Patterns such as `plans/*.yaml`.
    pub patterns: Vec<String>,
}

impl PlanFiles {
    pub(super) fn read(root: &mut Section<'_>) -> Self {
        let files = Self {
            directory: root.relative(""),
            patterns: root.list("plans"),
        };
        for (n, pattern) in files.patterns.iter().enumerate() {
            if let Err(error) = glob::Pattern::new(pattern) {
                root.fault(&format!("plans[{n}]"), format_args!("is no pattern: {error}"));
            }
        }
        files
    }
}
