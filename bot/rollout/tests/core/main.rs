//! Tests of the pure core, from the outside: what anybody who uses the crate can see.
//! Refuses clocks, files of others and waiting: time is a number that the test sets.

#[cfg(test)]
mod alerts;
mod audiences;
#[cfg(test)]
mod begin;
#[cfg(test)]
mod bench;
#[cfg(test)]
mod blockers;
#[cfg(test)]
mod cells;
#[cfg(test)]
mod clock;
#[cfg(test)]
mod commitments;
#[cfg(test)]
mod crowds;
#[cfg(test)]
mod delivery;
#[cfg(test)]
mod drift;
#[cfg(test)]
mod field_failures;
#[cfg(test)]
mod flag;
#[cfg(test)]
mod grammar;
#[cfg(test)]
mod headline;
#[cfg(test)]
mod hooks;
#[cfg(test)]
mod ladder;
#[cfg(test)]
mod pod_logs;
#[cfg(test)]
mod policy;
#[cfg(test)]
mod polls;
#[cfg(test)]
mod routing;
#[cfg(test)]
mod signoffs;
#[cfg(test)]
mod situations;
#[cfg(test)]
mod stages;
#[cfg(test)]
mod stored;
