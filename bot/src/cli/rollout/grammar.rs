//! Owns the shape of `tidegate rollout <verb> …` for the parser: one command for each verb that people can say anywhere.
//! Refuses to know a verb by itself: words, aliases and help are those of the core's list.

use clap::{Arg, ArgAction, ArgMatches, Command, Error, FromArgMatches, Subcommand};
use tidegate_rollout::Period;
use tidegate_rollout::command::USAGES;

use super::FollowCommand;
use super::order::Order;

/// What to do with rollouts.
#[derive(Debug)]
pub(super) enum RolloutCommand {
    /// Look on until it is over.
    Follow(FollowCommand),
    /// A verb, as in chat.
    Say(Order),
}

impl Subcommand for RolloutCommand {
    fn augment_subcommands(command: Command) -> Command {
        // The parser's own `help` needs no server.
        let verbs = USAGES.iter().filter(|usage| usage.verb != "help").map(verb);
        FollowCommand::augment_subcommands(command).subcommands(verbs)
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        FollowCommand::has_subcommand(name) || USAGES.iter().any(|usage| usage.verb == name)
    }
}

impl FromArgMatches for RolloutCommand {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let Some((name, given)) = matches.subcommand() else {
            return FollowCommand::from_arg_matches(matches).map(Self::Follow);
        };
        let Some(usage) = USAGES.iter().find(|usage| usage.verb == name) else {
            return FollowCommand::from_arg_matches(matches).map(Self::Follow);
        };
        let words = given.try_get_many::<String>(WORDS).ok().flatten();
        Ok(Self::Say(Order {
            usage,
            words: words.into_iter().flatten().cloned().collect(),
            rollout: given.try_get_one(ROLLOUT).ok().flatten().cloned(),
            period: given.try_get_one(FOR).ok().flatten().copied(),
        }))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

const WORDS: &str = "words";
const ROLLOUT: &str = "rollout";
const FOR: &str = "for";

fn verb(usage: &tidegate_rollout::command::Usage) -> Command {
    let arguments = usage.arguments;
    let mut command = Command::new(usage.verb)
        .about(usage.says)
        .visible_aliases(usage.aliases)
        .override_usage(
            format!("tidegate rollout {} [OPTIONS] {arguments}", usage.verb)
                .trim_end()
                .to_owned(),
        );
    if !arguments.is_empty() {
        let words = Arg::new(WORDS)
            .value_name(arguments)
            .help("As in chat; what begins with `-` stands behind `--`")
            .action(ArgAction::Append)
            .num_args(0..)
            .hide(true);
        command = command.arg(words);
    }
    if arguments.contains("[rollout]") {
        let rollout = Arg::new(ROLLOUT)
            .long(ROLLOUT)
            .value_name("ROLLOUT")
            .help("Names the rollout, so that no other word can be taken for its name");
        command = command.arg(rollout);
    }
    if arguments.contains("[for:") {
        let period = Arg::new(FOR)
            .long(FOR)
            .value_name("DURATION")
            .value_parser(|text: &str| text.parse::<Period>().map_err(|error| error.to_string()))
            .help("When it ends by itself, such as `4h`");
        command = command.arg(period);
    }
    command
}
