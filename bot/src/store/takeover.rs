//! Owns what dead processes leave behind: claims nobody works on, a lease nobody holds, heartbeats of nobody.
//! Refuses to wait for them to run out where it is known that their owner is gone: a rollback may be among them.

use std::fs::{File, TryLockError};
use std::time::{Duration, Instant};

use tidegate_rollout::Period;

use super::Store;
use super::dialect::RELEASE_ORPHANS;
use super::engine::Engine;
use super::error::{OpenError, StoreError};
use super::open::{Place, Storage};
use super::sql::statements;

statements! {
    FREE_ACTIONS: "free the actions of the process before" =
        "UPDATE actions SET claimed_until = 0 WHERE outcome IS NULL AND claimed_until > 0";
    FREE_MESSAGES: "free the messages of the process before" =
        "UPDATE messages SET claimed_until = 0 WHERE state = 'waiting' AND claimed_until > 0";
    FREE_CARDS: "free the cards of the process before" =
        "UPDATE cards SET claimed_until = 0 WHERE claimed_until > 0";
    END_LEASES: "end the lease of the process before" =
        "UPDATE leases SET expires_at = 0";
    LAY_TO_REST: "forget that the process before lives" =
        "UPDATE replicas SET seen_at = 0";
}

/// Locked as long as a server serves from the directory; the system unlocks it when the process dies, however it dies.
const LOCK: &str = "tidegate.lock";
/// A process that was told to stop gives the directory free within this time.
const GOES_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl Store {
    /// Takes over from the process before, where it is certain that there is no other any more: on SQLite, by a lock on
    /// the directory that dies with its owner. Answers whether it did. On PostgreSQL other replicas may live, and
    /// [`Store::release_orphans`] judges them by their heartbeats.
    ///
    /// # Errors
    /// [`OpenError::Taken`] when another process still holds the directory after some seconds, in which one that was told to
    /// stop is gone; others when the lock or the database cannot be written.
    pub async fn take_over(&self, storage: &Storage) -> Result<bool, OpenError> {
        let (Place::Sqlite { dir }, Engine::Sqlite { .. }) = (&storage.place, self.engine()) else {
            return Ok(false);
        };
        let unusable = |source| OpenError::Directory {
            path: dir.clone(),
            source,
        };
        let lock = File::options()
            .create(true)
            .append(true)
            .open(dir.join(LOCK))
            .map_err(unusable)?;
        let asked = Instant::now();
        loop {
            match lock.try_lock() {
                Ok(()) => break self.keep(lock),
                Err(TryLockError::WouldBlock) if asked.elapsed() < GOES_WITHIN => tokio::time::sleep(LOOK_EVERY).await,
                Err(TryLockError::WouldBlock) => return Err(OpenError::Taken { path: dir.clone() }),
                Err(TryLockError::Error(source)) => return Err(unusable(source)),
            }
        }
        let mut session = self.engine().begin().await?;
        for statement in STATEMENTS {
            session.execute(statement, &[]).await?;
        }
        session.commit("commit the takeover").await?;
        Ok(true)
    }

    /// Frees what replicas have claimed that were not heard of for a while and that lowers a weight: at worst it is done
    /// twice, which is better than late.
    ///
    /// # Errors
    /// When it could not be saved; the claims run out by themselves then.
    pub async fn release_orphans(&self, silent_for: Period) -> Result<u64, StoreError> {
        self.engine().execute(&RELEASE_ORPHANS, &[silent_for.into()]).await
    }
}
