//! Owns the board: the flags as this replica serves them, a count of every evaluation, and until when it may serve them.
//! Refuses to answer once nobody can know any more whether it is still true: the default of the caller's code holds then.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tidegate_rollout::Share;
use tidegate_rollout::flag::{Evaluation, FlagState};

/// The flags as this replica serves them, and a count of every evaluation.
pub struct FlagBoard {
    flags: ArcSwap<BTreeMap<String, Arc<Posted>>>,
    /// Every flag is at least as new as this revision. Held while the flags change.
    revision: Mutex<u64>,
    began: Instant,
    /// Milliseconds since `began`; [`FOR_EVER`] where nobody else can change a flag.
    serves_until: AtomicU64,
}

const FOR_EVER: u64 = u64::MAX;

/// One flag with its counters since it was last changed.
pub struct Posted {
    /// What it serves.
    pub state: FlagState,
    /// It was written at this revision, or read at it.
    at: u64,
    on: AtomicU64,
    total: AtomicU64,
}

/// Why a flag was not evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unserved {
    /// No rollout has moved a flag of this name.
    #[error("no rollout has moved this flag")]
    Unknown,
    /// Another replica may have changed it, and this one would not know.
    #[error("this replica has lost touch with the store and serves nobody until it is back")]
    OutOfTouch,
}

impl Posted {
    fn new(state: FlagState, at: u64) -> Arc<Self> {
        Arc::new(Self {
            state,
            at,
            on: AtomicU64::new(0),
            total: AtomicU64::new(0),
        })
    }

    /// The share observed since the last change of this flag.
    pub fn observed(&self) -> Share {
        Share {
            new: self.on.load(Ordering::Relaxed),
            total: self.total.load(Ordering::Relaxed),
        }
    }
}

impl Default for FlagBoard {
    fn default() -> Self {
        Self {
            flags: ArcSwap::default(),
            revision: Mutex::default(),
            began: Instant::now(),
            serves_until: AtomicU64::new(FOR_EVER),
        }
    }
}

impl FlagBoard {
    /// Evaluates a flag for a user at `now`, and counts it; with the flag that was asked, which another may follow already.
    ///
    /// # Errors
    /// [`Unserved`]: there is no such flag, or this replica may not serve it now.
    pub fn evaluate(
        &self,
        key: &str,
        targeting_key: &str,
        now: Instant,
    ) -> Result<(Evaluation, Arc<Posted>), Unserved> {
        if !self.serves(now) {
            return Err(Unserved::OutOfTouch);
        }
        let flags = self.flags.load();
        let posted = Arc::clone(flags.get(key).ok_or(Unserved::Unknown)?);
        let answer = posted.state.evaluate(targeting_key);
        posted.total.fetch_add(1, Ordering::Relaxed);
        if answer.on {
            posted.on.fetch_add(1, Ordering::Relaxed);
        }
        Ok((answer, posted))
    }

    /// Looks without counting: for pages and read-backs.
    pub fn peek(&self, key: &str) -> Option<Arc<Posted>> {
        self.flags.load().get(key).map(Arc::clone)
    }

    /// The keys of all flags.
    pub fn keys(&self) -> Vec<String> {
        self.flags.load().keys().cloned().collect()
    }

    /// Every flag served here is at least as new as this revision.
    pub fn revision(&self) -> u64 {
        *self.turn()
    }

    /// Whether flags are served at `now`.
    pub fn serves(&self, now: Instant) -> bool {
        let until = self.serves_until.load(Ordering::Acquire);
        until == FOR_EVER || now < self.began + Duration::from_millis(until)
    }

    /// From now on flags are served until that moment of the monotonic clock; said again and again, or not any more.
    pub fn serve_until(&self, until: Instant) {
        let millis = until.saturating_duration_since(self.began).as_millis();
        let millis = u64::try_from(millis).unwrap_or(FOR_EVER - 1);
        self.serves_until.store(millis, Ordering::Release);
    }

    /// Serves what the book says. Counters of flags that did not change go on, and what was written here after that
    /// reading stays.
    pub fn post(&self, flags: Vec<FlagState>, revision: u64) {
        let mut served = self.turn();
        // Two readers may race here; the later revision stays.
        if revision < *served {
            return;
        }
        let current = self.flags.load();
        let ours = |posted: &Posted| posted.at > revision;
        let mut next: BTreeMap<String, Arc<Posted>> = current
            .iter()
            .filter(|(_, posted)| ours(posted))
            .map(|(key, posted)| (key.clone(), Arc::clone(posted)))
            .collect();
        for state in flags {
            let posted = match current.get(&state.key) {
                Some(posted) if posted.state == state => Arc::clone(posted),
                Some(posted) if ours(posted) && posted.state.epoch >= state.epoch => continue,
                Some(_) | None => Posted::new(state, revision),
            };
            next.insert(posted.state.key.clone(), posted);
        }
        self.flags.store(Arc::new(next));
        *served = revision;
    }

    /// Serves one flag that was just written at `revision`. The others may be older: the revision of the board moves on
    /// only when there is none between.
    pub fn put(&self, state: FlagState, revision: u64) {
        let mut served = self.turn();
        let current = self.flags.load();
        let newer = |posted: &Arc<Posted>| posted.at >= revision || posted.state == state;
        if revision <= *served || current.get(&state.key).is_some_and(newer) {
            return;
        }
        let mut next = BTreeMap::clone(&current);
        next.insert(state.key.clone(), Posted::new(state, revision));
        self.flags.store(Arc::new(next));
        if revision == *served + 1 {
            *served = revision;
        }
    }

    fn turn(&self) -> MutexGuard<'_, u64> {
        self.revision.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
