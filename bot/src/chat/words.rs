//! Owns the wording of answers that come from no single rollout: help, lists, "which one do you mean".
//! Refuses markup: plain text, a few short columns.

use std::sync::Arc;

use jiff::Timestamp;
use tidegate_rollout::command::grammar::misspelt;
use tidegate_rollout::command::{USAGES, Verb};
use tidegate_rollout::notice::clock;
use tidegate_rollout::refusal::Code;
use tidegate_rollout::{Actor, Entry, Health, Refusal, Rollout, Stage};

use super::answer::Choice;
use super::names::Names;
use super::{Answer, DeskError, again};

/// An order that is being decided and takes longer than its platform waits.
pub(super) const WORKING: &str = "Working on it; the answer comes here.";
/// The same in the place of a form.
pub(super) const WORKING_ON_A_FORM: &str = "Working on it; the answer comes here. Whoever closes this gets it where the form was asked \
                                            for, for their eyes only.";

/// An order, or the proof of who gave it, could not be stored; or nobody knows yet what became of it.
pub(super) fn not_stored(error: &DeskError) -> String {
    match error {
        DeskError::NothingDone { .. } => format!("{error}. Say it again in a moment."),
        DeskError::Undecided { .. } => error.to_string(),
    }
}

/// Somebody on a chat platform whom the configuration does not name.
pub(super) fn nobody(platform: &str, key: &str, account: &str) -> Refusal {
    let shown: String = account.chars().take(40).collect();
    // Digits alone would be read as a number.
    let value = match shown.bytes().all(|byte| byte.is_ascii_digit()) {
        true => format!("\"{shown}\""),
        false => shown.clone(),
    };
    Refusal::new(
        Code::R303,
        format!("Your {platform} account {shown} belongs to nobody I know. Nothing was done."),
        format!("Ask whoever runs Tidegate to add `{key}: {value}` to you under `people` in its configuration."),
    )
}

pub(super) fn help() -> String {
    let line =
        |usage: &tidegate_rollout::command::Usage| format!("{} {}\n    {}", usage.verb, usage.arguments, usage.says);
    USAGES.iter().map(line).collect::<Vec<_>>().join("\n")
}

pub(super) fn whoami(actor: &Actor) -> String {
    let roles: Vec<&str> = actor.roles.iter().map(|role| role.word()).collect();
    format!("You are {} here, with the roles: {}.", actor.person, roles.join(", "))
}

pub(super) fn history(rollout: &Rollout, lines: &[(u64, Entry)]) -> String {
    let headline = format!("{}  {}", rollout.id, rollout.plan.spec.title);
    let speakers: Vec<String> = lines.iter().map(|(_, entry)| entry.speaker()).collect();
    let width = speakers.iter().map(|speaker| speaker.chars().count()).max();
    let width = width.unwrap_or_default();
    let line = |((number, entry), speaker): (&(u64, Entry), &String)| {
        format!("{number:>4}  {}  {speaker:<width$}  {}", clock(entry.at), entry.text)
    };
    std::iter::once(headline)
        .chain(lines.iter().zip(&speakers).map(line))
        .collect::<Vec<_>>()
        .join("\n")
}

pub(super) fn list(rows: &[(Arc<Rollout>, Option<Health>)], plans: &[String]) -> String {
    if rows.is_empty() {
        return format!("Nothing was ever rolled out here. {}", can_start(plans));
    }
    let line = |(rollout, health): &(Arc<Rollout>, Option<Health>)| {
        let health = health.as_ref().map_or("", Health::word);
        format!(
            "{:<12} {:<10} {:<20} {:>6}  {}",
            rollout.state_word(),
            health,
            // As a text, which can be made wider.
            rollout.id.as_str(),
            rollout.wanted.to_string(),
            rollout.plan.spec.title
        )
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn can_start(plans: &[String]) -> String {
    match plans {
        [] => "No plan is configured: see `plans` in the configuration.".to_owned(),
        plans => format!(
            "Start one: start <plan> version:<v>. Plans I know: {}.",
            plans.join(", ")
        ),
    }
}

/// Nobody can start anything.
pub(super) fn no_plan() -> Refusal {
    Refusal::new(
        Code::R105,
        "No plan is configured.",
        "See `plans` in the server's configuration.",
    )
}

pub(super) fn nothing_active(plans: &[String]) -> Refusal {
    Refusal::new(Code::R103, "Nothing is rolling out.", can_start(plans))
}

/// What became of a rollout that is back where it was; nothing for any other.
pub(super) fn went_back(rollout: &Rollout, active: &[Arc<Rollout>]) -> Option<String> {
    let Stage::RolledBack { because, since, .. } = &rollout.stage else {
        return None;
    };
    let by_whom = if because.is_automatic() {
        "by itself"
    } else {
        "by a person"
    };
    let rest = match active {
        [] => "Nothing else is rolling out, so there is nothing to do.".to_owned(),
        active => {
            let ids: Vec<&str> = active.iter().map(|rollout| rollout.id.as_str()).collect();
            format!("Nothing was done. Still active: {}.", ids.join(", "))
        }
    };
    Some(format!(
        "{} was rolled back {by_whom} at {}: {because}. {rest}",
        rollout.id,
        clock(*since)
    ))
}

pub(super) fn no_such_rollout(name: &str, active: &[Arc<Rollout>], plans: &[String]) -> Refusal {
    let shown: String = name.chars().take(60).collect();
    let ids: Vec<&str> = active.iter().map(|rollout| rollout.id.as_str()).collect();
    let names = Names {
        rollouts: ids.iter().map(|id| (*id).to_owned()).collect(),
        plans: plans.to_vec(),
    };
    if let Err(meant) = names.mean(name) {
        return misspelt(name, meant);
    }
    let hint = match ids.as_slice() {
        [] => "Nothing is rolling out.".to_owned(),
        ids => format!("Active: {}.", ids.join(", ")),
    };
    Refusal::new(Code::R103, format!("I know no rollout `{shown}`."), hint)
}

/// So many of several rollouts are named.
const CANDIDATES: usize = 10;

pub(super) fn ambiguous(several: &[Arc<Rollout>], verb: &Verb, now: Timestamp) -> Answer {
    let choice = |rollout: &Arc<Rollout>| {
        let say = again::command(verb, rollout.id.as_str(), now);
        let weight = rollout.wanted.to_string();
        let line = format!("`{say}` ({} {weight})", rollout.state_word());
        let choice = Choice {
            rollout: rollout.id.to_string(),
            generation: rollout.generation,
            state: rollout.state_word().to_owned(),
            weight,
            say,
        };
        (line, choice)
    };
    let (lines, choices): (Vec<String>, Vec<Choice>) = several.iter().take(CANDIDATES).map(choice).unzip();
    let more = match several.len().saturating_sub(CANDIDATES) {
        0 => String::new(),
        more => format!(", and {more} more: see `list`"),
    };
    let refusal = Refusal::new(
        Code::R102,
        format!(
            "{} rollouts are active here. Which one? Nothing was done.",
            several.len()
        ),
        format!("Say: {}{more}.", lines.join(", or ")),
    );
    // What cannot be said again as it was is for whoever said it.
    let whole = choices
        .iter()
        .all(|one| again::means(&one.say, verb, &one.rollout, now));
    Answer {
        choices: if whole { choices } else { Vec::new() },
        ..refusal.into()
    }
}
