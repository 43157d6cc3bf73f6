//! A whole server inside the test, with people, a receiver of each kind and a token for each role.

use std::collections::{BTreeMap, HashMap};

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tidegate::app::{self, Running};
use tidegate::config::Sources;
use tidegate_rollout::Role;
use tidegate_tests::http;
use tidegate_tests::scratch::Scratch;

/// What `/metrics` asks for here.
pub(crate) const METRICS_TOKEN: &str = "the-token-of-prometheus";

/// A running server, stopped by nobody: it ends with the runtime of its test.
pub(crate) struct House {
    pub(crate) running: Running,
    pub(crate) scratch: Scratch,
    pub(crate) client: Client,
    settings: Value,
}

impl House {
    /// With settings laid over the usual ones.
    pub(crate) async fn with(changes: &[(&str, Value)]) -> Self {
        let scratch = Scratch::new("doors").unwrap();
        let secret = scratch.write("secret", "the-secret-of-a-sender").unwrap();
        let metrics = scratch.write("metrics", METRICS_TOKEN).unwrap();
        let bot = scratch.write("bot", "xoxb-the-token-of-the-bot").unwrap();
        let mut settings = json!({
            "web": { "listen_address": "127.0.0.1:0", "enable_lifecycle": true, "metrics_token_file": metrics },
            "storage": { "path": scratch.path().join("data") },
            "people": people(),
            "receivers": {
                "alertmanager": { "default": { "bearer_file": secret } },
                "pagerduty": { "default": { "secret_file": secret } },
                "grafana": { "default": { "secret_file": secret } },
            },
            "slack": { "signing_secret_file": secret, "workspaces": ["T0001"], "token_file": bot },
            "discord": {
                "public_key": tidegate_tests::discord::Discord::public_key(),
                "application": tidegate_tests::discord::APP,
                "guilds": [tidegate_tests::discord::GUILD],
                "token_file": bot,
            },
        });
        for (pointer, value) in changes {
            let (table, key) = pointer.rsplit_once('/').unwrap();
            settings.pointer_mut(table).unwrap()[key] = value.clone();
        }
        let file = scratch.write("tidegate.yml", settings.to_string()).unwrap();
        let sources = Sources {
            file: Some(file),
            environment: HashMap::new(),
            flags: Vec::new(),
        };
        let config = sources.load().unwrap();
        let running = app::start(sources, config, None).await.unwrap();
        Self {
            running,
            scratch,
            client: http::client().unwrap(),
            settings,
        }
    }

    pub(crate) async fn usual() -> Self {
        Self::with(&[]).await
    }

    /// Writes another configuration; nobody reads it yet.
    pub(crate) fn rewrite(&mut self, change: impl FnOnce(&mut Value)) {
        change(&mut self.settings);
        self.scratch.write("tidegate.yml", self.settings.to_string()).unwrap();
    }

    pub(crate) fn admin(&self) -> String {
        let token = std::fs::read_to_string(self.scratch.path().join("data/admin.token")).unwrap();
        token.trim().to_owned()
    }

    pub(crate) fn host(&self) -> String {
        self.running.address.to_string()
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("http://{}{path}", self.running.address))
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.request(Method::POST, path)
    }

    /// A new token of `person` with `roles`.
    pub(crate) async fn token(&self, person: &str, roles: &[&str]) -> String {
        let wanted = json!({ "person": person, "roles": roles });
        let answer = self
            .post("/api/v1/tokens")
            .bearer_auth(self.admin())
            .json(&wanted)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED);
        json_of(answer).await["token"].as_str().unwrap().to_owned()
    }

    /// A token for each role.
    pub(crate) async fn tokens(&self) -> BTreeMap<Role, String> {
        let mut tokens = BTreeMap::new();
        for role in Role::ALL {
            let token = match role {
                Role::Admin => self.admin(),
                role if role.is_for_programs() => self.token("shop", &[role.word()]).await,
                role => self.token(&format!("the-{}", role.word()), &[]).await,
            };
            tokens.insert(role, token);
        }
        tokens
    }

    /// Signs in with `token`, and gives the cookie as a browser sends it back.
    pub(crate) async fn sign_in(&self, token: &str) -> String {
        let answer = self.post("/login").form(&[("token", token)]).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        cookie_of(&answer)
    }
}

/// One person for each role of people, called after it.
fn people() -> Value {
    let of_people = Role::ALL.into_iter().filter(|role| !role.is_for_programs());
    of_people
        .map(|role| json!({ "id": format!("the-{}", role.word()), "roles": [role.word()] }))
        .collect()
}

/// The cookie that `answer` sets, without its attributes.
pub(crate) fn cookie_of(answer: &Response) -> String {
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

pub(crate) async fn json_of(answer: Response) -> Value {
    answer.json().await.unwrap()
}
