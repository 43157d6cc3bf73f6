//! Owns what must be reachable: our own server, the address that people use, the places of channels, the hosts that plans may name.
//! Refuses to post anything: a head without a body, or a connection, is enough to know.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use http::Method;
use tokio::net::TcpStream;
use url::Url;

use super::ask::{Asker, Silence, shown};
use super::{Finding, Level, Subject};
use crate::config::{ChannelKind, Config, Login};
use crate::doors::TurnedAway;
use crate::secret;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(3);

/// Where a server with this configuration listens, as this machine reaches it; nothing where the port is any.
pub(super) fn own_address(config: &Config) -> Option<Url> {
    let listen = &config.web.listen_address;
    let host = match listen.host.as_str() {
        "" | "0.0.0.0" | "::" => "127.0.0.1".to_owned(),
        host if host.contains(':') => format!("[{host}]"),
        host => host.to_owned(),
    };
    if listen.port == 0 {
        return None;
    }
    Url::parse(&format!("http://{host}:{}{}/", listen.port, config.web.route_prefix)).ok()
}

/// The server itself, and the way to it that people take.
pub(super) async fn server(subject: Arc<Subject>, asker: Asker) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(own) = own_address(&subject.config) {
        found.push(own_server(&own, &asker).await);
        if found.iter().all(|finding| finding.level == Level::Ok) {
            found.extend(turned_away(&subject.config, &own, &asker).await);
        }
    }
    if let Some(external) = &subject.config.web.external_url {
        found.push(from_outside(external, &asker).await);
    }
    found
}

async fn own_server(own: &Url, asker: &Asker) -> Finding {
    let who = shown(own);
    let answer = match own.join("-/ready") {
        Ok(url) => asker.ask(Method::GET, &url, None).await,
        Err(error) => Err(Silence::Odd(error.to_string())),
    };
    match answer {
        Ok(_) => Finding::ok("server", format!("{who} is ready")),
        Err(Silence::Unreachable(_)) => Finding::warn(
            "server.down",
            format!("nobody answers at {who}"),
            "Start it: `tidegate serve --config.file …`.",
        ),
        Err(Silence::Unauthorized(status)) => Finding::fail(
            "server.stranger",
            format!("somebody else answers at {who}: {status}"),
            "Choose another `web.listen_address`, or stop the program that listens there.",
        ),
        Err(Silence::Odd(why)) => Finding::fail(
            "server.not-ready",
            format!("{who} is not ready: {why}"),
            "`/-/ready` names the part, and `/health` says why it is not well.",
        ),
    }
}

/// What the server has turned away at the doors of its receivers, as it tells whoever can read its first token. Without that
/// nothing is said: the page and `/health` say it, too.
async fn turned_away(config: &Config, own: &Url, asker: &Asker) -> Vec<Finding> {
    let Ok(token) = secret::read(&config.storage.path.join("admin.token")) else {
        return Vec::new();
    };
    let Ok(health) = asker.json(own, &["health"], "", Some(&Login::Bearer(token))).await else {
        return Vec::new();
    };
    let away: Vec<TurnedAway> = serde_json::from_value(health["detail"]["turned_away"].clone()).unwrap_or_default();
    let told = away.iter();
    told.map(|away| Finding::warn("server.refused", away.says(), away.fix()))
        .collect()
}

async fn from_outside(external: &Url, asker: &Asker) -> Finding {
    let base = external.as_str().trim_end_matches('/');
    let answer = match Url::parse(&format!("{base}/-/healthy")) {
        Ok(url) => asker.ask(Method::GET, &url, None).await,
        Err(error) => Err(Silence::Odd(error.to_string())),
    };
    let who = shown(external);
    let why = match answer {
        Ok((_, body)) if body.starts_with(b"Tidegate") => {
            return Finding::ok("server", format!("{who} leads here"));
        }
        Ok(_) => "something else answers there".to_owned(),
        Err(Silence::Unreachable(why) | Silence::Odd(why)) => why,
        Err(Silence::Unauthorized(status)) => format!("it answered {status}"),
    };
    Finding::warn(
        "server.unreachable",
        format!("`web.external_url` does not lead to Tidegate as seen from here: {why}"),
        "Let the proxy pass every path below it, unchanged and without redirects, to `web.listen_address`.",
    )
}

/// The places where notices are posted.
pub(super) async fn channels(subject: Arc<Subject>, asker: Asker) -> Vec<Finding> {
    let posted = subject
        .config
        .channels
        .iter()
        .filter_map(|(name, channel)| match &channel.kind {
            ChannelKind::Webhook { url, .. } => Some((name, url.expose(), "webhook.url")),
            ChannelKind::PagerDuty { events_url, .. } => Some((name, events_url, "pagerduty.events_url")),
            ChannelKind::Slack { .. } | ChannelKind::Discord { .. } | ChannelKind::Email { .. } => None,
        });
    let asked = posted.map(async |(name, url, key)| {
        let mut origin = url.clone();
        origin.set_path("/");
        origin.set_query(None);
        origin.set_fragment(None);
        let who = format!("`{name}` at {}", shown(url));
        match asker.is_there(&origin).await {
            Ok(()) => Finding::ok("channel", format!("{who} answers")),
            Err(why) => Finding::fail(
                "channel.unreachable",
                format!("{who} cannot be reached: {why}"),
                format!(
                    "Start it, let this machine reach it through its firewall or NetworkPolicy, or correct \
                     `channels.{name}.{key}`."
                ),
            ),
        }
    });
    join_all(asked).await
}

/// The hosts that plans may name.
pub(super) async fn egress(subject: Arc<Subject>) -> Vec<Finding> {
    let asked = subject.config.outside.egress.iter().map(async |rule| {
        let (host, port) = rule.parts();
        let reached = match port {
            Some(port) => connect(&host, port).await,
            None => resolve(&host).await,
        };
        match reached {
            Ok(how) => Finding::ok("egress", format!("{rule} {how}")),
            Err(why) => Finding::fail(
                "egress.unreachable",
                format!("{rule} cannot be reached: {why}"),
                format!(
                    "Let this machine reach it through its firewall or NetworkPolicy, or take `{rule}` out of `egress.allow`."
                ),
            ),
        }
    });
    join_all(asked).await
}

async fn connect(host: &str, port: u16) -> Result<&'static str, String> {
    match tokio::time::timeout(CONNECT, TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => Ok("takes connections"),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no connection within {} s", CONNECT.as_secs())),
    }
}

/// Without a port there is nothing to connect to.
async fn resolve(host: &str) -> Result<&'static str, String> {
    match tokio::time::timeout(CONNECT, tokio::net::lookup_host((host, 0))).await {
        Ok(Ok(found)) => match found.count() {
            0 => Err("the name has no address".to_owned()),
            _ => Ok("has an address"),
        },
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("its name was not found within {} s", CONNECT.as_secs())),
    }
}
