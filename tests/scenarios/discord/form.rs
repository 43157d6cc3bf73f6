//! The form that starts a plan: which plan, what it asks for, everything that a start would meet, and asked again when it is sent off.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tidegate::chat::Desk as _;
use tidegate_rollout::RolloutId;
use tidegate_tests::discord::{Answered, shown_form};

use super::world::{ANA, EVE, HOSTILE, PATIENCE, PLAN, VIC, World};

/// The form that an interaction was answered with; nothing else may have been refused.
fn form(world: &World, answered: &Answered) -> Result<Value> {
    let form = world.discord.form(&answered.token)?;
    let refused = world.discord.refused();
    ensure!(refused.is_empty(), "{refused:?}");
    Ok(form)
}

/// With these plans beside `checkout`.
async fn with_plans(plans: &[(&str, String)]) -> Result<World> {
    World::with(|settings| {
        let storage = Path::new(settings["storage"]["path"].as_str().unwrap_or_default());
        let folder = storage.parent().expect("it lies in the folder of this test").to_owned();
        for (name, text) in plans {
            let file = folder.join(format!("{name}.yaml"));
            std::fs::write(&file, text).expect("written");
            let plans = settings["plans"].as_array_mut().expect("plans");
            plans.push(file.display().to_string().into());
        }
    })
    .await
}

fn other(name: &str, inputs: &str) -> String {
    PLAN.replace("name: checkout }", &format!("name: {name} }}"))
        .replace("service: checkout", &format!("service: {name}"))
        .replace("key: checkout-v2", &format!("key: {name}"))
        .replace("{ version: { required: true } }", inputs)
}

#[tokio::test]
async fn a_plan_is_started_by_the_form() -> Result<()> {
    let world = World::new().await?;
    let opened = world.sent(ANA, "start", &[]).await?;
    ensure!(opened.body["type"] == 9, "{opened:?}");
    let first = form(&world, &opened)?;
    let text = shown_form(&first);
    ensure!(
        text.starts_with("Start checkout") && text.contains("OK its target is free"),
        "{text}"
    );
    ensure!(!text.contains("NOT YET"), "{text}");
    ensure!(
        world.discord.submit(ANA, &first, &[]).is_err(),
        "the version is required"
    );
    ensure!(world.rollouts().await? == 0, "a form that is open starts nothing");

    let sent = world.discord.submit(ANA, &first, &[("input:version", " 2.3.0 ")])?;
    let said = world.pressed(&sent).await?;
    ensure!(said.contains("ana started checkout-1"), "{said}");
    let rollout = world.rollout().await?;
    ensure!(rollout.version() == Some("2.3.0") && rollout.started_by.as_str() == "ana");
    ensure!(world.did("started").await? == ["ana"]);

    // Of a target that is moved already nothing is said but that; and what was sent off in vain can be opened again.
    let again = form(&world, &world.sent(ANA, "start", &[]).await?)?;
    let text = shown_form(&again);
    ensure!(text.contains("NOT YET its target is free"), "{text}");
    let sent = world.discord.submit(ANA, &again, &[("input:version", "2.4.0")])?;
    let answered = world.deliver(&sent).await?;
    let shown = world.discord.sees(&answered.token, PATIENCE, |_| true).await?;
    ensure!(answered.shown().starts_with("R406"), "{answered:?}");
    let opened = world.deliver(&world.discord.press_in(ANA, &shown, "form")?).await?;
    ensure!(form(&world, &opened)?["custom_id"] == again["custom_id"]);
    ensure!(world.rollouts().await? == 1);
    Ok(())
}

#[tokio::test]
async fn what_is_lacking_opens_the_form_with_what_was_said() -> Result<()> {
    let inputs = "{ version: { required: true }, colour: { required: true }, note: { default: none } }";
    let world = with_plans(&[("paint", other("paint", inputs))]).await?;
    let opened = world
        .sent(ANA, "start", &[("plan", "paint"), ("version", "2.3.0")])
        .await?;
    let open = form(&world, &opened)?;
    let text = shown_form(&open);
    for line in ["Start paint", "version 2.3.0", "colour", "note none"] {
        ensure!(text.lines().any(|shown| shown == line), "no `{line}`: {text}");
    }
    let sent = world.discord.submit(ANA, &open, &[("input:colour", "red")])?;
    let said = world.pressed(&sent).await?;
    ensure!(said.contains("paint-1"), "{said}");
    Ok(())
}

#[tokio::test]
async fn among_several_plans_one_is_chosen_first() -> Result<()> {
    let many = "{ a: {}, b: {}, c: {}, d: { default: four }, e: { required: true } }";
    let world = with_plans(&[("many", other("many", many)), ("plain", other("plain", "{}"))]).await?;
    let asked = world.sent(ANA, "start", &[]).await?;
    let shown = world.discord.sees(&asked.token, PATIENCE, |_| true).await?;
    ensure!(
        asked.shown().starts_with("Which plan?") && asked.body["data"]["flags"] == 68,
        "{asked:?}"
    );

    // More inputs than a form has places: the last one takes the rest.
    let chosen = world.deliver(&world.discord.choose(ANA, &shown, "many")?).await?;
    let open = form(&world, &chosen)?;
    let text = shown_form(&open);
    ensure!(
        text.contains("The others, each as name:value c, d d:\"four\""),
        "{text}"
    );
    let filled_in = [("input:e", "5"), ("inputs", "c:\"two words\" d:4")];
    let said = world.pressed(&world.discord.submit(ANA, &open, &filled_in)?).await?;
    ensure!(said.contains("many-1"), "{said}");
    let desk = world.running().app.dispatcher.desk();
    let many = desk
        .rollout(&RolloutId::new("many-1"))
        .await?
        .context("it is not there")?;
    let inputs: Vec<(&str, &str)> = many
        .inputs
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    ensure!(inputs == [("c", "two words"), ("d", "4"), ("e", "5")], "{inputs:?}");

    // A plan that asks for nothing has no form: the preflight, and a button.
    let chosen = world.deliver(&world.discord.choose(ANA, &shown, "plain")?).await?;
    let shown = world.discord.sees(&chosen.token, PATIENCE, |_| true).await?;
    ensure!(chosen.shown().contains("OK its target is free"), "{chosen:?}");
    let left = world.pressed(&world.discord.press_in(ANA, &shown, "leave")?).await?;
    ensure!(
        left.starts_with("Nothing was done") && world.rollouts().await? == 1,
        "{left}"
    );
    let said = world.pressed(&world.discord.press_in(ANA, &shown, "start!")?).await?;
    ensure!(said.contains("plain-1") && world.rollouts().await? == 2, "{said}");
    Ok(())
}

#[tokio::test]
async fn the_preflight_says_what_stands_in_the_way() -> Result<()> {
    let world = World::new().await?;
    let freeze = [("environment", "production"), ("reason", HOSTILE)];
    world.say(ANA, "freeze", &freeze).await?;
    let open = form(&world, &world.sent(VIC, "start", &[]).await?)?;
    let text = shown_form(&open);
    ensure!(text.contains("NOT YET you may start it"), "{text}");
    ensure!(
        text.contains(&format!(
            "NOT YET changes are not frozen: ana froze production: {HOSTILE}"
        )),
        "hostile text is text: {text}"
    );
    let sent = world.discord.submit(VIC, &open, &[("input:version", "1")])?;
    let said = world.pressed(&sent).await?;
    ensure!(said.starts_with("R301"), "{said}");
    ensure!(world.rollouts().await? == 0);
    Ok(())
}

#[tokio::test]
async fn a_form_that_nobody_opened_is_believed_as_little_as_typed_text() -> Result<()> {
    let world = World::new().await?;
    let data = |name: &str, field: &str, value: &str| {
        json!({ "custom_id": name, "components": [
            { "type": 18, "component": { "type": 4, "custom_id": field, "value": value } } ] })
    };
    for (user, data, code) in [
        (EVE, data("v1:start:checkout", "input:version", "1"), "R303"),
        (VIC, data("v1:start:checkout", "input:version", "1"), "R301"),
        (ANA, data("v1:start:nothing", "input:version", "1"), "R105"),
        (ANA, data("v1:start:checkout", "input:colour", "red"), "R106"),
        (ANA, data("v1:start:checkout", "colour", "red"), "R104"),
        (ANA, data("v1:start:checkout", "inputs", "colour"), "R104"),
        (ANA, data("v1:rollback:checkout-1", "input:version", "1"), "R104"),
        (ANA, data("start", "input:version", "1"), "R104"),
    ] {
        let said = world.pressed(&world.discord.submit_with(user, &data)).await?;
        ensure!(said.starts_with(code), "{data}: {said}");
    }
    let list = json!({ "components": [{ "components": [{ "type": 3, "custom_id": "v1:colour:", "options": [{ "value": "red" }] }] }] });
    let said = world.pressed(&world.discord.choose(ANA, &list, "red")?).await?;
    ensure!(said.starts_with("R104"), "{said}");
    ensure!(world.rollouts().await? == 0, "something was started");
    Ok(())
}

/// The same form twice, as a nervous finger or Discord itself sends it, starts one rollout.
#[tokio::test]
async fn a_form_that_comes_twice_starts_once() -> Result<()> {
    let world = World::new().await?;
    let open = form(&world, &world.sent(ANA, "start", &[]).await?)?;
    let sent = world.discord.submit(ANA, &open, &[("input:version", "1")])?;
    let first = world.pressed(&sent).await?;
    let later = sent.again(tidegate_tests::discord::SEED, -1);
    let second = world.deliver(&later).await?;
    ensure!(second.shown() == first, "{second:?} and {first}");
    let replayed = world.deliver(&sent).await?;
    ensure!(replayed.status == reqwest::StatusCode::UNAUTHORIZED, "{replayed:?}");
    ensure!(world.rollouts().await? == 1);
    world.rollout().await.context("it is there").map(drop)
}
