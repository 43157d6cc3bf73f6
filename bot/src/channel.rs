//! Owns where things are said: the log, the web chat's feed, signed webhooks, Slack, Discord, mail, PagerDuty.
//! Refuses to word anything and to retry: it gets finished text, tries once, and says how that went.

pub mod discord;
pub mod email;
pub mod feed;
pub mod log;
mod loud;
pub mod pagerduty;
pub mod platform;
pub mod slack;
pub mod webhook;

use tidegate_rollout::notice::About;
use tidegate_rollout::{Notice, Period};
use url::Url;

use crate::render::email::Frame;
use crate::render::{Form, Words};

/// A notice with its wording for one surface.
#[derive(Clone, Debug)]
pub struct Message {
    /// The facts.
    pub notice: Notice,
    /// The wording, plain text.
    pub text: String,
    /// The same wording with the people who are called in it.
    pub words: Words,
    /// The message it belongs under, on channels where each rollout has a card.
    pub thread: Option<String>,
    /// Whether an earlier try may have worked without anybody knowing.
    pub again: bool,
    /// What the same channel was told about the same rollout since, where that matters to it and this comes late.
    pub since: Vec<Notice>,
    /// Whether it adds to a page that the same channel never got.
    pub unasked: bool,
    /// What surrounds the wording where it is a mail.
    pub frame: Frame,
}

impl Message {
    /// A message that stands alone and is said for the first time.
    pub fn new(notice: Notice, words: impl Into<Words>) -> Self {
        let words = words.into();
        Self {
            notice,
            text: words.named(),
            words,
            thread: None,
            again: false,
            since: Vec::new(),
            unasked: false,
            frame: Frame::default(),
        }
    }
}

/// Why something could not be said.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// Trying again later may help.
    #[error("could not say it on {channel}")]
    Later {
        /// The channel's name.
        channel: String,
        /// What stood in the way.
        #[source]
        source: anyhow::Error,
    },
    /// The other side takes no more for a while. Nothing was said, and what waits behind it has to wait too.
    #[error("{channel} takes no more for {after}")]
    Busy {
        /// The channel's name.
        channel: String,
        /// For how long.
        after: Period,
    },
    /// Trying again will not help; it goes to the dead letters at once.
    #[error("{channel} refused it for good: {why}")]
    Never {
        /// The channel's name.
        channel: String,
        /// What the other side said.
        why: String,
    },
}

/// How an edit of a card went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edited {
    /// It shows the new picture.
    Done,
    /// Its message is gone, or cannot be edited any more.
    Gone,
}

/// Every kind of channel there is.
pub enum Channel {
    /// The service's own log.
    Log,
    /// The web chat.
    Chat(std::sync::Arc<feed::Feed>),
    /// A signed HTTP POST.
    Webhook(webhook::Webhook),
    /// A channel of Slack.
    Slack(slack::SlackChannel),
    /// A channel of Discord.
    Discord(discord::DiscordChannel),
    /// Addresses that get mail.
    Email(email::EmailChannel),
    /// A service of PagerDuty.
    PagerDuty(pagerduty::PagerDuty),
}

/// Where the page of the rollout is that a notice is about, below the address of the pages.
fn page_of(pages: &Url, notice: &Notice) -> Option<Url> {
    let rollout = notice.about.rollout.as_str();
    if rollout == About::SERVER {
        return None;
    }
    let mut page = pages.clone();
    page.path_segments_mut().ok()?.pop_if_empty().extend(["r", rollout]);
    Some(page)
}

impl Channel {
    /// In which form it says things.
    pub fn form(&self) -> Form {
        match self {
            Self::Log | Self::Chat(_) | Self::Webhook(_) => Form::Text,
            Self::Slack(_) => Form::Slack,
            Self::Discord(_) => Form::Discord,
            Self::Email(_) => Form::Email,
            Self::PagerDuty(_) => Form::Pager,
        }
    }

    /// Whether somebody hears of a notice here; a pager keeps most of them to itself.
    pub fn tells(&self, notice: &Notice) -> bool {
        match self {
            Self::PagerDuty(_) => pagerduty::tells(notice),
            Self::Log | Self::Chat(_) | Self::Webhook(_) | Self::Slack(_) | Self::Discord(_) | Self::Email(_) => true,
        }
    }

    /// Says it once.
    ///
    /// # Errors
    /// [`ChannelError`], which tells whether trying again can help.
    pub async fn say(&self, message: &Message, now: jiff::Timestamp) -> Result<(), ChannelError> {
        match self {
            Self::Log => {
                log::say(message);
                Ok(())
            }
            Self::Chat(feed) => {
                feed.say(message);
                Ok(())
            }
            Self::Webhook(webhook) => webhook.say(message, now).await,
            Self::Slack(slack) => slack.say(message).await,
            Self::Discord(discord) => discord.say(message).await,
            Self::Email(email) => email.say(message).await,
            Self::PagerDuty(pagerduty) => pagerduty.say(message).await,
        }
    }
}
