//! Owns the configured receivers: which there are, and how a sender proves itself to each.
//! Refuses a receiver without an authenticator: there is no way to construct one.

use std::collections::BTreeMap;
use std::fmt;

use http::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use subtle::Choice;
use tidegate_rollout::{Alert, Labels, Source};

use crate::credential::{Credential, Presented, Scheme};
use crate::signature::{SignatureScheme, SigningSecrets};
use crate::verify::{Claim, Unproven};

/// The receiver that a path without a name means: `/webhooks/alertmanager` is `/webhooks/alertmanager/default`.
pub const DEFAULT_RECEIVER: &str = "default";

/// Why a receiver cannot be configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiverError {
    /// A token, password or signing secret is empty.
    #[error("a secret is empty; anybody could present it")]
    EmptySecret,
    /// A token, password or signing secret begins or ends with white space, most often the newline of its file.
    #[error("a secret begins or ends with white space; remove it, also a newline at the end of its file")]
    WhiteSpaceAroundSecret,
    /// There is nothing by which a sender could prove itself.
    #[error("no authenticator; give a bearer token, a user with a password, or a signing secret")]
    NoAuthenticator,
    /// The name of a basic user contains a colon.
    #[error("a user's name cannot contain `:`; it ends the name in `Authorization: Basic`")]
    ColonInUser,
    /// The name does not fit into a path.
    #[error("`{0}` cannot be a receiver's name; use up to 64 letters, digits, `-` and `_`")]
    Name(String),
    /// Two receivers of one source have the same name.
    #[error("there are two {} receivers called `{name}`", source_of.word())]
    Twice {
        /// The source of both.
        source_of: Source,
        /// The name of both.
        name: String,
    },
}

/// One address that one sender may post to, and how it proves itself.
///
/// A sender needs one of the credentials where there are any, *and* one good signature where there are signing secrets.
#[derive(Clone)]
pub struct Receiver {
    source: Source,
    credentials: Vec<Credential>,
    signature: Option<(SignatureScheme, SigningSecrets)>,
    labels: Labels,
}

impl Receiver {
    /// An Alertmanager: it presents one of `credentials` (several while one is being replaced).
    pub fn alertmanager(credentials: Vec<Credential>) -> Result<Self, ReceiverError> {
        Self::new(Source::Alertmanager, credentials, None)
    }

    /// A PagerDuty V3 webhook subscription: it signs every body with one of `secrets`.
    pub fn pagerduty(secrets: SigningSecrets) -> Self {
        Self {
            source: Source::PagerDuty,
            credentials: Vec::new(),
            signature: Some((SignatureScheme::PagerDuty, secrets)),
            labels: Labels::new(),
        }
    }

    /// A Grafana webhook contact point: it presents one of `credentials`, or signs with one of `secrets`, or both.
    pub fn grafana(credentials: Vec<Credential>, secrets: Option<SigningSecrets>) -> Result<Self, ReceiverError> {
        let signature = secrets.map(|secrets| (SignatureScheme::Grafana, secrets));
        Self::new(Source::Grafana, credentials, signature)
    }

    fn new(
        source: Source,
        credentials: Vec<Credential>,
        signature: Option<(SignatureScheme, SigningSecrets)>,
    ) -> Result<Self, ReceiverError> {
        if credentials.is_empty() && signature.is_none() {
            return Err(ReceiverError::NoAuthenticator);
        }
        Ok(Self {
            source,
            credentials,
            signature,
            labels: Labels::new(),
        })
    }

    /// Labels that every alert of this receiver gets where the sender does not say them itself, such as
    /// `environment="production"` for PagerDuty, which knows no environments.
    #[must_use]
    pub fn with_labels(mut self, labels: Labels) -> Self {
        self.labels = labels;
        self
    }

    /// The program that posts here.
    pub fn source(&self) -> Source {
        self.source
    }

    /// How a sender proves itself, in words and without secrets: "Bearer", "Basic and signature".
    pub fn authenticator(&self) -> String {
        let mut words: Vec<&str> = self.schemes().map(Scheme::word).collect();
        words.dedup();
        let credentials = words.join(" or ");
        match (&self.signature, credentials.is_empty()) {
            (Some(_), true) => "signature".to_owned(),
            (Some(_), false) => format!("{credentials} and signature"),
            (None, _) => credentials,
        }
    }

    /// The value of `WWW-Authenticate` for a sender that has not proved itself.
    pub(crate) fn challenge(&self) -> String {
        let mut challenges: Vec<String> = self
            .schemes()
            .map(|scheme| format!("{} realm=\"tidegate\"", scheme.word()))
            .collect();
        challenges.dedup();
        if let Some((scheme, _)) = &self.signature {
            challenges.push(format!("Signature realm=\"tidegate\", header=\"{}\"", scheme.header()));
        }
        challenges.join(", ")
    }

    fn schemes(&self) -> impl Iterator<Item = Scheme> {
        let mut schemes: Vec<_> = self.credentials.iter().map(Credential::scheme).collect();
        schemes.sort_unstable();
        schemes.into_iter()
    }

    /// Checks what the headers alone can prove, before a byte of the body is read. Where a signature is needed too,
    /// the [`Claim`] carries it until the body is there.
    pub fn admit(&self, headers: &HeaderMap) -> Result<Claim<'_>, Unproven> {
        if !self.credentials.is_empty() {
            let presented = Presented::in_headers(headers).ok_or(Unproven::NoCredentials)?;
            let known = self
                .credentials
                .iter()
                .fold(Choice::from(0), |known, one| known | one.is(&presented));
            if !bool::from(known) {
                return Err(Unproven::WrongCredentials);
            }
        }
        let signature = match &self.signature {
            Some((scheme, secrets)) => Some((scheme.read(headers).ok_or(Unproven::NoSignature)?, secrets)),
            None => None,
        };
        Ok(Claim::new(self.source, !self.credentials.is_empty(), signature))
    }

    /// Notes on `alert` that it came to this receiver, called `name`, and adds the receiver's own labels where the sender
    /// said nothing.
    pub(crate) fn label(&self, name: &str, alert: &mut Alert) {
        name.clone_into(&mut alert.receiver);
        for (name, value) in &self.labels {
            alert.labels.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receiver({}, {})", self.source.word(), self.authenticator())
    }
}

/// All receivers of one configuration. An empty one answers 404 to everything.
#[derive(Clone, Debug, Default)]
pub struct Receivers(BTreeMap<(Source, String), Receiver>);

impl Receivers {
    /// No receivers yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `receiver` at `/webhooks/<source>/<name>`.
    pub fn add(&mut self, name: &str, receiver: Receiver) -> Result<(), ReceiverError> {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
            return Err(ReceiverError::Name(name.to_owned()));
        }
        let address = (receiver.source, name.to_owned());
        if self.0.contains_key(&address) {
            let (source_of, name) = address;
            return Err(ReceiverError::Twice { source_of, name });
        }
        self.0.insert(address, receiver);
        Ok(())
    }

    /// The receiver of that source and name.
    pub fn get(&self, source: Source, name: &str) -> Option<&Receiver> {
        self.0.get(&(source, name.to_owned()))
    }

    /// Every receiver with its name, for the log line at start-up.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Receiver)> {
        self.0.iter().map(|((_, name), receiver)| (name.as_str(), receiver))
    }

    /// Whether nothing at all can be received.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Refuses a secret that anybody could guess or that can never match a header.
pub(crate) fn usable_secret(secret: &SecretString) -> Result<(), ReceiverError> {
    let secret = secret.expose_secret();
    if secret.trim().is_empty() {
        return Err(ReceiverError::EmptySecret);
    }
    if secret.trim() != secret {
        return Err(ReceiverError::WhiteSpaceAroundSecret);
    }
    Ok(())
}
