//! Owns one line of a rollout's log: when, what, by whom, in plain words.
//! Refuses to be edited: lines are appended and chained, see [`crate::chain`].

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One line of the log. The log is the audit trail, and the source of timeline, report and post-mortem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When it was decided or learnt.
    pub at: Timestamp,
    /// A stable word for machines, the same as the notice's kind where there is one.
    pub kind: String,
    /// The person, or `tidegate`.
    pub by: String,
    /// The sentence people read.
    pub text: String,
}
