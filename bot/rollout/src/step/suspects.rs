//! Owns alerts that fire although their source had said that they ended: they block, and the source is asked.
//! Refuses to ignore them and to believe them: only the answer decides.

use jiff::SignedDuration;

use crate::action::{ActionKind, SuspectAnswer};
use crate::alert::AlertKey;
use crate::notice::NoticeKind;
use crate::rollout::{Guard, Standing, Tracked};

use super::{Work, alerts};

/// How long after an unreadable answer a suspect alert is asked about again.
const ASK_AGAIN_AFTER: SignedDuration = SignedDuration::from_secs(15);

/// It fires although its source had said that it ended: the late word of an HA peer, or a break between Prometheus and
/// Alertmanager. It blocks, and every peer is asked.
pub(super) fn suspect(work: &mut Work<'_>, key: AlertKey, mut tracked: Tracked) {
    tracked.standing = Standing::Suspect;
    let name = tracked.name.clone();
    work.next.alerts.insert(key.fingerprint.clone(), tracked);
    if !work.next.is_latched() {
        work.ask(ActionKind::AskAboutAlert { key });
        work.say(NoticeKind::AlertSuspect { alert: name });
    }
}

pub(super) fn answered(work: &mut Work<'_>, key: &AlertKey, answer: SuspectAnswer) {
    let Some(mut tracked) = work.next.alerts.get(&key.fingerprint).cloned() else {
        return;
    };
    if tracked.standing != Standing::Suspect || tracked.starts_at != key.starts_at {
        return;
    }
    match answer {
        SuspectAnswer::Active => alerts::judge(work, key.clone(), tracked),
        SuspectAnswer::Absent => {
            tracked.standing = Standing::Stale;
            let text = format!(
                "No peer knows alert {} any more: it was late word of its end.",
                tracked.name
            );
            work.next.alerts.insert(key.fingerprint.clone(), tracked);
            work.note("alert-stale", "tidegate".to_owned(), text);
        }
        SuspectAnswer::Unreadable => {
            let name = tracked.name.clone();
            tracked.ask_again = work.now.checked_add(ASK_AGAIN_AFTER).ok();
            work.next.alerts.insert(key.fingerprint.clone(), tracked);
            if !work.next.is_latched() {
                let reason = format!("alert {name} came back after its end, and its source cannot be asked");
                work.guard_holds(Guard::Unreadable, &name, reason);
            }
        }
    }
}

/// Asks again about alerts whose source could not be read: else they would stay suspect, and block, for ever.
pub(super) fn ask_again(work: &mut Work<'_>) {
    if work.next.is_latched() {
        return;
    }
    let now = work.now;
    let due = |tracked: &Tracked| tracked.ask_again.is_some_and(|at| at <= now);
    let keys: Vec<AlertKey> = work
        .next
        .alerts
        .iter_mut()
        .filter(|(_, tracked)| due(tracked))
        .map(|(fingerprint, tracked)| {
            tracked.ask_again = None;
            AlertKey {
                fingerprint: fingerprint.clone(),
                starts_at: tracked.starts_at,
            }
        })
        .collect();
    for key in keys {
        work.ask(ActionKind::AskAboutAlert { key });
    }
}
