//! Owns the translation from the configuration to what the rooms need: storage, settings, channels, templates.
//! Refuses to know rules: it only carries values over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tidegate_rollout::{Period, PersonId};
use tracing::error;

use super::fit::{self, Misfits};
use crate::channel::discord::{self, DiscordChannel};
use crate::channel::email::{self, EmailChannel};
use crate::channel::pagerduty::PagerDuty;
use crate::channel::slack::{Api, SlackChannel};
use crate::channel::webhook::Webhook;
use crate::channel::{Channel, feed::Feed};
use crate::config::{self, ChannelKind, Config, Person};
use crate::driver::kubernetes::cluster::Cluster;
use crate::hook::Allowed;
use crate::net::Net;
use crate::plans::Plans;
use crate::render::Renderer;
use crate::runner::{Budget, Settings};
use crate::store::Storage;

/// How often time is looked at.
const TICK: Duration = Duration::from_millis(250);
/// How long a claimed message or card belongs to its worker; longer than any attempt.
const CLAIM: Period = Period::seconds(15);
/// How long the lease of the leader lasts, and a claim of an action; longer than any attempt. What a dead leader had begun goes
/// on within 15 seconds: it waits for both, for the next look, and is done then.
const LEASE: Period = Period::seconds(12);

/// Where the store is.
pub(super) fn storage(config: &config::Storage) -> Storage {
    let mut storage = match &config.postgres_url {
        Some(url) => Storage::postgres(url.clone()),
        None => Storage::directory(&config.path),
    };
    storage.pool = config.pool;
    storage
}

/// What the engine must know. `replica` names this process, never one before it.
pub(super) fn settings(config: &Config, replica: &str, net: &Net, feed: &Arc<Feed>) -> Settings {
    Settings {
        replica: replica.to_owned(),
        tick_every: TICK,
        budget: budget(config.environments.budget),
        budgets: config
            .environments
            .budgets
            .iter()
            .map(|(name, own)| (name.clone(), budget(*own)))
            .collect(),
        watchdog_fresh: config.alerts.watchdog_fresh,
        poll_every: std_duration(config.alerts.poll_every),
        poll_timeout: std_duration(config.alerts.poll_timeout),
        polled: config.receivers.alertmanagers.clone(),
        claim_for: CLAIM,
        lease_for: LEASE,
        keep_for: config.storage.keep,
        channels: channels(config, net, feed),
        fallbacks: fallbacks(config),
        cluster: Cluster::new(&config.kubernetes).map(Arc::new),
        hooks: hooks(&config.outside.hooks),
        pages: config.web.external_url.clone(),
    }
}

/// What hooks may do: of the environment of this process they get what is named, and nothing else.
pub(super) fn hooks(config: &config::Hooks) -> Allowed {
    let given = config.environment.iter();
    Allowed {
        directory: config.directory.clone(),
        environment: given
            .filter_map(|name| Some((name.clone(), std::env::var(name).ok()?)))
            .collect(),
        namespaces: config.namespaces.clone(),
    }
}

fn budget(configured: config::Budget) -> Budget {
    Budget {
        rollbacks: configured.automatic_rollbacks,
        window: configured.window,
    }
}

/// Which channel says what another one does not take.
fn fallbacks(config: &Config) -> BTreeMap<String, String> {
    let channels = config.channels.iter();
    channels
        .filter_map(|(name, channel)| Some((name.clone(), channel.fallback.clone()?)))
        .collect()
}

fn channels(config: &Config, net: &Net, feed: &Arc<Feed>) -> BTreeMap<String, Arc<Channel>> {
    // One for all channels: what Discord asks to be left alone for counts for each of them.
    let discord = config.discord.as_ref().map(|app| discord::Api::new(app, net.clone()));
    let mail = config.email.as_ref().and_then(|email| match email::transport(email) {
        Ok(transport) => Some((email, transport)),
        Err(failure) => {
            error!("No mail can be sent: {failure:#}");
            None
        }
    });
    let pages = config.web.external_url.as_ref();
    let made = |name: &String, channel: &config::Channel| {
        let name = name.clone();
        Some(match &channel.kind {
            ChannelKind::Webhook { url, secret } => Channel::Webhook(Webhook {
                name,
                url: url.clone(),
                secret: secret.clone(),
                net: net.clone(),
            }),
            ChannelKind::Slack { channel } => {
                let api = Api::new(config.slack.as_ref()?, net.clone());
                let people = accounts(config, |person| person.slack.clone());
                Channel::Slack(SlackChannel::new(name, channel.clone(), api).with_people(people))
            }
            ChannelKind::Discord { channel } => Channel::Discord(DiscordChannel {
                name,
                place: channel.clone(),
                api: discord.clone()?,
                people: accounts(config, |person| person.discord.as_deref()?.parse().ok()),
            }),
            ChannelKind::Email { to } => {
                let (email, transport) = mail.as_ref()?;
                Channel::Email(EmailChannel {
                    name,
                    to: to.clone(),
                    from: email.from.clone(),
                    transport: transport.clone(),
                    pages: pages.cloned(),
                })
            }
            ChannelKind::PagerDuty {
                routing_key,
                events_url,
            } => Channel::PagerDuty(PagerDuty {
                name,
                routing_key: routing_key.clone(),
                events_url: events_url.clone(),
                net: net.clone(),
                pages: pages.cloned(),
            }),
        })
    };
    let named = config
        .channels
        .iter()
        .filter_map(|(name, channel)| Some((name.clone(), Arc::new(made(name, channel)?))));
    let built_in = [
        ("log".to_owned(), Arc::new(Channel::Log)),
        ("chat".to_owned(), Arc::new(Channel::Chat(Arc::clone(feed)))),
    ];
    named.chain(built_in).collect()
}

/// Everybody's account on a platform, where they have one there.
fn accounts<Account>(config: &Config, account: impl Fn(&Person) -> Option<Account>) -> BTreeMap<PersonId, Account> {
    let people = config.people.iter();
    people
        .filter_map(|person| Some((person.id.clone(), account(person)?)))
        .collect()
}

/// What the files beside the configuration hold: plans and templates.
pub(super) struct Beside {
    /// The plans as their files say now.
    pub(super) plans: Plans,
    /// What does not fit about them.
    pub(super) misfits: Misfits,
    /// What words the notices.
    pub(super) renderer: Renderer,
}

impl Beside {
    /// Reads them all; this blocks.
    pub(super) fn read(config: &Config) -> anyhow::Result<Self> {
        let plans = Plans::read(&config.plans.directory, &config.plans.patterns);
        Ok(Self {
            misfits: fit::misfits(config, &plans),
            renderer: renderer(config)?,
            plans,
        })
    }
}

/// What words the notices, tried on every sample.
fn renderer(config: &Config) -> anyhow::Result<Renderer> {
    Renderer::new(config.outside.templates.as_deref())
        .map_err(|faults| {
            let all: Vec<String> = faults.iter().map(ToString::to_string).collect();
            anyhow::anyhow!("{}", all.join("\n"))
        })
        .context("the templates cannot be used")
}

pub(super) fn std_duration(period: Period) -> Duration {
    Duration::try_from(period.duration()).unwrap_or_default()
}
