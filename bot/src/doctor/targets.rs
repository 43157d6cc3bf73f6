//! Owns the check of the rights on what plans move, and on the Jobs that are their hooks: exactly those that are used, no more and
//! no fewer.
//! Refuses to try a write.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tidegate_rollout::plan::{Hook, Run, Target};

use super::{Finding, Level, Subject};
use crate::driver::DriverError;
use crate::driver::kubernetes::cluster::Cluster;
use crate::driver::kubernetes::rights::{Right, needed, needed_for_hook, needed_for_logs};

/// How many questions are asked at a time.
const AT_A_TIME: usize = 8;

pub(super) async fn look(subject: Arc<Subject>) -> Vec<Finding> {
    // Without a cluster the configuration itself says that the plans do not fit.
    let Some(cluster) = &subject.cluster else {
        return Vec::new();
    };
    let targets = targets(&subject);
    if targets.is_empty() {
        return Vec::new();
    }
    let all: BTreeSet<Right> = targets.values().flatten().cloned().collect();
    match missing(cluster, all).await {
        Ok(missing) => targets
            .iter()
            .map(|(target, rights)| judge(target, rights, &missing))
            .collect(),
        Err(error) => vec![unanswered(error)],
    }
}

/// What is moved in Kubernetes, where hooks are Jobs, and whose logs are read, with the rights that takes.
fn targets(subject: &Subject) -> BTreeMap<String, Vec<Right>> {
    let plans = subject.plans.usable();
    let all = plans.flat_map(|plan| {
        let rungs = plan.spec.rollback.ladder.iter().map(|rung| &rung.target);
        std::iter::once(&plan.spec.target).chain(rungs)
    });
    let named = all.filter(|target| target.is_in_kubernetes());
    let moved = named.map(|target: &Target| (target.name(), needed(target)));
    let hooks = subject.plans.usable().flat_map(|plan| plan.spec.hooks.values());
    let jobs = hooks.filter_map(|hook: &Hook| match &hook.run {
        Run::Job(job) => Some((format!("hooks in {}", job.namespace), needed_for_hook(job))),
        Run::Command(_) | Run::Http(_) => None,
    });
    let told = subject.plans.usable().filter(|plan| plan.spec.rollback.pod_logs > 0);
    let logs = told.filter_map(|plan| plan.target_with_pods());
    let logs = logs.map(|target| {
        (
            format!("logs of the pods behind {}", target.name()),
            needed_for_logs(target),
        )
    });
    moved.chain(jobs).chain(logs).collect()
}

async fn missing(cluster: &Cluster, rights: BTreeSet<Right>) -> Result<BTreeSet<Right>, DriverError> {
    let asked = rights.into_iter().map(|right| async move {
        let allowed = cluster.allows(&right).await?;
        Ok((!allowed).then_some(right))
    });
    let answers = stream::iter(asked).buffer_unordered(AT_A_TIME);
    let missing: Vec<Option<Right>> = answers.try_collect().await?;
    Ok(missing.into_iter().flatten().collect())
}

fn judge(target: &str, rights: &[Right], missing: &BTreeSet<Right>) -> Finding {
    let lacking: Vec<&Right> = rights.iter().filter(|right| missing.contains(right)).collect();
    let Some(first) = lacking.first() else {
        return Finding::ok("target", format!("{target}: all {} rights", rights.len()));
    };
    let verbs: Vec<String> = lacking
        .iter()
        .map(|right| {
            let name = right.name.iter().map(|name| format!("/{name}"));
            format!("{} {}{}", right.verb, right.resource, name.collect::<String>())
        })
        .collect();
    let rules: Vec<String> = lacking.iter().map(|right| right.rule()).collect();
    let level = match lacking.iter().all(|right| right.is_optional()) {
        true => Level::Warn,
        false => Level::Fail,
    };
    Finding::bad(
        level,
        "target.no-right",
        format!(
            "{target}: our account may not {} in {}",
            verbs.join(", "),
            first.namespace
        ),
        format!(
            "Add to its Role in {}: {}. deploy/kubernetes has a whole one for each driver.",
            first.namespace,
            rules.join(", ")
        ),
    )
}

fn unanswered(error: DriverError) -> Finding {
    let (code, fix) = match &error {
        DriverError::Refused { .. } => (
            "target.unknown-account",
            "Check the token behind `kubernetes.kubeconfig`, or the service account of the pod.",
        ),
        _ => (
            "target.unreachable",
            "Let this machine reach the Kubernetes API, through its firewall or NetworkPolicy, or correct \
             `kubernetes.kubeconfig`.",
        ),
    };
    Finding::fail(code, format!("{:#}", anyhow::Error::new(error)), fix)
}
