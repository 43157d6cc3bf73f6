//! All scenarios in one test binary: a suite is a module, and `./tests/run <suite>` runs it alone.
//!
//! The modules are marked as tests so that the lints grant their helpers what they grant tests: unwrap, expect, print.

#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod budget;
#[cfg(test)]
mod chain;
#[cfg(test)]
mod command_line;
#[cfg(test)]
mod configuration;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod deploy;
#[cfg(test)]
mod discord;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod doors;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod full_disk;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod hooks;
#[cfg(test)]
mod kubernetes;
#[cfg(test)]
mod parity;
#[cfg(test)]
mod platforms;
#[cfg(test)]
mod readme;
#[cfg(test)]
mod replicas;
#[cfg(test)]
mod senders;
#[cfg(test)]
mod signoffs;
#[cfg(test)]
mod slack;
#[cfg(test)]
mod store_contract;
#[cfg(test)]
mod storm;
#[cfg(test)]
mod suspects;
#[cfg(test)]
mod telling;
#[cfg(test)]
mod tidy;
