//! Pages: what opens an incident in PagerDuty and what closes it, and who says it while PagerDuty does not.

use anyhow::{Result, ensure};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tidegate_tests::pagerduty::{PagerDuty, ROUTING_KEY};
use tidegate_tests::scratch::Scratch;
use tidegate_tests::sink::Sink;
use tidegate_tests::wait;

use super::{Gate, PATIENCE, plan};

/// The channel `oncall`; `more` is laid over it.
fn oncall(pagerduty: &PagerDuty, secrets: &Scratch, more: &Value) -> Result<Value> {
    let key = secrets.write("routing-key", ROUTING_KEY)?;
    let mut channel = json!({ "pagerduty": { "routing_key_file": key, "events_url": pagerduty.url() } });
    if let (Some(channel), Some(more)) = (channel.as_object_mut(), more.as_object()) {
        channel.extend(more.clone());
    }
    Ok(channel)
}

/// The channel `oncall`, and `spare`, which stands in for it and which no audience names.
async fn with_a_spare(pagerduty: &PagerDuty, secrets: &Scratch) -> Result<(Sink, [(&'static str, Value); 2])> {
    let second = Sink::start().await?;
    let secret = secrets.write("secret", "the-secret-of-the-channel")?;
    let spare = json!({ "webhook": { "url": second.url("/page"), "secret_file": secret } });
    let channel = oncall(pagerduty, secrets, &json!({ "fallback": "spare" }))?;
    Ok((second, [("oncall", channel), ("spare", spare)]))
}

/// A server whose one audience hears nothing but pages, as people who are on call do.
async fn gate(channel: Value, settings: &[(&str, Value)]) -> Result<Gate> {
    let mut plan = plan(&["oncall"]);
    plan["spec"]["audiences"]["everybody"]["hears"] = "pages".into();
    Gate::configured(&plan, &[("oncall", channel)], settings).await
}

async fn until_incident(pagerduty: &PagerDuty, open: &str, state: &str) -> Result<()> {
    wait::until(&format!("{open} is {state}"), PATIENCE, async || {
        let incidents = pagerduty.incidents();
        let found = incidents.get(open).map(|incident| incident.state);
        ensure!(found == Some(state), "{incidents:#?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_that_shuts_the_gate_pages_and_the_news_join_the_same_incident() -> Result<()> {
    let (pagerduty, secrets) = (PagerDuty::start().await?, Scratch::new("pager")?);
    let channel = oncall(&pagerduty, &secrets, &json!({}))?;
    let external = ("/web/external_url", json!("https://tidegate.example/"));
    let gate = gate(channel, &[external]).await?;
    let id = gate.start().await?;
    ensure!(pagerduty.incidents().is_empty(), "nobody is woken by a start");
    gate.fire(&["HighErrorRate"]).await?;
    gate.until_state(&id, "ROLLED BACK").await?;
    let incident = wait::until("both are told", PATIENCE, async || {
        let incident = pagerduty.incidents().remove("rollback");
        let incident = incident.filter(|incident| incident.summaries.len() == 2);
        incident.ok_or_else(|| anyhow::anyhow!("{:#?}", pagerduty.incidents()))
    })
    .await?;
    ensure!(
        incident.summaries[0].starts_with("AUTO-ROLLBACK") && incident.summaries[1].starts_with("ROLLED BACK"),
        "{incident:#?}"
    );
    ensure!(
        incident.state == "triggered",
        "why it went back is for a person to find out: {incident:#?}"
    );
    ensure!(
        incident.last["client_url"] == format!("https://tidegate.example/r/{id}"),
        "{incident:#?}"
    );
    ensure!(
        incident.last["dedup_key"] == format!("tidegate:{id}:rollback"),
        "{incident:#?}"
    );
    ensure!(incident.last["payload"]["component"] == "checkout", "{incident:#?}");
    ensure!(pagerduty.refused().is_empty(), "{:?}", pagerduty.refused());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_people_do_wakes_nobody_and_what_they_settle_is_closed() -> Result<()> {
    let (pagerduty, secrets) = (PagerDuty::start().await?, Scratch::new("pager")?);
    let channel = oncall(&pagerduty, &secrets, &json!({}))?;
    let gate = gate(channel, &[]).await?;
    let id = gate.start().await?;
    gate.fire(&["SlowQueries"]).await?;
    until_incident(&pagerduty, "number-1", "triggered").await?;
    gate.say(&format!("ack {id} 1")).await?;
    until_incident(&pagerduty, "number-1", "acknowledged").await?;
    gate.say(&format!("decide {id} continue 1")).await?;
    until_incident(&pagerduty, "number-1", "resolved").await?;
    gate.say(&format!("rollback {id} \"the numbers look odd\"")).await?;
    gate.until_state(&id, "ROLLED BACK").await?;
    let calls = pagerduty.calls();
    wait::until("the end is told", PATIENCE, async || {
        ensure!(pagerduty.calls() > calls || calls > 6, "{} calls", pagerduty.calls());
        Ok(())
    })
    .await?;
    let incidents = pagerduty.incidents();
    ensure!(!incidents.contains_key("rollback"), "{incidents:#?}");
    ensure!(
        incidents.values().all(|incident| incident.state == "resolved"),
        "{incidents:#?}"
    );
    ensure!(pagerduty.refused().is_empty(), "{:?}", pagerduty.refused());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_pager_is_down_its_stand_in_says_the_page_and_the_pager_gets_it_later() -> Result<()> {
    let (pagerduty, secrets) = (PagerDuty::start().await?, Scratch::new("pager")?);
    let (second, channels) = with_a_spare(&pagerduty, &secrets).await?;
    let gate = gate(channels[0].1.clone(), &[("/channels/spare", channels[1].1.clone())]).await?;
    pagerduty.answer_with(Some(StatusCode::BAD_GATEWAY));
    let id = gate.start().await?;
    gate.fire(&["HighErrorRate"]).await?;
    second
        .delivery("the stand-in says it", PATIENCE, |body| {
            body["type"] == "rollout.rolling-back"
        })
        .await?;
    let kinds: Vec<Value> = second
        .deliveries()
        .iter()
        .map(|delivery| delivery.json().map(|body| body["type"].clone()))
        .collect::<Result<_>>()?;
    ensure!(
        !kinds.contains(&json!("rollout.started")) && !kinds.contains(&json!("rollout.phase-began")),
        "it says what needs a person, and no more: {kinds:?}"
    );
    gate.until_state(&id, "ROLLED BACK").await?;
    pagerduty.answer_with(None);
    until_incident(&pagerduty, "rollback", "triggered").await?;
    ensure!(gate.api("/api/v1/dead-letters").await?["count"] == 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_pager_refuses_for_good_its_stand_in_says_at_once() -> Result<()> {
    let (pagerduty, secrets) = (PagerDuty::start().await?, Scratch::new("pager")?);
    let (second, channels) = with_a_spare(&pagerduty, &secrets).await?;
    let gate = gate(channels[0].1.clone(), &[("/channels/spare", channels[1].1.clone())]).await?;
    pagerduty.answer_with(Some(StatusCode::BAD_REQUEST));
    gate.start().await?;
    gate.fire(&["HighErrorRate"]).await?;
    second
        .delivery("the stand-in says it", PATIENCE, |body| {
            body["type"] == "rollout.rolled-back"
        })
        .await?;
    wait::until("the letters are dead, and seen", PATIENCE, async || {
        let letters = gate.api("/api/v1/dead-letters").await?;
        ensure!(letters["count"] == 2, "{letters}");
        Ok(())
    })
    .await?;
    ensure!(
        pagerduty.calls() == 2,
        "nothing is tried again that was refused for good, and {} calls came",
        pagerduty.calls()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_settled_before_the_pager_hears_of_it_wakes_nobody_any_more() -> Result<()> {
    let (pagerduty, secrets) = (PagerDuty::start().await?, Scratch::new("pager")?);
    let channel = oncall(&pagerduty, &secrets, &json!({}))?;
    let gate = gate(channel, &[]).await?;
    let id = gate.start().await?;
    pagerduty.answer_with(Some(StatusCode::BAD_GATEWAY));
    gate.fire(&["SlowQueries"]).await?;
    wait::until("it was tried in vain", PATIENCE, async || {
        ensure!(pagerduty.calls() >= 1);
        Ok(())
    })
    .await?;
    gate.say(&format!("decide {id} continue 1")).await?;
    pagerduty.answer_with(None);
    let file = gate.house.scratch.path().join("data/tidegate.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file).read_only(true);
    let mut reader = sqlx::ConnectOptions::connect(&options).await?;
    wait::until("the question and its answer are dealt with", PATIENCE, async || {
        let sent = "SELECT COUNT(*) FROM messages WHERE channel = 'oncall' AND state = 'sent'";
        let sent: i64 = sqlx::query_scalar(sent).fetch_one(&mut reader).await?;
        ensure!(sent == 2, "{sent} were sent");
        Ok(())
    })
    .await?;
    ensure!(pagerduty.incidents().is_empty(), "{:#?}", pagerduty.incidents());
    Ok(())
}
