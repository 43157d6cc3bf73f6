//! Owns `tidegate token`: makes, lists and revokes tokens on a running server, with the admin token.
//! Refuses to write a token anywhere but to standard output.

use clap::{Args, Subcommand};
use serde_json::json;
use tidegate_rollout::Period;

use super::client::{Server, ServerArgs};
use super::print::one_line;
use super::{Exit, Failure, Out};
use crate::http::tokens::{KnownToken, KnownTokens, MadeToken};

const PATH: &str = "/api/v1/tokens";

/// Makes, lists and revokes tokens on a running server.
#[derive(Args, Debug)]
pub(super) struct TokenArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Says what would be asked of the server, and asks for nothing that changes anything.
    #[arg(long, global = true)]
    dry_run: bool,
    #[command(subcommand)]
    command: TokenCommand,
}

/// What to do with tokens.
#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Makes a token and prints it, this once.
    Create {
        /// On whose behalf it acts: a person of the configuration, or the name of a program.
        #[arg(long, value_name = "ID")]
        person: String,
        /// What it may do at most, may be repeated; without it whatever the person may. `flags` and `health` are for
        /// programs.
        #[arg(long, value_name = "ROLE")]
        role: Vec<String>,
        /// After how long it ends, such as `24h`; without it when it is revoked.
        #[arg(long, value_name = "PERIOD")]
        ttl: Option<Period>,
    },
    /// Lists the tokens and the sessions opened with them, without their secrets.
    List,
    /// Revokes a token and the sessions opened with it; they are gone everywhere within a second.
    Revoke {
        /// Its number, as listed.
        number: u64,
    },
}

impl TokenArgs {
    pub(super) fn run(self, out: &mut Out) -> Result<Exit, Failure> {
        let server = self.server.connect()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(carry(&server, self.command, self.dry_run, out))?;
        Ok(Exit::Done)
    }
}

async fn carry(server: &Server, command: TokenCommand, dry_run: bool, out: &mut Out) -> Result<(), Failure> {
    let rehearsed = |words: String, order: serde_json::Value, out: &mut Out| {
        let text = format!("A rehearsal: nothing was done. It would have been asked to {words}.");
        out.result(text, &json!({ "dry_run": true, "order": order }))
    };
    match command {
        TokenCommand::Create { person, role, ttl } => {
            let wanted = json!({ "person": person, "roles": role, "ttl": ttl });
            if dry_run {
                return rehearsed(
                    format!("make a token for {}", one_line(&person)),
                    json!({ "create": wanted }),
                    out,
                );
            }
            let made: MadeToken = server.post(PATH, &wanted, None).await?;
            out.note("The token is shown this once; keep it where only its owner can read it.");
            out.result(&made.token, &made)
        }
        TokenCommand::List => {
            let known: KnownTokens = server.get(PATH).await?;
            let lines: Vec<String> = known.tokens.iter().map(line).collect();
            out.result(lines.join("\n"), &known.tokens)
        }
        TokenCommand::Revoke { number } if dry_run => {
            rehearsed(format!("revoke token {number}"), json!({ "revoke": number }), out)
        }
        TokenCommand::Revoke { number } => {
            server.delete(&format!("{PATH}/{number}")).await?;
            out.result(format!("Token {number} is revoked."), &json!({ "revoked": number }))
        }
    }
}

fn line(token: &KnownToken) -> String {
    let roles: Vec<_> = token.roles.iter().map(|role| role.word()).collect();
    let roles = if roles.is_empty() {
        "whatever the person may".to_owned()
    } else {
        roles.join(", ")
    };
    let ends = token
        .expires_at
        .map(|end| format!(", until {end:.0}"))
        .unwrap_or_default();
    let opened = token
        .parent
        .map(|parent| format!(", a session opened with token {parent}"))
        .unwrap_or_default();
    format!("{:>4}  {}  {roles}{ends}{opened}", token.number, token.person)
}
