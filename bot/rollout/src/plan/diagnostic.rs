//! Owns the shape of everything that can be said about a plan: code, level, where, what, why, and how to put it right.
//! Refuses to print: the command line draws it, the API and `-o json` give it as it is.

use serde::{Serialize, Serializer};

pub use super::codes::{Code, CodeDoc};
use super::place::{Path, Place};

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// The plan is refused.
    Error,
    /// The plan is taken, and will probably hurt.
    Warning,
    /// Good to know; often what the author means.
    Info,
}

impl Level {
    /// The word in front of the code.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// One thing to say about a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable; `tidegate plan explain` tells more about it.
    pub code: Code,
    /// Whether it stops the plan.
    pub level: Level,
    /// The value it is about, such as `spec.phases[1].weight`; empty for the whole plan.
    pub path: Path,
    /// Where that is in the text; `None` when the plan came without its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// What is wrong, in one line.
    pub message: String,
    /// What to write instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Why it matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Finding {
    /// A finding with the level of its code.
    pub fn new(code: Code, path: Path, message: impl Into<String>) -> Self {
        Self {
            code,
            level: code.doc().level,
            path,
            place: None,
            message: message.into(),
            help: None,
            note: None,
        }
    }

    /// The same, weighing as much as `level`.
    #[must_use]
    pub fn level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// The same with what to write instead.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same with why it matters.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// The same at a place that is known already.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// Whether the line it is about must not be shown, because a secret stands there.
    pub fn hides_its_line(&self) -> bool {
        self.code == Code::P270
    }
}

/// Puts findings in the order of the text; what has no place comes first.
pub fn sort(findings: &mut [Finding]) {
    findings.sort_by_key(|finding| (finding.place.map(|place| place.offset), finding.level, finding.code));
}

/// Whether one of `findings` stops the plan.
pub fn has_errors(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.level == Level::Error)
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}
