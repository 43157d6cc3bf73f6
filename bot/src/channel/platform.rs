//! Owns why a call to a chat platform did not work, whichever it is, and what that means for a message.
//! Refuses to know any platform's words: each says itself what its refusals are about.

use std::fmt;

use tidegate_rollout::Period;

use super::ChannelError;

/// A platform's word for why it said no.
pub trait Refusal: fmt::Debug + fmt::Display {
    /// The platform's name.
    const PLATFORM: &str;

    /// Whether the message itself is at fault, so that no second try can help.
    fn is_about_the_message(&self) -> bool;
}

/// Why a call did not work.
#[derive(Debug, thiserror::Error)]
pub enum ApiError<R: Refusal> {
    /// Too many calls; nothing was done.
    #[error("{} asks to be left alone for {after}", R::PLATFORM)]
    Busy {
        /// For how long.
        after: Period,
    },
    /// The platform said no.
    #[error("{0}")]
    Refused(R),
    /// It may have been done or not.
    #[error("could not reach {}", R::PLATFORM)]
    Unreachable(#[source] anyhow::Error),
}

impl<R: Refusal + Send + Sync + 'static> ApiError<R> {
    /// What became of a message that was to be said on a channel.
    pub(super) fn on(self, channel: &str) -> ChannelError {
        let channel = channel.to_owned();
        match self {
            Self::Busy { after } => ChannelError::Busy { channel, after },
            Self::Refused(refused) if refused.is_about_the_message() => ChannelError::Never {
                channel,
                why: refused.to_string(),
            },
            error => ChannelError::Later {
                channel,
                source: error.into(),
            },
        }
    }
}
