//! Owns the book of flags: the store, as the flag driver sees it.
//! Refuses anything that is not about flags.

use anyhow::Context;
use tidegate_rollout::Period;
use tidegate_rollout::flag::FlagState;

use crate::driver::flag::FlagBook;
use crate::store::{FlagWrite, Store};

/// A replica that was not heard of for so long serves nobody.
pub(super) const REPLICA_GONE: Period = Period::seconds(3);

/// The store as a book of flags.
pub(super) struct Book {
    pub(super) store: Store,
    pub(super) replica: String,
}

impl FlagBook for Book {
    async fn write(&self, flag: &FlagState) -> anyhow::Result<Result<(), u64>> {
        let written = self.store.write_flag(flag).await.context("store the flag")?;
        Ok(match written {
            FlagWrite::Written { .. } => Ok(()),
            FlagWrite::Fenced { epoch } => Err(epoch),
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
