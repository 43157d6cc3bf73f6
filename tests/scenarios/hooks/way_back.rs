//! Hooks on the way back: traffic first, then they; one that fails is told and stops nothing. And after a phase: the gate.

use anyhow::Result;
use serde_json::json;

use super::house::{Hooked, House, programs};

fn workers() -> Hooked {
    Hooked {
        hooks: json!({
            "workers-down": { "run": { "command": ["workers.sh", "0"] } },
            "workers-up": { "run": { "command": ["workers.sh", "6"] } },
            "tell": { "run": { "command": ["fails.sh"] } },
        }),
        before: vec!["workers-down"],
        back: vec!["tell", "workers-up"],
        ..Hooked::default()
    }
}

#[tokio::test]
async fn traffic_goes_back_first_and_a_failing_hook_stops_nothing() -> Result<()> {
    let scripts = [
        ("workers.sh", "echo \"$1\" >> workers"),
        ("fails.sh", "echo 'no route'; exit 9"),
    ];
    let house = House::start(programs(&scripts)?, &workers()).await?;
    let id = house.begin().await?;
    house.becomes(&id, "WATCHING").await?;
    assert_eq!(std::fs::read_to_string(house.file("workers"))?, "0\n");
    house.strike().await?;
    house.becomes(&id, "ROLLED BACK").await?;
    assert!(!house.is_on().await?);
    let told = house.told(&id, "hook-failed").await?;
    assert!(
        told.contains("exit code 9") && told.contains("Nothing waits for it"),
        "{told}"
    );
    tidegate_tests::wait::until("the workers are up again", super::house::PATIENCE, async || {
        anyhow::ensure!(std::fs::read_to_string(house.file("workers"))? == "0\n6\n");
        Ok(())
    })
    .await?;
    let kinds: Vec<String> = house
        .log(&id)
        .await?
        .iter()
        .map(|line| line["kind"].to_string())
        .collect();
    let place = |kind: &str| kinds.iter().position(|one| one.contains(kind));
    assert!(place("rolled-back") < place("hook-failed"), "{kinds:?}");
    Ok(())
}

#[tokio::test]
async fn a_rollback_does_not_wait_for_a_hook_that_hangs() -> Result<()> {
    let scripts = [
        (
            "workers.sh",
            "echo \"$1\" >> workers; [ \"$1\" = 6 ] || exec sleep 1000",
        ),
        ("fails.sh", "exit 9"),
    ];
    let mut hooked = workers();
    hooked.hooks["workers-down"]["timeout"] = json!("5s");
    let house = House::start(programs(&scripts)?, &hooked).await?;
    let id = house.begin().await?;
    house.written("workers").await?;
    house
        .say(json!({ "verb": "rollback", "rollout": id, "reason": "changed our minds" }))
        .await?;
    house.becomes(&id, "ROLLED BACK").await?;
    let log = house.log(&id).await?;
    assert!(
        !log.iter().any(|line| line["kind"] == "hook-failed"),
        "it still ran: {log:?}"
    );
    tidegate_tests::wait::until("what undoes it comes after it", super::house::PATIENCE, async || {
        anyhow::ensure!(std::fs::read_to_string(house.file("workers"))? == "0\n6\n");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_failing_after_holds_at_the_gate_until_a_person_takes_it_as_it_is() -> Result<()> {
    let hooked = Hooked {
        hooks: json!({ "smoke": { "run": { "command": ["fails.sh"] } } }),
        after: vec!["smoke"],
        ..Hooked::default()
    };
    let house = House::start(programs(&[("fails.sh", "echo 'login: 500'; exit 1")])?, &hooked).await?;
    let id = house.begin().await?;
    let card = house.becomes(&id, "HELD").await?;
    assert_eq!(card["weight"], "100%");
    assert!(house.told(&id, "hook-failed").await?.contains("login: 500"));
    house
        .say(json!({ "verb": "release", "rollout": id, "number": 1 }))
        .await?;
    house.becomes(&id, "WATCHING").await?;
    assert!(
        house
            .told(&id, "hook-skipped")
            .await?
            .contains("goes on without hook smoke")
    );
    Ok(())
}
