//! Owns who may send alerts here, how each proves itself, and where to ask it back.
//! Refuses a receiver without an authenticator.

use std::sync::Arc;

use secrecy::SecretString;
use tidegate_rollout::{Labels, Source};
use tidegate_webhooks::{Credential, Receiver, ReceiverError, SigningSecrets};
use url::Url;

use super::section::Section;

/// Every receiver, and the Alertmanagers that are asked back.
#[derive(Clone, Debug, Default)]
pub struct Receivers {
    /// What the webhook routes let in.
    pub doors: Arc<tidegate_webhooks::Receivers>,
    /// Alertmanagers whose API is polled, one for each receiver that names peers.
    pub alertmanagers: Vec<Alertmanager>,
}

/// The peers behind one Alertmanager receiver.
#[derive(Clone, Debug)]
pub struct Alertmanager {
    /// The receiver's name.
    pub receiver: String,
    /// The base address of every peer of the cluster; `/api/v2/alerts` is asked below it.
    pub peers: Vec<Url>,
    /// What the peers ask for.
    pub login: Option<Login>,
    /// Labels that every alert of this receiver gets where it does not say them itself.
    pub labels: Labels,
}

/// What we present to somebody else's API.
#[derive(Clone, Debug)]
pub enum Login {
    /// `Authorization: Bearer`.
    Bearer(SecretString),
    /// `Authorization: Basic`.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: SecretString,
    },
}

impl Receivers {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let mut doors = tidegate_webhooks::Receivers::new();
        let mut alertmanagers = Vec::new();
        let mut open =
            |section: &Section<'_>, name: &str, receiver: Result<Receiver, ReceiverError>, labels: Labels| {
                let added = receiver.and_then(|receiver| doors.add(name, receiver.with_labels(labels)));
                if let Err(error) = added {
                    section.whole(error);
                }
            };
        section.named("alertmanager", |name, section| {
            let labels = labels(section);
            let receiver = credentials(section).and_then(Receiver::alertmanager);
            open(section, name, receiver, labels.clone());
            alertmanagers.extend(peers(section, name, labels));
        });
        section.named("pagerduty", |name, section| {
            let labels = labels(section);
            let receiver = signing_secrets(section)
                .and_then(|secrets| secrets.ok_or(ReceiverError::NoAuthenticator))
                .map(Receiver::pagerduty);
            open(section, name, receiver, labels);
        });
        section.named("grafana", |name, section| {
            let labels = labels(section);
            let (credentials, secrets) = (credentials(section), signing_secrets(section));
            let receiver = credentials.and_then(|all| Receiver::grafana(all, secrets?));
            open(section, name, receiver, labels);
        });
        Self {
            doors: Arc::new(doors),
            alertmanagers,
        }
    }

    /// How many receivers of `source` there are.
    pub fn count(&self, source: Source) -> usize {
        let of_source = |(_, receiver): &(&str, &Receiver)| receiver.source() == source;
        self.doors.iter().filter(of_source).count()
    }
}

fn labels(section: &mut Section<'_>) -> Labels {
    section.texts("labels").into_iter().collect()
}

/// The credentials of `bearer` and `basic`, of which there may be both; a second token by `bearer_before` while one is
/// being replaced.
fn credentials(section: &mut Section<'_>) -> Result<Vec<Credential>, ReceiverError> {
    let mut all = Vec::new();
    let tokens = [
        section.secret("bearer", "bearer_file"),
        section.secret("bearer_before", "bearer_before_file"),
    ];
    for token in tokens.into_iter().flatten() {
        all.push(Credential::bearer(&token)?);
    }
    if let Some((user, password)) = section.section_if_any("basic", basic).flatten() {
        all.push(Credential::basic(&user, &password)?);
    }
    Ok(all)
}

fn basic(section: &mut Section<'_>) -> Option<(String, SecretString)> {
    let (user, password) = (section.text("user"), section.secret("password", "password_file"));
    if user.is_none() {
        section.fault("user", "is missing");
    }
    if password.is_none() {
        section.fault("password_file", "is missing");
    }
    Some((user?, password?))
}

fn signing_secrets(section: &mut Section<'_>) -> Result<Option<SigningSecrets>, ReceiverError> {
    let secrets: Vec<_> = [
        section.secret("secret", "secret_file"),
        section.secret("secret_before", "secret_before_file"),
    ]
    .into_iter()
    .flatten()
    .collect();
    if secrets.is_empty() {
        return Ok(None);
    }
    SigningSecrets::new(secrets).map(Some)
}

fn peers(section: &mut Section<'_>, receiver: &str, labels: Labels) -> Option<Alertmanager> {
    let peers: Vec<Url> = section.list::<WebAddress>("peers").into_iter().map(|it| it.0).collect();
    let login = login(section, "peers_login");
    if peers.is_empty() {
        return None;
    }
    Some(Alertmanager {
        receiver: receiver.to_owned(),
        peers,
        login,
        labels,
    })
}

/// What somebody else's API asks for: a bearer token, or a user with a password.
pub(super) fn login(section: &mut Section<'_>, key: &'static str) -> Option<Login> {
    let login = section.section_if_any(key, |section| {
        let bearer = section.secret("bearer", "bearer_file").map(Login::Bearer);
        let basic = section
            .section_if_any("basic", basic)
            .flatten()
            .map(|(user, password)| Login::Basic { user, password });
        if bearer.is_some() == basic.is_some() {
            section.whole("needs either `bearer_file` or `basic`");
        }
        bearer.or(basic)
    });
    login.flatten()
}

/// The base address of somebody else's API.
pub(super) struct WebAddress(pub(super) Url);

impl std::str::FromStr for WebAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        super::section::web_address(text).map(Self)
    }
}
