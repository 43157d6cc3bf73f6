//! The application in Discord: its token, its key, the address it calls, its command, its channels.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tidegate_tests::built::Build;
use tidegate_tests::discord::{APP, CHANNEL, Discord, GUILD, PERMISSIONS, TOKEN};
use tidegate_tests::ports::Port;
use tidegate_tests::scratch::Scratch;

const DOOR: &str = "https://tidegate.example/discord/interactions";

struct World {
    discord: Discord,
    scratch: Scratch,
}

impl World {
    /// What `doctor --only discord` finds: a code, its words and its fix, for each thing that is not well.
    async fn look(&self, change: impl FnOnce(&mut Value)) -> Result<Vec<(String, String)>> {
        let token = self.scratch.write("token", TOKEN)?;
        let mut settings = json!({
            "web": { "external_url": "https://tidegate.example/" },
            "storage": { "path": self.scratch.path().join("data") },
            "discord": {
                "public_key": Discord::public_key(), "application": APP, "guilds": [GUILD], "token_file": token,
                "api_url": self.discord.api_url(),
            },
            "channels": { "talk": { "discord": { "channel": CHANNEL } } },
        });
        change(&mut settings);
        let file = self.scratch.write("tidegate.yml", settings.to_string())?;
        let output = self.run(&["-o", "json", "doctor", "--only", "discord"], &file).await?;
        let answer: Value = serde_json::from_str(&output)?;
        let checks = answer["result"]["checks"].as_array().cloned().unwrap_or_default();
        ensure!(!checks.is_empty(), "{answer}");
        let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
        let bad = checks.iter().filter(|finding| finding["level"] != "ok");
        Ok(bad
            .map(|it| (text(it, "code"), text(it, "says") + " " + &text(it, "fix")))
            .collect())
    }

    async fn run(&self, arguments: &[&str], file: &std::path::Path) -> Result<String> {
        let output = tokio::process::Command::new(Build::Shipped.program()?)
            .args(arguments)
            .arg("--config.file")
            .arg(file)
            .kill_on_drop(true)
            .output()
            .await?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(!printed.contains(TOKEN), "a secret is shown: {printed}");
        Ok(printed)
    }
}

fn one(found: &[(String, String)], code: &str, says: &str) -> Result<()> {
    let [(found, words)] = found else {
        anyhow::bail!("{found:#?} instead of {code}");
    };
    ensure!(found == code && words.contains(says), "{found}: {words}");
    Ok(())
}

#[tokio::test]
async fn each_thing_that_the_application_lacks_is_one_finding() -> Result<()> {
    let world = World {
        discord: Discord::start().await?,
        scratch: Scratch::new("doctor-discord")?,
    };
    world.discord.unpaced();
    world.discord.calls_back(Some(DOOR));
    one(
        &world.look(|_| {}).await?,
        "discord.no-command",
        "tidegate discord register",
    )?;
    let file = world.scratch.path().join("tidegate.yml");
    world.run(&["discord", "register"], &file).await?;
    ensure!(world.look(|_| {}).await?.is_empty(), "all is well now");

    world.discord.calls_back(None);
    one(&world.look(|_| {}).await?, "discord.calls-nobody", DOOR)?;
    world
        .discord
        .calls_back(Some("https://old.example/discord/interactions"));
    one(
        &world.look(|_| {}).await?,
        "discord.calls-elsewhere",
        "https://old.example",
    )?;
    world.discord.calls_back(Some(DOOR));

    world.discord.permit(&[]);
    one(
        &world.look(|_| {}).await?,
        "discord.not-in-channel",
        "channels.talk.discord.channel",
    )?;
    world.discord.permit(&PERMISSIONS);
    let other = "290926798626357000";
    let elsewhere = |settings: &mut Value| settings["discord"]["guilds"] = json!([GUILD, other]);
    one(&world.look(elsewhere).await?, "discord.not-on-server", other)?;
    let key = "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c";
    let another_key = |settings: &mut Value| settings["discord"]["public_key"] = key.into();
    one(&world.look(another_key).await?, "discord.other-key", "public key")?;
    let application = |settings: &mut Value| settings["discord"]["application"] = "771825006014880000".into();
    let found = world.look(application).await?;
    ensure!(found.iter().any(|(code, _)| code == "discord.elsewhere"), "{found:#?}");

    let wrong = world.scratch.write("wrong", "another.token")?;
    let token = |settings: &mut Value| settings["discord"]["token_file"] = json!(wrong);
    one(&world.look(token).await?, "discord.no-token", "discord.token_file")?;
    let nobody = Port::reserve()?.url() + "/api/v10";
    let address = |settings: &mut Value| settings["discord"]["api_url"] = nobody.into();
    one(&world.look(address).await?, "discord.unreachable", "discord.api_url")
}
