//! Owns the calls to Slack's Web API and to the addresses where late answers go, over the one HTTP client.
//! Refuses to post an answer anywhere but below the configured address, whoever names another: a request is no address book.

use std::fmt;
use std::time::Duration;

use anyhow::Context as _;
use http::header::RETRY_AFTER;
use http::{HeaderMap, Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tidegate_rollout::Period;
use url::Url;

use crate::channel::platform;
use crate::config;
use crate::net::{self, Net};

/// No single call lasts longer.
const DEADLINE: Duration = Duration::from_secs(8);
/// The trigger of a form is dead after three seconds.
const FORM_DEADLINE: Duration = Duration::from_millis(2_500);
/// The longest answer that is read.
const LONGEST: usize = 4 << 20;
/// How long to leave Slack alone when it says "too many" and not for how long.
const USUAL_REST: Period = Period::seconds(30);

/// The way to Slack. Clones share it.
#[derive(Clone)]
pub struct Api {
    net: Net,
    token: SecretString,
    api_url: Url,
    hooks_url: Url,
}

/// Why a call did not work.
pub type ApiError = platform::ApiError<Refused>;

/// Slack's word for why it said no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(String);

impl fmt::Display for Refused {
    /// With what to do about it, where that is known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slack refused it: {}", self.0)?;
        match self.0.as_str() {
            "not_in_channel" | "channel_not_found" => {
                f.write_str(" (check the id of the channel, and invite the app: `/invite @tidegate`)")
            }
            "invalid_auth" | "not_authed" | "account_inactive" | "token_revoked" | "token_expired" => {
                f.write_str(" (put the app's present bot token into `slack.token_file`, and reload)")
            }
            "missing_scope" => f.write_str(" (make the app again from `tidegate slack manifest`)"),
            "is_archived" => f.write_str(" (the channel is archived: name another one)"),
            _ => Ok(()),
        }
    }
}

impl platform::Refusal for Refused {
    const PLATFORM: &str = "Slack";

    fn is_about_the_message(&self) -> bool {
        matches!(
            self.0.as_str(),
            "msg_too_long"
                | "msg_blocks_too_long"
                | "no_text"
                | "invalid_blocks"
                | "invalid_blocks_format"
                | "invalid_arguments"
                | "invalid_metadata_format"
                | "metadata_too_large"
        )
    }
}

impl Refused {
    /// Whether the message that was to be edited is gone for good.
    pub(super) fn is_gone(&self) -> bool {
        matches!(
            self.0.as_str(),
            "message_not_found" | "cant_update_message" | "edit_window_closed"
        )
    }

    pub(super) fn lacks_scope(&self) -> bool {
        self.0 == "missing_scope"
    }
}

impl Api {
    /// The way that the configuration describes.
    pub fn new(slack: &config::Slack, net: Net) -> Self {
        Self {
            net,
            token: slack.token.clone(),
            api_url: slack.api_url.clone(),
            hooks_url: slack.hooks_url.clone(),
        }
    }

    /// Calls a method that changes something.
    pub(super) async fn call(&self, method: &str, body: &Value) -> Result<Value, ApiError> {
        let request = self.request(method, DEADLINE)?.json(body);
        answer(request).await
    }

    /// Calls a method that reads; those take no JSON.
    pub(super) async fn ask(&self, method: &str, query: &[(&str, &str)]) -> Result<Value, ApiError> {
        let with_metadata = [("include_all_metadata", "true")];
        let fields: Vec<_> = query.iter().chain(&with_metadata).collect();
        let request = self.request(method, DEADLINE)?.form(&fields);
        answer(request).await
    }

    /// Calls a method that takes nothing; also the head of the answer, where Slack says what the token may do.
    pub(super) async fn ask_with_head(&self, method: &str) -> Result<(HeaderMap, Value), ApiError> {
        let no_fields: [(&str, &str); 0] = [];
        answer_with_head(self.request(method, DEADLINE)?.form(&no_fields)).await
    }

    /// Opens a form for whoever caused `trigger`.
    ///
    /// # Errors
    /// [`ApiError`]: it is not open then.
    pub async fn open_form(&self, trigger: &str, view: &Value) -> Result<(), ApiError> {
        let body = serde_json::json!({ "trigger_id": trigger, "view": view });
        let request = self.request("views.open", FORM_DEADLINE)?.json(&body);
        answer(request).await.map(drop)
    }

    /// Puts another form in the place of an open one; with a hash, only if it is still the one that was looked at.
    ///
    /// # Errors
    /// [`ApiError`]: it stays as it was then.
    pub async fn replace_form(&self, id: &str, hash: Option<&str>, view: &Value) -> Result<(), ApiError> {
        let mut body = serde_json::json!({ "view_id": id, "view": view });
        if let Some(hash) = hash {
            body["hash"] = hash.into();
        }
        let request = self.request("views.update", FORM_DEADLINE)?.json(&body);
        answer(request).await.map(drop)
    }

    /// Posts an answer to the address that came with a question.
    ///
    /// # Errors
    /// When the address is not below the configured one, or does not take it.
    pub async fn respond(&self, address: &str, body: &Value) -> Result<(), ApiError> {
        let address = self.believed(address).map_err(ApiError::Unreachable)?;
        let request = self
            .net
            .request(Method::POST, &address, DEADLINE)
            .map_err(|forbidden| ApiError::Unreachable(forbidden.into()))?
            .json(body);
        let sent = request.send().await.map_err(reqwest::Error::without_url);
        let response = sent.context("send the answer").map_err(ApiError::Unreachable)?;
        match response.status() {
            status if status.is_success() => Ok(()),
            status => Err(ApiError::Unreachable(anyhow::anyhow!("it answered {status}"))),
        }
    }

    /// An address is secret text from outside: only its part below the configured address counts.
    fn believed(&self, address: &str) -> anyhow::Result<Url> {
        let url = Url::parse(address).context("the address for answers is none")?;
        let ours = &self.hooks_url;
        let same_place = url.scheme() == ours.scheme()
            && url.host_str() == ours.host_str()
            && url.port_or_known_default() == ours.port_or_known_default()
            && url.username().is_empty()
            && url.password().is_none();
        anyhow::ensure!(
            same_place && url.path().starts_with(ours.path()),
            "the address for answers is not below `slack.hooks_url`"
        );
        Ok(url)
    }

    fn request(&self, method: &str, deadline: Duration) -> Result<reqwest::RequestBuilder, ApiError> {
        let unreachable = |error: anyhow::Error| ApiError::Unreachable(error);
        let url = self
            .api_url
            .join(method)
            .context("join the address of the method")
            .map_err(unreachable)?;
        let request = self
            .net
            .request(Method::POST, &url, deadline)
            .map_err(|forbidden| unreachable(forbidden.into()))?;
        Ok(request.bearer_auth(self.token.expose_secret()))
    }
}

/// Slack says no with status 200; only "too many" has a status of its own.
async fn answer(request: reqwest::RequestBuilder) -> Result<Value, ApiError> {
    answer_with_head(request).await.map(|(_, answer)| answer)
}

async fn answer_with_head(request: reqwest::RequestBuilder) -> Result<(HeaderMap, Value), ApiError> {
    let sent = request.send().await.map_err(reqwest::Error::without_url);
    let response = sent.context("send it").map_err(ApiError::Unreachable)?;
    let status = response.status();
    if status == StatusCode::TOO_MANY_REQUESTS {
        let after = response.headers().get(RETRY_AFTER);
        let seconds = after.and_then(|after| after.to_str().ok()?.parse::<u32>().ok());
        let after = seconds.map_or(USUAL_REST, |seconds| Period::seconds(seconds.clamp(1, 3_600)));
        return Err(ApiError::Busy { after });
    }
    if !status.is_success() {
        return Err(ApiError::Unreachable(anyhow::anyhow!("it answered {status}")));
    }
    let head = response.headers().clone();
    let body = net::read(response, LONGEST)
        .await
        .context("read the answer")
        .map_err(ApiError::Unreachable)?;
    let answer: Value = serde_json::from_slice(&body)
        .context("the answer is not JSON")
        .map_err(ApiError::Unreachable)?;
    if answer.get("ok") == Some(&Value::Bool(true)) {
        return Ok((head, answer));
    }
    let error = answer
        .get("error")
        .and_then(Value::as_str)
        .unwrap_or("it did not say why");
    match error {
        "ratelimited" | "rate_limited" => Err(ApiError::Busy { after: USUAL_REST }),
        "internal_error" | "fatal_error" | "service_unavailable" | "request_timeout" => {
            Err(ApiError::Unreachable(anyhow::anyhow!("it answered {error}")))
        }
        error => Err(ApiError::Refused(Refused(error.chars().take(80).collect()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(hooks_url: &str) -> Api {
        Api {
            net: Net::new(Vec::new()).unwrap(),
            token: SecretString::from("xoxb-x"),
            api_url: Url::parse("https://slack.com/api/").unwrap(),
            hooks_url: Url::parse(hooks_url).unwrap(),
        }
    }

    #[test]
    fn answers_go_below_the_configured_address_only() {
        let api = api("https://hooks.slack.com/");
        assert!(api.believed("https://hooks.slack.com/commands/T1/2/x").is_ok());
        for elsewhere in [
            "http://hooks.slack.com/commands/T1/2/x",
            "https://hooks.slack.com.example/commands",
            "https://hooks.slack.com:444/commands",
            "https://user@hooks.slack.com/commands",
            "https://example.com/?https://hooks.slack.com/",
            "file:///etc/passwd",
            "",
        ] {
            assert!(api.believed(elsewhere).is_err(), "{elsewhere}");
        }
        let below = self::api("http://127.0.0.1:1/hooks/");
        assert!(below.believed("http://127.0.0.1:1/hooks/1").is_ok());
        assert!(below.believed("http://127.0.0.1:1/hooks/../api/x").is_err());
    }
}
