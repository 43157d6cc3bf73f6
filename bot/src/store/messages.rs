//! Owns what is to be said: one row per notice and channel, until it is sent or visibly buried.
//! Refuses to let a message hold up an action, or a channel another one: none of them share a claim.

use std::collections::BTreeSet;

use jiff::Timestamp;
use tidegate_rollout::{Entry, Notice, NoticeId, Period, Step};

use super::Store;
use super::dialect::CLAIM_MESSAGES;
use super::engine::Session;
use super::error::StoreError;
use super::log;
use super::outbox::later;
use super::said::FEED;
use super::sql::{Many, statements};
use super::value::{self, Value, count, readable};

pub(super) const ENQUEUE: Many = Many {
    tries: "store messages",
    head: "INSERT INTO messages (notice, channel, rollout, document, created_at, due_at, state)",
    columns: 7,
    tail: "",
};

pub(super) const ANNOUNCE: Many = Many {
    tries: "store an announcement",
    head: ENQUEUE.head,
    columns: ENQUEUE.columns,
    tail: "ON CONFLICT (notice, channel) DO NOTHING RETURNING channel",
};

statements! {
    SENT: "note that a message was sent" =
        "UPDATE messages SET state = 'sent', why = NULL WHERE notice = $1 AND channel = $2 AND state = 'waiting'";
    POSTPONE: "postpone a message" =
        "UPDATE messages SET due_at = $3, why = $4, claimed_until = 0
         WHERE notice = $1 AND channel = $2 AND state = 'waiting'";
    DEFER: "put off a message" =
        "UPDATE messages SET due_at = $3, why = $4, claimed_until = 0, attempts = attempts - 1
         WHERE notice = $1 AND channel = $2 AND state = 'waiting'";
    QUEUE_UP: "put off what waits behind a message" =
        "UPDATE messages SET due_at = $2 WHERE channel = $1 AND state = 'waiting' AND due_at < $2";
    BURY: "bury a message" =
        "UPDATE messages SET state = 'buried', why = $3 WHERE notice = $1 AND channel = $2 AND state = 'waiting'";
    DUE: "find the channels on which something is to be said" =
        "SELECT DISTINCT channel FROM messages WHERE state = 'waiting' AND due_at <= $1 AND claimed_until <= $1
         ORDER BY channel";
    WAITING: "list what waits for a channel" =
        "SELECT notice, document, attempts FROM messages
         WHERE channel = $1 AND state = 'waiting' AND created_at <= $2 ORDER BY number LIMIT $3";
    SINCE: "list what a channel was told of a rollout" =
        "SELECT notice, document FROM messages
         WHERE rollout = $1 AND channel = $2 AND created_at >= $3 ORDER BY number LIMIT $4";
    TOLD: "list the channels that were told of a rollout" =
        "SELECT DISTINCT channel FROM messages WHERE rollout = $1 ORDER BY channel";
    RELEASE: "release the messages of a replica" =
        "UPDATE messages SET claimed_until = 0 WHERE claimed_by = $1 AND state = 'waiting'";
}

/// A notice on its way to one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What is said.
    pub notice: Notice,
    /// The name of the channel.
    pub channel: String,
    /// How often it was claimed, this time included.
    pub attempts: u32,
}

impl Store {
    /// Stores a notice that concerns the server and no rollout, once for each of `channels`, and writes `entry` into the
    /// server's log. `false` when a notice of this id was stored before: then nothing happens.
    ///
    /// # Errors
    /// When it could not be saved.
    pub async fn announce(
        &self,
        notice: &Notice,
        channels: &BTreeSet<String>,
        entry: &Entry,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let document = value::seal("a notice", notice)?;
        let values: Vec<Value<'_>> = channels
            .iter()
            .flat_map(|channel| row(notice, channel.clone(), &document, now))
            .collect();
        let mut session = self.engine().begin().await?;
        let new: Vec<(String,)> = session.rows_many(&ANNOUNCE, &values).await?;
        if new.is_empty() {
            session.undo().await?;
            return Ok(false);
        }
        log::append(&mut session, log::SERVER, std::slice::from_ref(entry)).await?;
        session.commit("commit an announcement").await?;
        Ok(true)
    }

    /// The channels on which something is due that nobody has claimed.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn channels_due(&self, now: Timestamp) -> Result<Vec<String>, StoreError> {
        let rows: Vec<(String,)> = self.engine().rows(&DUE, &[now.into()]).await?;
        Ok(rows.into_iter().map(|(channel,)| channel).collect())
    }

    /// Claims messages that are due on a channel, the oldest first.
    ///
    /// # Errors
    /// When the database does not answer. A row that cannot be read is told in the log and left to time.
    pub async fn claim_messages(
        &self,
        channel: &str,
        by: &str,
        now: Timestamp,
        claim_for: Period,
        limit: u32,
    ) -> Result<Vec<Message>, StoreError> {
        type Row = (i64, String, String, String, i64);
        let until = later(now, claim_for);
        let values = [by.into(), until.into(), now.into(), limit.into(), channel.into()];
        let mut session = self.engine().begin().await?;
        let mut rows: Vec<Row> = session.rows(&CLAIM_MESSAGES, &values).await?;
        session.commit("commit the claim of messages").await?;
        // RETURNING promises no order.
        rows.sort_unstable_by_key(|row| row.0);
        let read = |(_, notice, channel, document, attempts): Row| message(&notice, channel, &document, attempts);
        Ok(readable(rows, read))
    }

    /// The channel took it; `false` when it was over before.
    ///
    /// # Errors
    /// When it could not be saved; it is sent again then.
    pub async fn sent(&self, notice: &NoticeId, channel: &str) -> Result<bool, StoreError> {
        let values = [notice.as_str().into(), channel.into()];
        Ok(self.engine().execute(&SENT, &values).await? == 1)
    }

    /// It did not work this time; it waits until `until`.
    ///
    /// # Errors
    /// When it could not be saved; the claim runs out by itself then.
    pub async fn postpone_message(
        &self,
        notice: &NoticeId,
        channel: &str,
        until: Timestamp,
        why: &str,
    ) -> Result<(), StoreError> {
        let values = [notice.as_str().into(), channel.into(), until.into(), why.into()];
        self.engine().execute(&POSTPONE, &values).await.map(drop)
    }

    /// It was not tried after all, because its channel takes no more before `until`. It waits, and whatever else waits for
    /// the channel waits with it: what is told later must not come first.
    ///
    /// # Errors
    /// When it could not be saved; the claim runs out by itself then.
    pub async fn defer_message(
        &self,
        notice: &NoticeId,
        channel: &str,
        until: Timestamp,
        why: &str,
    ) -> Result<(), StoreError> {
        let mut session = self.engine().begin().await?;
        let one = [notice.as_str().into(), channel.into(), until.into(), why.into()];
        session.execute(&DEFER, &one).await?;
        session.execute(&QUEUE_UP, &[channel.into(), until.into()]).await?;
        session.commit("commit the putting off of messages").await
    }

    /// Nobody will try it any more: a dead letter, shown to people. `false` when it was over before.
    ///
    /// # Errors
    /// When it could not be saved.
    pub async fn bury(&self, notice: &NoticeId, channel: &str, why: &str) -> Result<bool, StoreError> {
        let values = [notice.as_str().into(), channel.into(), why.into()];
        Ok(self.engine().execute(&BURY, &values).await? == 1)
    }

    /// Lets another channel say it as well; `false` when that was asked for before, or the channel says it anyway.
    ///
    /// # Errors
    /// When it could not be saved.
    pub async fn hand_on(&self, notice: &Notice, channel: &str, now: Timestamp) -> Result<bool, StoreError> {
        let document = value::seal("a notice", notice)?;
        let values = row(notice, channel.to_owned(), &document, now);
        let mut session = self.engine().begin().await?;
        let new: Vec<(String,)> = session.rows_many(&ANNOUNCE, &values).await?;
        session.commit("commit the handing on of a message").await?;
        Ok(!new.is_empty())
    }

    /// What waits for a channel since `before` or longer, the oldest first, at most `limit`.
    ///
    /// # Errors
    /// When the database does not answer. A row that cannot be read is told in the log and left out.
    pub async fn waiting_for(&self, channel: &str, before: Timestamp, limit: u32) -> Result<Vec<Message>, StoreError> {
        let values = [channel.into(), before.into(), limit.into()];
        let rows: Vec<(String, String, i64)> = self.engine().rows(&WAITING, &values).await?;
        let read = |(notice, document, attempts): (String, String, i64)| {
            message(&notice, channel.to_owned(), &document, attempts)
        };
        Ok(readable(rows, read))
    }

    /// What a channel is told about a rollout from `since` on, the oldest first, at most `limit`.
    ///
    /// # Errors
    /// As [`Self::waiting_for`].
    pub async fn told_since(
        &self,
        rollout: &str,
        channel: &str,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<Notice>, StoreError> {
        let values = [rollout.into(), channel.into(), since.into(), limit.into()];
        let rows: Vec<(String, String)> = self.engine().rows(&SINCE, &values).await?;
        let read = |(notice, document): (String, String)| value::open("messages", &notice, "document", &document);
        Ok(readable(rows, read))
    }

    /// The channels that are told anything about a rollout.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn channels_told_of(&self, rollout: &str) -> Result<Vec<String>, StoreError> {
        let rows: Vec<(String,)> = self.engine().rows(&TOLD, &[rollout.into()]).await?;
        Ok(rows.into_iter().map(|(channel,)| channel).collect())
    }

    pub(super) async fn release_messages(&self, by: &str) -> Result<u64, StoreError> {
        self.engine().execute(&RELEASE, &[by.into()]).await
    }
}

pub(super) fn message(notice: &str, channel: String, document: &str, attempts: i64) -> Result<Message, StoreError> {
    Ok(Message {
        notice: value::open("messages", notice, "document", document)?,
        channel,
        attempts: u32::try_from(count(attempts)).unwrap_or(u32::MAX),
    })
}

/// Stores the notices of a step, once for every channel that carries them. Nobody has to send what the feed shows.
pub(super) async fn enqueue(session: &mut Session, step: &Step, now: Timestamp) -> Result<(), StoreError> {
    let mut values: Vec<Value<'_>> = Vec::new();
    for notice in &step.notices {
        let document = value::seal("a notice", notice)?;
        for channel in step.next.plan.channels_of(notice) {
            values.extend(row(notice, channel, &document, now));
        }
    }
    session.execute_many(&ENQUEUE, &values).await
}

/// A row of [`ENQUEUE`] and [`ANNOUNCE`].
fn row<'a>(notice: &'a Notice, channel: String, document: &str, now: Timestamp) -> [Value<'a>; ENQUEUE.columns] {
    // What is said in the chat is said by being stored.
    let state = if channel == FEED { "sent" } else { "waiting" };
    [
        notice.id.as_str().into(),
        channel.into(),
        notice.about.rollout.as_str().into(),
        document.to_owned().into(),
        notice.at.into(),
        now.into(),
        state.into(),
    ]
}

#[cfg(test)]
mod tests {
    use sqlx::ConnectOptions as _;
    use sqlx::sqlite::SqliteConnectOptions;
    use tempfile::tempdir;

    use super::*;
    use crate::store::Storage;

    /// Else each claim reads everything that a channel was ever told: a server that lives long says less and less.
    #[tokio::test]
    async fn a_claim_looks_at_nothing_but_what_waits() {
        let directory = tempdir().unwrap();
        let store = Store::open(&Storage::directory(directory.path())).await.unwrap();
        store.close().await;
        let options = SqliteConnectOptions::new().filename(directory.path().join("tidegate.db"));
        let mut link = options.connect().await.unwrap();
        let plan = format!("EXPLAIN QUERY PLAN {}", CLAIM_MESSAGES.sqlite);
        let steps: Vec<(i64, i64, i64, String)> = sqlx::query_as(sqlx::AssertSqlSafe(plan))
            .fetch_all(&mut link)
            .await
            .unwrap();
        let steps: Vec<String> = steps.into_iter().map(|step| step.3).collect();
        let found = steps
            .iter()
            .any(|step| step.contains("USING INDEX messages_waiting (channel=?)"));
        assert!(found, "{steps:?}");
    }
}
