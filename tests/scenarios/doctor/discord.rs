//! The application in Discord: its token, its key, the address it calls, its command, its channels.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tidegate_tests::built::Build;
use tidegate_tests::discord::{APP, BOT, CHANNEL, Discord, GUILD, Mishap, PERMISSIONS, ROLE, TOKEN};
use tidegate_tests::ports::Port;
use tidegate_tests::scratch::Scratch;

const DOOR: &str = "https://tidegate.example/discord/interactions";

struct World {
    discord: Discord,
    scratch: Scratch,
}

impl World {
    async fn new() -> Result<Self> {
        let world = Self {
            discord: Discord::start().await?,
            scratch: Scratch::new("doctor-discord")?,
        };
        world.discord.unpaced();
        world.discord.calls_back(Some(DOOR));
        Ok(world)
    }

    /// Where all is well: the command is registered.
    async fn well() -> Result<Self> {
        let world = Self::new().await?;
        world.look(|_| {}).await?;
        world.register().await?;
        ensure!(world.look(|_| {}).await?.is_empty(), "all is well now");
        Ok(world)
    }

    async fn register(&self) -> Result<()> {
        let file = self.scratch.path().join("tidegate.yml");
        self.run(&["discord", "register"], &file).await.map(drop)
    }

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
    let world = World::new().await?;
    one(
        &world.look(|_| {}).await?,
        "discord.no-command",
        "tidegate discord register",
    )?;
    world.register().await?;
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

/// As the page "Permissions" of Discord calls them.
const NAMES: [&str; 6] = [
    "View Channel",
    "Send Messages",
    "Send Messages in Threads",
    "Create Public Threads",
    "Embed Links",
    "Read Message History",
];

#[tokio::test]
async fn each_permission_that_is_missing_is_named_with_who_takes_it() -> Result<()> {
    let world = World::well().await?;
    for (taken, name) in PERMISSIONS.iter().zip(NAMES) {
        let mut left = PERMISSIONS.to_vec();
        left.retain(|it| it != taken);
        world.discord.permit(&left);
        let found = world.look(|_| {}).await?;
        match name {
            // Without it Discord does not even say that there is a channel.
            "View Channel" => one(&found, "discord.not-in-channel", "allow it View Channel")?,
            name => {
                one(
                    &found,
                    "discord.no-permission",
                    &format!("lacks: {name} (no role gives it)"),
                )?;
                one(&found, "discord.no-permission", &format!("allow it: {name}."))?;
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_a_channel_overwrites_is_seen() -> Result<()> {
    let world = World::well().await?;
    let lacks = async |says: &str| one(&world.look(|_| {}).await?, "discord.no-permission", says);
    let is_well = async || {
        let found = world.look(|_| {}).await?;
        ensure!(found.is_empty(), "{found:#?}");
        anyhow::Ok(())
    };
    world.discord.permit(&[]);
    world.discord.permit_everybody(&PERMISSIONS);
    is_well().await?;
    world.discord.overwrite(GUILD, &[], &["EMBED_LINKS", "SEND_MESSAGES"]);
    lacks(
        "lacks: Send Messages (the channel denies it to everybody), Embed Links (the channel denies it to everybody)",
    )
    .await?;
    world
        .discord
        .overwrite(ROLE, &["EMBED_LINKS", "SEND_MESSAGES"], &["CREATE_PUBLIC_THREADS"]);
    lacks("lacks: Create Public Threads (the channel denies it to the role `Tidegate`)").await?;
    world
        .discord
        .overwrite(BOT, &["CREATE_PUBLIC_THREADS"], &["READ_MESSAGE_HISTORY"]);
    lacks("lacks: Read Message History (the channel denies it to the bot itself)").await?;

    world.discord.permit(&["ADMINISTRATOR"]);
    world.discord.overwrite(BOT, &[], &PERMISSIONS);
    is_well().await?;
    world.discord.time_out("2999-01-01T00:00:00.000000+00:00");
    is_well().await?;
    world.discord.permit(&[]);
    world.discord.owned_by_the_bot();
    is_well().await?;

    world.discord.permit(&PERMISSIONS);
    world.discord.time_out("2999-01-01T00:00:00.000000+00:00");
    one(&world.look(|_| {}).await?, "discord.timed-out", "2999-01-01")?;
    ensure!(world.discord.refused().is_empty(), "{:?}", world.discord.refused());
    Ok(())
}

#[tokio::test]
async fn a_thread_is_no_place_for_cards_and_rights_that_are_not_told_are_not_guessed() -> Result<()> {
    let world = World::well().await?;
    let refusal = Mishap::Says(403, 50_001);
    world.discord.mishap("GET members", &[refusal]);
    one(&world.look(|_| {}).await?, "discord.permissions-unknown", "scope `bot`")?;

    let client = tidegate_tests::http::client()?;
    let post = async |path: String, body: Value| -> Result<String> {
        let call = client.post(world.discord.api_url() + &path).json(&body);
        let call = call.header("user-agent", "DiscordBot (https://tidegate.dev, 1)");
        let answer = call.header("authorization", format!("Bot {TOKEN}")).send().await?;
        let answer: Value = answer.json().await?;
        Ok(answer["id"].as_str().with_context(|| answer.to_string())?.to_owned())
    };
    let words = json!({ "content": "a card", "allowed_mentions": { "parse": [] } });
    let card = post(format!("channels/{CHANNEL}/messages"), words).await?;
    let path = format!("channels/{CHANNEL}/messages/{card}/threads");
    let thread = post(path, json!({ "name": "its thread" })).await?;
    let in_it = |settings: &mut Value| settings["channels"]["talk"]["discord"]["channel"] = thread.into();
    one(
        &world.look(in_it).await?,
        "discord.no-threads",
        "channels.talk.discord.channel",
    )
}
