//! The ways in: every route with what it asks for, signing in, what a person does with a browser, requests of other sites, slow
//! and greedy clients.

mod clients;
mod forgery;
pub(crate) mod house;
mod pages;
mod routes;
mod session;
mod tokens;
