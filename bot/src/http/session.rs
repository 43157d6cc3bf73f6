//! Owns the cookie of somebody who signed in.
//! Refuses to be read by scripts, and to be sent along by other sites.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use tidegate_rollout::Period;

use crate::config::Web;

const NAME: &str = "tidegate_session";

/// The secret of the session in a request. Two cookies of the name are none: one of them was planted.
pub(super) fn in_headers(headers: &HeaderMap) -> Option<String> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';'));
    let mut ours = pairs.filter_map(|pair| pair.trim().strip_prefix(NAME)?.strip_prefix('='));
    match (ours.next(), ours.next()) {
        (Some(secret), None) if !secret.is_empty() => Some(secret.to_owned()),
        _ => None,
    }
}

/// The cookie that begins a session.
pub(super) fn begin(secret: &SecretString, ttl: Period, web: &Web) -> Option<HeaderValue> {
    cookie(secret.expose_secret(), ttl.as_millis() / 1_000, web)
}

/// The cookie that ends it.
pub(super) fn end(web: &Web) -> Option<HeaderValue> {
    cookie("", 0, web)
}

fn cookie(value: &str, seconds: i64, web: &Web) -> Option<HeaderValue> {
    let path = if web.route_prefix.is_empty() {
        "/"
    } else {
        web.route_prefix.as_str()
    };
    let over_tls = web.external_url.as_ref().is_some_and(|url| url.scheme() == "https");
    let secure = if over_tls { "; Secure" } else { "" };
    let cookie = format!("{NAME}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    let mut cookie = HeaderValue::from_str(&cookie).ok()?;
    cookie.set_sensitive(true);
    Some(cookie)
}
