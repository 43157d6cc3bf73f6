//! Owns what differs between the platforms that have cards: how a card is drawn, posted, edited and found again there.
//! Refuses to decide when: that is the same everywhere.

use std::time::Duration;

use tidegate_rollout::RolloutId;

use super::Drawn;
use crate::channel::discord::DiscordChannel;
use crate::channel::slack::SlackChannel;
use crate::channel::{Channel, ChannelError, Edited};
use crate::chat::{discord, slack};
use crate::render::discord::Message;

/// A channel in which each rollout has a card.
#[derive(Clone, Copy)]
pub(in crate::runner) enum Place<'a> {
    /// In Slack.
    Slack(&'a SlackChannel),
    /// In Discord.
    Discord(&'a DiscordChannel),
}

impl<'a> Place<'a> {
    /// The channel as a place for cards, if it is one.
    pub(in crate::runner) fn of(channel: &'a Channel) -> Option<Self> {
        match channel {
            Channel::Slack(slack) => Some(Self::Slack(slack)),
            Channel::Discord(discord) => Some(Self::Discord(discord)),
            Channel::Log | Channel::Chat(_) | Channel::Webhook(_) | Channel::Email(_) | Channel::PagerDuty(_) => None,
        }
    }

    /// Its name in the configuration.
    pub(super) fn name(self) -> &'a str {
        match self {
            Self::Slack(slack) => &slack.name,
            Self::Discord(discord) => &discord.name,
        }
    }

    /// Its id on the platform.
    pub(in crate::runner) fn id(self) -> &'a str {
        match self {
            Self::Slack(slack) => &slack.place,
            Self::Discord(discord) => &discord.place,
        }
    }

    /// How long the next edit waits after one.
    pub(super) fn edit_every(self) -> Duration {
        match self {
            // Some fifty edits a minute, of all cards together.
            Self::Slack(_) => Duration::from_millis(1_250),
            // About one a second in a channel; Discord says when it is less.
            Self::Discord(_) => Duration::from_millis(300),
        }
    }

    /// Posts a card; answers the name of its message.
    pub(super) async fn post(self, rollout: &RolloutId, drawn: &Drawn) -> Result<String, ChannelError> {
        match self {
            Self::Slack(slack) => {
                let picture = for_slack(drawn);
                slack.post_card(rollout, &picture.text, &picture.blocks).await
            }
            Self::Discord(discord) => discord.post_card(rollout, &for_discord(drawn)).await,
        }
    }

    /// Puts a new picture into a card.
    pub(super) async fn edit(self, message: &str, rollout: &RolloutId, drawn: &Drawn) -> Result<Edited, ChannelError> {
        match self {
            Self::Slack(slack) => {
                let picture = for_slack(drawn);
                slack.edit_card(message, rollout, &picture.text, &picture.blocks).await
            }
            Self::Discord(discord) => discord.edit_card(message, rollout, &for_discord(drawn)).await,
        }
    }

    /// The card that was posted since a moment and whose name nobody remembers.
    pub(super) async fn find(self, rollout: &RolloutId, begun: i64) -> Result<Option<String>, ChannelError> {
        match self {
            Self::Slack(slack) => slack.find_card(rollout, begun).await,
            Self::Discord(discord) => discord.find_card(rollout, begun).await,
        }
    }
}

fn for_slack(drawn: &Drawn) -> slack::card::Picture {
    slack::card::picture(&drawn.card, drawn.page.as_ref(), drawn.now)
}

fn for_discord(drawn: &Drawn) -> Message {
    discord::card::picture(&drawn.card, drawn.page.as_ref(), drawn.now)
}
