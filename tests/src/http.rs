//! The HTTP client of the tests.
//!
//! Refuses proxies and redirects: a scenario talks to what it started, and a redirect is a finding.

use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::Client;
use reqwest::redirect::Policy;
use serde_json::Value;

/// No answer of a program on this machine takes longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A client with a connection pool of its own: a pool belongs to the runtime of one test.
///
/// # Errors
/// When it cannot be built.
pub fn client() -> Result<Client> {
    static TLS: LazyLock<()> = LazyLock::new(|| {
        // Already installed by someone else in this process is just as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    LazyLock::force(&TLS);
    #[expect(clippy::disallowed_methods, reason = "the tests call the programs they started")]
    let builder = Client::builder();
    builder
        .no_proxy()
        .redirect(Policy::none())
        .timeout(PATIENCE)
        .build()
        .context("could not build a client")
}

/// GETs `url` and returns its JSON body.
///
/// # Errors
/// Names the URL and the status, if it is not a success.
pub async fn get_json(client: &Client, url: &str) -> Result<Value> {
    let answer = client
        .get(url)
        .send()
        .await
        .with_context(|| format!("could not GET {url}"))?;
    let status = answer.status();
    let body = answer
        .text()
        .await
        .with_context(|| format!("could not read the answer of {url}"))?;
    ensure!(status.is_success(), "{url} answered {status}: {body}");
    serde_json::from_str(&body).with_context(|| format!("{url} did not answer with JSON: {body}"))
}

/// Succeeds when `url` answers a GET with a success.
///
/// # Errors
/// Names the URL and the status.
pub async fn answers(client: &Client, url: &str) -> Result<()> {
    let answer = client
        .get(url)
        .send()
        .await
        .with_context(|| format!("could not GET {url}"))?;
    ensure!(answer.status().is_success(), "{url} answered {}", answer.status());
    Ok(())
}
