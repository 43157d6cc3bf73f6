//! What is held against a target, and what is not.

use jiff::SignedDuration;
use tempfile::tempdir;

use super::*;
use crate::runner::bench::{begun, engine_with_queues};

/// However often it was tried: with much to do a lease may end between the claim and the write.
#[tokio::test]
async fn a_lease_that_runs_out_is_not_the_targets_fault() {
    let directory = tempdir().unwrap();
    let (engine, _queues) = engine_with_queues(&directory, &[]).await;
    let now = clock::now();
    let action = begun(&engine, now).await.actions.remove(0);
    let claimed = Claimed {
        action: action.clone(),
        attempts: FORWARD_ATTEMPTS + 1,
        first_tried_at: now - SignedDuration::from_hours(1),
    };
    let run_out = Leadership::run_out();

    let attempted = tokio::time::timeout(Duration::from_secs(10), attempt(&engine, claimed, Some(&run_out)));
    attempted.await.expect("the rollout hears nothing of it");

    let led = engine.store.lead("one", Period::minutes(1)).await.unwrap().unwrap();
    let later = now + SignedDuration::from_secs(5);
    let again = engine.store.claim_forward(&led, "one", later, Period::seconds(1), 9);
    let again: Vec<_> = again
        .await
        .unwrap()
        .into_iter()
        .map(|claimed| claimed.action.id)
        .collect();
    assert_eq!(again, [action.id], "whoever leads next does it");
}
