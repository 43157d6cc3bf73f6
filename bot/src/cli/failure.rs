//! Owns how a command says that it did not do what was asked: code, what, what next, in words or as JSON.
//! Refuses stack traces and error chains on the screen of a person: one sentence per cause.

use serde::Serialize;

use super::exit::Exit;
use crate::config::{Fault, Faults};

/// A command that did not end well: a refusal of the server, a wrong call, or something that broke.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Stable, for scripts and search: `R201` as the server gave it, else `C` and the exit code.
    pub code: String,
    /// The exit code of the process.
    #[serde(serialize_with = "as_number")]
    pub exit: Exit,
    /// What happened, in one line.
    pub message: String,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// When a retry makes sense, in seconds from now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
    /// What is wrong with the configuration, where that is what happened.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
}

fn as_number<S: serde::Serializer>(exit: &Exit, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u8(exit.number())
}

impl Failure {
    /// A failure of our own; its code is `C` and the number of `exit`.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            code: format!("C{:03}", exit.number()),
            exit,
            message: message.into(),
            hint: None,
            retry_after_s: None,
            faults: Vec::new(),
        }
    }

    /// The same with what to do next.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same under the stable code of a refusal.
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = code.into();
        self
    }
}

impl From<Faults> for Failure {
    /// All of them at once, for people and for programs.
    fn from(faults: Faults) -> Self {
        let count = match faults.all.len() {
            1 => "a fault".to_owned(),
            many => format!("{many} faults"),
        };
        Self {
            faults: faults.all,
            ..Self::new(Exit::Invalid, format!("the configuration has {count}"))
        }
    }
}

impl From<std::io::Error> for Failure {
    /// For output: what a command reads deserves a message that names it.
    fn from(error: std::io::Error) -> Self {
        Self::new(Exit::Failed, format!("could not write the output: {error}"))
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(Exit::Failed, format!("{error:#}"))
    }
}
