//! Everything that remembers and goes out: store, drivers, notices, chat, pages, CLI, wiring.

pub mod chat;
pub mod cli;
pub mod driver;
pub mod leadership;
pub mod plans;
pub mod render;
