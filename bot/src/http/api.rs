//! Owns the HTTP API: commands go to the one dispatcher, everything else is read.
//! Refuses to know a rule: what is allowed, and why not, is in the answer of the dispatcher.

mod commands;
pub mod letters;
mod openapi;
mod reading;
mod structured;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use tidegate_rollout::Role;
use tracing::warn;
use utoipa::ToSchema;

use super::caller::Caller;
use super::guard::Guard;
use super::problem::Problem;
use super::routes::{Auth, Routes};
use crate::chat::{Desk, DeskError, Dispatcher};
use crate::store::{Store, StoreError};

pub use openapi::document;
pub use structured::Said;

/// What the handlers work with.
pub struct Api<D> {
    /// Who answers commands.
    pub dispatcher: Dispatcher<D>,
    /// What is read without being decided: alerts, dead letters.
    pub store: Store,
    /// The configuration and the keys.
    pub guard: Arc<Guard>,
}

impl<D> Clone for Api<D> {
    fn clone(&self) -> Self {
        Self {
            dispatcher: self.dispatcher.clone(),
            store: self.store.clone(),
            guard: self.guard.clone(),
        }
    }
}

/// Those who act for a rollout: what is said twice wakes people twice.
const RESPONDERS: Auth = Auth::Roles(&[Role::Operator, Role::Oncall, Role::IncidentCommander]);

/// Every route below `/api`.
pub fn routes<D: Desk + 'static>(routes: Routes, api: &Api<D>) -> Routes {
    let routes = super::tokens::routes(routes, &api.guard);
    routes
        .get("/api/openapi.json", Auth::PERSON, openapi::show, ())
        .get("/api/v1/whoami", Auth::PERSON, whoami, api.guard.clone())
        .post("/api/v1/commands", Auth::PERSON, commands::say::<D>, api.clone())
        .get("/api/v1/rollouts", Auth::PERSON, reading::rollouts::<D>, api.clone())
        .get(
            "/api/v1/rollouts/{id}",
            Auth::PERSON,
            reading::rollout::<D>,
            api.clone(),
        )
        .get(
            "/api/v1/rollouts/{id}/log",
            Auth::PERSON,
            reading::log::<D>,
            api.clone(),
        )
        .get("/api/v1/plans", Auth::PERSON, reading::plans::<D>, api.clone())
        .get("/api/v1/alerts", Auth::PERSON, reading::alerts::<D>, api.clone())
        .get("/api/v1/log", Auth::PERSON, reading::server_log::<D>, api.clone())
        .get("/api/v1/dead-letters", Auth::PERSON, letters::list::<D>, api.clone())
        .post(
            "/api/v1/dead-letters/{notice}/{channel}/retry",
            RESPONDERS,
            letters::retry::<D>,
            api.clone(),
        )
}

/// Who asks.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Myself {
    /// The person's id.
    pub person: String,
    /// The name that people read.
    pub name: String,
    /// What they may do here and now.
    pub roles: Vec<String>,
}

/// Says who asks, and what they may do.
#[utoipa::path(get, path = "/api/v1/whoami", tag = "server", responses((status = 200, body = Myself)))]
async fn whoami(State(guard): State<Arc<Guard>>, caller: Caller) -> Json<Myself> {
    let config = guard.current.get();
    let person = &caller.actor.person;
    let name = config.people.get(person).map(|known| known.name.clone());
    Json(Myself {
        name: name.unwrap_or_else(|| person.to_string()),
        person: person.to_string(),
        roles: caller.actor.roles.iter().map(|role| role.word().to_owned()).collect(),
    })
}

impl From<DeskError> for Problem {
    fn from(error: DeskError) -> Self {
        warn!(
            error = &error as &dyn std::error::Error,
            "The desk could not do its work"
        );
        Self::unavailable(match error {
            DeskError::NothingDone { .. } => "Not stored, nothing done.",
            DeskError::Undecided { .. } => {
                "Stored, and not decided yet. Ask again with the same idempotency key, or look at the status."
            }
        })
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        warn!(
            error = &error as &dyn std::error::Error,
            "Could not read from the store"
        );
        Self::unavailable("That could not be read now.")
    }
}
