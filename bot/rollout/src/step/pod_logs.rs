//! Owns the question what the pods of the new version say, asked at the moment traffic goes back: a moment later they are gone.
//! Refuses to let anything wait for the answer, and to tell it twice.

use crate::action::ActionKind;
use crate::ids::ActionId;
use crate::notice::NoticeKind;
use crate::pod_log::{PodLog, PodLogs};

use super::Work;

/// So much of each log goes into a message, in bytes; the log of the rollout has more.
const EXCERPT: usize = 400;

pub(super) fn ask(work: &mut Work<'_>) {
    let lines = work.next.plan.spec.rollback.pod_logs;
    let target = work.next.plan.target_with_pods().cloned();
    if let (Some(target), 1..) = (target, lines) {
        work.next.pod_logs = Some(work.ask(ActionKind::ReadLogs { target, lines }));
    }
}

pub(super) fn answered(work: &mut Work<'_>, action: &ActionId, logs: &PodLogs) {
    if work.next.pod_logs.as_ref() != Some(action) {
        return;
    }
    work.next.pod_logs = None;
    for log in logs.pods.iter().filter(|log| !log.output.is_empty()) {
        let text = format!("Pod {log} wrote:\n{}", log.output.tail);
        work.note("pod-log", "tidegate".to_owned(), text);
    }
    work.say(NoticeKind::PodLogs {
        pods: logs.pods.iter().map(PodLog::to_string).collect(),
        output: excerpts(&logs.pods),
        unread: logs.unread.clone(),
        alerted: work.next.went_back_on_an_alert(),
    });
}

/// The end of each log, one after the other.
fn excerpts(pods: &[PodLog]) -> String {
    let wrote = pods.iter().filter(|log| !log.output.is_empty());
    let each: Vec<String> = wrote
        .map(|log| format!("{}: {}", log.pod, log.output.excerpt(EXCERPT)))
        .collect();
    each.join("\n")
}
