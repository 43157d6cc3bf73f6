//! Owns what a plan does beside moving traffic, as people write it: hooks, which do something, and probes, which look.
//! Refuses to run anything: workers do, and only what the server's configuration allows.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Plan;
use crate::period::Period;

/// Something that is done at a moment of a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hook {
    /// What is done.
    pub run: Run,
    /// How long one try may take. A command is killed then, with everything that it started.
    #[serde(default = "Hook::usual_timeout")]
    pub timeout: Period,
    /// Whether doing it twice is as good as doing it once. Only then is it tried again by itself: after a failure, and when
    /// nobody knows whether it ran.
    #[serde(default)]
    pub idempotent: bool,
    /// How often it is tried before it has failed.
    #[serde(default = "once")]
    #[schemars(range(min = 1, max = 100))]
    pub attempts: u32,
    /// How long it rests between two tries.
    #[serde(default = "Hook::usual_pause")]
    pub pause: Period,
}

/// What a hook does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Run {
    /// A program below the server's `hooks.directory`, and its arguments. There is no shell.
    Command(Vec<String>),
    /// A request to a host that the server's configuration allows.
    Http(HttpCall),
    /// A Job in a Kubernetes namespace that the server's configuration allows.
    Job(Job),
}

/// A request, and the answer that counts as done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpCall {
    /// How.
    #[serde(default)]
    pub method: Method,
    /// Where to.
    pub url: String,
    /// What is sent, as `application/json`; left out: the facts of the rollout. A `GET` sends nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// What the answer must be.
    #[serde(default)]
    pub expect: Expect,
}

/// The methods of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Look.
    Get,
    /// Do.
    #[default]
    Post,
    /// Set.
    Put,
    /// Take away.
    Delete,
}

/// What an answer must be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expect {
    /// The status; left out: any of 200 to 299.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100, max = 599))]
    pub status: Option<u16>,
    /// What the JSON of the answer says: JSON pointers, such as `/database/status`, and the texts, numbers or truth values
    /// that must stand there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub json: BTreeMap<String, String>,
}

/// A Kubernetes Job with one container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Job {
    /// Where it runs.
    pub namespace: String,
    /// The image.
    pub image: String,
    /// The program and its arguments; left out: what the image says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Its environment; secrets come from the service account or a volume of the cluster, never from a plan.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// The service account whose rights it has; left out: it gets no token at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
    /// How long it and its log stay in the cluster once it is over.
    #[serde(default = "Job::usually_kept")]
    pub keep: Period,
}

/// A look at something over HTTP. Looking changes nothing, so it is repeated freely.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Probe {
    /// Where it looks, and what it must see.
    pub http: Look,
    /// How long one look may take.
    #[serde(default = "Probe::usual_timeout")]
    pub timeout: Period,
    /// How often it looks before it has failed.
    #[serde(default = "Probe::usual_attempts")]
    #[schemars(range(min = 1, max = 100))]
    pub attempts: u32,
    /// How long it rests between two looks.
    #[serde(default = "Probe::usual_pause")]
    pub pause: Period,
}

/// A `GET`, and the answer that counts as well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Look {
    /// Where to.
    pub url: String,
    /// What the answer must be.
    #[serde(default)]
    pub expect: Expect,
}

/// The hooks and probes of a phase, by name and in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PhaseHooks {
    /// Before any traffic of the phase moves. One that fails holds the rollout where it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
    /// Once the phase has baked. One that fails holds the rollout at the gate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
}

/// A hook or a probe as a worker does it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errand {
    /// What is done.
    pub run: Run,
    /// How long one try may take.
    pub timeout: Period,
    /// Whether it may be done again when nobody knows whether it was.
    pub idempotent: bool,
    /// How often it is tried.
    pub attempts: u32,
    /// How long it rests between two tries.
    pub pause: Period,
}

fn once() -> u32 {
    1
}

impl Hook {
    fn usual_timeout() -> Period {
        Period::minutes(1)
    }

    fn usual_pause() -> Period {
        Period::seconds(5)
    }
}

impl Probe {
    fn usual_timeout() -> Period {
        Period::seconds(5)
    }

    fn usual_attempts() -> u32 {
        3
    }

    fn usual_pause() -> Period {
        Period::seconds(2)
    }
}

impl Job {
    fn usually_kept() -> Period {
        Period::minutes(60)
    }
}

impl PhaseHooks {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.before.is_empty() && self.after.is_empty()
    }
}

impl Run {
    /// What it is, in a word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Command(_) => "command",
            Self::Http(_) => "request",
            Self::Job(_) => "Job",
        }
    }
}

impl Method {
    /// The method as it is sent.
    pub fn word(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

impl Plan {
    /// What the hook or the probe called `name` does.
    pub fn errand(&self, name: &str) -> Option<Errand> {
        if let Some(hook) = self.spec.hooks.get(name) {
            return Some(Errand {
                run: hook.run.clone(),
                timeout: hook.timeout,
                idempotent: hook.idempotent,
                attempts: hook.attempts,
                pause: hook.pause,
            });
        }
        let probe = self.spec.probes.get(name)?;
        Some(Errand {
            run: Run::Http(HttpCall {
                method: Method::Get,
                url: probe.http.url.clone(),
                body: None,
                expect: probe.http.expect.clone(),
            }),
            timeout: probe.timeout,
            idempotent: true,
            attempts: probe.attempts,
            pause: probe.pause,
        })
    }
}
