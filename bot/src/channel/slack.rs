//! Owns saying things in Slack: one card for each rollout, and below it, in its thread, what happens.
//! Refuses to know where a card stands: whoever asks remembers that. Refuses to wait its turn: too early is an answer.

mod api;
mod who;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidegate_rollout::{Period, PersonId, RolloutId};

use super::loud::is_loud;
use super::{ChannelError, Edited, Message};
use crate::render::Words;
use crate::render::mention::Piece;
use crate::render::slack::{self, Run, whole};
pub use api::{Api, ApiError};
pub use who::Who;

/// Slack takes about one message each second in a channel.
const PACE: Duration = Duration::from_millis(1_050);

/// What the messages carry by which they are found again after a crash.
const CARD: &str = "tidegate_card";
const NOTICE: &str = "tidegate_notice";

/// One channel of Slack.
pub struct SlackChannel {
    /// Its name in the configuration.
    pub name: String,
    /// Its id in Slack.
    pub place: String,
    /// The way there.
    pub api: Api,
    /// The member ids of those who can be called.
    people: BTreeMap<PersonId, String>,
    posted: Mutex<Option<Instant>>,
}

impl SlackChannel {
    /// The channel of that id, under its name in the configuration.
    pub fn new(name: String, place: String, api: Api) -> Self {
        Self {
            name,
            place,
            api,
            people: BTreeMap::new(),
            posted: Mutex::default(),
        }
    }

    /// The same channel, in which these people can be called, by their member ids.
    #[must_use]
    pub fn with_people(mut self, people: BTreeMap<PersonId, String>) -> Self {
        self.people = people;
        self
    }

    /// Posts the card of a rollout; answers the name of its message.
    ///
    /// # Errors
    /// [`ChannelError`], which tells whether and when trying again can help.
    pub async fn post_card(&self, rollout: &RolloutId, text: &str, blocks: &[Value]) -> Result<String, ChannelError> {
        self.my_turn()?;
        let mut body = self.message(text, CARD, "rollout", rollout.as_str());
        body["blocks"] = blocks.into();
        self.post(&body).await
    }

    /// Puts a new picture into a card.
    ///
    /// # Errors
    /// As [`Self::post_card`].
    pub async fn edit_card(
        &self,
        message: &str,
        rollout: &RolloutId,
        text: &str,
        blocks: &[Value],
    ) -> Result<Edited, ChannelError> {
        let mut body = self.message(text, CARD, "rollout", rollout.as_str());
        body["blocks"] = blocks.into();
        body["ts"] = message.into();
        match self.api.call("chat.update", &body).await {
            Ok(_) => Ok(Edited::Done),
            Err(ApiError::Refused(refused)) if refused.is_gone() => Ok(Edited::Gone),
            Err(error) => Err(error.on(&self.name)),
        }
    }

    /// The card of a rollout that was posted since a moment and whose name nobody remembers.
    ///
    /// # Errors
    /// As [`Self::post_card`].
    pub async fn find_card(&self, rollout: &RolloutId, begun: i64) -> Result<Option<String>, ChannelError> {
        let oldest = since(begun);
        let query = [("channel", self.place.as_str()), ("oldest", &oldest), ("limit", "200")];
        self.find("conversations.history", &query, CARD, "rollout", rollout.as_str())
            .await
    }

    /// Tells a notice in the thread of its card; loud ones are shown in the channel as well. What concerns no rollout has no
    /// thread, and stands in the channel by itself.
    ///
    /// # Errors
    /// As [`Self::post_card`].
    pub(super) async fn say(&self, message: &Message) -> Result<(), ChannelError> {
        let id = message.notice.id.as_str();
        if message.again && self.was_said(message, id).await? {
            return Ok(());
        }
        self.my_turn()?;
        let mut body = self.message(&whole(&message.text), NOTICE, "notice", id);
        if let Some(blocks) = self.blocks_that_call(&message.words) {
            body["blocks"] = blocks;
        }
        if let Some(thread) = &message.thread {
            body["thread_ts"] = thread.as_str().into();
            body["reply_broadcast"] = is_loud(&message.notice).into();
        }
        match self.post(&body).await {
            // Whoever cannot be called must not cost everybody the message: a member who left, too many at once.
            Err(ChannelError::Never { why, .. }) if !body["blocks"].is_null() => {
                tracing::warn!("Slack took no message that calls people, {why}; it goes out without");
                if let Some(fields) = body.as_object_mut() {
                    fields.remove("blocks");
                }
                self.post(&body).await.map(drop)
            }
            posted => posted.map(drop),
        }
    }

    /// The words as blocks in which people are called; nothing where nobody is, for the text says it all then.
    fn blocks_that_call(&self, words: &Words) -> Option<Value> {
        let run = |piece: &Piece| match piece {
            Piece::Text(text) => Run::Plain(text.clone()),
            Piece::Person(person) => match self.people.get(person) {
                Some(member) => Run::Person(member.clone()),
                None => Run::Plain(person.to_string()),
            },
        };
        let runs: Vec<Run> = words.pieces().iter().map(run).collect();
        let calls = runs.iter().any(|run| matches!(run, Run::Person(_)));
        calls.then(|| json!([slack::lines("notice", &[runs])]))
    }

    async fn was_said(&self, message: &Message, id: &str) -> Result<bool, ChannelError> {
        let oldest = since(message.notice.at.as_second());
        let place = ("channel", self.place.as_str());
        let found = match &message.thread {
            Some(thread) => {
                let query = [place, ("ts", thread), ("oldest", &oldest), ("limit", "999")];
                self.find("conversations.replies", &query, NOTICE, "notice", id).await?
            }
            None => {
                let query = [place, ("oldest", &oldest), ("limit", "200")];
                self.find("conversations.history", &query, NOTICE, "notice", id).await?
            }
        };
        Ok(found.is_some())
    }

    /// A message in which nothing is markup, a mention or a preview.
    fn message(&self, text: &str, event: &str, key: &str, value: &str) -> Value {
        json!({
            "channel": self.place,
            "text": text,
            "mrkdwn": false,
            "parse": "none",
            "link_names": false,
            "unfurl_links": false,
            "unfurl_media": false,
            "metadata": { "event_type": event, "event_payload": { key: value } },
        })
    }

    async fn post(&self, body: &Value) -> Result<String, ChannelError> {
        let answer = self
            .api
            .call("chat.postMessage", body)
            .await
            .map_err(|error| error.on(&self.name))?;
        let ts = answer.get("ts").and_then(Value::as_str);
        ts.map(str::to_owned).ok_or_else(|| ChannelError::Later {
            channel: self.name.clone(),
            source: anyhow::anyhow!("Slack did not say what it called the message"),
        })
    }

    async fn find(
        &self,
        method: &str,
        query: &[(&str, &str)],
        event: &str,
        key: &str,
        value: &str,
    ) -> Result<Option<String>, ChannelError> {
        let answer = match self.api.ask(method, query).await {
            Ok(answer) => answer,
            // Without the scope nobody can look. Saying it twice is better than not at all.
            Err(ApiError::Refused(refused)) if refused.lacks_scope() => {
                tracing::warn!(
                    channel = self.name,
                    "Slack lets nobody look what was posted ({refused}); something may be said twice"
                );
                return Ok(None);
            }
            Err(error) => return Err(error.on(&self.name)),
        };
        let messages = answer.get("messages").and_then(Value::as_array);
        let ours = |message: &&Value| {
            message.pointer("/metadata/event_type").and_then(Value::as_str) == Some(event)
                && message
                    .pointer("/metadata/event_payload")
                    .and_then(|payload| payload.get(key))
                    .and_then(Value::as_str)
                    == Some(value)
        };
        let found = messages.into_iter().flatten().find(ours);
        Ok(found
            .and_then(|message| message.get("ts"))
            .and_then(Value::as_str)
            .map(str::to_owned))
    }

    /// Counts a message against the pace of the channel, or says when there is room for one.
    fn my_turn(&self) -> Result<(), ChannelError> {
        let mut posted = self.posted.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = posted.map_or(PACE, |at| at.elapsed());
        if passed < PACE {
            let left = i64::try_from((PACE - passed).as_millis()).unwrap_or(1_000);
            return Err(ChannelError::Busy {
                channel: self.name.clone(),
                after: Period::millis(left),
            });
        }
        *posted = Some(Instant::now());
        Ok(())
    }
}

/// What was posted for something of that moment, by our clock, was posted after this one by Slack's, which may go apart.
fn since(second: i64) -> String {
    const APART: i64 = 300;
    second.saturating_sub(APART).to_string()
}
