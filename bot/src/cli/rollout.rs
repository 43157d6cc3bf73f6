//! Owns `tidegate rollout …`: the same words as in chat, carried to the server, and `wait` and `watch` beside them.
//! Refuses to decide: it asks, prints, and turns the answer into an exit code.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;
use tidegate_rollout::command::USAGES;

use super::client::{Server, ServerArgs, refused};
use super::{Exit, Failure, Format, Out};
use crate::chat::{Answer, Card};

/// How often a waiting client looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Starts, steers and watches rollouts on a running server.
#[derive(Args, Debug)]
#[command(after_help = verbs())]
pub(super) struct RolloutArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    command: RolloutCommand,
}

/// What to do with rollouts.
#[derive(Debug, Subcommand)]
enum RolloutCommand {
    /// Waits until a rollout is over; the exit code says how it ended.
    Wait {
        /// The rollout; the only active one where none is named.
        rollout: Option<String>,
        /// Give up after so long, for example `30m`.
        #[arg(long)]
        timeout: Option<tidegate_rollout::Period>,
    },
    /// Prints a line for every change until the rollout is over.
    Watch {
        /// The rollout; the only active one where none is named.
        rollout: Option<String>,
    },
    /// Any other verb, as in chat: `start checkout version:2.3.0`, `status`, `rollback "errors"`.
    #[command(external_subcommand)]
    Say(Vec<String>),
}

fn verbs() -> String {
    let mut text = "Verbs, the same as in chat:\n".to_owned();
    for usage in USAGES {
        text.push_str(&format!("  {:<9} {:<38} {}\n", usage.verb, usage.arguments, usage.says));
    }
    text
}

impl RolloutArgs {
    pub(super) fn run(self, out: &mut Out) -> Result<Exit, Failure> {
        let server = self.server.connect()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let interrupted = tokio::signal::ctrl_c();
            tokio::select! {
                ended = carry(&server, self.command, out) => ended,
                _ = interrupted => {
                    Err(Failure::new(Exit::Interrupted, "interrupted; the rollout itself goes on"))
                }
            }
        })
    }
}

async fn carry(server: &Server, command: RolloutCommand, out: &mut Out) -> Result<Exit, Failure> {
    match command {
        RolloutCommand::Say(words) => say(server, &words, out).await,
        RolloutCommand::Watch { rollout } => follow(server, rollout, None, true, out).await,
        RolloutCommand::Wait { rollout, timeout } => {
            let timeout = timeout.and_then(|period| Duration::try_from(period.duration()).ok());
            follow(server, rollout, timeout, false, out).await
        }
    }
}

async fn say(server: &Server, words: &[String], out: &mut Out) -> Result<Exit, Failure> {
    let key = uuid::Uuid::now_v7().to_string();
    let answer: Answer = server
        .post(
            "/api/v1/commands",
            &json!({ "text": line(words), "surface": "cli" }),
            Some(&key),
        )
        .await?;
    if !answer.ok {
        return Err(refused(&answer));
    }
    out.result(&answer.text, &answer)?;
    Ok(Exit::Done)
}

/// The shell took the quotes off; words with spaces get them back.
fn line(words: &[String]) -> String {
    let quoted = |word: &String| {
        let option = word
            .split_once(':')
            .filter(|(key, value)| !key.contains(' ') && value.contains(' '));
        match option {
            Some((key, value)) => format!("{key}:\"{}\"", value.replace('"', "'")),
            None if word.is_empty() || word.contains(char::is_whitespace) => format!("\"{}\"", word.replace('"', "'")),
            None => word.clone(),
        }
    };
    words.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

async fn follow(
    server: &Server,
    rollout: Option<String>,
    timeout: Option<Duration>,
    every_change: bool,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let started = tokio::time::Instant::now();
    let id = named(server, rollout).await?;
    let mut seen = None;
    loop {
        let card: Card = server.get(&format!("/api/v1/rollouts/{id}")).await?;
        let ended = ended(&card);
        if seen != Some(card.generation) && (every_change || ended.is_some()) {
            seen = Some(card.generation);
            match out.format {
                Format::Text => out.line(headline(&card))?,
                Format::Json | Format::Yaml | Format::Ndjson => out.item(&card)?,
            }
        }
        if let Some(exit) = ended {
            return Ok(exit);
        }
        if timeout.is_some_and(|timeout| started.elapsed() >= timeout) {
            return Err(
                Failure::new(Exit::TimedOut, format!("{id} is not over: {}", headline(&card)))
                    .hint("The rollout itself goes on."),
            );
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn named(server: &Server, rollout: Option<String>) -> Result<String, Failure> {
    let text = rollout.map_or_else(|| "status".to_owned(), |rollout| format!("status {rollout}"));
    let answer: Answer = server
        .post("/api/v1/commands", &json!({ "text": text, "surface": "cli" }), None)
        .await?;
    match &answer.rollout {
        Some(id) => Ok(id.clone()),
        None => Err(refused(&answer)),
    }
}

fn ended(card: &Card) -> Option<Exit> {
    match card.state.as_str() {
        "COMPLETED" => Some(Exit::Done),
        "ROLLED BACK" => Some(Exit::RolledBack),
        "ABORTED" => Some(Exit::Refused),
        "ROLLING BACK" if card.next.contains("stuck") => Some(Exit::RollbackFailed),
        _ => None,
    }
}

fn headline(card: &Card) -> String {
    let health = card
        .health
        .as_deref()
        .map(|health| format!(" × {health}"))
        .unwrap_or_default();
    let phase = card.phase.as_deref().unwrap_or("-");
    format!(
        "{}  {}{health}  {}  {phase}  {}",
        card.rollout, card.state, card.weight, card.next
    )
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn words_with_spaces_get_their_quotes_back() {
        let words = ["rollback", "checkout-17", "too many \"5xx\"", "ticket:OPS 12"].map(str::to_owned);
        assert_eq!(
            line(&words),
            "rollback checkout-17 \"too many '5xx'\" ticket:\"OPS 12\""
        );
    }
}
