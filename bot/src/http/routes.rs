//! Owns the one table of routes: each is registered together with its authenticator, and there is no other way to add one.
//! Refuses whatever is not in the table.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::routing::MethodRouter;
use http::{Method, StatusCode};
use tidegate_rollout::Role;

use super::guard::{Gate, Guard, check};
use super::problem::Problem;

/// What a request must prove before its handler sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Nothing: probes, and the page where people sign in.
    Open,
    /// A token or a session with one of these roles; an admin has all but those of programs.
    Roles(&'static [Role]),
    /// `web.metrics_token`, where there is one.
    Metrics,
    /// The role `flags`, as Bearer or `X-API-Key`; from the machine itself nothing.
    Flags,
    /// The authenticator of the configured receiver, checked before a byte of the body is read.
    Receiver,
    /// A code that works once, from the machine itself.
    Invitation,
}

impl Auth {
    /// Somebody whom the configuration names: reads everything, and may speak; what they may say is decided per verb.
    pub const PERSON: Self = Self::Roles(&[
        Role::Viewer,
        Role::Operator,
        Role::Oncall,
        Role::IncidentCommander,
        Role::Comms,
    ]);
    /// Everything about the server.
    pub const ADMIN: Self = Self::Roles(&[Role::Admin]);
    /// A program that watches Tidegate, or an admin.
    pub const HEALTH: Self = Self::Roles(&[Role::Health, Role::Admin]);
}

impl fmt::Display for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("open"),
            Self::Roles(roles) if Self::Roles(roles) == Self::PERSON => f.write_str("any person"),
            Self::Roles(roles) => {
                let words: Vec<_> = roles.iter().map(|role| role.word()).collect();
                write!(f, "role {}", words.join(" or "))
            }
            Self::Metrics => f.write_str("metrics token, if configured"),
            Self::Flags => f.write_str("role flags, or loopback"),
            Self::Receiver => f.write_str("the receiver's own"),
            Self::Invitation => f.write_str("a code that works once, from loopback"),
        }
    }
}

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The method; a GET answers HEAD too.
    pub method: Method,
    /// The path, with `{…}` for what varies.
    pub path: String,
    /// What it asks for.
    pub auth: Auth,
}

/// Routes under construction.
pub struct Routes {
    guard: Arc<Guard>,
    router: Router,
    table: Vec<Route>,
}

impl Routes {
    /// No routes yet; all of them will be watched by `guard`.
    pub fn new(guard: Arc<Guard>) -> Self {
        Self {
            guard,
            router: Router::new(),
            table: Vec::new(),
        }
    }

    /// Adds a route that only shows something.
    #[must_use]
    pub fn get<H, T, S>(self, path: &str, auth: Auth, handler: H, state: S) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
        S: Clone + Send + Sync + 'static,
    {
        self.add(Method::GET, path, auth, axum::routing::get(handler).with_state(state))
    }

    /// Adds a route that changes something.
    #[must_use]
    pub fn post<H, T, S>(self, path: &str, auth: Auth, handler: H, state: S) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
        S: Clone + Send + Sync + 'static,
    {
        self.add(Method::POST, path, auth, axum::routing::post(handler).with_state(state))
    }

    /// Adds a route that takes something away.
    #[must_use]
    pub fn delete<H, T, S>(self, path: &str, auth: Auth, handler: H, state: S) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
        S: Clone + Send + Sync + 'static,
    {
        self.add(
            Method::DELETE,
            path,
            auth,
            axum::routing::delete(handler).with_state(state),
        )
    }

    fn add(mut self, method: Method, path: &str, auth: Auth, handler: MethodRouter) -> Self {
        let gate = Gate {
            guard: self.guard.clone(),
            auth,
        };
        self.router = self
            .router
            .route(path, handler.route_layer(from_fn_with_state(gate, check)));
        let path = path.to_owned();
        self.table.push(Route { method, path, auth });
        self
    }

    /// Adds the webhook routes, which prove their senders themselves. `paths` are what `router` serves, all with POST.
    #[must_use]
    pub fn receivers(mut self, router: Router, paths: impl IntoIterator<Item = String>) -> Self {
        self.router = self.router.merge(router);
        self.table.extend(paths.into_iter().map(|path| Route {
            method: Method::POST,
            path,
            auth: Auth::Receiver,
        }));
        self
    }

    /// Both tables as one.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.table.extend(other.table);
        self
    }

    /// The table.
    pub fn table(&self) -> &[Route] {
        &self.table
    }

    /// The router below `prefix`, which is empty or begins with a slash. Everything else is not found.
    pub fn finish(self, prefix: &str) -> Router {
        let router = self.router.method_not_allowed_fallback(wrong_method);
        let router = if prefix.is_empty() {
            router
        } else {
            Router::new().nest(prefix, router)
        };
        router.fallback(nothing_here)
    }
}

async fn nothing_here() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not-found", "There is nothing at this path.")
}

async fn wrong_method() -> Problem {
    let detail = "This path does not take this method.";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail)
}
