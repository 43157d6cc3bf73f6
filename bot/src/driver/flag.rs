//! Owns the built-in flag as a driver, and the board from which evaluations are answered.
//! Refuses to serve anything that is not committed: the board is filled from what the book says was written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tidegate_rollout::flag::{Evaluation, FlagState};
use tidegate_rollout::plan::FlagTarget;
use tidegate_rollout::{AdvanceToken, ReadBack, Share, Weight};
use tokio::sync::watch;

use super::{Driver, DriverError, Seen, Wanted};
use crate::leadership::Leadership;

/// Where flags are durable.
pub trait FlagBook: Send + Sync {
    /// Writes a flag unless the stored epoch is higher; answers that epoch then.
    fn write(&self, flag: &FlagState) -> impl Future<Output = anyhow::Result<Result<(), u64>>> + Send;

    /// Every flag and the revision they are at.
    fn read(&self) -> impl Future<Output = anyhow::Result<(Vec<FlagState>, u64)>> + Send;

    /// Whether every live replica serves at least this revision.
    fn served_everywhere(&self, revision: u64) -> impl Future<Output = anyhow::Result<bool>> + Send;
}

/// The flags as this replica serves them, and a count of every evaluation.
pub struct FlagBoard {
    flags: ArcSwap<BTreeMap<String, Arc<Posted>>>,
    revision: watch::Sender<u64>,
}

/// One flag with its counters since it was last changed.
pub struct Posted {
    /// What it serves.
    pub state: FlagState,
    on: AtomicU64,
    total: AtomicU64,
}

impl Posted {
    fn new(state: FlagState) -> Arc<Self> {
        Arc::new(Self {
            state,
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
            revision: watch::Sender::new(0),
        }
    }
}

impl FlagBoard {
    /// Evaluates a flag for a user and counts it; `None` when there is no such flag.
    pub fn evaluate(&self, key: &str, targeting_key: &str) -> Option<Evaluation> {
        let flags = self.flags.load();
        let posted = flags.get(key)?;
        let answer = posted.state.evaluate(targeting_key);
        posted.total.fetch_add(1, Ordering::Relaxed);
        if answer.on {
            posted.on.fetch_add(1, Ordering::Relaxed);
        }
        Some(answer)
    }

    /// Evaluates without counting: for pages and tests of a user's answer.
    pub fn peek(&self, key: &str) -> Option<Arc<Posted>> {
        self.flags.load().get(key).map(Arc::clone)
    }

    /// The keys of all flags.
    pub fn keys(&self) -> Vec<String> {
        self.flags.load().keys().cloned().collect()
    }

    /// The revision served; it changes whenever any answer may.
    pub fn revision(&self) -> u64 {
        *self.revision.borrow()
    }

    /// Serves what the book says. Counters of flags that did not change go on.
    pub fn post(&self, flags: Vec<FlagState>, revision: u64) {
        let current = self.flags.load();
        let keep = |state: FlagState| match current.get(&state.key) {
            Some(posted) if posted.state == state => (state.key.clone(), Arc::clone(posted)),
            Some(_) | None => (state.key.clone(), Posted::new(state)),
        };
        let next: BTreeMap<_, _> = flags.into_iter().map(keep).collect();
        // Two writers may race here; the later revision stays.
        self.revision.send_if_modified(|served| {
            let newer = revision >= *served;
            if newer {
                self.flags.store(Arc::new(next));
            }
            let changed = revision > *served;
            *served = revision.max(*served);
            changed
        });
    }
}

/// How long a read-back waits for an evaluation to show that traffic follows.
const EVALUATION_WAIT: Duration = Duration::from_millis(400);
/// How often it looks meanwhile, and how often it asks whether the other replicas serve it.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The driver of one flag.
pub struct FlagDriver<B> {
    target: FlagTarget,
    book: B,
    board: Arc<FlagBoard>,
    serial: Arc<Mutex<()>>,
}

impl<B: FlagBook> FlagDriver<B> {
    /// A driver for `target`, durable in `book`, served from `board`.
    pub fn new(target: FlagTarget, book: B, board: Arc<FlagBoard>) -> Self {
        Self {
            target,
            book,
            board,
            serial: Arc::default(),
        }
    }

    async fn set(&self, wanted: &Wanted, now: Timestamp) -> Result<ReadBack, DriverError> {
        let members: BTreeSet<String> = wanted
            .groups
            .iter()
            .filter_map(|group| self.target.groups.get(group))
            .flat_map(|keys| keys.iter().cloned())
            .collect();
        let busy_before = self
            .board
            .peek(&self.target.key)
            .is_some_and(|posted| posted.observed().total > 0);
        let state = FlagState {
            key: self.target.key.clone(),
            weight: wanted.weight,
            members,
            epoch: wanted.epoch,
            rollout: wanted.rollout.clone(),
        };
        let written = self
            .book
            .write(&state)
            .await
            .map_err(|source| DriverError::Unreachable {
                tried: "write the flag",
                source,
            })?;
        written.map_err(|found| DriverError::Fenced { found })?;
        self.read_back(wanted, busy_before, now).await
    }

    /// Reads what is stored, serves it here, waits until every live replica serves it, and looks for evaluations.
    async fn read_back(&self, wanted: &Wanted, busy: bool, now: Timestamp) -> Result<ReadBack, DriverError> {
        let unreachable = |tried| move |source| DriverError::Unreachable { tried, source };
        let started = tokio::time::Instant::now();
        let (flags, revision) = self.book.read().await.map_err(unreachable("read the flags back"))?;
        {
            let _one_at_a_time = self.serial.lock().unwrap_or_else(PoisonError::into_inner);
            self.board.post(flags, revision);
        }
        while !self
            .book
            .served_everywhere(revision)
            .await
            .map_err(unreachable("ask the other replicas"))?
        {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let posted = self
            .board
            .peek(&self.target.key)
            .ok_or_else(|| DriverError::Unreachable {
                tried: "read the flag back",
                source: anyhow::anyhow!("flag {} is not served after it was written", self.target.key),
            })?;
        if posted.state.weight != wanted.weight {
            return Err(DriverError::Foreign {
                found: posted.state.weight,
                how: format!("the flag {} serves another weight", self.target.key),
            });
        }
        while busy && posted.observed().total == 0 && started.elapsed() < EVALUATION_WAIT {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let took = jiff::SignedDuration::try_from(started.elapsed()).unwrap_or_default();
        Ok(describe(
            wanted.weight,
            posted.observed(),
            now.saturating_add(took).unwrap_or(now),
        ))
    }
}

/// A flag that nobody has evaluated since is served, never "verified".
fn describe(weight: Weight, observed: Share, at: Timestamp) -> ReadBack {
    let how = match observed.total {
        0 => format!("The flag serves {weight}, no evaluation seen since"),
        total => format!(
            "The flag serves {weight}; {} of {total} evaluations since went to the new version",
            observed.new
        ),
    };
    ReadBack {
        weight,
        how,
        seen_in_traffic: observed.total > 0 && (!weight.is_zero() || observed.new == 0),
        observed: (observed.total > 0).then_some(observed),
        at,
    }
}

impl<B: FlagBook> Driver for FlagDriver<B> {
    async fn raise(
        &self,
        wanted: &Wanted,
        led: &Leadership,
        token: AdvanceToken,
        now: Timestamp,
    ) -> Result<ReadBack, DriverError> {
        if !led.holds(std::time::Instant::now()) || token.epoch() != wanted.epoch {
            return Err(DriverError::Unreachable {
                tried: "raise the flag",
                source: anyhow::anyhow!("the lease of term {} ran out before the write", led.term()),
            });
        }
        self.set(wanted, now).await
    }

    async fn to_zero(&self, rollout: &str, epoch: u64, now: Timestamp) -> Result<ReadBack, DriverError> {
        let wanted = Wanted {
            rollout: rollout.to_owned(),
            epoch,
            weight: Weight::ZERO,
            groups: Vec::new(),
        };
        self.set(&wanted, now).await
    }

    /// A flag is made by its first write.
    async fn may_start(&self) -> Result<(), DriverError> {
        Ok(())
    }

    /// The book is ours alone, so a flag never reads differently; what is seen is its traffic.
    async fn look(&self, _: Weight) -> Result<Seen, DriverError> {
        let posted = self.board.peek(&self.target.key);
        let share = posted.map(|posted| posted.observed()).filter(|share| share.total > 0);
        let how = share.map_or_else(
            || "no evaluation seen since the last change".to_owned(),
            |share| format!("{} of {} evaluations went to the new version", share.new, share.total),
        );
        Ok(Seen { share, how })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_rollout::Surroundings;

    /// A book in memory that keeps the fence of the real one.
    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<(BTreeMap<String, FlagState>, u64)>>);

    impl FlagBook for Memory {
        async fn write(&self, flag: &FlagState) -> anyhow::Result<Result<(), u64>> {
            let mut book = self.0.lock().unwrap();
            if let Some(known) = book.0.get(&flag.key).filter(|known| known.epoch > flag.epoch) {
                return Ok(Err(known.epoch));
            }
            book.0.insert(flag.key.clone(), flag.clone());
            book.1 += 1;
            Ok(Ok(()))
        }

        async fn read(&self) -> anyhow::Result<(Vec<FlagState>, u64)> {
            let book = self.0.lock().unwrap();
            Ok((book.0.values().cloned().collect(), book.1))
        }

        async fn served_everywhere(&self, _: u64) -> anyhow::Result<bool> {
            Ok(true)
        }
    }

    fn driver() -> (FlagDriver<Memory>, Arc<FlagBoard>) {
        let board = Arc::new(FlagBoard::default());
        let groups = BTreeMap::from([("internal".to_owned(), vec!["ana".to_owned()])]);
        let target = FlagTarget {
            key: "checkout-v2".to_owned(),
            groups,
        };
        (FlagDriver::new(target, Memory::default(), Arc::clone(&board)), board)
    }

    fn wanted(epoch: u64, percent: u8, groups: &[&str]) -> Wanted {
        Wanted {
            rollout: "checkout-1".to_owned(),
            epoch,
            weight: Weight::percent(percent),
            groups: groups.iter().map(|&group| group.to_owned()).collect(),
        }
    }

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    #[tokio::test]
    async fn zero_takes_everybody_out_groups_too_at_the_next_evaluation() {
        let (driver, board) = driver();
        driver.set(&wanted(1, 50, &["internal"]), NOW).await.unwrap();
        assert!(board.evaluate("checkout-v2", "ana").unwrap().on, "the group is in");
        let read_back = driver.to_zero("checkout-1", 2, NOW).await.unwrap();
        assert_eq!(read_back.weight, Weight::ZERO);
        for user in ["ana", "ben", "cleo", "dan"] {
            assert!(!board.evaluate("checkout-v2", user).unwrap().on, "{user} is out");
        }
    }

    #[tokio::test]
    async fn a_flag_nobody_evaluates_is_served_but_not_seen() {
        let (driver, _) = driver();
        let read_back = driver.to_zero("checkout-1", 1, NOW).await.unwrap();
        assert!(!read_back.seen_in_traffic);
        assert_eq!(read_back.how, "The flag serves 0%, no evaluation seen since");
    }

    #[tokio::test]
    async fn a_lower_epoch_is_fenced_and_changes_nothing() {
        let (driver, board) = driver();
        driver.to_zero("checkout-1", 7, NOW).await.unwrap();
        let stale = driver.set(&wanted(6, 50, &[]), NOW).await.unwrap_err();
        assert!(matches!(stale, DriverError::Fenced { found: 7 }), "{stale}");
        assert!(board.peek("checkout-v2").unwrap().state.weight.is_zero());
    }

    #[tokio::test]
    async fn a_lease_that_ran_out_raises_nothing() {
        let (driver, board) = driver();
        let led = Leadership::granted(1, std::time::Instant::now());
        let rollout: tidegate_rollout::Rollout = serde_json::from_str(ROLLOUT).unwrap();
        let action = tidegate_rollout::Action {
            id: tidegate_rollout::ActionId::new("checkout-1.1.0"),
            rollout: rollout.id.clone(),
            epoch: rollout.epoch,
            kind: tidegate_rollout::ActionKind::ToZero {
                target: rollout.plan.spec.target.clone(),
            },
        };
        let token = AdvanceToken::of(&rollout, &action, &Surroundings::calm(NOW), NOW).unwrap();
        let refused = driver.raise(&wanted(rollout.epoch, 50, &[]), &led, token, NOW).await;
        assert!(refused.is_err());
        assert!(board.peek("checkout-v2").is_none(), "nothing was written");
    }

    #[tokio::test]
    async fn an_older_revision_never_replaces_a_newer_one() {
        let board = FlagBoard::default();
        let state = |weight| FlagState {
            key: "k".to_owned(),
            weight,
            members: BTreeSet::new(),
            epoch: 1,
            rollout: "k-1".to_owned(),
        };
        board.post(vec![state(Weight::ZERO)], 5);
        board.post(vec![state(Weight::FULL)], 4);
        assert!(board.peek("k").unwrap().state.weight.is_zero());
        assert_eq!(board.revision(), 5);
    }

    const ROLLOUT: &str = r#"{
        "id": "checkout-1", "inputs": {}, "started_by": "ana", "started_at": "2026-11-20T00:00:00Z",
        "generation": 1, "epoch": 1, "wanted": "50%", "exposed_at": "2026-11-20T00:00:00Z",
        "stage": {"baking": {"phase": 0, "since": "2026-11-20T00:00:00Z"}}, "bake": {"counted": "0ms", "since": null},
        "pause": null, "holds": [], "next_number": 0, "decisions": [], "alerts": {}, "no_data": null,
        "plan": {
            "apiVersion": "tidegate.dev/v1alpha1", "kind": "RolloutPlan", "metadata": {"name": "checkout"},
            "spec": {
                "title": "Checkout", "service": "checkout", "environment": "production",
                "target": {"flag": {"key": "checkout-v2"}},
                "phases": [{"name": "half", "weight": "50%", "bake": "1m"}]
            }
        }
    }"#;
}
