//! What is offered while somebody types: every option that says it offers something does so wherever it can act.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use tidegate::chat::discord::tree;
use tidegate_tests::scratch::Scratch;
use tidegate_tests::wait;

use super::world::{ANA, BEN, PATIENCE, PLAN, World};

/// Gates that ask people, and an alert that asks them, too.
fn asking() -> Result<String> {
    let gate = "bake: 1s, gate: manual }";
    let asks = "bake: 1s, gate: manual, approvals: [{ role: ops-lead }], checks: [{ id: sessions, text: nobody was logged out }] }";
    let decides = "{ decide: { by: [ops-lead], within: 1h, default: hold } }";
    let plan = PLAN
        .replacen(gate, asks, 1)
        .replace(
            "sev1: { action: rollback, page: true }",
            &format!("sev1: {{ action: {decides}, page: true }}"),
        )
        .replace("  inputs:", "  roles: { ops-lead: { members: [ben] } }\n  inputs:");
    ensure!(plan.contains("ops-lead") && plan.contains(decides), "{plan}");
    Ok(plan)
}

/// Every option of the command that says it offers something, with its verb.
fn options() -> Result<BTreeSet<(String, String)>> {
    let tree = serde_json::to_value(tree("rollout"))?;
    let list = |value: &serde_json::Value| value["options"].as_array().cloned().unwrap_or_default();
    let name = |value: &serde_json::Value| value["name"].as_str().unwrap_or_default().to_owned();
    let mut found = BTreeSet::new();
    for verb in list(&tree) {
        let offering = list(&verb).into_iter().filter(|option| option["autocomplete"] == true);
        found.extend(offering.map(|option| (name(&verb), name(&option))));
    }
    Ok(found)
}

/// What is offered to somebody who has typed nothing into that option yet.
async fn offered(world: &World, user: &str, verb: &str, said: &[(&str, &str)], option: &str) -> Result<Vec<String>> {
    let options: Vec<(&str, &str)> = said.iter().copied().chain([(option, "")]).collect();
    let answered = world.deliver(&world.discord.typing(user, verb, &options)?).await?;
    let choices = answered.body["data"]["choices"].as_array().cloned().unwrap_or_default();
    let value = |choice: &serde_json::Value| choice["value"].as_str().unwrap_or_default().to_owned();
    Ok(choices.iter().map(value).collect())
}

/// The options that offer something as things stand.
async fn offering(world: &World) -> Result<BTreeSet<(String, String)>> {
    let mut found = BTreeSet::new();
    for (verb, option) in options()? {
        if !offered(world, ANA, &verb, &[], &option).await?.is_empty() {
            found.insert((verb, option));
        }
    }
    Ok(found)
}

#[tokio::test]
async fn every_option_that_completes_offers_something_where_it_can_act() -> Result<()> {
    let scratch = Scratch::new("complete")?;
    let file = scratch.write("plan.yaml", asking()?)?;
    let world = World::with(|settings| settings["plans"] = serde_json::json!([file])).await?;
    let mut seen = offering(&world).await?;
    ensure!(
        seen == BTreeSet::from([("start".to_owned(), "plan".to_owned())]),
        "{seen:?}"
    );

    world
        .say(ANA, "start", &[("plan", "checkout"), ("version", "2.3.0")])
        .await?;
    wait::until("the gate asks people", PATIENCE, async || {
        let rollout = world.rollout().await?;
        ensure!(rollout.state_word() == "WAITING", "{}", rollout.state_word());
        Ok(())
    })
    .await?;
    ensure!(offered(&world, ANA, "approve", &[], "role").await? == ["ops-lead"]);
    ensure!(offered(&world, ANA, "check", &[("answer", "done")], "item").await? == ["sessions"]);
    ensure!(
        offered(&world, ANA, "check", &[("answer", "undo")], "item")
            .await?
            .is_empty()
    );
    seen.extend(offering(&world).await?);
    world
        .say(ANA, "check", &[("answer", "done"), ("item", "sessions")])
        .await?;
    world.say(BEN, "approve", &[("role", "ops-lead")]).await?;
    ensure!(offered(&world, ANA, "check", &[("answer", "undo")], "item").await? == ["sessions"]);
    ensure!(
        offered(&world, ANA, "check", &[("answer", "done")], "item")
            .await?
            .is_empty()
    );
    ensure!(offered(&world, ANA, "approve", &[], "role").await?.is_empty());

    world.say(ANA, "hold", &[("reason", "watching redis")]).await?;
    world.alert().await?;
    wait::until("the alert asks people", PATIENCE, async || {
        let rollout = world.rollout().await?;
        ensure!(rollout.decisions.len() == 1, "{:?}", rollout.decisions);
        Ok(())
    })
    .await?;
    ensure!(offered(&world, ANA, "ack", &[], "alert").await? == ["HighErrorRate"]);
    seen.extend(offering(&world).await?);
    let silent: Vec<_> = options()?.difference(&seen).cloned().collect();
    ensure!(silent.is_empty(), "they never offer anything: {silent:?}");

    world.say(ANA, "ack", &[("alert", "HighErrorRate")]).await?;
    ensure!(offered(&world, ANA, "ack", &[], "alert").await?.is_empty());
    ensure!(offered(&world, BEN, "ack", &[], "alert").await? == ["HighErrorRate"]);
    Ok(())
}
