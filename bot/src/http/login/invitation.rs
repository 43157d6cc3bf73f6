//! Owns links that sign somebody in once, without a token: the demo prints one for the person at the terminal.
//! Refuses to outlive the process, and to work twice.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use secrecy::ExposeSecret;
use tidegate_rollout::{PersonId, Role, Timestamp};

use crate::secret::{self, Digest};
use crate::store::{Token, TokenKind};

/// The links that have not been used. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Invitations(Arc<Mutex<HashMap<Digest, Token>>>);

impl Invitations {
    /// The path of a link that signs in as `person` of the configuration, with their roles.
    ///
    /// # Errors
    /// When the machine gives no random bits.
    pub fn invite(&self, person: PersonId, now: Timestamp) -> Result<String, getrandom::Error> {
        let code = secret::random("")?;
        let key = Token {
            number: 0,
            kind: TokenKind::Token,
            person,
            roles: BTreeSet::<Role>::new(),
            created_at: now,
            expires_at: None,
            parent: None,
        };
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.insert(Digest::of(code.expose_secret().as_bytes()), key);
        Ok(format!("/login/invitation/{}", code.expose_secret()))
    }

    /// Whom the code stands for; the next time it stands for nobody.
    pub(super) fn accept(&self, code: &str) -> Option<Token> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.remove(&Digest::of(code.as_bytes()))
    }
}
