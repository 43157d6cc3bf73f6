//! Owns who may come in: tokens of programs and people, and sessions of the pages, which end with the token that opened
//! them. Only their hashes are known here. What is made or revoked is told in the server's log, in the same commit.
//! Refuses to see a secret, and to say anything about a hash that has expired.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tidegate_rollout::{Entry, PersonId, Role};

use super::Store;
use super::error::StoreError;
use super::log::{SERVER, append};
use super::sql::statements;
use super::value::{self, Value, count, moment};

statements! {
    ADD: "add a token" =
        "INSERT INTO tokens (hash, kind, person, roles, created_at, expires_at, parent)
         VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING number";
    FIND: "find a token" =
        "SELECT number, kind, person, roles, created_at, expires_at, parent FROM tokens
         WHERE hash = $1 AND (expires_at IS NULL OR expires_at > $2)";
    EVERY: "list the tokens" =
        "SELECT number, kind, person, roles, created_at, expires_at, parent FROM tokens
         WHERE kind = $1 AND (expires_at IS NULL OR expires_at > $2) ORDER BY number";
    REVOKE: "revoke a token" =
        "DELETE FROM tokens WHERE number = $1";
}

/// SHA-256 of a token's text.
pub type TokenHash = [u8; 32];

/// What a hash stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenKind {
    /// A bearer token.
    Token,
    /// The cookie of a signed-in browser.
    Session,
}

impl TokenKind {
    fn word(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Session => "session",
        }
    }
}

/// A token to be added.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// The hash of its text.
    pub hash: TokenHash,
    /// What it is.
    pub kind: TokenKind,
    /// Who comes in with it.
    pub person: PersonId,
    /// What they may do with it.
    pub roles: BTreeSet<Role>,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// The number of the token that opened this session, and with which it ends.
    pub parent: Option<u64>,
}

/// A token that counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Token {
    /// Its number, for [`Store::revoke_token`].
    pub number: u64,
    /// What it is.
    pub kind: TokenKind,
    /// Who comes in with it.
    pub person: PersonId,
    /// What they may do with it.
    pub roles: BTreeSet<Role>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// The number of the token that opened this session.
    pub parent: Option<u64>,
}

type Row = (i64, String, String, String, i64, Option<i64>, Option<i64>);

impl Store {
    /// Adds a token; answers its number. `said` is the line of the server's log about that number.
    ///
    /// # Errors
    /// When it could not be saved, the same token exists, or the token that a session belongs to is gone.
    pub async fn add_token(
        &self,
        token: &NewToken,
        said: impl FnOnce(u64) -> Entry + Send,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let roles = value::seal("roles", &token.roles)?;
        let parent = token.parent.map(|number| i64::try_from(number).unwrap_or(i64::MAX));
        let values = [
            Value::Bytes(&token.hash),
            token.kind.word().into(),
            token.person.as_str().into(),
            Value::from(&roles),
            now.into(),
            token.expires_at.into(),
            parent.into(),
        ];
        let mut session = self.engine().begin().await?;
        let row: Option<(i64,)> = session.row(&ADD, &values).await?;
        let number = row.map_or(0, |(number,)| count(number));
        append(&mut session, SERVER, &[said(number)]).await?;
        session.commit("commit a token").await?;
        Ok(number)
    }

    /// Who comes in with the token of this hash at `now`; `None` when it is not known, revoked or expired.
    ///
    /// # Errors
    /// When the database does not answer, or the row cannot be read.
    pub async fn token(&self, hash: &TokenHash, now: Timestamp) -> Result<Option<Token>, StoreError> {
        let row: Option<Row> = self.engine().row(&FIND, &[Value::Bytes(hash), now.into()]).await?;
        row.map(read).transpose()
    }

    /// Every token of a kind that counts at `now`.
    ///
    /// # Errors
    /// When the database does not answer, or a row cannot be read.
    pub async fn tokens(&self, kind: TokenKind, now: Timestamp) -> Result<Vec<Token>, StoreError> {
        let rows: Vec<Row> = self.engine().rows(&EVERY, &[kind.word().into(), now.into()]).await?;
        rows.into_iter().map(read).collect()
    }

    /// Revokes a token or ends a session; `false` when there is none by that number, and then nothing is told. The
    /// sessions that the token opened end with it.
    ///
    /// # Errors
    /// When it could not be saved.
    pub async fn revoke_token(&self, number: u64, said: &Entry) -> Result<bool, StoreError> {
        let mut session = self.engine().begin().await?;
        if session.execute(&REVOKE, &[number.into()]).await? != 1 {
            session.undo().await?;
            return Ok(false);
        }
        append(&mut session, SERVER, std::slice::from_ref(said)).await?;
        session.commit("commit that a token is revoked").await?;
        Ok(true)
    }
}

fn read((number, kind, person, roles, created_at, expires_at, parent): Row) -> Result<Token, StoreError> {
    let kind = match kind.as_str() {
        "session" => TokenKind::Session,
        // The table knows only the two.
        _ => TokenKind::Token,
    };
    Ok(Token {
        number: count(number),
        kind,
        roles: value::open("tokens", &person, "roles", &roles)?,
        person: PersonId::new(person),
        created_at: moment(created_at),
        expires_at: expires_at.map(moment),
        parent: parent.map(count),
    })
}
