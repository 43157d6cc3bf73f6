//! Owns the one secret that exists before anybody can make another: the admin token of the first start.
//! Refuses to print it; its file can be read by its owner only.

use std::path::Path;

use anyhow::Context as _;
use jiff::Timestamp;
use tracing::{info, warn};

use crate::http::Keyring;
use crate::secret;

/// The file of the admin token below the storage's directory.
const FILE: &str = "admin.token";

/// Makes sure that there is an admin token, and that it opens. A token that somebody put there is as good as our own.
pub(super) async fn admin_token(directory: &Path, keyring: &Keyring, now: Timestamp) -> anyhow::Result<()> {
    let path = directory.join(FILE);
    if !path.exists() {
        std::fs::create_dir_all(directory).with_context(|| format!("could not make {}", directory.display()))?;
        let token = secret::random("tg_").context("could not make the admin token")?;
        secret::write_new(&path, &token).with_context(|| format!("could not write {}", path.display()))?;
        info!(path = %path.display(), "Made the admin token; sign in with it at /login");
    }
    if secret::is_shared(&path).with_context(|| format!("could not look at {}", path.display()))? {
        warn!(path = %path.display(), "Others on this machine can read the admin token; make its mode 0600");
    }
    let token = secret::read(&path).context("could not read the admin token")?;
    keyring
        .admit_admin(&token, now)
        .await
        .context("could not admit the admin token")
}
