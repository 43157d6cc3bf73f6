//! What the flag driver promises: fenced, served at once, read back honestly; and what the board promises to those who ask.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tidegate_rollout::Surroundings;

use super::*;

/// A book in memory that keeps the fence of the real one.
#[derive(Clone, Default)]
struct Memory {
    pages: Arc<Mutex<(BTreeMap<String, FlagState>, u64)>>,
    /// It can be written, and does not answer a reader.
    unreadable: Arc<AtomicBool>,
    /// Another replica still serves what was there before.
    one_is_behind: Arc<AtomicBool>,
}

impl FlagBook for Memory {
    async fn write(&self, flag: &FlagState) -> anyhow::Result<Written> {
        let mut book = self.pages.lock().unwrap();
        if let Some(known) = book.0.get(&flag.key).filter(|known| known.epoch > flag.epoch) {
            return Ok(Written::Fenced { epoch: known.epoch });
        }
        book.0.insert(flag.key.clone(), flag.clone());
        book.1 += 1;
        Ok(Written::Durable { revision: book.1 })
    }

    async fn read(&self) -> anyhow::Result<(Vec<FlagState>, u64)> {
        anyhow::ensure!(!self.unreadable.load(Ordering::Relaxed), "no connection is free");
        let book = self.pages.lock().unwrap();
        Ok((book.0.values().cloned().collect(), book.1))
    }

    async fn served_everywhere(&self, _: u64) -> anyhow::Result<bool> {
        Ok(!self.one_is_behind.load(Ordering::Relaxed))
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
    assert!(
        board.evaluate("checkout-v2", "ana", Instant::now()).unwrap().0.on,
        "the group is in"
    );
    let read_back = driver.to_zero("checkout-1", 2, NOW).await.unwrap();
    assert_eq!(read_back.weight, Weight::ZERO);
    for user in ["ana", "ben", "cleo", "dan"] {
        assert!(
            !board.evaluate("checkout-v2", user, Instant::now()).unwrap().0.on,
            "{user} is out"
        );
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
    let led = Leadership::run_out();
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
async fn what_is_durable_is_served_also_when_it_cannot_be_read_back() {
    let (driver, board) = driver();
    driver.set(&wanted(1, 100, &[]), NOW).await.unwrap();
    assert!(board.evaluate("checkout-v2", "ana", Instant::now()).unwrap().0.on);
    driver.book.unreadable.store(true, Ordering::Relaxed);
    let unread = driver.to_zero("checkout-1", 2, NOW).await.unwrap_err();
    assert!(matches!(unread, DriverError::Unreachable { .. }), "{unread}");
    assert!(
        !board.evaluate("checkout-v2", "ana", Instant::now()).unwrap().0.on,
        "the next request gets the old version"
    );
    assert_eq!(board.revision(), 2);
}

fn state(key: &str, epoch: u64, weight: Weight) -> FlagState {
    FlagState {
        key: key.to_owned(),
        weight,
        members: BTreeSet::new(),
        epoch,
        rollout: "k-1".to_owned(),
    }
}

fn weight(board: &FlagBoard, key: &str) -> Weight {
    board.peek(key).unwrap().state.weight
}

#[test]
fn an_older_revision_never_replaces_a_newer_one() {
    let board = FlagBoard::default();
    board.post(vec![state("k", 1, Weight::ZERO)], 5);
    board.post(vec![state("k", 1, Weight::FULL)], 4);
    assert!(weight(&board, "k").is_zero());
    assert_eq!(board.revision(), 5);
}

#[test]
fn a_reading_from_before_our_write_does_not_undo_it_and_the_board_claims_no_more_than_it_has() {
    let board = FlagBoard::default();
    board.post(vec![state("a", 1, Weight::FULL), state("b", 1, Weight::FULL)], 5);
    // Another replica wrote at 6; ours is the 7th.
    board.put(state("a", 2, Weight::ZERO), 7);
    assert_eq!(board.revision(), 5, "of the 6th nothing is known");
    board.post(vec![state("a", 1, Weight::FULL), state("b", 1, Weight::FULL)], 5);
    board.post(vec![state("a", 1, Weight::FULL), state("b", 2, Weight::ZERO)], 6);
    assert!(weight(&board, "a").is_zero(), "that reading began before our write");
    assert!(weight(&board, "b").is_zero());
    assert_eq!(board.revision(), 6);
    board.put(state("new", 1, Weight::percent(5)), 8);
    board.post(vec![state("a", 2, Weight::ZERO), state("b", 2, Weight::ZERO)], 7);
    assert_eq!(
        weight(&board, "new"),
        Weight::percent(5),
        "also when it was not there before"
    );
    // A later decision on the same flag is never hidden by what was written here.
    board.post(vec![state("a", 3, Weight::percent(1)), state("b", 2, Weight::ZERO)], 8);
    assert_eq!(weight(&board, "a"), Weight::percent(1));
}

#[test]
fn a_board_that_is_out_of_touch_answers_nobody_until_it_is_back() {
    let board = FlagBoard::default();
    board.post(vec![state("k", 1, Weight::FULL)], 1);
    let now = Instant::now();
    let later = now + Duration::from_secs(3);
    assert!(
        board.evaluate("k", "ana", later).unwrap().0.on,
        "alone it serves for ever"
    );
    board.serve_until(now + Duration::from_secs(2));
    assert!(board.evaluate("k", "ana", now).unwrap().0.on);
    assert_eq!(board.evaluate("k", "ana", later).err(), Some(Unserved::OutOfTouch));
    assert_eq!(
        board.peek("k").unwrap().observed().total,
        2,
        "what is not answered is not counted"
    );
    board.serve_until(later + Duration::from_secs(2));
    assert!(board.evaluate("k", "ana", later).unwrap().0.on);
    assert_eq!(board.evaluate("other", "ana", later).err(), Some(Unserved::Unknown));
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

/// One of eight servers had not been updated, and nobody looked (Knight Capital, 2012): nothing is called done while a
/// replica serves something else.
#[tokio::test]
async fn verify_every_target_reports_version() {
    let (driver, _) = driver();
    let one_is_behind = Arc::clone(&driver.book.one_is_behind);
    one_is_behind.store(true, Ordering::Relaxed);
    let mut to_zero = std::pin::pin!(driver.to_zero("checkout-1", 1, NOW));
    let early = tokio::time::timeout(Duration::from_millis(100), &mut to_zero).await;
    assert!(early.is_err(), "one replica serves the old weight");
    one_is_behind.store(false, Ordering::Relaxed);
    assert!(to_zero.await.unwrap().weight.is_zero());
}

#[tokio::test]
async fn the_observed_share_is_what_was_answered() {
    let (driver, board) = driver();
    driver.set(&wanted(1, 25, &["internal"]), NOW).await.unwrap();
    let users: Vec<String> = (0..100).map(|number| format!("user-{number}")).collect();
    let answered_on = |users: &[String]| {
        let on = |user: &&String| board.evaluate("checkout-v2", user, Instant::now()).unwrap().0.on;
        users.iter().filter(on).count() as u64
    };
    let on = answered_on(&users);
    assert!((5..60).contains(&on), "{on} of a hundred are in at 25 %");
    let observed = board.peek("checkout-v2").unwrap().observed();
    assert_eq!((observed.new, observed.total), (on, 100));
    let again = answered_on(&users[..10]);
    let observed = board.peek("checkout-v2").unwrap().observed();
    assert_eq!(
        (observed.new, observed.total),
        (on + again, 110),
        "who asks twice counts twice"
    );
    let seen = driver.look(Weight::percent(25)).await.unwrap();
    assert_eq!(seen.share, Some(observed));
    driver.to_zero("checkout-1", 2, NOW).await.unwrap();
    let observed = board.peek("checkout-v2").unwrap().observed();
    assert_eq!(
        (observed.new, observed.total),
        (0, 0),
        "it is counted since the last change"
    );
}
