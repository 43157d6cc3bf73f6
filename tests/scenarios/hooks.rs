//! Hooks and probes: the real server runs real programs, real requests, and Jobs in a strict cluster.
//!
//! Nothing moves before every `before` has passed; what hangs is killed with everything it started; what must not run twice does
//! not, whatever dies when; the way back waits for no hook.

mod commands;
mod crash;
mod house;
mod jobs;
mod requests;
mod way_back;
