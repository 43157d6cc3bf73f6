//! Owns every connection that Tidegate opens to the outside: one HTTP client, one list of hosts, a deadline on each call.
//! Refuses hosts that the server's configuration does not name, addresses of the machine itself and of cloud metadata
//! behind other names, redirects, proxies from the environment, and answers without an end.

mod rule;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::{Bytes, BytesMut};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Method, RequestBuilder, Response};
use secrecy::ExposeSecret;
use url::Url;

use crate::config::Login;
pub use rule::{HostRule, NotAHost, Rules};

/// How long a connection may take to come about, within the deadline of the call.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// The address may not be called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// No rule names its host.
    #[error("`{0}` is not in `egress.allow` of the server's configuration")]
    Host(String),
    /// It is no address of the web.
    #[error("only `http` and `https` addresses without user and password can be called")]
    Kind,
}

/// An answer that was not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// It is longer than we read.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    /// It broke off.
    #[error("the answer broke off")]
    Broken(#[source] reqwest::Error),
}

/// The one HTTP client. Clones share the connections and the list of hosts.
#[derive(Clone, Debug)]
pub struct Net {
    client: Client,
    rules: Arc<ArcSwap<Rules>>,
}

impl Net {
    /// A client that may call `allowed` and nothing else.
    pub fn new(allowed: Vec<HostRule>) -> Result<Self, reqwest::Error> {
        // Set once per process; a second caller, as in tests, finds it there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let rules = Arc::new(ArcSwap::from_pointee(Rules::new(allowed)));
        #[expect(clippy::disallowed_methods, reason = "this is the one client")]
        let client = Client::builder()
            .user_agent(concat!("tidegate/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .connect_timeout(CONNECT_WITHIN)
            .dns_resolver(Arc::new(Checked(rules.clone())))
            .build()?;
        Ok(Self { client, rules })
    }

    /// From now on `allowed` may be called and nothing else.
    pub fn allow(&self, allowed: Vec<HostRule>) {
        self.rules.store(Arc::new(Rules::new(allowed)));
    }

    /// Begins a request that is over after `deadline`, answered or not.
    pub fn request(&self, method: Method, url: &Url, deadline: Duration) -> Result<RequestBuilder, Forbidden> {
        self.rules.load().check(url)?;
        Ok(self.client.request(method, url.clone()).timeout(deadline))
    }
}

/// The same request with what the other side asks for.
pub fn present(request: RequestBuilder, login: Option<&Login>) -> RequestBuilder {
    match login {
        None => request,
        Some(Login::Bearer(token)) => request.bearer_auth(token.expose_secret()),
        Some(Login::Basic { user, password }) => request.basic_auth(user, Some(password.expose_secret())),
    }
}

/// Reads an answer of up to `at_most` bytes.
pub async fn read(mut response: Response, at_most: usize) -> Result<Bytes, Unread> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(Unread::Broken)? {
        if body.len() + chunk.len() > at_most {
            return Err(Unread::TooLong(at_most));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Looks names up and passes on only addresses that may be called under that name. What was checked is what is
/// connected to: the client does not look the name up again.
#[derive(Debug)]
struct Checked(Arc<ArcSwap<Rules>>);

/// Every address behind a name is one that may not be called under it.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` leads to an address that may not be called; list that address in `egress.allow` if it should be")]
struct LeadsInside(String);

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let rules = self.0.load_full();
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|address| rules.leads_to(&host, address.ip())).collect();
            if allowed.is_empty() {
                return Err(LeadsInside(host).into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_that_leads_to_this_machine_is_not_followed() {
        let checked = |allowed: &[&str]| {
            let rules = allowed.iter().map(|host| host.parse().unwrap()).collect();
            Checked(Arc::new(ArcSwap::from_pointee(Rules::new(rules))))
        };
        // A name in the form of an address is looked up without asking anybody.
        let name = || "127.0.0.1".parse::<Name>().unwrap();
        let refused = checked(&["127.0.0.2"]).resolve(name()).await.err().unwrap();
        assert!(refused.to_string().contains("may not be called"), "{refused}");
        assert_eq!(checked(&["127.0.0.1"]).resolve(name()).await.unwrap().count(), 1);
    }
}
