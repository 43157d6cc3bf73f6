//! Owns the calls to Discord's API over the one HTTP client: what the application says as itself, and the answers to
//! interactions, which are edited with the token that came along.
//! Refuses to call a route that Discord asks to leave alone, and to let a token into a log or an error.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use http::header::{AUTHORIZATION, HeaderValue, USER_AGENT};
use http::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::sync::OnceCell;
use url::Url;

use super::buckets::Buckets;
use crate::channel::platform;
use crate::config;
use crate::net::{self, Net};
use crate::render::one_line;

/// No single call lasts longer.
const DEADLINE: Duration = Duration::from_secs(8);
/// The longest answer that is read.
const LONGEST: usize = 4 << 20;
/// Discord asks every program to say what it is, in this form.
const WHO: &str = concat!("DiscordBot (https://tidegate.dev, ", env!("CARGO_PKG_VERSION"), ")");

/// The way to Discord. Clones share it, and what it has asked to leave alone.
#[derive(Clone)]
pub struct Api {
    net: Net,
    token: SecretString,
    application: String,
    url: Url,
    buckets: Arc<Buckets>,
    me: Arc<OnceCell<String>>,
}

/// Why a call did not work.
pub type ApiError = platform::ApiError<Refused>;

/// Discord's reason for saying no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    status: u16,
    code: i64,
    message: String,
}

impl fmt::Display for Refused {
    /// With what to do about it, where that is known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Discord refused it: {} {}", self.code, self.message)?;
        match (self.status, self.code) {
            (401, 0) => f.write_str(" (put the application's present bot token into `discord.token_file`, and reload)"),
            (_, 10_003) => f.write_str(" (check the id of the channel)"),
            (_, 10_004 | 50_001) => f.write_str(" (install the application on the server, and let it see the channel)"),
            (_, 50_013) => f.write_str(
                " (in the channel the application needs: View Channel, Send Messages, Send Messages in Threads, \
                 Create Public Threads, Embed Links, Read Message History)",
            ),
            _ => Ok(()),
        }
    }
}

impl platform::Refusal for Refused {
    const PLATFORM: &str = "Discord";

    fn is_about_the_message(&self) -> bool {
        matches!(self.code, 50_006 | 50_035 | 40_005)
    }
}

impl Refused {
    /// Whether the message or the thread is gone for good, or was never ours.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self.code, 10_003 | 10_008 | 50_005)
    }

    /// Whether an interaction is not known: not yet, or not any more.
    pub fn is_unknown(&self) -> bool {
        matches!(self.code, 10_008 | 10_015 | 10_062)
    }

    pub(super) fn has_a_thread(&self) -> bool {
        self.code == 160_004
    }

    pub(super) fn lacks_permission(&self) -> bool {
        matches!(self.code, 50_001 | 50_013)
    }
}

impl Api {
    /// The way that the configuration describes.
    pub fn new(discord: &config::Discord, net: Net) -> Self {
        Self {
            net,
            token: discord.token.clone(),
            application: discord.app.id.clone(),
            url: discord.api_url.clone(),
            buckets: Arc::default(),
            me: Arc::default(),
        }
    }

    /// Edits the first answer to an interaction.
    ///
    /// # Errors
    /// [`ApiError`]: it stays as it was then.
    pub async fn edit_answer(&self, interaction: &SecretString, body: &Value) -> Result<(), ApiError> {
        let token = interaction.expose_secret();
        let path = ["webhooks", &self.application, token, "messages", "@original"];
        let request = self.request(Method::PATCH, &path)?.json(body);
        // Each interaction has limits of its own, and its token must not get into a key.
        self.send("PATCH interaction", request).await.map(drop)
    }

    /// Puts these commands in the place of all that the application has, on one server or everywhere.
    ///
    /// # Errors
    /// [`ApiError`]: they stay as they were then.
    pub async fn register(&self, guild: Option<&str>, commands: &Value) -> Result<Value, ApiError> {
        let path: Vec<&str> = match guild {
            Some(guild) => vec!["applications", &self.application, "guilds", guild, "commands"],
            None => vec!["applications", &self.application, "commands"],
        };
        self.call(Method::PUT, &path, Some(commands)).await
    }

    /// What Discord knows of the application that the token belongs to.
    ///
    /// # Errors
    /// [`ApiError`], as when the token is none.
    pub async fn application(&self) -> Result<Value, ApiError> {
        self.call(Method::GET, &["applications", "@me"], None).await
    }

    /// What Discord shows the application of a channel.
    ///
    /// # Errors
    /// [`ApiError`], as when it cannot see it.
    pub async fn channel(&self, id: &str) -> Result<Value, ApiError> {
        self.call(Method::GET, &["channels", id], None).await
    }

    /// A server with its roles, as Discord shows it to the application.
    ///
    /// # Errors
    /// [`ApiError`], as when the application is not on it.
    pub async fn guild(&self, id: &str) -> Result<Value, ApiError> {
        self.call(Method::GET, &["guilds", id], None).await
    }

    /// A member of a server.
    ///
    /// # Errors
    /// [`ApiError`], as when there is none.
    pub async fn member(&self, guild: &str, user: &str) -> Result<Value, ApiError> {
        self.call(Method::GET, &["guilds", guild, "members", user], None).await
    }

    /// The commands that are registered on a server, and those that are registered everywhere.
    ///
    /// # Errors
    /// [`ApiError`], as when the application is not on that server.
    pub async fn commands(&self, guild: &str) -> Result<Vec<Value>, ApiError> {
        let here = ["applications", &self.application, "guilds", guild, "commands"];
        let everywhere = ["applications", &self.application, "commands"];
        let mut commands = Vec::new();
        for path in [&here[..], &everywhere[..]] {
            let listed = self.call(Method::GET, path, None).await?;
            commands.extend(listed.as_array().cloned().unwrap_or_default());
        }
        Ok(commands)
    }

    /// The id of the user that the application speaks as.
    ///
    /// # Errors
    /// [`ApiError`]: nobody said so.
    pub async fn me(&self) -> Result<&str, ApiError> {
        let id = self.me.get_or_try_init(|| async {
            let me = self.call(Method::GET, &["users", "@me"], None).await?;
            let id = me.get("id").and_then(Value::as_str).map(str::to_owned);
            id.ok_or_else(|| ApiError::Unreachable(anyhow::anyhow!("it did not say who we are")))
        });
        id.await.map(String::as_str)
    }

    /// Calls a route as the application.
    pub(super) async fn call(&self, method: Method, path: &[&str], body: Option<&Value>) -> Result<Value, ApiError> {
        let route = route(&method, path);
        let request = self.as_ourselves(method, path)?;
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        self.send(&route, request).await
    }

    /// Reads a list as the application.
    pub(super) async fn ask(&self, path: &[&str], query: &[(&str, String)]) -> Result<Value, ApiError> {
        let request = self.as_ourselves(Method::GET, path)?.query(query);
        self.send(&route(&Method::GET, path), request).await
    }

    fn as_ourselves(&self, method: Method, path: &[&str]) -> Result<reqwest::RequestBuilder, ApiError> {
        let secret = format!("Bot {}", self.token.expose_secret());
        let mut secret = HeaderValue::from_str(&secret)
            .context("the bot token has characters that no header can carry")
            .map_err(ApiError::Unreachable)?;
        secret.set_sensitive(true);
        Ok(self.request(method, path)?.header(AUTHORIZATION, secret))
    }

    fn request(&self, method: Method, path: &[&str]) -> Result<reqwest::RequestBuilder, ApiError> {
        let mut url = self.url.clone();
        url.path_segments_mut()
            .map_err(|()| ApiError::Unreachable(anyhow::anyhow!("`discord.api_url` takes no path")))?
            .pop_if_empty()
            .extend(path);
        let request = self.net.request(method, &url, DEADLINE);
        let request = request.map_err(|forbidden| ApiError::Unreachable(forbidden.into()))?;
        Ok(request.header(USER_AGENT, WHO))
    }

    async fn send(&self, route: &str, request: reqwest::RequestBuilder) -> Result<Value, ApiError> {
        if let Some(after) = self.buckets.rest(route, Instant::now()) {
            return Err(ApiError::Busy { after });
        }
        // The address of a request may hold a token.
        let sent = request.send().await.map_err(reqwest::Error::without_url);
        let response = sent.context("send it").map_err(ApiError::Unreachable)?;
        let (status, headers) = (response.status(), response.headers().clone());
        self.buckets.note(route, &headers, Instant::now());
        let body = net::read(response, LONGEST).await;
        let body = body.context("read the answer").map_err(ApiError::Unreachable)?;
        let answer: Option<Value> = serde_json::from_slice(&body).ok();
        if status == StatusCode::TOO_MANY_REQUESTS {
            let body = answer.unwrap_or_default();
            let after = self.buckets.too_many(route, &headers, &body, Instant::now());
            return Err(ApiError::Busy { after });
        }
        match (status, answer) {
            (status, Some(answer)) if status.is_success() => Ok(answer),
            (StatusCode::NO_CONTENT, None) => Ok(Value::Null),
            (status, Some(answer)) if status.is_client_error() => Err(ApiError::Refused(refused(status, &answer))),
            (status, _) => Err(ApiError::Unreachable(anyhow::anyhow!("it answered {status}"))),
        }
    }
}

/// Discord counts calls by route and by the channel, server or application in it.
fn route(method: &Method, path: &[&str]) -> String {
    let kinds = path.iter().enumerate().map(|(at, part)| match at {
        3 => "-",
        _ => part,
    });
    format!("{method} {}", kinds.collect::<Vec<_>>().join("/"))
}

/// What it says is text from outside: one line, and not endless.
fn refused(status: StatusCode, answer: &Value) -> Refused {
    let said = answer
        .get("message")
        .and_then(Value::as_str)
        .unwrap_or("it did not say why");
    let detail = answer
        .get("errors")
        .map(|errors| format!(" {errors}"))
        .unwrap_or_default();
    Refused {
        status: status.as_u16(),
        code: answer.get("code").and_then(Value::as_i64).unwrap_or(0),
        message: one_line(&format!("{said}{detail}")).chars().take(300).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_a_channel_share_a_route_and_channels_do_not() {
        let edit = |channel, message| route(&Method::PATCH, &["channels", channel, "messages", message]);
        assert_eq!(edit("1", "2"), edit("1", "3"));
        assert_ne!(edit("1", "2"), edit("2", "2"));
        assert_ne!(edit("1", "2"), route(&Method::POST, &["channels", "1", "messages"]));
        assert_ne!(
            edit("1", "2"),
            route(&Method::POST, &["channels", "1", "messages", "2", "threads"])
        );
    }
}
