//! Owns the check in front of every handler: who asks, whether they may, and whether they meant to.
//! Refuses by default: a request passes only on the one line that says why.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, HOST, HeaderName};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use secrecy::ExposeSecret;
use tidegate_rollout::{Actor, Role, Surface};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::warn;
use url::Url;

use super::caller::{Caller, Way};
use super::keys::{FindError, Keyring};
use super::problem::Problem;
use super::rights;
use super::routes::Auth;
use super::same_site::{self, Origin};
use super::session;
use super::to_sign_in;
use crate::clock;
use crate::config::{Config, Current};
use crate::secret::Digest;
use crate::store::TokenKind;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// Set by proxies. Behind one, everybody comes from the address of the proxy.
const FORWARDED: [HeaderName; 3] = [
    HeaderName::from_static("forwarded"),
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-real-ip"),
];

/// The largest body that a person or the CLI sends.
const LARGEST_BODY: usize = 64 << 10;

/// So many requests of people may be in flight; beyond, they are told 503 and come again. Webhooks have limits of their
/// own, so that nobody here keeps an alert out.
const IN_FLIGHT: usize = 256;
/// So many evaluations of flags may be in flight.
const FLAGS_IN_FLIGHT: usize = 1_024;

/// What every check looks at. Clones share it.
#[derive(Clone)]
pub struct Guard {
    /// The configuration in force.
    pub current: Current,
    /// The keys.
    pub keyring: Keyring,
    people: Arc<Semaphore>,
    flags: Arc<Semaphore>,
}

/// The guard at one route.
#[derive(Clone)]
pub(super) struct Gate {
    pub(super) guard: Arc<Guard>,
    pub(super) auth: Auth,
}

/// Lets a request through to its handler, or answers it.
pub(super) async fn check(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let config = gate.guard.current.get();
    let (mut head, body) = request.into_parts();
    match gate.admit(&head, &config).await {
        Ok(Some(caller)) => {
            head.extensions.insert(caller);
        }
        Ok(None) => {}
        Err(refused) if refused.status == StatusCode::UNAUTHORIZED.as_u16() && to_sign_in::wants_page(&head) => {
            return to_sign_in::lead(&head, &config);
        }
        Err(refused) => return refused.into_response(),
    }
    // Only for who got in: strangers take no place from those who may roll back.
    let _place = match gate.guard.place(gate.auth) {
        Ok(place) => place,
        Err(full) => return full.into_response(),
    };
    let within = Duration::try_from(config.limits.body_timeout.duration()).unwrap_or(Duration::from_secs(10));
    match small_body(head, body, within).await {
        Ok(request) => next.run(request).await,
        Err(refused) => refused.into_response(),
    }
}

impl Gate {
    /// Who asks, where the route wants to know. Anything but `Ok` ends the request.
    async fn admit(&self, head: &Parts, config: &Config) -> Result<Option<Caller>, Problem> {
        let headers = &head.headers;
        let changes = same_site::changes(&head.method);
        let origin = same_site::origin(headers, config.web.external_url.as_ref());
        if changes && origin == Origin::Foreign && self.auth != Auth::Flags {
            return Err(foreign());
        }
        match self.auth {
            Auth::Open | Auth::Receiver => Ok(None),
            Auth::Metrics => metrics(headers, config).map(|()| None),
            Auth::Invitation if from_here(head) => Ok(None),
            Auth::Invitation => Err(Problem::new(
                StatusCode::FORBIDDEN,
                "not-from-here",
                "This works only from the machine that Tidegate runs on.",
            )),
            Auth::Flags if presented(headers).is_none() && origin != Origin::Foreign && alone(head, config) => Ok(None),
            Auth::Flags => self.guard.with_role(headers, config, &[Role::Flags]).await.map(Some),
            Auth::Roles(roles) => {
                let caller = self.guard.with_role(headers, config, roles).await?;
                if changes && caller.way == Way::Cookie && origin != Origin::Ours {
                    return Err(foreign());
                }
                Ok(Some(caller))
            }
        }
    }
}

impl Guard {
    /// A guard with the keys of `keyring`.
    pub fn new(current: Current, keyring: Keyring) -> Self {
        Self {
            current,
            keyring,
            people: Arc::new(Semaphore::new(IN_FLIGHT)),
            flags: Arc::new(Semaphore::new(FLAGS_IN_FLIGHT)),
        }
    }

    /// A place among the requests in flight. Probes and the sign-in need none, and webhooks have their own.
    fn place(&self, auth: Auth) -> Result<Option<OwnedSemaphorePermit>, Problem> {
        let places = match auth {
            Auth::Open | Auth::Receiver | Auth::Metrics | Auth::Invitation => return Ok(None),
            Auth::Flags => &self.flags,
            Auth::Roles(_) => &self.people,
        };
        let full = |_| Problem::unavailable("Too much is being asked at once. Nothing was done.");
        Arc::clone(places).try_acquire_owned().map(Some).map_err(full)
    }

    /// Whether whoever sent these headers would still be let in where `auth` guards: for answers that go on for long.
    pub async fn still_admits(&self, headers: &HeaderMap, auth: Auth) -> bool {
        let Auth::Roles(roles) = auth else {
            return true;
        };
        self.with_role(headers, &self.current.get(), roles).await.is_ok()
    }

    /// Who made a request with these headers, if they have one of `roles`.
    async fn with_role(&self, headers: &HeaderMap, config: &Config, roles: &[Role]) -> Result<Caller, Problem> {
        let caller = self.caller(headers, config).await?;
        // An admin has every role of people, but a program's role only by its own token.
        let of_people = roles.iter().any(|role| !role.is_for_programs());
        let exactly = roles.iter().any(|role| caller.actor.roles.contains(role));
        if exactly || (of_people && caller.actor.has_any(roles)) {
            return Ok(caller);
        }
        let words: Vec<_> = roles.iter().map(|role| role.word()).collect();
        let detail = format!(
            "This needs one of the roles {}; {} has none of them.",
            words.join(", "),
            caller.actor.person
        );
        Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail)
            .hint("Roles are given to people in the server's configuration, and to tokens when they are made."))
    }

    /// Who made a request with these headers.
    pub async fn caller(&self, headers: &HeaderMap, config: &Config) -> Result<Caller, Problem> {
        let (secret, way) = presented(headers)
            .or_else(|| Some((session::in_headers(headers)?, Way::Cookie)))
            .ok_or_else(|| Problem::unauthorized("Nobody is signed in."))?;
        let kind = match way {
            Way::Header => TokenKind::Token,
            Way::Cookie => TokenKind::Session,
        };
        let key = match self.keyring.find(&secret, clock::now()).await {
            Ok(key) => key.filter(|key| key.kind == kind),
            Err(FindError::Busy) => return Err(Problem::unavailable("Too many sign in at once. Nothing was done.")),
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "Could not look up who asks");
                return Err(Problem::unavailable(
                    "Who asks could not be looked up: the store does not answer. Nothing was done.",
                ));
            }
        };
        let key = key.ok_or_else(|| Problem::unauthorized("Not believed: no such token, or it has ended."))?;
        let actor = Actor {
            roles: rights::roles_now(&key, &config.people),
            person: key.person,
            surface: surface(headers, way),
        };
        Ok(Caller {
            actor,
            way,
            key: key.number,
        })
    }
}

/// The CLI says so; it matters for the log alone.
fn surface(headers: &HeaderMap, way: Way) -> Surface {
    let agent = headers
        .get(http::header::USER_AGENT)
        .and_then(|agent| agent.to_str().ok());
    match way {
        Way::Cookie => Surface::Page,
        Way::Header if agent.is_some_and(|agent| agent.starts_with("tidegate/")) => Surface::Cli,
        Way::Header => Surface::Api,
    }
}

/// The token in a header. A second header of the kind is a trick, not a token, and is believed as little as a wrong one.
fn presented(headers: &HeaderMap) -> Option<(String, Way)> {
    let mut bearers = headers.get_all(AUTHORIZATION).iter();
    let mut keys = headers.get_all(API_KEY).iter();
    let token = match (bearers.next(), keys.next()) {
        (None, None) => return None,
        (Some(one), None) if bearers.next().is_none() => bearer(one.as_bytes()),
        (None, Some(one)) if keys.next().is_none() => one.to_str().ok().map(str::to_owned),
        _ => None,
    };
    Some((token.unwrap_or_default(), Way::Header))
}

fn bearer(value: &[u8]) -> Option<String> {
    let value = std::str::from_utf8(value).ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

fn metrics(headers: &HeaderMap, config: &Config) -> Result<(), Problem> {
    let Some(wanted) = &config.web.metrics_token else {
        return Ok(());
    };
    let wanted = Digest::of(wanted.expose_secret().as_bytes());
    let given = presented(headers).map(|(token, _)| Digest::of(token.as_bytes()));
    if given.is_some_and(|given| given.is(&wanted)) {
        return Ok(());
    }
    Err(Problem::unauthorized("The metrics ask for `web.metrics_token`."))
}

fn foreign() -> Problem {
    let detail = "The request was made by a page of another site, or cannot show that it was not. Nothing was done.";
    Problem::new(StatusCode::FORBIDDEN, "cross-site", detail)
        .hint("Behind a proxy, set `web.external_url` to the address that people use.")
}

/// Whether an evaluation of flags needs no token: made on this machine, on a server that only this machine reaches. A
/// proxy in front (`web.external_url`) or an address for others would make strangers look as if they were here.
fn alone(head: &Parts, config: &Config) -> bool {
    config.web.external_url.is_none() && config.web.listen_address.is_loopback() && from_here(head)
}

/// Whether a request was made on this machine, by somebody who knows that: no proxy in between, and no foreign name
/// that only leads here.
fn from_here(head: &Parts) -> bool {
    let headers = &head.headers;
    let peer = head.extensions.get::<ConnectInfo<SocketAddr>>();
    let is_loopback = peer.is_some_and(|ConnectInfo(peer)| peer.ip().to_canonical().is_loopback());
    let direct = !FORWARDED.iter().any(|name| headers.contains_key(name));
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let by_name = host.and_then(|host| Url::parse(&format!("http://{host}/")).ok());
    let is_own_name = by_name.is_some_and(|url| match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(v4)) => IpAddr::V4(v4).is_loopback(),
        Some(url::Host::Ipv6(v6)) => v6.is_loopback(),
        None => false,
    });
    is_loopback && direct && is_own_name
}

/// Bodies on these routes are small and are read whole before the handler runs, so that nobody can drip one.
async fn small_body(head: Parts, body: Body, within: Duration) -> Result<Request, Problem> {
    if !same_site::changes(&head.method) {
        return Ok(Request::from_parts(head, body));
    }
    let read = tokio::time::timeout(within, to_bytes(body, LARGEST_BODY)).await;
    match read {
        Ok(Ok(bytes)) => Ok(Request::from_parts(head, Body::from(bytes))),
        Ok(Err(_)) => Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            "The body is larger than 64 KiB, or broke off. Nothing was done.",
        )),
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "too-slow",
            "The body did not arrive in time. Nothing was done.",
        )),
    }
}
