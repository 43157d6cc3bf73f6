//! Owns the HTTP surface: one table of routes, the guard in front of each, the connections below.
//! Refuses to decide anything about a rollout: handlers read, ask the dispatcher, and answer.

pub mod api;
mod armour;
pub mod asked;
pub mod caller;
pub mod guard;
pub mod keys;
pub mod login;
pub mod ofrep;
pub mod probes;
pub mod problem;
mod rights;
pub mod routes;
mod same_site;
pub mod server;
mod session;
mod to_sign_in;
pub mod tokens;

use axum::Router;

pub use api::Api;
pub use caller::{Caller, Way};
pub use guard::Guard;
pub use keys::Keyring;
pub use login::Invitations;
pub use probes::{Detail, Probes, Reload, Standing};
pub use problem::Problem;
pub use routes::{Auth, Route, Routes};
pub use server::Bounds;

/// Everything that is served, ready for a listener.
pub fn assemble(routes: Routes, prefix: &str) -> Router {
    armour::around(routes.finish(prefix))
}
