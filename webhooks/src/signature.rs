//! Owns signatures over the raw body: HMAC-SHA256 as PagerDuty, Grafana and Slack send it.
//! Refuses to look into the body: it is bytes here.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::receiver::{ReceiverError, usable_secret};

/// So many signatures of one request are tried; senders sign with two secrets at most, while one is being replaced.
const TRIED: usize = 8;

/// The secrets that a sender may sign with: one, or several while one is being replaced.
#[derive(Clone)]
pub struct SigningSecrets(Vec<SecretString>);

impl SigningSecrets {
    /// At least one secret, none of them empty.
    pub fn new(secrets: impl IntoIterator<Item = SecretString>) -> Result<Self, ReceiverError> {
        let secrets: Vec<_> = secrets.into_iter().collect();
        if secrets.is_empty() {
            return Err(ReceiverError::NoAuthenticator);
        }
        secrets.iter().try_for_each(usable_secret)?;
        Ok(Self(secrets))
    }

    /// Whether one of the presented signatures was made over `body` with one of the secrets.
    pub(crate) fn made(&self, presented: &Signatures, body: &[u8]) -> bool {
        let mut passing = self.passing(presented);
        passing.update(body);
        passing.made(presented)
    }

    /// The same for a body that passes piece by piece and is not kept.
    pub(crate) fn passing(&self, presented: &Signatures) -> Passing {
        let begun = |secret: &SecretString| {
            // HMAC takes keys of any length, so this does not fail.
            let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).ok()?;
            mac.update(&presented.prefix);
            Some(mac)
        };
        Passing(self.0.iter().filter_map(begun).collect())
    }
}

/// A body on its way past, under each secret that may have signed it.
#[derive(Default)]
pub(crate) struct Passing(Vec<Hmac<Sha256>>);

impl Passing {
    /// The next piece of it.
    pub(crate) fn update(&mut self, piece: &[u8]) {
        for mac in &mut self.0 {
            mac.update(piece);
        }
    }

    /// Whether one of the presented signatures was made over all that has passed.
    pub(crate) fn made(&self, presented: &Signatures) -> bool {
        // Every pair is compared, so that the time taken does not tell which secret or signature was the right one.
        self.0
            .iter()
            .fold(false, |found, mac| found | presented.match_with(mac))
    }
}

impl fmt::Debug for SigningSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningSecrets({} …)", self.0.len())
    }
}

/// How a source writes its signatures down.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SignatureScheme {
    /// `X-PagerDuty-Signature: v1=<hex>[,v1=<hex>…]`, over the body.
    PagerDuty,
    /// `X-Grafana-Alerting-Signature: <hex>`, over the body, or over `<timestamp>:<body>` where the contact point
    /// also sends `X-Grafana-Alerting-Timestamp`.
    Grafana,
    /// `X-Slack-Signature: v0=<hex>`, over `v0:<timestamp>:<body>` with the time of `X-Slack-Request-Timestamp`.
    Slack,
}

impl SignatureScheme {
    /// The header that carries the signature.
    pub(crate) fn header(self) -> &'static str {
        match self {
            Self::PagerDuty => "x-pagerduty-signature",
            Self::Grafana => "x-grafana-alerting-signature",
            Self::Slack => "x-slack-signature",
        }
    }

    /// The signatures that a request presents; `None` without any.
    pub(crate) fn read(self, headers: &HeaderMap) -> Option<Signatures> {
        let values = headers.get_all(HeaderName::from_static(self.header()));
        let written = values
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        let (hex, prefix): (Vec<&str>, _) = match self {
            Self::PagerDuty => (
                written.filter_map(|one| one.trim().strip_prefix("v1=")).collect(),
                Vec::new(),
            ),
            Self::Grafana => (written.map(str::trim).collect(), grafana_timestamp(headers)?),
            Self::Slack => (
                written.filter_map(|one| one.strip_prefix("v0=")).collect(),
                slack_timestamp(headers)?,
            ),
        };
        let signatures: Vec<_> = hex.into_iter().filter_map(decode_hex).take(TRIED).collect();
        (!signatures.is_empty()).then_some(Signatures { prefix, signatures })
    }
}

/// What Grafana signs before the body: `<timestamp>:`, or nothing where it sends none. `None` when it is not a number.
fn grafana_timestamp(headers: &HeaderMap) -> Option<Vec<u8>> {
    let Some(value) = headers.get("x-grafana-alerting-timestamp") else {
        return Some(Vec::new());
    };
    let digits = value.as_bytes();
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| [digits, b":"].concat())
}

/// What Slack signs before the body: `v0:<timestamp>:`. `None` without exactly one time that is a number.
fn slack_timestamp(headers: &HeaderMap) -> Option<Vec<u8>> {
    let mut values = headers.get_all("x-slack-request-timestamp").iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let digits = value.as_bytes();
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| [b"v0:", digits, b":"].concat())
}

fn decode_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).ok().map(|()| bytes)
}

/// Signatures that a request presents, not yet compared with anything.
pub(crate) struct Signatures {
    /// What is signed before the body.
    prefix: Vec<u8>,
    signatures: Vec<[u8; 32]>,
}

impl Signatures {
    /// The one signature, where there is one.
    pub(crate) fn only(&self) -> Option<[u8; 32]> {
        match self.signatures.as_slice() {
            [one] => Some(*one),
            _ => None,
        }
    }

    fn match_with(&self, mac: &Hmac<Sha256>) -> bool {
        self.signatures.iter().fold(false, |found, signature| {
            found | mac.clone().verify_slice(signature).is_ok()
        })
    }
}
