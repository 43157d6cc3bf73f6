//! Owns how the Kubernetes API is reached, where plans move something there.
//! Refuses to guess: without a word here no cluster is touched, whatever lies around on the machine.

use std::path::PathBuf;

use tidegate_rollout::Period;

use super::section::Section;

/// The way to the Kubernetes API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kubernetes {
    /// How; nothing where plans move nothing in Kubernetes.
    pub access: Option<Access>,
    /// How long one call may take.
    pub call_timeout: Period,
}

/// Who we are for the API, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// The service account of the pod that Tidegate runs in.
    InCluster,
    /// A kubeconfig file.
    Kubeconfig {
        /// The file.
        file: PathBuf,
        /// The context in it; its current one without.
        context: Option<String>,
    },
}

impl Kubernetes {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let in_cluster = section.switch("in_cluster");
        let file = section.file("kubeconfig");
        let context = section.text("context");
        let call_timeout = section.required("call_timeout");
        if call_timeout < Period::millis(100) || call_timeout > Period::seconds(5) {
            section.fault(
                "call_timeout",
                "must be between `100ms` and `5s`: a rollback makes several calls",
            );
        }
        let access = match (in_cluster, file) {
            (true, Some(_)) => {
                section.fault("kubeconfig", "cannot be used together with `in_cluster`");
                None
            }
            (true, None) => Some(Access::InCluster),
            (false, Some(file)) => {
                if !file.is_file() {
                    section.fault("kubeconfig", format_args!("there is no file {}", file.display()));
                }
                Some(Access::Kubeconfig { file, context })
            }
            (false, None) => {
                if context.is_some() {
                    section.fault("context", "needs `kubeconfig`");
                }
                None
            }
        };
        Self { access, call_timeout }
    }
}
