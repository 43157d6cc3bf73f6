//! Owns the dead letters over HTTP: what could not be said, and one more try on a person's word.
//! Refuses to try by itself, and to change what is said.

use axum::Json;
use axum::extract::{Path, Query, State};
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tidegate_rollout::{Entry, NoticeId};
use utoipa::ToSchema;

use super::super::caller::Caller;
use super::super::problem::Problem;
use super::Api;
use super::reading::Page;
use crate::chat::Desk;
use crate::clock;
use crate::store::{DeadLetter, TriedOn};

/// Messages that could not be delivered.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DeadLetters {
    /// How many there are.
    pub count: u64,
    /// Latest first.
    pub dead_letters: Vec<Letter>,
    /// What did not come through yet and is tried on: those that wait longest first.
    #[serde(default)]
    pub tried_on: Vec<Trying>,
}

/// Messages of one channel that did not come through yet, for one reason.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Trying {
    /// Where they go.
    pub channel: String,
    /// How many there are.
    pub count: u64,
    /// Since when the first of them waits.
    #[schema(value_type = String)]
    pub since: Timestamp,
    /// What stood in the way the last time.
    pub why: String,
}

/// One message that could not be delivered.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Letter {
    /// The notice's id.
    pub notice: String,
    /// What happened, in one word.
    pub kind: String,
    /// The rollout it is about.
    pub rollout: String,
    /// Where it should have gone.
    pub channel: String,
    /// How often it was tried.
    pub attempts: u32,
    /// Since when it waited.
    #[schema(value_type = String)]
    pub created_at: Timestamp,
    /// Why it was given up.
    pub why: String,
}

impl From<DeadLetter> for Letter {
    fn from(letter: DeadLetter) -> Self {
        let notice = &letter.message.notice;
        Self {
            notice: notice.id.to_string(),
            kind: notice.kind.word().to_owned(),
            rollout: notice.about.rollout.to_string(),
            channel: letter.message.channel,
            attempts: letter.message.attempts,
            created_at: letter.created_at,
            why: letter.why,
        }
    }
}

impl From<TriedOn> for Trying {
    fn from(messages: TriedOn) -> Self {
        let TriedOn {
            channel,
            count,
            since,
            why,
        } = messages;
        Self {
            channel,
            count,
            since,
            why,
        }
    }
}

/// Lists messages that could not be delivered, and what is tried on.
#[utoipa::path(
    get, path = "/api/v1/dead-letters", tag = "server", params(Page), responses((status = 200, body = DeadLetters))
)]
pub(super) async fn list<D: Desk + 'static>(
    State(api): State<Api<D>>,
    Query(page): Query<Page>,
) -> Result<Json<DeadLetters>, Problem> {
    let count = api.store.count_dead_letters().await?;
    let letters = api.store.dead_letters(page.limit()).await?;
    let dead_letters = letters.into_iter().map(Letter::from).collect();
    let tried_on = api.store.tried_on(page.limit()).await?.into_iter().map(Trying::from);
    Ok(Json(DeadLetters {
        count,
        dead_letters,
        tried_on: tried_on.collect(),
    }))
}

/// What became of a dead letter.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Retried {
    /// The notice's id.
    pub notice: String,
    /// Where it is said once more.
    pub channel: String,
}

/// Tries a dead letter once more. What is too old to be tried on is dead again when that fails.
#[utoipa::path(
    post, path = "/api/v1/dead-letters/{notice}/{channel}/retry", tag = "server",
    params(("notice" = String, Path), ("channel" = String, Path)),
    responses((status = 200, body = Retried), (status = 404, body = Problem))
)]
pub(super) async fn retry<D: Desk + 'static>(
    State(api): State<Api<D>>,
    Path((notice, channel)): Path<(String, String)>,
    caller: Caller,
) -> Result<Json<Retried>, Problem> {
    let now = clock::now();
    let by = caller.actor.person.to_string();
    let said = Entry {
        at: now,
        kind: "retried".to_owned(),
        surface: Some(caller.actor.surface),
        text: format!("{by} has {notice} said once more on {channel}."),
        by,
    };
    let revived = api.store.revive(&NoticeId::new(&notice), &channel, &said, now).await?;
    if !revived {
        let detail = "There is no such dead letter.";
        return Err(Problem::new(StatusCode::NOT_FOUND, "no-such-letter", detail).hint("See /api/v1/dead-letters."));
    }
    Ok(Json(Retried { notice, channel }))
}
