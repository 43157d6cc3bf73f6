//! The harness of the tests: real programs, real wires, conditions with deadlines.
//!
//! Owns everything a scenario needs to start, feed, watch and stop the world around Tidegate. Refuses to sleep, to retry a
//! failed assertion, and to skip: what is missing is an error that says how to get it.

pub mod alertmanager;
pub mod built;
pub mod certificates;
pub mod discord;
pub mod exporter;
pub mod http;
pub mod kubernetes;
pub mod mail;
pub mod notices;
pub mod openfeature;
pub mod pagerduty;
pub mod paths;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod prometheus;
pub mod relay;
pub mod scrape;
pub mod scratch;
pub mod serve;
pub mod sink;
pub mod slack;
pub mod storm;
pub mod tidegate;
pub mod wait;
