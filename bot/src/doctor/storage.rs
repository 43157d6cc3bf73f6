//! Owns the check of the storage: it is there or can be made, can be written, is safe, is as new as this program, and has room.
//! Refuses to create, migrate or write anything, and to take a rehearsal for the real opening: a start checks it all again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Access, access, statvfs};

use super::{Finding, Subject};
use crate::secret;
use crate::store::{Examined, OpenError, Place, Store, Tables};

/// Below this a storm of alerts may fill the disk; then deliveries are answered 503.
const ROOM: u64 = 1 << 30;
/// Below this the next hour may.
const LEAST_ROOM: u64 = 100 << 20;

pub(super) async fn look(subject: Arc<Subject>) -> Vec<Finding> {
    let mut found = match &subject.storage.place {
        Place::Sqlite { dir } => directory(dir),
        Place::Postgres { .. } => Vec::new(),
    };
    if found.is_empty() {
        found.extend(database(&subject).await);
    }
    found
}

async fn database(subject: &Subject) -> Vec<Finding> {
    match Store::examine(&subject.storage).await {
        Ok(examined) => judge(&examined),
        Err(OpenError::Missing { place }) => vec![Finding::ok(
            "storage",
            format!("nothing in {place} yet; the first start makes it"),
        )],
        Err(error) => vec![unopened(error)],
    }
}

fn judge(examined: &Examined) -> Vec<Finding> {
    let Examined { engine, tables, .. } = examined;
    if !examined.writable {
        return vec![Finding::fail(
            "storage.read-only",
            format!("{engine} does not let us write"),
            "Name a primary, not a standby, and a role that owns the tables, in `storage.postgres_url_file`.",
        )];
    }
    let tables = match tables {
        Tables::Current => "tables up to date".to_owned(),
        Tables::Behind { at, newest } => format!("tables at {at}; the next start brings them to {newest}"),
    };
    vec![Finding::ok(
        "storage",
        format!("{engine}, {}, {tables}", examined.safety),
    )]
}

fn unopened(error: OpenError) -> Finding {
    let (code, fix) = match &error {
        OpenError::Unsafe { needed, setting, .. } => (
            "storage.unsafe",
            format!("Set {setting} to: {needed}. A server does not start before."),
        ),
        OpenError::Migrate(_) => (
            "storage.newer",
            "A newer Tidegate has changed these tables: run that version or a newer one.".to_owned(),
        ),
        error if error.is_unreachable() => (
            "storage.unreachable",
            "Start the database, and check host, port and password in `storage.postgres_url_file`.".to_owned(),
        ),
        _ => (
            "storage.unusable",
            "Check `storage.path` or `storage.postgres_url_file`, and who owns what is there.".to_owned(),
        ),
    };
    Finding::fail(code, format!("{:#}", anyhow::Error::new(error)), fix)
}

/// The directory as such; nothing where it is as it should be.
fn directory(dir: &Path) -> Vec<Finding> {
    let (there, made) = (nearest(dir), dir.is_dir());
    if !there.is_dir() {
        return vec![Finding::fail(
            "storage.no-directory",
            format!("{} is no directory", there.display()),
            format!("Move {} away, or name another `storage.path`.", there.display()),
        )];
    }
    if access(&there, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        let fix = match made {
            true => format!(
                "Give it to the account of the server: `chown -R tidegate {}`.",
                dir.display()
            ),
            false => format!(
                "Make it for the account of the server: `install -d -m 700 -o tidegate {}`.",
                dir.display()
            ),
        };
        let says = format!("{} cannot be written by this account", there.display());
        return vec![Finding::fail("storage.not-writable", says, fix)];
    }
    let mut found = Vec::new();
    let token = dir.join("admin.token");
    if secret::is_shared(&token).unwrap_or(false) {
        found.push(Finding::warn(
            "storage.shared-token",
            format!("others on this machine can read {}", token.display()),
            format!(
                "`chmod 600 {}`; if somebody may have read it, revoke it.",
                token.display()
            ),
        ));
    }
    let free = statvfs(&there).map(|about| about.f_bavail.saturating_mul(about.f_frsize));
    found.extend(free.ok().and_then(|free| room(&there, free)));
    found
}

/// The directory, or the one above in which it would be made.
fn nearest(dir: &Path) -> PathBuf {
    let whole = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let mut all = whole.ancestors();
    all.find(|it| it.exists()).unwrap_or(Path::new("/")).to_owned()
}

fn room(dir: &Path, free: u64) -> Option<Finding> {
    let says = || format!("{} MiB are free where {} lies", free >> 20, dir.display());
    let fix = "Make room, or shorten `storage.keep`; a full disk answers webhooks with 503.";
    match free {
        ..LEAST_ROOM => Some(Finding::fail("storage.full", says(), fix)),
        LEAST_ROOM..ROOM => Some(Finding::warn("storage.little-room", says(), fix)),
        ROOM.. => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_room_is_told_and_none_is_a_fault() {
        let code = |free| room(Path::new("/data"), free).map(|finding| finding.code);
        assert_eq!(code(2 << 30), None);
        assert_eq!(code(500 << 20), Some("storage.little-room"));
        assert_eq!(code(0), Some("storage.full"));
    }

    #[test]
    fn a_directory_that_is_to_be_made_is_judged_by_the_one_above() {
        let above = tempfile::tempdir().unwrap();
        assert_eq!(nearest(&above.path().join("a/b")), above.path());
        let file = above.path().join("file");
        std::fs::write(&file, "").unwrap();
        let found = directory(&file.join("data"));
        assert_eq!(found[0].code, "storage.no-directory");
        assert!(!above.path().join("a").exists(), "nothing was made");
    }
}
