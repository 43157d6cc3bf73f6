//! Owns secrets: reads them from files, makes new ones, reduces them to digests.
//! Refuses to print them: no `Debug`, no `Display`, no error of this room contains one.

use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use url::Url;

/// The largest file that can be a secret.
const LARGEST_FILE: u64 = 64 << 10;

/// Why a file is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It cannot be read.
    #[error("cannot read the file {}: {source}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What stood in the way.
        source: io::Error,
    },
    /// It is larger than any secret.
    #[error("the file {} is larger than 64 KiB, so it is no secret", .0.display())]
    TooLarge(PathBuf),
    /// There is nothing in it.
    #[error("the file {} is empty", .0.display())]
    Empty(PathBuf),
}

/// Reads the secret in the file at `path`, without the one line break that editors leave at the end.
pub fn read(path: &Path) -> Result<SecretString, SecretError> {
    let unreadable = |source| SecretError::Unreadable {
        path: path.to_owned(),
        source,
    };
    if fs::metadata(path).map_err(unreadable)?.len() > LARGEST_FILE {
        return Err(SecretError::TooLarge(path.to_owned()));
    }
    let text = fs::read_to_string(path).map_err(unreadable)?;
    let secret = text.strip_suffix('\n').unwrap_or(&text);
    let secret = secret.strip_suffix('\r').unwrap_or(secret);
    if secret.trim().is_empty() {
        return Err(SecretError::Empty(path.to_owned()));
    }
    Ok(SecretString::from(secret))
}

/// Writes `secret` into a new file that only its owner can read. An existing file is never overwritten, and the file is
/// there with all of its content or not at all, whenever the machine stops.
pub fn write_new(path: &Path, secret: &SecretString) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    // What an earlier start left there was never linked, so nobody knows it.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside)?;
    writeln!(file, "{}", secret.expose_secret())?;
    file.sync_all()?;
    let linked = fs::hard_link(&beside, path);
    match linked {
        // Some file systems know no links.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists && !path.exists() => fs::rename(&beside, path)?,
        linked => {
            fs::remove_file(&beside)?;
            linked?;
        }
    }
    #[cfg(unix)]
    fs::File::open(
        path.parent()
            .filter(|it| !it.as_os_str().is_empty())
            .unwrap_or(Path::new(".")),
    )?
    .sync_all()?;
    Ok(())
}

/// Whether anybody can read the file at `path` who need not. A file of ours is for nobody else; one of somebody else, as
/// Kubernetes mounts them, we may have to read by our group.
pub fn is_shared(path: &Path) -> io::Result<bool> {
    let metadata = fs::metadata(path)?;
    #[cfg(unix)]
    let shared = {
        use std::os::unix::fs::MetadataExt as _;
        is_open(metadata.mode(), metadata.uid() == rustix::process::geteuid().as_raw())
    };
    #[cfg(not(unix))]
    let shared = false;
    Ok(shared)
}

/// Whether a mode lets in more than it must.
#[cfg(unix)]
fn is_open(mode: u32, is_ours: bool) -> bool {
    let others = if is_ours { 0o077 } else { 0o007 };
    mode & others != 0
}

/// A new secret of 256 random bits: `prefix`, then 43 letters, digits, `-` and `_`.
pub fn random(prefix: &str) -> Result<SecretString, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(SecretString::from(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes))))
}

/// The SHA-256 of a secret: what is stored and compared instead of it. Enough for secrets of 256 random bits, and for
/// nothing that a person thought up.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of `secret`.
    pub fn of(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// Whether both are the same, in constant time.
    pub fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// A short name for the secret that gives nothing away: the first twelve hex digits.
    pub fn name(&self) -> String {
        hex::encode(&self.0[..6])
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({}…)", self.name())
    }
}

/// An address whose path or query is as good as a password, as those of incoming webhooks are.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(Url);

impl SecretUrl {
    /// Takes `url` in; from here on only scheme and host are ever shown.
    pub fn new(url: Url) -> Self {
        Self(url)
    }

    /// The whole address, for the request itself.
    pub fn expose(&self) -> &Url {
        &self.0
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/…", self.0.scheme(), self.0.host_str().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_secret_is_long_and_never_the_same() {
        let (one, other) = (random("tg_").unwrap(), random("tg_").unwrap());
        assert_eq!(one.expose_secret().len(), 46);
        assert_ne!(one.expose_secret(), other.expose_secret());
    }

    #[test]
    fn a_secret_is_written_whole_and_never_over_another() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.token");
        // A start that died while it wrote.
        fs::write(directory.path().join("admin.token.new"), "tg_hal").unwrap();
        let secret = SecretString::from("tg_whole");
        write_new(&path, &secret).unwrap();
        assert_eq!(read(&path).unwrap().expose_secret(), "tg_whole");
        assert!(!is_shared(&path).unwrap());
        let again = write_new(&path, &SecretString::from("tg_other")).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(read(&path).unwrap().expose_secret(), "tg_whole");
        assert_eq!(
            fs::read_dir(directory.path()).unwrap().count(),
            1,
            "nothing is left beside it"
        );
    }

    #[test]
    #[cfg(unix)]
    fn a_file_of_ours_is_for_us_and_one_that_was_mounted_for_our_group() {
        for (mode, is_ours, shared) in [
            (0o600, true, false),
            (0o640, true, true),
            (0o604, true, true),
            (0o440, false, false),
            (0o444, false, true),
        ] {
            assert_eq!(is_open(mode, is_ours), shared, "{mode:o}, ours: {is_ours}");
        }
    }

    #[test]
    fn blank_is_no_secret() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("blank");
        for blank in ["", "\n", "  \n"] {
            fs::write(&path, blank).unwrap();
            assert!(matches!(read(&path), Err(SecretError::Empty(_))), "{blank:?}");
        }
    }

    #[test]
    fn nothing_prints_a_secret() {
        let url = SecretUrl::new(Url::parse("https://hooks.example/services/c4n4ry?k=c4n4ry").unwrap());
        let shown = format!("{url:?} {:?} {:?}", Digest::of(b"c4n4ry"), SecretString::from("c4n4ry"));
        assert!(!shown.contains("c4n4ry"), "{shown}");
        assert!(shown.contains("https://hooks.example/…"), "{shown}");
    }
}
