//! Owns who acts: the person, what the server lets them do, and from where they spoke.
//! Refuses to know how somebody proved who they are: that happened at the edge.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::ids::PersonId;

/// What the server's configuration lets a person do. A plan's own roles come on top, see [`crate::policy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Reads everything, writes notes.
    Viewer,
    /// Starts and steers rollouts.
    Operator,
    /// Pauses, holds, decides, rolls back.
    Oncall,
    /// Commands this or every rollout: decides, releases the holds of others, aborts.
    IncidentCommander,
    /// Writes what the public reads.
    Comms,
    /// Everything about the server: freeze, tokens, reload.
    Admin,
    /// A program that evaluates flags; it may do nothing else.
    Flags,
    /// A program that reads the comprehensive health; it may do nothing else.
    Health,
}

impl Role {
    /// Every role, in the order of the documentation.
    pub const ALL: [Self; 8] = [
        Self::Viewer,
        Self::Operator,
        Self::Oncall,
        Self::IncidentCommander,
        Self::Comms,
        Self::Admin,
        Self::Flags,
        Self::Health,
    ];

    /// Whether it is given to a program by its token, and to no person.
    pub fn is_for_programs(self) -> bool {
        matches!(self, Self::Flags | Self::Health)
    }

    /// The word used in configuration and messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Oncall => "oncall",
            Self::IncidentCommander => "incident-commander",
            Self::Comms => "comms",
            Self::Admin => "admin",
            Self::Flags => "flags",
            Self::Health => "health",
        }
    }
}

/// Where somebody spoke. All of them share one dispatcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Surface {
    /// `tidegate rollout …`.
    Cli,
    /// The HTTP API, called by something else.
    Api,
    /// The web chat.
    Chat,
    /// A button of the dashboard.
    Page,
    /// A slash command, a button or a form in Slack.
    Slack,
    /// A command or a button in Discord.
    Discord,
}

impl Surface {
    /// Every surface.
    pub const ALL: [Self; 6] = [Self::Cli, Self::Api, Self::Chat, Self::Page, Self::Slack, Self::Discord];

    /// The word used in the log and in metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Cli => "cli",
            Self::Api => "api",
            Self::Chat => "chat",
            Self::Page => "page",
            Self::Slack => "slack",
            Self::Discord => "discord",
        }
    }

    /// Where that is, as it follows a name in a sentence.
    pub fn place(self) -> &'static str {
        match self {
            Self::Cli => "by CLI",
            Self::Api => "by API",
            Self::Chat => "in the web chat",
            Self::Page => "on a page",
            Self::Slack => "in Slack",
            Self::Discord => "in Discord",
        }
    }

    /// The surface with this word.
    pub fn called(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|surface| surface.word() == word)
    }
}

/// A person who has proved who they are, with the server roles they had at that moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// Who.
    pub person: PersonId,
    /// What the server's configuration lets them do.
    pub roles: BTreeSet<Role>,
    /// From where.
    pub surface: Surface,
}

impl Actor {
    /// Whether the person has one of `roles` on the server; an admin has them all.
    pub fn has_any(&self, roles: &[Role]) -> bool {
        self.roles.contains(&Role::Admin) || roles.iter().any(|role| self.roles.contains(role))
    }
}
