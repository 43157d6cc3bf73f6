//! Owns what the operating system tells the server: end, or load the configuration again.
//! Refuses to end at once: that is what SIGKILL is for.

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Running;

/// Waits for SIGTERM or SIGINT; every SIGHUP meanwhile is a reload.
pub(super) async fn until_the_end(running: &Running) -> anyhow::Result<()> {
    let listen = |kind| signal(kind).context("could not listen for signals");
    let mut terminate: Signal = listen(SignalKind::terminate())?;
    let mut interrupt: Signal = listen(SignalKind::interrupt())?;
    let mut hang_up: Signal = listen(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            // Success and failure are logged where they happen.
            _ = hang_up.recv() => drop(running.reload().await),
        }
    }
}
