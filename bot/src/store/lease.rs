//! Owns who leads and who lives: the lease by the database's clock, and the heartbeats of the replicas.
//! Refuses to trust our wall clock: the lease ends for us, by our monotonic clock, before it ends for the others.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tidegate_rollout::Period;

use super::Store;
use super::dialect::{BEAT, LEAD, LIVE_REPLICAS};
use super::error::StoreError;
use super::sql::statements;
use super::value::{count, moment};
use crate::leadership::Leadership;

statements! {
    RESIGN: "give the lease back" =
        "UPDATE leases SET expires_at = 0 WHERE name = 'lead' AND holder = $1";
    LAST_BEAT: "find the last heartbeat" =
        "SELECT MAX(beat_at) FROM replicas";
    LAST_BEAT_BUT: "find the last heartbeat of the others" =
        "SELECT MAX(beat_at) FROM replicas WHERE id <> $1";
    LEAVE: "tell that a replica lives no more" =
        "UPDATE replicas SET seen_at = 0 WHERE id = $1";
}

/// A replica that lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// Its name; a new one with every start of the process.
    pub id: String,
    /// Its own time at its last heartbeat.
    pub beat_at: Timestamp,
    /// The revision of the flags it serves.
    pub flags_revision: u64,
}

impl Store {
    /// Asks for the lease, or renews it; `None` while another replica leads. `replica` is the name of this process:
    /// a process that was restarted under the same name would go on with a term it knows nothing of.
    ///
    /// # Errors
    /// When the database does not answer: nobody leads then, as far as we know.
    pub async fn lead(&self, replica: &str, ttl: Period) -> Result<Option<Leadership>, StoreError> {
        // Taken before the request is sent: a slow answer shortens what is left. A tenth less, for clocks that run
        // at different speeds.
        let asked = Instant::now();
        let length = Duration::try_from(ttl.duration()).unwrap_or_default();
        let deadline = asked + length.mul_f64(0.9);
        let mut session = self.engine().begin().await?;
        let term: Option<(i64,)> = session.row(&LEAD, &[replica.into(), ttl.into()]).await?;
        session.commit("commit the lease").await?;
        Ok(term.map(|(term,)| Leadership::granted(count(term), deadline)))
    }

    /// Gives back everything a replica holds that is about to end: its claims, the lease, its place among those whom the
    /// others wait for. When it was there last is kept: the time until the next start was watched by nobody.
    ///
    /// # Errors
    /// When it could not be saved; all of it runs out by itself then.
    pub async fn leave(&self, replica: &str) -> Result<(), StoreError> {
        self.release_claims(replica).await?;
        self.engine().execute(&RESIGN, &[replica.into()]).await?;
        self.engine().execute(&LEAVE, &[replica.into()]).await.map(drop)
    }

    /// Whether other replicas may work on the same data: on PostgreSQL always, on SQLite never.
    pub fn is_shared(&self) -> bool {
        !self.engine().has_one_writer()
    }

    /// Tells that this replica lives at `now`, and which revision of the flags it serves.
    ///
    /// # Errors
    /// When it could not be saved.
    pub async fn beat(&self, replica: &str, now: Timestamp, flags_revision: u64) -> Result<(), StoreError> {
        let values = [replica.into(), now.into(), flags_revision.into()];
        self.engine().execute(&BEAT, &values).await.map(drop)
    }

    /// The replicas whose last heartbeat lies `within` a period, by the database's clock.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn live_replicas(&self, within: Period) -> Result<Vec<Replica>, StoreError> {
        let rows: Vec<(String, i64, i64)> = self.engine().rows(&LIVE_REPLICAS, &[within.into()]).await?;
        let replica = |(id, beat_at, flags_revision)| Replica {
            id,
            beat_at: moment(beat_at),
            flags_revision: count(flags_revision),
        };
        Ok(rows.into_iter().map(replica).collect())
    }

    /// The last moment at which any replica lived.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn last_beat(&self) -> Result<Option<Timestamp>, StoreError> {
        let row: Option<(Option<i64>,)> = self.engine().row(&LAST_BEAT, &[]).await?;
        Ok(row.and_then(|(at,)| at).map(moment))
    }

    /// The last moment at which any replica but this one lived.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn last_beat_but(&self, replica: &str) -> Result<Option<Timestamp>, StoreError> {
        let row: Option<(Option<i64>,)> = self.engine().row(&LAST_BEAT_BUT, &[replica.into()]).await?;
        Ok(row.and_then(|(at,)| at).map(moment))
    }
}
