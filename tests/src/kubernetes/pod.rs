//! The inside of a pod, as far as a program in it can tell: where the API server is, and the files of its service account.
//!
//! Owns making both for Tidegate's account. Refuses to start anything in it; see [`crate::tidegate::Setup::in_pod`].

use std::path::Path;

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::json;

use super::{Kind, Kubernetes, TIDEGATE};
use crate::certificates::Certificates;
use crate::scratch::Scratch;
use crate::serve::Served;

/// Where every pod finds them.
pub(crate) const MOUNTED: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// A pod that nothing runs in yet.
#[derive(Debug)]
pub struct Pod {
    files: Scratch,
    port: u16,
    _served: Option<Served>,
}

impl Pod {
    /// The folder that is mounted into it.
    #[must_use]
    pub fn files(&self) -> &Path {
        self.files.path()
    }

    /// What its environment says.
    #[must_use]
    pub fn variables(&self) -> [(&'static str, String); 2] {
        [
            ("KUBERNETES_SERVICE_HOST", "127.0.0.1".to_owned()),
            ("KUBERNETES_SERVICE_PORT", self.port.to_string()),
        ]
    }
}

impl Kubernetes {
    /// A pod of Tidegate's service account. On a real cluster the API server itself makes the token, as it does for a kubelet.
    ///
    /// # Errors
    /// When the cluster makes none.
    pub async fn pod(&self) -> Result<Pod> {
        let files = Scratch::new("pod")?;
        let (token, port, served, authority) = match &self.0 {
            Kind::Fake(fake) => {
                let certificates = Certificates::make(&files)?;
                let served = fake.serve_with(&certificates).await?;
                let port = served.address().port();
                (TIDEGATE.to_owned(), port, Some(served), certificates.authority)
            }
            Kind::Real(real) => {
                let account = json!({
                    "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "namespace": "tidegate", "name": "tidegate" },
                });
                self.place("", "serviceaccounts", account)?;
                let ask = json!({
                    "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": { "expirationSeconds": 3600 },
                });
                let path = "/api/v1/namespaces/tidegate/serviceaccounts/tidegate/token";
                let made = real.ask(Method::POST, path, Some(("application/json", ask)))?;
                let token = made["status"]["token"].as_str().context("no token")?.to_owned();
                (token, real.port(), None, real.certificates.authority.clone())
            }
        };
        files.write("token", token)?;
        files.write("namespace", "tidegate")?;
        if authority != files.path().join("ca.crt") {
            std::fs::copy(authority, files.path().join("ca.crt")).context("the authority")?;
        }
        Ok(Pod {
            files,
            port,
            _served: served,
        })
    }
}
