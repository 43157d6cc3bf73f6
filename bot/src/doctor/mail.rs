//! Owns the check of outgoing mail: the server answers, over TLS where that is asked for, and believes who we are.
//! Refuses to send anything: a greeting and a sign-in are enough to know.

use std::sync::Arc;

use super::{Finding, Subject};
use crate::channel::email::transport;
use crate::config::MailTls;

/// The mail server, if there is one.
pub(super) async fn server(subject: Arc<Subject>) -> Vec<Finding> {
    let Some(email) = &subject.config.email else {
        return Vec::new();
    };
    let who = format!("{}:{}", email.host, email.port);
    let answer = match transport(email) {
        Ok(transport) => transport.test_connection().await.map_err(anyhow::Error::from),
        Err(failure) => Err(failure),
    };
    let why = match answer {
        Ok(true) => {
            return vec![Finding::ok(
                "email",
                format!("{who} takes mail from {}", email.from.email),
            )];
        }
        Ok(false) => "it answered, and then no more".to_owned(),
        Err(failure) => format!("{failure:#}"),
    };
    let fix = match (&email.login, email.tls) {
        (Some(_), _) => {
            "Look at `email.server` and `email.tls`, and whether `email.user` and its password are still good."
        }
        (None, MailTls::Off) => "Start it, or correct `email.server`.",
        (None, MailTls::StartTls | MailTls::Tls) => {
            "Look at `email.server` and `email.tls`: port 587 mostly speaks `starttls`, 465 `tls`."
        }
    };
    vec![Finding::fail(
        "email.unreachable",
        format!("mail cannot be sent over {who}: {why}"),
        fix,
    )]
}
