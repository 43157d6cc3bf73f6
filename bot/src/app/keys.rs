//! Owns the bridge from the keyring of the HTTP surface to the tokens of the store.
//! Refuses to see a secret: both sides know digests only.

use anyhow::Context as _;
use futures_util::future::{BoxFuture, FutureExt as _};

use crate::clock;
use crate::http::keys::{Key, KeyKind, Keys, KeysError, NewKey};
use crate::secret::Digest;
use crate::store::{NewToken, Store, Token, TokenKind};

/// The store as a place for keys.
pub(super) struct StoredKeys(pub(super) Store);

fn failed(tried: &'static str) -> impl FnOnce(anyhow::Error) -> KeysError {
    move |source| KeysError { tried, source }
}

fn kind(kind: KeyKind) -> TokenKind {
    match kind {
        KeyKind::Token => TokenKind::Token,
        KeyKind::Session => TokenKind::Session,
    }
}

fn key(token: Token) -> Key {
    Key {
        number: i64::try_from(token.number).unwrap_or(i64::MAX),
        kind: match token.kind {
            TokenKind::Token => KeyKind::Token,
            TokenKind::Session => KeyKind::Session,
        },
        person: token.person,
        roles: token.roles,
        created_at: token.created_at,
        expires_at: token.expires_at,
    }
}

impl Keys for StoredKeys {
    fn key(&self, digest: Digest) -> BoxFuture<'_, Result<Option<Key>, KeysError>> {
        async move {
            let found = self.0.token(&digest.0, clock::now()).await.context("read the token");
            Ok(found.map_err(failed("find the key"))?.map(key))
        }
        .boxed()
    }

    fn add(&self, new: NewKey) -> BoxFuture<'_, Result<i64, KeysError>> {
        async move {
            let token = NewToken {
                hash: new.digest.0,
                kind: kind(new.kind),
                person: new.person,
                roles: new.roles,
                expires_at: new.expires_at,
            };
            let number = self
                .0
                .add_token(&token, new.created_at)
                .await
                .context("write the token");
            let number = number.map_err(failed("remember the key"))?;
            Ok(i64::try_from(number).unwrap_or(i64::MAX))
        }
        .boxed()
    }

    fn revoke(&self, number: i64) -> BoxFuture<'_, Result<bool, KeysError>> {
        async move {
            let Ok(number) = u64::try_from(number) else {
                return Ok(false);
            };
            let gone = self.0.revoke_token(number).await.context("delete the token");
            gone.map_err(failed("forget the key"))
        }
        .boxed()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Key>, KeysError>> {
        async move {
            let now = clock::now();
            let mut all = Vec::new();
            for kind in [TokenKind::Token, TokenKind::Session] {
                let tokens = self.0.tokens(kind, now).await.context("read the tokens");
                all.extend(tokens.map_err(failed("list the keys"))?.into_iter().map(key));
            }
            all.sort_by_key(|key| key.number);
            Ok(all)
        }
        .boxed()
    }
}
