//! Owns the settings of outgoing mail: which server takes it, how it is spoken to, who it is from.
//! Refuses to send a password where others could read it.

use std::str::FromStr;

use lettre::message::Mailbox;
use secrecy::SecretString;

use super::section::{Section, brief};

/// The server that takes our mail.
#[derive(Clone, Debug)]
pub struct Email {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How it is spoken to.
    pub tls: MailTls,
    /// Who we are there, if it asks.
    pub login: Option<(String, SecretString)>,
    /// Who the mail is from.
    pub from: Mailbox,
}

/// How a mail server is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MailTls {
    /// In the clear at first, then TLS, without which nothing is said.
    #[default]
    StartTls,
    /// TLS from the first byte.
    Tls,
    /// In the clear: for a server on the same machine, or in a network that nobody else is in.
    Off,
}

impl FromStr for MailTls {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "starttls" => Ok(Self::StartTls),
            "tls" => Ok(Self::Tls),
            // YAML of old reads an unquoted `off` as "no".
            "off" | "false" => Ok(Self::Off),
            other => Err(format!("`{}` is none of `starttls`, `tls`, `off`", brief(other))),
        }
    }
}

impl Email {
    /// `None` where nothing but defaults is given: no mail is sent then.
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let server = section.optional::<Server>("server");
        let tls = section.required::<MailTls>("tls");
        let from = section.optional::<Address>("from");
        let user = section.text("user");
        let password = section.secret("password", "password_file");
        let nothing = server.is_none() && from.is_none() && user.is_none() && password.is_none();
        if nothing {
            return None;
        }
        if server.is_none() {
            section.fault("server", "is missing: the mail server, such as `smtp.example.com:587`");
        }
        if from.is_none() {
            section.fault(
                "from",
                "is missing: who the mail is from, such as `Tidegate <tidegate@example.com>`",
            );
        }
        if user.is_some() != password.is_some() {
            section.whole("needs `user` and `password_file` together, or neither");
        }
        let login = user.zip(password);
        let server = server?;
        if login.is_some() && tls == MailTls::Off && !is_here(&server.host) {
            section.fault(
                "tls",
                "must not be `off` with a password: everybody on the way could read it",
            );
        }
        Some(Self {
            host: server.host,
            port: server.port,
            tls,
            login,
            from: from?.0,
        })
    }
}

fn is_here(host: &str) -> bool {
    let address = host.parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// `host:port`.
struct Server {
    host: String,
    port: u16,
}

impl FromStr for Server {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fault = || format!("`{}` is no server: write `smtp.example.com:587`", brief(text));
        let (host, port) = text.rsplit_once(':').ok_or_else(fault)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '_');
        if host.is_empty() || !host.chars().all(fits) {
            return Err(fault());
        }
        Ok(Self {
            host: host.to_owned(),
            port: port.parse().map_err(|_| fault())?,
        })
    }
}

/// A mail address, with or without a name in front.
#[derive(Clone, Debug)]
pub(super) struct Address(pub(super) Mailbox);

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fault = || format!("`{}` is no mail address", brief(text));
        text.parse().map(Self).map_err(|_| fault())
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Sources;

    fn faults(variables: &[(&str, &str)]) -> Vec<String> {
        let environment = variables
            .iter()
            .map(|(name, value)| (format!("TIDEGATE_EMAIL__{name}"), (*value).to_owned()));
        let sources = Sources {
            environment: environment.collect(),
            ..Sources::default()
        };
        let faults = sources.load().err().map(|faults| faults.all).unwrap_or_default();
        faults
            .into_iter()
            .map(|fault| format!("{}: {}", fault.path, fault.message))
            .collect()
    }

    #[test]
    fn half_of_it_is_refused_and_says_what_is_missing() {
        assert_eq!(faults(&[]), Vec::<String>::new());
        let missing = faults(&[("USER", "tidegate")]);
        for part in ["email.server: is missing", "email.from: is missing"] {
            assert!(missing.iter().any(|fault| fault.starts_with(part)), "{missing:?}");
        }
        let alone = faults(&[
            ("SERVER", "smtp.example.com:587"),
            ("FROM", "t@example.com"),
            ("USER", "t"),
        ]);
        assert_eq!(alone, ["email: needs `user` and `password_file` together, or neither"]);
    }

    #[test]
    fn a_password_is_not_sent_in_the_clear_but_to_this_machine() {
        let given = |server| {
            [
                ("SERVER", server),
                ("FROM", "Tidegate <t@example.com>"),
                ("USER", "t"),
                ("PASSWORD", "p"),
                ("TLS", "off"),
            ]
        };
        assert!(faults(&given("smtp.example.com:25"))[0].starts_with("email.tls: must not be `off`"));
        assert_eq!(faults(&given("127.0.0.1:25")), Vec::<String>::new());
        assert_eq!(faults(&given("[::1]:25")), Vec::<String>::new());
    }

    /// A word in a file of YAML that is not quoted there.
    #[test]
    fn off_is_off_where_yaml_reads_a_no() {
        for word in ["off", "false"] {
            assert_eq!(word.parse(), Ok(super::MailTls::Off), "{word}");
        }
    }

    #[test]
    fn what_is_no_server_and_no_address_is_named() {
        let wrong = faults(&[("SERVER", "smtp.example.com"), ("FROM", "nobody"), ("TLS", "ssl")]);
        assert_eq!(wrong.len(), 3, "{wrong:?}");
        assert!(
            wrong.iter().any(|fault| fault.contains("write `smtp.example.com:587`")),
            "{wrong:?}"
        );
        assert!(
            wrong
                .iter()
                .any(|fault| fault.contains("none of `starttls`, `tls`, `off`")),
            "{wrong:?}"
        );
    }
}
