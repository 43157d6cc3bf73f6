//! Owns where things are said: the log, the web chat's feed, signed webhooks.
//! Refuses to word anything and to retry: it gets finished text, tries once, and says how that went.

pub mod feed;
pub mod log;
pub mod webhook;

use tidegate_rollout::Notice;

/// A notice with its wording for one surface.
#[derive(Clone, Debug)]
pub struct Message {
    /// The facts.
    pub notice: Notice,
    /// The wording, plain text.
    pub text: String,
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
    /// Trying again will not help; it goes to the dead letters at once.
    #[error("{channel} refused it for good: {why}")]
    Never {
        /// The channel's name.
        channel: String,
        /// What the other side said.
        why: String,
    },
}

/// Every kind of channel there is.
pub enum Channel {
    /// The service's own log.
    Log,
    /// The web chat.
    Chat(std::sync::Arc<feed::Feed>),
    /// A signed HTTP POST.
    Webhook(webhook::Webhook),
}

impl Channel {
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
        }
    }
}
