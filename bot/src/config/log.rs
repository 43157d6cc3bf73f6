//! Owns what Tidegate says about itself on standard error, and in which form.
//! Refuses levels that mean nothing.

use std::str::FromStr;

use super::section::{Section, brief};

/// The own log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// What is said.
    pub level: Level,
    /// In which form.
    pub format: LogFormat,
}

impl Log {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        Self {
            level: section.required("level"),
            format: section.required("format"),
        }
    }
}

/// `error`, `warn`, `info`, `debug`, `trace`, or finer: `info,tidegate::http=debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Level(String);

impl Level {
    /// As the subscriber understands it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Level {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let directives = text.split(',').map(str::trim);
        let level_of = |directive: &str| {
            directive
                .rsplit_once('=')
                .map_or(directive.to_owned(), |(_, it)| it.to_owned())
        };
        let known = |level: String| ["off", "error", "warn", "info", "debug", "trace"].contains(&level.as_str());
        let understood = tracing_subscriber::EnvFilter::try_new(text).is_ok();
        if understood && directives.map(level_of).all(known) {
            Ok(Self(text.to_owned()))
        } else {
            let shown = brief(text);
            Err(format!(
                "`{shown}` is no level: write `error`, `warn`, `info`, `debug` or `trace`"
            ))
        }
    }
}

/// The form of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// `ts=… level=info msg="…" key=value`.
    #[default]
    Logfmt,
    /// One JSON object a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "logfmt" => Ok(Self::Logfmt),
            "json" => Ok(Self::Json),
            other => Err(format!("`{}` is no format: write `logfmt` or `json`", brief(other))),
        }
    }
}
