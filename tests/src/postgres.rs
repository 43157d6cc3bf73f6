//! A real PostgreSQL server for the tests: one per process while anybody uses it, a database of its own for each test.
//!
//! `initdb` refuses to run as root, so root runs the server as the user `postgres`. It keeps
//! PostgreSQL's own settings: Tidegate refuses a database that may forget.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tokio::sync::Mutex;

use crate::ports::Port;
use crate::process::{End, Launch, Program};
use crate::scratch::Scratch;

/// Longest start seen is one second; a busy machine gets more.
const START: Duration = Duration::from_secs(30);

/// The database user of every test.
const USER: &str = "tidegate";

/// A server.
#[derive(Debug)]
pub struct Postgres {
    // Stopped before its folder goes.
    program: Program,
    port: Port,
    user: Option<String>,
    databases: AtomicU32,
    scratch: Scratch,
}

impl Postgres {
    /// The server this process shares; started for the first user, stopped with the last one.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub async fn shared() -> Result<Arc<Self>> {
        static SHARED: Mutex<Weak<Postgres>> = Mutex::const_new(Weak::new());
        let mut shared = SHARED.lock().await;
        if let Some(running) = shared.upgrade() {
            return Ok(running);
        }
        let started = Arc::new(Self::start().await?);
        *shared = Arc::downgrade(&started);
        Ok(started)
    }

    /// Starts a server of one's own, to be stopped in the middle of a test.
    ///
    /// # Errors
    /// Carries the end of its log.
    pub async fn start() -> Result<Self> {
        let scratch = Scratch::new("postgres")?;
        let user = unprivileged_user(scratch.path())?;
        Launch::new(server_program("initdb")?)
            .arg(format!("--pgdata={}", data(&scratch).display()))
            .arg(format!("--username={USER}"))
            .args([
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "--no-instructions",
            ])
            .as_user(user.clone())
            .run()?;
        let port = Port::reserve()?;
        let program = launch(&port, &user, &scratch).await?;
        Ok(Self {
            program,
            port,
            user,
            databases: AtomicU32::new(0),
            scratch,
        })
    }

    /// Ends it at once and breaks every connection, as an outage does.
    ///
    /// # Errors
    /// When it had already stopped.
    pub async fn stop(&mut self) -> Result<()> {
        self.program.signal(Signal::QUIT)?;
        self.program.exit(START).await.map(drop)
    }

    /// Starts it again after [`Postgres::stop`], with its port and its data.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub async fn start_again(&mut self) -> Result<()> {
        self.program = launch(&self.port, &self.user, &self.scratch).await?;
        Ok(())
    }

    /// Makes an empty database and returns its URL.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn create_database(&self) -> Result<String> {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut connection: PgConnection = options(&self.port).connect().await.context("could not connect")?;
        let create = sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}")));
        create
            .execute(&mut connection)
            .await
            .with_context(|| format!("could not create {name}"))?;
        connection.close().await.context("could not close the connection")?;
        Ok(format!("postgres://{USER}@{}/{name}", self.port.address()))
    }
}

async fn launch(port: &Port, user: &Option<String>, scratch: &Scratch) -> Result<Program> {
    let mut program = Launch::new(server_program("postgres")?)
        .arg("-D")
        .arg(data(scratch))
        .arg("-k")
        .arg(scratch.path())
        .args(["-c", "listen_addresses=127.0.0.1", "-p", &port.number().to_string()])
        .args(["-c", "max_connections=200"])
        .as_user(user.clone())
        .ended_by(End::Quit)
        .start("postgres", scratch)?;
    let options = options(port);
    program
        .ready(START, async || Ok(options.connect().await?.close().await?))
        .await?;
    Ok(program)
}

fn data(scratch: &Scratch) -> PathBuf {
    scratch.path().join("data")
}

fn options(port: &Port) -> PgConnectOptions {
    PgConnectOptions::new()
        .host("127.0.0.1")
        .port(port.number())
        .username(USER)
        .database("postgres")
}

/// Root hands the folder over to the user `postgres`; anybody else is good enough himself.
fn unprivileged_user(folder: &Path) -> Result<Option<String>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let user = "postgres";
    Launch::new("/bin/chown")
        .arg(user)
        .arg(folder)
        .run()
        .context("the package postgresql brings the user postgres")?;
    Ok(Some(user.to_owned()))
}

/// Debian keeps the server's programs out of the PATH, one folder for each version.
fn server_program(name: &str) -> Result<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions.map(|version| version.path().join("bin").join(name)).collect();
    found.retain(|program| program.is_file());
    found.sort();
    found
        .pop()
        .map_or_else(|| crate::process::installed(name, "postgresql"), Ok)
}
