//! Owns `tidegate plan`: reads, checks and shows plan files.
//! Refuses to know the rules: what is wrong with a plan is decided in the core.

use clap::Subcommand;
use tidegate_rollout::plan::schema::schema;

use super::{Exit, Failure, Out};

/// What to do with plan files.
#[derive(Debug, Subcommand)]
pub(super) enum PlanCommand {
    /// Prints the JSON Schema of plan files, for editors.
    Schema,
}

impl PlanCommand {
    pub(super) fn run(self, out: &mut Out) -> Result<Exit, Failure> {
        match self {
            Self::Schema => {
                // The schema is a document of its own and is never wrapped in an envelope.
                out.line(format_args!("{:#}", schema()))?;
                Ok(Exit::Done)
            }
        }
    }
}
