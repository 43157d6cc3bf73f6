//! Owns the way in for people in Slack: slash commands, pressed buttons and filled-in forms, proved by the app's signature.
//! Refuses what is forged, too old, too new, or from another workspace or app, before a word of it is looked at; and
//! refuses to know what a word means. What it heard goes through [`Listener`].

mod decode;
mod proof;
mod router;

use std::fmt;

use jiff::Timestamp;

use crate::signature::SigningSecrets;

pub use crate::platform::{Replayed, Reply, WINDOW};
pub use router::{paths, router};

/// The app in Slack that people speak through, as far as its requests can be told from others.
#[derive(Clone, Debug)]
pub struct App {
    /// What the app's requests are signed with.
    pub secrets: SigningSecrets,
    /// The ids of the workspaces that are listened to.
    pub workspaces: Vec<String>,
    /// The id of the app, where it should be checked too.
    pub id: Option<String>,
}

/// Something that somebody did in Slack, of proven origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// What stands for this very request: the signature over its bytes and its time. The same one again is a replay.
    pub proof: [u8; 32],
    /// When it came in here.
    pub at: Timestamp,
    /// The workspace.
    pub team: String,
    /// Who: the member id, never a name.
    pub user: String,
    /// The id of the channel they did it in, where there is one.
    pub channel: Option<String>,
    /// The platform's own name for this interaction; a form must be opened with it within three seconds.
    pub trigger: String,
    /// Where an answer that comes later may be posted.
    pub response_url: Option<String>,
    /// What they did.
    pub what: What,
}

/// What can be done in Slack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Typed the slash command.
    Command {
        /// What follows it.
        text: String,
    },
    /// Pressed a button, or chose from a list.
    Press {
        /// Which.
        action: String,
        /// What we put into it, or what was chosen.
        value: String,
        /// The form it stands in, if it stands in one.
        view: Option<View>,
    },
    /// Sent a form off.
    Submit(View),
}

/// A form as it comes back. Everything in it may have been made up by whoever sends it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The platform's name for it.
    pub id: String,
    /// Which version of it was seen.
    pub hash: String,
    /// Our name for the kind of form.
    pub callback: String,
    /// What we put into it for ourselves.
    pub private: String,
    /// What was filled in, by block.
    pub fields: Vec<(String, String)>,
}

/// The other side: answers what was heard, well within the three seconds that Slack waits.
pub trait Listener: Send + Sync + 'static {
    /// Answers it, or says that it was heard before. May be dropped at any `await`.
    fn hear(&self, heard: Heard) -> impl Future<Output = Result<Reply, Replayed>> + Send;
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Command { .. } => "command",
            Self::Press { .. } => "press",
            Self::Submit(_) => "form",
        })
    }
}
