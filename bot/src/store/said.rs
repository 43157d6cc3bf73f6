//! Owns what was said on a channel, for whoever shows it: the web chat of every replica, after every start.
//! Refuses to send anything, and to change a row.

use std::collections::BTreeMap;

use tidegate_rollout::{Notice, RolloutId};

use super::Store;
use super::error::StoreError;
use super::sql::statements;
use super::value::{self, count, readable};

statements! {
    LATEST: "list what was said last" =
        "SELECT number, rollout, notice, document FROM messages WHERE channel = $1 ORDER BY number DESC LIMIT $2";
    AFTER: "list what was said since" =
        "SELECT number, rollout, notice, document FROM messages
         WHERE rollout = $1 AND channel = $2 AND number > $3 ORDER BY number LIMIT $4";
    UNTIL: "find what was said last about each rollout" =
        "SELECT m.rollout, MAX(m.number) FROM messages AS m JOIN rollouts AS r ON r.id = m.rollout
         WHERE m.channel = $1 AND r.is_final = 0 GROUP BY m.rollout";
}

/// The channel that is read from here: what is stored for it is said.
pub const FEED: &str = "chat";

/// A notice with its number. The numbers of one rollout grow in the order of its steps; those of different rollouts may
/// be committed in another order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The number.
    pub number: u64,
    /// The rollout.
    pub rollout: RolloutId,
    /// What was said.
    pub notice: Notice,
}

type Row = (i64, String, String, String);

impl Store {
    /// What was said on a channel last, over all rollouts, the newest last.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn said_last(&self, channel: &str, limit: u32) -> Result<Vec<Said>, StoreError> {
        let mut rows: Vec<Row> = self.engine().rows(&LATEST, &[channel.into(), limit.into()]).await?;
        rows.reverse();
        Ok(readable(rows, read))
    }

    /// What was said about a rollout on a channel after a number, the newest last.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn said_after(
        &self,
        rollout: &RolloutId,
        channel: &str,
        number: u64,
        limit: u32,
    ) -> Result<Vec<Said>, StoreError> {
        let values = [rollout.as_str().into(), channel.into(), number.into(), limit.into()];
        let rows: Vec<Row> = self.engine().rows(&AFTER, &values).await?;
        Ok(readable(rows, read))
    }

    /// The number of what was said last about each rollout that is not over.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn said_until(&self, channel: &str) -> Result<BTreeMap<RolloutId, u64>, StoreError> {
        let rows: Vec<(String, i64)> = self.engine().rows(&UNTIL, &[channel.into()]).await?;
        Ok(rows
            .into_iter()
            .map(|(rollout, number)| (RolloutId::new(rollout), count(number)))
            .collect())
    }
}

fn read((number, rollout, notice, document): Row) -> Result<Said, StoreError> {
    Ok(Said {
        number: count(number),
        rollout: RolloutId::new(rollout),
        notice: value::open("messages", &notice, "document", &document)?,
    })
}
