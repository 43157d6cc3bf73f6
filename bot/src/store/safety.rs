//! Owns what storage must be like so that a power cut loses nothing that was promised.
//! Refuses, by name, every setting that breaks the promise. What is read back counts, not what was asked for.

use std::path::Path;

use sqlx::postgres::PgPool;
use sqlx::sqlite::SqlitePool;

use super::error::OpenError;

/// File systems behind a network: they lose locks and reorder writes, which SQLite does not survive.
const NETWORK: &[&str] = &[
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "fuse.ceph",
    "fuse.cephfs",
    "fuse.gcsfuse",
    "fuse.glusterfs",
    "fuse.s3fs",
    "fuse.sshfs",
    "gfs2",
    "glusterfs",
    "gpfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "ocfs2",
    "smb3",
    "smbfs",
];

fn unsafe_setting(setting: &'static str, found: impl Into<String>, needed: &'static str) -> OpenError {
    OpenError::Unsafe {
        setting,
        found: found.into(),
        needed,
    }
}

/// Refuses a directory on a network file system. Where the system does not list its mounts, nothing is known.
pub(super) fn check_directory(directory: &Path) -> Result<(), OpenError> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let whole = std::fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
    judge_file_system(&mounts, &whole)
}

fn judge_file_system(mounts: &str, directory: &Path) -> Result<(), OpenError> {
    let mut nearest = (0, "");
    for line in mounts.lines() {
        let mut fields = line.split(' ').skip(1);
        let (Some(point), Some(kind)) = (fields.next(), fields.next()) else {
            continue;
        };
        let point = point.replace("\\040", " ");
        // The last of several mounts on one point is the one in force.
        if directory.starts_with(&point) && point.len() >= nearest.0 {
            nearest = (point.len(), kind);
        }
    }
    match nearest.1 {
        kind if NETWORK.contains(&kind) => Err(unsafe_setting("the file system of storage.path", kind, "a local one")),
        _ => Ok(()),
    }
}

/// Refuses an SQLite connection that would not be durable.
pub(super) async fn check_sqlite(writer: &SqlitePool) -> Result<(), OpenError> {
    let connect = |source| OpenError::Connect {
        tried: "read the settings of SQLite back",
        source,
    };
    let one = |sql: &'static str| sqlx::query_as::<_, (String,)>(sql).fetch_one(writer);
    let (version,) = one("SELECT sqlite_version()").await.map_err(connect)?;
    let (journal,) = one("PRAGMA journal_mode").await.map_err(connect)?;
    let (synchronous,): (i64,) = sqlx::query_as("PRAGMA synchronous")
        .fetch_one(writer)
        .await
        .map_err(connect)?;
    judge_sqlite(&version, &journal, synchronous)
}

pub(super) fn judge_sqlite(version: &str, journal: &str, synchronous: i64) -> Result<(), OpenError> {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    let number = (next(), next(), next());
    // Older ones, and 3.52.0, can corrupt a database in WAL mode.
    if number < (3, 51, 3) || number == (3, 52, 0) {
        return Err(unsafe_setting(
            "the version of SQLite",
            version,
            "3.51.3 or later, but not 3.52.0",
        ));
    }
    if !journal.eq_ignore_ascii_case("wal") {
        return Err(unsafe_setting("journal_mode of SQLite", journal, "wal"));
    }
    match synchronous {
        2 | 3 => Ok(()),
        0 => Err(unsafe_setting("synchronous of SQLite", "off", "full")),
        1 => Err(unsafe_setting("synchronous of SQLite", "normal", "full")),
        other => Err(unsafe_setting("synchronous of SQLite", other.to_string(), "full")),
    }
}

/// Refuses a PostgreSQL server that would not be durable.
pub(super) async fn check_postgres(pool: &PgPool) -> Result<(), OpenError> {
    for (setting, sql) in [
        ("fsync", "SHOW fsync"),
        ("synchronous_commit", "SHOW synchronous_commit"),
        ("full_page_writes", "SHOW full_page_writes"),
    ] {
        let (value,): (String,) = sqlx::query_as(sql)
            .fetch_one(pool)
            .await
            .map_err(|source| OpenError::Connect {
                tried: "read the settings of PostgreSQL",
                source,
            })?;
        judge_postgres(setting, &value)?;
    }
    Ok(())
}

fn judge_postgres(setting: &'static str, value: &str) -> Result<(), OpenError> {
    // `local`, `remote_write` and `remote_apply` of synchronous_commit all flush on this server.
    match value {
        "off" => Err(unsafe_setting(setting, value, "on")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(outcome: Result<(), OpenError>) -> &'static str {
        match outcome {
            Err(OpenError::Unsafe { setting, .. }) => setting,
            other => panic!("not refused: {other:?}"),
        }
    }

    #[test]
    fn sqlite_is_refused_setting_by_setting() {
        assert!(judge_sqlite("3.51.3", "wal", 2).is_ok());
        assert!(judge_sqlite("3.53.0", "WAL", 3).is_ok());
        for version in ["3.51.2", "3.50.9", "3.52.0", "2.8.17", "nonsense"] {
            assert_eq!(
                refused(judge_sqlite(version, "wal", 2)),
                "the version of SQLite",
                "{version}"
            );
        }
        for journal in ["delete", "memory", "off"] {
            assert_eq!(refused(judge_sqlite("3.51.3", journal, 2)), "journal_mode of SQLite");
        }
        for synchronous in [0, 1, 7] {
            assert_eq!(
                refused(judge_sqlite("3.51.3", "wal", synchronous)),
                "synchronous of SQLite"
            );
        }
    }

    #[test]
    fn postgres_is_refused_setting_by_setting() {
        for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
            assert_eq!(refused(judge_postgres(setting, "off")), setting);
            assert!(judge_postgres(setting, "on").is_ok());
        }
        assert!(judge_postgres("synchronous_commit", "remote_apply").is_ok());
    }

    #[test]
    fn the_nearest_mount_decides() {
        let mounts = "/dev/vda / ext4 rw 0 0\nnas:/x /srv nfs4 rw 0 0\n/dev/vdb /srv/fast\\040disk xfs rw 0 0\n";
        let judge = |path: &str| judge_file_system(mounts, Path::new(path));
        assert!(judge("/var/lib/tidegate").is_ok());
        assert_eq!(refused(judge("/srv/tidegate")), "the file system of storage.path");
        assert!(judge("/srv/fast disk/tidegate").is_ok());
        assert!(
            judge("/srvx").is_ok(),
            "a name that only begins the same is another directory"
        );
        assert!(judge_file_system("", Path::new("/x")).is_ok());
    }
}
