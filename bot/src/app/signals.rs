//! Owns what the operating system tells the server: end, or load the configuration again.
//! Refuses to end at once: that is what SIGKILL is for.

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Running;

/// What is listened to. Made before anything is served: a SIGHUP that nobody listens to ends the process.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// From now on signals wait for [`Self::until_the_end`].
    pub(super) fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("could not listen for signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    /// Waits for SIGTERM or SIGINT; every SIGHUP meanwhile is a reload.
    pub(super) async fn until_the_end(mut self, running: &Running) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                // Success and failure are logged where they happen.
                _ = self.hang_up.recv() => drop(running.reload().await),
            }
        }
    }
}
