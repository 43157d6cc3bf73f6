//! A mail server, and what it was given.
//!
//! Owns the life of `tests/mail/server.py`, which is aiosmtpd in the virtual environment that `tests/run` makes.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::process::{Launch, Program};
use crate::scratch::Scratch;
use crate::{paths, wait};

/// Python starts within this time, on however busy a machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// One mail as the server took it.
#[derive(Clone, Debug, Deserialize)]
pub struct Mail {
    /// The addresses of the envelope.
    pub to: Vec<String>,
    /// The headers, decoded, by their names in small letters.
    pub headers: BTreeMap<String, String>,
    /// The content type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The part for those who read text.
    pub text: Option<String>,
    /// The part for those who read HTML.
    pub html: Option<String>,
    /// Whether it came over TLS.
    pub encrypted: bool,
}

impl Mail {
    /// A header's value; empty where there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// The server, gone when dropped.
#[derive(Debug)]
pub struct MailServer {
    program: Program,
    port: u16,
    scratch: Scratch,
}

impl MailServer {
    /// One that takes everything in the clear and asks nobody who they are.
    ///
    /// # Errors
    /// When Python or aiosmtpd is missing, or it does not start.
    pub async fn start() -> Result<Self> {
        Self::with(&[]).await
    }

    /// With more arguments: see the script.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn with(arguments: &[&str]) -> Result<Self> {
        let python = paths::target()?.join("python/bin/python");
        ensure!(
            python.is_file(),
            "{} is missing: run `./tests/run prepare`",
            python.display()
        );
        let scratch = Scratch::new("mail")?;
        let mut program = Launch::new(python)
            .arg(paths::repository().join("tests/mail/server.py"))
            .args(["kept", "mood", "port"].map(|name| scratch.path().join(name)))
            .args(arguments.iter().copied())
            .start("mail", &scratch)?;
        let (file, mut port) = (scratch.path().join("port"), 0);
        let listens = async || {
            let text = std::fs::read_to_string(&file).context("it does not listen yet")?;
            ensure!(text.ends_with('\n'), "it is about to listen");
            port = text.trim().parse().context("it named no port")?;
            Ok(())
        };
        program.ready(PATIENCE, listens).await?;
        Ok(Self { program, port, scratch })
    }

    /// `127.0.0.1:port`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// From now on `address`, or every one for `*`, is answered so; an empty answer takes it again.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn answer(&self, address: &str, with: &str) -> Result<()> {
        let mood = BTreeMap::from([(address, with)]);
        self.scratch.write("mood.new", serde_json::to_string(&mood)?)?;
        let (from, to) = (self.scratch.path().join("mood.new"), self.scratch.path().join("mood"));
        std::fs::rename(from, to).context("could not tell the mail server how to answer")
    }

    /// Everything that it took, in order.
    ///
    /// # Errors
    /// When what it kept cannot be read.
    pub fn mails(&self) -> Result<Vec<Mail>> {
        let file = self.scratch.path().join("kept");
        if !file.exists() {
            return Ok(Vec::new());
        }
        let kept = std::fs::read_to_string(file).context("could not read what the mail server kept")?;
        // The last line may still be being written.
        let whole = kept.rfind('\n').map_or("", |end| &kept[..end]);
        whole
            .lines()
            .map(|line| serde_json::from_str(line).context("not a mail"))
            .collect()
    }

    /// Waits for a mail that `fits`; looks at all that came so far, too.
    ///
    /// # Errors
    /// When none fits before the deadline; says what came.
    pub async fn mail(&self, what: &str, deadline: Duration, fits: impl Fn(&Mail) -> bool) -> Result<Mail> {
        wait::until(what, deadline, async || {
            let mails = self.mails()?;
            let found = mails.iter().find(|mail| fits(mail)).cloned();
            found.with_context(|| format!("there are {mails:#?}\n{}", self.program.log().unwrap_or_default()))
        })
        .await
    }
}
