//! Owns who comes in: tokens and sessions, known by the digest of a secret that only their holder has.
//! Refuses to keep secrets, and to let a guess cost more than a look: what is wrong is remembered for a second.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use tidegate_rollout::{Actor, Entry, PersonId, Role, Surface};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::secret::{self, Digest};
use crate::store::{NewToken, Store, StoreError, Token, TokenKind};

/// The name that the admin token of the first start acts under.
pub const ADMIN: &str = "admin";

/// So long a key is believed without asking again. A revoked one is gone everywhere after this time.
const CACHED: Duration = Duration::from_secs(1);
/// So many keys are kept in the cache, and so many wrong ones beside them.
const CACHE: usize = 1_024;
/// So many keys are looked up in the store at a time: strangers who guess must not take the connections from those
/// who roll back.
const LOOKUPS: usize = 2;
/// So long a lookup waits for its turn.
const PATIENCE: Duration = Duration::from_secs(2);
/// So long it may take then: whoever asks, a prober above all, shall hear that the store is away before they give up.
const LOOKUP: Duration = Duration::from_secs(4);

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

/// A key could not be looked up.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// Too many keys are being looked up.
    #[error("too many keys are being looked up")]
    Busy,
    /// The store takes too long.
    #[error("the store did not look up a key in {} s", LOOKUP.as_secs())]
    Late,
    /// The store does not answer.
    #[error("could not look up a key")]
    Store(#[from] StoreError),
}

/// A key to be made.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Who comes in with it.
    pub person: PersonId,
    /// What they may do with it at most.
    pub roles: BTreeSet<Role>,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
}

/// The keys with a short memory of their own, since every request asks. Clones share both.
#[derive(Clone, Debug)]
pub struct Keyring {
    store: Store,
    seen: Arc<Mutex<Seen>>,
    lookups: Arc<Semaphore>,
    revoked: Arc<watch::Sender<u64>>,
}

/// What was found a moment ago. The wrong ones are kept apart, so that they never push out the good ones.
#[derive(Debug, Default)]
struct Seen {
    good: HashMap<Digest, (Token, Instant)>,
    wrong: HashMap<Digest, Instant>,
}

impl Keyring {
    /// A ring of what `store` remembers.
    pub fn new(store: Store) -> Self {
        Self {
            store,
            seen: Arc::default(),
            lookups: Arc::new(Semaphore::new(LOOKUPS)),
            revoked: Arc::default(),
        }
    }

    /// The key that `secret` belongs to, if there is one and it has not ended at `now`.
    ///
    /// # Errors
    /// When the store does not answer, or too many ask it already.
    pub async fn find(&self, secret: &str, now: Timestamp) -> Result<Option<Token>, FindError> {
        let digest = Digest::of(secret.as_bytes());
        if let Some(known) = self.seen().recall(&digest, now) {
            return Ok(known);
        }
        let turn = timeout(PATIENCE, self.lookups.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            return Err(FindError::Busy);
        };
        let found = timeout(LOOKUP, self.store.token(&digest.0, now)).await;
        let found = found.map_err(|_| FindError::Late)??;
        self.seen().note(digest, found.as_ref());
        Ok(found)
    }

    /// Makes a token at the word of `by`: its number, and its secret, which is given this once and never again.
    ///
    /// # Errors
    /// When it could not be made or remembered.
    pub async fn make(&self, wanted: Wanted, by: &Actor, now: Timestamp) -> Result<(u64, SecretString), KeyError> {
        let what = described(&wanted);
        let said = |number| line("token-made", by, format!("Made token {number} for {what}."), now);
        self.add(TokenKind::Token, wanted, None, said, now).await
    }

    /// Opens a session for who showed `key`: its number, and its secret. It ends with the key. `None`: the key was
    /// revoked meanwhile.
    ///
    /// # Errors
    /// When it could not be made or remembered.
    pub async fn open_session(
        &self,
        key: &Token,
        wanted: Wanted,
        now: Timestamp,
    ) -> Result<Option<(u64, SecretString)>, KeyError> {
        let by = Actor {
            person: wanted.person.clone(),
            roles: BTreeSet::new(),
            surface: Surface::Page,
        };
        // An invitation is no token, and has no number.
        let parent = Some(key.number).filter(|number| *number > 0);
        let said = |number| {
            let how = parent.map_or("an invitation".to_owned(), |parent| format!("token {parent}"));
            let text = format!("{} signed in with {how}: session {number}.", by.person);
            line("signed-in", &by, text, now)
        };
        match self.add(TokenKind::Session, wanted, parent, said, now).await {
            Ok(made) => Ok(Some(made)),
            Err(error) => match parent {
                Some(number) if !self.is_there(number, now).await? => Ok(None),
                Some(_) | None => Err(error),
            },
        }
    }

    async fn is_there(&self, number: u64, now: Timestamp) -> Result<bool, StoreError> {
        let tokens = self.store.tokens(TokenKind::Token, now).await?;
        Ok(tokens.iter().any(|token| token.number == number))
    }

    async fn add(
        &self,
        kind: TokenKind,
        wanted: Wanted,
        parent: Option<u64>,
        said: impl FnOnce(u64) -> Entry + Send,
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
            person: wanted.person,
            roles: wanted.roles,
            expires_at: wanted.expires_at,
            parent,
        };
        Ok((self.store.add_token(&token, said, now).await?, secret))
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
            parent: None,
        };
        let said = |number| {
            let text = format!("Admitted the admin token of the storage directory as token {number}.");
            Entry::own(now, "token-made", text)
        };
        match self.store.add_token(&token, said, now).await {
            Ok(_) => Ok(()),
            // Another replica on the same database may have been faster.
            Err(error) => self.store.token(&hash, now).await?.map(drop).ok_or(error),
        }
    }

    /// Forgets a key at the word of `by`, and the sessions it opened; whether there was one by that number.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn revoke(&self, number: u64, by: &Actor, now: Timestamp) -> Result<bool, StoreError> {
        let text = format!("Revoked token {number} and every session opened with it.");
        self.forget(number, line("token-revoked", by, text, now)).await
    }

    /// Ends the session of `by`, at their own word.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn sign_out(&self, session: u64, by: &Actor, now: Timestamp) -> Result<bool, StoreError> {
        let text = format!("{} signed out: session {session}.", by.person);
        self.forget(session, line("signed-out", by, text, now)).await
    }

    async fn forget(&self, number: u64, said: Entry) -> Result<bool, StoreError> {
        let revoked = self.store.revoke_token(number, &said).await;
        // Wrong ones stay wrong: nobody can make a key that was guessed before.
        self.seen().good.clear();
        self.revoked.send_modify(|times| *times = times.wrapping_add(1));
        revoked
    }

    /// Changes whenever a key is forgotten here, so that whoever is being served for longer looks again.
    pub fn revocations(&self) -> watch::Receiver<u64> {
        self.revoked.subscribe()
    }

    /// Every token and session that has not ended at `now`, oldest first.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn keys(&self, now: Timestamp) -> Result<Vec<Token>, StoreError> {
        let mut all = self.store.tokens(TokenKind::Token, now).await?;
        all.extend(self.store.tokens(TokenKind::Session, now).await?);
        all.sort_by_key(|key| key.number);
        Ok(all)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// What is known of a digest, if it was looked up a moment ago.
    fn recall(&self, digest: &Digest, now: Timestamp) -> Option<Option<Token>> {
        if self.wrong.get(digest).is_some_and(|at| at.elapsed() < CACHED) {
            return Some(None);
        }
        let (key, at) = self.good.get(digest)?;
        let counts = |key: &Token| key.expires_at.is_none_or(|end| now < end);
        (at.elapsed() < CACHED).then(|| Some(key.clone()).filter(counts))
    }

    fn note(&mut self, digest: Digest, key: Option<&Token>) {
        if self.good.len() >= CACHE {
            self.good.clear();
        }
        if self.wrong.len() >= CACHE {
            self.wrong.clear();
        }
        match key {
            Some(key) => drop(self.good.insert(digest, (key.clone(), Instant::now()))),
            None => {
                self.good.remove(&digest);
                self.wrong.insert(digest, Instant::now());
            }
        }
    }
}

fn line(kind: &str, by: &Actor, text: String, at: Timestamp) -> Entry {
    Entry {
        at,
        kind: kind.to_owned(),
        by: by.person.to_string(),
        surface: Some(by.surface),
        text,
    }
}

fn described(wanted: &Wanted) -> String {
    let roles: Vec<_> = wanted.roles.iter().map(|role| role.word()).collect();
    let roles = match roles.as_slice() {
        [] => "whatever they may".to_owned(),
        roles => roles.join(", "),
    };
    let end = wanted
        .expires_at
        .map(|end| format!(", until {end:.0}"))
        .unwrap_or_default();
    format!("{} ({roles}{end})", wanted.person)
}
