//! What people can rely on being told: by a running server, over channels that work and channels that do not.

use anyhow::{Result, ensure};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tidegate_tests::sink::Sink;
use tidegate_tests::{scrape, wait};

use super::{Gate, PATIENCE, plan};

/// A gate with a pager and a place for announcements, and these commitments.
async fn gate(pager: &Sink, announcements: &Sink, commitments: Value) -> Result<Gate> {
    let channels = [
        ("pager", pager.url("/page")),
        ("announcements", announcements.url("/post")),
    ];
    let mut plan = plan(&channels.each_ref().map(|(name, _)| *name));
    plan["spec"]["timezone"] = json!("Europe/Berlin");
    plan["spec"]["audiences"] = json!({
        "oncall": { "channels": ["pager"], "hears": "pages" },
        "stakeholders": { "channels": ["announcements"], "hears": "milestones" },
    });
    plan["spec"]["commitments"] = commitments;
    Gate::with_plan(&plan, &channels, &[]).await
}

fn is(body: &Value, kind: &str) -> bool {
    body["type"] == format!("rollout.{kind}")
}

fn times(sink: &Sink, kind: &str) -> usize {
    let deliveries = sink.deliveries();
    let such = |delivery: &&tidegate_tests::sink::Delivery| delivery.json().is_ok_and(|body| is(&body, kind));
    deliveries.iter().filter(such).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn word_that_does_not_get_out_is_missed_and_the_page_is_said_elsewhere() -> Result<()> {
    let (pager, announcements) = (Sink::start().await?, Sink::start().await?);
    announcements.answer_with(StatusCode::SERVICE_UNAVAILABLE);
    let first_word = json!({ "first-word": { "to": ["oncall", "stakeholders"], "afterIncident": "3s" } });
    let gate = gate(&pager, &announcements, first_word).await?;
    let counted = async || scrape::sum(&gate.metrics().await?, "tidegate_commitments_missed_total", &[]);
    // There before the first one is missed: how much it grew is what a rule asks for.
    assert_eq!(counted().await?, Some(0.0));
    let id = gate.start().await?;
    gate.say(&format!("rollback {id} errors")).await?;
    gate.until_state(&id, "ROLLED BACK").await?;
    let second = gate.start().await?;
    ensure!(second != id, "the target is free at once: nobody's word holds it up");
    let missed = pager
        .delivery("the pager hears of it", PATIENCE, |body| is(body, "commitment-missed"))
        .await?
        .json()?
        .to_string();
    ensure!(missed.contains(": stakeholders had no word by "), "{missed}");
    let card = gate.api(&format!("/api/v1/rollouts/{id}")).await?;
    ensure!(
        card["missed"][0]
            .as_str()
            .is_some_and(|line| line.starts_with("Missed: first-word to stakeholders, due ")),
        "{card}"
    );
    ensure!(
        card["state"] == "ROLLED BACK" && card["next_update"].is_null(),
        "{card}"
    );
    ensure!(
        gate.page(&format!("/r/{id}"))
            .await?
            .contains("Missed: first-word to stakeholders")
    );

    // What comes late comes all the same, and nothing is said twice about it.
    announcements.answer_with(StatusCode::OK);
    announcements
        .delivery("it comes late", PATIENCE, |body| is(body, "rolling-back"))
        .await?;
    assert_eq!(times(&pager, "commitment-missed"), 1);
    assert_eq!(counted().await?, Some(1.0), "as often as it was missed");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn updates_come_by_themselves_and_are_kept_once_they_were_sent() -> Result<()> {
    let (pager, announcements) = (Sink::start().await?, Sink::start().await?);
    let updates = json!({
        "often": { "to": ["stakeholders"], "every": "2s", "while": "cutover" },
        "day": { "to": ["stakeholders"], "daily": "17:00" },
    });
    let gate = gate(&pager, &announcements, updates).await?;
    let id = gate.start().await?;
    gate.say(&format!("hold {id} watching redis")).await?;
    let card = gate.api(&format!("/api/v1/rollouts/{id}")).await?;
    let line = card["next_update"].as_str().unwrap_or_default().to_owned();
    ensure!(
        line.starts_with("Next update: often to stakeholders by ") && line.contains(" CE"),
        "{card}"
    );
    ensure!(
        gate.page(&format!("/r/{id}"))
            .await?
            .contains("Next update: often to stakeholders by ")
    );
    let status = gate.say(&format!("status {id}")).await?;
    ensure!(
        status["text"]
            .as_str()
            .is_some_and(|text| text.contains("Next update: often")),
        "{status}"
    );
    let update = announcements
        .delivery("an update comes", PATIENCE, |body| {
            is(body, "update") && body.to_string().contains("hold 1 by admin: watching redis")
        })
        .await?
        .json()?
        .to_string();
    ensure!(update.contains("Next update:"), "{update}");
    let kept = |entries: &Value| entries.to_string().contains("commitment-kept");
    wait::until("the log says that it was kept", PATIENCE, async || {
        let history = gate.api(&format!("/api/v1/rollouts/{id}/log")).await?;
        ensure!(kept(&history), "{history}");
        Ok(())
    })
    .await?;
    gate.say(&format!("rollback {id} enough")).await?;
    gate.until_state(&id, "ROLLED BACK").await?;
    let card = gate.api(&format!("/api/v1/rollouts/{id}")).await?;
    ensure!(
        card["next_update"].is_null() || card["state"] != "ROLLED BACK",
        "its clocks stand still: {card}"
    );
    assert_eq!(
        times(&pager, "update"),
        0,
        "updates are for those whom the commitment names"
    );
    Ok(())
}
