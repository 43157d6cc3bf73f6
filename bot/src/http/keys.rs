//! Owns who comes in: tokens and sessions, known by the digest of a secret that only their holder has.
//! Refuses to keep secrets, and to let a person do more than the configuration in force lets them.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use tidegate_rollout::{Period, PersonId, Role};

use crate::config::People;
use crate::secret::{self, Digest};
use crate::store::{NewToken, Store, StoreError, Token, TokenKind};

/// The name that the admin token of the first start acts under.
pub const ADMIN: &str = "admin";

/// So long a key is believed without asking again. A revoked one is gone everywhere after this time.
const CACHED: Duration = Duration::from_secs(1);
/// So many keys are kept in the cache.
const CACHE: usize = 1_024;

/// A key could not be made.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The machine gave no random bits.
    #[error("could not make a secret")]
    Random(#[from] getrandom::Error),
    /// The store did not take it.
    #[error("could not remember the key")]
    Store(#[from] StoreError),
}

/// The keys with a short memory of their own, since every request asks. Clones share both.
#[derive(Clone, Debug)]
pub struct Keyring {
    store: Store,
    seen: Arc<Mutex<HashMap<Digest, (Token, Instant)>>>,
}

impl Keyring {
    /// A ring of what `store` remembers.
    pub fn new(store: Store) -> Self {
        Self {
            store,
            seen: Arc::default(),
        }
    }

    /// The key that `secret` belongs to, if there is one and it has not ended at `now`.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn find(&self, secret: &str, now: Timestamp) -> Result<Option<Token>, StoreError> {
        let digest = Digest::of(secret.as_bytes());
        let seen = self.seen().get(&digest).cloned();
        if let Some((key, at)) = seen
            && at.elapsed() < CACHED
        {
            return Ok(Some(key).filter(|key| key.expires_at.is_none_or(|end| now < end)));
        }
        let found = self.store.token(&digest.0, now).await?;
        self.note(digest, found.as_ref());
        Ok(found)
    }

    /// Makes a key that ends after `ttl`: its number, and its secret, which is given this once and never again.
    ///
    /// # Errors
    /// When it could not be made or remembered.
    pub async fn make(
        &self,
        kind: TokenKind,
        person: PersonId,
        roles: BTreeSet<Role>,
        expires_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(u64, SecretString), KeyError> {
        let prefix = match kind {
            TokenKind::Token => "tg_",
            TokenKind::Session => "tgs_",
        };
        let secret = secret::random(prefix)?;
        let token = NewToken {
            hash: Digest::of(secret.expose_secret().as_bytes()).0,
            kind,
            person,
            roles,
            expires_at,
        };
        Ok((self.store.add_token(&token, now).await?, secret))
    }

    /// Makes sure that `secret` opens as the admin of this server.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn admit_admin(&self, secret: &SecretString, now: Timestamp) -> Result<(), StoreError> {
        let hash = Digest::of(secret.expose_secret().as_bytes()).0;
        if self.store.token(&hash, now).await?.is_some() {
            return Ok(());
        }
        let token = NewToken {
            hash,
            kind: TokenKind::Token,
            person: PersonId::new(ADMIN),
            roles: BTreeSet::from([Role::Admin]),
            expires_at: None,
        };
        match self.store.add_token(&token, now).await {
            Ok(_) => Ok(()),
            // Another replica on the same database may have been faster.
            Err(error) => self.store.token(&hash, now).await?.map(drop).ok_or(error),
        }
    }

    /// Forgets a key; whether there was one by that number.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn revoke(&self, number: u64) -> Result<bool, StoreError> {
        let revoked = self.store.revoke_token(number).await;
        self.seen().clear();
        revoked
    }

    /// Every token that has not ended at `now`, oldest first; sessions are not listed.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn tokens(&self, now: Timestamp) -> Result<Vec<Token>, StoreError> {
        self.store.tokens(TokenKind::Token, now).await
    }

    fn note(&self, digest: Digest, key: Option<&Token>) {
        let mut seen = self.seen();
        if seen.len() >= CACHE {
            seen.clear();
        }
        match key {
            Some(key) => seen.insert(digest, (key.clone(), Instant::now())),
            None => seen.remove(&digest),
        };
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<Digest, (Token, Instant)>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When a key made at `now` ends.
pub(super) fn end(ttl: Period, now: Timestamp) -> Timestamp {
    now.saturating_add(ttl.duration()).unwrap_or(Timestamp::MAX)
}

/// Whether `roles` are a program's, which needs no person behind it.
pub(super) fn of_a_program(roles: &BTreeSet<Role>) -> bool {
    !roles.is_empty() && roles.iter().all(|role| role.is_for_programs())
}

/// What the holder of `key` may do now: what the key allows *and* what the configuration lets the person do; a key
/// without roles allows whatever the person may. Somebody whom the configuration no longer names may do nothing.
pub(super) fn roles_now(key: &Token, people: &People) -> BTreeSet<Role> {
    if of_a_program(&key.roles) || key.person.as_str() == ADMIN {
        return key.roles.clone();
    }
    let Some(person) = people.get(&key.person) else {
        return BTreeSet::new();
    };
    if key.roles.is_empty() {
        return person.roles.clone();
    }
    key.roles.intersection(&person.roles).copied().collect()
}
