//! Owns what can go wrong with the store: each error says what *we* tried, and keeps what stood in the way.
//! Refuses to decide what follows: the caller answers 503, tries again, or tells a person.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use tidegate_rollout::envelope;

/// Why the store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A power cut could lose what was promised. The process ends with exit code 3.
    #[error("unsafe storage: {setting} is {found}, and must be {needed}")]
    Unsafe {
        /// What is set wrongly.
        setting: &'static str,
        /// How it is set.
        found: String,
        /// How it has to be.
        needed: &'static str,
    },
    /// The directory of the SQLite file cannot be used.
    #[error("could not use {} as storage", path.display())]
    Directory {
        /// Which directory.
        path: PathBuf,
        /// What stood in the way.
        #[source]
        source: std::io::Error,
    },
    /// Another process serves from the same directory, and only one may: each answers flags from its own memory.
    #[error("another Tidegate serves from {}; stop it first, or give this one a `storage.path` of its own", path.display())]
    Taken {
        /// Which directory.
        path: PathBuf,
    },
    /// The database does not answer.
    #[error("could not {tried}")]
    Connect {
        /// What we tried.
        tried: &'static str,
        /// What stood in the way.
        #[source]
        source: sqlx::Error,
    },
    /// It was to be read, and there is no database of Tidegate.
    #[error("there is no database of Tidegate in {place}")]
    Missing {
        /// Where it should be.
        place: String,
    },
    /// The tables could not be brought up to date; they may belong to a newer Tidegate.
    #[error("could not migrate the database")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// The store opened, and its first question failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl OpenError {
    /// Whether the database, or the way to it, is to blame, and another try may succeed.
    pub fn is_unreachable(&self) -> bool {
        use sqlx::Error::{Database, Io, PoolClosed, PoolTimedOut, Protocol, Tls};
        let Self::Connect { source, .. } = self else {
            return false;
        };
        match source {
            Io(_) | Tls(_) | Protocol(_) | PoolTimedOut | PoolClosed => true,
            // Connection exceptions, too many connections, shutting down or starting up. SQLite's codes are shorter.
            Database(error) => {
                let code = error.code().unwrap_or_default();
                code.len() == 5 && ["08", "53", "57"].iter().any(|class| code.starts_with(class))
            }
            _ => false,
        }
    }
}

/// Why the store could not do something. Cheap to clone: everybody who waits for the same commit gets the same error.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused or did not answer. Nothing of this was saved, unless it failed at the commit itself.
    #[error("could not {tried}")]
    Database {
        /// What we tried.
        tried: &'static str,
        /// What stood in the way.
        #[source]
        source: Arc<sqlx::Error>,
    },
    /// A stored row does not say what this program can read.
    #[error("{table} row {row}: {column} is unreadable")]
    Row {
        /// Which table.
        table: &'static str,
        /// Which row, by the name people know it by.
        row: String,
        /// Which column.
        column: &'static str,
        /// What is wrong with it.
        #[source]
        source: Arc<dyn Error + Send + Sync>,
    },
    /// A value of ours could not be written down.
    #[error("could not write down {what}")]
    Seal {
        /// What.
        what: &'static str,
        /// What stood in the way.
        #[source]
        source: Arc<envelope::Unreadable>,
    },
    /// The store was closed while somebody waited.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// The error of a statement that `tried` to do something.
    pub(super) fn database(tried: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Database {
            tried,
            source: Arc::new(source),
        }
    }

    /// The error of a column that cannot be read.
    pub(super) fn row<E: Error + Send + Sync + 'static>(
        table: &'static str,
        row: &str,
        column: &'static str,
    ) -> impl FnOnce(E) -> Self {
        move |source| Self::Row {
            table,
            row: row.to_owned(),
            column,
            source: Arc::new(source),
        }
    }

    /// Whether one row is to blame, so that its neighbours in the same batch deserve a try of their own.
    pub(super) fn blames_a_row(&self) -> bool {
        let Self::Database { source, .. } = self else {
            return matches!(self, Self::Seal { .. } | Self::Row { .. });
        };
        match source.as_ref() {
            sqlx::Error::Database(error) => error.code().is_some_and(|code| is_about_data(&code)),
            sqlx::Error::Encode(_) => true,
            _ => false,
        }
    }

    /// Whether the table that was asked for is not there, or the file is no database at all.
    pub(super) fn is_about_no_table(&self) -> bool {
        let Self::Database { source, .. } = self else {
            return false;
        };
        let code = source.as_database_error().and_then(sqlx::error::DatabaseError::code);
        // undefined_table of PostgreSQL; SQLITE_ERROR and SQLITE_NOTADB.
        code.is_some_and(|code| ["42P01", "1", "26"].contains(&code.as_ref()))
    }

    /// Whether a column is not there, as in tables of a version before.
    pub(super) fn is_about_no_column(&self) -> bool {
        let Self::Database { source, .. } = self else {
            return false;
        };
        let error = source.as_database_error();
        // undefined_column of PostgreSQL; SQLite has one code for everything that cannot be prepared.
        error
            .is_some_and(|error| error.code().as_deref() == Some("42703") || error.message().contains("no such column"))
    }

    /// Whether the same transaction deserves another try at once: it lost against a concurrent one.
    pub(super) fn is_deadlock(&self) -> bool {
        let Self::Database { source, .. } = self else {
            return false;
        };
        let lost = |code: &str| matches!(code, "40P01" | "40001");
        source
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code)
            .is_some_and(|code| lost(&code))
    }
}

/// SQLSTATE classes of PostgreSQL, and primary result codes of SQLite (the extended code carries them in its low byte).
fn is_about_data(code: &str) -> bool {
    const SQLITE: [u32; 4] = [18, 19, 20, 25]; // TOOBIG, CONSTRAINT, MISMATCH, RANGE
    if code.len() == 5 {
        return ["22", "23", "54", "P0"].iter().any(|class| code.starts_with(class));
    }
    code.parse::<u32>().is_ok_and(|code| SQLITE.contains(&(code & 0xff)))
}

#[cfg(test)]
mod tests {
    use super::is_about_data;

    #[test]
    fn blame_is_told_from_failure_on_both_engines() {
        for row in ["23505", "22021", "54000", "P0001", "2067", "1811", "18"] {
            assert!(is_about_data(row), "{row}");
        }
        for system in ["08006", "57P01", "40P01", "53100", "13", "10", "5", "522"] {
            assert!(!is_about_data(system), "{system}");
        }
    }
}
