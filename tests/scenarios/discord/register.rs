//! `tidegate discord register`: what it puts where, what it says, and what it never says.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tidegate::chat::discord::tree;
use tidegate_rollout::command::USAGES;
use tidegate_tests::built::Build;
use tidegate_tests::discord;
use tidegate_tests::discord::{Discord, GUILD, Mishap, TOKEN, length_of_tree};
use tidegate_tests::scratch::Scratch;

#[test]
fn the_command_is_small_enough_and_has_every_verb() {
    let tree = serde_json::to_value(tree("rollout")).expect("it is JSON");
    let long = length_of_tree(&tree);
    println!("{long} of 4,000 characters");
    assert!(long < 4_000, "{long}");
    let names = tree["options"].as_array().expect("sub-commands").iter();
    let names: Vec<&str> = names.filter_map(|option| option["name"].as_str()).collect();
    let verbs: Vec<&str> = USAGES.iter().map(|usage| usage.verb).collect();
    assert_eq!(names, verbs);
    assert!(verbs.len() <= 25, "Discord takes 25");
}

/// Runs the command with a configuration for `discord`; its exit code and everything that it wrote.
async fn register(discord: &Discord, guild: &str, arguments: &[&str]) -> Result<(i32, String)> {
    let scratch = Scratch::new("register")?;
    let settings = json!({ "discord": {
        "public_key": Discord::public_key(),
        "application": discord::APP,
        "guilds": [guild],
        "token_file": scratch.write("token", TOKEN)?,
        "api_url": discord.api_url(),
    } });
    let file = scratch.write("tidegate.yml", settings.to_string())?;
    let file = file.display().to_string();
    let fixed = ["discord", "register", "--config.file", &file];
    let all: Vec<&str> = fixed.iter().chain(arguments).copied().collect();
    let output = tokio::process::Command::new(Build::Shipped.program()?)
        .args(all)
        .env_clear()
        .kill_on_drop(true)
        .output()
        .await?;
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    ensure!(
        !said.contains(TOKEN) && !said.contains("the-token"),
        "it says the token: {said}"
    );
    Ok((output.status.code().context("it was killed")?, said))
}

#[tokio::test]
async fn it_registers_on_the_servers_or_everywhere_and_says_so() -> Result<()> {
    let discord = Discord::start().await?;
    let (code, said) = register(&discord, GUILD, &[]).await?;
    let verbs = USAGES.len();
    ensure!(
        code == 0 && said.contains(&format!("Registered /rollout with {verbs} verbs on the server {GUILD}")),
        "{said}"
    );
    let registered = discord.registered(GUILD).context("it is registered")?;
    ensure!(
        registered[0]["name"] == "rollout" && registered[0]["contexts"] == json!([0]),
        "{registered}"
    );
    ensure!(discord.registered("everywhere").is_none());
    let (code, said) = register(&discord, GUILD, &["--global", "-o", "json"]).await?;
    let answer: Value = serde_json::from_str(said.trim())?;
    let place = answer.pointer("/result/registered/0/guild");
    ensure!(code == 0 && place == Some(&Value::Null), "{said}");
    ensure!(discord.registered("everywhere").is_some() && discord.refused().is_empty());
    Ok(())
}

#[tokio::test]
async fn a_rehearsal_calls_nobody_and_a_refusal_says_what_to_do() -> Result<()> {
    let discord = Discord::start().await?;
    let (code, said) = register(&discord, GUILD, &["--dry-run"]).await?;
    ensure!(
        code == 0 && said.contains("\"rollback\"") && said.contains("nothing was registered"),
        "{said}"
    );
    ensure!(discord.calls("PUT commands") == 0);
    let (code, said) = register(&discord, "290926798626357000", &[]).await?;
    ensure!(
        code == 4 && said.contains("50001") && said.contains("install the application"),
        "{code} {said}"
    );
    discord.mishap(
        "PUT commands",
        &[Mishap::Says(401, 0), Mishap::Broken, Mishap::TooMany(12.0, false)],
    );
    let (code, said) = register(&discord, GUILD, &[]).await?;
    ensure!(code == 4 && said.contains("discord.token_file"), "{code} {said}");
    for part in ["500", "left alone"] {
        let (code, said) = register(&discord, GUILD, &[]).await?;
        ensure!(code == 8 && said.contains(part), "{code} {said}");
    }
    Ok(())
}
