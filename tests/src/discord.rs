//! Discord, as far as an application can tell: a server that keeps its messages and threads, and refuses what the real one
//! refuses.
//!
//! Owns the API, the answers to interactions, and what people do: every request of theirs is signed as Discord signs it, and
//! a button is pressed with what really stands in the message. Refuses silently accepted nonsense: limits of texts, embeds
//! and components, permissions, rates, tokens that are too old. What was refused is kept, so that a test can ask for none.

mod api;
mod commands;
mod forms;
mod judge;
mod people;
mod rates;
mod rights;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use reqwest::Client;
use serde_json::Value;

use crate::serve::Served;
use crate::{http, wait};

pub use commands::length_of_tree;
pub use forms::shown as shown_form;
pub use judge::{message as judge, pings, shown};
pub use people::{Answered, SEED, STRANGER, Signed, by_pynacl, sign};
pub use rights::ROLE;

/// The server.
pub const GUILD: &str = "290926798626357999";
/// The application.
pub const APP: &str = "771825006014889999";
/// The user that the application speaks as.
pub const BOT: &str = "771825006014889998";
/// The channel that the application may write in.
pub const CHANNEL: &str = "645027906669510667";
/// The token of the bot.
pub const TOKEN: &str = "MTIz.the-token.of-the-bot";

/// Everything that an application may be allowed to do in the channel.
pub const PERMISSIONS: [&str; 6] = [
    "VIEW_CHANNEL",
    "SEND_MESSAGES",
    "SEND_MESSAGES_IN_THREADS",
    "CREATE_PUBLIC_THREADS",
    "EMBED_LINKS",
    "READ_MESSAGE_HISTORY",
];

/// A message as Discord keeps it.
#[derive(Clone, Debug)]
pub struct Posted {
    /// Its name.
    pub id: String,
    /// Where it stands: the channel, or a thread.
    pub place: String,
    /// What it answers.
    pub reply_to: Option<String>,
    /// Everything that was last sent for it.
    pub sent: Value,
    /// How often it was edited.
    pub edits: usize,
    nonce: Option<String>,
}

/// What goes wrong with the next call of a route.
#[derive(Clone, Debug)]
pub enum Mishap {
    /// Discord says no, with a status and a code.
    Says(u16, u64),
    /// 429, with so many seconds to wait; for this route or for all of them.
    TooMany(f64, bool),
    /// 500.
    Broken,
    /// It is done, and the answer is lost on its way.
    DoneButLost,
    /// It is done, and no answer comes for a long time.
    DoneAndSilent,
}

/// What an interaction is answered with so far.
#[derive(Clone, Debug)]
struct Occasion {
    begun: Instant,
    /// What kind of interaction it is: a command 2, a press or a choice 3, words half typed 4, a form 5.
    kind: u64,
    /// Whether Discord has heard a first answer; before that there is nothing to edit.
    acknowledged: bool,
    /// The form that was opened for its person.
    form: Option<Value>,
    /// What its person sees.
    shown: Option<Value>,
}

#[derive(Debug, Default)]
struct Book {
    messages: Vec<Posted>,
    /// Open threads, by the message they hang on, with their names.
    threads: BTreeMap<String, String>,
    /// Interactions by their token.
    occasions: BTreeMap<String, Occasion>,
    registered: BTreeMap<String, Value>,
    mishaps: BTreeMap<String, Vec<Mishap>>,
    refused: Vec<String>,
    calls: BTreeMap<String, usize>,
    rates: rates::Rates,
    rights: rights::Rights,
    calls_back: Option<String>,
    number: u64,
}

/// The server, and the application that was installed on it.
#[derive(Debug)]
pub struct Discord {
    served: Served,
    book: Arc<Mutex<Book>>,
    client: Client,
}

impl Discord {
    /// From now on it calls this address, or nobody.
    pub fn calls_back(&self, address: Option<&str>) {
        open(&self.book).calls_back = address.map(str::to_owned);
    }

    /// Opens the server.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start() -> Result<Self> {
        let book = Arc::new(Mutex::new(Book::default()));
        Ok(Self {
            served: Served::start(api::router(Arc::clone(&book))).await?,
            book,
            client: http::client()?,
        })
    }

    /// Where its API is.
    #[must_use]
    pub fn api_url(&self) -> String {
        self.served.url("/api/v10/")
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        open(&self.book)
    }

    /// Everything at a place, oldest first.
    #[must_use]
    pub fn messages(&self, place: &str) -> Vec<Posted> {
        let mut messages = self.book().messages.clone();
        messages.retain(|message| message.place == place);
        messages
    }

    /// The cards: messages of the channel with a picture.
    #[must_use]
    pub fn cards(&self) -> Vec<Posted> {
        let mut messages = self.messages(CHANNEL);
        messages.retain(|message| !message.sent["embeds"][0].is_null());
        messages
    }

    /// The names of the threads, by the message they hang on.
    #[must_use]
    pub fn threads(&self) -> BTreeMap<String, String> {
        self.book().threads.clone()
    }

    /// The commands that are registered at a place.
    #[must_use]
    pub fn registered(&self, place: &str) -> Option<Value> {
        self.book().registered.get(place).cloned()
    }

    /// Why calls were refused so far; rates left out, as they are nobody's mistake.
    #[must_use]
    pub fn refused(&self) -> Vec<String> {
        self.book().refused.clone()
    }

    /// Registers a command on the server, as the application would with a call.
    ///
    /// # Errors
    /// When Discord would not keep it.
    pub fn register(&self, command: impl serde::Serialize) -> Result<()> {
        let commands = Value::Array(vec![serde_json::to_value(command)?]);
        let kept = api::register_at(&mut self.book(), GUILD, &commands);
        kept.map(drop).map_err(|why| anyhow::anyhow!("Discord: {why}"))
    }

    /// How often a route was called, such as `POST messages`.
    #[must_use]
    pub fn calls(&self, route: &str) -> usize {
        self.book().calls.get(route).copied().unwrap_or(0)
    }

    /// What goes wrong with the next calls of a route, one after the other.
    pub fn mishap(&self, route: &str, mishaps: &[Mishap]) {
        let mut book = self.book();
        let all = book.mishaps.entry(route.to_owned()).or_default();
        all.extend(mishaps.iter().cloned());
    }

    /// Somebody deletes a message. What hangs on it stays.
    pub fn delete(&self, id: &str) {
        self.book().messages.retain(|message| message.id != id);
    }

    /// Somebody deletes a thread with everything in it.
    pub fn delete_thread(&self, id: &str) {
        let mut book = self.book();
        book.threads.remove(id);
        book.messages.retain(|message| message.place != id);
    }

    /// From now on the application may do only this.
    pub fn permit(&self, permissions: &[&'static str]) {
        self.book().rights.permit(permissions);
    }

    /// So much time passes for every interaction so far.
    pub fn pass(&self, time: Duration) {
        for occasion in self.book().occasions.values_mut() {
            occasion.begun = occasion.begun.checked_sub(time).unwrap_or(occasion.begun);
        }
    }

    /// What the person of an interaction sees once it fits.
    ///
    /// # Errors
    /// When it does not before the deadline.
    pub async fn sees(&self, token: &str, deadline: Duration, fits: impl Fn(&Value) -> bool) -> Result<Value> {
        wait::until("the answer to an interaction", deadline, async || {
            let book = self.book();
            let occasion = book.occasions.get(token).context("there is no such interaction")?;
            let shown = occasion.shown.clone();
            let shown = shown.with_context(|| format!("nothing is shown; refused: {:?}", book.refused))?;
            ensure!(fits(&shown), "{shown}");
            Ok(shown)
        })
        .await
    }

    /// The form that an interaction was answered with.
    ///
    /// # Errors
    /// When there is none; shows what there is.
    pub fn form(&self, token: &str) -> Result<Value> {
        let book = self.book();
        let occasion = book.occasions.get(token).context("there is no such interaction")?;
        let form = occasion.form.clone();
        form.with_context(|| {
            format!(
                "no form is open, it shows {:?}; refused: {:?}",
                occasion.shown, book.refused
            )
        })
    }

    /// The one card, once it fits.
    ///
    /// # Errors
    /// When there is not exactly one that fits before the deadline; shows what there is.
    pub async fn card(&self, what: &str, deadline: Duration, fits: impl Fn(&Posted) -> bool) -> Result<Posted> {
        wait::until(what, deadline, async || {
            let cards = self.cards();
            ensure!(
                cards.len() == 1,
                "{} cards: {cards:?}; refused: {:?}",
                cards.len(),
                self.refused()
            );
            ensure!(fits(&cards[0]), "{}; refused: {:?}", cards[0].shown(), self.refused());
            Ok(cards[0].clone())
        })
        .await
    }
}

impl Posted {
    /// Everything a reader sees, top to bottom, as plain text.
    #[must_use]
    pub fn shown(&self) -> String {
        judge::shown(&self.sent)
    }

    /// What Discord would make more of than text, or whom it would call.
    #[must_use]
    pub fn pings(&self) -> Vec<String> {
        judge::pings(&self.sent)
    }

    /// The button whose name begins so.
    #[must_use]
    pub fn button(&self, action: &str) -> Option<Value> {
        judge::button(&self.sent, action)
    }

    /// What stands on its buttons, those that cannot be pressed in brackets.
    #[must_use]
    pub fn buttons(&self) -> Vec<String> {
        judge::buttons(&self.sent)
    }
}

/// Discord has a clock of its own: ids begin with its time, and requests are signed with it.
fn milliseconds() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "the clock of another program")]
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0))
}

/// A new id; a later one is greater.
fn snowflake(book: &mut Book) -> String {
    const EPOCH: u64 = 1_420_070_400_000;
    book.number += 1;
    (((milliseconds() - EPOCH) << 22) + book.number % 4_096).to_string()
}

fn open(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}
