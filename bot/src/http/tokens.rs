//! Owns the making and revoking of tokens over the API, for admins.
//! Refuses to show a secret twice, and to give anybody more than the configuration gives the person.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use tidegate_rollout::{Period, PersonId, Role};
use tracing::{info, warn};
use utoipa::ToSchema;

use super::asked::{Json, Path};
use super::caller::Caller;
use super::guard::Guard;
use super::keys::{ADMIN, Wanted};
use super::problem::Problem;
use super::rights::{self, of_a_program};
use super::routes::{Auth, Routes};
use crate::clock;
use crate::config::People;
use crate::store::{StoreError, Token, TokenKind};

/// The routes.
pub fn routes(routes: Routes, guard: &Arc<Guard>) -> Routes {
    routes
        .get("/api/v1/tokens", Auth::ADMIN, list, guard.clone())
        .post("/api/v1/tokens", Auth::ADMIN, create, guard.clone())
        .delete("/api/v1/tokens/{number}", Auth::ADMIN, revoke, guard.clone())
}

/// A token to be made.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WantedToken {
    /// On whose behalf it acts: a person of the configuration, `admin`, or the name of a program.
    pub person: String,
    /// What it may do at most; left out: whatever the person may. `flags` and `health` are for programs.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub roles: BTreeSet<Role>,
    /// After how long it ends, such as `24h`; left out: when it is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub ttl: Option<Period>,
}

/// A token that was made.
#[derive(Clone, Deserialize, Serialize, ToSchema)]
pub struct MadeToken {
    /// The token itself. It is shown this once and kept nowhere.
    pub token: String,
    /// What is known about it from here on.
    #[serde(flatten)]
    pub known: KnownToken,
}

impl fmt::Debug for MadeToken {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MadeToken")
            .field("known", &self.known)
            .finish_non_exhaustive()
    }
}

/// What is known about a token, or about a session.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct KnownToken {
    /// Its number, by which it is revoked.
    pub number: u64,
    /// `token`, or `session` for a browser that somebody signed in with.
    #[schema(value_type = String)]
    pub kind: TokenKind,
    /// The number of the token that opened the session; it ends with that token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<u64>,
    /// On whose behalf it acts.
    pub person: String,
    /// What it may do at most; empty: whatever the person may.
    #[schema(value_type = Vec<String>)]
    pub roles: BTreeSet<Role>,
    /// When it was made.
    #[schema(value_type = String)]
    pub created_at: Timestamp,
    /// When it ends.
    #[schema(value_type = Option<String>)]
    pub expires_at: Option<Timestamp>,
}

/// Every token and session that has not ended.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct KnownTokens {
    /// Oldest first.
    pub tokens: Vec<KnownToken>,
}

impl From<Token> for KnownToken {
    fn from(token: Token) -> Self {
        Self {
            number: token.number,
            kind: token.kind,
            parent: token.parent,
            person: token.person.to_string(),
            roles: token.roles,
            created_at: token.created_at,
            expires_at: token.expires_at,
        }
    }
}

/// Lists the tokens and the sessions opened with them, without their secrets.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "server", responses((status = 200, body = KnownTokens)))]
pub(super) async fn list(State(guard): State<Arc<Guard>>) -> Result<axum::Json<KnownTokens>, Problem> {
    let tokens = guard
        .keyring
        .keys(clock::now())
        .await
        .map_err(|error| unavailable(&error))?;
    let tokens = tokens.into_iter().map(KnownToken::from).collect();
    Ok(axum::Json(KnownTokens { tokens }))
}

/// Makes a token.
#[utoipa::path(
    post, path = "/api/v1/tokens", tag = "server", request_body = WantedToken,
    responses((status = 201, body = MadeToken), (status = 422, body = Problem))
)]
pub(super) async fn create(
    State(guard): State<Arc<Guard>>,
    caller: Caller,
    Json(wanted): Json<WantedToken>,
) -> Result<(StatusCode, axum::Json<MadeToken>), Problem> {
    check(&wanted, &guard.current.get().people)?;
    let now = clock::now();
    let expires_at = wanted.ttl.map(|ttl| rights::end(ttl, now));
    let key = Wanted {
        person: PersonId::new(&wanted.person),
        roles: wanted.roles.clone(),
        expires_at,
    };
    let (number, secret) = guard.keyring.make(key, &caller.actor, now).await?;
    info!(by = %caller.actor.person, person = wanted.person, number, "Made a token");
    let known = KnownToken {
        number,
        kind: TokenKind::Token,
        parent: None,
        person: wanted.person,
        roles: wanted.roles,
        created_at: now,
        expires_at,
    };
    let token = secret.expose_secret().to_owned();
    Ok((StatusCode::CREATED, axum::Json(MadeToken { token, known })))
}

/// Revokes a token with every session opened with it, or ends one session. It is gone everywhere within a second.
#[utoipa::path(
    delete, path = "/api/v1/tokens/{number}", tag = "server", params(("number" = u64, Path)),
    responses((status = 204), (status = 404, body = Problem))
)]
pub(super) async fn revoke(
    State(guard): State<Arc<Guard>>,
    caller: Caller,
    Path(number): Path<u64>,
) -> Result<StatusCode, Problem> {
    let revoked = guard
        .keyring
        .revoke(number, &caller.actor, clock::now())
        .await
        .map_err(|error| unavailable(&error))?;
    if !revoked {
        return Err(Problem::new(
            StatusCode::NOT_FOUND,
            "no-such-token",
            "There is no token by that number.",
        ));
    }
    info!(by = %caller.actor.person, number, "Revoked a token");
    Ok(StatusCode::NO_CONTENT)
}

fn check(wanted: &WantedToken, people: &People) -> Result<(), Problem> {
    let refuse = |detail: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "not-possible", detail);
    let WantedToken { person, roles, .. } = wanted;
    if of_a_program(roles) {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if person.is_empty() || person.len() > 64 || !person.chars().all(fits) {
            return Err(refuse(
                "A program's name is up to 64 letters, digits, `-`, `_` and `.`.".to_owned(),
            ));
        }
        return Ok(());
    }
    if roles.iter().any(|role| role.is_for_programs()) {
        return Err(refuse(
            "`flags` and `health` are for tokens of programs, which have no other role.".to_owned(),
        ));
    }
    if person == ADMIN {
        return if *roles == BTreeSet::from([Role::Admin]) {
            Ok(())
        } else {
            Err(refuse(format!("`{ADMIN}` has the role admin and no other.")))
        };
    }
    let Some(known) = people.get(&PersonId::new(person)) else {
        return Err(refuse(format!("The configuration names no person `{person}`."))
            .hint("Add the person to `people:` and reload."));
    };
    let missing: Vec<_> = roles.difference(&known.roles).map(|role| role.word()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(refuse(format!(
        "The configuration does not give `{person}` the roles {}.",
        missing.join(", ")
    )))
}

fn unavailable(error: &StoreError) -> Problem {
    warn!(
        error = error as &dyn std::error::Error,
        "Could not read or change the tokens"
    );
    Problem::unavailable("The tokens could not be read or changed.")
}
