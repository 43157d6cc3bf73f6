//! Owns the places where notices go, under the names that plans use.
//! Refuses a place that is two things at once or nothing, and one whose stand-in does not exist.

use std::collections::BTreeMap;

use lettre::message::Mailbox;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::email::Address;
use super::section::{Section, web_address};
use super::slack::is_id;
use crate::secret::SecretUrl;

/// Names of channels that Tidegate has without being told: its own log, and the chat on its pages.
const BUILT_IN: [&str; 2] = ["log", "chat"];

/// A place where notices go, by the name that plans use.
#[derive(Clone, Debug)]
pub struct Channel {
    /// What it is.
    pub kind: ChannelKind,
    /// The channel that says a page which this one does not take.
    pub fallback: Option<String>,
}

/// What a channel is.
#[derive(Clone, Debug)]
pub enum ChannelKind {
    /// A POST of the notice as JSON, signed with a secret that both sides know.
    Webhook {
        /// Where to.
        url: SecretUrl,
        /// What it is signed with.
        secret: SecretString,
    },
    /// A channel in Slack, where the card of each rollout stands and what happens is told below it.
    Slack {
        /// Its id, `C…`.
        channel: String,
    },
    /// A channel in Discord, with cards and threads as in Slack.
    Discord {
        /// Its id, a number.
        channel: String,
    },
    /// Mail, one conversation for each rollout.
    Email {
        /// Whom to.
        to: Vec<Mailbox>,
    },
    /// A service of PagerDuty, over Events v2.
    PagerDuty {
        /// The integration key of the service.
        routing_key: SecretString,
        /// Where events are taken.
        events_url: Url,
    },
}

pub(super) fn read(root: &mut Section<'_>) -> BTreeMap<String, Channel> {
    let read = root.named("channels", |name, section| {
        if BUILT_IN.contains(&name) {
            section.whole(format_args!("`{name}` is built in; choose another name"));
        }
        let fallback = section.text("fallback");
        let read = [
            section.section_if_any("webhook", webhook),
            section.section_if_any("slack", slack),
            section.section_if_any("discord", discord),
            section.section_if_any("email", email),
            section.section_if_any("pagerduty", pagerduty),
        ];
        let mut kinds: Vec<Option<ChannelKind>> = read.into_iter().flatten().collect();
        if kinds.len() != 1 {
            section.whole("must say what it is: either `webhook`, `slack`, `discord`, `email` or `pagerduty`");
        }
        let kind = kinds.pop()??;
        Some((name.to_owned(), Channel { kind, fallback }))
    });
    let channels: BTreeMap<String, Channel> = read.into_iter().flatten().collect();
    for (name, channel) in &channels {
        let Some(fallback) = &channel.fallback else { continue };
        let key = format!("channels.{name}.fallback");
        if fallback == name {
            root.fault(&key, "must be another channel");
        } else if !channels.contains_key(fallback) && !BUILT_IN.contains(&fallback.as_str()) {
            root.fault(&key, format_args!("names `{fallback}`, which is no channel"));
        }
    }
    channels
}

fn webhook(section: &mut Section<'_>) -> Option<ChannelKind> {
    let plain = section.url("url");
    let hidden = section
        .file("url_file")
        .and_then(|file| match crate::secret::read(&file) {
            Ok(text) => match web_address(text.expose_secret()) {
                Ok(url) => Some(url),
                Err(why) => {
                    section.fault("url_file", why);
                    None
                }
            },
            Err(error) => {
                section.fault("url_file", error);
                None
            }
        });
    let secret = section.secret("secret", "secret_file");
    if plain.is_some() == hidden.is_some() {
        section.whole("needs either `url` or `url_file`");
    }
    if secret.is_none() {
        section.fault("secret_file", "is missing: an unsigned message could come from anybody");
    }
    Some(ChannelKind::Webhook {
        url: SecretUrl::new(plain.or(hidden)?),
        secret: secret?,
    })
}

fn slack(section: &mut Section<'_>) -> Option<ChannelKind> {
    match section.text("channel") {
        Some(channel) if is_id(&channel, &['C', 'G']) => Some(ChannelKind::Slack { channel }),
        Some(_) => {
            section.fault(
                "channel",
                "must be the id of a channel, such as `C012AB3CD`, not its name",
            );
            None
        }
        None => {
            section.fault("channel", "is missing");
            None
        }
    }
}

fn discord(section: &mut Section<'_>) -> Option<ChannelKind> {
    match section.text("channel") {
        Some(channel) if super::discord::is_id(&channel) => Some(ChannelKind::Discord { channel }),
        Some(_) => {
            section.fault("channel", "must be the id of a channel, a number, not its name");
            None
        }
        None => {
            section.fault("channel", "is missing");
            None
        }
    }
}

fn email(section: &mut Section<'_>) -> Option<ChannelKind> {
    let to: Vec<Mailbox> = section
        .list::<Address>("to")
        .into_iter()
        .map(|address| address.0)
        .collect();
    if to.is_empty() {
        section.fault("to", "is missing: the addresses that get the mail");
        return None;
    }
    Some(ChannelKind::Email { to })
}

fn pagerduty(section: &mut Section<'_>) -> Option<ChannelKind> {
    let routing_key = section.secret("routing_key", "routing_key_file");
    let events_url = match section.folder("events_url") {
        Some(url) => Some(url),
        None => Url::parse(EVENTS).ok(),
    };
    let Some(routing_key) = routing_key else {
        section.fault(
            "routing_key_file",
            "is missing: the integration key of an Events API v2 integration",
        );
        return None;
    };
    let key = routing_key.expose_secret();
    if key.len() != 32 || !key.bytes().all(|b| b.is_ascii_alphanumeric()) {
        section.fault(
            "routing_key_file",
            "must hold the integration key, 32 letters and digits",
        );
        return None;
    }
    Some(ChannelKind::PagerDuty {
        routing_key,
        events_url: events_url?,
    })
}

/// Where PagerDuty takes events, except for accounts in the EU.
const EVENTS: &str = "https://events.pagerduty.com/";
