//! Owns everything of the API that only shows: rollouts, their logs and the server's, plans, alerts.
//! Refuses to show secrets: notices, alerts and logs carry none, and nothing else is shown.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tidegate_rollout::{Alert, Entry, RolloutId, Surface};
use utoipa::{IntoParams, ToSchema};

use super::super::asked::{Path, Query};
use super::super::problem::Problem;
use super::Api;
use crate::chat::{Card, Desk};
use crate::clock;
use crate::store::Heard;

/// How much is shown.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    /// At most so many, up to 1,000.
    #[serde(default = "usual")]
    limit: u32,
}

fn usual() -> u32 {
    100
}

impl Page {
    pub(super) fn limit(self) -> u32 {
        self.limit.clamp(1, 1_000)
    }
}

/// Rollouts.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct Rollouts {
    /// Newest first.
    rollouts: Vec<Card>,
}

/// Lists the newest rollouts.
#[utoipa::path(get, path = "/api/v1/rollouts", tag = "rollouts", params(Page), responses((status = 200, body = Rollouts)))]
pub(super) async fn rollouts<D: Desk + 'static>(
    State(api): State<Api<D>>,
    Query(page): Query<Page>,
) -> Result<Json<Rollouts>, Problem> {
    let now = clock::now();
    let desk = api.dispatcher.desk();
    let newest = desk.newest(page.limit()).await?;
    let arounds = desk.arounds(&newest, now).await?;
    let all = newest.iter().zip(&arounds);
    let rollouts = all
        .map(|(rollout, around)| Card::of(rollout, around, now).beside(desk, rollout))
        .collect();
    Ok(Json(Rollouts { rollouts }))
}

/// Shows where a rollout stands.
#[utoipa::path(
    get, path = "/api/v1/rollouts/{id}", tag = "rollouts", params(("id" = String, Path)),
    responses((status = 200, body = Card), (status = 404, body = Problem))
)]
pub(super) async fn rollout<D: Desk + 'static>(
    State(api): State<Api<D>>,
    Path(id): Path<String>,
) -> Result<Json<Card>, Problem> {
    let rollout = api.dispatcher.desk().rollout(&RolloutId::new(id)).await?;
    let rollout = rollout.ok_or_else(no_such_rollout)?;
    Ok(Json(api.dispatcher.card(&rollout, clock::now()).await?))
}

/// One line of a log.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct Line {
    /// Its number in the chain.
    number: u64,
    /// When it was decided or learnt.
    #[schema(value_type = String)]
    at: Timestamp,
    /// A stable word for machines.
    kind: String,
    /// The person, or `tidegate`.
    by: String,
    /// Where the person said so: `cli`, `api`, `chat`, `page`, `slack` or `discord`. Absent where nobody said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    surface: Option<Surface>,
    /// The sentence people read.
    text: String,
}

impl From<(u64, Entry)> for Line {
    fn from((number, entry): (u64, Entry)) -> Self {
        Self {
            number,
            at: entry.at,
            kind: entry.kind,
            by: entry.by,
            surface: entry.surface,
            text: entry.text,
        }
    }
}

/// The log of a rollout.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct Log {
    /// Oldest first.
    entries: Vec<Line>,
}

/// Shows the log of a rollout.
#[utoipa::path(
    get, path = "/api/v1/rollouts/{id}/log", tag = "rollouts", params(("id" = String, Path), Page),
    responses((status = 200, body = Log), (status = 404, body = Problem))
)]
pub(super) async fn log<D: Desk + 'static>(
    State(api): State<Api<D>>,
    Path(id): Path<String>,
    Query(page): Query<Page>,
) -> Result<Json<Log>, Problem> {
    let id = RolloutId::new(id);
    let desk = api.dispatcher.desk();
    desk.rollout(&id).await?.ok_or_else(no_such_rollout)?;
    let lines = desk.history(&id, page.limit()).await?;
    let entries = lines.into_iter().map(Line::from).collect();
    Ok(Json(Log { entries }))
}

/// Plans.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct Plans {
    /// By name.
    plans: Vec<PlanName>,
}

/// A plan that can be started.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct PlanName {
    /// Its name.
    name: String,
}

/// Lists the plans that can be started.
#[utoipa::path(get, path = "/api/v1/plans", tag = "rollouts", responses((status = 200, body = Plans)))]
pub(super) async fn plans<D: Desk + 'static>(State(api): State<Api<D>>) -> Json<Plans> {
    let names = api.dispatcher.desk().plans().into_iter();
    Json(Plans {
        plans: names.map(|name| PlanName { name }).collect(),
    })
}

/// Alerts.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Alerts {
    /// Those that fire, latest first.
    alerts: Vec<Firing>,
}

/// One alert that fires.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Firing {
    /// The receiver that heard it.
    receiver: String,
    /// When it was heard first.
    #[schema(value_type = String)]
    first_heard_at: Timestamp,
    /// When it was heard last.
    #[schema(value_type = String)]
    heard_at: Timestamp,
    /// What it says.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    alert: Alert,
}

impl From<Heard> for Firing {
    fn from(heard: Heard) -> Self {
        Self {
            receiver: heard.receiver,
            first_heard_at: heard.first_heard_at,
            heard_at: heard.heard_at,
            alert: heard.alert,
        }
    }
}

/// Lists the alerts that fire.
#[utoipa::path(get, path = "/api/v1/alerts", tag = "alerts", params(Page), responses((status = 200, body = Alerts)))]
pub(super) async fn alerts<D: Desk + 'static>(
    State(api): State<Api<D>>,
    Query(page): Query<Page>,
) -> Result<Json<Alerts>, Problem> {
    let alerts = api.store.firing_alerts(page.limit()).await?;
    let alerts = alerts.into_iter().map(Firing::from).collect();
    Ok(Json(Alerts { alerts }))
}

/// Shows the log of the server: freezes, what was forgotten, what was tried once more.
#[utoipa::path(get, path = "/api/v1/log", tag = "server", params(Page), responses((status = 200, body = Log)))]
pub(super) async fn server_log<D: Desk + 'static>(
    State(api): State<Api<D>>,
    Query(page): Query<Page>,
) -> Result<Json<Log>, Problem> {
    let lines = api.store.server_history(page.limit()).await?;
    let entries = lines.into_iter().map(Line::from).collect();
    Ok(Json(Log { entries }))
}

fn no_such_rollout() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "R103", "There is no such rollout.").hint("See /api/v1/rollouts.")
}
