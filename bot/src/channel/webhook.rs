//! Owns saying things by a signed HTTP POST, in the way of Standard Webhooks: `webhook-id`, `webhook-timestamp`,
//! `webhook-signature: v1,<base64 HMAC-SHA256 of "id.timestamp.body">`. The id is the notice's and the same at every try.
//! Refuses redirects and hosts outside the allow-list: both are the HTTP client's rules.

use std::time::Duration;

use anyhow::Context;
use base64::Engine;
use hmac::{Hmac, KeyInit, Mac};
use http::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use sha2::Sha256;
use tidegate_rollout::Notice;

use super::{ChannelError, Message};
use crate::net::Net;
use crate::secret::SecretUrl;

/// No single attempt lasts longer.
const DEADLINE: Duration = Duration::from_secs(8);

/// One webhook.
pub struct Webhook {
    /// Its name in the configuration.
    pub name: String,
    /// Where to.
    pub url: SecretUrl,
    /// What signs.
    pub secret: SecretString,
    /// The one HTTP client.
    pub net: Net,
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: String,
    timestamp: jiff::Timestamp,
    text: &'a str,
    data: &'a Notice,
}

impl Webhook {
    /// Posts it once. 2xx is said; 408, 425, 429 and 5xx can be tried again; any other answer is final.
    pub(super) async fn say(&self, message: &Message, now: jiff::Timestamp) -> Result<(), ChannelError> {
        let later = |source: anyhow::Error| ChannelError::Later {
            channel: self.name.clone(),
            source,
        };
        // Who is in which role is for templates, and nobody's business outside.
        let mut told = message.notice.clone();
        told.about.roles.clear();
        let body = serde_json::to_vec(&Body {
            r#type: format!("rollout.{}", message.notice.kind.word()),
            timestamp: message.notice.at,
            text: &message.text,
            data: &told,
        })
        .context("write the body")
        .map_err(later)?;
        let id = message.notice.id.as_str();
        let timestamp = now.as_second().to_string();
        let signature = sign(&self.secret, id, &timestamp, &body).map_err(later)?;
        let request = self
            .net
            .request(Method::POST, self.url.expose(), DEADLINE)
            .map_err(|refused| ChannelError::Never {
                channel: self.name.clone(),
                why: refused.to_string(),
            })?
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", &timestamp)
            .header("webhook-signature", signature)
            .body(body);
        // The address may be a secret; an error of the client would quote it.
        let sent = request.send().await.map_err(reqwest::Error::without_url);
        let answer = sent.context("send it").map_err(later)?;
        let status = answer.status();
        match status {
            _ if status.is_success() => Ok(()),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
                Err(later(anyhow::anyhow!("it answered {status}")))
            }
            _ if status.is_server_error() => Err(later(anyhow::anyhow!("it answered {status}"))),
            _ => Err(ChannelError::Never {
                channel: self.name.clone(),
                why: format!("it answered {status}"),
            }),
        }
    }
}

/// The signature header's value.
pub fn sign(secret: &SecretString, id: &str, timestamp: &str, body: &[u8]) -> anyhow::Result<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).context("take the secret")?;
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    let signature = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
    Ok(format!("v1,{signature}"))
}
