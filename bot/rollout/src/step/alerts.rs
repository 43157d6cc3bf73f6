//! Owns what an alert means: whether it can be this rollout's fault, and what its severity asks for.
//! Refuses to trust order and repetition: an occasion is (fingerprint, startsAt), and acts once.

use jiff::{SignedDuration, Timestamp};

use crate::alert::{Alert, AlertKey, AlertStatus, Source, Suppression};
use crate::notice::{NoticeKind, clock};
use crate::plan::{Decide, DecideDefault, Scope, SeverityAction};
use crate::planted::{self, Bug};
use crate::rollout::{Because, Decision, Guard, Standing, Tracked};
use crate::route::{Concern, concern, outranks};

use super::{Work, crowd, rollback, suspects};

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
    match alert.status {
        AlertStatus::Resolved => resolved(work, alert, known, word),
        AlertStatus::Firing => firing(work, alert, known, word),
    }
    forget(work);
}

fn newly_tracked(work: &Work<'_>, alert: &Alert) -> Option<Tracked> {
    let (trigger, old_version) = match concern(&work.next, alert)? {
        Concern::Trigger(trigger) => (trigger, false),
        Concern::OldVersion(trigger) => (trigger, true),
    };
    Some(Tracked {
        name: alert.name().to_owned(),
        source: alert.source,
        receiver: alert.receiver.clone(),
        starts_at: alert.starts_at,
        trigger: trigger.name.clone(),
        severity: trigger.severity.clone(),
        labels: alert.labels.clone(),
        standing: Standing::Resolved,
        last_end: None,
        from_before: false,
        old_version,
        acted_on: None,
        ask_again: None,
        unanswered: 0,
        heard_at: work.now,
    })
}

/// "Resolved" only means that the source stopped saying so. Open questions stay open.
fn resolved(work: &mut Work<'_>, alert: &Alert, known: Option<Tracked>, word: Word) {
    let was_on = known.as_ref().is_some_and(|tracked| tracked.standing.blocks());
    let Some(mut tracked) = known.or_else(|| newly_tracked(work, alert)) else {
        return;
    };
    // Repeated word of an end we know of: what was confirmed to fire since then stays.
    let told_before = alert.ends_at.is_some() && alert.ends_at <= tracked.last_end;
    if told_before && alert.starts_at <= tracked.starts_at && word == Word::Webhook {
        return;
    }
    let over_already = tracked.standing == Standing::Resolved && tracked.last_end.is_some();
    let says_no_more = alert.ends_at.is_none() || word == Word::Api;
    if over_already && says_no_more && alert.starts_at <= tracked.starts_at {
        return;
    }
    let end = alert.ends_at.unwrap_or(work.now);
    tracked.last_end = tracked.last_end.max(Some(end));
    // By its end, not its start: a reopened PagerDuty incident ends under the start of its first occasion.
    let older_occasion = end < tracked.starts_at;
    if !older_occasion {
        tracked.starts_at = tracked.starts_at.max(alert.starts_at);
        tracked.standing = Standing::Resolved;
        tracked.ask_again = None;
        tracked.heard_at = work.now;
    }
    work.next.alerts.insert(alert.fingerprint.clone(), tracked.clone());
    if was_on && !older_occasion {
        let others = crowd::others(work, &alert.fingerprint, &tracked, Standing::blocks);
        if others == 0 {
            work.say(NoticeKind::AlertResolved { alert: tracked.name });
        } else {
            let text = format!("One {} is no longer reported; {others} more fire.", tracked.name);
            work.note("alert-resolved", "tidegate".to_owned(), text);
        }
    }
}

fn firing(work: &mut Work<'_>, alert: &Alert, known: Option<Tracked>, word: Word) {
    let was_known = known.is_some();
    let Some(mut tracked) = known.or_else(|| newly_tracked(work, alert)) else {
        return;
    };
    let worse = was_known && relabelled(work, alert, &mut tracked);
    let alert = &of_the_open_occasion(alert, &tracked, worse);
    if was_known && is_old_news(alert, &tracked, word, worse) {
        adopt(work, alert, word);
        return;
    }
    tracked.heard_at = work.now;
    tracked.ask_again = None;
    tracked.unanswered = 0;
    (tracked.source, tracked.receiver) = (alert.source, alert.receiver.clone());
    if let Some(suppression) = &alert.suppressed {
        suppressed(work, alert, suppression.clone(), tracked);
        return;
    }
    if was_known {
        tracked.from_before &= !was_quiet(&tracked, alert.starts_at);
    }
    let after_its_end = tracked.last_end.is_some_and(|end| alert.starts_at <= end);
    // A silence that ended would make the source tell it again; so would a word that was sent before the silence.
    // So would one that was under way while its source, just back from a break, did not list it.
    let in_spite_of_what_the_source_said =
        matches!(tracked.standing, Standing::Suppressed(_) | Standing::Stale) && tracked.starts_at == alert.starts_at;
    tracked.starts_at = alert.starts_at;
    if (after_its_end || in_spite_of_what_the_source_said) && word == Word::Webhook {
        suspects::suspect(work, alert.key(), tracked);
    } else {
        judge(work, alert.key(), tracked);
    }
}

/// A source may change the labels under a fingerprint, as when an incident's priority is raised. A new occasion is judged
/// by its own labels; within an occasion only a severity that asks for more counts. Answers whether it asks for more.
fn relabelled(work: &Work<'_>, alert: &Alert, tracked: &mut Tracked) -> bool {
    let (trigger, old_version) = match concern(&work.next, alert) {
        Some(Concern::Trigger(trigger)) => (trigger, false),
        Some(Concern::OldVersion(trigger)) => (trigger, true),
        None => return false,
    };
    let worse = outranks(&work.next, &trigger.severity, &tracked.severity);
    let new_occasion = alert.starts_at > tracked.starts_at;
    if worse || new_occasion {
        tracked.trigger = trigger.name.clone();
        tracked.severity = trigger.severity.clone();
        tracked.labels = alert.labels.clone();
        tracked.old_version = old_version;
    }
    if worse {
        tracked.acted_on = None;
    }
    worse
}

/// A raised priority is told under the moment when the incident was created, also when it was reopened since: it is about
/// the occasion that goes on.
fn of_the_open_occasion(alert: &Alert, tracked: &Tracked, worse: bool) -> Alert {
    let open = matches!(
        tracked.standing,
        Standing::Counting | Standing::PreExisting | Standing::OldVersion
    );
    let mut alert = alert.clone();
    if worse && open && alert.source == Source::PagerDuty && alert.starts_at < tracked.starts_at {
        alert.starts_at = tracked.starts_at;
    }
    alert
}

/// What a receiver lists that can be asked is its from now on: the one that told it first may never say that it is over.
fn adopt(work: &mut Work<'_>, alert: &Alert, word: Word) {
    if let (Word::Api, Some(tracked)) = (word, work.next.alerts.get_mut(&alert.fingerprint))
        && tracked.starts_at == alert.starts_at
    {
        tracked.receiver.clone_from(&alert.receiver);
    }
}

/// Whether this says nothing that is not known. A webhook may repeat and be late; the source's own API is believed, but
/// of two peers that disagree about the start of the same firing, the later start stays.
fn is_old_news(alert: &Alert, tracked: &Tracked, word: Word, worse: bool) -> bool {
    let believed_to_fire = match tracked.standing {
        Standing::Counting | Standing::PreExisting | Standing::OldVersion => true,
        Standing::Suspect | Standing::Stale | Standing::Suppressed(_) | Standing::Resolved => false,
    };
    let older = alert.starts_at < tracked.starts_at;
    let same = alert.starts_at == tracked.starts_at;
    match word {
        Word::Webhook => {
            let silenced = matches!(tracked.standing, Standing::Suppressed(_));
            // Late word, as its source said when it was asked; told once more it may be true, and it is asked once more.
            let over = matches!(tracked.standing, Standing::Resolved | Standing::Stale);
            older || (same && !over && !silenced && !worse)
        }
        Word::Api => match &alert.suppressed {
            Some(suppression) => tracked.standing == Standing::Suppressed(suppression.clone()) && same,
            None => (older || same) && believed_to_fire && !worse,
        },
    }
}

/// Whether a fingerprint from before the start has been quiet for long enough that firing anew can be our fault. Its last
/// known occasion must have ended: an end that was lost is not quiet.
fn was_quiet(tracked: &Tracked, starts_at: Timestamp) -> bool {
    tracked
        .last_end
        .is_some_and(|end| end >= tracked.starts_at && starts_at.duration_since(end) >= QUIET)
}

fn suppressed(work: &mut Work<'_>, alert: &Alert, suppression: Suppression, mut tracked: Tracked) {
    let was_on = tracked.standing.blocks();
    let by = match &suppression {
        Suppression::Silenced { by } => format!("silenced by {}", by.join(", ")),
        Suppression::Inhibited { by } => format!("inhibited by {}", by.join(", ")),
    };
    let is_suppressed = |standing: &Standing| matches!(standing, Standing::Suppressed(_));
    let others = crowd::others(work, &alert.fingerprint, &tracked, is_suppressed);
    tracked.starts_at = alert.starts_at;
    tracked.standing = Standing::Suppressed(suppression);
    let name = tracked.name.clone();
    work.next.alerts.insert(alert.fingerprint.clone(), tracked);
    if was_on {
        return work.say(NoticeKind::AlertSuppressed { alert: name, by });
    }
    // Nobody is told of what somebody silenced; whoever asks why nothing happened finds it in the history.
    if others == 0 {
        let text = format!("Alert {name} fires and is suppressed: {by}. It does not count.");
        work.note("alert-suppressed", "tidegate".to_owned(), text);
    } else {
        crowd::note(work, "alert-suppressed", &name, others);
    }
}

/// Decides whether a firing can be this rollout's fault, and acts: once for each occasion.
pub(super) fn judge(work: &mut Work<'_>, key: AlertKey, mut tracked: Tracked) {
    if planted::on(Bug::OldVersionCounts) {
        tracked.old_version = false;
    }
    let ours = !tracked.old_version && !tracked.from_before && began_under_traffic(work, key.starts_at);
    tracked.standing = match (tracked.old_version, ours) {
        (true, _) => Standing::OldVersion,
        (false, true) => Standing::Counting,
        (false, false) => Standing::PreExisting,
    };
    let acts =
        !work.next.is_latched() && (tracked.acted_on != Some(key.starts_at) || planted::on(Bug::OccasionActsAgain));
    if acts {
        tracked.acted_on = Some(key.starts_at);
    }
    work.next.alerts.insert(key.fingerprint.clone(), tracked.clone());
    if !acts {
        return;
    }
    let (name, since) = (tracked.name.clone(), clock(key.starts_at));
    if ours {
        act(work, key, tracked);
    } else if tracked.old_version {
        let text = format!("Alert {name} fires on the old version since {since}: evidence against a rollback.");
        work.note("alert-old-version", "tidegate".to_owned(), text);
    } else {
        let reason = if tracked.from_before && began_under_traffic(work, key.starts_at) {
            format!(
                "alert {name} fires since {since}. It also fired before the start, and had not been quiet for {} minutes since: it may be the old fault that is back.",
                QUIET.as_mins()
            )
        } else {
            format!(
                "alert {name} fires since {since}, which is not this rollout's doing: it began before the rollout carried traffic. A rollback would not help."
            )
        };
        work.guard_holds(Guard::PreExisting, &name, reason);
    }
}

/// An alert can be our fault if it began after this rollout first carried traffic, give or take the clocks.
fn began_under_traffic(work: &Work<'_>, starts_at: Timestamp) -> bool {
    if planted::on(Bug::OldAlertsCount) {
        return true;
    }
    work.next
        .exposed_at
        .is_some_and(|exposed| starts_at.duration_since(exposed) >= -CLOCK_SKEW)
}

fn act(work: &mut Work<'_>, key: AlertKey, tracked: Tracked) {
    let others = crowd::others(work, &key.fingerprint, &tracked, |other| *other == Standing::Counting);
    let Tracked {
        name,
        trigger,
        severity,
        ..
    } = tracked;
    let plan = std::sync::Arc::clone(&work.next.plan);
    let meaning = plan.spec.severities.get(&severity);
    let scope = plan
        .spec
        .triggers
        .iter()
        .find(|other| other.name == trigger)
        .map(|trigger| trigger.alert.scope);
    match meaning.map(|severity| &severity.action) {
        Some(SeverityAction::Rollback) if scope == Some(Scope::Any) => {
            let reason = format!(
                "alert {name} (trigger {trigger}) looks beyond this service, so it does not roll back by itself."
            );
            work.guard_holds(Guard::ForeignScope, &name, reason);
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
        // One label set speaks for all of an alert: a fleet of pods would page for each of them.
        Some(SeverityAction::Log) | None if others > 0 => crowd::note(work, "alert-logged", &name, others),
        // The linter refuses triggers without a severity; a plan that got past it still tells.
        Some(SeverityAction::Log) | None => work.say(NoticeKind::AlertLogged {
            alert: name,
            trigger,
            severity,
            since: key.starts_at,
            page: meaning.is_some_and(|severity| severity.page),
        }),
    }
}

fn open_decision(work: &mut Work<'_>, key: AlertKey, name: &str, trigger: &str, decide: &Decide) {
    // A new occasion of an alert about which a question is open asks nothing new, on whatever label set; the earlier
    // deadline stays.
    let subject = format!("{name} ({trigger})");
    let same_alert =
        |decision: &&mut Decision| decision.alert.fingerprint == key.fingerprint || decision.subject == subject;
    if let Some(open) = work.next.decisions.iter_mut().find(same_alert) {
        open.more = open.more.saturating_add(1);
        let more = open.more;
        crowd::note(work, "alert-again", name, more);
        return;
    }
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
        subject,
        more: 0,
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
