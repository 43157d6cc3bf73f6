//! Where an example talks to people: a workspace in Slack or a server of Discord, whichever the story is told in, and a mail server.
//! What a person does there has the same name on both, so that one story is told through either.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tidegate::chat::discord::tree;
use tidegate_tests::certificates::Certificates;
use tidegate_tests::discord::{self, APP, Discord, GUILD};
use tidegate_tests::mail::MailServer;
use tidegate_tests::scratch::Scratch;
use tidegate_tests::slack::{self, SECRET, Slack, TEAM};
use tidegate_tests::tidegate::Tidegate;
use tidegate_tests::wait;

use super::story::PATIENCE;

/// Jon's account in Slack, as the configuration of the example names it.
const JON_IN_SLACK: &str = "U012JON";
/// Jon's account in Discord.
const JON_IN_DISCORD: &str = "80351110224678912";

/// The platform that a story is told in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Platform {
    Slack,
    Discord,
}

/// The platform and what it keeps.
enum Place {
    Slack(Slack),
    Discord(Discord),
}

/// The people's platform, and a mail server.
pub(super) struct People {
    place: Place,
    pub(super) mail: MailServer,
    /// The file with the authority of the mail server.
    pub(super) trusted: PathBuf,
}

/// The card of the rollout as people see it.
#[derive(Clone, Debug)]
pub(super) struct Card {
    pub(super) id: String,
    pub(super) shown: String,
    /// What stands on its buttons.
    pub(super) buttons: Vec<String>,
    /// Whether somebody can press Advance.
    pub(super) advances: bool,
    /// The revision that its buttons carry.
    pub(super) revision: Option<u64>,
}

impl People {
    /// Where they are, laid over settings that name them; nobody where an example talks to nobody.
    pub(super) async fn of(settings: &mut Value, scratch: &Scratch, platform: Platform) -> Result<Option<Self>> {
        if settings["slack"].is_null() {
            return Ok(None);
        }
        let (mail, trusted) = mail_server(settings, scratch).await?;
        let place = match platform {
            Platform::Slack => Place::Slack(in_slack(settings, scratch).await?),
            Platform::Discord => Place::Discord(in_discord(settings, scratch).await?),
        };
        Ok(Some(Self { place, mail, trusted }))
    }

    /// Jon types the command; what he sees.
    pub(super) async fn jon_types(&self, tidegate: &Tidegate, verb: &str, with: &[(&str, &str)]) -> Result<String> {
        match &self.place {
            Place::Slack(slack) => {
                let word = |(name, value): &(&str, &str)| match *name {
                    "plan" | "inputs" => (*value).to_owned(),
                    name => format!("{name}:{value}"),
                };
                let words = std::iter::once(verb.to_owned()).chain(with.iter().map(word));
                let signed = slack.command(JON_IN_SLACK, &words.collect::<Vec<_>>().join(" "));
                let signed = signed.by_sdk().await?;
                Ok(slack.deliver(&tidegate.url("/slack/commands"), &signed).await?.shown())
            }
            Place::Discord(discord) => {
                let signed = discord.command(JON_IN_DISCORD, verb, with)?;
                self.in_discord(tidegate, discord, signed).await.map(|(_, shown)| shown)
            }
        }
    }

    /// Jon presses Advance, and says yes; what he sees.
    pub(super) async fn jon_advances(&self, tidegate: &Tidegate, card: &Card) -> Result<String> {
        match &self.place {
            Place::Slack(slack) => {
                // Slack asks by itself whether he is sure.
                let posted = slack.cards().into_iter().find(|posted| posted.ts == card.id);
                let signed = slack.press(JON_IN_SLACK, &posted.context("the card is gone")?, "advance")?;
                let signed = signed.by_sdk().await?;
                slack.deliver(&tidegate.url("/slack/interactions"), &signed).await?;
                let answer = slack.late_answer(&signed.response_url, PATIENCE).await?;
                Ok(slack::read(&answer).0)
            }
            Place::Discord(discord) => {
                let posted = discord.cards().into_iter().find(|posted| posted.id == card.id);
                let first = discord.press(JON_IN_DISCORD, &posted.context("the card is gone")?, "advance")?;
                let (question, _) = self.in_discord(tidegate, discord, first).await?;
                let second = discord.press_in(JON_IN_DISCORD, &question, "advance!")?;
                self.in_discord(tidegate, discord, second).await.map(|(_, shown)| shown)
            }
        }
    }

    /// Signs as Discord does, delivers, and shows what he sees, as it was sent and in words.
    async fn in_discord(
        &self,
        tidegate: &Tidegate,
        discord: &Discord,
        signed: discord::Signed,
    ) -> Result<(Value, String)> {
        let signed = signed.by_pynacl().await?;
        let answered = discord.deliver(&tidegate.url("/discord/interactions"), &signed).await?;
        ensure!(answered.status == StatusCode::OK, "{answered:?}");
        let seen = discord.sees(&answered.token, PATIENCE, |_| true).await?;
        let words = discord::shown(&seen);
        Ok((seen, words))
    }

    /// The one card, once it fits.
    pub(super) async fn card(&self, what: &str, fits: impl Fn(&Card) -> bool) -> Result<Card> {
        wait::until(what, PATIENCE, async || {
            let mut cards: Vec<Card> = match &self.place {
                Place::Slack(slack) => slack.cards().iter().map(of_slack).collect(),
                Place::Discord(discord) => discord.cards().iter().map(of_discord).collect(),
            };
            ensure!(cards.len() == 1, "{cards:?}; refused: {:?}", self.refused());
            let card = cards.remove(0);
            ensure!(fits(&card), "{card:?}; refused: {:?}", self.refused());
            Ok(card)
        })
        .await
    }

    /// What stands in the thread of a card.
    pub(super) fn thread(&self, card: &Card) -> Vec<String> {
        match &self.place {
            Place::Slack(slack) => slack.thread(&card.id).into_iter().map(|line| line.text).collect(),
            Place::Discord(discord) => discord.messages(&card.id).iter().map(discord::Posted::shown).collect(),
        }
    }

    /// What the platform did not take.
    pub(super) fn refused(&self) -> Vec<String> {
        match &self.place {
            Place::Slack(slack) => slack.refused(),
            Place::Discord(discord) => discord.refused(),
        }
    }
}

/// The revision in what a button carries.
fn revision(carried: &Value) -> Option<u64> {
    carried.as_str()?.rsplit(':').next()?.parse().ok()
}

fn of_slack(posted: &slack::Posted) -> Card {
    Card {
        id: posted.ts.clone(),
        shown: posted.shown(),
        buttons: posted.buttons(),
        advances: posted.button("advance").is_some(),
        revision: posted.button("rollback").and_then(|button| revision(&button["value"])),
    }
}

fn of_discord(posted: &discord::Posted) -> Card {
    let button = posted.button("advance");
    Card {
        id: posted.id.clone(),
        shown: posted.shown(),
        buttons: posted.buttons(),
        advances: button.is_some_and(|button| button["disabled"] != Value::Bool(true)),
        revision: posted
            .button("rollback")
            .and_then(|button| revision(&button["custom_id"])),
    }
}

/// A mail server as the example has it, over STARTTLS and with a sign-in; only its address is another, and where its password lies.
async fn mail_server(settings: &mut Value, scratch: &Scratch) -> Result<(MailServer, PathBuf)> {
    const PASSWORD: &str = "the-password-of-the-mail-server";
    let made = Certificates::make(scratch)?;
    let files = [&made.certificate, &made.key].map(|file| file.display().to_string());
    let user = settings["email"]["user"].as_str().context("it signs in nowhere")?;
    let shown = ["--certificate", &files[0], "--key", &files[1]];
    let mail = MailServer::with(&[&shown[..], &["--user", user, "--password", PASSWORD]].concat()).await?;
    settings["email"]["server"] = mail.address().into();
    settings["email"]["password_file"] = json!(scratch.write("smtp.password", PASSWORD)?);
    Ok((mail, made.authority))
}

async fn in_slack(settings: &mut Value, scratch: &Scratch) -> Result<Slack> {
    let slack = Slack::start().await?;
    settings["slack"] = json!({
        "workspaces": [TEAM], "api_url": slack.api_url(), "hooks_url": slack.hooks_url(),
        "signing_secret_file": scratch.write("slack.signing", SECRET)?,
        "token_file": scratch.write("slack.token", slack::TOKEN)?,
    });
    settings["channels"]["releases"]["slack"]["channel"] = slack::CHANNEL.into();
    Ok(slack)
}

/// The example talks in Slack; the same with the three places of its configuration that name it.
async fn in_discord(settings: &mut Value, scratch: &Scratch) -> Result<Discord> {
    let discord = Discord::start().await?;
    discord.register(tree("rollout"))?;
    let all = settings.as_object_mut().context("no settings")?;
    all.remove("slack");
    settings["discord"] = json!({
        "public_key": Discord::public_key(), "application": APP, "guilds": [GUILD], "api_url": discord.api_url(),
        "token_file": scratch.write("discord.token", discord::TOKEN)?,
    });
    settings["channels"]["releases"] = json!({ "discord": { "channel": discord::CHANNEL } });
    for person in settings["people"].as_array_mut().into_iter().flatten() {
        let account = person.as_object_mut().and_then(|person| person.remove("slack"));
        if account == Some(JON_IN_SLACK.into()) {
            person["discord"] = JON_IN_DISCORD.into();
        }
    }
    Ok(discord)
}
