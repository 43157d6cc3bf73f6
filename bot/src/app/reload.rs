//! Owns the change from one configuration to the next: all of it, or nothing.
//! Refuses to change what was decided at the start: addresses and storage need a restart, and that is said.

use std::sync::Arc;

use metrics::gauge;
use tokio::sync::Mutex;
use tracing::{error, info, warn};

use super::{App, parts};
use crate::clock;
use crate::config::{Config, Faults, Sources};
use crate::http::Reload;
use crate::render::Renderer;
use crate::telemetry::LogHandle;
use crate::telemetry::metrics::{CONFIG_RELOAD_AT, CONFIG_RELOAD_GOOD};

/// Loads the configuration again. Clones share the turn: two reloads never mix.
#[derive(Clone)]
pub(super) struct Reloader(Arc<Inner>);

struct Inner {
    sources: Sources,
    app: App,
    log: Option<LogHandle>,
    turn: Mutex<()>,
}

impl Reloader {
    pub(super) fn new(sources: Sources, app: App, log: Option<LogHandle>) -> Self {
        mark(true);
        Self(Arc::new(Inner {
            sources,
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
        let loaded = tokio::task::spawn_blocking(move || sources.load())
            .await
            .unwrap_or_else(|_| Err(Faults::whole("reading the configuration broke off")));
        match loaded {
            Ok(config) => {
                let renderer = match parts::renderer(&config) {
                    Ok(renderer) => renderer,
                    Err(fault) => return self.refuse(Faults::whole(format!("{fault:#}"))),
                };
                let warnings = self.put_in_force(config, renderer);
                mark(true);
                info!("Reloaded the configuration");
                Ok(warnings)
            }
            Err(faults) => self.refuse(faults),
        }
    }

    fn refuse(&self, faults: Faults) -> Result<Vec<String>, Faults> {
        mark(false);
        error!(faults = faults.all.len(), "The configuration in force stays");
        for fault in &faults.all {
            error!("{fault}");
        }
        Err(faults)
    }

    fn put_in_force(&self, mut config: Config, renderer: Renderer) -> Vec<String> {
        let Inner { app, log, .. } = self.0.as_ref();
        let before = app.current.get();
        let moved = [
            (
                "web.listen_address",
                before.web.listen_address != config.web.listen_address,
            ),
            (
                "web.control_address",
                before.web.control_address != config.web.control_address,
            ),
            ("web.route_prefix", before.web.route_prefix != config.web.route_prefix),
            ("storage.path", before.storage.path != config.storage.path),
        ];
        for (key, _) in moved.iter().filter(|(_, moved)| *moved) {
            config
                .warnings
                .push(format!("{key} has changed; it is in force after a restart"));
        }
        config.web.route_prefix.clone_from(&before.web.route_prefix);
        for warning in &config.warnings {
            warn!("{warning}");
        }
        if let Some(log) = log {
            log.set_level(&config.log.level);
        }
        let warnings = config.warnings.clone();
        app.net.allow(config.allowed_hosts());
        app.plans.store(Arc::new(parts::plans(&config)));
        app.renderer.store(Arc::new(renderer));
        let settings = parts::settings(&config, &app.replica, &app.net, app.engine.feed());
        app.engine.reconfigure(settings);
        app.current.replace(config);
        warnings
    }
}

fn mark(good: bool) {
    gauge!(CONFIG_RELOAD_GOOD).set(if good { 1.0 } else { 0.0 });
    if good {
        gauge!(CONFIG_RELOAD_AT).set(clock::now().as_second() as f64);
    }
}
