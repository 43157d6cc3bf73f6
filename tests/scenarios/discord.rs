//! Discord from both ends: people who type and press; a server that refuses what the real one refuses; and in between a whole
//! Tidegate.

mod buttons;
mod cards;
mod commands;
mod complete;
mod forgery;
mod form;
mod load;
mod places;
mod register;
mod signers;
mod wire;
mod world;
