//! Owns the settings of the application in Discord: whose requests are believed, which servers count, what Tidegate posts
//! with. Refuses half of it: people would press buttons that nobody hears, or be heard and never answered.

use std::sync::Arc;

use secrecy::SecretString;
use url::Url;

use super::section::Section;

/// The application in Discord.
#[derive(Clone, Debug)]
pub struct Discord {
    /// What its requests are told by.
    pub app: Arc<tidegate_webhooks::discord::App>,
    /// The public key that they are checked with, in hexadecimal digits.
    pub public_key: String,
    /// What Tidegate presents to Discord's API.
    pub token: SecretString,
    /// The command, without a slash.
    pub command: String,
    /// Discord's API, with its version.
    pub api_url: Url,
}

impl Discord {
    /// `None` where nothing but defaults is given: there is no application then.
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let key = section.text("public_key");
        let id = section.text("application");
        let guilds: Vec<String> = section.list("guilds");
        let token = section.secret("token", "token_file");
        let command = section.required::<CommandName>("command").0;
        let api_url = section.folder("api_url");
        if key.is_none() && id.is_none() && guilds.is_empty() && token.is_none() {
            return None;
        }
        if !id.as_deref().is_some_and(is_id) {
            section.fault(
                "application",
                "must be the id of the application, a number such as `\"771825006014889999\"`",
            );
        }
        if guilds.is_empty() {
            section.fault("guilds", "is missing: name the ids of the servers that are listened to");
        }
        for guild in guilds.iter().filter(|guild| !is_id(guild)) {
            section.fault(
                "guilds",
                format_args!("`{guild}` is no id of a server, a number of 17 digits or more"),
            );
        }
        if token.is_none() {
            section.fault("token_file", "is missing: the token of the bot");
        }
        let Some(key) = key else {
            section.fault("public_key", "is missing: without it anybody could speak for anybody");
            return None;
        };
        let app = tidegate_webhooks::discord::App::new(&key, id?, guilds);
        let app = app.map_err(|error| section.fault("public_key", error)).ok()?;
        Some(Self {
            app: Arc::new(app),
            public_key: key,
            token: token?,
            command,
            api_url: api_url?,
        })
    }
}

/// An id as Discord makes them: a number that carries its time, and so has 17 digits or more.
pub(super) fn is_id(text: &str) -> bool {
    (17..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u64>().is_ok()
}

/// A word, as Discord takes it for a command.
#[derive(Default)]
struct CommandName(String);

impl std::str::FromStr for CommandName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
        if (1..=32).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be 1 to 32 of `a-z`, `0-9`, `-` and `_`, without a slash, such as `rollout`".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_told_from_names() {
        assert!(is_id("80351110224678912") && is_id("290926798626357999"));
        for wrong in [
            "",
            "1",
            "li#1234",
            "8035111022467891x",
            "99999999999999999999",
            "123456789012345678901",
        ] {
            assert!(!is_id(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_command_has_no_slash() {
        assert!("rollout".parse::<CommandName>().is_ok());
        for wrong in ["/rollout", "", "Rollout", "roll out"] {
            assert!(wrong.parse::<CommandName>().is_err(), "{wrong}");
        }
    }
}
