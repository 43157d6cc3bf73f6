//! A real etcd and kube-apiserver, with rights on, for the same scenarios: `KUBEBUILDER_ASSETS` names the folder of both.
//!
//! There are no kubelets and no controllers beside it, so this stands in for them: it makes pods for Deployments, endpoint slices
//! for Services and the status of routes, as the fake does. Refuses to be a second fake: every object lies in the API server.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::controllers::{Controllers, call};
use super::crew::Crews;
use super::{ADMIN, TIDEGATE, full_path};
use crate::ports::Port;
use crate::process::{Launch, Program};
use crate::scratch::Scratch;
use crate::wait;

/// A start takes some seconds; a busy machine gets more.
const START: Duration = Duration::from_secs(60);
/// How often the stand-in for the controllers looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Where the programs are, if somebody has them.
pub(super) fn assets() -> Option<PathBuf> {
    std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from)
}

/// A running API server. Calls are made on a thread of its own, so that a test may make them without waiting for its own.
#[derive(Debug)]
pub(super) struct Real {
    // Stopped in this order, before their folder goes.
    _server: Program,
    _etcd: Program,
    url: String,
    asks: mpsc::Sender<Ask>,
    pub(super) crews: Arc<Mutex<Crews>>,
    /// What the stand-in for the controllers could not do the last time.
    last: Arc<Mutex<Option<String>>>,
    _scratch: Scratch,
}

struct Ask {
    method: Method,
    path: String,
    body: Option<(&'static str, Value)>,
    answer: mpsc::Sender<Result<Value>>,
}

impl Real {
    /// Starts both programs and whoever stands in for the controllers.
    pub(super) async fn start(assets: &Path) -> Result<Self> {
        let scratch = Scratch::new("cluster")?;
        let (client_port, peer_port, port) = (Port::reserve()?, Port::reserve()?, Port::reserve()?);
        let etcd = Launch::new(assets.join("etcd"))
            .arg(format!("--data-dir={}", scratch.path().join("etcd").display()))
            .arg(format!("--listen-client-urls={}", client_port.url()))
            .arg(format!("--advertise-client-urls={}", client_port.url()))
            .arg(format!("--listen-peer-urls={}", peer_port.url()))
            .arg("--unsafe-no-fsync")
            .start("etcd", &scratch)?;
        let key = scratch.path().join("service-account.key");
        Launch::new("openssl")
            .args(["genrsa", "-out"])
            .arg(key.as_os_str())
            .arg("2048")
            .run()
            .context("openssl makes the key of the service accounts")?;
        // Tidegate is known by a fixed token here; its name is the one that the manifests bind.
        let tokens = format!(
            "{ADMIN},admin,admin,system:masters\n{TIDEGATE},system:serviceaccount:tidegate:tidegate,tidegate,\n"
        );
        let tokens = scratch.write("tokens.csv", tokens)?;
        let mut server = Launch::new(assets.join("kube-apiserver"))
            .arg(format!("--etcd-servers={}", client_port.url()))
            .arg(format!("--secure-port={}", port.number()))
            .args([
                "--bind-address=127.0.0.1",
                "--authorization-mode=RBAC",
                "--disable-admission-plugins=ServiceAccount",
            ])
            .arg(format!("--cert-dir={}", scratch.path().join("certificates").display()))
            .arg(format!("--token-auth-file={}", tokens.display()))
            .arg("--service-account-issuer=https://kubernetes.default.svc")
            .arg(format!("--service-account-key-file={}", key.display()))
            .arg(format!("--service-account-signing-key-file={}", key.display()))
            .arg("--service-cluster-ip-range=10.0.0.0/24")
            .start("kube-apiserver", &scratch)?;
        let url = format!("https://127.0.0.1:{}", port.number());
        let client = client()?;
        server
            .ready(START, async || {
                let answer = client.get(format!("{url}/readyz")).bearer_auth(ADMIN).send().await?;
                ensure!(answer.status().is_success(), "{}", answer.status());
                Ok(())
            })
            .await?;
        let crews = Arc::new(Mutex::new(Crews::default()));
        let last = Arc::default();
        let asks = work(url.clone(), Arc::clone(&crews), Arc::clone(&last))?;
        let real = Self {
            _server: server,
            _etcd: etcd,
            url,
            asks,
            crews,
            last,
            _scratch: scratch,
        };
        real.install_routes().await?;
        Ok(real)
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// One call as the admin of the cluster.
    pub(super) fn ask(&self, method: Method, path: &str, body: Option<(&'static str, Value)>) -> Result<Value> {
        let (answer, said) = mpsc::channel();
        let ask = Ask {
            method,
            path: path.to_owned(),
            body,
            answer,
        };
        self.asks
            .send(ask)
            .ok()
            .context("the thread of the cluster has ended")?;
        let said = said.recv().context("the thread of the cluster has ended")?;
        said.with_context(|| {
            let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            format!("the stand-in for the controllers says {last:?}")
        })
    }

    /// Applies an object, whatever was there.
    pub(super) fn apply(&self, group: &str, version: &str, resource: &str, object: &Value) -> Result<()> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (namespace, name) = (
            text(&object["metadata"]["namespace"]),
            text(&object["metadata"]["name"]),
        );
        if !namespace.is_empty() {
            let space = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } });
            self.server_side("/api/v1/namespaces", &namespace, &space)?;
        }
        self.server_side(&full_path(group, version, &namespace, resource), &name, object)
    }

    fn server_side(&self, path: &str, name: &str, object: &Value) -> Result<()> {
        let path = format!("{path}/{name}?fieldManager=tests&force=true");
        self.ask(
            Method::PATCH,
            &path,
            Some(("application/apply-patch+yaml", object.clone())),
        )
        .map(drop)
    }

    /// Rights as users apply them: every document of the manifest.
    pub(super) fn grant(&self, manifest: &str) -> Result<()> {
        for document in manifest.split("\n---") {
            let Ok(object) = serde_saphyr::from_str::<Value>(document) else {
                continue;
            };
            let resource = match object["kind"].as_str() {
                Some("Role") => "roles",
                Some("RoleBinding") => "rolebindings",
                _ => continue,
            };
            // A right that is taken away must be gone.
            let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
            let all = full_path("rbac.authorization.k8s.io", "v1", namespace, resource);
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            let _ = self.ask(Method::DELETE, &format!("{all}/{name}"), None);
            self.apply("rbac.authorization.k8s.io", "v1", resource, &object)?;
        }
        Ok(())
    }

    /// The HTTPRoute as a kind of its own, without the schema of the Gateway API: its controller is not here either.
    async fn install_routes(&self) -> Result<()> {
        let schema = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {
                "name": "httproutes.gateway.networking.k8s.io",
                "annotations": { "api-approved.kubernetes.io": "https://github.com/kubernetes-sigs/gateway-api" },
            },
            "spec": {
                "group": "gateway.networking.k8s.io", "scope": "Namespaced",
                "names": { "plural": "httproutes", "singular": "httproute", "kind": "HTTPRoute", "listKind": "HTTPRouteList" },
                "versions": [{
                    "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": schema },
                    "subresources": { "status": {} },
                }],
            },
        });
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        self.server_side(path, "httproutes.gateway.networking.k8s.io", &definition)?;
        let routes = full_path("gateway.networking.k8s.io", "v1", "default", "httproutes");
        wait::until("routes are served", START, async || {
            self.ask(Method::GET, &routes, None).map(drop)
        })
        .await
    }
}

/// The server makes its own certificate, which nobody knows.
fn client() -> Result<Client> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    #[expect(clippy::disallowed_methods, reason = "the tests call the programs they started")]
    let builder = Client::builder();
    let client = builder
        .no_proxy()
        .danger_accept_invalid_certs(true)
        .timeout(Duration::from_secs(10));
    client.build().context("could not build a client")
}

/// A thread that makes the calls of the test and does the work of the controllers in between.
fn work(url: String, crews: Arc<Mutex<Crews>>, last: Arc<Mutex<Option<String>>>) -> Result<mpsc::Sender<Ask>> {
    let (asks, queue) = mpsc::channel::<Ask>();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("could not start a runtime")?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            let Ok(client) = client() else { return };
            let controllers = Controllers {
                client: client.clone(),
                url: url.clone(),
                crews,
            };
            loop {
                match queue.recv_timeout(LOOK_EVERY) {
                    Ok(ask) => {
                        let said = call(&client, &url, ask.method, &ask.path, ask.body).await;
                        let _ = ask.answer.send(said);
                    }
                    Err(mpsc::RecvTimeoutError::Timeout) => {}
                    Err(mpsc::RecvTimeoutError::Disconnected) => return,
                }
                let said = controllers.work().await.err().map(|error| format!("{error:#}"));
                *last.lock().unwrap_or_else(PoisonError::into_inner) = said;
            }
        });
    });
    Ok(asks)
}
