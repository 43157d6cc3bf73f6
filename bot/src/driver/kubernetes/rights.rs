//! Owns which rights a driver needs for its target and a hook for its Job, and the question whether our account has one.
//! Refuses to try them out: the API answers what it would allow, and nothing is written.

use serde_json::json;
use tidegate_rollout::plan::{Job, Target};

use super::cluster::Cluster;
use super::{DriverError, because};

/// One verb on one kind of object in one namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// The namespace.
    pub namespace: String,
    /// The API group; empty for the core.
    pub group: &'static str,
    /// The kind of object, in the plural; a part of it as `pods/log`.
    pub resource: &'static str,
    /// The one object; all of them where there is none.
    pub name: Option<String>,
    /// What is done with it.
    pub verb: &'static str,
}

impl Right {
    /// Whether rollouts work without it: what was done is then told everywhere but on the object, and the end of a Job, or a
    /// rollback, without the end of a log.
    pub fn is_optional(&self) -> bool {
        ["events", "pods/log"].contains(&self.resource)
    }

    /// The line that a Role needs.
    pub fn rule(&self) -> String {
        let group = if self.group.is_empty() { "\"\"" } else { self.group };
        let names = self.name.iter().map(|name| format!("resourceNames: [{name}], "));
        format!(
            "{{ apiGroups: [{group}], resources: [{}], {}verbs: [{}] }}",
            self.resource,
            names.collect::<String>(),
            self.verb
        )
    }
}

/// Everything that the driver of `target` calls; nothing for what lives outside of Kubernetes.
pub fn needed(target: &Target) -> Vec<Right> {
    const SLICES: (&str, &str) = ("discovery.k8s.io", "endpointslices");
    let (namespace, rights) = match target {
        Target::Flag(_) => return Vec::new(),
        Target::DeploymentReplicas(target) => {
            let move_one = |name: &str| to_move(&target.namespace, ("apps", "deployments"), name);
            let scalers = to_list(&target.namespace, ("autoscaling", "horizontalpodautoscalers"));
            (
                &target.namespace,
                [move_one(&target.new), move_one(&target.old), scalers],
            )
        }
        Target::ServiceSelector(target) => {
            let service = to_move(&target.namespace, ("", "services"), &target.service);
            let pods = to_list(&target.namespace, ("", "pods"));
            (&target.namespace, [service, pods, to_list(&target.namespace, SLICES)])
        }
        Target::HttpRoute(target) => {
            let kind = ("gateway.networking.k8s.io", "httproutes");
            let route = to_move(&target.namespace, kind, &target.route);
            (
                &target.namespace,
                [route, to_list(&target.namespace, SLICES), Vec::new()],
            )
        }
    };
    let told = right(namespace, ("", "events"), None, "create");
    rights.into_iter().flatten().chain([told]).collect()
}

/// Everything that is called to read what the pods of the new version wrote, beside what moves the target.
pub fn needed_for_logs(target: &Target) -> Vec<Right> {
    let read = |namespace: &str| {
        [(("", "pods"), "list"), (("", "pods/log"), "get")].map(|(kind, verb)| right(namespace, kind, None, verb))
    };
    match target {
        Target::Flag(_) => Vec::new(),
        Target::DeploymentReplicas(target) => read(&target.namespace).to_vec(),
        Target::ServiceSelector(target) => read(&target.namespace).to_vec(),
        Target::HttpRoute(target) => {
            let service = right(&target.namespace, ("", "services"), Some(&target.new), "get");
            read(&target.namespace).into_iter().chain([service]).collect()
        }
    }
}

/// Everything that is called for a hook that is this Job. Its name is made anew for each action, so that no right can name it.
pub fn needed_for_hook(job: &Job) -> Vec<Right> {
    let called = [
        (("batch", "jobs"), "create"),
        (("batch", "jobs"), "get"),
        (("", "pods"), "list"),
        (("", "pods/log"), "get"),
    ];
    let rights = called.map(|(kind, verb)| right(&job.namespace, kind, None, verb));
    rights.to_vec()
}

fn right(
    namespace: &str,
    (group, resource): (&'static str, &'static str),
    name: Option<&str>,
    verb: &'static str,
) -> Right {
    Right {
        namespace: namespace.to_owned(),
        group,
        resource,
        name: name.map(str::to_owned),
        verb,
    }
}

/// Reading one object and writing it.
fn to_move(namespace: &str, kind: (&'static str, &'static str), name: &str) -> Vec<Right> {
    ["get", "patch"]
        .map(|verb| right(namespace, kind, Some(name), verb))
        .to_vec()
}

/// Looking who is there.
fn to_list(namespace: &str, kind: (&'static str, &'static str)) -> Vec<Right> {
    vec![right(namespace, kind, None, "list")]
}

impl Cluster {
    /// Whether our account has this right.
    ///
    /// # Errors
    /// When the API does not answer, or does not know us.
    pub async fn allows(&self, right: &Right) -> Result<bool, DriverError> {
        let (resource, part) = match right.resource.split_once('/') {
            Some((resource, part)) => (resource, Some(part)),
            None => (right.resource, None),
        };
        let mut attributes = json!({
            "namespace": right.namespace, "verb": right.verb, "group": right.group, "resource": resource,
        });
        if let Some(part) = part {
            attributes["subresource"] = part.into();
        }
        if let Some(name) = &right.name {
            attributes["name"] = name.as_str().into();
        }
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": { "resourceAttributes": attributes },
        });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let answer = self.create(path, &review).await;
        let answer = answer.map_err(|fault| because("ask what our account may do", fault))?;
        Ok(answer["status"]["allowed"].as_bool().unwrap_or(false))
    }
}
