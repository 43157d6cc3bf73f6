//! The five ways to say something, and what is heard back, up to the markup of each.

use anyhow::{Context, Result, ensure};
use regex::Regex;
use reqwest::StatusCode;
use serde_json::{Map, Value, json};
use tidegate_tests::{discord, slack};

use super::world::{PATIENCE, Person, World};

/// Where something is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Slack,
    Discord,
    Chat,
    Cli,
    Api,
}

impl Way {
    pub(super) const ALL: [Self; 5] = [Self::Slack, Self::Discord, Self::Chat, Self::Cli, Self::Api];

    /// What the log calls it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Slack => "slack",
            Self::Discord => "discord",
            Self::Chat => "chat",
            Self::Cli => "cli",
            Self::Api => "api",
        }
    }
}

/// A command, with its arguments by the names that Discord shows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said {
    pub(super) verb: &'static str,
    pub(super) with: &'static [(&'static str, &'static str)],
}

/// An answer: the code of a refusal, and its words line by line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) code: Option<String>,
    pub(super) lines: Vec<String>,
}

impl Said {
    /// Each argument as people type it.
    fn words(self, quote: &str) -> Vec<String> {
        let word = |(name, value): &(&str, &str)| match *name {
            "reason" | "comment" | "evidence" | "text" => format!("{quote}{value}{quote}"),
            "version" | "for" | "role" | "alert" => format!("{name}:{value}"),
            _ => (*value).to_owned(),
        };
        std::iter::once(self.verb.to_owned())
            .chain(self.with.iter().map(word))
            .collect()
    }

    /// The line that is typed into a chat.
    pub(super) fn line(self) -> String {
        self.words("\"").join(" ")
    }

    /// The fields that a program sends.
    fn fields(self) -> Result<Value> {
        let mut fields = Map::new();
        fields.insert("verb".to_owned(), self.verb.into());
        for (name, value) in self.with {
            let (field, value): (&str, Value) = match (self.verb, *name) {
                ("check", "answer") => ("done", (*value == "done").into()),
                ("release" | "decide" | "ack", "number") => ("number", value.parse::<u32>()?.into()),
                (_, "comment" | "evidence" | "text") => ("note", (*value).into()),
                ("start", "version") => ("inputs", json!({ "version": value })),
                ("start", "inputs") => {
                    let (key, value) = value.split_once(':').context("no input")?;
                    fields["inputs"][key] = value.into();
                    continue;
                }
                (_, name) => (name, (*value).into()),
            };
            fields.insert(field.to_owned(), value);
        }
        Ok(fields.into())
    }
}

impl Heard {
    /// A text that begins with its code, if it has one.
    pub(super) fn text(text: &str) -> Self {
        let coded = text.split_once(' ').filter(|(code, _)| {
            code.len() == 4 && code.starts_with('R') && code[1..].bytes().all(|byte| byte.is_ascii_digit())
        });
        match coded {
            Some((code, words)) => Self::of(Some(code), words),
            None => Self::of(None, text),
        }
    }

    fn of(code: Option<&str>, words: &str) -> Self {
        Self {
            code: code.map(str::to_owned),
            // What stands on buttons is said in words, too: not every way has them.
            lines: words
                .lines()
                .map(alike)
                .filter(|line| !line.is_empty() && !line.starts_with('['))
                .collect(),
        }
    }

    /// An answer with its parts by name.
    fn document(answer: &Value, text: &str) -> Self {
        let hint = answer["hint"].as_str().unwrap_or_default();
        let words = format!("{}\n{hint}", answer[text].as_str().unwrap_or_default());
        Self::of(answer["code"].as_str(), &words)
    }
}

/// The words without what differs from one server to the next, and from one surface to the next with reason: times, the place
/// where somebody spoke, the width of columns.
pub(super) fn alike(line: &str) -> String {
    let replaced = [
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "<clock>"),
        (r"\b\d+(\.\d+)?(ms|s|m|h|d)( ?\d+(ms|s|m|h))*\b", "<time>"),
        (r"\b(in Slack|in Discord|in the web chat|by CLI|by API)\b", "<place>"),
        (r"\s+", " "),
    ];
    let mut line = line.trim().to_owned();
    for (pattern, by) in replaced {
        let pattern = Regex::new(pattern).expect("a pattern");
        line = pattern.replace_all(&line, by).into_owned();
    }
    line
}

/// Says something in one way, and hears the answer.
pub(super) async fn say(world: &World, way: Way, by: Person, said: Said) -> Result<Heard> {
    match way {
        Way::Slack => in_slack(world, by, said).await,
        Way::Discord => in_discord(world, by, said).await,
        Way::Chat => in_the_chat(world, by, said).await,
        Way::Cli => at_the_command_line(world, by, said).await,
        Way::Api => over_the_api(world, by, said).await,
    }
}

async fn in_slack(world: &World, by: Person, said: Said) -> Result<Heard> {
    let signed = world.slack.command(by.slack, &said.line());
    let answered = world
        .slack
        .deliver(&world.tidegate.url("/slack/commands"), &signed)
        .await?;
    ensure!(answered.status == StatusCode::OK, "{answered:?}");
    let mut shown = answered.shown();
    if shown.starts_with("Working on it") {
        let late = world.slack.late_answer(&signed.response_url, PATIENCE).await?;
        shown = slack::read(&late).0;
    }
    Ok(Heard::text(&shown))
}

async fn in_discord(world: &World, by: Person, said: Said) -> Result<Heard> {
    let typed = world.discord.command(by.discord, said.verb, said.with);
    // What cannot be typed may still come from a client that shows what was registered once.
    let of_old = |_| {
        world
            .discord
            .command_in(discord::APP, Some(discord::GUILD), by.discord, said.verb, said.with)
    };
    let signed = typed.unwrap_or_else(of_old);
    let answered = world
        .discord
        .deliver(&world.tidegate.url("/discord/interactions"), &signed)
        .await?;
    ensure!(answered.status == StatusCode::OK, "{answered:?}");
    let seen = world.discord.sees(&answered.token, PATIENCE, |_| true).await?;
    Ok(Heard::text(&discord::shown(&seen)))
}

async fn in_the_chat(world: &World, by: Person, said: Said) -> Result<Heard> {
    let cookie = world.session(by)?;
    let address = world.tidegate.url("/chat");
    let request = world.client.post(&address).form(&[("text", said.line())]);
    let request = request.header("cookie", cookie).header("sec-fetch-site", "same-origin");
    let answer = request.send().await?;
    ensure!(answer.status() == StatusCode::SEE_OTHER, "{}", answer.status());
    let page = world.client.get(&address).header("cookie", cookie).send().await?;
    let page = page.text().await?;
    let answers = Regex::new(
        r#"(?s)<li class="k-answer [^"]*">.*?<span class="first">(.*?)</span><span class="rest">(.*?)</span>"#,
    )?;
    let last = answers.captures_iter(&page).last().context("no answer stands there")?;
    Ok(Heard::text(&unescaped(&format!("{}{}", &last[1], &last[2]))))
}

async fn at_the_command_line(world: &World, by: Person, said: Said) -> Result<Heard> {
    let words = said.words("");
    let line: Vec<&str> = std::iter::once("rollout")
        .chain(words.iter().map(String::as_str))
        .collect();
    let (_, printed) = world.tidegate.command_as(world.token_file(by)?, &line).await?;
    let answer: Value = serde_json::from_str(&printed).with_context(|| printed.clone())?;
    Ok(match answer["ok"] == true {
        true => Heard::document(&answer["result"], "text"),
        false => Heard::document(&answer, "message"),
    })
}

async fn over_the_api(world: &World, by: Person, said: Said) -> Result<Heard> {
    let request = world.client.post(world.tidegate.url("/api/v1/commands"));
    let request = request.bearer_auth(world.token(by)?).json(&said.fields()?);
    Ok(Heard::document(&request.send().await?.json().await?, "text"))
}

/// HTML as a reader sees it.
pub(super) fn unescaped(html: &str) -> String {
    let named = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#x27;", "'"),
        ("&#x3D;", "="),
        ("&#x60;", "`"),
        ("&amp;", "&"),
    ];
    named
        .into_iter()
        .fold(html.to_owned(), |text, (name, sign)| text.replace(name, sign))
}
