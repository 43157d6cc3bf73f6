//! Owns saying things in Discord: one card for each rollout, and what happens in the thread that hangs on it.
//! Refuses to know where a card stands: whoever asks remembers that. Refuses to wait its turn: too early is an answer.

mod api;
mod buckets;

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tidegate_rollout::{PersonId, RolloutId};
use tracing::warn;

use super::loud::is_loud;
use super::{ChannelError, Edited, Message};
use crate::render::Words;
use crate::render::discord::{self, Markup};
use crate::render::mention::Piece;
pub use api::{Api, ApiError};

/// The most characters of a notice; below it stands its id.
const NOTICE: usize = 1_800;
/// So many messages are looked through at a time, and so many times, for one that may have been posted.
const PAGE: usize = 100;
const PAGES: usize = 5;
/// A thread is put away when nobody has said anything for so long, in minutes. A new message fetches it again.
const PUT_AWAY: u32 = 4_320;
/// Milliseconds from 1970 to the first second of Discord's ids.
const EPOCH: i64 = 1_420_070_400_000;

/// One channel of Discord.
pub struct DiscordChannel {
    /// Its name in the configuration.
    pub name: String,
    /// Its id in Discord.
    pub place: String,
    /// The way there.
    pub api: Api,
    /// The user ids of those who can be called.
    pub people: BTreeMap<PersonId, u64>,
}

impl DiscordChannel {
    /// Posts the card of a rollout, and hangs its thread on it; answers the name of its message.
    ///
    /// # Errors
    /// [`ChannelError`], which tells whether and when trying again can help.
    pub async fn post_card(&self, rollout: &RolloutId, card: &discord::Message) -> Result<String, ChannelError> {
        let card = marked(card, rollout.as_str());
        let posted = self.post(&self.place, &card, None, rollout.as_str());
        let message = posted.await.map_err(|error| error.on(&self.name))?;
        self.hang_thread(&message, rollout).await;
        Ok(message)
    }

    /// Opens the thread of a card. If that does not work, whoever has something to say there tries again.
    async fn hang_thread(&self, card: &str, rollout: &RolloutId) {
        if let Err(error) = self.open_thread(card, rollout.as_str()).await {
            let error = anyhow::Error::from(error);
            warn!(
                channel = self.name,
                "Could not open the thread of {rollout} yet: {error:#}"
            );
        }
    }

    /// Puts a new picture into a card.
    ///
    /// # Errors
    /// As [`Self::post_card`].
    pub async fn edit_card(
        &self,
        message: &str,
        rollout: &RolloutId,
        card: &discord::Message,
    ) -> Result<Edited, ChannelError> {
        let body = marked(card, rollout.as_str()).edited();
        let path = ["channels", &self.place, "messages", message];
        match self.api.call(Method::PATCH, &path, Some(&body)).await {
            Ok(_) => Ok(Edited::Done),
            Err(ApiError::Refused(refused)) if refused.is_gone() => Ok(Edited::Gone),
            Err(error) => Err(error.on(&self.name)),
        }
    }

    /// The card of a rollout that was posted since a moment and whose name nobody remembers; its thread hangs on it then.
    ///
    /// # Errors
    /// As [`Self::post_card`].
    pub async fn find_card(&self, rollout: &RolloutId, begun: i64) -> Result<Option<String>, ChannelError> {
        let found = self.find(&self.place, rollout.as_str(), begun).await;
        let found = found.map_err(|error| error.on(&self.name))?;
        if let Some(card) = &found {
            self.hang_thread(card, rollout).await;
        }
        Ok(found)
    }

    /// Tells a notice in the thread of its card; loud ones in the channel as well, as a reply to the card. What concerns no
    /// rollout has no thread, and stands in the channel by itself.
    ///
    /// # Errors
    /// As [`Self::post_card`].
    pub(super) async fn say(&self, message: &Message) -> Result<(), ChannelError> {
        let id = message.notice.id.as_str();
        let words = marked(&self.calling(&message.words), id);
        let said = match &message.thread {
            None => self.say_once(&self.place, &words, None, message).await,
            Some(card) => self.say_below(card, &words, message).await,
        };
        said.map_err(|error| error.on(&self.name))
    }

    async fn say_below(&self, card: &str, words: &discord::Message, message: &Message) -> Result<(), ApiError> {
        // The thread of a message has its message's id.
        match self.say_once(card, words, None, message).await {
            // It has not been opened yet, or somebody has deleted it.
            Err(ApiError::Refused(refused)) if refused.is_gone() => {
                self.open_thread(card, message.notice.about.rollout.as_str()).await?;
                self.say_once(card, words, None, message).await?;
            }
            said => said?,
        }
        if !is_loud(&message.notice) {
            return Ok(());
        }
        // They were called in the thread.
        let words = discord::Message {
            calls: Vec::new(),
            ..words.clone()
        };
        self.say_once(&self.place, &words, Some(card), message).await
    }

    /// The words, with those called in them whose accounts are known.
    fn calling(&self, words: &Words) -> discord::Message {
        let mut called = Vec::new();
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => Markup::text(text, NOTICE),
            Piece::Person(person) => match self.people.get(person) {
                Some(user) => {
                    called.push(*user);
                    Markup::person(*user)
                }
                None => Markup::text(person.as_str(), NOTICE),
            },
        };
        let pieces = words.pieces().iter().map(piece);
        let content = pieces.fold(Markup::default(), Markup::and).within(NOTICE);
        called.sort_unstable();
        called.dedup();
        // Whoever was cut off is not called.
        called.retain(|user| content.as_str().contains(&format!("<@{user}>")));
        discord::Message {
            calls: called,
            ..discord::Message::words(content)
        }
    }

    /// Posts it at a place, unless an earlier try did.
    async fn say_once(
        &self,
        place: &str,
        words: &discord::Message,
        reply_to: Option<&str>,
        message: &Message,
    ) -> Result<(), ApiError> {
        let id = message.notice.id.as_str();
        if message.again && self.find(place, id, message.notice.at.as_second()).await?.is_some() {
            return Ok(());
        }
        self.post(place, words, reply_to, id).await.map(drop)
    }

    async fn post(
        &self,
        place: &str,
        words: &discord::Message,
        reply_to: Option<&str>,
        id: &str,
    ) -> Result<String, ApiError> {
        let mut body = words.posted(&nonce(place, id));
        if let Some(card) = reply_to {
            body["message_reference"] = json!({ "message_id": card, "fail_if_not_exists": false });
        }
        let posted = self
            .api
            .call(Method::POST, &["channels", place, "messages"], Some(&body))
            .await;
        let posted = posted?;
        let id = posted.get("id").and_then(Value::as_str).map(str::to_owned);
        id.ok_or_else(|| ApiError::Unreachable(anyhow::anyhow!("it did not say what it called the message")))
    }

    async fn open_thread(&self, message: &str, rollout: &str) -> Result<(), ApiError> {
        let body = json!({ "name": discord::name(rollout), "auto_archive_duration": PUT_AWAY });
        let path = ["channels", &self.place, "messages", message, "threads"];
        match self.api.call(Method::POST, &path, Some(&body)).await {
            Err(ApiError::Refused(refused)) if refused.has_a_thread() => Ok(()),
            opened => opened.map(drop),
        }
    }

    /// The message of ours that carries `id` and was posted since a moment.
    async fn find(&self, place: &str, id: &str, since: i64) -> Result<Option<String>, ApiError> {
        match self.look(place, id, since).await {
            // Without the permission nobody can look. Saying it twice is better than not at all.
            Err(ApiError::Refused(refused)) if refused.lacks_permission() => {
                warn!(
                    channel = self.name,
                    "Discord lets nobody look what was posted ({refused}); something may be said twice"
                );
                Ok(None)
            }
            Err(ApiError::Refused(refused)) if refused.is_gone() => Ok(None),
            found => found,
        }
    }

    async fn look(&self, place: &str, id: &str, since: i64) -> Result<Option<String>, ApiError> {
        let me = self.api.me().await?;
        let mark = Markup::small_print(id);
        let mut after = first_id_of(since);
        for _ in 0..PAGES {
            let query = [("limit", PAGE.to_string()), ("after", after.to_string())];
            let found = self.api.ask(&["channels", place, "messages"], &query).await?;
            let page = found.as_array().map(Vec::as_slice).unwrap_or_default();
            let text = |message: &Value, pointer: &str| message.pointer(pointer)?.as_str().map(str::to_owned);
            let is_it = |message: &&Value| {
                text(message, "/author/id").as_deref() == Some(me)
                    && text(message, "/content").is_some_and(|content| content.ends_with(mark.as_str().trim_start()))
            };
            if let Some(message) = page.iter().find(is_it) {
                return Ok(text(message, "/id"));
            }
            let ids = page
                .iter()
                .filter_map(|message| text(message, "/id")?.parse::<u64>().ok());
            match ids.max() {
                Some(last) if page.len() == PAGE => after = last,
                _ => break,
            }
        }
        Ok(None)
    }
}

/// With its id in small print, by which it is found again after a crash: messages of Discord carry nothing invisible.
fn marked(message: &discord::Message, id: &str) -> discord::Message {
    discord::Message {
        content: message.content.clone().and(Markup::small_print(id)),
        ..message.clone()
    }
}

/// The same for the same message at the same place, in 25 characters.
fn nonce(place: &str, id: &str) -> String {
    let digest = Sha256::new()
        .chain_update(place)
        .chain_update("/")
        .chain_update(id)
        .finalize();
    hex::encode(&digest[..12])
}

/// The least id of a message of that second by our clock, which may be apart from Discord's.
fn first_id_of(second: i64) -> u64 {
    const APART: i64 = 300;
    let milliseconds = second.saturating_sub(APART).saturating_mul(1_000).saturating_sub(EPOCH);
    u64::try_from(milliseconds).unwrap_or(0) << 22
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_told_from_its_beginning_and_its_end() {
        let words = discord::Message::words(Markup::text("GATE", 100));
        let content = marked(&words, "checkout-1.12.3").content;
        assert_eq!(content.as_str(), "GATE\n-# checkout-1.12.3");
        for other in ["checkout-1.12.31", "heckout-1.12.3", "2.3"] {
            assert!(
                !content
                    .as_str()
                    .ends_with(Markup::small_print(other).as_str().trim_start()),
                "{other}"
            );
        }
    }

    #[test]
    fn a_nonce_fits_and_is_of_its_place() {
        let one = nonce("1", "checkout-1.12.3");
        assert!(one.len() <= 25 && one == nonce("1", "checkout-1.12.3"));
        assert_ne!(one, nonce("2", "checkout-1.12.3"));
    }

    #[test]
    fn ids_begin_with_their_time() {
        // From Discord's documentation: 175928847299117063 is of 2016-04-30 11:18:25.796 UTC.
        assert!(first_id_of(1_462_015_105 + 300) <= 175_928_847_299_117_063);
        assert!(first_id_of(1_462_015_106 + 300) > 175_928_847_299_117_063);
        assert_eq!(first_id_of(0), 0);
    }
}
