//! Owns the proof that this replica leads. Every function that may raise a weight takes it as an argument.
//! Refuses to be made by anything but the lease of the store; a test reads the sources for that.

use std::time::Instant;

/// This replica leads until a moment of its own monotonic clock.
#[derive(Debug)]
pub struct Leadership {
    term: u64,
    deadline: Instant,
}

impl Leadership {
    /// Only `store::lease` calls this, after the database granted the lease. `deadline` is counted from before the
    /// request was sent, so that a slow answer shortens it.
    pub(crate) fn granted(term: u64, deadline: Instant) -> Self {
        Self { term, deadline }
    }

    /// One that holds no more.
    #[cfg(test)]
    pub(crate) fn run_out() -> Self {
        Self {
            term: 1,
            deadline: Instant::now(),
        }
    }

    /// Counts the changes of leader; only grows.
    pub fn term(&self) -> u64 {
        self.term
    }

    /// Until when it holds, as far as is known.
    pub fn until(&self) -> Instant {
        self.deadline
    }

    /// Whether it still holds at `now`.
    pub fn holds(&self, now: Instant) -> bool {
        now < self.deadline
    }
}
