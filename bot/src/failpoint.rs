//! Owns the named moments at which the crash tests kill the process.
//! Refuses to exist in a shipped build: without the feature `failpoints` a point compiles to nothing, its name included.

/// Stops the process here if the environment says so: `TIDEGATE_FAILPOINT=<name>` or `<name>:<nth>` (from 1).
#[cfg(feature = "failpoints")]
macro_rules! hit {
    ($name:literal) => {
        $crate::failpoint::reached($name)
    };
}

/// Nothing, in this build.
#[cfg(not(feature = "failpoints"))]
macro_rules! hit {
    ($name:literal) => {};
}

pub(crate) use hit;

#[cfg(feature = "failpoints")]
pub use armed::{POINTS, reached};

#[cfg(feature = "failpoints")]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Every point there is, in the order of an alert's way through the process.
    pub const POINTS: &[&str] = &[
        "store.inbox.before-commit",
        "store.inbox.after-commit",
        "store.begin.before-commit",
        "store.begin.after-commit",
        "store.save.before-commit",
        "store.save.after-commit",
        "store.claim.after-commit",
        "store.flag.before-commit",
        "store.flag.after-commit",
        "intake.after-remember",
        "decider.before-settle",
        "hands.before-attempt",
        "hands.after-attempt",
        "hands.after-report",
        "kubernetes.before-write",
        "kubernetes.after-write",
        "kubernetes.before-read-back",
        "voice.after-say",
        "store.outcome.before-commit",
        "store.outcome.after-commit",
    ];

    /// The chosen point and how many times it is passed before it stops the process.
    fn chosen() -> Option<&'static (String, u64)> {
        static CHOSEN: OnceLock<Option<(String, u64)>> = OnceLock::new();
        let read = || {
            let wanted = std::env::var("TIDEGATE_FAILPOINT").ok()?;
            let (name, nth) = wanted.split_once(':').unwrap_or((&wanted, "1"));
            Some((name.to_owned(), nth.parse().unwrap_or(1)))
        };
        CHOSEN.get_or_init(read).as_ref()
    }

    /// Counts a pass of the point called `name`, and aborts at the chosen one: no destructor runs, nothing is flushed.
    pub fn reached(name: &str) {
        static PASSED: AtomicU64 = AtomicU64::new(0);
        debug_assert!(POINTS.contains(&name), "{name} is not in the list of failpoints");
        let Some((chosen, nth)) = chosen() else { return };
        if chosen == name && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == *nth {
            std::process::abort();
        }
    }
}
