//! Owns the list of what can go wrong in a simulated history, and counts what really did.
//! Refuses to be silent about a fault that never fired: a test that asks for it can see that.

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident => $word:literal),+ $(,)?) => {
        /// Something that goes wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault {
            $($(#[$doc])* $name),+
        }

        impl Fault {
            /// Every fault.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The words of tables and traces.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word),+
                }
            }
        }
    };
}

faults! {
    /// A replica dies; whatever it had not committed is gone.
    Crash => "crash and restart",
    /// A replica stands still and goes on later as if nothing had happened.
    Pause => "process stands still",
    /// A commit fails and is not there.
    CommitFails => "commit fails",
    /// A commit is there, and its answer is lost.
    CommitUnknown => "commit done but reported failed",
    /// Somebody else saved the rollout between our reading and our saving.
    Conflict => "two deciders, one generation",
    /// A webhook comes more than once.
    Duplicate => "webhook duplicated",
    /// A webhook comes late, after ones that were sent later.
    Delay => "webhook delayed and reordered",
    /// A webhook never comes.
    Drop => "webhook dropped",
    /// The second peer of the alert source tells of a firing after the first told its end.
    LateFiring => "late firing after resolved",
    /// The end of an alert is never told.
    ResolvedLost => "resolved lost",
    /// The source says "resolved" although the alert goes on, and later tells the same firing again.
    FalseResolve => "resolved although it goes on",
    /// One peer of the source lost what watches the service and says "resolved"; the other one lists the alert all along.
    PeerBlind => "one peer says resolved, the other lists it",
    /// Somebody silences an alert.
    Silence => "alert silenced",
    /// The dead man's switch stops.
    WatchdogStops => "Watchdog stops",
    /// The alert source cannot be polled.
    PollUnreadable => "alert source unreadable",
    /// One peer of the alert source does not answer in one round.
    RoundLost => "peer silent for one round",
    /// A replica is cut off from the alert source for long, and from nothing else.
    Blind => "replica cut off from the alert source",
    /// A call to the target never arrives.
    CallDropped => "target call dropped",
    /// A call to the target arrives long after its caller gave up.
    CallHangs => "target call hangs and lands late",
    /// A call did what it should and reports a failure.
    DoneButFailed => "target call done but reported failed",
    /// A hook does not do what it should.
    HookFails => "hook fails",
    /// A hook takes long.
    HookHangs => "hook takes long",
    /// A hook has ended, and its worker never tells.
    HookWordLost => "end of a hook never told",
    /// The end of a hook is told twice.
    HookWordTwice => "end of a hook told twice",
    /// What is said on a channel never gets there.
    WordLost => "message never told",
    /// What is said on a channel gets there late.
    WordLate => "message told late",
    /// The target takes a write and goes on with the old value.
    TargetLies => "target takes a write and ignores it",
    /// Somebody else writes to the target.
    ForeignWrite => "foreign write to the target",
    /// A replica loses the lease while it works.
    LeaseLost => "lease lost while working",
    /// The wall clock of a replica jumps an hour ahead.
    ClockAhead => "clock jumps ahead",
    /// The wall clock of a replica jumps an hour back.
    ClockBack => "clock jumps back",
    /// People steer while everything else happens.
    People => "people steer",
    /// A person presses a button of a revision that is no more.
    StaleButton => "stale button",
    /// The same alert fires on several services.
    WideAlert => "alert on several services",
    /// The old version fails as well.
    OldVersionFails => "old version fails too",
    /// Nothing reaches a target for long, nor what it says.
    TargetDown => "target out of reach",
}

/// Which faults may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults(u64);

impl Faults {
    /// Nothing goes wrong.
    pub const NONE: Self = Self(0);

    /// Everything may go wrong.
    pub fn all() -> Self {
        Fault::ALL.iter().fold(Self::NONE, |faults, fault| faults.with(*fault))
    }

    /// These, and `fault`.
    pub fn with(self, fault: Fault) -> Self {
        Self(self.0 | 1 << fault as u64)
    }

    /// These without `fault`.
    pub fn without(self, fault: Fault) -> Self {
        Self(self.0 & !(1 << fault as u64))
    }

    /// Whether `fault` may happen.
    pub fn has(self, fault: Fault) -> bool {
        self.0 & (1 << fault as u64) != 0
    }

    /// The faults that may happen.
    pub fn list(self) -> impl Iterator<Item = Fault> {
        Fault::ALL.iter().copied().filter(move |fault| self.has(*fault))
    }
}

/// How often each fault really fired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fired([u64; Fault::ALL.len()]);

impl Default for Fired {
    fn default() -> Self {
        Self([0; Fault::ALL.len()])
    }
}

impl Fired {
    /// One more.
    pub fn add(&mut self, fault: Fault) {
        self.0[fault as usize] += 1;
    }

    /// How often.
    pub fn of(&self, fault: Fault) -> u64 {
        self.0[fault as usize]
    }

    /// These and those.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }
}
