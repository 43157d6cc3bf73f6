//! Owns the flags that services evaluate, and the fence before them.
//! Refuses a write that a later decision has overtaken: the rollout's own row is the fence, so that after a durable
//! rollback nothing can raise the weight again.

use tidegate_rollout::flag::FlagState;

use super::Store;
use super::dialect::FENCE;
use super::engine::Session;
use super::error::StoreError;
use super::save::next_count;
use super::sql::statements;
use super::value::{self, Value, count};
use crate::failpoint;

statements! {
    ONE: "read a flag" =
        "SELECT rollout, epoch, document, revision FROM flags WHERE key = $1";
    EVERY: "list the flags" =
        "SELECT key, document FROM flags ORDER BY key";
    WRITE: "write a flag" =
        "INSERT INTO flags (key, rollout, epoch, document, revision) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (key) DO UPDATE SET rollout = excluded.rollout, epoch = excluded.epoch,
           document = excluded.document, revision = excluded.revision";
}

/// The counter that every change of a flag moves on.
const REVISIONS: &str = "flags";

/// How the writing of a flag went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagWrite {
    /// It is durable, as of this revision of the flags.
    Written {
        /// The revision.
        revision: u64,
    },
    /// A later decision stands; nothing was written.
    Fenced {
        /// Its epoch.
        epoch: u64,
    },
}

struct Stored {
    rollout: String,
    epoch: u64,
    document: String,
    revision: u64,
}

impl Store {
    /// Writes a flag, unless a later decision stands: a higher epoch on the flag, or in the rollout that writes.
    /// Writing the same again changes nothing.
    ///
    /// # Errors
    /// When it could not be saved.
    pub async fn write_flag(&self, flag: &FlagState) -> Result<FlagWrite, StoreError> {
        let mut session = self.begin_in_a_hurry().await?;
        // Its row lets one writer of flags through at a time.
        let revision = next_count(&mut session, REVISIONS).await?;
        let stored = read(&mut session, &flag.key).await?;
        if let Some(epoch) = fence(&mut session, flag, stored.as_ref()).await? {
            session.undo().await?;
            return Ok(FlagWrite::Fenced { epoch });
        }
        let document = value::seal("a flag", flag)?;
        if let Some(stored) = stored
            && stored.document == document
        {
            session.undo().await?;
            return Ok(FlagWrite::Written {
                revision: stored.revision,
            });
        }
        let values = [
            flag.key.as_str().into(),
            flag.rollout.as_str().into(),
            flag.epoch.into(),
            Value::from(&document),
            revision.into(),
        ];
        session.execute(&WRITE, &values).await?;
        failpoint::hit!("store.flag.before-commit");
        session.commit("commit a flag").await?;
        failpoint::hit!("store.flag.after-commit");
        Ok(FlagWrite::Written { revision })
    }

    /// Every flag, and the revision they are at.
    ///
    /// # Errors
    /// When the database does not answer, or a row cannot be read.
    pub async fn flags(&self) -> Result<(Vec<FlagState>, u64), StoreError> {
        // Read first: a flag may be newer than the revision says, never older.
        let revision = self.flags_revision().await?;
        let rows: Vec<(String, String)> = self.engine().rows(&EVERY, &[]).await?;
        let flags = rows
            .iter()
            .map(|(key, document)| value::open("flags", key, "document", document))
            .collect::<Result<_, _>>()?;
        Ok((flags, revision))
    }

    /// The revision the flags are at: a cheap question, for replicas that serve an older one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn flags_revision(&self) -> Result<u64, StoreError> {
        self.counter(REVISIONS).await
    }
}

async fn read(session: &mut Session, key: &str) -> Result<Option<Stored>, StoreError> {
    let row: Option<(String, i64, String, i64)> = session.row(&ONE, &[key.into()]).await?;
    Ok(row.map(|(rollout, epoch, document, revision)| Stored {
        rollout,
        epoch: count(epoch),
        document,
        revision: count(revision),
    }))
}

/// The epoch of the later decision, if there is one. Epochs of a target only grow, from one rollout to the next too.
async fn fence(session: &mut Session, flag: &FlagState, stored: Option<&Stored>) -> Result<Option<u64>, StoreError> {
    let decided: Option<(i64,)> = session.row(&FENCE, &[flag.rollout.as_str().into()]).await?;
    if let Some((decided,)) = decided
        && count(decided) > flag.epoch
    {
        return Ok(Some(count(decided)));
    }
    let overtaken =
        |stored: &&Stored| stored.epoch > flag.epoch || (stored.epoch == flag.epoch && stored.rollout != flag.rollout);
    Ok(stored.filter(overtaken).map(|stored| stored.epoch))
}
