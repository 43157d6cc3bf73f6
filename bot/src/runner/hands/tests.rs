//! What is held against a target, and what is not.

use jiff::SignedDuration;
use tempfile::tempdir;

use super::*;
use crate::runner::bench::{begun, engine_with_queues};

/// However often it was tried: with much to do a lease may end between the claim and the write.
#[tokio::test]
async fn a_lease_that_went_to_somebody_else_is_not_the_targets_fault() {
    let directory = tempdir().unwrap();
    let (engine, _queues) = engine_with_queues(&directory, &[]).await;
    let now = clock::now();
    begun(&engine, now).await;
    // Not this replica, which still believes in its lease of before.
    let led = engine.store.lead("another", Period::minutes(1)).await.unwrap().unwrap();
    let claim = async |at| {
        let claimed = engine
            .store
            .claim_forward(&led, "another", at, Period::seconds(1), 9)
            .await;
        claimed.unwrap().pop().expect("there is something to raise")
    };
    let mut claimed = claim(now).await;
    let id = claimed.action.id.clone();
    claimed.attempts = FORWARD_ATTEMPTS + 1;
    claimed.first_tried_at = now - SignedDuration::from_hours(1);
    let run_out = Leadership::run_out();

    let attempted = tokio::time::timeout(Duration::from_secs(10), attempt(&engine, claimed, Some(&run_out)));
    attempted.await.expect("the rollout hears nothing of it");

    let again = claim(now + SignedDuration::from_secs(5)).await;
    assert_eq!(again.action.id, id, "whoever leads next does it");
    assert_eq!(again.attempts, 1, "the attempt does not count");
}

/// And so is one that ends too soon for a write, which a driver notices.
#[tokio::test]
async fn what_a_lease_was_too_short_for_is_put_off() {
    let directory = tempdir().unwrap();
    let (engine, _queues) = engine_with_queues(&directory, &[]).await;
    let action = begun(&engine, clock::now()).await.actions.remove(0);
    let done = ended(&action, Err(DriverError::Unled { term: 7 })).unwrap();
    assert!(matches!(&done, Done::InTheWay(why) if why.contains("lease of term 7")));
    let unreachable = DriverError::Unreachable {
        tried: "move the target",
        source: anyhow::anyhow!("no answer"),
    };
    assert!(ended(&action, Err(unreachable)).is_err(), "that is held against it");
}
