//! `tidegate doctor` against real programs and strict fakes: all is well, and then one thing after the other is not. Each fault
//! gives its one finding, with what to do about it, and no secret is ever shown.

mod alerts;
mod chat;
mod discord;
mod house;
mod mail;
mod outside;
mod own;
mod postgres;
