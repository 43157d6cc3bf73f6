//! Owns what people can ask for: one list of verbs, the same in chat, CLI, API and pages.
//! Refuses to guess: a misspelt verb is answered, never run. Reading text is [`grammar`].

pub mod grammar;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Something asked of one rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Go to the next phase, if everything allows it.
    Advance,
    /// Stop the clock and all forward motion. Guards stay armed.
    Pause {
        /// Why; may be empty.
        reason: String,
    },
    /// Undo a pause.
    Resume,
    /// Have the hook run once more that did not pass.
    Retry,
    /// Place a named veto.
    Hold {
        /// Why.
        reason: String,
        /// When it ends by itself.
        until: Option<Timestamp>,
    },
    /// Take a veto away.
    Release {
        /// Which one.
        number: u32,
    },
    /// Return traffic to the old version now.
    Rollback {
        /// Why; may be empty and told later.
        reason: String,
    },
    /// End a rollout that carries no traffic.
    Abort {
        /// Why; may be empty.
        reason: String,
    },
    /// Answer an open question.
    Decide {
        /// Which one; `None`: the only one.
        number: Option<u32>,
        /// The answer.
        answer: Answer,
    },
    /// Approve the gate of the phase.
    Approve {
        /// For which role; `None`: the only one that the person is asked for.
        role: Option<String>,
        /// What they say to it; may be empty.
        comment: String,
    },
    /// Tick an item of the checklist, or take the tick back.
    Check {
        /// Which one.
        item: String,
        /// Whether it is so.
        done: bool,
        /// What shows it; may be empty.
        evidence: String,
    },
    /// Say that one looks at an alert or a question.
    Ack {
        /// The name of the alert.
        alert: Option<String>,
        /// The number of the question.
        number: Option<u32>,
    },
    /// Write something into the log.
    Note {
        /// What.
        text: String,
    },
}

/// An answer to an open question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Go on as planned.
    Continue,
    /// Return traffic to the old version.
    Rollback,
}

/// Everything a person can say, whether it concerns a rollout, a plan or the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// Start a plan.
    Start {
        /// The plan's name.
        plan: String,
        /// What the plan asks for, such as the version.
        inputs: std::collections::BTreeMap<String, String>,
    },
    /// Where one rollout stands.
    Status,
    /// Every rollout, active ones first.
    List,
    /// The log of one rollout.
    History,
    /// Something asked of one rollout.
    Do(Command),
    /// Stop every change of an environment.
    Freeze {
        /// Which environment.
        environment: String,
        /// Why.
        reason: String,
    },
    /// Allow changes of an environment again.
    Thaw {
        /// Which environment.
        environment: String,
    },
    /// Who am I here, and what may I do.
    Whoami,
    /// What can be said.
    Help,
}

impl Verb {
    /// The word people say.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Start { .. } => "start",
            Self::Status => "status",
            Self::List => "list",
            Self::History => "history",
            Self::Do(command) => command.word(),
            Self::Freeze { .. } => "freeze",
            Self::Thaw { .. } => "thaw",
            Self::Whoami => "whoami",
            Self::Help => "help",
        }
    }
}

impl Command {
    /// The word people say.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Advance => "advance",
            Self::Pause { .. } => "pause",
            Self::Resume => "resume",
            Self::Retry => "retry",
            Self::Hold { .. } => "hold",
            Self::Release { .. } => "release",
            Self::Rollback { .. } => "rollback",
            Self::Abort { .. } => "abort",
            Self::Decide { .. } => "decide",
            Self::Approve { .. } => "approve",
            Self::Check { .. } => "check",
            Self::Ack { .. } => "ack",
            Self::Note { .. } => "note",
        }
    }

    /// Whether it asks for a rollback, also as the answer to a question.
    pub fn wants_rollback(&self) -> bool {
        match self {
            Self::Rollback { .. } => true,
            Self::Decide { answer, .. } => *answer == Answer::Rollback,
            Self::Advance
            | Self::Pause { .. }
            | Self::Resume
            | Self::Retry
            | Self::Approve { .. }
            | Self::Check { .. }
            | Self::Ack { .. }
            | Self::Hold { .. }
            | Self::Release { .. }
            | Self::Abort { .. }
            | Self::Note { .. } => false,
        }
    }
}

/// One verb as the help shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The word.
    pub verb: &'static str,
    /// Its arguments; `[…]` may be left out.
    pub arguments: &'static str,
    /// What it does, in a sentence.
    pub says: &'static str,
    /// Other words that mean the same.
    pub aliases: &'static [&'static str],
}

/// Every verb. The help and the tables of the documentation are made from this list.
pub const USAGES: &[Usage] = &[
    Usage {
        verb: "start",
        arguments: "<plan> [version:<v>] [<input>:<value> …]",
        says: "Starts a plan.",
        aliases: &[],
    },
    Usage {
        verb: "status",
        arguments: "[rollout]",
        says: "Says where a rollout stands, and what happens next.",
        aliases: &[],
    },
    Usage {
        verb: "list",
        arguments: "",
        says: "Lists the rollouts, active ones first.",
        aliases: &["ls"],
    },
    Usage {
        verb: "advance",
        arguments: "[rollout]",
        says: "Goes to the next phase, if everything allows it.",
        aliases: &["promote", "continue", "next"],
    },
    Usage {
        verb: "pause",
        arguments: "[rollout] [\"reason\"]",
        says: "Stops the clock and all forward motion; guards stay armed.",
        aliases: &[],
    },
    Usage {
        verb: "resume",
        arguments: "[rollout]",
        says: "Undoes a pause.",
        aliases: &[],
    },
    Usage {
        verb: "retry",
        arguments: "[rollout]",
        says: "Runs a hook once more that did not pass.",
        aliases: &[],
    },
    Usage {
        verb: "hold",
        arguments: "[rollout] \"reason\" [for:<duration>]",
        says: "Places a veto: the clock runs, nothing advances.",
        aliases: &[],
    },
    Usage {
        verb: "release",
        arguments: "[rollout] <number>",
        says: "Takes a veto away.",
        aliases: &["unhold"],
    },
    Usage {
        verb: "rollback",
        arguments: "[rollout] [\"reason\"]",
        says: "Returns traffic to the old version now; needs no approval.",
        aliases: &["undo", "revert"],
    },
    Usage {
        verb: "abort",
        arguments: "[rollout] [\"reason\"]",
        says: "Ends a rollout that carries no traffic.",
        aliases: &[],
    },
    Usage {
        verb: "decide",
        arguments: "[rollout] continue|rollback [number]",
        says: "Answers an open question.",
        aliases: &[],
    },
    Usage {
        verb: "approve",
        arguments: "[rollout] [role:<role>] [\"comment\"]",
        says: "Approves the gate of the phase, for a role of the plan.",
        aliases: &["ok", "lgtm"],
    },
    Usage {
        verb: "check",
        arguments: "[rollout] done|undo <item> [\"evidence\"]",
        says: "Ticks an item of the phase's checklist, or takes the tick back.",
        aliases: &["todo"],
    },
    Usage {
        verb: "ack",
        arguments: "[rollout] [alert:<name>] [number]",
        says: "Says that you look at an alert, or at the question with that number.",
        aliases: &["acknowledge"],
    },
    Usage {
        verb: "note",
        arguments: "[rollout] \"text\"",
        says: "Writes a line into the log.",
        aliases: &[],
    },
    Usage {
        verb: "history",
        arguments: "[rollout]",
        says: "Shows the log of a rollout.",
        aliases: &["log"],
    },
    Usage {
        verb: "freeze",
        arguments: "<environment> \"reason\"",
        says: "Stops every change of an environment; rollbacks still work.",
        aliases: &[],
    },
    Usage {
        verb: "thaw",
        arguments: "<environment>",
        says: "Allows changes of an environment again.",
        aliases: &["unfreeze"],
    },
    Usage {
        verb: "whoami",
        arguments: "",
        says: "Says who you are here and what you may do.",
        aliases: &["who"],
    },
    Usage {
        verb: "help",
        arguments: "",
        says: "Lists the verbs.",
        aliases: &["?"],
    },
];
