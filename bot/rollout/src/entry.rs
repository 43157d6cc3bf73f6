//! Owns one line of a rollout's log: when, what, by whom, from where, in plain words.
//! Refuses to be edited: lines are appended and chained, see [`crate::chain`].

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::person::Surface;

/// Whom a line names that no person caused.
pub const OWN: &str = "tidegate";

/// One line of the log. The log is the audit trail, and the source of timeline, report and post-mortem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When it was decided or learnt.
    pub at: Timestamp,
    /// A stable word for machines, the same as the notice's kind where there is one.
    pub kind: String,
    /// The person, or `tidegate`.
    pub by: String,
    /// Where the person said so; `None` for what nobody said, and for lines from before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub surface: Option<Surface>,
    /// The sentence people read.
    pub text: String,
}

impl Entry {
    /// A line that no person caused.
    pub fn own(at: Timestamp, kind: &str, text: String) -> Self {
        Self {
            at,
            kind: kind.to_owned(),
            by: OWN.to_owned(),
            surface: None,
            text,
        }
    }

    /// Who, and where they said it: "mara in Slack".
    pub fn speaker(&self) -> String {
        match self.surface {
            Some(surface) => format!("{} {}", self.by, surface.place()),
            None => self.by.clone(),
        }
    }
}
