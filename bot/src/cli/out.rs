//! Owns the two streams of a command: the result on standard output, everything else on standard error.
//! Refuses to mix them: with `-o json` standard output carries exactly one JSON document, also when the command failed.

use std::fmt::Display;
use std::io::{self, Write};

use anstream::{AutoStream, ColorChoice};
use clap::ValueEnum;
use serde::Serialize;
use serde_json::json;

use super::exit::Exit;
use super::failure::Failure;

/// In which form the result is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One document.
    Json,
    /// The same document as YAML.
    Yaml,
    /// One line for each item or event.
    Ndjson,
}

/// Whether to use colours; `auto` also looks at `NO_COLOR` and `CLICOLOR_FORCE`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    fn choice(self) -> ColorChoice {
        match self {
            Self::Auto => ColorChoice::Auto,
            Self::Always => ColorChoice::Always,
            Self::Never => ColorChoice::Never,
        }
    }
}

/// Where a command writes. Text may carry ANSI styles; they are taken out where the stream does not show them.
pub struct Out {
    /// The form of the result.
    pub format: Format,
    /// 0 as usual, below zero for `-q`, above for every `-v`.
    pub verbosity: i8,
    stdout: Box<dyn Write + Send>,
    stderr: Box<dyn Write + Send>,
}

impl Out {
    /// The streams of the process.
    pub fn process(format: Format, color: Color, verbosity: i8) -> Self {
        Self::to(
            Box::new(AutoStream::new(io::stdout(), color.choice())),
            Box::new(AutoStream::new(io::stderr(), color.choice())),
            format,
            verbosity,
        )
    }

    /// Any two streams.
    pub fn to(stdout: Box<dyn Write + Send>, stderr: Box<dyn Write + Send>, format: Format, verbosity: i8) -> Self {
        Self {
            format,
            verbosity,
            stdout,
            stderr,
        }
    }

    /// The result of a command that did what was asked: `text` for people, `value` in the envelope for programs.
    pub fn result(&mut self, text: impl Display, value: &impl Serialize) -> Result<(), Failure> {
        self.verdict(Exit::Done, text, value)
    }

    /// The result of a command that did its work and found something, such as `lint`: as [`Out::result`] with the exit code in the envelope.
    pub fn verdict(&mut self, exit: Exit, text: impl Display, value: &impl Serialize) -> Result<(), Failure> {
        let envelope = || json!({ "ok": exit == Exit::Done, "exit": exit.number(), "result": value });
        match self.format {
            Format::Text => self.line(text),
            Format::Json => self.line(format_args!("{:#}", envelope())),
            Format::Yaml => self.yaml(&envelope()),
            Format::Ndjson => self.line(envelope()),
        }
    }

    /// One line of standard output, as it is.
    pub fn line(&mut self, line: impl Display) -> Result<(), Failure> {
        unless_closed(writeln!(self.stdout, "{line}").and_then(|()| self.stdout.flush()))
    }

    /// One item of a list or one event of a stream, on a line of its own.
    pub fn item(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value).map_err(anyhow::Error::from)?;
        self.line(text)
    }

    /// A line for people beside the result, on standard error; silent with `-q`.
    pub fn note(&mut self, line: impl Display) {
        if self.verbosity >= 0 {
            // Nobody is left to tell when standard error is closed.
            let _ = writeln!(self.stderr, "{line}");
        }
    }

    /// Says that the command did not do what was asked, and gives back how it ends.
    pub fn fail(&mut self, failure: &Failure) -> Exit {
        let mut envelope = json!({ "ok": false });
        if let (Some(all), Ok(serde_json::Value::Object(fields))) =
            (envelope.as_object_mut(), serde_json::to_value(failure))
        {
            all.extend(fields);
        }
        let told = match self.format {
            Format::Text => {
                let hint = failure.hint.as_ref().map(|hint| format!("\n  hint: {hint}"));
                let (code, message) = (&failure.code, &failure.message);
                let faults: String = failure.faults.iter().map(|fault| format!("\n  {fault}")).collect();
                writeln!(
                    self.stderr,
                    "error[{code}]: {message}{faults}{}",
                    hint.unwrap_or_default()
                )
                .map_err(Failure::from)
            }
            Format::Json => self.line(format_args!("{envelope:#}")),
            Format::Yaml => self.yaml(&envelope),
            Format::Ndjson => self.line(envelope),
        };
        // The exit code still says it when the streams are closed.
        let _ = told;
        failure.exit
    }

    fn yaml(&mut self, value: &serde_json::Value) -> Result<(), Failure> {
        let text = serde_saphyr::to_string(value).map_err(anyhow::Error::from)?;
        unless_closed(write!(self.stdout, "{text}").and_then(|()| self.stdout.flush()))
    }
}

/// A reader that has seen enough, such as `head`, is no failure.
fn unless_closed(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}
