//! Owns `tidegate slack`: the manifest that the app in Slack is made from.
//! Refuses to talk to Slack: the manifest is pasted there by whoever may make apps.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use url::Url;

use super::{Exit, Failure, Out};
use crate::config::Sources;

/// The configuration that is read when no other is named, if it is there.
const USUAL: &str = "tidegate.yml";

/// What concerns the app in Slack.
#[derive(Debug, Subcommand)]
pub(super) enum SlackCommand {
    /// Prints the manifest of the app, to be pasted at <https://api.slack.com/apps>, "Create New App", "From a manifest".
    Manifest(Manifest),
}

/// What the manifest says.
#[derive(Args, Debug)]
pub(super) struct Manifest {
    /// The address under which Slack reaches the server, with its path; else `web.external_url` of the configuration.
    #[arg(long, value_name = "URL")]
    url: Option<Url>,
    /// The slash command; else that of the configured app, else `/rollout`.
    #[arg(long, value_name = "/WORD")]
    command: Option<String>,
    /// What the app is called.
    #[arg(long, default_value = "Tidegate")]
    name: String,
    /// The configuration file; `tidegate.yml` if it is there.
    #[arg(long = "config.file", value_name = "FILE", env = "TIDEGATE_CONFIG_FILE")]
    config_file: Option<PathBuf>,
}

impl SlackCommand {
    pub(super) fn run(self, out: &mut Out) -> Result<Exit, Failure> {
        match self {
            Self::Manifest(manifest) => manifest.run(out),
        }
    }
}

impl Manifest {
    fn run(self, out: &mut Out) -> Result<Exit, Failure> {
        let usual = || Some(PathBuf::from(USUAL)).filter(|path| path.exists());
        let file = self.config_file.clone().or_else(usual);
        let (external_url, configured) = Sources::of_process(file, Vec::new())
            .slack_app()
            .map_err(|faults| Failure::from(faults).hint("`tidegate check-config FILE` says the same."))?;
        let address = self.url.clone().or(external_url).ok_or_else(|| {
            Failure::new(Exit::Usage, "Slack must know where the server is")
                .hint("Give --url https://tidegate.example, or set `web.external_url`.")
        })?;
        if address.scheme() != "https" {
            let what = format!("Slack takes only addresses that begin with https://, and this is {address}");
            return Err(Failure::new(Exit::Usage, what)
                .hint("Give --url with the address of the proxy in front of the server, as Slack reaches it."));
        }
        let manifest = self.manifest(configured, &address);
        out.result(format_args!("{manifest:#}"), &manifest)?;
        out.note(
            "Afterwards: install the app, put its signing secret, its bot token and the id of the workspace into the \
             configuration, and invite it to the channel.",
        );
        Ok(Exit::Done)
    }

    fn manifest(&self, configured: String, address: &Url) -> Value {
        let base = address.as_str().trim_end_matches('/');
        let door = |path: &str| format!("{base}{path}");
        let command = self.command.clone().unwrap_or(configured);
        let name: String = self.name.chars().take(35).collect();
        json!({
            "display_information": {
                "name": name,
                "description": "Carries out rollout plans, and rolls back by itself.",
                "background_color": "#12344d",
            },
            "features": {
                "bot_user": { "display_name": name, "always_online": true },
                "slash_commands": [{
                    "command": command,
                    "url": door("/slack/commands"),
                    "description": "Start, steer and roll back rollouts",
                    "usage_hint": "start | status | advance | pause | rollback | help",
                    "should_escape": false,
                }],
            },
            "oauth_config": {
                // The two histories only to look, after a crash, whether a message was posted already.
                "scopes": { "bot": ["commands", "chat:write", "channels:history", "groups:history"] },
            },
            "settings": {
                "interactivity": { "is_enabled": true, "request_url": door("/slack/interactions") },
                "org_deploy_enabled": false,
                "socket_mode_enabled": false,
                "token_rotation_enabled": false,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_names_the_doors_below_the_address() {
        let manifest = Manifest {
            url: None,
            command: None,
            name: "Tidegate".to_owned(),
            config_file: None,
        };
        let (_, configured) = Sources::default().slack_app().unwrap();
        let address = Url::parse("https://tidegate.example/gate/").unwrap();
        let value = manifest.manifest(configured, &address);
        let command = &value["features"]["slash_commands"][0];
        assert_eq!(command["command"], "/rollout");
        assert_eq!(command["url"], "https://tidegate.example/gate/slack/commands");
        let door = &value["settings"]["interactivity"]["request_url"];
        assert_eq!(door, "https://tidegate.example/gate/slack/interactions");
        // Slack's limits.
        assert!(command["usage_hint"].as_str().unwrap().len() <= 1_000);
        assert!(value["display_information"]["description"].as_str().unwrap().len() <= 140);
    }
}
