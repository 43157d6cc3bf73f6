//! Owns `tidegate demo`: its flags, its streams, and what the end of a story means for the exit code.
//! Refuses to know the stories: they are the demo's.

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{Exit, Failure, Format, Out};
use crate::demo::{self, AlertsFrom, DemoError, Ending, Manner, Scenario, Settings, Speed, Story};

/// Shows a rollout from its start to its end, with a shop, visitors and alerts. Nothing needs to be installed.
#[derive(Args, Debug)]
pub(super) struct DemoArgs {
    /// Which story is told; `list` says what each one shows.
    #[arg(long, value_enum, default_value = "error-spike")]
    scenario: Choice,
    /// Where alerts come from; `auto` takes Prometheus and Alertmanager when both are on the PATH.
    #[arg(long, value_enum, default_value = "auto")]
    alerts: Alerts,
    /// How many seconds of production a second of the demo stands for.
    #[arg(long, default_value_t = 3_600, value_parser = clap::value_parser!(u32).range(1..))]
    speed: u32,
    /// Where the service listens on 127.0.0.1; any other port if this one is taken.
    #[arg(long, default_value_t = 8787)]
    port: u16,
    /// Prints one JSON object per line, and ends with the story.
    #[arg(long)]
    headless: bool,
    /// Runs the service of the crash story.
    #[arg(long, hide = true, value_name = "CONFIG")]
    crash_child: Option<PathBuf>,
}

/// The values of `--scenario`.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Choice {
    Happy,
    ErrorSpike,
    AlertStorm,
    Crash,
    NoData,
    List,
}

/// The values of `--alerts`.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Alerts {
    Auto,
    Builtin,
    Prometheus,
}

impl Choice {
    fn scenario(self) -> Option<Scenario> {
        match self {
            Self::Happy => Some(Scenario::Happy),
            Self::ErrorSpike => Some(Scenario::ErrorSpike),
            Self::AlertStorm => Some(Scenario::AlertStorm),
            Self::Crash => Some(Scenario::Crash),
            Self::NoData => Some(Scenario::NoData),
            Self::List => None,
        }
    }
}

/// One line of the list.
#[derive(Serialize)]
struct Listed {
    scenario: &'static str,
    exit: u8,
    says: &'static str,
}

impl DemoArgs {
    pub(super) fn run(self, out: &mut Out) -> Result<Exit, Failure> {
        let runtime = tokio::runtime::Runtime::new()?;
        if let Some(config) = self.crash_child {
            runtime.block_on(demo::run_doomed(&config))?;
            return Ok(Exit::Failed);
        }
        let Some(scenario) = self.scenario.scenario() else {
            return list(out);
        };
        if self.headless {
            out.format = Format::Ndjson;
        }
        let manner = manner(out.format, out.verbosity);
        let settings = Settings {
            scenario,
            alerts: match self.alerts {
                Alerts::Auto => AlertsFrom::Auto,
                Alerts::Builtin => AlertsFrom::Builtin,
                Alerts::Prometheus => AlertsFrom::Prometheus,
            },
            speed: Speed::times(self.speed),
            port: self.port,
            stay: out.format == Format::Text && is_terminal(),
            log: out.verbosity > 0,
        };
        let told = runtime.block_on(tell(settings, manner, out));
        // Connections of browsers need not be waited for.
        runtime.shutdown_background();
        told
    }
}

async fn tell(settings: Settings, manner: Manner, out: &mut Out) -> Result<Exit, Failure> {
    let stop = CancellationToken::new();
    let signals = tokio::spawn(until_told(stop.clone()));
    let paper = |line: &str| out.line(line).map_err(|failure| io::Error::other(failure.message));
    let mut story = Story::on(Box::new(paper), manner);
    let ending = demo::run(settings, &mut story, &stop).await;
    signals.abort();
    let ending = ending.map_err(failure)?;
    story.end(ending, exit(ending).number()).map_err(Failure::from)?;
    Ok(exit(ending))
}

/// Cancels `stop` at Ctrl-C and at SIGTERM.
async fn until_told(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
    stop.cancel();
}

fn failure(error: DemoError) -> Failure {
    let failure = Failure::new(Exit::Failed, error.to_string());
    match error {
        DemoError::NoPrograms => {
            let hint = "On Debian: apt-get install prometheus prometheus-alertmanager. Without them: --alerts builtin";
            Failure::new(Exit::Unreachable, failure.message).hint(hint)
        }
        DemoError::Failed { .. } | DemoError::NotKilled | DemoError::NoStorm | DemoError::NotPaged => {
            failure.hint("Run it again with -v to see what the service says.")
        }
        DemoError::Untold(_) => failure,
    }
}

fn manner(format: Format, verbosity: i8) -> Manner {
    match format {
        Format::Json | Format::Yaml | Format::Ndjson => Manner::Ndjson,
        // The service's own log would be drawn over.
        Format::Text if is_terminal() && verbosity <= 0 => Manner::Terminal,
        Format::Text => Manner::Plain,
    }
}

fn is_terminal() -> bool {
    io::stdout().is_terminal() && io::stderr().is_terminal()
}

/// How the process ends when a story ends so.
fn exit(ending: Ending) -> Exit {
    match ending {
        Ending::Completed => Exit::Done,
        Ending::RolledBack => Exit::RolledBack,
        Ending::Held => Exit::Refused,
        Ending::Stuck => Exit::RollbackFailed,
        Ending::TimedOut => Exit::TimedOut,
        Ending::Interrupted => Exit::Interrupted,
    }
}

fn list(out: &mut Out) -> Result<Exit, Failure> {
    let listed = Scenario::ALL.map(|scenario| Listed {
        scenario: scenario.word(),
        exit: exit(scenario.expected()).number(),
        says: scenario.says(),
    });
    let row = |listed: &Listed| format!("{:<12} exit {}   {}", listed.scenario, listed.exit, listed.says);
    let text: Vec<String> = listed.iter().map(row).collect();
    out.result(text.join("\n"), &listed)?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_story_has_the_exit_code_it_promises() {
        let promised = [
            ("happy", 0),
            ("error-spike", 5),
            ("alert-storm", 5),
            ("crash", 5),
            ("no-data", 4),
        ];
        let real = Scenario::ALL.map(|scenario| (scenario.word(), exit(scenario.expected()).number()));
        assert_eq!(real, promised);
    }

    #[test]
    fn the_flag_takes_every_story_by_its_name() {
        for scenario in Scenario::ALL {
            let choice = Choice::from_str(scenario.word(), false).unwrap();
            assert_eq!(choice.scenario(), Some(scenario));
        }
        assert_eq!(Choice::value_variants().len(), Scenario::ALL.len() + 1);
    }
}
