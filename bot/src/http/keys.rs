//! Owns who comes in: tokens and sessions, known by the digest of a secret that only their holder has.
//! Refuses to keep secrets, and to let a person do more than the configuration in force lets them.

mod memory;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use tidegate_rollout::{Period, PersonId, Role};

pub use memory::MemoryKeys;

use crate::config::People;
use crate::secret::{self, Digest};

/// The name that the admin token of the first start acts under.
pub const ADMIN: &str = "admin";

/// So long a key is believed without asking again. A revoked one is gone everywhere after this time.
const CACHED: Duration = Duration::from_secs(1);
/// So many keys are kept in the cache.
const CACHE: usize = 1_024;

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeyKind {
    /// Sent with each request, by a program or by the CLI of a person.
    Token,
    /// Held in a browser's cookie after /login.
    Session,
}

/// One token or session, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its number, by which it is revoked.
    pub number: i64,
    /// What it is for.
    pub kind: KeyKind,
    /// On whose behalf it acts: a person of the configuration, `admin`, or the name of a program.
    pub person: PersonId,
    /// What it may do at most; empty: whatever the person may.
    pub roles: BTreeSet<Role>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends; `None`: when it is revoked.
    pub expires_at: Option<Timestamp>,
}

/// A key to be remembered.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// What its secret is known by.
    pub digest: Digest,
    /// What it is for.
    pub kind: KeyKind,
    /// On whose behalf it acts.
    pub person: PersonId,
    /// What it may do at most; empty: whatever the person may.
    pub roles: BTreeSet<Role>,
    /// Now.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

/// The keys could not be read or changed.
#[derive(Debug, thiserror::Error)]
#[error("could not {tried}")]
pub struct KeysError {
    /// What we tried.
    pub tried: &'static str,
    /// What stood in the way.
    #[source]
    pub source: anyhow::Error,
}

/// Where keys are remembered.
pub trait Keys: Send + Sync {
    /// The key with that digest, expired or not.
    fn key(&self, digest: Digest) -> BoxFuture<'_, Result<Option<Key>, KeysError>>;
    /// Remembers a key and gives its number.
    fn add(&self, key: NewKey) -> BoxFuture<'_, Result<i64, KeysError>>;
    /// Forgets a key; whether there was one by that number.
    fn revoke(&self, number: i64) -> BoxFuture<'_, Result<bool, KeysError>>;
    /// Every key, oldest first.
    fn list(&self) -> BoxFuture<'_, Result<Vec<Key>, KeysError>>;
}

/// The keys with a short memory of their own, since every request asks. Clones share both.
#[derive(Clone)]
pub struct Keyring {
    keys: Arc<dyn Keys>,
    seen: Arc<Mutex<HashMap<Digest, (Key, Instant)>>>,
}

impl Keyring {
    /// A ring of what `keys` remembers.
    pub fn new(keys: Arc<dyn Keys>) -> Self {
        Self {
            keys,
            seen: Arc::default(),
        }
    }

    /// The key that `secret` belongs to, if there is one and it has not ended at `now`.
    pub async fn find(&self, secret: &str, now: Timestamp) -> Result<Option<Key>, KeysError> {
        let digest = Digest::of(secret.as_bytes());
        let seen = self.seen().get(&digest).cloned();
        let key = match seen {
            Some((key, at)) if at.elapsed() < CACHED => Some(key),
            _ => {
                let found = self.keys.key(digest).await?;
                self.note(digest, found.as_ref());
                found
            }
        };
        Ok(key.filter(|key| key.expires_at.is_none_or(|end| now < end)))
    }

    /// Makes a key of `kind` that ends after `ttl`. The secret is given once and never again.
    pub async fn make(
        &self,
        kind: KeyKind,
        person: &PersonId,
        roles: BTreeSet<Role>,
        ttl: Option<Period>,
        now: Timestamp,
    ) -> Result<(i64, SecretString), KeysError> {
        let prefix = match kind {
            KeyKind::Token => "tg_",
            KeyKind::Session => "tgs_",
        };
        let secret = secret::random(prefix).map_err(|error| KeysError {
            tried: "make a secret",
            source: error.into(),
        })?;
        let ends = |ttl: Period| now.saturating_add(ttl.duration()).unwrap_or(Timestamp::MAX);
        let new = NewKey {
            digest: Digest::of(secret.expose_secret().as_bytes()),
            kind,
            person: person.clone(),
            roles,
            created_at: now,
            expires_at: ttl.map(ends),
        };
        Ok((self.keys.add(new).await?, secret))
    }

    /// Makes sure that `secret` opens as the admin of this server.
    pub async fn admit_admin(&self, secret: &SecretString, now: Timestamp) -> Result<(), KeysError> {
        let digest = Digest::of(secret.expose_secret().as_bytes());
        if self.keys.key(digest).await?.is_some() {
            return Ok(());
        }
        let new = NewKey {
            digest,
            kind: KeyKind::Token,
            person: PersonId::new(ADMIN),
            roles: BTreeSet::from([Role::Admin]),
            created_at: now,
            expires_at: None,
        };
        self.keys.add(new).await.map(|_| ())
    }

    /// Forgets a key; whether there was one by that number.
    pub async fn revoke(&self, number: i64) -> Result<bool, KeysError> {
        let revoked = self.keys.revoke(number).await;
        self.seen().clear();
        revoked
    }

    /// Every key that has not ended at `now`, oldest first.
    pub async fn list(&self, now: Timestamp) -> Result<Vec<Key>, KeysError> {
        let mut keys = self.keys.list().await?;
        keys.retain(|key| key.expires_at.is_none_or(|end| now < end));
        Ok(keys)
    }

    fn note(&self, digest: Digest, key: Option<&Key>) {
        let mut seen = self.seen();
        if seen.len() >= CACHE {
            seen.clear();
        }
        match key {
            Some(key) => seen.insert(digest, (key.clone(), Instant::now())),
            None => seen.remove(&digest),
        };
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<Digest, (Key, Instant)>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Key {
    /// What its holder may do now: what the key allows *and* what the configuration lets the person do. Somebody whom
    /// the configuration no longer names may do nothing.
    pub fn roles_now(&self, people: &People) -> BTreeSet<Role> {
        let for_programs = !self.roles.is_empty() && self.roles.iter().all(|role| role.is_for_programs());
        if for_programs || self.person.as_str() == ADMIN {
            return self.roles.clone();
        }
        let Some(person) = people.get(&self.person) else {
            return BTreeSet::new();
        };
        if self.roles.is_empty() {
            return person.roles.clone();
        }
        self.roles.intersection(&person.roles).copied().collect()
    }
}
