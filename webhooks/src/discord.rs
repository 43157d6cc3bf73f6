//! Owns the way in for people in Discord: commands with their options, half-typed words, pressed buttons and forms, proved by the
//! signature that Discord makes for the application.
//! Refuses what is forged, too old, too new, or from another application or server, before a word of it is looked at; and
//! refuses to know what a word means. What it heard goes through [`Listener`].

mod decode;
mod proof;
mod router;

use std::fmt;

use jiff::Timestamp;
use secrecy::SecretString;
use serenity::interactions_endpoint::Verifier;

pub use crate::platform::{Replayed, Reply, WINDOW};
pub use router::{paths, router};

/// The application in Discord that people speak through, as far as its requests can be told from others.
pub struct App {
    verifier: Verifier,
    /// The id of the application.
    pub id: String,
    /// The ids of the servers ("guilds") that are listened to.
    pub guilds: Vec<String>,
}

/// The text is no public key of an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be the public key of the application: 64 hexadecimal digits")]
pub struct NoKey;

impl App {
    /// The application of that public key and id, heard from those servers.
    ///
    /// # Errors
    /// [`NoKey`] when the key is none.
    pub fn new(public_key: &str, id: String, guilds: Vec<String>) -> Result<Self, NoKey> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(public_key, &mut bytes).map_err(|_| NoKey)?;
        let verifier = Verifier::try_new(bytes).map_err(|_| NoKey)?;
        Ok(Self { verifier, id, guilds })
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("id", &self.id)
            .field("guilds", &self.guilds)
            .finish_non_exhaustive()
    }
}

/// Something that somebody did in Discord, of proven origin.
#[derive(Clone, Debug)]
pub struct Heard {
    /// What stands for this very request: its time and its bytes. The same one again is a replay.
    pub proof: [u8; 32],
    /// When it came in here.
    pub at: Timestamp,
    /// The platform's own name for this interaction.
    pub id: String,
    /// The server it came from.
    pub guild: String,
    /// The id of the channel they did it in, or of the thread, where Discord names it.
    pub place: Option<String>,
    /// Who: the user id, never a name.
    pub user: String,
    /// With what the answer is edited later; good for fifteen minutes.
    pub token: SecretString,
    /// What they did.
    pub what: What,
}

/// What can be done in Discord.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Sent the command off.
    Command(Spoken),
    /// Is still typing, and wants to be shown what is possible.
    Complete {
        /// What there is so far.
        spoken: Spoken,
        /// The option that is being typed.
        focused: String,
        /// What stands in it.
        typed: String,
    },
    /// Pressed a button.
    Press {
        /// What we put into it. It may have been made up by whoever sends it.
        button: String,
    },
    /// Chose something from a list in a message.
    Choose {
        /// What we called the list. It may have been made up, as what a button carries.
        list: String,
        /// What was chosen.
        value: String,
    },
    /// Sent a form off.
    Submit(Form),
}

/// A form as Discord hands it over: what we called it, and its fields by the names that we gave them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// What we called it. It may have been made up by whoever sends it.
    pub name: String,
    /// What was filled in, in the order of the form.
    pub fields: Vec<(String, String)>,
}

/// A command as Discord hands it over: the sub-command, and its options by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spoken {
    /// The sub-command; empty where the command stands alone.
    pub verb: String,
    /// What was filled in, in the order of the command.
    pub options: Vec<(String, String)>,
}

/// The other side: answers what was heard, well within the three seconds that Discord waits.
pub trait Listener: Send + Sync + 'static {
    /// Answers it, or says that it was heard before. May be dropped at any `await`.
    fn hear(&self, heard: Heard) -> impl Future<Output = Result<Reply, Replayed>> + Send;
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Command(_) => "command",
            Self::Complete { .. } => "half-typed command",
            Self::Press { .. } => "press",
            Self::Choose { .. } => "choice",
            Self::Submit(_) => "form",
        })
    }
}
