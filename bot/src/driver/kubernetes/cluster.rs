//! Owns the calls to the Kubernetes API: where it is, who we are, how long one may take, what an answer means.
//! Refuses proxies from the environment, calls without a deadline, to try again by itself, and to know what an object is for.

use std::time::Duration;

use anyhow::Context as _;
use http::{Method, Request, header};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::config::{Access, Kubernetes};

/// How much of the API's own words is kept.
const WORDS: usize = 400;

/// The way to one cluster. Connects at the first call.
pub struct Cluster {
    access: Access,
    call: Duration,
    client: OnceCell<Client>,
}

/// Why a call did not do what it should.
pub(super) enum Fault {
    /// The object was changed since it was read; nothing was written.
    Conflict,
    /// The API says no, and will until a person changes something.
    Refused { why: String },
    /// No answer, or none that says anything; trying again is safe.
    Unreachable(anyhow::Error),
}

impl Cluster {
    /// The way that the configuration names.
    pub fn new(settings: &Kubernetes) -> Option<Self> {
        Some(Self {
            access: settings.access.clone()?,
            call: Duration::try_from(settings.call_timeout.duration()).unwrap_or_default(),
            client: OnceCell::new(),
        })
    }

    /// No call lasts longer.
    pub(super) fn call_lasts(&self) -> Duration {
        self.call
    }

    pub(super) async fn get(&self, path: &str) -> Result<Value, Fault> {
        self.call(Method::GET, path, None).await
    }

    /// The items at `path` with these labels, at most `limit`.
    pub(super) async fn list(&self, path: &str, labels: &[(&str, &str)], limit: u32) -> Result<Vec<Value>, Fault> {
        let selector: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("labelSelector", &selector.join(","))
            .append_pair("limit", &limit.to_string())
            .finish();
        let mut list = self.get(&format!("{path}?{query}")).await?;
        match list["items"].take() {
            Value::Array(items) => Ok(items),
            _ => Err(Fault::Unreachable(anyhow::anyhow!(
                "the API answered {path} without a list"
            ))),
        }
    }

    /// What is no JSON, such as a log.
    pub(super) async fn text(&self, path: &str) -> Result<String, Fault> {
        let request = Request::builder().method(Method::GET).uri(path).body(Vec::new());
        let request = request.map_err(|error| Fault::Unreachable(error.into()))?;
        let answer = async {
            let client = self.client.get_or_try_init(|| connect(&self.access)).await;
            let client = client.map_err(Fault::Unreachable)?;
            client.request_text(request).await.map_err(Fault::of)
        };
        match tokio::time::timeout(self.call, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(Fault::Unreachable(anyhow::anyhow!(
                "the Kubernetes API did not answer within {:?}",
                self.call
            ))),
        }
    }

    /// A merge patch (RFC 7386). With a `resourceVersion` in it another writer is answered as a conflict. A JSON patch could
    /// not tell one: when an operation of it does not apply, the API says 422 and not which one, nor why.
    pub(super) async fn patch(&self, path: &str, patch: &Value) -> Result<Value, Fault> {
        let path = format!("{path}?fieldManager=tidegate");
        self.call(Method::PATCH, &path, Some(("application/merge-patch+json", patch)))
            .await
    }

    pub(super) async fn create(&self, path: &str, object: &Value) -> Result<Value, Fault> {
        self.call(Method::POST, path, Some(("application/json", object))).await
    }

    async fn call(&self, method: Method, path: &str, body: Option<(&str, &Value)>) -> Result<Value, Fault> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::ACCEPT, "application/json");
        let mut bytes = Vec::new();
        if let Some((media, body)) = body {
            request = request.header(header::CONTENT_TYPE, media);
            bytes = serde_json::to_vec(body).map_err(|error| Fault::Unreachable(error.into()))?;
        }
        let request = request.body(bytes).map_err(|error| Fault::Unreachable(error.into()))?;
        let answer = async {
            let client = self.client.get_or_try_init(|| connect(&self.access)).await;
            let client = client.map_err(Fault::Unreachable)?;
            client.request::<Value>(request).await.map_err(Fault::of)
        };
        match tokio::time::timeout(self.call, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(Fault::Unreachable(anyhow::anyhow!(
                "the Kubernetes API did not answer within {:?}",
                self.call
            ))),
        }
    }
}

async fn connect(access: &Access) -> anyhow::Result<Client> {
    // Set once per process; whoever came first did the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = match access {
        Access::InCluster => Config::incluster().context("this is no pod with a service account")?,
        Access::Kubeconfig { file, context } => {
            let kubeconfig = Kubeconfig::read_from(file).context("the kubeconfig cannot be read")?;
            let options = KubeConfigOptions {
                context: context.clone(),
                ..KubeConfigOptions::default()
            };
            Config::from_custom_kubeconfig(kubeconfig, &options)
                .await
                .context("the kubeconfig cannot be used")?
        }
    };
    config.proxy_url = None;
    // Whoever calls tries again by itself, and has to be told what the API answered.
    config.default_retry = false;
    Client::try_from(config).context("the Kubernetes client cannot be made")
}

impl Fault {
    fn of(error: kube::Error) -> Self {
        let status = match error {
            kube::Error::Api(status) => status,
            other => return Self::Unreachable(other.into()),
        };
        let words: String = status.message.chars().take(WORDS).collect();
        match (status.code, status.reason.as_str()) {
            (409, "AlreadyExists") => Self::Refused { why: words },
            (409, _) => Self::Conflict,
            (401, _) => Self::Refused {
                why: "the Kubernetes API does not take our credentials".to_owned(),
            },
            (400..=428, _) => Self::Refused { why: words },
            (code, _) => Self::Unreachable(anyhow::anyhow!("the Kubernetes API answered {code}: {words}")),
        }
    }
}
