//! The form that starts a plan: opened in time, with everything a start would meet, and asked again when it is sent off.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tidegate_tests::kubernetes::{ADMIN, Kubernetes, Readiness};
use tidegate_tests::scratch::Scratch;
use tidegate_tests::slack::Mishap;

use super::world::{ANA, PLAN, VIC, World};

/// What a form shows.
fn shown(view: &Value) -> String {
    tidegate_tests::slack::read(view).0
}

#[tokio::test]
async fn a_plan_is_started_by_the_form() -> Result<()> {
    let world = World::new().await?;
    let opened = world.typed(ANA, "start").await?;
    ensure!(
        opened.body.is_null() && opened.took < Duration::from_secs(3),
        "{opened:?}"
    );
    let form = world.slack.form().context("no form is open")?;
    let text = shown(&form);
    ensure!(
        text.contains("Preflight") && text.contains("OK  its target is free"),
        "{text}"
    );
    ensure!(!text.contains("NOT YET"), "{text}");
    let lacking = world.slack.submit(ANA, &form, &[]);
    let answered = world.deliver("/slack/interactions", &lacking).await?;
    ensure!(answered.body["response_action"] == "errors", "{answered:?}");
    let why = answered.body["errors"]["plan"].as_str().unwrap_or_default();
    ensure!(why.starts_with("R106") && why.contains("version"), "{why}");
    let filled_in = world.slack.submit(ANA, &form, &[("input:version", "2.3.0")]);
    let answered = world.deliver("/slack/interactions", &filled_in).await?;
    ensure!(answered.body["response_action"] == "update", "{answered:?}");
    ensure!(shown(&answered.body["view"]).contains("checkout-1"), "{answered:?}");
    let rollout = world.rollout().await?;
    ensure!(rollout.version() == Some("2.3.0") && rollout.started_by.as_str() == "ana");

    // Of a target that is moved already nothing is said but that: it was not looked at.
    world.typed(ANA, "start").await?;
    let text = shown(&world.slack.form().context("no form is open")?);
    ensure!(text.contains("NOT YET  its target is free"), "{text}");
    ensure!(!text.contains("its target can carry it"), "{text}");
    Ok(())
}

#[tokio::test]
async fn what_is_lacking_opens_the_form_with_what_was_said() -> Result<()> {
    let world = World::new().await?;
    world.typed(ANA, "start checkout").await?;
    let form = world.slack.form().context("no form is open")?;
    ensure!(
        form["blocks"][0]["element"]["initial_option"]["value"] == "checkout",
        "{form}"
    );
    let chosen = world.slack.choose(ANA, &form, "plan", "checkout");
    let answered = world.deliver("/slack/interactions", &chosen).await?;
    ensure!(
        answered.status.is_success() && world.slack.refused().is_empty(),
        "{:?}",
        world.slack.refused()
    );
    let again = world.slack.form().context("the form is gone")?;
    ensure!(again["hash"] != form["hash"], "the preflight was looked at again");
    Ok(())
}

#[tokio::test]
async fn the_preflight_says_what_stands_in_the_way() -> Result<()> {
    let world = World::new().await?;
    world.say(ANA, "freeze production \"stocktaking\"").await?;
    world.typed(VIC, "start").await?;
    let form = world.slack.form().context("no form is open")?;
    let text = shown(&form);
    ensure!(text.contains("NOT YET  you may start it"), "{text}");
    ensure!(
        text.contains("NOT YET  changes are not frozen: ana froze production: stocktaking"),
        "{text}"
    );
    let sent = world.slack.submit(VIC, &form, &[("input:version", "1")]);
    let answered = world.deliver("/slack/interactions", &sent).await?;
    let why = answered.body["errors"]["plan"].as_str().unwrap_or_default();
    ensure!(why.starts_with("R301"), "{answered:?}");
    ensure!(world.rollouts().await? == 0);
    Ok(())
}

#[tokio::test]
async fn a_way_back_that_is_not_alive_is_seen_before_anybody_starts() -> Result<()> {
    let cluster = Kubernetes::fake().await?;
    cluster.deployment("shop", "checkout-v1", 2, "checkout", "v1")?;
    cluster.deployment("shop", "checkout-v2", 0, "checkout", "v2")?;
    cluster.readiness("shop", "checkout-v1", Readiness::UpTo(1));
    let scratch = Scratch::new("form")?;
    let kubeconfig = cluster.kubeconfig(&scratch, ADMIN)?;
    let pods = "deployment-replicas: { namespace: shop, new: checkout-v2, old: checkout-v1, total: 2 }";
    let plan = scratch.write("plan.yaml", PLAN.replace("flag: { key: checkout-v2 }", pods))?;
    let world = World::with(|settings| {
        settings["plans"] = json!([plan]);
        settings["kubernetes"] = json!({ "kubeconfig": kubeconfig });
    })
    .await?;
    let seen = async |by: &str| -> Result<String> {
        world.typed(by, "start").await?;
        Ok(shown(&world.slack.form().context("no form is open")?))
    };
    let text = seen(ANA).await?;
    let dead = "deployment/shop/checkout-v2 cannot carry a rollout as it is: the way back is not alive: checkout-v1 has 1 \
                ready pods and is to have 2";
    ensure!(
        text.contains(&format!(
            "NOT YET  its target can carry it, and the way back is alive: {dead}"
        )),
        "{text}"
    );
    cluster.readiness("shop", "checkout-v1", Readiness::AtOnce);
    let text = seen(ANA).await?;
    ensure!(
        text.contains("OK  its target can carry it, and the way back is alive"),
        "{text}"
    );
    let text = seen(VIC).await?;
    ensure!(
        !text.contains("its target can carry it"),
        "whoever may not start it learns nothing: {text}"
    );
    Ok(())
}

#[tokio::test]
async fn a_form_that_cannot_be_opened_leaves_the_words() -> Result<()> {
    let world = World::new().await?;
    world.slack.mishap("views.open", &[Mishap::Says("expired_trigger_id")]);
    let said = world.say(ANA, "start").await?;
    ensure!(
        said.contains("/rollout start <plan> version:<v>") && said.contains("expired_trigger_id"),
        "{said}"
    );
    Ok(())
}
