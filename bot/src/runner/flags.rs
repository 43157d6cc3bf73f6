//! Owns the book of flags: the store, as the flag driver sees it, and how long a replica serves them without it.
//! Refuses anything that is not about flags.

use std::time::Duration;

use anyhow::Context;
use tidegate_rollout::Period;
use tidegate_rollout::flag::FlagState;

use crate::driver::flag::{FlagBook, Written};
use crate::store::{FlagWrite, Store};

/// A replica that was not heard of for so long serves nobody: the others need not wait for it any more.
pub(super) const REPLICA_GONE: Period = Period::seconds(3);
/// So long after the last sign of life was sent it serves; a tenth less, for clocks that run at different speeds.
pub(super) const SERVES: Duration = Duration::from_millis(2_700);

/// The store as a book of flags.
pub(super) struct Book {
    pub(super) store: Store,
    pub(super) replica: String,
}

impl FlagBook for Book {
    async fn write(&self, flag: &FlagState) -> anyhow::Result<Written> {
        let written = self.store.write_flag(flag).await.context("store the flag")?;
        Ok(match written {
            FlagWrite::Written { revision } => Written::Durable { revision },
            FlagWrite::Fenced { epoch } => Written::Fenced { epoch },
        })
    }

    async fn read(&self) -> anyhow::Result<(Vec<FlagState>, u64)> {
        self.store.flags().await.context("read the flags")
    }

    async fn served_everywhere(&self, revision: u64) -> anyhow::Result<bool> {
        let replicas = self
            .store
            .live_replicas(REPLICA_GONE)
            .await
            .context("list the replicas")?;
        Ok(replicas
            .iter()
            .all(|replica| replica.id == self.replica || replica.flags_revision >= revision))
    }
}
