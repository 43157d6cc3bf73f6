//! Owns known bugs, chosen at run time, that the simulation must catch. They exist only with the feature `planted`.
//! Refuses to be part of anything shipped: without the feature every question here is answered "no" by the compiler.

macro_rules! bugs {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// A bug somebody could have written.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[cfg_attr(
            not(feature = "planted"),
            expect(unreachable_pub, reason = "public only where tests choose a bug")
        )]
        pub enum Bug {
            $($(#[$doc])* $name),+
        }

        impl Bug {
            /// Every planted bug.
            #[cfg(feature = "planted")]
            pub const ALL: &[Self] = &[$(Self::$name),+];
        }
    };
}

bugs! {
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
    /// What was decided is done before it is saved.
    EffectBeforeIntent,
    /// An alert that comes back after its end is taken for late word, and its source is not asked.
    SuspectIgnored,
    /// What a webhook says of an end outweighs what a peer lists.
    EndOutweighsList,
    /// An occasion that comes back acts again.
    OccasionActsAgain,
    /// The bake clock believes the wall clock alone.
    JumpsBake,
    /// Each replica believes nobody's polls but its own, also while it is cut off from the alert source.
    OwnPollsOnly,
    /// Whoever joins the others, or comes back to them, counts what it has watched itself.
    NewcomerCuts,
    /// A Watchdog seen in the future, by a clock that went back since, counts as fresh.
    FutureIsFresh,
    /// An alert of the old version counts like one of the new.
    OldVersionCounts,
    /// What fails on the old version too is rolled back to it all the same.
    OldVersionFailsToo,
    /// Every rollout of a target begins to count its epochs at zero.
    EpochsBeginAnew,
    /// Traffic moves before the hooks of the phase have answered.
    WeightBeforeHook,
    /// A hook that may have run is run once more.
    HookRunsTwice,
    /// The hooks of the way back do not wait for zero.
    HookBeforeZero,
    /// A commitment that was missed is counted, and nobody is told.
    CommitmentMissedSilently,
    /// A commitment counts as kept once its update was decided, sent or not.
    WordTakenForGranted,
    /// After a break the last update is said once more.
    UpdateSaidTwice,
    /// Whoever started a rollout may approve it.
    StarterApproves,
    /// One person's word opens a gate that waits for others.
    GateForgetsPeople,
    /// A rung that failed is followed by no other.
    NextRungNever,
    /// A rung is climbed although the one above it has time left.
    NextRungAtOnce,
    /// A rung whose worker says nothing is waited for without end.
    SilentRungWaits,
    /// Once the next rung is climbed, what comes of the one before counts no more.
    LateRungForgotten,
    /// Zero that was read back from one rung is written down for the one on top.
    RungMistaken,
    /// Of rungs that did not come through nobody hears once another one did.
    LeftUntold,
    /// Another writer at the last rung overtakes every other one that is still tried.
    FenceStopsOthers,
    /// What others fall back on is free for whoever starts.
    RungsNotHeld,
}

#[cfg(feature = "planted")]
thread_local! {
    static CHOSEN: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// Plants a bug on this thread, or takes it out.
#[cfg(feature = "planted")]
pub fn plant(bug: Option<Bug>) {
    CHOSEN.set(bug);
}

/// Whether this bug is planted on this thread.
#[cfg(feature = "planted")]
pub fn on(bug: Bug) -> bool {
    CHOSEN.get() == Some(bug)
}

/// Without the feature there are no bugs but our own.
#[cfg(not(feature = "planted"))]
pub(crate) const fn on(_: Bug) -> bool {
    false
}
