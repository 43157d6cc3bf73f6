//! Owns the settings of the HTTP server: where it listens, under which address the world knows it, what is open.
//! Refuses to listen anywhere but on loopback unless somebody says so.

use std::fmt;
use std::str::FromStr;

use secrecy::SecretString;
use tidegate_rollout::Period;
use url::Url;

use super::section::Section;

/// How the server is reached.
#[derive(Clone, Debug)]
pub struct Web {
    /// Where it listens.
    pub listen_address: ListenAddress,
    /// A second address for everything that people use; the first one then serves webhooks, flags and probes only.
    pub control_address: Option<ListenAddress>,
    /// The address under which people reach it, when it is not the one it listens on.
    pub external_url: Option<Url>,
    /// The prefix of every path: empty, or `/` and a name, without a slash at the end.
    pub route_prefix: String,
    /// Whether `POST /-/reload` may reload the configuration. SIGHUP always may.
    pub enable_lifecycle: bool,
    /// What `/metrics` asks for; open without it.
    pub metrics_token: Option<SecretString>,
    /// How long somebody who signed in stays so.
    pub session: Period,
}

impl Web {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let web = Self {
            listen_address: section.required("listen_address"),
            control_address: section.optional("control_address"),
            external_url: section.url("external_url"),
            route_prefix: section.required::<RoutePrefix>("route_prefix").0,
            enable_lifecycle: section.switch("enable_lifecycle"),
            metrics_token: section.secret("metrics_token", "metrics_token_file"),
            session: section.required("session"),
        };
        let why = "a session must last through a sign-in, and must not outlive everybody's memory of it";
        section.within(
            "session",
            web.session,
            Period::minutes(1),
            Period::minutes(30 * 24 * 60),
            why,
        );
        web
    }
}

/// A host and a port to listen on. Without a host (`:9797`) it is every address of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenAddress {
    /// A name or an address; empty for all.
    pub host: String,
    /// The port; 0 for any that is free.
    pub port: u16,
}

impl ListenAddress {
    /// What to try, in this order: IPv6 that takes IPv4 too, then IPv4 alone where the machine knows no IPv6.
    pub fn candidates(&self) -> Vec<(String, u16)> {
        if self.host.is_empty() {
            ["::", "0.0.0.0"].map(|host| (host.to_owned(), self.port)).to_vec()
        } else {
            vec![(self.host.clone(), self.port)]
        }
    }
}

impl ListenAddress {
    /// Whether only this machine can reach it. A name is believed only if it is the one that says so.
    pub fn is_loopback(&self) -> bool {
        let by_number = self
            .host
            .parse()
            .is_ok_and(|address: std::net::IpAddr| address.is_loopback());
        by_number || self.host == "localhost"
    }
}

impl Default for ListenAddress {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 9797,
        }
    }
}

/// Why a text is no address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no address to listen on: write `127.0.0.1:9797`, `[::1]:9797`, or `:9797` for every address")]
pub struct NotAnAddress(String);

impl FromStr for ListenAddress {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let refuse = || NotAnAddress(text.chars().take(80).collect());
        let (host, port) = text.rsplit_once(':').ok_or_else(refuse)?;
        let port = port.parse().map_err(|_| refuse())?;
        let bare = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(v6) => v6.parse::<std::net::Ipv6Addr>().map_err(|_| refuse())?.to_string(),
            None => host.to_owned(),
        };
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let is_v6 = bare.contains(':') && host.starts_with('[');
        if !is_v6 && !bare.chars().all(fits) {
            return Err(refuse());
        }
        Ok(Self { host: bare, port })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// `/` or `/name/name`; kept without the slash at its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct RoutePrefix(String);

impl FromStr for RoutePrefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.');
        if !text.starts_with('/') || text.contains("//") || !text.chars().all(fits) {
            return Err("must be `/` or a path such as `/tidegate`".to_owned());
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_host_is_every_address() {
        let all: ListenAddress = ":9797".parse().unwrap();
        assert_eq!(
            all.candidates(),
            [("::".to_owned(), 9797), ("0.0.0.0".to_owned(), 9797)]
        );
        let one: ListenAddress = "[::1]:80".parse().unwrap();
        assert_eq!(one.candidates(), [("::1".to_owned(), 80)]);
        assert_eq!(one.to_string(), "[::1]:80");
        for wrong in ["9797", "localhost", "::1:80", "a b:1", "host:99999", "http://x:1", ""] {
            assert!(wrong.parse::<ListenAddress>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_prefix_is_kept_without_the_slash_at_its_end() {
        let prefix = |text: &str| text.parse::<RoutePrefix>().map(|prefix| prefix.0);
        assert_eq!(prefix("/"), Ok(String::new()));
        assert_eq!(prefix("/gate/"), Ok("/gate".to_owned()));
        assert!(prefix("gate").is_err());
        assert!(prefix("/a//b").is_err());
        assert!(prefix("/{x}").is_err());
    }
}
