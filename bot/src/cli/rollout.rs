//! Owns `tidegate rollout …`: the same verbs as in chat, each a command with its own help, and `wait` and `watch` beside them.
//! Refuses to decide: it asks, prints, and turns the answer into an exit code.

mod follow;
mod grammar;
mod order;
mod say;

use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Subcommand};
use serde_json::json;
use tidegate_rollout::Period;
use tidegate_rollout::command::grammar::find;

use super::client::{Server, ServerArgs, refused};
use super::{Exit, Failure, Out};
use crate::chat::{Answer, Card};
use grammar::RolloutCommand;

/// Starts, steers and watches rollouts on a running server.
#[derive(Args, Debug)]
pub(super) struct RolloutArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Says what would be asked of the server, and asks for nothing that changes anything.
    #[arg(long, global = true)]
    dry_run: bool,
    #[command(subcommand)]
    command: RolloutCommand,
}

/// What only the command line can do.
#[derive(Debug, Subcommand)]
enum FollowCommand {
    /// Waits until a rollout is over; the exit code says how it ended.
    ///
    /// A server that does not answer for a while is asked again: with --timeout as long as that lasts, else for five minutes.
    Wait {
        /// The rollout; the only active one where none is named.
        rollout: Option<String>,
        /// Give up after so long, for example `30m`.
        #[arg(long)]
        timeout: Option<Period>,
    },
    /// Prints a line for every change until the rollout is over.
    Watch {
        /// The rollout; the only active one where none is named.
        rollout: Option<String>,
    },
}

impl RolloutArgs {
    pub(super) fn run(self, out: &mut Out) -> Result<Exit, Failure> {
        let server = self.server.connect()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let interrupted = tokio::signal::ctrl_c();
            tokio::select! {
                ended = carry(&server, self.command, self.dry_run, out) => ended,
                _ = interrupted => {
                    Err(Failure::new(Exit::Interrupted, "interrupted; the rollout itself goes on"))
                }
            }
        })
    }
}

/// A verb that there is not, in the words that every other surface has for it.
pub(super) fn strange_verb(error: &clap::Error) -> Option<Failure> {
    let word = match (error.kind(), error.get(ContextKind::InvalidSubcommand)) {
        (ErrorKind::InvalidSubcommand, Some(ContextValue::String(word))) => word,
        _ => return None,
    };
    let usage = error.get(ContextKind::Usage)?.to_string();
    let refusal = usage.contains("tidegate rollout ").then(|| find(word).err())??;
    Some(refused(&refusal.into()))
}

async fn carry(server: &Server, command: RolloutCommand, dry_run: bool, out: &mut Out) -> Result<Exit, Failure> {
    match command {
        RolloutCommand::Say(order) => say::run(server, order, dry_run, out).await,
        RolloutCommand::Follow(FollowCommand::Watch { rollout }) => follow::run(server, rollout, None, true, out).await,
        RolloutCommand::Follow(FollowCommand::Wait { rollout, timeout }) => {
            let timeout = timeout.and_then(|period| Duration::try_from(period.duration()).ok());
            follow::run(server, rollout, timeout, false, out).await
        }
    }
}

/// Where the rollout called `rollout` stands; without a name the only active one, else the newest.
async fn status(server: &Server, rollout: Option<&str>) -> Result<Card, Failure> {
    let question = json!({ "verb": "status", "rollout": rollout, "surface": "cli" });
    let answer: Answer = server.post("/api/v1/commands", &question, None).await?;
    match answer.card {
        Some(card) => Ok(card),
        None => Err(refused(&answer)),
    }
}
