//! Owns what the chat, the sign-in and the page of excuses show.
//! Refuses to run what is typed: the dispatcher does, and its answer comes back as a line of the feed.

use jiff::Timestamp;
use serde::Serialize;
use tidegate_rollout::command::USAGES;

use super::{Banner, CHAT_EVENTS, Chrome, Here, Moment, Reader, brief};

/// The most lines of the page.
const MOST: usize = 100;

/// One line of the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said<'a> {
    /// Its number; the page asks for what comes after the last one.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// `tidegate` or a person.
    pub by: &'a str,
    /// The notice's kind, `said` for a person's words, `answer` for an answer.
    pub kind: &'a str,
    /// `pages`, `milestones` or `everything`.
    pub loudness: &'a str,
    /// Which rollout, if one.
    pub rollout: Option<&'a str>,
    /// Plain text.
    pub text: &'a str,
}

/// The chat.
#[derive(Clone, Debug, Serialize)]
pub struct Chat {
    chrome: Chrome,
    banner: Option<Banner>,
    feed: String,
    lines: Vec<Line>,
    /// What was typed and could not be said, so that it need not be typed again.
    draft: String,
    verbs: Vec<Verb>,
}

#[derive(Clone, Debug, Serialize)]
struct Line {
    number: u64,
    at: Moment,
    by: String,
    kind: String,
    loudness: String,
    rollout: Option<String>,
    text: String,
}

#[derive(Clone, Debug, Serialize)]
struct Verb {
    verb: &'static str,
    arguments: &'static str,
    says: &'static str,
}

impl Chat {
    /// The page with the lines of the feed, oldest first.
    pub fn of(lines: &[Said<'_>], reader: Option<&Reader>, now: Timestamp) -> Self {
        let latest = &lines[lines.len().saturating_sub(MOST)..];
        let after = lines.last().map_or(0, |line| line.number);
        Self {
            chrome: Chrome {
                here: Here::Chat,
                icon: "info",
                ..Chrome::new("chat · tidegate", "/chat", reader, now)
            },
            banner: None,
            feed: format!("{CHAT_EVENTS}?after={after}"),
            lines: latest.iter().map(|said| Line::of(said, now)).collect(),
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

impl Line {
    fn of(said: &Said<'_>, now: Timestamp) -> Self {
        Self {
            number: said.number,
            at: Moment::of(said.at, now),
            by: brief(said.by, 60),
            kind: said.kind.to_owned(),
            loudness: said.loudness.to_owned(),
            rollout: said.rollout.map(str::to_owned),
            text: brief(said.text, 1_500),
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
