//! Owns what the process says with its exit code. The numbers are a promise to scripts and never change.
//! Refuses other numbers: a command that needs one adds it here, and the help shows it; what scripts may rely on stands in docs/command-line.md.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done; for `wait`: finished healthy; for `lint`: no errors.
    Done,
    /// Something failed that nobody expected.
    Failed,
    /// The command line is wrong.
    Usage,
    /// A plan, configuration or template is invalid, or the storage is unsafe.
    Invalid,
    /// A gate, hold, window, freeze or role says no.
    Refused,
    /// The rollout ended rolled back, by itself or by a person.
    RolledBack,
    /// The rollback failed or is stuck half-way.
    RollbackFailed,
    /// The time to wait ran out.
    TimedOut,
    /// The server, or something it needs, cannot be reached.
    Unreachable,
    /// The state changed underneath: read again, then retry.
    Stale,
    /// A check found problems.
    Problems,
    /// Interrupted from the keyboard; a rollout goes on without us.
    Interrupted,
}

impl Exit {
    /// Every way to end, in the order of the numbers.
    pub const ALL: [Self; 12] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::Invalid,
        Self::Refused,
        Self::RolledBack,
        Self::RollbackFailed,
        Self::TimedOut,
        Self::Unreachable,
        Self::Stale,
        Self::Problems,
        Self::Interrupted,
    ];

    /// The exit code.
    pub const fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Invalid => 3,
            Self::Refused => 4,
            Self::RolledBack => 5,
            Self::RollbackFailed => 6,
            Self::TimedOut => 7,
            Self::Unreachable => 8,
            Self::Stale => 9,
            Self::Problems => 10,
            Self::Interrupted => 130,
        }
    }

    /// The line of `--help`.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done; for `wait`: finished healthy; for `lint`: no errors",
            Self::Failed => "unexpected failure",
            Self::Usage => "wrong usage",
            Self::Invalid => {
                "plan, configuration or template invalid (with --strict: also warnings), or unsafe storage"
            }
            Self::Refused => "refused: gate, hold, window, freeze, role",
            Self::RolledBack => "the rollout ended rolled back, by itself or by a person",
            Self::RollbackFailed => "rollback failed, or stuck half-way",
            Self::TimedOut => "time-out while waiting",
            Self::Unreachable => {
                "cannot reach the server, or something it needs; for `doctor`: something does not work"
            }
            Self::Stale => "state changed underneath: read again, retry",
            Self::Problems => "a check found problems: `log verify`, or `doctor --strict` with warnings only",
            Self::Interrupted => "interrupted; the rollout itself goes on",
        }
    }

    /// The list for the end of `--help`.
    pub fn help() -> String {
        let mut text = "Exit codes:\n".to_owned();
        for exit in Self::ALL {
            text.push_str(&format!("  {:>3}  {}\n", exit.number(), exit.meaning()));
        }
        text
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}
