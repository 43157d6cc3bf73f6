//! Slack, as far as an app can tell: a workspace that keeps its messages and forms, and refuses what the real one refuses.
//!
//! Owns the Web API, the addresses for late answers, and what people do: every request of theirs is signed as Slack signs
//! it, and a button is pressed with what really stands in the message. Refuses silently accepted nonsense: limits of
//! blocks, scopes, rates, triggers that are too old. What was refused is kept, so that a test can ask for none.

mod api;
mod blocks;
mod people;
pub mod types;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use reqwest::Client;
use serde_json::Value;

use crate::serve::Served;
use crate::{http, wait};

pub use people::{Answered, Signed, sign, sign_by_sdk};

/// The workspace.
pub const TEAM: &str = "T0001";
/// The app.
pub const APP: &str = "A0001";
/// The channel that the app was invited to.
pub const CHANNEL: &str = "C0RELEASES";
/// What the app's requests are signed with.
pub const SECRET: &str = "the-signing-secret-of-the-app";
/// The bot token.
pub const TOKEN: &str = "xoxb-the-token-of-the-bot";

/// A message as the workspace keeps it.
#[derive(Clone, Debug)]
pub struct Posted {
    /// Its name.
    pub ts: String,
    /// The thread it stands in.
    pub thread: Option<String>,
    /// Whether the channel shows it too.
    pub broadcast: bool,
    /// The text that stands for it.
    pub text: String,
    /// Its blocks.
    pub blocks: Vec<Value>,
    /// Everything that was sent.
    pub sent: Value,
    /// How often it was edited.
    pub edits: usize,
    /// When it came.
    pub at: Instant,
}

/// What goes wrong with the next call of a method.
#[derive(Clone, Debug)]
pub enum Mishap {
    /// Slack says no, in a word.
    Says(&'static str),
    /// 429, with so many seconds to wait.
    TooMany(u64),
    /// 500.
    Broken,
    /// It is done, and the answer is lost on its way.
    DoneButLost,
    /// It is done, and no answer comes for a long time.
    DoneAndSilent,
}

#[derive(Debug, Default)]
struct Book {
    messages: Vec<Posted>,
    /// The forms that are open.
    views: BTreeMap<String, Value>,
    /// When a form was sent off last.
    sent_off: BTreeMap<String, Instant>,
    /// Triggers that were handed out: when, and whether they were used.
    triggers: BTreeMap<String, (Instant, bool)>,
    /// Answers that came later, by the address they went to.
    late: Vec<(String, Value)>,
    mishaps: BTreeMap<String, Vec<Mishap>>,
    refused: Vec<String>,
    calls: BTreeMap<String, Vec<Instant>>,
    scopes: Vec<&'static str>,
    number: u64,
    token: String,
    member: bool,
    /// Whether more than one message a second is refused.
    paced: bool,
    /// How far its clock is ahead of ours, in seconds.
    clock_ahead: i64,
}

/// The workspace.
#[derive(Debug)]
pub struct Slack {
    served: Served,
    book: Arc<Mutex<Book>>,
    client: Client,
}

impl Slack {
    /// Opens the workspace.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start() -> Result<Self> {
        let book = Arc::new(Mutex::new(Book {
            token: TOKEN.to_owned(),
            scopes: vec!["commands", "chat:write", "channels:history", "groups:history"],
            member: true,
            paced: true,
            ..Book::default()
        }));
        Ok(Self {
            served: Served::start(api::router(Arc::clone(&book))).await?,
            book,
            client: http::client()?,
        })
    }

    /// Where its API is.
    #[must_use]
    pub fn api_url(&self) -> String {
        self.served.url("/api/")
    }

    /// Below which late answers go.
    #[must_use]
    pub fn hooks_url(&self) -> String {
        self.served.url("/hooks/")
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        open(&self.book)
    }

    /// Everything in the channel, oldest first.
    #[must_use]
    pub fn messages(&self) -> Vec<Posted> {
        self.book().messages.clone()
    }

    /// The cards: messages that stand in no thread.
    #[must_use]
    pub fn cards(&self) -> Vec<Posted> {
        let mut messages = self.messages();
        messages.retain(|message| message.thread.is_none());
        messages
    }

    /// What stands in the thread below a message.
    #[must_use]
    pub fn thread(&self, ts: &str) -> Vec<Posted> {
        let mut messages = self.messages();
        messages.retain(|message| message.thread.as_deref() == Some(ts));
        messages
    }

    /// Why calls were refused so far; rates left out, as they are nobody's mistake.
    #[must_use]
    pub fn refused(&self) -> Vec<String> {
        self.book().refused.clone()
    }

    /// How often a method was called.
    #[must_use]
    pub fn calls(&self, method: &str) -> usize {
        self.book().calls.get(method).map_or(0, Vec::len)
    }

    /// What goes wrong with the next calls of a method, one after the other.
    pub fn mishap(&self, method: &str, mishaps: &[Mishap]) {
        let mut book = self.book();
        book.mishaps
            .entry(method.to_owned())
            .or_default()
            .extend(mishaps.iter().cloned());
    }

    /// Somebody deletes a message.
    pub fn delete(&self, ts: &str) {
        self.book().messages.retain(|message| message.ts != ts);
    }

    /// The app is removed from the channel, or invited again.
    pub fn invite(&self, member: bool) {
        self.book().member = member;
    }

    /// The app has only these scopes.
    pub fn scopes(&self, scopes: &[&'static str]) {
        self.book().scopes = scopes.to_vec();
    }

    /// The app has another token now.
    pub fn token(&self, token: &str) {
        self.book().token = token.to_owned();
    }

    /// Its clock is that many seconds ahead of ours.
    pub fn clock_ahead(&self, seconds: i64) {
        self.book().clock_ahead = seconds;
    }

    /// Takes as many messages at a time as come.
    pub fn unpaced(&self) {
        self.book().paced = false;
    }

    /// Late answers so far, with the numbers of their addresses.
    #[must_use]
    pub fn late(&self) -> Vec<(String, Value)> {
        self.book().late.clone()
    }

    /// The newest form that is open.
    #[must_use]
    pub fn form(&self) -> Option<Value> {
        self.book().views.values().next_back().cloned()
    }

    /// The newest form, once it fits.
    ///
    /// # Errors
    /// When it does not before the deadline; shows what there is.
    pub async fn form_once(&self, what: &str, deadline: Duration, fits: impl Fn(&Value) -> bool) -> Result<Value> {
        wait::until(what, deadline, async || {
            let form = self.form().context("no form is open")?;
            ensure!(fits(&form), "{form}, refused: {:?}", self.refused());
            Ok(form)
        })
        .await
    }

    /// Whoever looks at a form closes it.
    pub fn close(&self, form: &Value) {
        self.book().views.retain(|id, _| form["id"] != id.as_str());
    }

    /// The answer that came late to an address.
    ///
    /// # Errors
    /// When none comes before the deadline.
    pub async fn late_answer(&self, address: &str, deadline: Duration) -> Result<Value> {
        wait::until("a late answer", deadline, async || {
            let late = self.late();
            let found = late.iter().find(|(number, _)| address.ends_with(&format!("/{number}")));
            found
                .map(|(_, answer)| answer.clone())
                .with_context(|| format!("{late:?}"))
        })
        .await
    }

    /// The one card, once it fits.
    ///
    /// # Errors
    /// When there is not exactly one that fits before the deadline; shows what there is.
    pub async fn card(&self, what: &str, deadline: Duration, fits: impl Fn(&Posted) -> bool) -> Result<Posted> {
        wait::until(what, deadline, async || {
            let cards = self.cards();
            ensure!(cards.len() == 1, "{} cards: {cards:?}", cards.len());
            ensure!(fits(&cards[0]), "{}", cards[0].text);
            Ok(cards[0].clone())
        })
        .await
    }
}

impl Posted {
    /// Everything a reader sees, top to bottom, as plain text.
    #[must_use]
    pub fn shown(&self) -> String {
        blocks::shown(&self.blocks)
    }

    /// What Slack would read as more than text: mentions, links, markup from anywhere.
    #[must_use]
    pub fn pings(&self) -> Vec<String> {
        blocks::pings(&self.sent)
    }

    /// The button of that name.
    #[must_use]
    pub fn button(&self, action: &str) -> Option<Value> {
        blocks::button(&self.blocks, action)
    }

    /// The names of its buttons.
    #[must_use]
    pub fn buttons(&self) -> Vec<String> {
        blocks::buttons(&self.blocks)
    }
}

/// What a message that somebody was answered with shows, and what in it would be more than text.
#[must_use]
pub fn read(answer: &Value) -> (String, Vec<String>) {
    let all = answer["blocks"].as_array().cloned().unwrap_or_default();
    (blocks::shown(&all), blocks::pings(answer))
}

/// Why Slack would refuse this message, if it would.
///
/// # Errors
/// Slack's word, and what is wrong.
pub fn judge(message: &Value) -> Result<(), String> {
    blocks::message(message)
}

/// Slack has a clock of its own; names of messages begin with its time, and requests are signed with it.
fn seconds() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "the clock of another program")]
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn open(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}
