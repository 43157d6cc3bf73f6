//! Owns the word that somebody is on the way from an alert, or an order, to the traffic: every transaction on that way waits for
//! the one connection that writes, and a full batch of what a storm brings holds it for tens of milliseconds.
//! Refuses to decide who is first: the connection is handed on in turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// After the last transaction on such a way it is taken to go on for so long.
const LASTS: Duration = Duration::from_millis(250);

/// Shared by those who hurry and the one who makes room.
#[derive(Clone, Debug)]
pub(super) struct Hurry(Arc<Inside>);

#[derive(Debug)]
struct Inside {
    began: Instant,
    /// Until when, in milliseconds since the beginning.
    until: AtomicU64,
}

impl Hurry {
    pub(super) fn none(now: Instant) -> Self {
        Self(Arc::new(Inside {
            began: now,
            until: AtomicU64::new(0),
        }))
    }

    /// Somebody is on the way at `now`.
    pub(super) fn note(&self, now: Instant) {
        let until = self.milliseconds(now + LASTS);
        self.0.until.fetch_max(until, Ordering::Relaxed);
    }

    /// Whether somebody still may be.
    pub(super) fn is_on(&self, now: Instant) -> bool {
        self.milliseconds(now) < self.0.until.load(Ordering::Relaxed)
    }

    fn milliseconds(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.0.began).as_millis();
        u64::try_from(since).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lasts_from_a_note_until_a_little_after_the_last_one() {
        let began = Instant::now();
        let hurry = Hurry::none(began);
        assert!(!hurry.is_on(began));
        hurry.note(began);
        assert!(hurry.is_on(began + LASTS / 2));
        hurry.note(began + LASTS / 2);
        assert!(hurry.is_on(began + LASTS), "the later note counts");
        assert!(!hurry.is_on(began + LASTS * 2));
        hurry.note(began);
        assert!(!hurry.is_on(began + LASTS * 2), "an earlier one takes nothing back");
    }
}
