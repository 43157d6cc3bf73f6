//! Owns the settings of the app in Slack: what proves its requests, which workspaces count, what Tidegate posts with.
//! Refuses half of it: people would press buttons that nobody hears, or be heard and never answered.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use tidegate_webhooks::SigningSecrets;
use url::Url;

use super::section::Section;

/// The app in Slack.
#[derive(Clone, Debug)]
pub struct Slack {
    /// What its requests prove themselves with.
    pub app: Arc<tidegate_webhooks::slack::App>,
    /// What Tidegate presents to Slack's API.
    pub token: SecretString,
    /// The slash command, with its slash.
    pub command: String,
    /// Slack's API.
    pub api_url: Url,
    /// Where answers that come later may be posted.
    pub hooks_url: Url,
}

impl Slack {
    /// `None` where nothing but defaults is given: there is no app then.
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let secrets: Vec<_> = [
            section.secret("signing_secret", "signing_secret_file"),
            section.secret("signing_secret_before", "signing_secret_before_file"),
        ]
        .into_iter()
        .flatten()
        .collect();
        let workspaces: Vec<String> = section.list("workspaces");
        let id = section.text("app");
        let token = section.secret("token", "token_file");
        let command = command(section);
        let (api_url, hooks_url) = (section.folder("api_url"), section.folder("hooks_url"));
        if secrets.is_empty() && workspaces.is_empty() && id.is_none() && token.is_none() {
            return None;
        }
        for workspace in &workspaces {
            if !is_id(workspace, &['T', 'E']) {
                section.fault(
                    "workspaces",
                    format_args!("`{workspace}` is no workspace id, such as `T012AB3CD`"),
                );
            }
        }
        if workspaces.is_empty() {
            section.fault(
                "workspaces",
                "is missing: name the ids of the workspaces that are listened to",
            );
        }
        if id.as_deref().is_some_and(|id| !is_id(id, &['A'])) {
            section.fault("app", "must be the id of the app, such as `A012AB3CD`");
        }
        if token
            .as_ref()
            .is_some_and(|token| !token.expose_secret().starts_with("xoxb-"))
        {
            section.fault(
                "token_file",
                "must hold the bot token of the app, which begins with `xoxb-`",
            );
        }
        if token.is_none() {
            section.fault("token_file", "is missing: the bot token, which begins with `xoxb-`");
        }
        if secrets.is_empty() {
            section.fault(
                "signing_secret_file",
                "is missing: without it anybody could speak for anybody",
            );
            return None;
        }
        let secrets = SigningSecrets::new(secrets)
            .map_err(|error| section.fault("signing_secret_file", error))
            .ok()?;
        Some(Self {
            app: Arc::new(tidegate_webhooks::slack::App {
                secrets,
                workspaces,
                id,
            }),
            token: token?,
            command,
            api_url: api_url?,
            hooks_url: hooks_url?,
        })
    }
}

/// The slash command, with its slash.
pub(super) fn command(section: &mut Section<'_>) -> String {
    section.required::<SlashCommand>("command").0
}

/// An id as Slack makes them: one of the letters, then capital letters and digits.
pub(super) fn is_id(text: &str, first: &[char]) -> bool {
    let rest = text.strip_prefix(first);
    rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()))
}

/// `/` and a word, as Slack takes them.
#[derive(Default)]
struct SlashCommand(String);

impl std::str::FromStr for SlashCommand {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
        match text.strip_prefix('/') {
            Some(word) if !word.is_empty() && word.len() <= 31 && word.bytes().all(fits) => Ok(Self(text.to_owned())),
            _ => Err("must be a slash and up to 31 of `a-z`, `0-9`, `-` and `_`, such as `/rollout`".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_told_from_names() {
        for id in ["T012AB3CD", "E01"] {
            assert!(is_id(id, &['T', 'E']), "{id}");
        }
        for wrong in [
            "",
            "T",
            "acme",
            "T012ab3cd",
            "U012AB3CD",
            "T0-1",
            "https://acme.slack.com",
        ] {
            assert!(!is_id(wrong, &['T', 'E']), "{wrong}");
        }
    }

    #[test]
    fn a_command_begins_with_a_slash() {
        assert!("/rollout".parse::<SlashCommand>().is_ok());
        for wrong in ["rollout", "/", "/Roll Out", ""] {
            assert!(wrong.parse::<SlashCommand>().is_err(), "{wrong}");
        }
    }
}
