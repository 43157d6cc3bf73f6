//! Owns alerts that fire although their source had said that they ended: they block, and the source is asked.
//! Refuses to ignore them and to believe them: only the answer decides.

use jiff::SignedDuration;

use crate::action::{ActionKind, SuspectAnswer};
use crate::alert::{AlertKey, Source};
use crate::notice::NoticeKind;
use crate::planted::{self, Bug};
use crate::rollout::{Guard, Standing, Tracked};
use crate::surroundings::{Poll, Surroundings};

use super::{Work, alerts, crowd};

/// How long after an unreadable answer a suspect alert is asked about again; twice as long each time.
const ASK_AGAIN_AFTER: SignedDuration = SignedDuration::from_secs(15);
/// But at least so often.
const ASK_AT_LEAST: SignedDuration = SignedDuration::from_secs(60);

/// It fires although its source had said that it ended: the late word of an HA peer, or a break between Prometheus and
/// Alertmanager; or although it is silenced. It blocks, and every peer is asked.
pub(super) fn suspect(work: &mut Work<'_>, key: AlertKey, mut tracked: Tracked) {
    if planted::on(Bug::SuspectIgnored) {
        tracked.standing = Standing::Stale;
        work.next.alerts.insert(key.fingerprint, tracked);
        return;
    }
    tracked.standing = Standing::Suspect;
    work.next.alerts.insert(key.fingerprint.clone(), tracked.clone());
    if work.next.is_latched() {
        return;
    }
    if !can_be_asked(tracked.source, work.around) {
        nobody_can_tell(work, &tracked);
        return;
    }
    let others = crowd::others(work, &key.fingerprint, &tracked, |other| *other == Standing::Suspect);
    let receiver = tracked.receiver;
    work.ask(ActionKind::AskAboutAlert { key, receiver });
    if others == 0 {
        work.say(NoticeKind::AlertSuspect { alert: tracked.name });
    } else {
        crowd::note(work, "alert-suspect", &tracked.name, others);
    }
}

/// Only Alertmanager lists what fires there, and only where the plan's receivers name its peers.
pub(crate) fn can_be_asked(source: Source, around: &Surroundings) -> bool {
    source == Source::Alertmanager && around.poll != Poll::NotConfigured
}

/// It blocks until its source says that it is over, or until a person who looked releases the hold.
fn nobody_can_tell(work: &mut Work<'_>, tracked: &Tracked) {
    let (name, source) = (&tracked.name, tracked.source.word());
    let reason = format!("alert {name} came back after its end, and {source} cannot be asked whether it fires.");
    work.guard_holds(Guard::Unreadable, name, reason);
}

/// A person released the hold of [`nobody_can_tell`]: they looked, and it is over.
pub(super) fn settled_by_person(work: &mut Work<'_>, name: &str) {
    let Work { next, around, now, .. } = work;
    for tracked in next.alerts.values_mut() {
        let asked = can_be_asked(tracked.source, around);
        if tracked.name == name && tracked.standing == Standing::Suspect && !asked {
            tracked.standing = Standing::Stale;
            tracked.heard_at = *now;
        }
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
            let first = tracked.unanswered == 0;
            let doubled = ASK_AGAIN_AFTER * (1 << tracked.unanswered.min(8));
            tracked.ask_again = work.now.checked_add(doubled.min(ASK_AT_LEAST)).ok();
            tracked.unanswered = tracked.unanswered.saturating_add(1);
            work.next.alerts.insert(key.fingerprint.clone(), tracked);
            if first && !work.next.is_latched() {
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
    let keys: Vec<(AlertKey, String)> = work
        .next
        .alerts
        .iter_mut()
        .filter(|(_, tracked)| due(tracked))
        .map(|(fingerprint, tracked)| {
            tracked.ask_again = None;
            let key = AlertKey {
                fingerprint: fingerprint.clone(),
                starts_at: tracked.starts_at,
            };
            (key, tracked.receiver.clone())
        })
        .collect();
    for (key, receiver) in keys {
        work.ask(ActionKind::AskAboutAlert { key, receiver });
    }
}
