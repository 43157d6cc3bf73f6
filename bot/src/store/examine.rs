//! Owns the look at a database without opening it for work: is it ours, how new are its tables, is it safe, could it be written.
//! Refuses to change anything, and to promise that a start will succeed.

use sqlx::migrate::Migrator;

use super::Store;
use super::engine::Engine;
use super::error::{OpenError, StoreError};
use super::open::{self, Place, Storage};
use super::safety;

/// What was seen of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// Which program it is, and which version.
    pub engine: String,
    /// Whether it could be written.
    pub writable: bool,
    /// How what was promised survives a power cut.
    pub safety: String,
    /// How new its tables are.
    pub tables: Tables,
}

/// How new the tables are; newer ones than this program knows are an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tables {
    /// As new as this program.
    Current,
    /// Older; a start brings them up to date.
    Behind {
        /// Their number.
        at: i64,
        /// The newest one that this program knows.
        newest: i64,
    },
}

impl Store {
    /// Looks at the database of `storage`, only to read.
    ///
    /// # Errors
    /// [`OpenError::Missing`] when there is none yet; [`OpenError::Unsafe`] when a start would refuse it; others when it
    /// cannot be read.
    pub async fn examine(storage: &Storage) -> Result<Examined, OpenError> {
        if let Place::Sqlite { dir } = &storage.place {
            safety::check_directory(dir)?;
        }
        let engine = open::open_to_read(storage).await?;
        let examined = look(&engine).await;
        engine.close().await;
        examined
    }
}

async fn look(engine: &Engine) -> Result<Examined, OpenError> {
    let connect = |source| OpenError::Connect {
        tried: "look at the database",
        source,
    };
    match engine {
        Engine::Sqlite { readers, .. } => {
            let one = |sql: &'static str| sqlx::query_as::<_, (String,)>(sql).fetch_one(readers);
            let (version,) = one("SELECT sqlite_version()").await.map_err(connect)?;
            let (journal,) = one("PRAGMA journal_mode").await.map_err(connect)?;
            // The mode stays with the file, and a copy of one may have lost it; a start sets both, and reads them back.
            safety::judge_sqlite(&version, "wal", 2)?;
            let safety = match journal.as_str() {
                "wal" => "WAL, synchronous FULL at every start".to_owned(),
                other => format!("journal mode {other}, WAL and synchronous FULL from the next start on"),
            };
            Ok(Examined {
                engine: format!("SQLite {version}"),
                writable: true,
                safety,
                tables: tables(engine, &open::sqlite_migrations()).await?,
            })
        }
        Engine::Postgres(pool) => {
            safety::check_postgres(pool).await?;
            let about = "SELECT current_setting('server_version'), \
                         NOT pg_is_in_recovery() AND has_table_privilege('rollouts', 'INSERT')";
            let about = sqlx::query_as::<_, (String, bool)>(about);
            let (version, writable) = about.fetch_one(pool).await.map_err(connect)?;
            Ok(Examined {
                engine: format!("PostgreSQL {version}"),
                writable,
                safety: "fsync on".to_owned(),
                tables: tables(engine, &open::postgres_migrations()).await?,
            })
        }
    }
}

async fn tables(engine: &Engine, known: &Migrator) -> Result<Tables, StoreError> {
    let at = open::latest_migration(engine).await?.unwrap_or_default();
    let newest = known
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or_default();
    Ok(match at < newest {
        true => Tables::Behind { at, newest },
        false => Tables::Current,
    })
}
