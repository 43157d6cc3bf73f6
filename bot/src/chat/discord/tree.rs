//! Owns the command as Discord knows it: every verb a sub-command, its arguments options, made from the list that the help is
//! made from. Refuses what Discord would refuse: too many of anything, a required option after one that is not.

use serenity::builder::{CreateCommand, CreateCommandOption};
use serenity::model::application::{CommandOptionType, InteractionContext};
use tidegate_rollout::command::{USAGES, Usage};

use super::super::arguments::{self, Argument, Kind};
use super::complete::KEYED;

/// The most characters of a description.
const DESCRIPTION: usize = 100;
/// The most sub-commands, and the most options of one.
const MOST: usize = 25;

/// The command of that name, with everything that can be said.
pub fn tree(name: &str) -> CreateCommand {
    let verbs = USAGES.iter().take(MOST).map(sub_command).collect();
    CreateCommand::new(name)
        .description("Start, steer and roll back rollouts")
        .contexts(vec![InteractionContext::Guild])
        .set_options(verbs)
}

fn sub_command(usage: &Usage) -> CreateCommandOption {
    let mut all = arguments::of(usage);
    all.truncate(MOST);
    // Whoever leaves the plan out gets the form.
    let needed = |argument: &Argument| argument.required && (usage.verb, argument.name) != ("start", "plan");
    all.iter_mut().for_each(|argument| argument.required = needed(argument));
    // Discord wants them first; the grammar puts them back into their order.
    all.sort_by_key(|argument| !argument.required);
    let options: Vec<_> = all.iter().map(option).collect();
    CreateCommandOption::new(CommandOptionType::SubCommand, usage.verb, brief(usage.says)).set_sub_options(options)
}

fn option(argument: &Argument) -> CreateCommandOption {
    let option = CreateCommandOption::new(CommandOptionType::String, argument.name, brief(describe(argument)))
        .required(argument.required);
    match &argument.kind {
        Kind::Choice(choices) => choices
            .iter()
            .fold(option, |option, choice| option.add_string_choice(*choice, *choice)),
        Kind::Rollout | Kind::Bare => option.set_autocomplete(true),
        Kind::Keyed if KEYED.contains(&argument.name) => option.set_autocomplete(true),
        Kind::Text | Kind::Keyed | Kind::Pairs => option,
    }
}

fn describe(argument: &Argument) -> &'static str {
    match (&argument.kind, argument.name) {
        (Kind::Rollout, _) => "Left out: that of this thread or channel, else the only active one",
        (_, "plan") => "Left out: choose one, and see what it would meet",
        (Kind::Pairs, _) => "What else the plan asks for: name:value",
        (_, "reason") => "Why",
        (_, "for") => "How long, such as 30m or 4h",
        (_, "number") => "Its number",
        (_, "item") => "Its short name",
        (_, "alert") => "The name of an alert that fires",
        (_, "role") => "For which role of the plan",
        (_, name) => name,
    }
}

fn brief(text: &str) -> String {
    text.chars().take(DESCRIPTION).collect()
}
