//! Owns the look at what pods wrote; of those of the new version at the ones that fail, or at one of the others where none does.
//! Refuses to judge it: what cannot be read is said, and traffic waits for nothing of it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tidegate_rollout::hook::Output;
use tidegate_rollout::plan::Target;
use tidegate_rollout::pod_log::{PodLog, PodLogs};
use url::form_urlencoded::byte_serialize;

use super::cluster::{Cluster, Fault};
use super::{because, pods};

/// So many pods are looked at: the next ones mostly say the same.
const PODS: usize = 3;
/// No more of one log is read, in bytes. The API gives the first bytes of the last lines: a bound near to what is kept would
/// lose the very end.
const MOST: usize = 1 << 20;
/// All of it takes no longer.
const WITHIN: Duration = Duration::from_secs(6);

/// What the pods behind the new side of `target` wrote last.
pub async fn of_new(cluster: &Cluster, target: &Target, lines: u32) -> PodLogs {
    match tokio::time::timeout(WITHIN, read(cluster, target, lines)).await {
        Ok(Ok(logs)) => logs,
        Ok(Err(why)) => unread(why),
        Err(_) => unread(format!("the pods were not read within {} s", WITHIN.as_secs())),
    }
}

fn unread(why: String) -> PodLogs {
    PodLogs {
        pods: Vec::new(),
        unread: Some(why),
    }
}

async fn read(cluster: &Cluster, target: &Target, lines: u32) -> Result<PodLogs, String> {
    let (namespace, labels) = labels(cluster, target).await?;
    let labels: Vec<(&str, &str)> = labels.iter().map(|(key, value)| (&**key, &**value)).collect();
    let found = pods::all(cluster, namespace, &labels)
        .await
        .map_err(|fault| words("list the pods", fault))?;
    let mut stand: Vec<Standing> = found.iter().filter_map(Standing::of).collect();
    stand.sort_by(|one, other| (!one.fails, &one.pod).cmp(&(!other.fails, &other.pod)));
    let failing = stand.iter().filter(|pod| pod.fails).count();
    let mut logs = PodLogs::default();
    for pod in stand.iter().take(failing.clamp(1, PODS)) {
        let place = (pod.pod.as_str(), pod.container.as_str());
        let output = end_of(cluster, namespace, place, lines, pod.before).await;
        let output = output.unwrap_or_else(|fault| {
            logs.unread.get_or_insert_with(|| words("read a log", fault));
            Output::default()
        });
        logs.pods.push(pod.wrote(output));
    }
    if logs.pods.is_empty() {
        logs.unread = Some("no pod of the new version is there".to_owned());
    }
    Ok(logs)
}

/// The namespace, and the labels that the pods of the new version have.
async fn labels<'t>(cluster: &Cluster, target: &'t Target) -> Result<(&'t str, BTreeMap<String, String>), String> {
    let service = |namespace: &str, name: &str| format!("/api/v1/namespaces/{namespace}/services/{name}");
    let (namespace, path, selector, own) = match target {
        Target::Flag(_) => return Err("a flag has no pods".to_owned()),
        Target::DeploymentReplicas(target) => (
            &target.namespace,
            format!(
                "/apis/apps/v1/namespaces/{}/deployments/{}",
                target.namespace, target.new
            ),
            "/spec/selector/matchLabels",
            None,
        ),
        Target::ServiceSelector(target) => (
            &target.namespace,
            service(&target.namespace, &target.service),
            "/spec/selector",
            Some((target.label.clone(), target.new.clone())),
        ),
        Target::HttpRoute(target) => (
            &target.namespace,
            service(&target.namespace, &target.new),
            "/spec/selector",
            None,
        ),
    };
    let object = cluster.get(&path).await;
    let object = object.map_err(|fault| words("read what selects the pods of the new version", fault))?;
    let selected = object
        .pointer(selector)
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    let labels = selected.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()));
    // What the Service selects at this moment may be the other colour.
    let labels: BTreeMap<String, String> = labels.chain(own).collect();
    // Without a label every pod of the namespace would be taken for one of them.
    if labels.is_empty() {
        return Err("nothing selects the pods of the new version by their labels".to_owned());
    }
    Ok((namespace, labels))
}

fn words(tried: &'static str, fault: Fault) -> String {
    format!("{:#}", anyhow::Error::new(because(tried, fault)))
}

/// How one pod stands, and which of its containers says why.
struct Standing {
    pod: String,
    container: String,
    state: String,
    fails: bool,
    /// What tells most is the log of the run before: this one waits, or is not ready yet.
    before: bool,
}

impl Standing {
    fn of(pod: &Value) -> Option<Self> {
        let name = pod["metadata"]["name"].as_str()?;
        let statuses = || pod["status"]["containerStatuses"].as_array().into_iter().flatten();
        let worst = statuses().find(|status| fails(status)).or_else(|| statuses().next());
        let container = worst.map_or(&pod["spec"]["containers"][0]["name"], |status| &status["name"]);
        let leaves = !pod["metadata"]["deletionTimestamp"].is_null();
        let waits = worst.and_then(|status| status["state"]["waiting"]["reason"].as_str());
        let restarts = worst.and_then(|status| status["restartCount"].as_u64()).unwrap_or(0);
        let ready = worst.is_some_and(|status| status["ready"] == true);
        let word = match (waits, ready) {
            (Some(reason), _) => reason,
            (None, true) => "ready",
            (None, false) if leaves => "on its way out",
            (None, false) => "not ready",
        };
        let restarted = match restarts {
            0 => String::new(),
            1 => ", 1 restart".to_owned(),
            many => format!(", {many} restarts"),
        };
        Some(Self {
            pod: name.to_owned(),
            container: container.as_str().unwrap_or_default().to_owned(),
            state: format!("{word}{restarted}"),
            fails: worst.is_none_or(fails),
            before: !ready && worst.is_some_and(|status| !status["lastState"]["terminated"].is_null()),
        })
    }

    fn wrote(&self, output: Output) -> PodLog {
        PodLog {
            pod: self.pod.clone(),
            container: self.container.clone(),
            state: self.state.clone(),
            output,
        }
    }
}

/// Whether a container does not do what it should, or did not a moment ago.
fn fails(status: &Value) -> bool {
    status["ready"] != true || status["restartCount"].as_u64().unwrap_or(0) > 0
}

/// The end of what a container of a pod wrote: its last `lines`; with `before`, of the run before this one.
pub(super) async fn end_of(
    cluster: &Cluster,
    namespace: &str,
    (pod, container): (&str, &str),
    lines: u32,
    before: bool,
) -> Result<Output, Fault> {
    let escaped = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let path = format!(
        "/api/v1/namespaces/{namespace}/pods/{}/log?container={}&tailLines={lines}&limitBytes={MOST}&previous={before}",
        escaped(pod),
        escaped(container),
    );
    Ok(Output::of(&cluster.text(&path).await?, 0))
}
