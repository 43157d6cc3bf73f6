//! Owns what happens to everything heard from a chat platform, whichever it is: it is taken once, whoever spoke is found,
//! and the answer goes back in time, or later.
//! Refuses to let anybody wait: what takes long goes on by itself, and the platform is answered meanwhile.

use std::time::Duration;

use jiff::Timestamp;
use tidegate_rollout::{Actor, Surface};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::TaskTracker;

use super::App;
use crate::channel::platform::{ApiError, Refusal};
use crate::chat::{DeskError, Occasion};
use crate::config::Person;

/// How long an answer may take to go back with the request itself; half of the time that the platforms wait.
const INLINE_WITHIN: Duration = Duration::from_millis(1_500);

/// Does `work` to its end. Answers its result, if that comes in time; else nothing, and the result goes to `late`.
pub(super) async fn in_time_or_later<R: Send + 'static>(
    tasks: &TaskTracker,
    work: impl Future<Output = R> + Send + 'static,
    late: impl FnOnce(R) + Send + 'static,
) -> Option<R> {
    let (done, mut wait) = oneshot::channel();
    tasks.spawn(async move {
        if let Err(unheard) = done.send(work.await) {
            late(unheard);
        }
    });
    match timeout(INLINE_WITHIN, &mut wait).await {
        Ok(result) => result.ok(),
        Err(_) => {
            // It may have come just now.
            wait.close();
            wait.try_recv().ok()
        }
    }
}

/// The first wait between two tries; each is twice as long as the one before, and none longer than the second.
const WAITS: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(30)];

/// Tries to tell somebody something until it works, for as long as there is patience with what went wrong; the error is the
/// last one.
pub(super) async fn until_told<R: Refusal, Told: Future<Output = Result<(), ApiError<R>>>>(
    app: &App,
    tell: impl Fn() -> Told,
    patience: impl Fn(&ApiError<R>) -> Duration,
) -> Result<(), ApiError<R>> {
    let (begun, mut wait) = (Instant::now(), WAITS[0]);
    loop {
        let error = match tell().await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if let ApiError::Busy { after } = &error {
            wait = wait.max(Duration::try_from(after.duration()).unwrap_or(wait));
        }
        if begun.elapsed() + wait > patience(&error) {
            return Err(error);
        }
        tokio::select! {
            () = app.stop.cancelled() => return Err(error),
            () = sleep(wait) => wait = (wait * 2).min(WAITS[1]),
        }
    }
}

/// Whether a request is new, by what proves it. From here on it never is again.
pub(super) async fn taken(app: &App, proof: &[u8; 32], at: Timestamp) -> Result<bool, DeskError> {
    let store = app.engine.store();
    store
        .take_proof(proof, at)
        .await
        .map_err(|error| DeskError::NothingDone {
            tried: "find out whether it came before",
            source: error.into(),
        })
}

/// Somebody whom the configuration names, speaking on a platform. `key` is the platform's own name for it, `place` for where.
pub(super) fn occasion(
    person: &Person,
    surface: Surface,
    (key, place): (String, Option<&str>),
    at: Timestamp,
) -> Occasion {
    Occasion {
        actor: Actor {
            person: person.id.clone(),
            roles: person.roles.clone(),
            surface,
        },
        key,
        place: place.map(str::to_owned),
        at,
    }
}
