//! The ways in: every route with what it asks for, signing in, requests of other sites, slow and greedy clients.

mod clients;
mod forgery;
pub(crate) mod house;
mod routes;
mod session;
mod tokens;
