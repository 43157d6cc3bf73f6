//! Owns the wiring: from a configuration to a running server, and from a signal to a quiet end.
//! Refuses to know rules: every part is built by its own room, here they only meet.

mod conversation;
mod discord;
mod examine;
mod first_start;
mod fit;
mod pages;
mod parts;
mod reload;
mod restart;
mod signals;
mod slack;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use arc_swap::ArcSwap;
use axum::Router;
use metrics::gauge;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use self::signals::Signals;
use crate::channel::feed::Feed;
use crate::chat::Dispatcher;
use crate::clock;
use crate::config::{Config, Current, ListenAddress, Sources};
use crate::http::{
    self, Api, Auth, Bounds, Detail, Guard, Invitations, Keyring, Probes, Route, Routes, api, login, ofrep, probes,
    server,
};
use crate::net::Net;
use crate::pages::Pages;
use crate::plans::Plans;
use crate::render::Renderer;
use crate::runner::{Engine, Parts, Queues};
use crate::store::{LogReport, Store};
use crate::telemetry::metrics::BUILD_INFO;
use crate::telemetry::{self, LogHandle};
use crate::vitals::Vitals;
pub use examine::examine;
pub use fit::{Misfits, misfits};
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
    /// Who may come in once, without a token.
    pub invitations: Invitations,
    /// What hears, decides and drives.
    pub engine: Arc<Engine>,
    /// What answers people.
    pub dispatcher: Dispatcher<Engine>,
    /// The plans that can be started.
    pub plans: Arc<ArcSwap<Plans>>,
    /// What words the notices.
    pub renderer: Arc<ArcSwap<Renderer>>,
    /// The name of this process among the replicas.
    pub replica: String,
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
    /// Everything it serves, with what each route asks for.
    pub routes: Vec<Route>,
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
        self.app.engine.farewell().await;
        self.app.engine.store().close().await;
    }
}

/// Runs a server until it is told to end.
pub async fn run(sources: Sources, config: Config) -> anyhow::Result<()> {
    let log = telemetry::start_log(&config.log);
    let signals = Signals::listen()?;
    let running = start(sources, config, log).await?;
    signals.until_the_end(&running).await;
    info!("Stopping; requests in flight may end");
    running.stop().await;
    info!("Stopped");
    Ok(())
}

/// Starts a server.
pub async fn start(sources: Sources, config: Config, log: Option<LogHandle>) -> anyhow::Result<Running> {
    let metrics = telemetry::start_metrics()?;
    let (app, queues) = build(config).await?;
    let config = app.current.get();
    first_start::admin_token(&config.storage.path, &app.keyring, clock::now()).await?;
    app.engine.start(queues, &app.tasks, &app.stop).await?;
    gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    let reloader = Reloader::new(sources, app.clone(), log);
    let probes = Probes {
        current: app.current.clone(),
        vitals: app.vitals.clone(),
        metrics: metrics.clone(),
        standing: standing(&app),
        reload: reloader.as_function(),
        detail: detail(&app),
        since: Instant::now(),
    };
    let guard = Arc::new(Guard::new(app.current.clone(), app.keyring.clone()));
    let machines = doors(probes::routes(Routes::new(guard.clone()), &probes), &app);
    let people = desks(Routes::new(guard.clone()), &app, &guard)?;
    let routes = [machines.table(), people.table()].concat();
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
        routes,
        app,
        reloader,
    })
}

/// Makes the parts; nothing runs yet but the store.
async fn build(mut config: Config) -> anyhow::Result<(App, Queues)> {
    let beside = parts::Beside::read(&config)?;
    // A server with a misfit must come up all the same: it serves flags, and may have to roll back what is under way.
    let faults = beside.misfits.faults.iter().map(ToString::to_string);
    config.warnings.extend(faults.chain(beside.misfits.warnings));
    info!(plans = beside.plans.names().join(" "), "Read the plans");
    let storage = parts::storage(&config.storage);
    let store = Store::open(&storage).await?;
    if store.take_over(&storage).await? {
        info!("This process serves from the storage directory alone");
    }
    let net = Net::new(config.allowed_hosts()).context("could not set up the HTTP client")?;
    let feed = Arc::new(Feed::default());
    let replica = uuid::Uuid::now_v7().to_string();
    let plans = Arc::new(ArcSwap::from_pointee(beside.plans));
    let renderer = Arc::new(ArcSwap::from_pointee(beside.renderer));
    let vitals = Vitals::default();
    let (engine, queues) = Engine::new(Parts {
        vitals: vitals.clone(),
        store: store.clone(),
        net: net.clone(),
        settings: parts::settings(&config, &replica, &net, &feed),
        plans: plans.clone(),
        board: Arc::default(),
        feed,
        renderer: renderer.clone(),
    });
    let app = App {
        keyring: Keyring::new(store),
        invitations: Invitations::default(),
        dispatcher: Dispatcher::new(engine.clone()),
        current: Current::new(config),
        vitals,
        stop: CancellationToken::new(),
        tasks: TaskTracker::new(),
        net,
        engine,
        plans,
        renderer,
        replica,
    };
    Ok((app, queues))
}

/// What the comprehensive health says beside the signs of life.
fn detail(app: &App) -> Detail {
    let engine = app.engine.clone();
    Arc::new(move || {
        let engine = engine.clone();
        Box::pin(async move { engine.report(clock::now()).await })
    })
}

/// What the metrics say that is not counted over time.
fn standing(app: &App) -> http::Standing {
    let engine = app.engine.clone();
    Arc::new(move || {
        let engine = engine.clone();
        Box::pin(async move { engine.standing(clock::now()).await })
    })
}

/// The doors for programs: webhooks and flags.
fn doors(routes: Routes, app: &App) -> Routes {
    let config = app.current.get();
    let limits = tidegate_webhooks::Limits {
        body: config.limits.body,
        bodies: config.limits.bodies_in_flight,
        requests: config.limits.requests_in_flight,
        read_within: parts::std_duration(config.limits.body_timeout),
        ..tidegate_webhooks::Limits::default()
    };
    let current = app.current.clone();
    let receivers = move || current.get().receivers.doors.clone();
    let hooks = tidegate_webhooks::router(receivers, app.engine.clone(), limits);
    let board = app.engine.board().clone();
    routes
        .receivers(hooks, tidegate_webhooks::paths())
        .receivers(slack::doors(app), tidegate_webhooks::slack::paths())
        .receivers(discord::door(app), tidegate_webhooks::discord::paths())
        .post("/ofrep/v1/evaluate/flags/{key}", Auth::Flags, ofrep::one, board.clone())
        .post("/ofrep/v1/evaluate/flags", Auth::Flags, ofrep::all, board)
}

/// What people use: the sign-in, the pages and the API.
fn desks(routes: Routes, app: &App, guard: &Arc<Guard>) -> anyhow::Result<Routes> {
    let shown = Pages::new(&app.current.get().web.route_prefix).context("could not read the pages")?;
    let shown = Arc::new(shown);
    let door = pages::login(shown.clone());
    let routes = login::routes(routes, guard.clone(), app.invitations.clone(), door);
    let routes = pages::routes(routes, app, guard, shown);
    let api = Api {
        dispatcher: app.dispatcher.clone(),
        store: app.engine.store().clone(),
        guard: guard.clone(),
    };
    Ok(api::routes(routes, &api))
}

/// Reads every chain of the log of the configured storage, and writes nothing; a running server may go on meanwhile.
///
/// # Errors
/// When the storage cannot be opened or read.
pub async fn verify_log(config: &Config) -> anyhow::Result<LogReport> {
    let store = Store::open_to_read(&parts::storage(&config.storage)).await?;
    let report = store.verify_log().await.context("could not read the log");
    store.close().await;
    report
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
        connections: config.limits.connections,
        header: parts::std_duration(config.limits.header_timeout),
        shutdown: parts::std_duration(config.limits.shutdown_timeout),
    };
    app.tasks
        .spawn(server::serve(listener, router, bounds, app.stop.clone()));
    Ok(bound)
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
    if let Some(slack) = &config.slack {
        info!(
            command = slack.command,
            workspaces = slack.app.workspaces.join(" "),
            "Listens to Slack"
        );
        if config.people.iter().all(|person| person.slack.is_none()) {
            warn!("Nobody under `people` has a member id of Slack: everybody there is refused");
        }
    }
    if let Some(discord) = &config.discord {
        let (command, guilds) = (&discord.command, discord.app.guilds.join(" "));
        info!(command, guilds, "Listens to Discord");
        if config.people.iter().all(|person| person.discord.is_none()) {
            warn!("Nobody under `people` has a user id of Discord: everybody there is refused");
        }
    }
    info!(version = env!("CARGO_PKG_VERSION"), %address, "Listening");
    if let Some(control) = control_address {
        info!(address = %control, "Listening for people");
    }
}
