//! Owns known bugs, chosen at run time, that the simulation must catch. Only in builds with the feature `planted`.
//! Refuses to be part of anything shipped.

use std::cell::Cell;

/// A bug somebody could have written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A rollback does not raise the epoch, so that an overtaken write passes the fence.
    EpochNotRaised,
    /// "Rolled back" is said on the answer to an overtaken question.
    RolledBackUnread,
    /// A dead alert path counts as health.
    SilenceIsHealth,
    /// An alert from before the rollout rolls it back.
    OldAlertsCount,
    /// Two rollouts spend the same last rollback of the budget.
    BudgetUnguarded,
}

impl Bug {
    /// Every planted bug.
    pub const ALL: [Self; 5] = [
        Self::EpochNotRaised,
        Self::RolledBackUnread,
        Self::SilenceIsHealth,
        Self::OldAlertsCount,
        Self::BudgetUnguarded,
    ];
}

thread_local! {
    static CHOSEN: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Plants a bug on this thread, or takes it out.
pub fn plant(bug: Option<Bug>) {
    CHOSEN.set(bug);
}

/// Whether this bug is planted on this thread.
pub fn on(bug: Bug) -> bool {
    CHOSEN.get() == Some(bug)
}
