//! Owns `tidegate discord`: the command as Discord knows it, shown or registered there.
//! Refuses to print the token, and to leave it open what was put where.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Exit, Failure, Out, serve};
use crate::channel::discord::{Api, ApiError};
use crate::chat::discord::tree;
use crate::config::{self, Sources};
use crate::net::Net;

/// What concerns the application in Discord.
#[derive(Debug, Subcommand)]
pub(super) enum DiscordCommand {
    /// Registers the command on the configured servers. Replaces all commands that the application has there.
    Register(Register),
}

/// Where to register.
#[derive(Args, Debug)]
pub(super) struct Register {
    /// Everywhere the application is installed, and not on the configured servers one by one. Discord may take an hour to
    /// show it; other servers are refused by Tidegate all the same.
    #[arg(long)]
    global: bool,
    /// Shows what would be registered, and calls nobody.
    #[arg(long)]
    dry_run: bool,
    /// The configuration file; `tidegate.yml` if it is there.
    #[arg(long = "config.file", value_name = "FILE", env = "TIDEGATE_CONFIG_FILE")]
    config_file: Option<PathBuf>,
}

impl DiscordCommand {
    pub(super) fn run(self, out: &mut Out) -> Result<Exit, Failure> {
        match self {
            Self::Register(register) => register.run(out),
        }
    }
}

impl Register {
    fn run(self, out: &mut Out) -> Result<Exit, Failure> {
        let file = serve::config_file(self.config_file.clone());
        let config = Sources::of_process(file, Vec::new())
            .load()
            .map_err(|faults| Failure::from(faults).hint("`tidegate check-config FILE` says the same."))?;
        let discord = config.discord.as_ref().ok_or_else(|| {
            Failure::new(Exit::Usage, "the configuration names no application in Discord")
                .hint("Give `discord.public_key`, `discord.application`, `discord.guilds` and `discord.token_file`.")
        })?;
        let commands = json!([tree(&discord.command)]);
        if self.dry_run {
            out.result(format_args!("{commands:#}"), &commands)?;
            out.note("A rehearsal: nothing was registered.");
            return Ok(Exit::Done);
        }
        let net = Net::new(config.allowed_hosts()).map_err(anyhow::Error::from)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(anyhow::Error::from)?;
        let api = Api::new(discord, net);
        let done = runtime.block_on(self.register(&api, discord, &commands))?;
        let lines: Vec<String> = done.iter().map(said).collect();
        out.result(lines.join("\n"), &json!({ "registered": done }))?;
        Ok(Exit::Done)
    }

    async fn register(&self, api: &Api, discord: &config::Discord, commands: &Value) -> Result<Vec<Value>, Failure> {
        let places: Vec<Option<&str>> = match self.global {
            true => vec![None],
            false => discord.app.guilds.iter().map(|guild| Some(guild.as_str())).collect(),
        };
        let mut done = Vec::new();
        for place in places {
            let answer = api
                .register(place, commands)
                .await
                .map_err(|error| failed(place, error, &done))?;
            done.push(json!({
                "guild": place,
                "command": discord.command,
                "id": answer.pointer("/0/id"),
                "sub_commands": commands.pointer("/0/options").and_then(Value::as_array).map(Vec::len),
            }));
        }
        Ok(done)
    }
}

fn said(done: &Value) -> String {
    let text = |key: &str| done[key].as_str().unwrap_or_default();
    let place = match done["guild"].as_str() {
        Some(guild) => format!("on the server {guild}"),
        None => "everywhere the application is installed".to_owned(),
    };
    format!(
        "Registered /{} with {} verbs {place} (command {}).",
        text("command"),
        done["sub_commands"],
        text("id")
    )
}

/// What went wrong, and what is registered all the same.
fn failed(place: Option<&str>, error: ApiError, done: &[Value]) -> Failure {
    let exit = match &error {
        ApiError::Refused(_) => Exit::Refused,
        ApiError::Busy { .. } | ApiError::Unreachable(_) => Exit::Unreachable,
    };
    let place = place.map_or_else(|| "everywhere".to_owned(), |guild| format!("on the server {guild}"));
    let before = match done.len() {
        0 => "Nothing was registered.".to_owned(),
        before => format!("Registered before that: {before}."),
    };
    let error = anyhow::Error::from(error);
    Failure::new(
        exit,
        format!("could not register the command {place}: {error:#}. {before}"),
    )
}
