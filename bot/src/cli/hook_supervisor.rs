//! Owns the hidden command by which the server starts the program of a hook.
//! Refuses to be used by people: it ends at once when nobody holds its standard input.

use std::ffi::OsString;

use clap::Args;

use super::{Exit, Failure};
use crate::hook::tree;

/// The program and its arguments.
#[derive(Args, Debug)]
pub(super) struct HookSupervisor {
    #[arg(last = true, required = true)]
    argv: Vec<OsString>,
}

impl HookSupervisor {
    /// Becomes the supervisor: its exit code is the program's.
    pub(super) fn run(self) -> Result<Exit, Failure> {
        std::process::exit(i32::from(tree::supervise(&self.argv)))
    }
}
