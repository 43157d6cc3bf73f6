//! Owns the command line: the grammar, the global flags, the streams and the exit code. One file per command below `cli/`.
//! Refuses to decide or do anything itself: a command calls the core, the server or the wiring.

mod check_config;
mod client;
mod dead_letters;
mod demo;
mod discord;
mod doctor;
pub mod exit;
pub mod failure;
mod hook_supervisor;
mod log;
pub mod out;
mod plan;
mod print;
mod rollout;
mod serve;
mod slack;
mod table;
mod template;
mod token;
mod version;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

pub use exit::Exit;
pub use failure::Failure;
pub use out::{Color, Format, Out};

/// Executes production rollout plans: traffic in steps, alerts in, rollback by itself, everybody told.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, propagate_version = true, max_term_width = 110)]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

/// Flags that every command takes.
#[derive(Args, Debug)]
struct Globals {
    /// In which form the result is written.
    #[arg(short, long, global = true, value_enum, default_value_t)]
    output: Format,
    /// Whether to use colours; `auto` also looks at NO_COLOR and CLICOLOR_FORCE.
    #[arg(long, global = true, value_enum, default_value_t)]
    color: Color,
    /// Only the result: nothing beside it on standard error.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Says more; twice for even more.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

impl Globals {
    fn verbosity(&self) -> i8 {
        if self.quiet {
            -1
        } else {
            i8::try_from(self.verbose).unwrap_or(i8::MAX)
        }
    }
}

/// What to do. Every command lives in a file of its own and is called from [`Command::run`].
#[derive(Debug, Subcommand)]
enum Command {
    /// Shows a rollout from its start to its end; nothing needs to be installed.
    Demo(demo::DemoArgs),
    /// Runs the server.
    Serve(serve::Serve),
    /// Checks the log of a server.
    #[command(subcommand)]
    Log(log::LogCommand),
    /// Makes, lists and revokes tokens on a running server.
    Token(token::TokenArgs),
    /// Shows what a running server could not say, and has it said once more.
    DeadLetters(dead_letters::DeadLettersArgs),
    /// Looks whether everything that a server needs is there, and says how to mend what is not.
    Doctor(doctor::Doctor),
    /// Says everything that is wrong with configuration files.
    CheckConfig(check_config::CheckConfig),
    /// Reads, checks and shows plan files.
    #[command(subcommand)]
    Plan(plan::PlanCommand),
    /// Shows and tries the words of notices.
    Template(template::TemplateArgs),
    /// Starts, steers and watches rollouts on a running server.
    Rollout(rollout::RolloutArgs),
    /// What the app in Slack is made from.
    #[command(subcommand)]
    Slack(slack::SlackCommand),
    /// The command that the application in Discord shows.
    #[command(subcommand)]
    Discord(discord::DiscordCommand),
    /// Stands between the server and the program of a hook; not for people.
    #[command(hide = true)]
    HookSupervisor(hook_supervisor::HookSupervisor),
    /// Says which program this is.
    Version,
}

impl Command {
    fn run(self, out: &mut Out) -> Result<Exit, Failure> {
        match self {
            Self::Demo(args) => args.run(out),
            Self::Serve(command) => command.run(out),
            Self::Log(command) => command.run(out),
            Self::DeadLetters(args) => args.run(out),
            Self::Doctor(command) => command.run(out),
            Self::CheckConfig(command) => command.run(out),
            Self::Token(args) => args.run(out),
            Self::Plan(command) => command.run(out),
            Self::Template(args) => args.run(out),
            Self::Rollout(args) => args.run(out),
            Self::Slack(command) => command.run(out),
            Self::Discord(command) => command.run(out),
            Self::HookSupervisor(args) => args.run(),
            Self::Version => version::run(out),
        }
    }
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    // Before the first HTTP client is made anywhere: without a provider it would panic. It is set only once per process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    run(std::env::args_os().collect(), Out::process).into()
}

/// Runs a command line; `streams` makes what it writes to, once the form of the result is known.
fn run(args: Vec<OsString>, streams: impl Fn(Format, Color, i8) -> Out) -> Exit {
    let grammar = Cli::command().after_long_help(Exit::help());
    let parsed = grammar
        .try_get_matches_from(&args)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    match parsed {
        Ok(cli) => {
            let mut out = streams(cli.globals.output, cli.globals.color, cli.globals.verbosity());
            match cli.command.run(&mut out) {
                Ok(exit) => exit,
                Err(failure) => out.fail(&failure),
            }
        }
        Err(mut error) => {
            let verb = verb_of_a_rollout(&error, &args);
            if let Some(verb) = &verb {
                let tip = StyledStr::from(format!("did you mean `tidegate rollout {verb}`?"));
                error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
                error.remove(ContextKind::SuggestedSubcommand);
            }
            let format = given(&args, "-o", "--output").unwrap_or_default();
            let color = given(&args, "--color", "--color").unwrap_or_default();
            misread(&error, verb.as_deref(), &mut streams(format, color, 0))
        }
    }
}

/// Answers a command line that is no command: help and version are results, the rest is wrong usage.
fn misread(error: &clap::Error, verb: Option<&str>, out: &mut Out) -> Exit {
    let text = error.render();
    if !error.use_stderr() {
        return match out.line(text.ansi().to_string().trim_end()) {
            Ok(()) => Exit::Done,
            Err(failure) => failure.exit,
        };
    }
    if let Some(failure) = rollout::strange_verb(error) {
        return out.fail(&failure);
    }
    if out.format == Format::Text {
        out.note(text.ansi().to_string().trim_end());
        return Exit::Usage;
    }
    let plain = text.to_string();
    let message = plain.lines().next().unwrap_or_default().trim_start_matches("error: ");
    let hint = match verb {
        Some(verb) => format!("Did you mean `tidegate rollout {verb}`?"),
        None => "For the usage, call the same with --help.".to_owned(),
    };
    out.fail(&Failure::new(Exit::Usage, message).hint(hint))
}

/// The verb, where what stands for a command is one that only `tidegate rollout` has.
fn verb_of_a_rollout(error: &clap::Error, args: &[OsString]) -> Option<String> {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else {
        return None;
    };
    let mut globals = args
        .iter()
        .skip(1)
        .take_while(|arg| arg.to_str() != Some(word.as_str()));
    // Behind another command the word means something else.
    let at_the_top = globals.all(|arg| {
        arg.to_str()
            .is_some_and(|arg| !Cli::command().get_subcommands().any(|it| it.get_name() == arg))
    });
    let grammar = rollout::RolloutArgs::augment_args(clap::Command::new("rollout"));
    let known = grammar.find_subcommand(word).is_some();
    (known && at_the_top).then(|| word.clone())
}

/// The value of a flag on a command line that could not be read as a whole.
fn given<T: ValueEnum>(args: &[OsString], short: &str, long: &str) -> Option<T> {
    let words: Vec<&str> = args.iter().filter_map(|arg| arg.to_str()).collect();
    let flags = words.iter().take_while(|word| **word != "--").enumerate();
    let mut values = flags.filter_map(|(at, word)| {
        if *word == short || *word == long {
            return words.get(at + 1).copied();
        }
        let joined = word.strip_prefix(long).and_then(|rest| rest.strip_prefix('='));
        let short_joined = || word.strip_prefix(short).map(|rest| rest.trim_start_matches('='));
        joined.or_else(|| if short.len() == 2 { short_joined() } else { None })
    });
    values.find_map(|value| T::from_str(value, true).ok())
}

#[cfg(test)]
mod tests;
