//! Commands: what they are told, what they may print, and what happens when they fail, hang or never stop talking.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::house::{GIVEN, Hooked, House, WITHHELD, gone, programs};

fn before(hook: Value) -> Hooked {
    Hooked {
        hooks: json!({ "backup": hook }),
        before: vec!["backup"],
        ..Hooked::default()
    }
}

#[tokio::test]
async fn a_command_has_the_facts_the_allowed_variables_and_nothing_else() -> Result<()> {
    let script = "env | sort; pwd; echo \"argument: $1 $2\"; cat; set -x; : $HOOK_TOKEN";
    let hook = json!({ "run": { "command": ["backup.sh", "a b", "$(id)"] } });
    let house = House::start(programs(&[("backup.sh", script)])?, &before(hook)).await?;
    let id = house.begin().await?;
    house.becomes(&id, "WATCHING").await?;
    assert!(house.is_on().await?);
    let log = house.log(&id).await?;
    let said = format!("{log:?}");
    for fact in [
        "ROLLOUT_ID=sluice-1",
        "ROLLOUT_PHASE=all",
        "ROLLOUT_WEIGHT=100%",
        "ROLLOUT_MOMENT=before",
    ] {
        assert!(said.contains(fact), "{fact}: {said}");
    }
    assert!(
        said.contains("argument: a b $(id)"),
        "no shell reads the arguments: {said}"
    );
    assert!(said.contains("HOOK_TOKEN=[HOOK_TOKEN]"), "{said}");
    for never in [GIVEN.1, WITHHELD.0, WITHHELD.1, "TIDEGATE_", "tidegate.yml"] {
        assert!(!said.contains(never), "{never}: {said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_failing_before_holds_with_its_last_words_and_the_weight_never_moves() -> Result<()> {
    let hook = json!({ "run": { "command": ["backup.sh"] } });
    let fails = "echo looking; echo 'no space left on device' >&2; exit 3";
    let house = House::start(programs(&[("backup.sh", fails)])?, &before(hook)).await?;
    let id = house.begin().await?;
    let card = house.becomes(&id, "HELD").await?;
    let told = house.told(&id, "hook-failed").await?;
    assert!(
        told.contains("exit code 3") && told.contains("no space left on device"),
        "{told}"
    );
    assert!(
        card["next"].as_str().is_some_and(|next| next.contains("`retry`")),
        "{card}"
    );
    assert!(
        card["hooks"][0]
            .as_str()
            .is_some_and(|line| line.contains("backup before phase all: failed")),
        "{card}"
    );
    let refused = house.refused(json!({ "verb": "advance", "rollout": id })).await?;
    assert_eq!(refused["code"], "R203");
    house.never_moved(&id).await?;
    // Put right, and run once more by the word of a person at the command line.
    house.put_program("backup.sh", "echo backed up")?;
    let (exit, said) = house.tidegate.command(&["rollout", "retry", &id]).await?;
    assert_eq!(exit, 0, "{said}");
    house.becomes(&id, "WATCHING").await?;
    assert!(house.is_on().await?);
    Ok(())
}

#[tokio::test]
async fn what_hangs_is_killed_with_its_children_and_theirs_wherever_they_went() -> Result<()> {
    let hangs = "trap '' TERM\n\
        setsid sh -c 'trap \"\" TERM; echo $$ > runaway; sleep 1000 & wait' &\n\
        (sh -c 'echo $$ > orphan; exec sleep 1000' &)\n\
        sh -c 'echo $$ > child; sleep 1000'";
    let hook = json!({ "run": { "command": ["backup.sh"] }, "timeout": "2s" });
    let house = House::start(programs(&[("backup.sh", hangs)])?, &before(hook)).await?;
    let id = house.begin().await?;
    let mut pids = Vec::new();
    for name in ["runaway", "orphan", "child"] {
        pids.push(house.written(name).await?);
    }
    for pid in &pids {
        ensure!(
            std::path::Path::new(&format!("/proc/{}", pid.trim())).exists(),
            "{pid} never lived"
        );
    }
    let told = house.told(&id, "hook-failed").await?;
    assert!(
        told.contains("killed after 2s, with everything that it had started"),
        "{told}"
    );
    for pid in &pids {
        gone(pid).await?;
    }
    house.never_moved(&id).await
}

#[tokio::test]
async fn what_a_command_leaves_behind_ends_with_it() -> Result<()> {
    let leaves =
        "setsid sh -c 'echo $$ > runaway; exec sleep 1000' >/dev/null 2>&1 &\nwhile [ ! -s runaway ]; do :; done";
    let hook = json!({ "run": { "command": ["backup.sh"] } });
    let house = House::start(programs(&[("backup.sh", leaves)])?, &before(hook)).await?;
    let id = house.begin().await?;
    house.becomes(&id, "WATCHING").await?;
    gone(&house.written("runaway").await?).await
}

#[tokio::test]
async fn ten_mebibytes_of_output_are_read_and_the_end_of_them_is_kept() -> Result<()> {
    let talks = "head -c 10485760 /dev/zero | tr '\\0' 'x'; echo; echo 'the last line'; exit 1";
    let hook = json!({ "run": { "command": ["backup.sh"] } });
    let house = House::start(programs(&[("backup.sh", talks)])?, &before(hook)).await?;
    let id = house.begin().await?;
    house.becomes(&id, "HELD").await?;
    let kept = house.told(&id, "hook-output").await?;
    assert!(
        kept.len() < 5_000 && kept.ends_with("x\nthe last line"),
        "{} bytes",
        kept.len()
    );
    assert!(kept.contains("bytes before it are not kept"), "{}", &kept[..200]);
    let all = format!("{:?}", house.log(&id).await?);
    assert!(all.len() < 20_000, "{} bytes in the log", all.len());
    Ok(())
}

#[tokio::test]
async fn a_plan_whose_commands_are_not_allowed_is_refused_with_what_to_write() -> Result<()> {
    let scratch = programs(&[("backup.sh", "true")])?;
    let hook = |name: &str| before(json!({ "run": { "command": [name] } }));
    for (name, settings, why) in [
        (
            "backup.sh",
            json!({ "hooks": { "directory": null } }),
            "`hooks.directory` says where they lie",
        ),
        ("none.sh", json!({}), "there is no `none.sh` below `hooks.directory`"),
    ] {
        let said = super::house::faults(super::house::setup(&scratch, &hook(name), settings)?).await?;
        ensure!(said.contains(why), "{name}: {said}");
    }
    Ok(())
}
