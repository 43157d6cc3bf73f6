//! Waits for a condition until a deadline.
//!
//! Owns the only polling loop of the tests. Refuses to wait for a length of time: what is awaited has a name and can be
//! seen, and a deadline that passes says what was seen last.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

/// How often a condition is looked at.
const EVERY: Duration = Duration::from_millis(20);

/// Looks until `look` succeeds and returns what it found.
///
/// An error of `look` means "not yet, because …"; the last one is part of the error when `deadline` has passed. A look that
/// can never succeed any more says so with [`hopeless`] and ends the wait at once.
///
/// # Errors
/// Names `what`, the deadline and the last reason.
pub async fn until<T>(what: &str, deadline: Duration, mut look: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let started = Instant::now();
    let mut last = anyhow!("it was never looked at");
    loop {
        let left = deadline.saturating_sub(started.elapsed());
        match tokio::time::timeout(left, look()).await {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(reason)) if reason.is::<Hopeless>() => return Err(reason.context(format!("gave up on: {what}"))),
            Ok(Err(reason)) => last = reason,
            // The look itself took too long; the reason of the one before says more.
            Err(_) => {}
        }
        if started.elapsed() >= deadline {
            return Err(last.context(format!("not within {deadline:?}: {what}")));
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// The reason to stop waiting before the deadline.
#[must_use]
pub fn hopeless(why: impl Into<String>) -> anyhow::Error {
    Hopeless(why.into()).into()
}

#[derive(Debug)]
struct Hopeless(String);

impl std::fmt::Display for Hopeless {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Hopeless {}
