//! Owns what is asked of Slack: `auth.test` with the scopes in its head, and one message of each channel.
//! Refuses to post: a card nobody asked for is a change.

use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;

use super::{Identity, No, Platform, Scope};
use crate::channel::slack::{Api, ApiError};
use crate::config::{ChannelKind, Config};
use crate::doctor::Level;
use crate::doctor::ask::{Asker, shown};

const SCOPES: &[Scope] = &[
    Scope {
        name: "commands",
        without: "nobody can use the slash command",
        level: Level::Fail,
    },
    Scope {
        name: "chat:write",
        without: "nothing can be said, and no card can be shown",
        level: Level::Fail,
    },
    Scope {
        name: "channels:history",
        without: "after a crash something may be said twice",
        level: Level::Warn,
    },
    Scope {
        name: "groups:history",
        without: "after a crash something may be said twice in a private channel",
        level: Level::Warn,
    },
];

/// The app in Slack.
pub(super) struct Slack {
    api: Api,
    peer: String,
    workspaces: Vec<String>,
    channels: Vec<(String, String)>,
    asker: Asker,
}

impl Slack {
    /// The one that is configured.
    pub(super) fn of(config: &Config, asker: &Asker) -> Option<Self> {
        let slack = config.slack.as_ref()?;
        let channels = config.channels.iter().filter_map(|(name, channel)| {
            let ChannelKind::Slack { channel } = &channel.kind else {
                return None;
            };
            Some((name.clone(), channel.clone()))
        });
        Some(Self {
            api: Api::new(slack, asker.net.clone()),
            peer: shown(&slack.api_url),
            workspaces: slack.app.workspaces.clone(),
            channels: channels.collect(),
            asker: asker.clone(),
        })
    }
}

impl Platform for Slack {
    fn name(&self) -> &'static str {
        "slack"
    }

    fn codes(&self) -> (&'static str, &'static str) {
        ("slack.elsewhere", "slack.no-scope")
    }

    fn scopes(&self) -> &'static [Scope] {
        SCOPES
    }

    fn places(&self) -> (Vec<String>, &'static str) {
        (self.workspaces.clone(), "slack.workspaces")
    }

    fn how_to_allow(&self) -> &'static str {
        "It stands under \"OAuth & Permissions\" of the app; then install the app again. `tidegate slack manifest` prints all of \
         them."
    }

    fn identify(&self) -> BoxFuture<'_, Result<Identity, No>> {
        Box::pin(async {
            let who = self
                .api
                .who()
                .await
                .map_err(|error| refused("slack.no-token", &self.peer, &error))?;
            Ok(Identity {
                who: format!("{} in {} ({})", who.user, who.workspace, who.workspace_id),
                place: who.workspace_id,
                scopes: who.scopes,
                date: who.date,
            })
        })
    }

    fn channels(&self) -> Vec<(String, String)> {
        self.channels.clone()
    }

    fn can_speak<'a>(&'a self, name: &'a str, channel: &'a str) -> BoxFuture<'a, Result<(), No>> {
        Box::pin(async move {
            let looked = self.api.is_in(channel).await;
            looked.map_err(|error| match &error {
                ApiError::Refused(_) => No {
                    code: "slack.not-in-channel",
                    says: format!("the app cannot speak in the channel `{name}` ({channel}): {error}"),
                    fix: format!(
                        "Invite it there: `/invite @tidegate`; or correct `channels.{name}.slack.channel`, which takes the id at \
                         the end of the channel's details."
                    ),
                },
                error => refused("slack.unreachable", &self.peer, error),
            })
        })
    }

    fn note_clock(&self, date: Option<Timestamp>, took: Duration) {
        self.asker.clock_of(&self.peer, date, took);
    }
}

fn refused(code: &'static str, peer: &str, error: &ApiError) -> No {
    match error {
        ApiError::Refused(refused) => No {
            code,
            says: refused.to_string(),
            fix: "Copy the bot token (`xoxb-…`) under \"OAuth & Permissions\" of the app into the file of `slack.token_file`."
                .to_owned(),
        },
        ApiError::Busy { after } => No {
            code: "slack.busy",
            says: error.to_string(),
            fix: format!("Look again in {after}."),
        },
        ApiError::Unreachable(why) => No {
            code: "slack.unreachable",
            says: format!("{peer} cannot be reached: {why:#}"),
            fix: "Let this machine reach it over HTTPS, through its firewall or NetworkPolicy, or correct `slack.api_url`."
                .to_owned(),
        },
    }
}
