//! Owns the named moments at which the crash tests kill the process.
//! Refuses to exist in a shipped build: without the feature `failpoints` a point compiles to nothing, its name included.

/// Stops the process here if the environment says so: `TIDEGATE_FAILPOINT=<name>` or `<name>:<nth>` (from 1). A name is a
/// point of the list, or `before …` or `after …` with the words of a transaction of the store.
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

/// A point on either side of every commit there is: `$when` is "before" or "after", `$tried` says what is committed.
#[cfg(feature = "failpoints")]
macro_rules! commit {
    ($when:literal, $tried:expr) => {
        $crate::failpoint::commits($when, $tried)
    };
}

/// Nothing, in this build.
#[cfg(not(feature = "failpoints"))]
macro_rules! commit {
    ($when:literal, $tried:expr) => {};
}

pub(crate) use commit;

#[cfg(feature = "failpoints")]
pub use armed::{POINTS, commits, reached};

#[cfg(feature = "failpoints")]
mod armed {
    use std::collections::BTreeSet;
    use std::fs::File;
    use std::io::Write as _;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Mutex, OnceLock, PoisonError};

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
        debug_assert!(POINTS.contains(&name), "{name} is not in the list of failpoints");
        pass(name);
    }

    /// A pass of the point `when` ("before" or "after") the commit of what was `tried`.
    pub fn commits(when: &str, tried: &str) {
        let name = format!("{when} {tried}");
        note(&name);
        pass(&name);
    }

    /// Adds `name` to the file that `TIDEGATE_FAILPOINTS_PASSED` names, once in each life: so that a test knows which commits its
    /// story meets.
    fn note(name: &str) {
        static NOTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
        let Some(file) = std::env::var_os("TIDEGATE_FAILPOINTS_PASSED") else {
            return;
        };
        let mut noted = NOTED.lock().unwrap_or_else(PoisonError::into_inner);
        if !noted.insert(name.to_owned()) {
            return;
        }
        let added = File::options().create(true).append(true).open(&file);
        if let Err(failure) = added.and_then(|mut file| writeln!(file, "{name}")) {
            tracing::error!("could not note that {name} was passed: {failure}");
        }
    }

    fn pass(name: &str) {
        static PASSED: AtomicU64 = AtomicU64::new(0);
        let Some((chosen, nth)) = chosen() else { return };
        if chosen == name && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == *nth {
            std::process::abort();
        }
    }
}
