//! Owns `tidegate dead-letters`: what a running server could not say, and one more try.
//! Refuses to decide whether a try makes sense: people know whether the channel is back.

use clap::{Args, Subcommand};
use serde_json::json;

use super::client::{Server, ServerArgs};
use super::{Exit, Failure, Out};
use crate::http::api::letters::{DeadLetters, Letter, Retried, Trying};

const PATH: &str = "/api/v1/dead-letters";

/// Shows what could not be said, and has it said once more.
#[derive(Args, Debug)]
pub(super) struct DeadLettersArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    command: DeadLettersCommand,
}

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
enum DeadLettersCommand {
    /// Lists the newest ones, and why each was given up; and what is still tried.
    List,
    /// Has one said once more.
    Retry {
        /// The notice, as listed.
        notice: String,
        /// The channel, as listed.
        channel: String,
    },
}

impl DeadLettersArgs {
    pub(super) fn run(self, out: &mut Out) -> Result<Exit, Failure> {
        let server = self.server.connect()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(carry(&server, self.command, out))?;
        Ok(Exit::Done)
    }
}

async fn carry(server: &Server, command: DeadLettersCommand, out: &mut Out) -> Result<(), Failure> {
    match command {
        DeadLettersCommand::List => {
            let known: DeadLetters = server.get(PATH).await?;
            let shown = known.dead_letters.len();
            let mut lines: Vec<String> = known.dead_letters.iter().map(line).collect();
            if lines.is_empty() {
                let nothing = match known.tried_on.is_empty() {
                    true => "Everything was said.",
                    false => "Nothing was given up.",
                };
                lines.push(nothing.to_owned());
            } else if u64::try_from(shown).is_ok_and(|shown| shown < known.count) {
                lines.push(format!("The newest {shown} of {}.", known.count));
            }
            lines.extend(known.tried_on.iter().map(tried_on));
            out.result(lines.join("\n"), &known)
        }
        DeadLettersCommand::Retry { notice, channel } => {
            let (name, place) = (segment(&notice), segment(&channel));
            let retried: Retried = server
                .post(&format!("{PATH}/{name}/{place}/retry"), &json!({}), None)
                .await?;
            out.result(format!("{notice} is said once more on {channel}."), &retried)
        }
    }
}

fn line(letter: &Letter) -> String {
    format!(
        "{}  {}  {:.0}  {} attempts: {}",
        letter.notice, letter.channel, letter.created_at, letter.attempts, letter.why
    )
}

fn tried_on(messages: &Trying) -> String {
    let Trying {
        channel,
        count,
        since,
        why,
    } = messages;
    format!("{channel}: {count} still tried, since {since:.0}: {why}")
}

/// A word as one segment of a path, whatever is in it.
fn segment(word: &str) -> String {
    url::form_urlencoded::byte_serialize(word.as_bytes())
        .collect::<String>()
        .replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::segment;

    #[test]
    fn a_word_stays_one_segment() {
        assert_eq!(segment("checkout-1.12.0"), "checkout-1.12.0");
        assert_eq!(segment("../tokens/1?x=y z"), "..%2Ftokens%2F1%3Fx%3Dy%20z");
    }
}
