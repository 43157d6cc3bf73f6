//! Owns what the pods of the new version say when traffic goes back: which pod, how it stands, and the end of its log.
//! Refuses to judge it: it is text from outside, for people who look for the cause.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::hook::Output;

/// The end of the log of one pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodLog {
    /// Its name.
    pub pod: String,
    /// Which of its containers.
    pub container: String,
    /// How that stood, in words: "CrashLoopBackOff, 4 restarts".
    pub state: String,
    /// The last of what it wrote; of the run before, where it was being started again.
    pub output: Output,
}

impl fmt::Display for PodLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}: {})", self.pod, self.container, self.state)
    }
}

/// What was found when the pods were looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodLogs {
    /// The pods that were failing, or one of the others where none was.
    pub pods: Vec<PodLog>,
    /// What could not be read, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread: Option<String>,
}
