//! `weekly-replicas`: four weeks of pods, and back.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use serde_json::json;
use tidegate_tests::exporter::Version;
use tidegate_tests::mail::Mail;
use tidegate_tests::wait;

use super::people::{Card, People, Platform};
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

/// The whole chain: a service whose new version fails, the shipped rules, the shipped route, the Deployments.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_that_prometheus_measures_bring_every_old_pod_back() -> Result<()> {
    let story = Story::open(EXAMPLE, "plan.yaml", "1d").await?;
    let (service, prometheus) = story.is_measured("finance-service").await?;
    story.begin(&START).await?;
    story.is(ROLLOUT, "week-1", "WAITING").await?;
    let (code, answer) = story.say(&["rollout", "advance", ROLLOUT]).await?;
    ensure!(code == 0, "{answer}");
    story.is(ROLLOUT, "week-2", "WAITING").await?;
    wait::until("both versions are measured", PATIENCE, async || {
        let ratios = prometheus.query("finance:error_ratio:rate5m").await?;
        ensure!(ratios.len() == 2, "{ratios:?}");
        Ok(())
    })
    .await?;
    ensure!(asked(&story)? == (3, 2), "nothing moves while nothing fails");

    service.fail(Version::New, 0.5);
    story.ends(ROLLOUT, 5).await?;
    assert_eq!(asked(&story)?, (0, 5));
    assert_eq!(story.cluster.least_ready("finance-service"), 5, "capacity dipped");
    let told = story.told(ROLLOUT).await?;
    ensure!(told.contains("FinanceErrorRate"), "{told}");
    Ok(())
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_start_it_in_slack_and_stakeholders_read_the_rest_in_their_mail() -> Result<()> {
    as_people_live_it(Platform::Slack).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_start_it_in_discord_and_stakeholders_read_the_rest_in_their_mail() -> Result<()> {
    as_people_live_it(Platform::Discord).await
}

/// The whole of it: a command, a button, the report of the day, errors that Prometheus measures, the way back, the thread, the mail.
async fn as_people_live_it(platform: Platform) -> Result<()> {
    // Between one and two minutes from now: enough to get there, and no longer than a test may take.
    let berlin = jiff::tz::TimeZone::get("Europe/Berlin")?;
    let soon = tidegate::clock::now() + jiff::SignedDuration::from_secs(120);
    let daily = format!("daily: \"{}\"", soon.to_zoned(berlin).strftime("%H:%M"));
    let hurry = |plan: String| plan.replace("daily: \"17:00\"", &daily);
    let story = Story::open_with(EXAMPLE, "plan.yaml", "1d", platform, hurry).await?;
    let (service, _prometheus) = story.is_measured("finance-service").await?;
    let people = story.people()?;
    let start = [
        ("plan", "finance-service"),
        ("version", "v2"),
        ("inputs", "previous:v1"),
    ];
    wait::until("jon starts it", PATIENCE, async || {
        let said = people.jon_types(&story.tidegate, "start", &start).await?;
        if !said.contains(ROLLOUT) {
            // Refused, because the Watchdog has not come yet.
            bail!("{said}");
        }
        Ok(())
    })
    .await?;
    let waits = |card: &Card| card.shown.contains("week-1") && card.advances;
    let first = wait::until("the card shows the present revision", PATIENCE, async || {
        let card = people.card("the first week waits", waits).await?;
        let (_, now) = story.tidegate.get(&format!("/api/v1/rollouts/{ROLLOUT}")).await?;
        ensure!(card.revision == now["generation"].as_u64(), "{card:?}, {now}");
        Ok(card)
    })
    .await?;
    ensure!(
        first.shown.contains("Next update: daily to stakeholders"),
        "{}",
        first.shown
    );
    let said = people.jon_advances(&story.tidegate, &first).await?;
    ensure!(said.contains("week-2"), "{said}");
    story.is(ROLLOUT, "week-2", "WAITING").await?;
    assert_eq!(asked(&story)?, (3, 2));
    let report = people
        .mail
        .mail("the report of the day", Duration::from_secs(180), says("So far: "))
        .await?;
    ensure!(
        report.text.is_some_and(|text| text.contains("week-2")),
        "it says where it stands"
    );

    service.fail(Version::New, 0.5);
    story.ends(ROLLOUT, 5).await?;
    assert_eq!(asked(&story)?, (0, 5));
    assert_eq!(story.cluster.least_ready("finance-service"), 5, "capacity dipped");
    let card = people
        .card("the card says so", |card| card.shown.contains("ROLLED BACK"))
        .await?;
    ensure!(card.id == first.id && card.buttons.is_empty(), "{card:?}");
    wait::until("the thread says so", PATIENCE, async || {
        let thread = people.thread(&card);
        let says = |with: &str| thread.iter().any(|line| line.starts_with(with));
        ensure!(says("AUTO-ROLLBACK") && says("ROLLED BACK"), "{thread:#?}");
        Ok(())
    })
    .await?;
    the_mails_are_one_conversation(people).await?;
    let (_, answer) = story.tidegate.get("/api/v1/dead-letters").await?;
    let refused = people.refused();
    ensure!(answer["count"] == 0 && refused.is_empty(), "{answer} {refused:?}");
    let told = story.told(ROLLOUT).await?;
    ensure!(!told.contains("commitment-missed"), "{told}");
    let place = match platform {
        Platform::Slack => "jon in Slack",
        Platform::Discord => "jon in Discord",
    };
    assert_eq!(told.matches(place).count(), 2, "he started it, and advanced it: {told}");
    Ok(())
}

fn says(words: &'static str) -> impl Fn(&Mail) -> bool {
    move |mail| mail.text.as_deref().is_some_and(|text| text.contains(words))
}

async fn the_mails_are_one_conversation(people: &People) -> Result<()> {
    let last = people
        .mail
        .mail("the last mail", PATIENCE, says("was taken back"))
        .await?;
    let mails = people.mail.mails()?;
    ensure!(
        mails.iter().all(|mail| mail.to == ["stakeholders@finance.example"]),
        "{mails:#?}"
    );
    ensure!(mails.iter().all(|mail| mail.encrypted), "{mails:#?}");
    let conversation = mails[0].header("message-id");
    ensure!(
        says("has started")(&mails[0]) && last.header("references") == conversation,
        "{mails:#?}"
    );
    Ok(())
}
