//! Owns the wiring: from a configuration to a running server, and from a signal to a quiet end.
//! Refuses to know rules: every part is built by its own room, here they only meet.

mod first_start;
mod reload;
mod signals;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::Router;
use metrics::gauge;
use tidegate_rollout::Period;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::clock;
use crate::config::{Config, Current, ListenAddress, Sources};
use crate::http::{self, Bounds, Guard, Keyring, MemoryKeys, Probes, Routes, probes, server};
use crate::net::Net;
use crate::telemetry::metrics::BUILD_INFO;
use crate::telemetry::{self, LogHandle};
use crate::vitals::Vitals;
use reload::Reloader;

/// How often the histograms forget what is old.
const UPKEEP: Duration = Duration::from_secs(5);

/// The parts that everything else is built from. Clones share them.
#[derive(Clone)]
pub struct App {
    /// The configuration in force.
    pub current: Current,
    /// The signs of life.
    pub vitals: Vitals,
    /// The one HTTP client.
    pub net: Net,
    /// Who comes in.
    pub keyring: Keyring,
    /// Cancelled when the server should end.
    pub stop: CancellationToken,
    /// Background tasks, which are waited for.
    pub tasks: TaskTracker,
}

/// A server that runs.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it listens for people, if that is elsewhere.
    pub control_address: Option<SocketAddr>,
    /// Its parts.
    pub app: App,
    reloader: Reloader,
}

impl Running {
    /// Loads the configuration again: its warnings, or why the one in force stays so.
    pub async fn reload(&self) -> Result<Vec<String>, crate::config::Faults> {
        self.reloader.reload().await
    }

    /// Lets requests in flight end, then everything else.
    pub async fn stop(self) {
        self.app.stop.cancel();
        self.app.tasks.close();
        self.app.tasks.wait().await;
    }
}

/// Runs a server until it is told to end.
pub async fn run(sources: Sources, config: Config) -> anyhow::Result<()> {
    let log = telemetry::start_log(&config.log);
    let running = start(sources, config, log).await?;
    signals::until_the_end(&running).await?;
    info!("Stopping; requests in flight may end");
    running.stop().await;
    info!("Stopped");
    Ok(())
}

/// Starts a server.
pub async fn start(sources: Sources, config: Config, log: Option<LogHandle>) -> anyhow::Result<Running> {
    let app = App {
        net: Net::new(config.allowed_hosts()).context("could not set up the HTTP client")?,
        keyring: Keyring::new(Arc::new(MemoryKeys::default())),
        current: Current::new(config),
        vitals: Vitals::default(),
        stop: CancellationToken::new(),
        tasks: TaskTracker::new(),
    };
    let config = app.current.get();
    first_start::admin_token(&config.storage.path, &app.keyring, clock::now()).await?;
    let metrics = telemetry::start_metrics()?;
    gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    let reloader = Reloader::new(sources, app.clone(), log);
    let probes = Probes {
        current: app.current.clone(),
        vitals: app.vitals.clone(),
        metrics: metrics.clone(),
        reload: reloader.as_function(),
        since: Instant::now(),
    };
    let guard = Arc::new(Guard {
        current: app.current.clone(),
        keyring: app.keyring.clone(),
    });
    let machines = probes::routes(Routes::new(guard.clone()), &probes);
    let people = Routes::new(guard);
    let (address, control_address) = listen(&app, &config, machines, people).await?;
    let stop = app.stop.clone();
    app.tasks.spawn(async move {
        while tokio::time::timeout(UPKEEP, stop.cancelled()).await.is_err() {
            metrics.run_upkeep();
        }
    });
    say_hello(&config, address, control_address);
    Ok(Running {
        address,
        control_address,
        app,
        reloader,
    })
}

/// Opens the address, or both of them.
async fn listen(
    app: &App,
    config: &Config,
    machines: Routes,
    people: Routes,
) -> anyhow::Result<(SocketAddr, Option<SocketAddr>)> {
    let prefix = &config.web.route_prefix;
    match &config.web.control_address {
        None => {
            let all = http::assemble(machines.and(people), prefix);
            Ok((open(app, config, &config.web.listen_address, all).await?, None))
        }
        Some(control) => {
            let address = open(
                app,
                config,
                &config.web.listen_address,
                http::assemble(machines, prefix),
            )
            .await?;
            let control = open(app, config, control, http::assemble(people, prefix)).await?;
            Ok((address, Some(control)))
        }
    }
}

async fn open(app: &App, config: &Config, address: &ListenAddress, router: Router) -> anyhow::Result<SocketAddr> {
    let listener = server::bind(address)
        .await
        .with_context(|| format!("could not listen at {address}"))?;
    let bound = listener.local_addr().context("could not find out the own address")?;
    let bounds = Bounds {
        header: std_duration(config.limits.header_timeout),
        shutdown: std_duration(config.limits.shutdown_timeout),
    };
    app.tasks
        .spawn(server::serve(listener, router, bounds, app.stop.clone()));
    Ok(bound)
}

fn std_duration(period: Period) -> Duration {
    Duration::try_from(period.duration()).unwrap_or_default()
}

fn say_hello(config: &Config, address: SocketAddr, control_address: Option<SocketAddr>) {
    for warning in &config.warnings {
        warn!("{warning}");
    }
    let receivers = config.receivers.doors.iter();
    for (name, receiver) in receivers {
        let (source, authenticator) = (receiver.source().word(), receiver.authenticator());
        info!(source, receiver = name, authenticator, "Receives alerts");
    }
    if config.receivers.doors.is_empty() {
        warn!("No receiver is configured: every webhook is answered 404");
    }
    info!(version = env!("CARGO_PKG_VERSION"), %address, "Listening");
    if let Some(control) = control_address {
        info!(address = %control, "Listening for people");
    }
}
