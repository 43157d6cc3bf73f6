//! Owns the demo's side of the HTTP API: what any user with a token can ask and say.
//! Refuses any other way into the service, and takes silence for an answer that is still to come.

use std::path::Path;
use std::time::Duration;

use http::Method;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::Url;

use crate::net::Net;
use crate::secret;

/// The file of the first token, below the storage's directory.
pub(super) const ADMIN_TOKEN: &str = "admin.token";
/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// The API of one server.
pub(super) struct Api {
    base: Url,
    token: SecretString,
    net: Net,
}

/// Why there was no answer that could be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Silence {
    /// The service is not there, or does not answer.
    #[error("the service does not answer")]
    Away(#[source] reqwest::Error),
    /// It answered, and said no.
    #[error("{path} answered {status}: {text}")]
    Refused {
        /// What was asked.
        path: String,
        /// The status.
        status: http::StatusCode,
        /// The beginning of the body.
        text: String,
    },
    /// The question could not be put.
    #[error("could not ask for {path}")]
    Unasked {
        /// What was asked.
        path: String,
        /// What stood in the way.
        #[source]
        source: anyhow::Error,
    },
}

/// The answer to something said.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    /// Whether it was done.
    pub(super) ok: bool,
    /// The code of a refusal.
    #[serde(default)]
    pub(super) code: Option<String>,
    /// What happened, or why not.
    pub(super) text: String,
    /// What to do next.
    #[serde(default)]
    pub(super) hint: Option<String>,
    /// The rollout it concerns.
    #[serde(default)]
    pub(super) rollout: Option<String>,
}

/// Where a rollout stands, as far as the demo shows it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Card {
    /// Its id.
    pub(super) rollout: String,
    /// The state in a word.
    pub(super) state: String,
    /// The health in a word; nothing once it is over.
    #[serde(default)]
    pub(super) health: Option<String>,
    /// The wanted weight, such as `50%`.
    pub(super) weight: String,
}

#[derive(Deserialize)]
struct Rollouts {
    rollouts: Vec<Card>,
}

#[derive(Deserialize)]
struct Log {
    entries: Vec<Line>,
}

/// A line of a rollout's log.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Line {
    /// Its number; they only grow.
    pub(super) number: u64,
    /// When.
    pub(super) at: Timestamp,
    /// What, in a stable word.
    pub(super) kind: String,
    /// The person, or `tidegate`.
    pub(super) by: String,
    /// The sentence.
    pub(super) text: String,
}

impl Api {
    /// The API of the service at `base`, as the admin whose token lies below `storage`.
    pub(super) fn open(base: Url, storage: &Path, net: Net) -> Result<Self, secret::SecretError> {
        let token = secret::read(&storage.join(ADMIN_TOKEN))?;
        Ok(Self { base, token, net })
    }

    /// Says something, as in chat.
    pub(super) async fn say(&self, text: &str) -> Result<Answer, Silence> {
        let body = json!({ "text": text });
        self.ask(Method::POST, "api/v1/commands", Some(body)).await
    }

    /// Where a rollout stands.
    pub(super) async fn card(&self, rollout: &str) -> Result<Card, Silence> {
        self.ask(Method::GET, &format!("api/v1/rollouts/{rollout}"), None).await
    }

    /// The newest rollout, if there is one.
    pub(super) async fn newest(&self) -> Result<Option<Card>, Silence> {
        let answer: Rollouts = self.ask(Method::GET, "api/v1/rollouts?limit=1", None).await?;
        Ok(answer.rollouts.into_iter().next())
    }

    /// The log of a rollout, the oldest line first.
    pub(super) async fn log(&self, rollout: &str) -> Result<Vec<Line>, Silence> {
        let path = format!("api/v1/rollouts/{rollout}/log?limit=1000");
        let answer: Log = self.ask(Method::GET, &path, None).await?;
        Ok(answer.entries)
    }

    async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str, body: Option<Value>) -> Result<T, Silence> {
        let unasked = |source: anyhow::Error| Silence::Unasked {
            path: path.to_owned(),
            source,
        };
        let url = self.base.join(path).map_err(|fault| unasked(fault.into()))?;
        let request = self
            .net
            .request(method, &url, DEADLINE)
            .map_err(|fault| unasked(fault.into()))?;
        let request = request.bearer_auth(self.token.expose_secret());
        let request = match body {
            Some(body) => request
                .header("idempotency-key", uuid::Uuid::now_v7().to_string())
                .json(&body),
            None => request,
        };
        let answer = request.send().await.map_err(Silence::Away)?;
        let status = answer.status();
        let bytes = answer.bytes().await.map_err(Silence::Away)?;
        // A refusal of a command is an answer, whatever its status.
        serde_json::from_slice(&bytes).map_err(|_| Silence::Refused {
            path: path.to_owned(),
            status,
            text: String::from_utf8_lossy(&bytes).chars().take(200).collect(),
        })
    }
}
