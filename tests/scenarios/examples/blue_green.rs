//! `blue-green`: an hour of weights, or one switch; and back by the first rung that works.

use anyhow::{Context, Result, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tidegate_tests::kubernetes::{Kubernetes, Mishap};

use super::people::Platform;
use super::story::{PATIENCE, Story, judge};

const EXAMPLE: &str = "blue-green";
const ROLLOUT: &str = "boka-1";

/// The weights of blue and green.
fn weights(story: &Story) -> Result<(Value, Value)> {
    let route = story
        .cluster
        .object("gateway.networking.k8s.io", "httproutes", "shop", "boka")?;
    let backends = &route["spec"]["rules"][0]["backendRefs"];
    Ok((backends[0]["weight"].clone(), backends[1]["weight"].clone()))
}

fn colour(story: &Story, service: &str) -> Result<Value> {
    let service = story.cluster.object("", "services", "shop", service)?;
    Ok(service["spec"]["selector"]["version"].clone())
}

#[test]
fn every_file_is_taken_by_the_program_that_reads_it() -> Result<()> {
    judge(EXAMPLE, &["plan.yaml", "plan-selector.yaml"])
}

#[tokio::test]
async fn an_hour_from_a_tenth_to_everybody_by_itself() -> Result<()> {
    let story = Story::open(EXAMPLE, "plan.yaml", "1s").await?;
    story.begin(&["boka"]).await?;
    story.ends(ROLLOUT, 0).await?;
    assert_eq!(weights(&story)?, (0.into(), 100.into()));
    let told = story.told(ROLLOUT).await?;
    for phase in ["tenth", "quarter", "half", "most", "green"] {
        ensure!(told.contains(phase), "{phase} is not in:\n{told}");
    }
    assert_eq!(
        story.cluster.replicas("shop", "boka-blue")?,
        (3, 3),
        "blue is no standby any more"
    );
    Ok(())
}

#[tokio::test]
async fn a_green_that_does_not_answer_gets_no_traffic_until_it_does() -> Result<()> {
    let story = Story::open(EXAMPLE, "plan.yaml", "1d").await?;
    story.service.answer_with(StatusCode::BAD_GATEWAY);
    story.begin(&["boka"]).await?;
    let asked = |body: &Value| body.to_string().contains("green-answers");
    story.pager.delivery("somebody is woken", PATIENCE, asked).await?;
    assert_eq!(weights(&story)?, (100.into(), 0.into()), "nothing has moved");
    ensure!(
        story.service.deliveries().iter().all(|seen| seen.uri == "/healthz"),
        "{:?}",
        story.service.deliveries()
    );

    story.service.answer_with(StatusCode::OK);
    let (code, answer) = story.say(&["rollout", "retry", ROLLOUT]).await?;
    ensure!(code == 0, "{answer}");
    story.is(ROLLOUT, "green", "WATCHING").await?;
    assert_eq!(weights(&story)?, (0.into(), 100.into()));
    Ok(())
}

#[tokio::test]
async fn an_alert_of_its_rules_gives_everything_back_to_blue() -> Result<()> {
    let story = Story::open(EXAMPLE, "plan.yaml", "1d").await?;
    story.begin(&["boka"]).await?;
    story.is(ROLLOUT, "green", "WATCHING").await?;
    story.fires("BokaErrorRateHigh", json!({ "version": "green" })).await?;
    story.ends(ROLLOUT, 5).await?;
    assert_eq!(weights(&story)?, (100.into(), 0.into()));
    assert_eq!(colour(&story, "boka-green")?, "green", "the first rung was enough");
    Ok(())
}

#[tokio::test]
async fn when_the_route_cannot_be_written_the_service_of_green_selects_blue() -> Result<()> {
    let cluster = Kubernetes::fake().await?;
    let story = Story::open_in(cluster, EXAMPLE, "plan.yaml", "1d", Platform::Slack, |plan| plan).await?;
    story.begin(&["boka"]).await?;
    story.is(ROLLOUT, "green", "WATCHING").await?;
    story
        .cluster
        .trouble(Method::PATCH, "httproutes", u32::MAX, Mishap::Refused(500))?;
    story
        .fires("BokaResponseTimeHigh", json!({ "version": "green" }))
        .await?;
    story.ends(ROLLOUT, 5).await?;
    assert_eq!(weights(&story)?, (0.into(), 100.into()), "the route is as it was");
    assert_eq!(colour(&story, "boka-green")?, "blue");
    let (_, card) = story.tidegate.get(&format!("/api/v1/rollouts/{ROLLOUT}")).await?;
    let rungs = card["ladder"].as_array().cloned().context("no ladder")?;
    let rung = |n: usize| rungs.get(n).and_then(Value::as_str).unwrap_or_default();
    ensure!(
        rung(0).starts_with("route") && rung(0).contains("failed after"),
        "{card}"
    );
    ensure!(
        rung(1).starts_with("selector") && rung(1).contains("zero read back"),
        "{card}"
    );
    Ok(())
}

#[tokio::test]
async fn without_a_gateway_the_selector_switches_there_and_back() -> Result<()> {
    let story = Story::open(EXAMPLE, "plan-selector.yaml", "1d").await?;
    story.begin(&["boka-at-once"]).await?;
    story.is("boka-at-once-1", "green", "WATCHING").await?;
    assert_eq!(colour(&story, "boka")?, "green");
    story.fires("BokaSessionsFail", json!({ "version": "green" })).await?;
    story.ends("boka-at-once-1", 5).await?;
    assert_eq!(colour(&story, "boka")?, "blue");
    assert_eq!(
        story.cluster.replicas("shop", "boka-green")?,
        (3, 3),
        "no pod was touched"
    );
    Ok(())
}
