//! SIGKILL in the middle of a hook: nothing of it outlives the server, and only what may run twice runs twice.

use anyhow::Result;
use serde_json::json;

use super::house::{Hooked, House, gone, programs};

const SCRIPT: &str = "echo $$ >> runs\n[ \"$(wc -l < runs)\" -gt 1 ] && exit 0\nexec sleep 1000";

fn hooked(idempotent: bool) -> Hooked {
    Hooked {
        hooks: json!({ "migrate": {
            "run": { "command": ["migrate.sh"] }, "timeout": "10m", "idempotent": idempotent,
        } }),
        before: vec!["migrate"],
        ..Hooked::default()
    }
}

#[tokio::test]
async fn what_must_not_run_twice_is_asked_about_and_its_tree_is_dead() -> Result<()> {
    let mut house = House::start(programs(&[("migrate.sh", SCRIPT)])?, &hooked(false)).await?;
    let id = house.begin().await?;
    let pid = house.written("runs").await?;
    house.tidegate.kill()?;
    gone(&pid).await?;
    house.revive().await?;
    let card = house.becomes(&id, "HELD").await?;
    let told = house.told(&id, "hook-failed").await?;
    assert!(
        told.contains("may have run") && told.contains("Tidegate stopped"),
        "{told}"
    );
    assert_eq!(std::fs::read_to_string(house.file("runs"))?, pid, "it ran once: {card}");
    house.never_moved(&id).await?;
    // A person has looked, and says that it is to run.
    house.say(json!({ "verb": "retry", "rollout": id })).await?;
    house.becomes(&id, "WATCHING").await?;
    assert_eq!(std::fs::read_to_string(house.file("runs"))?.lines().count(), 2);
    Ok(())
}

#[tokio::test]
async fn what_may_run_twice_runs_again_by_itself_and_never_beside_itself() -> Result<()> {
    let mut house = House::start(programs(&[("migrate.sh", SCRIPT)])?, &hooked(true)).await?;
    let id = house.begin().await?;
    let pid = house.written("runs").await?;
    house.tidegate.kill()?;
    gone(&pid).await?;
    house.revive().await?;
    house.becomes(&id, "WATCHING").await?;
    assert_eq!(std::fs::read_to_string(house.file("runs"))?.lines().count(), 2);
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_leaves_nothing_running() -> Result<()> {
    let mut house = House::start(programs(&[("migrate.sh", SCRIPT)])?, &hooked(false)).await?;
    house.begin().await?;
    let pid = house.written("runs").await?;
    house.tidegate.stop().await?;
    gone(&pid).await
}
