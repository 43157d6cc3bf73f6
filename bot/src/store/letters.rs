//! Owns the dead letters: what nobody will try to say any more, until a person asks for one more try; and what did not come through yet.
//! Refuses to lose them silently: they are counted, shown, and go only with their rollout or after the retention.

use jiff::Timestamp;
use tidegate_rollout::{Entry, NoticeId};

use super::Store;
use super::error::StoreError;
use super::log::{SERVER, append};
use super::messages::{Message, message};
use super::sql::statements;
use super::value::{count, moment, readable};

statements! {
    BURIED: "list the dead letters" =
        "SELECT notice, channel, document, attempts, created_at, COALESCE(why, '') FROM messages
         WHERE state = 'buried' ORDER BY number DESC LIMIT $1";
    COUNT: "count the dead letters" =
        "SELECT COUNT(*) FROM messages WHERE state = 'buried'";
    TRIED_ON: "list what is tried on" =
        "SELECT channel, why, COUNT(*), MIN(created_at) FROM messages
         WHERE state = 'waiting' AND why IS NOT NULL AND attempts > 0
         GROUP BY channel, why ORDER BY MIN(created_at) LIMIT $1";
    REVIVE: "try a dead letter once more" =
        "UPDATE messages SET state = 'waiting', why = NULL, attempts = 0, claimed_until = 0, due_at = $3
         WHERE notice = $1 AND channel = $2 AND state = 'buried'";
}

/// A message that nobody will try to send any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// What should have been said, where, and how often it was tried.
    pub message: Message,
    /// When it was decided to say it.
    pub created_at: Timestamp,
    /// What stood in the way the last time.
    pub why: String,
}

/// Messages of one channel that did not come through yet, for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriedOn {
    /// Where they go.
    pub channel: String,
    /// How many there are.
    pub count: u64,
    /// When it was decided to say the first of them.
    pub since: Timestamp,
    /// What stood in the way the last time.
    pub why: String,
}

impl Store {
    /// What failed and is tried on, the oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn tried_on(&self, limit: u32) -> Result<Vec<TriedOn>, StoreError> {
        type Row = (String, String, i64, i64);
        let rows: Vec<Row> = self.engine().rows(&TRIED_ON, &[limit.into()]).await?;
        let read = |(channel, why, messages, since): Row| TriedOn {
            channel,
            count: count(messages),
            since: moment(since),
            why,
        };
        Ok(rows.into_iter().map(read).collect())
    }

    /// The newest dead letters that can be read.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, StoreError> {
        type Row = (String, String, String, i64, i64, String);
        let rows: Vec<Row> = self.engine().rows(&BURIED, &[limit.into()]).await?;
        let read = |(notice, channel, document, attempts, created_at, why): Row| {
            Ok(DeadLetter {
                message: message(&notice, channel, &document, attempts)?,
                created_at: moment(created_at),
                why,
            })
        };
        Ok(readable(rows, read))
    }

    /// How many dead letters there are.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn count_dead_letters(&self) -> Result<u64, StoreError> {
        let row: Option<(i64,)> = self.engine().row(&COUNT, &[]).await?;
        Ok(row.map_or(0, |(letters,)| count(letters)))
    }

    /// A dead letter waits to be said again, and `said` stands in the server's log; `false` when there is none such.
    ///
    /// # Errors
    /// When it could not be saved.
    pub async fn revive(
        &self,
        notice: &NoticeId,
        channel: &str,
        said: &Entry,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut session = self.engine().begin().await?;
        let values = [notice.as_str().into(), channel.into(), now.into()];
        if session.execute(&REVIVE, &values).await? == 0 {
            session.undo().await?;
            return Ok(false);
        }
        append(&mut session, SERVER, std::slice::from_ref(said)).await?;
        session.commit("commit another try").await?;
        Ok(true)
    }
}
