//! Everything that remembers and goes out: store, drivers, notices, chat, pages, CLI, wiring.

pub mod cli;
