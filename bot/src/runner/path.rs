//! Owns what is known of the life of the alert path: the Watchdog and the polls, per receiver.
//! Refuses to judge: what silence means is the core's rule.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tidegate_rollout::surroundings::Poll;

/// So many rounds without an answer make a source unreadable.
pub(super) const ROUNDS: u32 = 3;
/// An answer of which the store tells is news if it is so much newer than the last one: less is the way there and back.
const NEWER: Duration = Duration::from_secs(1);

/// What is known of every receiver.
#[derive(Debug, Default)]
pub struct AlertPath {
    receivers: RwLock<BTreeMap<String, Receiver>>,
}

/// What is known of one receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receiver {
    /// When its Watchdog was last seen firing.
    pub watchdog_seen: Option<Timestamp>,
    /// When a webhook last came in.
    pub heard_at: Option<Timestamp>,
    /// When it last answered a poll in full.
    pub polled_at: Option<Timestamp>,
    /// Rounds without an answer since.
    pub failed_rounds: u32,
    /// Since when rounds fail.
    pub failing_since: Option<Timestamp>,
    /// Whether it can be polled.
    pub polled: bool,
    /// The same as `polled_at`, by a clock that nobody can move.
    answered: Option<Instant>,
    /// An answer that is older counts for nothing: a poller that hangs or died must not look like a good one.
    good_for: Duration,
}

impl Receiver {
    fn poll(&self, now: Instant) -> Poll {
        let old = |at: Instant| now.saturating_duration_since(at) > self.good_for;
        match (self.polled, self.polled_at, self.failing_since) {
            (false, _, _) => Poll::NotConfigured,
            (true, _, Some(since)) if self.failed_rounds >= ROUNDS => Poll::Unreadable { since },
            (true, None, _) => Poll::NotYet,
            (true, Some(at), since) if self.answered.is_none_or(old) => Poll::Unreadable {
                since: since.unwrap_or(at),
            },
            (true, Some(_), _) => Poll::Good,
        }
    }
}

impl AlertPath {
    /// The receiver's Watchdog fires at `at`.
    pub fn saw_watchdog(&self, receiver: &str, at: Timestamp) {
        self.change(receiver, |known| {
            known.watchdog_seen = known.watchdog_seen.max(Some(at))
        });
    }

    /// A webhook came in.
    pub fn heard(&self, receiver: &str, at: Timestamp) {
        self.change(receiver, |known| known.heard_at = known.heard_at.max(Some(at)));
    }

    /// Every peer of the receiver answered.
    pub fn answered(&self, receiver: &str, at: Timestamp) {
        self.change(receiver, |known| {
            known.polled_at = Some(at);
            known.answered = Some(Instant::now());
            known.failed_rounds = 0;
            known.failing_since = None;
        });
    }

    /// Every peer of the receiver answered somebody, here or on another replica, so long ago; its news are stored. Who is cut
    /// off from the source alone knows as much as the others: else they would say by turns that nobody knows, and that it
    /// is known again, and nothing would ever go on.
    pub fn answered_somebody(&self, receiver: &str, age: Duration, at: Timestamp) {
        let Some(answered) = Instant::now().checked_sub(age) else {
            return;
        };
        self.change(receiver, |known| {
            if known.answered.is_some_and(|own| answered < own + NEWER) {
                return;
            }
            known.polled_at = known.polled_at.max(Some(at));
            known.answered = Some(answered);
            known.failed_rounds = 0;
            known.failing_since = None;
        });
    }

    /// A peer of the receiver did not answer.
    pub fn silent(&self, receiver: &str, at: Timestamp) {
        self.change(receiver, |known| {
            known.failed_rounds = known.failed_rounds.saturating_add(1);
            known.failing_since = known.failing_since.or(Some(at));
        });
    }

    /// Which receivers can be polled, and for how long an answer of theirs counts.
    pub fn polls(&self, names: &[&str], good_for: Duration) {
        let mut receivers = self.receivers.write().unwrap_or_else(PoisonError::into_inner);
        for known in receivers.values_mut() {
            known.polled = false;
        }
        for name in names {
            let known = receivers.entry((*name).to_owned()).or_default();
            (known.polled, known.good_for) = (true, good_for);
        }
    }

    /// The oldest Watchdog and the worst poll over `names`.
    pub fn over(&self, names: &[String]) -> (Option<Timestamp>, Poll) {
        self.over_at(names, Instant::now())
    }

    fn over_at(&self, names: &[String], now: Instant) -> (Option<Timestamp>, Poll) {
        let receivers = self.receivers.read().unwrap_or_else(PoisonError::into_inner);
        let known = |name: &String| receivers.get(name).copied().unwrap_or_default();
        let watchdog = names.iter().map(|name| known(name).watchdog_seen).min().flatten();
        let worst = names
            .iter()
            .map(|name| known(name).poll(now))
            .max_by_key(|poll| match poll {
                Poll::NotConfigured => 0,
                Poll::Good => 1,
                Poll::NotYet => 2,
                Poll::Unreadable { .. } => 3,
            });
        (watchdog, worst.unwrap_or(Poll::NotConfigured))
    }

    /// Everything known, by receiver.
    pub fn all(&self) -> BTreeMap<String, Receiver> {
        self.receivers.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, receiver: &str, change: impl FnOnce(&mut Receiver)) {
        let mut receivers = self.receivers.write().unwrap_or_else(PoisonError::into_inner);
        change(receivers.entry(receiver.to_owned()).or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The poller stood still or died after a good round; nobody tells the path, so it must find out by itself.
    #[test]
    fn an_old_answer_counts_for_nothing() {
        let path = AlertPath::default();
        let names = ["default".to_owned()];
        let (at, good_for) = (Timestamp::UNIX_EPOCH, Duration::from_secs(21));
        path.polls(&["default"], good_for);
        assert_eq!(path.over(&names).1, Poll::NotYet);
        path.answered("default", at);
        let now = Instant::now();
        assert_eq!(path.over_at(&names, now).1, Poll::Good);
        let later = now + good_for + Duration::from_secs(1);
        assert_eq!(path.over_at(&names, later).1, Poll::Unreadable { since: at });
        path.answered("default", at);
        assert_eq!(path.over(&names).1, Poll::Good, "a new answer heals it");
    }

    /// One replica that cannot reach the source, and others that can.
    #[test]
    fn what_another_replica_was_answered_counts_here_and_gets_as_old() {
        let path = AlertPath::default();
        let names = ["default".to_owned()];
        let (at, good_for) = (Timestamp::UNIX_EPOCH, Duration::from_secs(21));
        path.polls(&["default"], good_for);
        path.answered_somebody("default", good_for + Duration::from_secs(1), at);
        assert_eq!(path.over(&names).1, Poll::Unreadable { since: at }, "that was long ago");
        for _ in 0..10 {
            path.silent("default", at);
            path.silent("default", at);
            path.answered_somebody("default", Duration::ZERO, at);
            // The next answer comes seconds later; here the clock is moved instead.
            path.change("default", |known| {
                known.answered = known.answered.map(|at| at - NEWER * 2)
            });
            assert_eq!(path.over(&names).1, Poll::Good, "it is cut off, and the others are not");
        }
        let now = Instant::now();
        assert_eq!(path.over_at(&names, now + good_for).1, Poll::Unreadable { since: at });
        for _ in 0..ROUNDS {
            path.silent("default", at);
            path.answered_somebody("default", NEWER * 2, at);
        }
        assert_eq!(
            path.over(&names).1,
            Poll::Unreadable { since: at },
            "the same answer, told again, is none"
        );
    }
}
