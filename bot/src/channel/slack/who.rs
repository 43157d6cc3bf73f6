//! Owns the questions about the app itself: who its token is, what it may do, and whether it is in a channel.
//! Refuses to change anything in Slack.

use http::HeaderMap;
use http::header::DATE;
use jiff::Timestamp;
use serde_json::Value;

use super::api::{Api, ApiError};
use crate::clock;

/// Who a bot token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// The name of its user.
    pub user: String,
    /// The name of the workspace.
    pub workspace: String,
    /// The id of the workspace, `T…`.
    pub workspace_id: String,
    /// What it may do; Slack says so in the head of every answer.
    pub scopes: Option<Vec<String>>,
    /// What time it is in Slack.
    pub date: Option<Timestamp>,
}

impl Api {
    /// Asks who the token is.
    ///
    /// # Errors
    /// [`ApiError`], also when Slack does not know the token.
    pub async fn who(&self) -> Result<Who, ApiError> {
        let (head, answer) = self.ask_with_head("auth.test").await?;
        let text = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let scopes = value(&head, "x-oauth-scopes").map(|scopes| {
            let scopes = scopes.split(',').map(|scope| scope.trim().to_owned());
            scopes.filter(|scope| !scope.is_empty()).collect()
        });
        Ok(Who {
            user: text("user"),
            workspace: text("team"),
            workspace_id: text("team_id"),
            scopes,
            date: value(&head, DATE.as_str()).and_then(clock::read),
        })
    }

    /// Asks for one message of a channel: who is not in it gets none.
    ///
    /// # Errors
    /// [`ApiError`], also when the app is not in that channel.
    pub async fn is_in(&self, channel: &str) -> Result<(), ApiError> {
        let query = [("channel", channel), ("limit", "1")];
        self.ask("conversations.history", &query).await.map(drop)
    }
}

fn value<'a>(head: &'a HeaderMap, name: &str) -> Option<&'a str> {
    head.get(name)?.to_str().ok()
}
