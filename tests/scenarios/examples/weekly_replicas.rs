//! `weekly-replicas`: four weeks of pods, and back.

use anyhow::{Result, ensure};
use serde_json::json;
use tidegate_tests::wait;

use super::story::{PATIENCE, Story, judge};

const EXAMPLE: &str = "weekly-replicas";
const ROLLOUT: &str = "finance-service-1";
const START: [&str; 3] = ["finance-service", "version:v2", "previous:v1"];

fn asked(story: &Story) -> Result<(u64, u64)> {
    let count = |name| story.cluster.replicas("finance", name).map(|(asked, _)| asked);
    Ok((count("finance-service-v2")?, count("finance-service-v1")?))
}

#[test]
fn every_file_is_taken_by_the_program_that_reads_it() -> Result<()> {
    judge(EXAMPLE, &["plan.yaml"])
}

#[tokio::test]
async fn four_weeks_from_the_first_pod_to_the_last() -> Result<()> {
    let story = Story::open(EXAMPLE, "plan.yaml", "1s").await?;
    story.begin(&START).await?;
    for (week, pods) in [
        ("week-1", (1, 4)),
        ("week-2", (3, 2)),
        ("week-3", (4, 1)),
        ("week-4", (5, 0)),
    ] {
        story.is(ROLLOUT, week, "WAITING").await?;
        assert_eq!(asked(&story)?, pods, "{week}");
        let (code, answer) = story.say(&["rollout", "advance", ROLLOUT]).await?;
        ensure!(code == 0, "{answer}");
    }
    story.ends(ROLLOUT, 0).await?;
    assert_eq!(asked(&story)?, (5, 0));
    assert_eq!(story.cluster.least_ready("finance-service"), 5, "capacity dipped");
    Ok(())
}

#[tokio::test]
async fn in_the_second_week_an_alert_of_its_rules_brings_every_old_pod_back() -> Result<()> {
    let story = Story::open(EXAMPLE, "plan.yaml", "1d").await?;
    story.begin(&START).await?;
    story.is(ROLLOUT, "week-1", "WAITING").await?;
    let (code, answer) = story.say(&["rollout", "advance", ROLLOUT]).await?;
    ensure!(code == 0, "{answer}");
    story.is(ROLLOUT, "week-2", "WAITING").await?;
    story
        .fires("FinanceErrorRateCritical", json!({ "version": "v2" }))
        .await?;
    story.ends(ROLLOUT, 5).await?;
    assert_eq!(asked(&story)?, (0, 5));
    assert_eq!(story.cluster.least_ready("finance-service"), 5, "capacity dipped");
    let told = story.told(ROLLOUT).await?;
    ensure!(
        told.contains("FinanceErrorRateCritical") && told.contains("0 of 5 ready pods are finance-service-v2"),
        "{told}"
    );
    let paged = |body: &serde_json::Value| body.to_string().contains("FinanceErrorRateCritical");
    story
        .pager
        .delivery("somebody is woken", PATIENCE, paged)
        .await
        .map(drop)
}

/// Going back would not help then, so that is for people to decide.
#[tokio::test]
async fn when_the_old_version_fails_in_the_same_way_nothing_moves_by_itself() -> Result<()> {
    let story = Story::open(EXAMPLE, "plan.yaml", "1d").await?;
    story.begin(&START).await?;
    story.is(ROLLOUT, "week-1", "WAITING").await?;
    story
        .fires("FinanceErrorRateCritical", json!({ "version": "v1" }))
        .await?;
    wait::until("that is told", PATIENCE, async || {
        let log = story.told(ROLLOUT).await?;
        ensure!(log.contains("evidence against a rollback"), "{log}");
        Ok(())
    })
    .await?;
    story
        .fires("FinanceErrorRateCritical", json!({ "version": "v2" }))
        .await?;
    let held = |body: &serde_json::Value| body.to_string().contains("FinanceErrorRateCritical");
    story.pager.delivery("somebody is asked", PATIENCE, held).await?;
    assert_eq!(asked(&story)?, (1, 4));
    let (code, answer) = story
        .say(&["rollout", "rollback", ROLLOUT, "both fail, and the old one is known"])
        .await?;
    ensure!(code == 0, "{answer}");
    story.ends(ROLLOUT, 5).await?;
    assert_eq!(asked(&story)?, (0, 5));
    Ok(())
}
