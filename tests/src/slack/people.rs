//! What people in the workspace do: type commands, press buttons, fill in forms. Each becomes a request signed as Slack's.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::process::Command;

use super::{APP, CHANNEL, Posted, SECRET, Slack, TEAM, api, blocks, seconds};
use crate::paths;

/// A request, signed.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The time that is signed along.
    pub timestamp: String,
    /// `v0=…`.
    pub signature: String,
    /// The form.
    pub body: String,
    /// Where a late answer to it goes.
    pub response_url: String,
}

/// How a request was answered.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The status.
    pub status: StatusCode,
    /// The body, where there is one.
    pub body: Value,
    /// How long it took.
    pub took: Duration,
    /// Where a late answer goes.
    pub response_url: String,
}

/// The signature as Slack makes it.
#[must_use]
pub fn sign(secret: &str, timestamp: &str, body: &str) -> String {
    // HMAC takes keys of any length, so there always is one.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    mac.update(format!("v0:{timestamp}:{body}").as_bytes());
    format!("v0={}", hex::encode(mac.finalize().into_bytes()))
}

/// The signature as the official SDK for Python makes it.
///
/// # Errors
/// When the SDK is not installed or fails.
pub async fn sign_by_sdk(secret: &str, timestamp: &str, body: &str) -> Result<String> {
    let python = paths::target()?.join("python/bin/python");
    ensure!(
        python.is_file(),
        "{} is missing: run `./tests/run prepare`",
        python.display()
    );
    let script = paths::repository().join("tests/slack/sign.py");
    let output = Command::new(python)
        .arg(script)
        .args([secret, timestamp, body])
        .output()
        .await;
    let output = output.context("could not start Python")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "slack_sdk failed: {complaint}");
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

impl Signed {
    /// The same, signed by Slack's own SDK.
    ///
    /// # Errors
    /// When the SDK is not installed or fails.
    pub async fn by_sdk(self) -> Result<Self> {
        let signature = sign_by_sdk(SECRET, &self.timestamp, &self.body).await?;
        Ok(Self { signature, ..self })
    }

    /// The same body, signed for another time with another secret.
    #[must_use]
    pub fn again(&self, secret: &str, seconds_ago: i64) -> Self {
        let timestamp = (i64::try_from(seconds()).unwrap_or(0) - seconds_ago).to_string();
        Self {
            signature: sign(secret, &timestamp, &self.body),
            timestamp,
            ..self.clone()
        }
    }

    /// The same press, choice or form from another workspace or app, signed with our secret: another app may have got hold of it.
    ///
    /// # Errors
    /// When it is no such thing.
    pub fn from(&self, team: &str, app: &str) -> Result<Self> {
        let mut payload = payload(&self.body).context("it has no payload")?;
        payload["team"]["id"] = team.into();
        payload["user"]["team_id"] = team.into();
        payload["api_app_id"] = app.into();
        Ok(self.with_payload(&payload))
    }

    /// The same for an app of a whole organisation, which names the workspace only with the user.
    ///
    /// # Errors
    /// When it is no press, choice or form.
    pub fn of_an_organisation(&self, team: &str) -> Result<Self> {
        let mut payload = payload(&self.body).context("it has no payload")?;
        payload["team"] = Value::Null;
        payload["user"]["team_id"] = team.into();
        payload["is_enterprise_install"] = true.into();
        Ok(self.with_payload(&payload))
    }

    fn with_payload(&self, payload: &Value) -> Self {
        let unsigned = Self {
            body: as_form(payload),
            ..self.clone()
        };
        unsigned.again(SECRET, 0)
    }
}

/// What an interaction carries in its one field.
fn payload(body: &str) -> Option<Value> {
    let mut fields = url::form_urlencoded::parse(body.as_bytes());
    let payload = fields.find_map(|(name, value)| (name == "payload").then_some(value))?;
    serde_json::from_str(&payload).ok()
}

fn as_form(payload: &Value) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .append_pair("payload", &payload.to_string())
        .finish()
}

impl Slack {
    /// A trigger, and an address for late answers.
    fn occasion(&self) -> (String, String) {
        let mut book = self.book();
        book.number += 1;
        let trigger = format!("{}.123.abcdef", book.number);
        book.triggers.insert(trigger.clone(), (Instant::now(), false));
        (trigger, format!("{}{}", self.hooks_url(), book.number))
    }

    fn signed(body: String, response_url: String) -> Signed {
        let unsigned = Signed {
            timestamp: String::new(),
            signature: String::new(),
            body,
            response_url,
        };
        unsigned.again(SECRET, 0)
    }

    /// The slash command with `text`, typed by `user`.
    #[must_use]
    pub fn command(&self, user: &str, text: &str) -> Signed {
        self.command_at(CHANNEL, user, text)
    }

    /// As [`Slack::command`], in any channel: the app need not be there.
    #[must_use]
    pub fn command_at(&self, channel: &str, user: &str, text: &str) -> Signed {
        self.command_from((TEAM, APP), channel, user, text)
    }

    /// As [`Slack::command`], from any workspace and app.
    #[must_use]
    pub fn command_in(&self, team: &str, app: &str, user: &str, text: &str) -> Signed {
        self.command_from((team, app), CHANNEL, user, text)
    }

    fn command_from(&self, (team, app): (&str, &str), channel: &str, user: &str, text: &str) -> Signed {
        let (trigger, response_url) = self.occasion();
        let body = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("token", "a-token-of-old")
            .append_pair("team_id", team)
            .append_pair("team_domain", "example")
            .append_pair("channel_id", channel)
            .append_pair("channel_name", "releases")
            .append_pair("user_id", user)
            .append_pair("user_name", "never-look-at-me")
            .append_pair("command", "/rollout")
            .append_pair("text", text)
            .append_pair("api_app_id", app)
            .append_pair("is_enterprise_install", "false")
            .append_pair("response_url", &response_url)
            .append_pair("trigger_id", &trigger)
            .finish();
        Self::signed(body, response_url)
    }

    fn interaction(&self, user: &str, more: Value) -> Signed {
        let (trigger, response_url) = self.occasion();
        let mut payload = json!({
            "user": { "id": user, "username": "never-look-at-me", "team_id": TEAM },
            "api_app_id": APP,
            "token": "a-token-of-old",
            "trigger_id": trigger,
            "team": { "id": TEAM, "domain": "example" },
            "enterprise": null,
            "is_enterprise_install": false,
        });
        if let (Some(payload), Value::Object(more)) = (payload.as_object_mut(), more) {
            payload.extend(more);
        }
        if payload["type"] == "block_actions" && payload["view"].is_null() {
            payload["response_url"] = response_url.clone().into();
        }
        Self::signed(as_form(&payload), response_url)
    }

    /// `user` presses a button that stands in a message.
    ///
    /// # Errors
    /// When there is no such button.
    pub fn press(&self, user: &str, message: &Posted, action: &str) -> Result<Signed> {
        let button = message.button(action);
        let button = button.with_context(|| format!("no `{action}` among {:?}", message.buttons()))?;
        Ok(self.press_with(user, &message.ts, action, button["value"].as_str().unwrap_or_default()))
    }

    /// A press with any value, as somebody could make it up who can sign.
    #[must_use]
    pub fn press_with(&self, user: &str, ts: &str, action: &str, value: &str) -> Signed {
        self.interaction(
            user,
            json!({
                "type": "block_actions",
                "container": { "type": "message", "message_ts": ts, "channel_id": CHANNEL },
                "channel": { "id": CHANNEL, "name": "releases" },
                "actions": [{ "type": "button", "action_id": action, "block_id": "act", "value": value }],
            }),
        )
    }

    /// `user` chooses another plan in an open form.
    #[must_use]
    pub fn choose(&self, user: &str, view: &Value, action: &str, value: &str) -> Signed {
        self.interaction(
            user,
            json!({
                "type": "block_actions",
                "container": { "type": "view", "view_id": view["id"] },
                "view": with_state(view, &[(action, value)]),
                "actions": [{
                    "type": "static_select", "action_id": action, "block_id": action,
                    "selected_option": { "text": { "type": "plain_text", "text": value }, "value": value },
                }],
            }),
        )
    }

    /// `user` sends an open form off, with these blocks filled in.
    #[must_use]
    pub fn submit(&self, user: &str, view: &Value, filled_in: &[(&str, &str)]) -> Signed {
        self.interaction(
            user,
            json!({ "type": "view_submission", "view": with_state(view, filled_in) }),
        )
    }

    /// Delivers a request to `address`.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn deliver(&self, address: &str, signed: &Signed) -> Result<Answered> {
        let begun = Instant::now();
        let sent_off = sent_off(&signed.body);
        if let Some(view) = &sent_off {
            self.book().sent_off.insert(view.clone(), begun);
        }
        let answer = self
            .client
            .post(address)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("x-slack-request-timestamp", &signed.timestamp)
            .header("x-slack-signature", &signed.signature)
            .header("user-agent", "Slackbot 1.0 (+https://api.slack.com/robots)")
            .body(signed.body.clone())
            .send()
            .await
            .context("the request was not answered")?;
        let status = answer.status();
        let body = answer.bytes().await.context("the answer broke off")?;
        let took = begun.elapsed();
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        if let (Some(view), StatusCode::OK) = (sent_off, status) {
            self.answered(&view, &body);
        }
        Ok(Answered {
            status,
            body,
            took,
            response_url: signed.response_url.clone(),
        })
    }
}

impl Slack {
    /// What becomes of a form that was sent off, when that is answered.
    fn answered(&self, id: &str, answer: &Value) {
        let mut book = self.book();
        let Some(open) = book.views.get(id).cloned() else {
            return;
        };
        let verdict = match answer["response_action"].as_str() {
            None if answer.is_null() => {
                book.views.remove(id);
                Ok(())
            }
            Some("update") => {
                let view = &answer["view"];
                let judged = blocks::view(view);
                if judged.is_ok() {
                    api::keep(&mut book, id, view);
                }
                judged
            }
            Some("errors") => blocks::errors(&open, &answer["errors"]),
            other => Err(format!("no answer to a form that Slack knows: {other:?}")),
        };
        if let Err(why) = verdict {
            book.refused.push(format!("answer to a form: {why}"));
        }
    }
}

/// Which form a request sends off, if it sends one off.
fn sent_off(body: &str) -> Option<String> {
    let payload = payload(body)?;
    let view = payload["view"]["id"].as_str()?;
    (payload["type"] == "view_submission").then(|| view.to_owned())
}

/// A form as it comes back: with what is filled in, and what stood in it from the start.
fn with_state(view: &Value, filled_in: &[(&str, &str)]) -> Value {
    let mut values = serde_json::Map::new();
    for block in view["blocks"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|block| block["type"] == "input")
    {
        let name = block["block_id"].as_str().unwrap_or_default();
        let element = &block["element"];
        let typed = filled_in
            .iter()
            .find(|(filled, _)| name == *filled || name.starts_with(&format!("{filled}@")));
        let typed = typed.map(|(_, value)| Value::from(*value));
        let state = if element["type"] == "static_select" {
            let chosen = typed.unwrap_or_else(|| element["initial_option"]["value"].clone());
            json!({ "type": "static_select", "selected_option": { "value": chosen } })
        } else {
            let typed = typed.unwrap_or_else(|| element["initial_value"].clone());
            json!({ "type": "plain_text_input", "value": typed })
        };
        let action = element["action_id"].as_str().unwrap_or_default();
        values.insert(name.to_owned(), json!({ action: state }));
    }
    let mut view = view.clone();
    view["state"] = json!({ "values": values });
    view
}

impl Answered {
    /// What the person sees.
    #[must_use]
    pub fn shown(&self) -> String {
        super::read(&self.body).0
    }
}
