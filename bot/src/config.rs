//! Owns the server's configuration: a flag wins over the environment, that over the file, that over the defaults.
//! Refuses to be half right: either the whole of it can be used, or every fault is said at once and nothing changes.

mod alerts;
mod channels;
mod current;
mod discord;
mod email;
mod fault;
mod kubernetes;
mod log;
mod origins;
mod outside;
mod people;
mod places;
mod plans;
mod prometheus;
mod receivers;
mod section;
mod slack;
mod storage;
mod web;
mod yaml;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};

use ::config::{ConfigError, Environment, Format, Map, Source, Value, ValueKind};

pub use alerts::{Alerts, Budget, Environments};
pub use channels::{Channel, ChannelKind};
pub use current::{Current, Refused};
pub use discord::Discord;
pub use email::{Email, MailTls};
pub use fault::{Fault, Faults};
pub use kubernetes::{Access, Kubernetes};
pub use log::{Level, Log, LogFormat};
pub use origins::{Setting, keys};
pub use outside::{Hooks, Limits, Outside};
pub use people::{People, Person};
pub use plans::PlanFiles;
pub use prometheus::Prometheus;
pub use receivers::{Alertmanager, Login, Receivers};
pub use slack::Slack;
pub use storage::Storage;
pub use web::{ListenAddress, Web};

pub use crate::net::HostRule;
use section::{Notes, Section};
use yaml::Yaml;

/// The commented example file, which is also where every default comes from.
pub const EXAMPLE: &str = include_str!("../../deploy/tidegate.example.yml");

/// The origin of whatever nobody else says.
const DEFAULTS: &str = "the defaults";

/// Variables of this prefix that are no settings but belong to the command line.
const NO_SETTINGS: [&str; 5] = ["SERVER", "TOKEN", "TOKEN_FILE", "CONFIG_FILE", "FAILPOINT"];

/// Everything the server is told before it starts.
#[derive(Clone, Debug)]
pub struct Config {
    /// How it is reached.
    pub web: Web,
    /// Where it remembers.
    pub storage: Storage,
    /// What it says about itself.
    pub log: Log,
    /// Whom it knows.
    pub people: People,
    /// What it can roll out.
    pub plans: PlanFiles,
    /// Who may send alerts.
    pub receivers: Receivers,
    /// Where the rules behind the alerts can be looked at.
    pub prometheus: Prometheus,
    /// How alert sources are watched.
    pub alerts: Alerts,
    /// How much may be rolled back by itself in one environment.
    pub environments: Environments,
    /// The app in Slack, if there is one.
    pub slack: Option<Slack>,
    /// The application in Discord, if there is one.
    pub discord: Option<Discord>,
    /// The server that takes mail, if there is one.
    pub email: Option<Email>,
    /// Where notices go, by name; `log` and `chat` are always there.
    pub channels: BTreeMap<String, Channel>,
    /// How Kubernetes is reached.
    pub kubernetes: Kubernetes,
    /// What may be reached.
    pub outside: Outside,
    /// What the outside may cost.
    pub limits: Limits,
    /// What should be looked at although it is no fault.
    pub warnings: Vec<String>,
}

impl Config {
    /// The defaults alone.
    pub fn defaults() -> Result<Self, Faults> {
        Sources::default().load()
    }

    /// Every host that may be called: the list of the configuration, and whatever the configuration itself names.
    pub fn allowed_hosts(&self) -> Vec<HostRule> {
        let peers = self.receivers.alertmanagers.iter().flat_map(|it| &it.peers);
        let channels = self.channels.values().filter_map(|channel| match &channel.kind {
            ChannelKind::Webhook { url, .. } => Some(url.expose()),
            ChannelKind::PagerDuty { events_url, .. } => Some(events_url),
            ChannelKind::Slack { .. } | ChannelKind::Discord { .. } | ChannelKind::Email { .. } => None,
        });
        let slack = self.slack.iter().flat_map(|slack| [&slack.api_url, &slack.hooks_url]);
        let discord = self.discord.iter().map(|discord| &discord.api_url);
        let named = peers.chain(channels).chain(slack).chain(discord);
        let named = named.filter_map(outside::rule_of);
        self.outside.egress.iter().cloned().chain(named).collect()
    }

    fn read(root: &mut Section<'_>) -> Self {
        let config = Self {
            web: root.section("web", Web::read),
            storage: root.section("storage", Storage::read),
            log: root.section("log", Log::read),
            people: People::read(root),
            plans: PlanFiles::read(root),
            receivers: root.section("receivers", Receivers::read),
            prometheus: root.section("prometheus", Prometheus::read),
            alerts: root.section("alerts", Alerts::read),
            environments: root.section("environments", Environments::read),
            slack: root.section("slack", Slack::read),
            discord: root.section("discord", Discord::read),
            email: root.section("email", Email::read),
            channels: channels::read(root),
            kubernetes: root.section("kubernetes", Kubernetes::read),
            outside: Outside::read(root),
            limits: root.section("limits", Limits::read),
            warnings: Vec::new(),
        };
        config.lacks_nothing(root);
        config
    }

    /// Notes what channels need and nobody gave.
    fn lacks_nothing(&self, root: &Section<'_>) {
        for channel in self.channels.values() {
            match &channel.kind {
                ChannelKind::Slack { .. } if self.slack.is_none() => {
                    root.fault("slack.token_file", "is missing: a channel of Slack needs the app");
                }
                ChannelKind::Discord { .. } if self.discord.is_none() => {
                    let what = "is missing: a channel of Discord needs the application";
                    root.fault("discord.token_file", what);
                }
                ChannelKind::Email { .. } if self.email.is_none() => {
                    root.fault(
                        "email.server",
                        "is missing: a channel of mail needs a server that takes it",
                    );
                }
                ChannelKind::Webhook { .. }
                | ChannelKind::Slack { .. }
                | ChannelKind::Discord { .. }
                | ChannelKind::Email { .. }
                | ChannelKind::PagerDuty { .. } => {}
            }
        }
    }
}

/// Where a configuration comes from. Kept for the life of the server, so that a reload asks the same places again.
#[derive(Clone, Default)]
pub struct Sources {
    /// The configuration file, if there is one.
    pub file: Option<PathBuf>,
    /// The variables of the environment that can be settings. Some of them are secrets.
    pub environment: HashMap<String, String>,
    /// Settings from the command line: the path of the key, and its value.
    pub flags: Vec<(&'static str, String)>,
}

impl Sources {
    /// `file` with the environment of this process and the settings given on its command line.
    pub fn of_process(file: Option<PathBuf>, flags: Vec<(&'static str, String)>) -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            let name = name.into_string().ok().filter(|name| is_ours(name))?;
            Some((name, value.into_string().ok()?))
        };
        Self {
            file,
            environment: std::env::vars_os().filter_map(text).collect(),
            flags,
        }
    }

    /// Reads everything again.
    pub fn load(&self) -> Result<Config, Faults> {
        let notes = Notes {
            directory: self.directory(),
            ..Notes::default()
        };
        let mut root = Section::root(self.merge()?, &notes);
        let config = Config::read(&mut root);
        root.finish();
        let (all, warnings) = (notes.faults.into_inner(), notes.warnings.into_inner());
        if !all.is_empty() {
            let all = self.located(all);
            return Err(Faults { all, warnings });
        }
        Ok(Config { warnings, ..config })
    }

    /// What the app in Slack is made from: where people reach the server, and the slash command. Nothing else is asked for,
    /// because the secrets of the app come from the app, which is not made yet.
    pub fn slack_app(&self) -> Result<(Option<url::Url>, String), Faults> {
        let notes = Notes {
            directory: self.directory(),
            ..Notes::default()
        };
        let mut root = Section::root(self.merge()?, &notes);
        let external_url = root.section("web", |web| web.url("external_url"));
        let command = root.section("slack", slack::command);
        let mut all = notes.faults.into_inner();
        all.retain(|fault| ["web.external_url", "slack.command"].contains(&fault.path.as_str()));
        match all.is_empty() {
            true => Ok((external_url, command)),
            false => Err(Faults {
                all: self.located(all),
                warnings: Vec::new(),
            }),
        }
    }

    fn directory(&self) -> PathBuf {
        let parent = self.file.as_deref().and_then(Path::parent);
        parent.map(Path::to_owned).unwrap_or_default()
    }

    fn merge(&self) -> Result<Value, Faults> {
        let whole = |error: ConfigError| Faults::whole(error.to_string());
        let mut builder = ::config::Config::builder().add_source(Text::new(DEFAULTS, EXAMPLE));
        if let Some(path) = &self.file {
            let text = std::fs::read_to_string(path)
                .map_err(|error| Faults::whole(format!("cannot read {}: {error}", path.display())))?;
            builder = builder.add_source(Text::new(path.display().to_string(), text));
        }
        builder = builder.add_source(self.variables());
        for (key, value) in &self.flags {
            builder = builder.set_override(*key, value.clone()).map_err(whole)?;
        }
        let merged = builder.build().and_then(|merged| merged.collect()).map_err(whole)?;
        Ok(Value::new(None, ValueKind::Table(merged)))
    }

    /// The variables that can be settings. Names that no key can have are left alone, and so are values from flags.
    fn variables(&self) -> Environment {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let is_setting = |name: &str| {
            let key = name.to_uppercase();
            let key = key.strip_prefix("TIDEGATE_").unwrap_or_default();
            !key.is_empty() && !NO_SETTINGS.contains(&key) && key.chars().all(fits)
        };
        let settings = self.environment.iter().filter(|(name, _)| is_setting(name));
        Environment::with_prefix("TIDEGATE")
            .prefix_separator("_")
            .separator("__")
            .source(Some(
                settings.map(|(name, value)| (name.clone(), value.clone())).collect(),
            ))
    }
}

impl fmt::Debug for Sources {
    /// Names only: a value may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut variables: Vec<_> = self.environment.keys().collect();
        variables.sort();
        let flags: Vec<_> = self.flags.iter().map(|(key, _)| key).collect();
        f.debug_struct("Sources")
            .field("file", &self.file)
            .field("environment", &variables)
            .field("flags", &flags)
            .finish()
    }
}

/// Whether a variable of the environment is for Tidegate; no other is kept.
fn is_ours(name: &str) -> bool {
    name.to_uppercase().starts_with("TIDEGATE_")
}

/// A YAML text that knows where it is from.
#[derive(Clone, Debug)]
struct Text {
    name: String,
    text: String,
}

impl Text {
    fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            text: text.into(),
        }
    }
}

impl Source for Text {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Yaml.parse(Some(&self.name), &self.text)
            .map_err(|cause| ConfigError::Message(format!("{}: {cause}", self.name)))
    }
}
