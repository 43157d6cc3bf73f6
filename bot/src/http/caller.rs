//! Owns who makes a request, once they have proved it, for the handlers.
//! Refuses to exist without a guard in front: a handler that asks for a caller behind an open route gets a 401.

use axum::extract::FromRequestParts;
use axum::extract::OptionalFromRequestParts;
use http::request::Parts;
use tidegate_rollout::{Actor, Surface};

use super::problem::Problem;

/// Who makes this request, and how they came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Who, with what they may do at this moment.
    pub actor: Actor,
    /// How.
    pub way: Way,
    /// The number of the key they showed.
    pub key: u64,
}

/// How somebody came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A token in a header, which no other page can make a browser send.
    Header,
    /// The cookie of a session, which a browser sends by itself.
    Cookie,
}

impl Caller {
    /// The same person, speaking in the chat.
    pub fn in_chat(&self) -> Actor {
        Actor {
            surface: Surface::Chat,
            ..self.actor.clone()
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| Problem::unauthorized("Nobody is signed in."))
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Caller {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}
