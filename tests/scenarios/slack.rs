//! Slack from both ends: people who type, press and fill in; a workspace that refuses what the real one refuses; and in
//! between a whole server.

mod buttons;
mod cards;
mod commands;
mod forged_interactions;
mod forgery;
mod form;
mod late_form;
mod load;
mod places;
mod signers;
mod types;
mod wire;
mod world;
