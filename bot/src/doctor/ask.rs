//! Owns one question over HTTP: what was answered, what time the other side thinks it is, or in plain words why there is no answer.
//! Refuses redirects, long answers and long waits, and to quote an address that may hold a secret.

use std::time::{Duration, Instant};

use http::header::DATE;
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;
use url::Url;

use super::clocks::Clocks;
use crate::clock;
use crate::config::Login;
use crate::net::{self, Net};

/// No single question lasts longer.
const WITHIN: Duration = Duration::from_secs(8);
/// The longest answer that is read; Alertmanager lists all alerts, Prometheus all rules.
const LONGEST: usize = 32 << 20;

/// Asks, and notes the clocks of those who answer.
#[derive(Clone)]
pub(super) struct Asker {
    pub(super) net: Net,
    clocks: Clocks,
}

/// Why there is no answer that says anything.
pub(super) enum Silence {
    /// Nobody answered.
    Unreachable(String),
    /// The other side wants to know who asks, or does not believe it.
    Unauthorized(StatusCode),
    /// It answered otherwise than it should.
    Odd(String),
}

impl Asker {
    pub(super) fn new(net: Net, clocks: Clocks) -> Self {
        Self { net, clocks }
    }

    /// What is below `base` at `path`, as JSON.
    pub(super) async fn json(
        &self,
        base: &Url,
        path: &[&str],
        query: &str,
        login: Option<&Login>,
    ) -> Result<Value, Silence> {
        let mut url = base.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => {
                segments.pop_if_empty().extend(path);
            }
            Err(()) => return Err(Silence::Odd("that is no base address".to_owned())),
        }
        url.set_query(Some(query).filter(|query| !query.is_empty()));
        let (_, body) = self.ask(Method::GET, &url, login).await?;
        serde_json::from_slice(&body).map_err(|_| Silence::Odd("the answer is not JSON".to_owned()))
    }

    /// Any answer at all to `method`; its status and its body, as far as it is a success.
    pub(super) async fn ask(
        &self,
        method: Method,
        url: &Url,
        login: Option<&Login>,
    ) -> Result<(StatusCode, Vec<u8>), Silence> {
        let unreachable = |error: anyhow::Error| Silence::Unreachable(format!("{error:#}"));
        let request = self.net.request(method, url, WITHIN);
        let request = request.map_err(|forbidden| unreachable(forbidden.into()))?;
        let asked = Instant::now();
        let answer = net::present(request, login).send().await;
        let answer = answer.map_err(|error| unreachable(error.without_url().into()))?;
        self.heard(url, answer.headers(), asked);
        match answer.status() {
            status if status.is_success() => {
                let body = net::read(answer, LONGEST).await;
                Ok((status, body.map_err(|error| unreachable(error.into()))?.to_vec()))
            }
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Err(Silence::Unauthorized(status)),
            status => Err(Silence::Odd(format!("it answered {status}"))),
        }
    }

    /// Whether anything speaks HTTP at `url`, whatever it answers.
    pub(super) async fn is_there(&self, url: &Url) -> Result<(), String> {
        match self.ask(Method::HEAD, url, None).await {
            Ok(_) | Err(Silence::Unauthorized(_) | Silence::Odd(_)) => Ok(()),
            Err(Silence::Unreachable(why)) => Err(why),
        }
    }

    fn heard(&self, url: &Url, headers: &HeaderMap, asked: Instant) {
        let date = headers.get(DATE).and_then(|date| clock::read(date.to_str().ok()?));
        self.clocks.note(&shown(url), date, asked.elapsed());
    }

    /// What the clock of `peer` said in an answer to a question that took so long.
    pub(super) fn clock_of(&self, peer: &str, date: Option<jiff::Timestamp>, took: Duration) {
        self.clocks.note(peer, date, took);
    }
}

/// Scheme, host and port: a path or a query may be as good as a password.
pub(super) fn shown(url: &Url) -> String {
    url.origin().ascii_serialization()
}
