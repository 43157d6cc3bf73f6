//! Owns the one word for where a rollout stands, as shown everywhere.
//! Refuses evidence: that is in the stage, the pause and the holds, which this is read from.

use super::{Rollout, Stage};

/// Where a rollout stands, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The weight of a phase is being brought to the target.
    Advancing,
    /// A phase is being watched.
    Baking,
    /// Somebody, or a guard, holds it.
    Held,
    /// A person stopped the clock.
    Paused,
    /// A gate waits for people.
    Waiting,
    /// All phases are done.
    Watching,
    /// Traffic goes back.
    RollingBack,
    /// Traffic is back.
    RolledBack,
    /// It is done.
    Completed,
    /// It was ended before any traffic moved.
    Aborted,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 10] = [
        Self::Advancing,
        Self::Baking,
        Self::Held,
        Self::Paused,
        Self::Waiting,
        Self::Watching,
        Self::RollingBack,
        Self::RolledBack,
        Self::Completed,
        Self::Aborted,
    ];

    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Advancing => "ADVANCING",
            Self::Baking => "BAKING",
            Self::Held => "HELD",
            Self::Paused => "PAUSED",
            Self::Waiting => "WAITING",
            Self::Watching => "WATCHING",
            Self::RollingBack => "ROLLING BACK",
            Self::RolledBack => "ROLLED BACK",
            Self::Completed => "COMPLETED",
            Self::Aborted => "ABORTED",
        }
    }
}

impl Rollout {
    /// Where it stands.
    pub fn state(&self) -> State {
        match &self.stage {
            Stage::Aborted { .. } => State::Aborted,
            Stage::Completed { .. } => State::Completed,
            Stage::RolledBack { .. } => State::RolledBack,
            Stage::RollingBack { .. } => State::RollingBack,
            Stage::Advancing { .. } | Stage::Baking { .. } | Stage::AtGate { .. } | Stage::Watching { .. }
                if self.pause.is_some() =>
            {
                State::Paused
            }
            Stage::Advancing { .. } | Stage::AtGate { .. } if self.hook_unsettled().is_some() => State::Held,
            Stage::Advancing { .. } => State::Advancing,
            Stage::Baking { .. } | Stage::AtGate { .. } if !self.holds.is_empty() => State::Held,
            Stage::Baking { .. } => State::Baking,
            Stage::AtGate { .. } => State::Waiting,
            Stage::Watching { .. } => State::Watching,
        }
    }

    /// Where it stands, as shown.
    pub fn state_word(&self) -> &'static str {
        self.state().word()
    }
}
