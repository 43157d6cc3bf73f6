//! A certificate authority for one test, and a certificate of it for 127.0.0.1.
//!
//! Owns making both with `openssl`. Refuses nothing and trusts nobody: whoever is to believe it is given `authority`.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::process::Launch;
use crate::scratch::Scratch;

/// The files.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// Whom to believe.
    pub authority: PathBuf,
    /// What a server shows.
    pub certificate: PathBuf,
    /// How it proves that it is the server's own.
    pub key: PathBuf,
}

/// What is said of the server: who it is, and that it is no authority.
const SERVER: &str = "basicConstraints=critical,CA:FALSE\nsubjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n";
/// What is said of the authority.
const AUTHORITY: &str = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n";

impl Certificates {
    /// Makes them in `scratch`.
    ///
    /// # Errors
    /// When `openssl` is not there or does not do it.
    pub fn make(scratch: &Scratch) -> Result<Self> {
        let path = |name: &str| scratch.path().join(name);
        let made = Self {
            authority: path("ca.crt"),
            certificate: path("server.crt"),
            key: path("server.key"),
        };
        request(scratch, "ca", "/CN=the authority of the tests")?;
        sign(scratch, "ca", AUTHORITY, &["-key".into(), path("ca.key")])?;
        request(scratch, "server", "/CN=127.0.0.1")?;
        let by = ["-CA".into(), path("ca.crt"), "-CAkey".into(), path("ca.key")];
        sign(scratch, "server", SERVER, &by)?;
        Ok(made)
    }
}

/// Makes a key, and asks for a certificate with it.
fn request(scratch: &Scratch, name: &str, subject: &str) -> Result<()> {
    let path = |ending: &str| scratch.path().join(format!("{name}.{ending}"));
    let made = Launch::new("openssl")
        .args([
            "req",
            "-new",
            "-nodes",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
        ])
        .args(["-subj", subject, "-keyout"])
        .arg(path("key"))
        .arg("-out")
        .arg(path("csr"))
        .run();
    made.map(drop).context("openssl makes a key")
}

fn sign(scratch: &Scratch, name: &str, says: &str, by: &[PathBuf]) -> Result<()> {
    let path = |ending: &str| scratch.path().join(format!("{name}.{ending}"));
    let extensions = scratch.write(&format!("{name}.ext"), says)?;
    let made = Launch::new("openssl")
        .args([
            "x509",
            "-req",
            "-days",
            "2",
            "-set_serial",
            if name == "ca" { "1" } else { "2" },
            "-in",
        ])
        .arg(path("csr"))
        .arg("-extfile")
        .arg(extensions)
        .arg("-out")
        .arg(path("crt"))
        .args(by)
        .run();
    made.map(drop).context("openssl signs a certificate")
}
