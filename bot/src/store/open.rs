//! Owns the opening: where the data lives, its connections, its tables brought up to date, or all of it only to be read.
//! Refuses storage that is not safe, before anything is promised on it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, Executor, SqlSafeStr};

use super::engine::Engine;
use super::error::{OpenError, StoreError};
use super::safety;
use super::sql::statements;

statements! {
    LATEST_MIGRATION: "read which tables there are" = "SELECT max(version) FROM _sqlx_migrations";
}

/// Where the data lives, and how many connections it is reached by.
#[derive(Clone, Debug)]
pub struct Storage {
    /// Where.
    pub place: Place,
    /// The most connections at a time; on SQLite those that read, beside the one that writes.
    pub pool: u32,
}

/// Where the data lives.
#[derive(Clone, Debug)]
pub enum Place {
    /// A file in a directory of this machine.
    Sqlite {
        /// The directory; it is made if it does not exist.
        dir: PathBuf,
    },
    /// A PostgreSQL database.
    Postgres {
        /// `postgres://user:password@host:port/database`.
        url: SecretString,
    },
}

impl Storage {
    /// The file's name in the directory.
    pub const FILE: &str = "tidegate.db";
    /// As many connections as a server needs that nobody tuned.
    pub const POOL: u32 = 8;

    /// SQLite in `dir`.
    pub fn directory(dir: impl Into<PathBuf>) -> Self {
        Self {
            place: Place::Sqlite { dir: dir.into() },
            pool: Self::POOL,
        }
    }

    /// PostgreSQL at `url`.
    pub fn postgres(url: SecretString) -> Self {
        Self {
            place: Place::Postgres { url },
            pool: Self::POOL,
        }
    }
}

/// Waiting longer for a lock or an answer than this is a failure: the sender is better answered 503.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn open(storage: &Storage) -> Result<Engine, OpenError> {
    match &storage.place {
        Place::Sqlite { dir } => open_sqlite(dir, storage.pool).await,
        Place::Postgres { url } => open_postgres(url, storage.pool).await,
    }
}

async fn open_sqlite(dir: &Path, pool: u32) -> Result<Engine, OpenError> {
    let unusable = |source| OpenError::Directory {
        path: dir.to_owned(),
        source,
    };
    make_private(dir).map_err(unusable)?;
    safety::check_directory(dir)?;
    let file = dir.join(Storage::FILE);
    touch_private(&file).map_err(unusable)?;
    let options = SqliteConnectOptions::new()
        .filename(file)
        .busy_timeout(PATIENCE)
        .statement_cache_capacity(256);
    let writing = options
        .clone()
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let connect = |tried| move |source| OpenError::Connect { tried, source };
    let writer = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(2 * PATIENCE)
        .after_release(|connection, _| Box::pin(is_clean(connection)))
        .connect_with(writing)
        .await
        .map_err(connect("open the SQLite file"))?;
    safety::check_sqlite(&writer).await?;
    sqlite_migrations().run(&writer).await.map_err(OpenError::Migrate)?;
    let readers = SqlitePoolOptions::new()
        .max_connections(pool.max(1))
        .acquire_timeout(2 * PATIENCE)
        .connect_with(options.read_only(true))
        .await
        .map_err(connect("open the SQLite file for reading"))?;
    Ok(Engine::Sqlite { writer, readers })
}

/// Whether a connection may be used again. On a full disk, and after other failures of the system, SQLite undoes a transaction by
/// itself; the driver goes on counting it as open, cannot undo it either, and would begin no other on this connection, ever.
async fn is_clean(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // What was dropped without a commit is undone before this is answered.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

/// Only what is there already, and only to read: no file, table or row is made or changed.
pub(super) async fn open_to_read(storage: &Storage) -> Result<Engine, OpenError> {
    match &storage.place {
        Place::Sqlite { dir } => read_sqlite(dir, storage.pool).await,
        Place::Postgres { url } => read_postgres(url, storage.pool).await,
    }
}

async fn read_sqlite(dir: &Path, pool: u32) -> Result<Engine, OpenError> {
    let file = dir.join(Storage::FILE);
    let missing = || OpenError::Missing {
        place: file.display().to_string(),
    };
    if !file.is_file() {
        return Err(missing());
    }
    let options = SqliteConnectOptions::new()
        .filename(&file)
        .busy_timeout(PATIENCE)
        .read_only(true);
    let readers = SqlitePoolOptions::new()
        .max_connections(pool.max(1))
        .acquire_timeout(2 * PATIENCE)
        .connect_with(options)
        .await
        .map_err(|source| OpenError::Connect {
            tried: "open the SQLite file for reading",
            source,
        })?;
    let engine = Engine::Sqlite {
        writer: readers.clone(),
        readers,
    };
    must_be_ours(&engine, &sqlite_migrations(), missing).await?;
    Ok(engine)
}

async fn read_postgres(url: &SecretString, pool: u32) -> Result<Engine, OpenError> {
    let connect = |tried| move |source| OpenError::Connect { tried, source };
    let options: PgConnectOptions = url
        .expose_secret()
        .parse()
        .map_err(connect("understand the URL of the database"))?;
    let place = format!("the PostgreSQL database {}", options.get_database().unwrap_or_default());
    let options = options
        .application_name("tidegate")
        .options([("default_transaction_read_only", "on")]);
    // A pool would try for as long as it may before it says why.
    let first = sqlx::PgConnection::connect_with(&options).await;
    first
        .map_err(connect("connect to PostgreSQL"))?
        .close()
        .await
        .map_err(connect("connect to PostgreSQL"))?;
    let pool = PgPoolOptions::new()
        .max_connections(pool.max(1))
        .acquire_timeout(2 * PATIENCE)
        .connect_with(options)
        .await
        .map_err(connect("connect to PostgreSQL"))?;
    let engine = Engine::Postgres(pool);
    must_be_ours(&engine, &postgres_migrations(), || OpenError::Missing { place }).await?;
    Ok(engine)
}

/// Refuses a database that is not ours, and one that a newer Tidegate has changed. An older one can be read: a migration only
/// ever adds.
async fn must_be_ours(engine: &Engine, known: &Migrator, missing: impl FnOnce() -> OpenError) -> Result<(), OpenError> {
    match latest_migration(engine).await {
        Err(error) if error.is_about_no_table() => Err(missing()),
        Err(error) => Err(error.into()),
        Ok(None) => Err(missing()),
        Ok(Some(version)) if known.version_exists(version) => Ok(()),
        Ok(Some(version)) => Err(OpenError::Migrate(MigrateError::VersionMissing(version))),
    }
}

/// The last migration that this database has seen.
pub(super) async fn latest_migration(engine: &Engine) -> Result<Option<i64>, StoreError> {
    let row: Option<(Option<i64>,)> = engine.row(&LATEST_MIGRATION, &[]).await?;
    Ok(row.and_then(|(latest,)| latest))
}

/// The directory holds tokens' hashes and the words of people: nobody else reads it.
fn make_private(dir: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Also where the directory was there before, and others may look into it. SQLite gives its other files the same mode.
fn touch_private(file: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file).map(drop)
}

async fn open_postgres(url: &SecretString, pool: u32) -> Result<Engine, OpenError> {
    let connect = |tried| move |source| OpenError::Connect { tried, source };
    let options: PgConnectOptions = url
        .expose_secret()
        .parse()
        .map_err(connect("understand the URL of the database"))?;
    let options = options.application_name("tidegate").statement_cache_capacity(256);
    migrate_postgres(&options).await?;
    let pool = PgPoolOptions::new()
        // The writer, the lease and a rollback must never wait for one another.
        .max_connections(pool.max(4))
        .acquire_timeout(2 * PATIENCE)
        .after_connect(|connection, _| {
            Box::pin(async move {
                // A replica that stands still in the middle of a transaction must not stand in everybody's way.
                let limits = "SET statement_timeout = '15s'; SET lock_timeout = '5s'; \
                              SET idle_in_transaction_session_timeout = '10s'";
                connection.execute(limits).await.map(drop)
            })
        })
        .connect_with(options)
        .await
        .map_err(connect("connect to PostgreSQL"))?;
    safety::check_postgres(&pool).await?;
    Ok(Engine::Postgres(pool))
}

/// On a connection of its own, without the limits of the others: a migration may take its time.
async fn migrate_postgres(options: &PgConnectOptions) -> Result<(), OpenError> {
    let connect = |source| OpenError::Connect {
        tried: "connect to PostgreSQL",
        source,
    };
    let mut connection = sqlx::PgConnection::connect_with(options).await.map_err(connect)?;
    postgres_migrations()
        .run(&mut connection)
        .await
        .map_err(OpenError::Migrate)?;
    connection.close().await.map_err(connect)
}

/// The migrations of one engine, embedded: version, what it does, text.
macro_rules! migrations {
    ($engine:literal, $(($version:literal, $does:literal, $file:literal)),+ $(,)?) => {
        Migrator::with_migrations(vec![$(Migration::new(
            $version,
            $does.into(),
            MigrationType::Simple,
            include_str!(concat!("../../../migrations/", $engine, "/", $file)).into_sql_str(),
            false,
        )),+])
    };
}

pub(super) fn sqlite_migrations() -> Migrator {
    migrations!(
        "sqlite",
        (1, "start", "0001_start.sql"),
        (2, "sessions", "0002_sessions.sql"),
        (4, "telling", "0004_telling.sql"),
        (5, "slack", "0005_slack.sql"),
        (9, "starts", "0009_starts.sql"),
        (10, "commitments", "0010_commitments.sql"),
        (11, "polls", "0011_polls.sql"),
        (12, "holders", "0012_holders.sql"),
        (13, "surfaces", "0013_surfaces.sql"),
    )
}

pub(super) fn postgres_migrations() -> Migrator {
    migrations!(
        "postgres",
        (1, "start", "0001_start.sql"),
        (2, "sessions", "0002_sessions.sql"),
        (4, "telling", "0004_telling.sql"),
        (5, "slack", "0005_slack.sql"),
        (9, "starts", "0009_starts.sql"),
        (10, "commitments", "0010_commitments.sql"),
        (11, "polls", "0011_polls.sql"),
        (12, "holders", "0012_holders.sql"),
        (13, "surfaces", "0013_surfaces.sql"),
    )
}
