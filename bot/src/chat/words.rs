//! Owns the wording of answers that come from no single rollout: help, lists, "which one do you mean".
//! Refuses markup: plain text, a few short columns.

use std::sync::Arc;

use tidegate_rollout::command::USAGES;
use tidegate_rollout::notice::clock;
use tidegate_rollout::refusal::Code;
use tidegate_rollout::{Actor, Entry, Health, Refusal, Rollout};

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
    let line =
        |(number, entry): &(u64, Entry)| format!("{number:>4}  {}  {:<10}  {}", clock(entry.at), entry.by, entry.text);
    std::iter::once(headline)
        .chain(lines.iter().map(line))
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
            rollout.id,
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

pub(super) fn nothing_active(plans: &[String]) -> Refusal {
    Refusal::new(Code::R103, "Nothing is rolling out.", can_start(plans))
}

pub(super) fn no_such_rollout(name: &str, active: &[Arc<Rollout>]) -> Refusal {
    let shown: String = name.chars().take(60).collect();
    let ids: Vec<&str> = active.iter().map(|rollout| rollout.id.as_str()).collect();
    let hint = match ids.as_slice() {
        [] => "Nothing is rolling out.".to_owned(),
        ids => format!("Active: {}.", ids.join(", ")),
    };
    Refusal::new(Code::R103, format!("I know no rollout `{shown}`."), hint)
}

pub(super) fn ambiguous(several: &[Arc<Rollout>]) -> Refusal {
    let line = |rollout: &Arc<Rollout>| format!("{} ({} {})", rollout.id, rollout.state_word(), rollout.wanted);
    let lines: Vec<String> = several.iter().map(line).collect();
    Refusal::new(
        Code::R102,
        format!("{} rollouts are active here. Which one?", several.len()),
        format!("Name it: {}.", lines.join(", ")),
    )
}
