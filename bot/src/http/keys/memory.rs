//! Owns keys that live as long as the process: for the demo and for tests.
//! Refuses nothing.

use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};

use super::{Key, Keys, KeysError, NewKey};
use crate::secret::Digest;

/// Keys in memory.
#[derive(Debug, Default)]
pub struct MemoryKeys(Mutex<Vec<(Digest, Key)>>);

impl MemoryKeys {
    fn all(&self) -> MutexGuard<'_, Vec<(Digest, Key)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keys for MemoryKeys {
    fn key(&self, digest: Digest) -> BoxFuture<'_, Result<Option<Key>, KeysError>> {
        let found = self
            .all()
            .iter()
            .find(|(known, _)| known.is(&digest))
            .map(|(_, key)| key.clone());
        ready(Ok(found)).boxed()
    }

    fn add(&self, new: NewKey) -> BoxFuture<'_, Result<i64, KeysError>> {
        let mut all = self.all();
        let number = all.last().map_or(1, |(_, key)| key.number + 1);
        let key = Key {
            number,
            kind: new.kind,
            person: new.person,
            roles: new.roles,
            created_at: new.created_at,
            expires_at: new.expires_at,
        };
        all.push((new.digest, key));
        ready(Ok(number)).boxed()
    }

    fn revoke(&self, number: i64) -> BoxFuture<'_, Result<bool, KeysError>> {
        let mut all = self.all();
        let before = all.len();
        all.retain(|(_, key)| key.number != number);
        ready(Ok(all.len() < before)).boxed()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Key>, KeysError>> {
        let all = self.all().iter().map(|(_, key)| key.clone()).collect();
        ready(Ok(all)).boxed()
    }
}
