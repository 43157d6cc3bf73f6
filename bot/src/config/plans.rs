//! Owns which files are plans.
//! Refuses to read them: that is the core's.

use std::path::{Path, PathBuf};

use super::section::Section;

/// The files that are plans, by patterns. They are looked up again at every reload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plans {
    patterns: Vec<PathBuf>,
}

impl Plans {
    pub(super) fn read(root: &mut Section<'_>) -> Self {
        let patterns = root.list::<String>("plans");
        let plans = Self {
            patterns: patterns.iter().map(|pattern| root.relative(pattern)).collect(),
        };
        for (n, pattern) in plans.patterns.iter().enumerate() {
            if let Err(error) = glob::Pattern::new(&pattern.to_string_lossy()) {
                root.fault(&format!("plans[{n}]"), format_args!("is no pattern: {error}"));
            }
        }
        plans
    }

    /// The files that match now, each once, in order. A pattern without any wildcard names one file, which must be there
    /// for whoever reads it next.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = self.patterns.iter().flat_map(|pattern| matching(pattern)).collect();
        files.sort();
        files.dedup();
        files
    }
}

fn matching(pattern: &Path) -> Vec<PathBuf> {
    let text = pattern.to_string_lossy();
    if !text.contains(['*', '?', '[']) {
        return vec![pattern.to_owned()];
    }
    let found = glob::glob(&text).map(|paths| paths.filter_map(Result::ok).filter(|path| path.is_file()).collect());
    found.unwrap_or_default()
}
