//! A real etcd and kube-apiserver, with rights on, for the same scenarios: `KUBEBUILDER_ASSETS` names the folder of both.
//!
//! There are no kubelets and no controllers beside it; `controllers` and `kubelet` stand in for them. Every call of Tidegate's
//! account is in the audit log of the API server. Refuses to be a second fake: every object lies in the API server.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::controllers::{Controllers, Stage, call};
use super::rights::{self, Rights};
use super::{ADMIN, TIDEGATE, WITNESS, definitions, full_path, kubelet};
use crate::certificates::Certificates;
use crate::ports::Port;
use crate::process::{Launch, Program};
use crate::scratch::Scratch;
use crate::serve::Served;
use crate::wait;

/// A start takes some seconds; a busy machine gets more.
const START: Duration = Duration::from_secs(60);
/// How often the stand-in for the controllers looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Whom a request of Tidegate comes from: the name that the manifests bind.
const ACCOUNT: &str = "system:serviceaccount:tidegate:tidegate";
const APPLY: &str = "application/apply-patch+yaml";

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
    _kubelet: Served,
    url: String,
    port: u16,
    asks: mpsc::Sender<Ask>,
    pub(super) client: Client,
    pub(super) stage: Arc<Mutex<Stage>>,
    /// What the stand-in for the controllers could not do the last time.
    last: Arc<Mutex<Option<String>>>,
    pub(super) certificates: Certificates,
    audit: PathBuf,
    /// What Tidegate may do now, each as the attributes of a review.
    granted: Mutex<BTreeSet<String>>,
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
        let certificates = Certificates::make(&scratch)?;
        let (client_port, peer_port, port) = (Port::reserve()?, Port::reserve()?, Port::reserve()?);
        let etcd = Launch::new(assets.join("etcd"))
            .arg(format!("--data-dir={}", scratch.path().join("etcd").display()))
            .arg(format!("--listen-client-urls={}", client_port.url()))
            .arg(format!("--advertise-client-urls={}", client_port.url()))
            .arg(format!("--listen-peer-urls={}", peer_port.url()))
            .arg("--unsafe-no-fsync")
            .start("etcd", &scratch)?;
        let audit = scratch.path().join("audit.log");
        let mut server = server(
            assets,
            &scratch,
            &certificates,
            &audit,
            &client_port.url(),
            port.number(),
        )?;
        let url = format!("https://127.0.0.1:{}", port.number());
        let client = client(&certificates)?;
        server
            .ready(START, async || {
                let answer = client.get(format!("{url}/readyz")).bearer_auth(ADMIN).send().await?;
                ensure!(answer.status().is_success(), "{}", answer.status());
                Ok(())
            })
            .await?;
        let (stage, last) = (Arc::<Mutex<Stage>>::default(), Arc::default());
        let kubelet = kubelet::start(Arc::clone(&stage), &certificates).await?;
        install(&client, &url, &kubelet).await?;
        let controllers = Controllers {
            // One of its own: connections belong to the thread that made them.
            client: self::client(&certificates)?,
            url: url.clone(),
            stage: Arc::clone(&stage),
        };
        let asks = work(controllers, Arc::clone(&last))?;
        Ok(Self {
            _server: server,
            _etcd: etcd,
            _kubelet: kubelet,
            url,
            port: port.number(),
            asks,
            client,
            stage,
            last,
            certificates,
            audit,
            granted: Mutex::default(),
            _scratch: scratch,
        })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
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
        self.server_side(&full_path(group, version, &namespace, resource), &name, object)?;
        // What was there before anybody looked does not count as a dip.
        self.looked()?;
        let mut stage = self.stage();
        stage.crews.count_anew();
        stage.carried.count_anew();
        Ok(())
    }

    /// Once the controllers have looked at everything that was so before.
    pub(super) fn looked(&self) -> Result<()> {
        // They look after each answer; when the second comes, they have looked since the first.
        for _ in 0..2 {
            self.ask(Method::GET, "/version", None)?;
        }
        Ok(())
    }

    /// Whether the controllers could do everything the last time: a pod that a namespace does not take is refused to them.
    pub(super) fn could(&self) -> Result<()> {
        self.looked()?;
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match last.as_deref() {
            None => Ok(()),
            Some(error) => bail!("the stand-in for the controllers could not go on: {error}"),
        }
    }

    pub(super) fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An object as somebody applies it who expects its namespace to be there.
    ///
    /// # Errors
    /// As the API server refuses it.
    pub(super) fn apply_into(&self, group: &str, version: &str, resource: &str, object: &Value) -> Result<()> {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
        let all = full_path(group, version, text("namespace"), resource);
        self.server_side(&all, text("name"), object)
    }

    fn server_side(&self, path: &str, name: &str, object: &Value) -> Result<()> {
        let path = format!("{path}/{name}?fieldManager=tests&force=true");
        self.ask(Method::PATCH, &path, Some((APPLY, object.clone()))).map(drop)
    }

    /// Rights as users apply them: every document of the manifest, and no other right in its namespaces.
    pub(super) fn grant(&self, manifest: &str) -> Result<()> {
        const GROUP: &str = "rbac.authorization.k8s.io";
        let documents = manifest.split("\n---").map(serde_saphyr::from_str::<Value>);
        let documents: Vec<Value> = documents.filter_map(Result::ok).collect();
        let of_kind = |kind: &'static str| documents.iter().filter(move |object| object["kind"] == kind);
        let namespace = |role: &Value| role["metadata"]["namespace"].as_str().unwrap_or_default().to_owned();
        for role in of_kind("Role") {
            for resource in ["roles", "rolebindings"] {
                let path = full_path(GROUP, "v1", &namespace(role), resource);
                self.ask(Method::DELETE, &path, None)?;
            }
        }
        for role in of_kind("Role") {
            self.apply(GROUP, "v1", "roles", role)?;
            let name = &role["metadata"]["name"];
            let binding = of_kind("RoleBinding").find(|binding| binding["roleRef"]["name"] == *name);
            let made = json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
                "metadata": { "name": name, "namespace": namespace(role) },
                "roleRef": { "apiGroup": GROUP, "kind": "Role", "name": name },
                "subjects": [{ "kind": "ServiceAccount", "name": "tidegate", "namespace": "tidegate" }],
            });
            self.apply(GROUP, "v1", "rolebindings", binding.unwrap_or(&made))?;
        }
        let mut now = BTreeSet::new();
        for role in of_kind("Role") {
            now.extend(rights::wishes(role, &namespace(role)));
        }
        let before = {
            let mut granted = self.granted.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *granted, now.clone())
        };
        let given = Rights::of_manifest(manifest)?;
        // The authorizer follows the objects a moment later.
        for attributes in now.union(&before) {
            let wish: Value = serde_json::from_str(attributes)?;
            let allowed = rights::allow(&given, &wish);
            let began = Instant::now();
            while self.may(&wish)? != allowed {
                ensure!(began.elapsed() < START, "{attributes} does not become {allowed}");
            }
        }
        Ok(())
    }

    /// Whether Tidegate's account may do what these attributes say.
    fn may(&self, attributes: &Value) -> Result<bool> {
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
            "spec": { "user": ACCOUNT, "resourceAttributes": attributes },
        });
        let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
        let said = self.ask(Method::POST, path, Some(("application/json", review)))?;
        Ok(said["status"]["allowed"].as_bool().unwrap_or(false))
    }

    /// Every call of Tidegate's account so far, in order.
    pub(super) fn calls(&self) -> Result<Vec<(Method, String)>> {
        // Before the first call there is none.
        let log = match std::fs::read_to_string(&self.audit) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            log => log.context("the audit log")?,
        };
        let call = |line: &str| -> Result<(Method, String)> {
            let event: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
            let method = match event["verb"].as_str() {
                Some("create") => Method::POST,
                Some("update") => Method::PUT,
                Some("patch") => Method::PATCH,
                Some("delete") => Method::DELETE,
                Some("get" | "list" | "watch") => Method::GET,
                other => bail!("nobody here knows the verb {other:?}"),
            };
            let uri = event["requestURI"].as_str().unwrap_or_default();
            let path = uri.split_once('?').map_or(uri, |(path, _)| path);
            Ok((method, path.to_owned()))
        };
        // A line that is being written has no end yet.
        let whole = log.rfind('\n').map_or("", |end| &log[..end]);
        whole.lines().map(call).collect()
    }
}

/// Starts the API server. Tidegate is known by a fixed token here, besides those that it makes for service accounts itself.
fn server(
    assets: &Path,
    scratch: &Scratch,
    certificates: &Certificates,
    audit: &Path,
    etcd: &str,
    port: u16,
) -> Result<Program> {
    let key = scratch.path().join("service-account.key");
    Launch::new("openssl")
        .args(["genrsa", "-out"])
        .arg(key.as_os_str())
        .arg("2048")
        .run()
        .context("openssl makes the key of the service accounts")?;
    let tokens = scratch.write(
        "tokens.csv",
        format!("{ADMIN},admin,admin,system:masters\n{WITNESS},witness,witness,system:masters\n{TIDEGATE},{ACCOUNT},tidegate,\n"),
    )?;
    let policy = json!({
        "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived", "ResponseStarted"],
        "rules": [{ "level": "Metadata", "users": [ACCOUNT] }, { "level": "None" }],
    });
    let policy = scratch.write("audit-policy.json", policy.to_string())?;
    let file = |flag: &str, path: &Path| format!("--{flag}={}", path.display());
    Launch::new(assets.join("kube-apiserver"))
        .arg(format!("--etcd-servers={etcd}"))
        .arg(format!("--secure-port={port}"))
        .args([
            "--bind-address=127.0.0.1",
            "--authorization-mode=RBAC",
            "--disable-admission-plugins=ServiceAccount",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--audit-log-mode=blocking",
        ])
        .arg(file("tls-cert-file", &certificates.certificate))
        .arg(file("tls-private-key-file", &certificates.key))
        .arg(file("kubelet-certificate-authority", &certificates.authority))
        .arg(file("token-auth-file", &tokens))
        .arg(file("service-account-key-file", &key))
        .arg(file("service-account-signing-key-file", &key))
        .arg(file("audit-policy-file", &policy))
        .arg(file("audit-log-path", audit))
        .start("kube-apiserver", scratch)
}

/// The kinds that others define, and the one node.
async fn install(client: &Client, url: &str, kubelet: &Served) -> Result<()> {
    let ask =
        async |method, path: &str, body: Option<(&'static str, Value)>| call(client, url, method, path, body).await;
    for definition in definitions::all() {
        // As a whole: an API server that is older than a word of it drops the word.
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        let whole = Some(("application/json", definition.clone()));
        ask(Method::POST, path, whole).await?;
        let spec = &definition["spec"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let all = full_path(&text(&spec["group"]), "v1", "", &text(&spec["names"]["plural"]));
        wait::until("the kind is served", START, async || {
            ask(Method::GET, &all, None).await.map(drop)
        })
        .await?;
    }
    let (node, status) = kubelet::node(kubelet);
    ask(Method::POST, "/api/v1/nodes", Some(("application/json", node))).await?;
    let path = format!("/api/v1/nodes/{}/status", kubelet::NODE);
    ask(Method::PATCH, &path, Some(("application/merge-patch+json", status))).await?;
    Ok(())
}

/// Who believes the authority of the test, and nobody else.
fn client(certificates: &Certificates) -> Result<Client> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let authority = std::fs::read(&certificates.authority).context("the authority")?;
    #[expect(clippy::disallowed_methods, reason = "the tests call the programs they started")]
    let builder = Client::builder();
    let client = builder
        .no_proxy()
        .tls_certs_only([reqwest::Certificate::from_pem(&authority)?])
        .timeout(Duration::from_secs(10));
    client.build().context("could not build a client")
}

/// A thread that makes the calls of the test and does the work of the controllers in between.
fn work(controllers: Controllers, last: Arc<Mutex<Option<String>>>) -> Result<mpsc::Sender<Ask>> {
    let (asks, queue) = mpsc::channel::<Ask>();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("could not start a runtime")?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            let (client, url) = (&controllers.client, &controllers.url);
            loop {
                match queue.recv_timeout(LOOK_EVERY) {
                    Ok(ask) => {
                        let said = call(client, url, ask.method, &ask.path, ask.body).await;
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
