//! Owns what the chat, the sign-in and the page of excuses show.
//! Refuses to run what is typed: the dispatcher does, and its answer comes back as a line of the feed.

use jiff::Timestamp;
use serde::Serialize;
use tidegate_rollout::command::USAGES;

use crate::channel::feed::Line;

use super::{Banner, CHAT_EVENTS, Chrome, Here, Moment, Reader, Space, brief};

/// The most lines of the page, and the most bytes of them.
const MOST: usize = 100;
const BYTES: usize = 160 * 1024;

/// The chat.
#[derive(Clone, Debug, Serialize)]
pub struct Chat {
    chrome: Chrome,
    banner: Option<Banner>,
    feed: String,
    lines: Vec<Spoken>,
    /// What was typed and could not be said, so that it need not be typed again.
    draft: String,
    verbs: Vec<Verb>,
}

#[derive(Clone, Debug, Serialize)]
struct Spoken {
    at: Moment,
    by: String,
    kind: String,
    loudness: String,
    rollout: Option<String>,
    /// The headline.
    first: String,
    /// The lines below it, each with the break before it.
    rest: String,
}

#[derive(Clone, Debug, Serialize)]
struct Verb {
    verb: &'static str,
    arguments: &'static str,
    says: &'static str,
}

impl Chat {
    /// The page with the lines of the feed, oldest first. `start` names this start of the server: after another one the
    /// numbers of lines begin anew.
    pub fn of(lines: &[Line], start: &str, reader: Option<&Reader>, now: Timestamp) -> Self {
        let mut space = Space(BYTES);
        let newest_first = lines.iter().rev().take(MOST).map(|line| Spoken::of(line, now));
        let mut latest: Vec<_> = newest_first
            .take_while(|line| space.row(&[&line.by, &line.first, &line.rest]))
            .collect();
        latest.reverse();
        let after = lines.last().map_or(0, |line| line.number);
        Self {
            chrome: Chrome {
                here: Here::Chat,
                icon: "info",
                ..Chrome::new("chat · tidegate", "/chat", reader, now)
            },
            banner: None,
            feed: format!("{CHAT_EVENTS}?after={start}.{after}"),
            lines: latest,
            draft: String::new(),
            verbs: USAGES
                .iter()
                .map(|usage| Verb {
                    verb: usage.verb,
                    arguments: usage.arguments,
                    says: usage.says,
                })
                .collect(),
        }
    }

    /// The same page with why `draft` could not be said.
    pub fn answering(self, banner: Banner, draft: &str) -> Self {
        Self {
            banner: Some(banner),
            draft: brief(draft, 2_000),
            ..self
        }
    }
}

impl Spoken {
    fn of(line: &Line, now: Timestamp) -> Self {
        let text = brief(&line.text, 1_500);
        let (first, rest) = text.split_at(text.find('\n').unwrap_or(text.len()));
        Self {
            at: Moment::of(line.at, now),
            by: brief(&line.by, 60),
            kind: line.kind.clone(),
            loudness: line.loudness.clone(),
            rollout: line.rollout.clone(),
            first: first.to_owned(),
            rest: rest.to_owned(),
        }
    }
}

/// The sign-in.
#[derive(Clone, Debug, Serialize)]
pub struct Login {
    chrome: Chrome,
    banner: Option<Banner>,
    /// The page of ours to go to afterwards.
    next: String,
    hint: String,
}

impl Login {
    /// The page. `next` is where to go afterwards; anything but a path of ours becomes `/`. `hint` says where a token
    /// comes from.
    pub fn new(next: &str, hint: &str, now: Timestamp) -> Self {
        let ours = next.starts_with('/') && !next.starts_with("//") && !next.contains(['\\', '\n', '\r', '\t']);
        Self {
            chrome: Chrome::new("sign in · tidegate", "/login", None, now),
            banner: None,
            next: if ours { brief(next, 300) } else { "/".to_owned() },
            hint: hint.to_owned(),
        }
    }

    /// The same page after a sign-in that failed.
    pub fn failed(self, banner: Banner) -> Self {
        Self {
            banner: Some(banner),
            ..self
        }
    }
}

/// A page that says why there is no page.
#[derive(Clone, Debug, Serialize)]
pub struct Sorry {
    chrome: Chrome,
    title: String,
    what: String,
    hint: String,
}

impl Sorry {
    /// The page: a title of a few words, what happened, what to do.
    pub fn new(title: &str, what: &str, hint: &str, reader: Option<&Reader>, now: Timestamp) -> Self {
        Self {
            chrome: Chrome::new(format!("{title} · tidegate"), "/", reader, now),
            title: title.to_owned(),
            what: what.to_owned(),
            hint: hint.to_owned(),
        }
    }
}
