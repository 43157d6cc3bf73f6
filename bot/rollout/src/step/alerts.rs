//! Owns what an alert means: whether it can be this rollout's fault, and what its severity asks for.
//! Refuses to trust order and repetition: an occasion is (fingerprint, startsAt), and acts once.

use jiff::{SignedDuration, Timestamp};

use crate::action::{ActionKind, SuspectAnswer};
use crate::alert::{Alert, AlertKey, AlertStatus, Suppression};
use crate::notice::{NoticeKind, clock};
use crate::plan::{Decide, DecideDefault, Scope, SeverityAction};
use crate::rollout::{Because, Decision, Guard, Standing, Tracked};
use crate::route::{Concern, concern};

use super::{Work, rollback};

/// How long a fingerprint that fired before the start must be quiet before a new firing can be ours.
pub const QUIET: SignedDuration = SignedDuration::from_mins(10);

/// Clocks of Prometheus and of this service may differ by so much.
pub const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(5);

/// How many alerts a rollout remembers; beyond it the oldest that are over are forgotten.
const REMEMBERED: usize = 1_000;

/// Who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// A webhook: may be late, repeated or out of order.
    Webhook,
    /// The source's own API, now.
    Api,
}

pub(super) fn alerted(work: &mut Work<'_>, alert: &Alert, word: Word) {
    if work.next.is_final() {
        return;
    }
    let known = work.next.alerts.get(&alert.fingerprint).cloned();
    let Some(mut tracked) = known.clone().or_else(|| newly_tracked(work, alert)) else {
        return;
    };
    match alert.status {
        AlertStatus::Resolved => resolved(work, alert, known.is_some(), tracked),
        AlertStatus::Firing => {
            let late = alert.starts_at < tracked.starts_at && word == Word::Webhook;
            if late {
                return;
            }
            let repeated = known.is_some() && alert.starts_at == tracked.starts_at;
            tracked.heard_at = work.now;
            firing(work, alert, word, repeated, tracked);
        }
    }
    forget(work);
}

fn newly_tracked(work: &Work<'_>, alert: &Alert) -> Option<Tracked> {
    let (trigger, standing) = match concern(&work.next, alert)? {
        Concern::Trigger(trigger) => (trigger, Standing::Resolved),
        Concern::OldVersion(trigger) => (trigger, Standing::OldVersion),
    };
    Some(Tracked {
        name: alert.name().to_owned(),
        starts_at: alert.starts_at,
        trigger: trigger.name.clone(),
        severity: trigger.severity.clone(),
        labels: alert.labels.clone(),
        standing,
        last_end: None,
        from_before: false,
        heard_at: work.now,
    })
}

/// "Resolved" only means that the source stopped saying so. Open questions stay open.
fn resolved(work: &mut Work<'_>, alert: &Alert, was_known: bool, mut tracked: Tracked) {
    let end = alert.ends_at.unwrap_or(work.now);
    tracked.last_end = tracked.last_end.max(Some(end));
    let older_occasion = alert.starts_at < tracked.starts_at;
    let was_on = tracked.standing.blocks();
    if !older_occasion {
        tracked.standing = Standing::Resolved;
        tracked.heard_at = work.now;
    }
    let name = tracked.name.clone();
    work.next.alerts.insert(alert.fingerprint.clone(), tracked);
    if was_known && was_on && !older_occasion {
        work.say(NoticeKind::AlertResolved { alert: name });
    }
}

fn firing(work: &mut Work<'_>, alert: &Alert, word: Word, repeated: bool, mut tracked: Tracked) {
    if let Some(suppression) = &alert.suppressed {
        suppressed(work, alert, suppression.clone(), tracked);
        return;
    }
    let known_to_fire = matches!(
        tracked.standing,
        Standing::Counting | Standing::PreExisting | Standing::OldVersion | Standing::Stale
    );
    let asked_already = tracked.standing == Standing::Suspect;
    if repeated && (known_to_fire || asked_already) && word == Word::Webhook {
        return;
    }
    if repeated && known_to_fire && tracked.standing != Standing::Stale {
        return;
    }
    let after_its_end = tracked.last_end.is_some_and(|end| alert.starts_at <= end);
    tracked.starts_at = alert.starts_at;
    if after_its_end && word == Word::Webhook {
        suspect(work, alert.key(), tracked);
    } else {
        judge(work, alert.key(), tracked);
    }
}

fn suppressed(work: &mut Work<'_>, alert: &Alert, suppression: Suppression, mut tracked: Tracked) {
    let was_on = tracked.standing.blocks();
    let by = match &suppression {
        Suppression::Silenced { by } => format!("silenced by {}", by.join(", ")),
        Suppression::Inhibited { by } => format!("inhibited by {}", by.join(", ")),
    };
    tracked.starts_at = alert.starts_at;
    tracked.standing = Standing::Suppressed(suppression);
    let name = tracked.name.clone();
    work.next.alerts.insert(alert.fingerprint.clone(), tracked);
    if was_on {
        work.say(NoticeKind::AlertSuppressed { alert: name, by });
    }
}

/// It fires although its source had said that it ended: the late word of an HA peer, or a break between Prometheus and
/// Alertmanager. It blocks, and every peer is asked.
fn suspect(work: &mut Work<'_>, key: AlertKey, mut tracked: Tracked) {
    tracked.standing = Standing::Suspect;
    let name = tracked.name.clone();
    work.next.alerts.insert(key.fingerprint.clone(), tracked);
    if !work.next.is_latched() {
        work.ask(ActionKind::AskAboutAlert { key });
        work.say(NoticeKind::AlertSuspect { alert: name });
    }
}

pub(super) fn suspect_answered(work: &mut Work<'_>, key: &AlertKey, answer: SuspectAnswer) {
    let Some(mut tracked) = work.next.alerts.get(&key.fingerprint).cloned() else {
        return;
    };
    if tracked.standing != Standing::Suspect || tracked.starts_at != key.starts_at {
        return;
    }
    match answer {
        SuspectAnswer::Active => judge(work, key.clone(), tracked),
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
            let reason = format!(
                "alert {} came back after its end, and its source cannot be asked",
                tracked.name
            );
            work.guard_holds(Guard::Unreadable, reason);
        }
    }
}

/// Decides whether a firing can be this rollout's fault, and acts.
fn judge(work: &mut Work<'_>, key: AlertKey, mut tracked: Tracked) {
    if tracked.standing == Standing::OldVersion {
        work.next.alerts.insert(key.fingerprint, tracked);
        return;
    }
    if tracked.from_before {
        let quiet_since = tracked.last_end.unwrap_or(Timestamp::MAX);
        let quiet = key.starts_at.duration_since(quiet_since) >= QUIET;
        tracked.from_before = !quiet;
    }
    let ours = !tracked.from_before && began_under_traffic(work, key.starts_at);
    tracked.standing = if ours {
        Standing::Counting
    } else {
        Standing::PreExisting
    };
    let (name, trigger, severity) = (tracked.name.clone(), tracked.trigger.clone(), tracked.severity.clone());
    work.next.alerts.insert(key.fingerprint.clone(), tracked);
    if work.next.is_latched() {
        return;
    }
    if ours {
        act(work, key, name, trigger, severity);
    } else {
        let reason = format!(
            "alert {name} fires since {}, which is not this rollout's doing: it began before the rollout carried traffic. A rollback would not help; look first, then `release`.",
            clock(key.starts_at)
        );
        work.guard_holds(Guard::PreExisting, reason);
    }
}

/// An alert can be our fault if it began after this rollout first carried traffic, give or take the clocks.
fn began_under_traffic(work: &Work<'_>, starts_at: Timestamp) -> bool {
    #[cfg(feature = "planted")]
    if crate::planted::on(crate::planted::Bug::OldAlertsCount) {
        return true;
    }
    work.next
        .exposed_at
        .is_some_and(|exposed| starts_at.duration_since(exposed) >= -CLOCK_SKEW)
}

fn act(work: &mut Work<'_>, key: AlertKey, name: String, trigger: String, severity: String) {
    let plan = std::sync::Arc::clone(&work.next.plan);
    let action = plan.spec.severities.get(&severity).map(|severity| &severity.action);
    let scope = plan
        .spec
        .triggers
        .iter()
        .find(|other| other.name == trigger)
        .map(|trigger| trigger.alert.scope);
    match action {
        Some(SeverityAction::Rollback) if scope == Some(Scope::Any) => {
            let reason = format!(
                "alert {name} (trigger {trigger}) looks beyond this service, so it does not roll back by itself. Say `rollback` or `release`."
            );
            work.guard_holds(Guard::ForeignScope, reason);
        }
        Some(SeverityAction::Rollback) => rollback::automatic(
            work,
            Because::Alert {
                key,
                name,
                trigger,
                severity,
            },
        ),
        Some(SeverityAction::Decide(decide)) => open_decision(work, key, &name, &trigger, decide),
        // The linter refuses triggers without a severity; a plan that got past it still tells.
        Some(SeverityAction::Log) | None => work.say(NoticeKind::AlertLogged {
            alert: name,
            trigger,
            severity,
            since: key.starts_at,
        }),
    }
}

fn open_decision(work: &mut Work<'_>, key: AlertKey, name: &str, trigger: &str, decide: &Decide) {
    let since = clock(key.starts_at);
    let question = format!("alert {name} (trigger {trigger}) fires since {since}: continue or roll back?");
    let number = work.number();
    let deadline = work
        .now
        .saturating_add(decide.within.duration())
        .unwrap_or(Timestamp::MAX);
    work.next.decisions.push(Decision {
        number,
        alert: key,
        question: question.clone(),
        by: decide.by.clone(),
        at: work.now,
        deadline,
        default: decide.default,
    });
    let default = match decide.default {
        DecideDefault::Rollback => "rollback",
        DecideDefault::Hold => "hold",
    };
    work.say(NoticeKind::DecisionOpened {
        number,
        question,
        deadline,
        default: default.to_owned(),
        by: decide.by.clone(),
    });
}

/// Nothing grows for ever: beyond the bound, the occasions that are over go, the longest unheard first.
fn forget(work: &mut Work<'_>) {
    while work.next.alerts.len() > REMEMBERED {
        let over = work
            .next
            .alerts
            .iter()
            .filter(|(_, tracked)| !tracked.standing.blocks());
        let oldest = over
            .min_by_key(|(_, tracked)| tracked.heard_at)
            .map(|(fingerprint, _)| fingerprint.clone());
        match oldest {
            Some(fingerprint) => work.next.alerts.remove(&fingerprint),
            None => return,
        };
    }
}
