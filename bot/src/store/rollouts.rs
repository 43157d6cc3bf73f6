//! Owns the rollouts as they stand: reading them, one, some or those that changed.
//! Refuses to change them; that is [`super::save`] and [`super::begin`].

use tidegate_rollout::{Rollout, RolloutId};

use super::Store;
use super::error::StoreError;
use super::inbox::Starts;
use super::sql::statements;
use super::value::{self, count, readable};

statements! {
    ONE: "read a rollout" =
        "SELECT id, document FROM rollouts WHERE id = $1";
    ACTIVE: "list the active rollouts" =
        "SELECT id, document FROM rollouts WHERE is_final = 0 OR owes_word = 1 ORDER BY started_at, id";
    NEWEST: "list the rollouts" =
        "SELECT id, document FROM rollouts ORDER BY started_at DESC, id DESC LIMIT $1";
    CHANGED: "list what changed" =
        "SELECT id, document FROM rollouts WHERE revision > $1 ORDER BY revision";
    MOVED: "list the ids of what changed" =
        "SELECT id FROM rollouts WHERE revision > $1 ORDER BY revision";
    POSITION: "read how far the rollouts are" =
        "SELECT name, value FROM counters WHERE name IN ('rollouts', 'starts')";
    REVISION: "read a counter" =
        "SELECT value FROM counters WHERE name = $1";
}

/// The counter that every save moves on, in the order of the commits.
pub(super) const REVISIONS: &str = "rollouts";
/// The counter that every start moves on.
pub(super) const STARTS: &str = "starts";

/// How far the rollouts of the store are, read at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Everything up to this revision is saved.
    pub revision: u64,
    /// So many were started.
    pub starts: Starts,
}

impl Store {
    /// One rollout; `None` when there is none by that id.
    ///
    /// # Errors
    /// When the database does not answer, or the row cannot be read.
    pub async fn rollout(&self, id: &RolloutId) -> Result<Option<Rollout>, StoreError> {
        let row: Option<(String, String)> = self.engine().row(&ONE, &[id.as_str().into()]).await?;
        row.as_ref().map(read).transpose()
    }

    /// Every rollout that is not over, or of which somebody is still to be told, the oldest first.
    ///
    /// # Errors
    /// When the database does not answer. A row that cannot be read is told in the log and left out.
    pub async fn active(&self) -> Result<Vec<Rollout>, StoreError> {
        let rows: Vec<(String, String)> = self.engine().rows(&ACTIVE, &[]).await?;
        Ok(readable(&rows, read))
    }

    /// The newest rollouts, over or not.
    ///
    /// # Errors
    /// When the database does not answer. A row that cannot be read is told in the log and left out.
    pub async fn list(&self, limit: u32) -> Result<Vec<Rollout>, StoreError> {
        let rows: Vec<(String, String)> = self.engine().rows(&NEWEST, &[limit.into()]).await?;
        Ok(readable(&rows, read))
    }

    /// The rollouts saved after `revision`, and the position up to which they are all: its revision is what to ask with
    /// next time. For the caches of other replicas.
    ///
    /// # Errors
    /// When the database does not answer. A row that cannot be read is told in the log and left out.
    pub async fn changed_since(&self, revision: u64) -> Result<(Vec<Rollout>, Position), StoreError> {
        // Read first: what is saved between the two questions is answered now, and once more next time.
        let latest = self.position().await?;
        if latest.revision <= revision {
            return Ok((Vec::new(), latest));
        }
        let rows: Vec<(String, String)> = self.engine().rows(&CHANGED, &[revision.into()]).await?;
        Ok((readable(&rows, read), latest))
    }

    /// How far the rollouts are now, to begin with.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn position(&self) -> Result<Position, StoreError> {
        let counters: Vec<(String, i64)> = self.engine().rows(&POSITION, &[]).await?;
        let value = |name| {
            let counter = counters.iter().find(|(counter, _)| counter == name);
            counter.map_or(0, |(_, value)| count(*value))
        };
        Ok(Position {
            revision: value(REVISIONS),
            starts: Starts(value(STARTS)),
        })
    }

    /// As [`Self::changed_since`], the ids alone.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn moved_since(&self, revision: u64) -> Result<(Vec<RolloutId>, u64), StoreError> {
        let latest = self.counter(REVISIONS).await?;
        if latest <= revision {
            return Ok((Vec::new(), latest));
        }
        let rows: Vec<(String,)> = self.engine().rows(&MOVED, &[revision.into()]).await?;
        Ok((rows.into_iter().map(|(id,)| RolloutId::new(id)).collect(), latest))
    }

    pub(super) async fn counter(&self, name: &str) -> Result<u64, StoreError> {
        let row: Option<(i64,)> = self.engine().row(&REVISION, &[name.into()]).await?;
        Ok(row.map_or(0, |(value,)| count(value)))
    }
}

fn read((id, document): &(String, String)) -> Result<Rollout, StoreError> {
    value::open("rollouts", id, "document", document)
}
