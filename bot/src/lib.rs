//! Everything that remembers and goes out: store, drivers, notices, chat, pages, CLI, wiring.

pub mod app;
pub mod channel;
pub mod chat;
pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
pub mod doctor;
pub mod doors;
pub mod driver;
pub mod failpoint;
pub mod hook;
pub mod http;
pub mod leadership;
pub mod net;
pub mod pages;
pub mod plans;
pub mod render;
pub mod runner;
pub mod secret;
pub mod store;
pub mod telemetry;
pub mod vitals;
