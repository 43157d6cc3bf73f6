//! Everything that remembers and goes out: store, drivers, notices, chat, pages, CLI, wiring.

pub mod cli;
pub mod driver;
pub mod leadership;
pub mod render;
