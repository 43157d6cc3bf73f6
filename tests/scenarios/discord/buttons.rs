//! Pressed buttons: what they ask and do, and that an old card, a second press and a made-up one do nothing.

use anyhow::{Result, ensure};
use reqwest::StatusCode;
use tidegate_tests::discord::Posted;

use super::world::{ANA, BEN, EVE, VIC, World, waits};

#[tokio::test]
async fn a_rollout_goes_to_its_end_by_buttons() -> Result<()> {
    let world = World::new().await?;
    world.discord.unpaced();
    let first = world.at_the_first_gate().await?;
    ensure!(
        first.buttons() == ["[Advance…]", "[Pause]", "[Rollback…]"],
        "{:?}",
        first.buttons()
    );
    for (weight, word) in [("50%", "half"), ("100%", "everybody")] {
        let card = world.card("the gate waits", waits).await?;
        let said = world.confirmed(ANA, &card, "advance").await?;
        ensure!(said.contains(&format!("Phase {word} begins")), "{said}");
        ensure!(!said.contains('['), "the question is gone with its buttons: {said}");
        world
            .card(word, |card| {
                card.shown().contains(weight) && card.shown().contains(word)
            })
            .await?;
    }
    let last = world.card("the last gate waits", waits).await?;
    world.confirmed(ANA, &last, "advance").await?;
    let watching = world
        .card("it is watched", |card| card.shown().contains("WATCHING"))
        .await?;
    ensure!(
        watching.buttons() == ["[Pause]", "[Rollback…]"],
        "{:?}",
        watching.buttons()
    );
    let said = world.confirmed(ANA, &watching, "rollback").await?;
    ensure!(said.contains("Rollback from 100%"), "{said}");
    let over = world
        .card("it is rolled back", |card| card.shown().contains("ROLLED BACK"))
        .await?;
    ensure!(over.id == first.id && over.buttons().is_empty(), "{over:?}");
    Ok(())
}

#[tokio::test]
async fn a_press_that_asks_does_nothing_before_the_answer_and_nothing_after_a_no() -> Result<()> {
    let world = World::new().await?;
    let card = world.at_the_first_gate().await?;
    let before = world.rollout().await?.generation;
    for (action, yes, no) in [
        ("rollback", "[Roll back]", "[Keep it]"),
        ("advance", "[Advance]", "[Not yet]"),
    ] {
        let question = world.press(ANA, &card, action).await?;
        ensure!(question.contains("checkout-1") && question.contains("5%"), "{question}");
        ensure!(question.contains(yes) && question.contains(no), "{question}");
    }
    let asked = world.deliver(&world.discord.press(ANA, &card, "rollback")?).await?;
    let no = world.discord.press_in(ANA, &asked.body["data"], "leave")?;
    let answered = world.deliver(&no).await?;
    ensure!(
        answered.body["type"] == 7 && answered.shown() == "Nothing was done.",
        "{answered:?}"
    );
    ensure!(world.rollout().await?.generation == before);
    Ok(())
}

#[tokio::test]
async fn a_click_on_an_old_card_does_nothing_and_shows_a_fresh_one() -> Result<()> {
    let world = World::new().await?;
    let old = world.at_the_first_gate().await?;
    let asked = world.asked(ANA, &old, "advance").await?;
    world.say(ANA, "note", &[("text", "the world moves on")]).await?;
    let before = world.rollout().await?;
    for action in ["advance", "pause"] {
        let said = world.press(ANA, &old, action).await?;
        ensure!(said.starts_with("R401 That button is from revision"), "{said}");
        ensure!(said.contains("[Advance…]"), "there is a fresh card: {said}");
    }
    let said = world.pressed(&asked).await?;
    ensure!(said.starts_with("R401"), "a question from before: {said}");
    let after = world.rollout().await?;
    ensure!(after.generation == before.generation, "a stale press changed something");
    // A late press of Rollback still means rollback.
    let said = world.confirmed(ANA, &old, "rollback").await?;
    ensure!(said.contains("Rollback from 5%"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_double_click_and_two_people_at_once_do_one_thing() -> Result<()> {
    let world = World::new().await?;
    world.discord.unpaced();
    let card = world.at_the_first_gate().await?;
    at_once(&world, [ANA, ANA], &card, "advance", "R401").await?;
    let half = world.card("one phase on", |card| card.shown().contains("half")).await?;
    ensure!(half.shown().contains("phase 2 of 3"), "{}", half.shown());

    let gate = world
        .card("the second gate waits", |card| {
            waits(card) && card.shown().contains("phase 2 of 3")
        })
        .await?;
    let winner = at_once(&world, [ANA, BEN], &gate, "advance", "R401").await?;
    let card = world
        .card("one phase on", |card| card.shown().contains("everybody"))
        .await?;
    ensure!(card.shown().contains("phase 3 of 3"), "{}", card.shown());
    let advanced = world.did("advance").await?;
    ensure!(advanced == ["ana", winner], "{advanced:?}");

    let winner = at_once(&world, [ANA, BEN], &card, "rollback", "R40").await?;
    world
        .card("it is rolled back", |card| {
            card.shown().contains("ROLLED BACK") && card.shown().contains(&format!("Because: {winner}"))
        })
        .await?;
    Ok(())
}

/// Two people say yes at once: one acts, and the other is refused with a code that begins so. Who acted.
async fn at_once(world: &World, users: [&str; 2], card: &Posted, action: &str, code: &str) -> Result<&'static str> {
    let presses = [
        world.asked(users[0], card, action).await?,
        world.asked(users[1], card, action).await?,
    ];
    let (one, other) = tokio::join!(world.pressed(&presses[0]), world.pressed(&presses[1]));
    let said = [one?, other?];
    let refused = said.each_ref().map(|said| said.starts_with(code));
    ensure!(refused[0] != refused[1], "{said:#?}");
    Ok(if refused[0] { "ben" } else { "ana" })
}

#[tokio::test]
async fn a_rollback_beats_an_advance_that_is_being_confirmed() -> Result<()> {
    let world = World::new().await?;
    let card = world.at_the_first_gate().await?;
    let advance = world.asked(ANA, &card, "advance").await?;
    let said = world.confirmed(ANA, &card, "rollback").await?;
    ensure!(said.contains("Rollback from 5%"), "{said}");
    let late = world.pressed(&advance).await?;
    ensure!(
        ["R401", "R402", "R403"].iter().any(|code| late.starts_with(code)),
        "{late}"
    );
    let over = world
        .card("it is rolled back", |card| card.shown().contains("ROLLED BACK"))
        .await?;
    ensure!(over.buttons().is_empty());
    Ok(())
}

#[tokio::test]
async fn who_may_not_say_it_may_not_press_it() -> Result<()> {
    let world = World::new().await?;
    let card = world.at_the_first_gate().await?;
    let before = world.rollout().await?.generation;
    let yes = [
        world.asked(ANA, &card, "advance").await?,
        world.asked(ANA, &card, "rollback").await?,
    ];
    for action in ["advance", "pause", "rollback"] {
        let said = world.press(VIC, &card, action).await?;
        ensure!(said.starts_with("R301") && said.contains("Ask"), "{action}: {said}");
        let said = world.press(EVE, &card, action).await?;
        ensure!(said.starts_with("R303"), "{action}: {said}");
    }
    // Somebody else's yes, made up by who can sign: the role counts when it is pressed.
    for second in &yes {
        let body: serde_json::Value = serde_json::from_str(&second.body)?;
        let button = body["data"]["custom_id"].as_str().unwrap_or_default();
        let said = world.pressed(&world.discord.press_with(VIC, button)).await?;
        ensure!(said.starts_with("R301"), "{button}: {said}");
        let said = world.pressed(&world.discord.press_with(EVE, button)).await?;
        ensure!(said.starts_with("R303"), "{button}: {said}");
    }
    ensure!(world.rollout().await?.generation == before);
    Ok(())
}

#[tokio::test]
async fn what_no_button_carries_is_refused() -> Result<()> {
    let world = World::new().await?;
    world.at_the_first_gate().await?;
    let before = world.rollout().await?.generation;
    for button in [
        format!("v1:abort:checkout-1:{before}"),
        format!("v1:abort!:checkout-1:{before}"),
        format!("v2:pause:checkout-1:{before}"),
        "v1:advance:checkout-1".to_owned(),
        "v1:advance!:checkout-1:99999999999999999999999".to_owned(),
        format!("v1:advance!:../../etc:{before}"),
        format!("v1:pause:@everyone:{before}"),
        "v1:".to_owned(),
        "x".to_owned(),
    ] {
        let said = world.pressed(&world.discord.press_with(ANA, &button)).await?;
        ensure!(said.starts_with("R10"), "{button}: {said}");
    }
    ensure!(world.rollout().await?.generation == before);
    Ok(())
}

#[tokio::test]
async fn the_way_to_the_page_is_a_link() -> Result<()> {
    let world = World::with(|settings| settings["web"]["external_url"] = "https://tidegate.example/x/".into()).await?;
    let card = world.at_the_first_gate().await?;
    ensure!(
        card.buttons() == ["[Open]", "[Advance…]", "[Pause]", "[Rollback…]"],
        "{:?}",
        card.buttons()
    );
    let sent = &card.sent;
    let (link, title) = (
        &sent["components"][0]["components"][0]["url"],
        &sent["embeds"][0]["url"],
    );
    ensure!(
        link == "https://tidegate.example/x/r/checkout-1" && title == link,
        "{sent}"
    );
    Ok(())
}

#[tokio::test]
async fn what_waits_is_greyed_out_and_says_why() -> Result<()> {
    let world = World::new().await?;
    let card = world.at_the_first_gate().await?;
    world.say(ANA, "hold", &[("reason", "watching *redis*")]).await?;
    let held = world
        .card("it is held", |card| {
            card.shown().contains("HELD") || card.shown().contains("holds")
        })
        .await?;
    ensure!(
        held.id == card.id && held.buttons()[0] == "(Advance…)",
        "{:?}",
        held.buttons()
    );
    ensure!(held.shown().contains("watching *redis*"), "{}", held.shown());
    Ok(())
}

#[tokio::test]
async fn the_same_press_again_is_a_replay() -> Result<()> {
    let world = World::new().await?;
    let card = world.at_the_first_gate().await?;
    let press = world.discord.press(ANA, &card, "pause")?;
    let said = world.pressed(&press).await?;
    ensure!(said.contains("paused"), "{said}");
    let again = world.deliver(&press).await?;
    ensure!(again.status == StatusCode::UNAUTHORIZED, "{again:?}");
    Ok(())
}
