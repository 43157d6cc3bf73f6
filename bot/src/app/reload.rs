//! Owns the change from one configuration to the next: all of it, or nothing.
//! Refuses to change what was decided at the start; what needs a restart is said.

use std::sync::Arc;

use metrics::gauge;
use tokio::sync::Mutex;
use tracing::{error, info, warn};

use super::parts::{self, Beside};
use super::{App, restart};
use crate::clock;
use crate::config::{Config, Faults, Refused, Sources};
use crate::http::Reload;
use crate::telemetry::LogHandle;
use crate::telemetry::metrics::{CONFIG_RELOAD_AT, CONFIG_RELOAD_GOOD};

/// Loads the configuration again. Clones share the turn: two reloads never mix.
#[derive(Clone)]
pub(super) struct Reloader(Arc<Inner>);

struct Inner {
    sources: Sources,
    /// As it was at the start.
    started: Arc<Config>,
    app: App,
    log: Option<LogHandle>,
    turn: Mutex<()>,
}

impl Reloader {
    pub(super) fn new(sources: Sources, app: App, log: Option<LogHandle>) -> Self {
        mark(true);
        Self(Arc::new(Inner {
            sources,
            started: app.current.get(),
            app,
            log,
            turn: Mutex::new(()),
        }))
    }

    /// For the HTTP surface, which must not know the wiring.
    pub(super) fn as_function(&self) -> Reload {
        let reloader = self.clone();
        Arc::new(move || {
            let reloader = reloader.clone();
            Box::pin(async move { reloader.reload().await })
        })
    }

    /// Everything is read and checked before anything changes.
    pub(super) async fn reload(&self) -> Result<Vec<String>, Faults> {
        let _turn = self.0.turn.lock().await;
        let sources = self.0.sources.clone();
        let loaded = tokio::task::spawn_blocking(move || load(&sources))
            .await
            .unwrap_or_else(|_| Err(Faults::whole("reading the configuration broke off")));
        match loaded {
            Ok((config, beside)) => {
                let warnings = self.put_in_force(config, beside);
                mark(true);
                info!("Reloaded the configuration");
                Ok(warnings)
            }
            Err(faults) => self.refuse(faults),
        }
    }

    fn refuse(&self, faults: Faults) -> Result<Vec<String>, Faults> {
        mark(false);
        self.0.app.current.refuse(Refused {
            at: clock::now(),
            faults: faults.all.clone(),
        });
        error!(faults = faults.all.len(), "The configuration in force stays");
        for fault in &faults.all {
            error!("{fault}");
        }
        Err(faults)
    }

    fn put_in_force(&self, mut config: Config, beside: Beside) -> Vec<String> {
        let Inner { app, log, started, .. } = self.0.as_ref();
        for key in restart::keep(started, &mut config) {
            let warning = format!("{key} has changed; it is in force after a restart");
            config.warnings.push(warning);
        }
        config.warnings.extend(beside.misfits.warnings);
        for warning in &config.warnings {
            warn!("{warning}");
        }
        if let Some(log) = log {
            log.set_level(&config.log.level);
        }
        let warnings = config.warnings.clone();
        info!(plans = beside.plans.names().join(" "), "Read the plans");
        app.net.allow(config.allowed_hosts());
        app.plans.store(Arc::new(beside.plans));
        app.renderer.store(Arc::new(beside.renderer));
        let settings = parts::settings(&config, &app.replica, &app.net, app.engine.feed());
        app.engine.reconfigure(settings);
        app.current.replace(config);
        warnings
    }
}

/// Reads the configuration and the files it names. A plan that was good and is broken now would be gone with the next
/// start: what does not fit is a fault here as it is for `check-config`.
fn load(sources: &Sources) -> Result<(Config, Beside), Faults> {
    let config = sources.load()?;
    let mut beside = Beside::read(&config).map_err(|fault| Faults::whole(format!("{fault:#}")))?;
    let all = std::mem::take(&mut beside.misfits.faults);
    if all.is_empty() {
        return Ok((config, beside));
    }
    Err(Faults {
        all,
        warnings: config.warnings,
    })
}

fn mark(good: bool) {
    gauge!(CONFIG_RELOAD_GOOD).set(if good { 1.0 } else { 0.0 });
    if good {
        gauge!(CONFIG_RELOAD_AT).set(clock::now().as_second() as f64);
    }
}
