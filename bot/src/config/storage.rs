//! Owns where Tidegate remembers, and for how long.
//! Refuses to open anything: that is the store's.

use std::path::PathBuf;

use secrecy::SecretString;
use tidegate_rollout::Period;

use super::section::Section;

/// Where everything is remembered.
#[derive(Clone, Debug)]
pub struct Storage {
    /// The directory of the SQLite database and of `admin.token`, relative to the working directory.
    pub path: PathBuf,
    /// The address of a PostgreSQL database, which is then used instead of SQLite. It carries a password.
    pub postgres_url: Option<SecretString>,
    /// Connections to PostgreSQL.
    pub pool: u32,
    /// How long what is over is kept: finished rollouts, resolved alerts, settled deliveries, sent messages.
    pub keep: Period,
}

impl Storage {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let storage = Self {
            path: section.required("path"),
            postgres_url: section.secret("postgres_url", "postgres_url_file"),
            pool: section.number("pool"),
            keep: section.required("keep"),
        };
        if storage.pool < 2 {
            section.fault("pool", "must be at least 2: one connection writes, others read");
        }
        if storage.keep < Period::minutes(60) {
            section.fault(
                "keep",
                "must be at least `1h`: what happened lately is needed to decide",
            );
        }
        storage
    }
}
