//! One dispatcher under five surfaces, shown: the same script, said by the same people in Slack, in Discord, in the web chat, at
//! the command line and over the API, is answered with the same code and the same words, leaves the same lines in the log, each
//! with its place, and leads to the same states.
//!
//! What differs has a reason, and is said here: a program over the API sends a document, and one that does not fit its description is
//! `malformed` before anybody reads a verb in it; a chat platform opens a form where a start lacks something; the help of the command
//! line is its parser's; and how to say it right is said as it is said there.

mod ways;
mod world;

use anyhow::{Context, Result, ensure};
use regex::Regex;
use serde_json::Value;
use tidegate::chat::discord::tree;
use tidegate_tests::discord::Discord;
use tidegate_tests::{discord, slack};

use ways::{Heard, Said, Way, alike, say};
use world::{ANA, BEN, DANA, PATIENCE, Person, VIC, World};

/// One step of the script.
enum Step {
    /// Somebody says something.
    Turn(Turn),
    /// The rollout gets there by itself.
    Reaches(&'static str),
    /// An alert makes Tidegate ask people.
    Asks,
}

struct Turn {
    by: Person,
    said: Said,
    gets: Gets,
}

/// What comes of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gets {
    /// It is done, and these kinds of lines in the log say by whom and where.
    Done(&'static [&'static str]),
    /// Traffic moves from there on, so the state that is seen next is a matter of moments.
    Moves(&'static [&'static str]),
    /// A question is answered; nothing is written.
    Told,
    /// A question is answered with the card, which each surface draws in its own way: the words that stand in each.
    Shown(&'static [&'static str]),
    /// It is refused with this code; nothing is written.
    No(&'static str),
    /// As `No`; how to say it right is said in the words of each surface.
    NoSay(&'static str),
}

use Gets::{Done, Moves, No, NoSay, Shown, Told};
use Step::{Asks, Reaches};

/// Who says what, and what comes of it.
fn turn(by: Person, verb: &'static str, with: &'static [(&'static str, &'static str)], gets: Gets) -> Step {
    let said = Said { verb, with };
    Step::Turn(Turn { by, said, gets })
}

const START: &[(&str, &str)] = &[("plan", "checkout"), ("version", "2.3.0")];

/// Before anything is under way.
fn before_the_start() -> Vec<Step> {
    vec![
        turn(ANA, "advance", &[], No("R103")),
        turn(ANA, "advnce", &[], No("R101")),
        turn(ANA, "start", &[("plan", "chekout"), ("version", "1")], No("R105")),
        turn(
            ANA,
            "start",
            &[("plan", "checkout"), ("version", "1"), ("inputs", "colour:red")],
            No("R106"),
        ),
        turn(VIC, "start", START, No("R301")),
        turn(ANA, "start", &[("plan", "blind")], No("R207")),
        turn(
            BEN,
            "freeze",
            &[("environment", "production"), ("reason", "stocktaking")],
            No("R301"),
        ),
        turn(ANA, "freeze", &[("environment", "production")], NoSay("R104")),
        turn(
            ANA,
            "freeze",
            &[("environment", "production"), ("reason", "stocktaking")],
            Done(&["freeze"]),
        ),
        turn(ANA, "start", START, No("R205")),
        turn(ANA, "thaw", &[("environment", "production")], Done(&["thaw"])),
        turn(ANA, "list", &[], Told),
        turn(ANA, "start", START, Moves(&["started"])),
        Reaches("WAITING"),
    ]
}

/// At the first gate, which asks people.
fn at_the_gate() -> Vec<Step> {
    vec![
        turn(BEN, "start", START, No("R406")),
        turn(ANA, "status", &[], Shown(&["WAITING", "5%", "checkout-1"])),
        turn(ANA, "advance", &[], No("R202")),
        turn(ANA, "advance", &[("rollout", "chekout")], No("R103")),
        turn(ANA, "advance", &[("rollout", "checkout-9")], No("R103")),
        turn(ANA, "hold", &[], NoSay("R104")),
        turn(
            ANA,
            "hold",
            &[("reason", "watching redis"), ("for", "4h")],
            Done(&["held"]),
        ),
        turn(ANA, "advance", &[], No("R203")),
        turn(ANA, "release", &[("number", "7")], No("R407")),
        turn(BEN, "release", &[("number", "1")], No("R301")),
        turn(ANA, "release", &[("number", "1")], Done(&["released"])),
        turn(ANA, "approve", &[], No("R302")),
        turn(VIC, "approve", &[], No("R301")),
        turn(DANA, "approve", &[("role", "ops")], No("R407")),
        turn(VIC, "check", &[("answer", "done"), ("item", "sesions")], No("R407")),
        turn(
            BEN,
            "check",
            &[("answer", "done"), ("item", "sessions"), ("evidence", "three days")],
            Done(&["checked"]),
        ),
        turn(
            BEN,
            "check",
            &[("answer", "undo"), ("item", "sessions")],
            Done(&["checked"]),
        ),
        turn(BEN, "check", &[("answer", "undo"), ("item", "sessions")], No("R405")),
        turn(
            BEN,
            "check",
            &[("answer", "done"), ("item", "sessions")],
            Done(&["checked"]),
        ),
        turn(
            DANA,
            "approve",
            &[("role", "dba"), ("comment", "cache warm")],
            Done(&["approved"]),
        ),
        turn(DANA, "approve", &[], No("R402")),
        turn(VIC, "pause", &[], No("R301")),
        turn(ANA, "history", &[], Told),
        turn(ANA, "pause", &[("reason", "lunch")], Done(&["paused"])),
        turn(BEN, "pause", &[], No("R402")),
        turn(ANA, "advance", &[], No("R209")),
        turn(ANA, "resume", &[], Done(&["resumed"])),
        turn(ANA, "resume", &[], No("R405")),
        turn(ANA, "retry", &[], No("R405")),
        turn(ANA, "decide", &[("answer", "continue")], No("R407")),
        turn(ANA, "ack", &[("alert", "HighLatency")], No("R407")),
        turn(ANA, "abort", &[], No("R404")),
        turn(VIC, "note", &[], NoSay("R104")),
        turn(VIC, "note", &[("text", "customers are calm")], Done(&["note"])),
        turn(VIC, "advance", &[], No("R301")),
        turn(BEN, "advance", &[], Moves(&["advance"])),
        Reaches("BAKING"),
    ]
}

/// In the second phase, until it is rolled back.
fn on_the_way() -> Vec<Step> {
    vec![
        turn(BEN, "advance", &[], No("R201")),
        Asks,
        turn(BEN, "ack", &[("alert", "HighLatency")], Done(&["acknowledged"])),
        turn(BEN, "ack", &[("alert", "HighLatency")], No("R402")),
        turn(VIC, "decide", &[("answer", "continue")], No("R301")),
        turn(ANA, "decide", &[("answer", "continue"), ("number", "9")], No("R407")),
        turn(ANA, "decide", &[("answer", "continue")], Done(&["decision-answered"])),
        turn(BEN, "advance", &[], No("R206")),
        turn(VIC, "rollback", &[("reason", "customers complain")], No("R301")),
        turn(
            BEN,
            "rollback",
            &[("reason", "customers complain")],
            Moves(&["rolling-back"]),
        ),
        Reaches("ROLLED BACK"),
        turn(BEN, "rollback", &[("rollout", "checkout-1")], No("R403")),
        turn(BEN, "advance", &[("rollout", "checkout-1")], No("R403")),
        turn(
            BEN,
            "status",
            &[],
            Shown(&["ROLLED BACK", "checkout-1", "customers complain"]),
        ),
        turn(
            VIC,
            "note",
            &[("rollout", "checkout-1"), ("text", "calm again")],
            Done(&["note"]),
        ),
        turn(BEN, "whoami", &[], Told),
        turn(BEN, "start", &[("plan", "ledger")], Moves(&["started"])),
        turn(BEN, "start", &[("plan", "search")], Moves(&["started"])),
        turn(BEN, "pause", &[], No("R102")),
        turn(BEN, "pause", &[("rollout", "search")], Moves(&["paused"])),
    ]
}

/// What one turn led to, without what differs from one server to the next.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    heard: Heard,
    /// The kinds of the new lines in the log that name who spoke.
    wrote: Vec<String>,
    /// State, weight, and what it waits for; nothing while traffic moves.
    state: Option<String>,
}

async fn state(world: &World) -> Result<String> {
    let card = world.card().await?;
    let parts = ["state", "weight", "waits_for"].map(|key| alike(&card[key].to_string()));
    Ok(parts.join(" "))
}

/// One turn in one way, judged by itself.
async fn take(world: &World, way: Way, turn: &Turn) -> Result<Outcome> {
    let before = world.audit().await?;
    let heard = say(world, way, turn.by, turn.said).await?;
    let mut new = world.audit().await?;
    new.retain(|line, _| !before.contains_key(line));
    for (kind, by, surface) in new.values() {
        ensure!(
            by == turn.by.id && surface == way.word(),
            "{kind} is by {by} on {surface}, and it was {} on {}",
            turn.by.id,
            way.word()
        );
    }
    let wrote: Vec<String> = new.into_values().map(|(kind, _, _)| kind).collect();
    let (code, lines): (Option<&str>, &[&str]) = match turn.gets {
        Done(lines) | Moves(lines) => (None, lines),
        Told | Shown(_) => (None, &[]),
        No(code) | NoSay(code) => (Some(code), &[]),
    };
    ensure!(heard.code.as_deref() == code, "it was answered {heard:?}");
    ensure!(wrote == lines, "the log has {wrote:?} more: {heard:?}");
    let moves = matches!(turn.gets, Moves(_));
    let state = if moves { None } else { Some(state(world).await?) };
    Ok(Outcome { heard, wrote, state })
}

/// The whole script in one way.
async fn walk(way: Way, script: &[Step]) -> Result<Vec<Outcome>> {
    let world = World::new().await?;
    let (mut outcomes, mut wrong) = (Vec::new(), Vec::new());
    for step in script {
        match step {
            Reaches(state) => world.reaches(state).await?,
            Asks => world.asks().await?,
            Step::Turn(turn) => match take(&world, way, turn).await {
                Ok(outcome) => outcomes.push(outcome),
                Err(why) => wrong.push(format!("{} says `{}`: {why:#}", turn.by.id, turn.said.line())),
            },
        }
    }
    ensure!(wrong.is_empty(), "{way:?}:\n{}", wrong.join("\n"));
    let refused = (world.slack.refused(), world.discord.refused());
    ensure!(refused.0.is_empty() && refused.1.is_empty(), "{refused:?}");
    Ok(outcomes)
}

/// The words of an answer as far as every surface has the same.
fn comparable(outcome: &Outcome, gets: Gets) -> Vec<String> {
    let lines = &outcome.heard.lines;
    match gets {
        NoSay(_) => lines.iter().take(1).cloned().collect(),
        Shown(words) => {
            let text = lines.join("\n");
            let seen = words.iter().filter(|word| text.contains(**word));
            seen.map(|word| (*word).to_owned()).collect()
        }
        Done(_) | Moves(_) | Told | No(_) => lines.clone(),
    }
}

fn script() -> Vec<Step> {
    [before_the_start(), at_the_gate(), on_the_way()]
        .into_iter()
        .flatten()
        .collect()
}

/// Discord sends nothing that the registered commands do not offer. Of the script that is what can be right; the rest is what an
/// older registration, or somebody who can sign, may send.
#[tokio::test]
async fn discord_lets_people_type_all_of_the_script_that_can_be_right() -> Result<()> {
    let discord = Discord::start().await?;
    discord.register(tree("rollout"))?;
    let mut offered = 0;
    for step in script() {
        let Step::Turn(Turn { said, gets, .. }) = step else {
            continue;
        };
        if matches!(gets, NoSay(_) | No("R101")) {
            continue;
        }
        discord.command("1", said.verb, said.with)?;
        offered += 1;
    }
    ensure!(offered > 30, "only {offered} were looked at");
    Ok(())
}

#[tokio::test]
async fn whoever_says_the_same_anywhere_is_answered_the_same() -> Result<()> {
    let script = script();
    let (mut walks, mut wrong) = (Vec::new(), Vec::new());
    for walked in futures_util::future::join_all(Way::ALL.map(|way| walk(way, &script))).await {
        match walked {
            Ok(outcomes) => walks.push(outcomes),
            Err(why) => wrong.push(format!("{why:#}")),
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    let turns = script.iter().filter_map(|step| match step {
        Step::Turn(turn) => Some(turn),
        Reaches(_) | Asks => None,
    });
    let mut differing = Vec::new();
    for (number, turn) in turns.enumerate() {
        let first = &walks[0][number];
        for (way, outcomes) in Way::ALL.iter().zip(&walks) {
            let outcome = &outcomes[number];
            let (one, other) = (comparable(first, turn.gets), comparable(outcome, turn.gets));
            if let Shown(words) = turn.gets {
                ensure!(other == words, "{way:?} shows {:?}", outcome.heard.lines);
            }
            if one != other || first.state != outcome.state || first.wrote != outcome.wrote {
                let said = turn.said.line();
                differing.push(format!(
                    "{} says `{said}`\n  {:?}: {one:#?} {:?}\n  {way:?}: {other:#?} {:?}",
                    turn.by.id,
                    Way::ALL[0],
                    first.state,
                    outcome.state
                ));
            }
        }
    }
    ensure!(differing.is_empty(), "{}", differing.join("\n\n"));
    println!("counted: {} turns in {} ways", walks[0].len(), walks.len());
    Ok(())
}

/// Verbs that the script above leaves out, each with its reason.
#[test]
fn the_script_has_every_verb() {
    let script = [before_the_start(), at_the_gate(), on_the_way()].into_iter().flatten();
    let said: Vec<&str> = script
        .filter_map(|step| match step {
            Step::Turn(turn) => Some(turn.said.verb),
            Reaches(_) | Asks => None,
        })
        .collect();
    // The command line has the help of its parser, which knows flags too.
    let left_out = ["help"];
    for usage in tidegate_rollout::command::USAGES {
        let there = said.contains(&usage.verb);
        assert_eq!(there, !left_out.contains(&usage.verb), "{}", usage.verb);
    }
}

/// A press of a button, and a program that says what it looked at: of what is old, the same is said. The web chat and the
/// command line have no revision.
#[tokio::test]
async fn a_press_of_an_old_button_is_answered_alike_everywhere() -> Result<()> {
    let world = World::new().await?;
    let (verb, with) = ("start", START);
    say(&world, Way::Api, ANA, Said { verb, with }).await?;
    world.reaches("WAITING").await?;
    let before = (world.audit().await?, world.card().await?["generation"].clone());

    let signed = world.slack.press_with(ANA.slack, "1.1", "pause", "checkout-1:1");
    world
        .slack
        .deliver(&world.tidegate.url("/slack/interactions"), &signed)
        .await?;
    let late = world.slack.late_answer(&signed.response_url, PATIENCE).await?;
    let in_slack = Heard::text(&slack::read(&late).0);

    let signed = world.discord.press_with(ANA.discord, "v1:pause:checkout-1:1");
    let answered = world
        .discord
        .deliver(&world.tidegate.url("/discord/interactions"), &signed)
        .await?;
    let seen = world.discord.sees(&answered.token, PATIENCE, |_| true).await?;
    let in_discord = Heard::text(&discord::shown(&seen));

    let form = world.client.post(world.tidegate.url("/r/checkout-1/do"));
    let form = form.form(&[("verb", "pause"), ("seen", "1")]);
    let form = form
        .header("cookie", world.session(ANA)?)
        .header("sec-fetch-site", "same-origin");
    let page = form.send().await?.text().await?;
    let banner = Regex::new(r#"<code>(R\d+)</code> (.*?)<span class="hint">(.*?)</span>"#)?;
    let shown = banner.captures(&page).context("no banner")?;
    let on_the_page = Heard::text(&ways::unescaped(&format!("{} {}\n{}", &shown[1], &shown[2], &shown[3])));

    let program = world
        .client
        .post(world.tidegate.url("/api/v1/commands"))
        .bearer_auth(world.token(ANA)?);
    let said = serde_json::json!({ "verb": "pause", "rollout": "checkout-1", "seen": 1 });
    let answer: Value = program.json(&said).send().await?.json().await?;
    let words = format!("{} {}\n{}", answer["code"], answer["text"], answer["hint"]).replace('"', "");
    let over_the_api = Heard::text(&words);

    ensure!(over_the_api.code.as_deref() == Some("R401"), "{over_the_api:?}");
    ensure!(
        over_the_api.lines.len() == 2 && on_the_page == over_the_api,
        "{on_the_page:?}"
    );
    for heard in [in_slack, in_discord] {
        // The card as it stands now comes along.
        ensure!(heard.code == over_the_api.code && heard.lines.len() > 2, "{heard:?}");
        ensure!(heard.lines[..2] == over_the_api.lines, "{heard:?} and {over_the_api:?}");
        ensure!(heard.lines[2..].join("\n").contains("WAITING"), "{heard:?}");
    }
    let after = (world.audit().await?, world.card().await?["generation"].clone());
    ensure!(before == after, "an old button changed something");
    Ok(())
}
