//! Owns the hooks that run in this process: commands and requests, begun once, looked at until they are over.
//! Refuses to decide whether one may begin, and to remember beyond its own life: a hook that is not known here may have run.

pub mod command;
pub mod http;
pub mod tree;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tidegate_rollout::ActionId;
use tidegate_rollout::hook::{Ended, HookEnd, Output};
use tokio::sync::watch;

/// What hooks may do here, as the configuration says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// The only directory that commands lie below; without it none is run.
    pub directory: Option<PathBuf>,
    /// The variables of the server's own environment that commands are given, and their values.
    pub environment: Vec<(String, String)>,
    /// The Kubernetes namespaces in which Jobs may be made.
    pub namespaces: Vec<String>,
}

/// The hooks that run in this process, and those that are over and not told yet.
#[derive(Debug, Default)]
pub struct Hooks(Mutex<HashMap<ActionId, Running>>);

#[derive(Debug)]
struct Running {
    end: Arc<Mutex<Option<HookEnd>>>,
    /// Until when this replica leads, as far as it knows.
    leads_until: watch::Sender<Instant>,
}

/// What can be seen of a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It was not begun by this process.
    Nothing,
    /// It runs.
    Running,
    /// It is over.
    Over(HookEnd),
}

impl Hooks {
    /// How a hook does. Whoever asks says until when this replica leads.
    pub fn look(&self, action: &ActionId, leads_until: Instant) -> Seen {
        let all = self.all();
        let Some(running) = all.get(action) else {
            return Seen::Nothing;
        };
        running.leads_until.send_replace(leads_until);
        let end = running.end.lock().unwrap_or_else(PoisonError::into_inner);
        end.clone().map_or(Seen::Running, Seen::Over)
    }

    /// Begins a hook. One that another replica may begin anew is stopped when this replica leads no more; one that must not
    /// run twice goes on, for nobody else begins it.
    pub fn begin<F>(&self, action: &ActionId, repeatable: bool, leads_until: Instant, work: F)
    where
        F: Future<Output = HookEnd> + Send + 'static,
    {
        let (sender, leads) = watch::channel(leads_until);
        let end = Arc::new(Mutex::new(None));
        let running = Running {
            end: Arc::clone(&end),
            leads_until: sender,
        };
        self.all().insert(action.clone(), running);
        tokio::spawn(async move {
            let over = tokio::select! {
                over = work => over,
                () = lapse(leads), if repeatable => unknown("this replica led no more, so it was stopped"),
            };
            *end.lock().unwrap_or_else(PoisonError::into_inner) = Some(over);
        });
    }

    /// Its end was told and is saved.
    pub fn forget(&self, action: &ActionId) {
        self.all().remove(action);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<ActionId, Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until this replica leads no more.
async fn lapse(mut leads: watch::Receiver<Instant>) {
    loop {
        let until = *leads.borrow_and_update();
        tokio::select! {
            () = tokio::time::sleep_until(until.into()) => {
                if *leads.borrow() <= Instant::now() {
                    return;
                }
            }
            changed = leads.changed() => {
                if changed.is_err() {
                    // Nobody waits for it any more.
                    return;
                }
            }
        }
    }
}

/// It did not do what it should.
pub fn failed(why: impl Into<String>) -> HookEnd {
    ended(Ended::Failed, why, None, Output::default())
}

/// Nobody knows whether it ran.
pub fn unknown(why: impl Into<String>) -> HookEnd {
    ended(Ended::Unknown, why, None, Output::default())
}

/// How it ended.
pub fn ended(how: Ended, why: impl Into<String>, took: Option<Duration>, output: Output) -> HookEnd {
    let took = took.map(|took| {
        let millis = i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
        tidegate_rollout::Period::millis(millis)
    });
    HookEnd {
        how,
        why: why.into(),
        took,
        output,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ActionId {
        ActionId::new(text)
    }

    async fn over(hooks: &Hooks, action: &ActionId) -> HookEnd {
        loop {
            match hooks.look(action, Instant::now()) {
                Seen::Over(end) => return end,
                Seen::Running => tokio::task::yield_now().await,
                Seen::Nothing => panic!("it was begun"),
            }
        }
    }

    #[tokio::test]
    async fn what_another_replica_may_begin_anew_is_stopped_with_the_lead() {
        let hooks = Hooks::default();
        let never = || std::future::pending::<HookEnd>();
        hooks.begin(&id("a"), true, Instant::now(), never());
        assert_eq!(over(&hooks, &id("a")).await.how, Ended::Unknown);
        hooks.begin(&id("b"), false, Instant::now(), async { failed("in the end") });
        assert_eq!(over(&hooks, &id("b")).await.why, "in the end");
        hooks.forget(&id("b"));
        assert_eq!(hooks.look(&id("b"), Instant::now()), Seen::Nothing);
    }
}
