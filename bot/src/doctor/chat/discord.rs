//! Owns what is asked of Discord: the application of the token, the address it calls, its commands, and what it may do in each
//! channel.
//! Refuses to post and to register: a card or a command nobody asked for is a change.

mod permissions;

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::OnceCell;
use url::Url;

use super::{Identity, No, Platform, Scope};
use crate::channel::discord::{Api, ApiError};
use crate::clock;
use crate::config::{ChannelKind, Config};
use crate::doctor::Finding;
use crate::doctor::ask::{Asker, shown};
use crate::render::one_line;
use permissions::Bot;

/// Where Discord's requests are taken, below the address of the server.
const DOOR: &str = "discord/interactions";
/// The kinds of channels whose messages can have threads: those for text, and those for announcements.
const WITH_THREADS: [u64; 2] = [0, 5];

/// The application in Discord.
pub(super) struct Discord {
    api: Api,
    /// What Discord knows of the application; asked once.
    known: OnceCell<Value>,
    peer: String,
    application: String,
    /// The servers, and the bot there; asked once.
    guilds: BTreeMap<String, OnceCell<Bot>>,
    command: String,
    public_key: String,
    door: Option<Url>,
    channels: Vec<(String, String)>,
}

impl Discord {
    /// The one that is configured.
    pub(super) fn of(config: &Config, asker: &Asker) -> Option<Self> {
        let discord = config.discord.as_ref()?;
        let channels = config
            .channels
            .iter()
            .filter_map(|(name, channel)| match &channel.kind {
                ChannelKind::Discord { channel } => Some((name.clone(), channel.clone())),
                _ => None,
            });
        let external = config.web.external_url.as_ref();
        Some(Self {
            api: Api::new(discord, asker.net.clone()),
            known: OnceCell::new(),
            peer: shown(&discord.api_url),
            application: discord.app.id.clone(),
            guilds: discord
                .app
                .guilds
                .iter()
                .map(|guild| (guild.clone(), OnceCell::new()))
                .collect(),
            command: discord.command.clone(),
            public_key: discord.public_key.to_lowercase(),
            door: external.and_then(|url| Url::parse(&format!("{}/{DOOR}", url.as_str().trim_end_matches('/'))).ok()),
            channels: channels.collect(),
        })
    }

    async fn application(&self) -> Result<&Value, ApiError> {
        self.known.get_or_try_init(|| self.api.application()).await
    }

    /// What the bot is on a server that the channel `name` belongs to.
    async fn bot<'a>(&'a self, name: &str, guild: &str, known: &'a OnceCell<Bot>) -> Result<&'a Bot, No> {
        let ask = async || {
            let me = self.api.me().await?;
            let (server, member) = (self.api.guild(guild).await?, self.api.member(guild, me).await?);
            Bot::of(me, &server, &member).map_err(ApiError::Unreachable)
        };
        known.get_or_try_init(ask).await.map_err(|error| match error {
            ApiError::Refused(refused) => No {
                code: "discord.permissions-unknown",
                says: format!("nobody tells what the application may do in the channel `{name}`: {refused}"),
                fix: "Install the application on the server with the scope `bot`.".to_owned(),
            },
            ApiError::Busy { .. } | ApiError::Unreachable(_) => refused("discord.unreachable", &self.peer, &error),
        })
    }

    /// What stands in the way of a card and its thread in a channel that can be seen.
    async fn judge_channel(&self, name: &str, channel: &str, found: &Value) -> Result<(), No> {
        let key = format!("channels.{name}.discord.channel");
        let guild = found.get("guild_id").and_then(Value::as_str).unwrap_or_default();
        let Some(known) = self.guilds.get(guild) else {
            return Err(No {
                code: "discord.other-server",
                says: format!(
                    "the channel `{name}` is on a server that is not listened to: its buttons would do nothing"
                ),
                fix: format!("Add {} to `discord.guilds`, or correct `{key}`.", one_line(guild)),
            });
        };
        let kind = found.get("type").and_then(Value::as_u64);
        if kind.is_some_and(|kind| !WITH_THREADS.contains(&kind)) {
            return Err(No {
                code: "discord.no-threads",
                says: format!("the channel `{name}` ({channel}) is none whose messages can have threads"),
                fix: format!("Name a text or announcement channel in `{key}`, no thread, forum or voice channel."),
            });
        }
        let bot = self.bot(name, guild, known).await?;
        if let Some(until) = bot.is_timed_out(clock::now()) {
            return Err(No {
                code: "discord.timed-out",
                says: format!("the bot may not speak in the channel `{name}`: it is timed out until {until}"),
                fix: "Take its timeout away, in the list of the server's members.".to_owned(),
            });
        }
        let lacks = bot.lacks(found);
        if lacks.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = lacks.iter().map(|lack| lack.permission).collect();
        let reasons = lacks
            .iter()
            .map(|lack| format!("{} ({})", lack.permission, lack.because));
        Err(No {
            code: "discord.no-permission",
            says: format!(
                "in the channel `{name}` ({channel}) the bot lacks: {}",
                reasons.collect::<Vec<_>>().join(", ")
            ),
            fix: format!(
                "In the settings of the channel, under \"Permissions\", add the bot as a member and allow it: {}.",
                names.join(", ")
            ),
        })
    }

    /// What proves requests must be what we check them with, and they must come to us.
    fn judge(&self, application: &Value) -> Vec<Finding> {
        let mut found = Vec::new();
        let key = application
            .get("verify_key")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if !key.is_empty() && key.to_lowercase() != self.public_key {
            found.push(Finding::fail(
                "discord.other-key",
                "`discord.public_key` is not that of the application: every request of Discord is refused",
                "Copy the public key from the page of the application.",
            ));
        }
        let called = application.get("interactions_endpoint_url").and_then(Value::as_str);
        match (called, &self.door) {
            (None, door) => {
                let door = door.as_ref().map_or_else(|| format!("…/{DOOR}"), Url::to_string);
                found.push(Finding::fail(
                    "discord.calls-nobody",
                    "the application has no Interactions Endpoint URL, so nobody can use the command",
                    format!("Enter {door} on the page of the application; Discord tries it at once."),
                ));
            }
            (Some(called), Some(door)) if called != door.as_str() => found.push(Finding::warn(
                "discord.calls-elsewhere",
                format!(
                    "Discord calls {}, and `web.external_url` leads to {door}",
                    one_line(called)
                ),
                "Correct the Interactions Endpoint URL of the application, or `web.external_url`.",
            )),
            (Some(_), _) => {}
        }
        found
    }

    async fn has_command(&self, guild: &str) -> Option<Finding> {
        let name = |command: &Value| command.get("name").and_then(Value::as_str).map(str::to_owned);
        match self.api.commands(guild).await {
            Ok(commands) if commands.iter().filter_map(name).any(|name| name == self.command) => None,
            Ok(_) => Some(Finding::fail(
                "discord.no-command",
                format!(
                    "nobody can say `/{}` on the server {guild}: it is not registered there",
                    self.command
                ),
                "Run `tidegate discord register`.",
            )),
            Err(ApiError::Refused(refused)) => Some(Finding::fail(
                "discord.not-on-server",
                format!("the application is not on the server {guild}: {refused}"),
                "Install it there with the scopes `bot` and `applications.commands`, or correct `discord.guilds`.",
            )),
            Err(error) => Some(Finding::from(refused("discord.unreachable", &self.peer, &error))),
        }
    }
}

impl Platform for Discord {
    fn name(&self) -> &'static str {
        "discord"
    }

    fn codes(&self) -> (&'static str, &'static str) {
        ("discord.elsewhere", "discord.no-scope")
    }

    fn scopes(&self) -> &'static [Scope] {
        // What it may do is said server by server and channel by channel.
        &[]
    }

    fn places(&self) -> (Vec<String>, &'static str) {
        (vec![self.application.clone()], "discord.application")
    }

    fn how_to_allow(&self) -> &'static str {
        ""
    }

    fn identify(&self) -> BoxFuture<'_, Result<Identity, No>> {
        Box::pin(async {
            let application = self.application().await;
            let application = application.map_err(|error| refused("discord.no-token", &self.peer, &error))?;
            let text = |key: &str| application.get(key).and_then(Value::as_str).unwrap_or_default();
            Ok(Identity {
                who: format!("{} ({})", one_line(text("name")), one_line(text("id"))),
                place: text("id").to_owned(),
                scopes: None,
                date: None,
            })
        })
    }

    fn channels(&self) -> Vec<(String, String)> {
        self.channels.clone()
    }

    fn can_speak<'a>(&'a self, name: &'a str, channel: &'a str) -> BoxFuture<'a, Result<(), No>> {
        Box::pin(async move {
            let key = format!("channels.{name}.discord.channel");
            match self.api.channel(channel).await {
                Ok(found) => self.judge_channel(name, channel, &found).await,
                Err(ApiError::Refused(refused)) => Err(No {
                    code: "discord.not-in-channel",
                    says: format!("the application cannot see the channel `{name}` ({channel}): {refused}"),
                    fix: format!(
                        "In the settings of the channel, under \"Permissions\", add the bot as a member and allow it View \
                         Channel and what else docs/discord.md names; or correct `{key}`."
                    ),
                }),
                Err(error) => Err(refused("discord.unreachable", &self.peer, &error)),
            }
        })
    }

    fn more(&self) -> BoxFuture<'_, Vec<Finding>> {
        Box::pin(async {
            let mut found = match self.application().await {
                Ok(application) => self.judge(application),
                Err(error) => vec![refused("discord.unreachable", &self.peer, &error).into()],
            };
            for guild in self.guilds.keys() {
                found.extend(self.has_command(guild).await);
            }
            found
        })
    }

    /// Discord's answers are not taken for a clock.
    fn note_clock(&self, _: Option<Timestamp>, _: Duration) {}
}

fn refused(code: &'static str, peer: &str, error: &ApiError) -> No {
    match error {
        ApiError::Refused(refused) => No {
            code,
            says: refused.to_string(),
            fix: "Copy the token of the bot from the page of the application into the file of `discord.token_file`.".to_owned(),
        },
        ApiError::Busy { after } => No {
            code: "discord.busy",
            says: error.to_string(),
            fix: format!("Look again in {after}."),
        },
        ApiError::Unreachable(why) => No {
            code: "discord.unreachable",
            says: format!("{peer} cannot be reached: {why:#}"),
            fix: "Let this machine reach it over HTTPS, through its firewall or NetworkPolicy, or correct `discord.api_url`."
                .to_owned(),
        },
    }
}
