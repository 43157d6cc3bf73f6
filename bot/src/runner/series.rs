//! Owns what the engine counts as it decides, and how things stand at the moment of a scrape.
//! Refuses to fail: what cannot be read is missing from that scrape.

use jiff::Timestamp;
use tidegate_rollout::notice::NoticeKind;
use tidegate_rollout::rollout::Because;
use tidegate_rollout::{Period, Rollout, Source, Stage, Step, Weight};
use tracing::warn;

use super::Engine;
use crate::telemetry::metrics::{
    ALERT_TO_ROLLBACK, ALERTS, COMMITMENTS_MISSED, DEAD_LETTERS, OUTBOX_OLDEST, PHASE_WEIGHT, ROLLBACK_DURATION,
    ROLLBACKS, ROLLOUT_INFO, ROLLOUT_STATE, Standing, WATCHDOG_LAST_SEEN, text,
};

/// So many of the newest rollouts are exported also when they are over.
const NEWEST: u32 = 20;

/// Counts what a saved step decided; every step is saved by one replica.
pub(super) fn decided(step: &Step) {
    for notice in &step.notices {
        if let NoticeKind::RollingBack { .. } = &notice.kind {
            count_rollback(&step.next);
        }
        if let NoticeKind::CommitmentMissed { times, .. } = &notice.kind {
            metrics::counter!(COMMITMENTS_MISSED).increment((*times).into());
        }
        if let NoticeKind::RolledBack { took, since_alert, .. } = &notice.kind {
            metrics::histogram!(ROLLBACK_DURATION).record(seconds(*took));
            if let Some(since_alert) = since_alert {
                metrics::histogram!(ALERT_TO_ROLLBACK).record(seconds(*since_alert));
            }
        }
    }
}

fn count_rollback(rollout: &Rollout) {
    let (Stage::RollingBack { because, .. } | Stage::RolledBack { because, .. }) = &rollout.stage else {
        return;
    };
    let (source, reason) = match because {
        Because::Alert { trigger, .. } => ("alert", trigger.as_str()),
        Because::Unanswered { .. } => ("guard", "unanswered"),
        Because::NoData { .. } => ("guard", "no-data"),
        Because::Person { .. } => ("human", "said"),
    };
    metrics::counter!(ROLLBACKS, "source" => source, "reason" => reason.to_owned()).increment(1);
}

/// Counts alerts by what they meant to the rollouts.
pub(super) fn heard(source: Source, result: &'static str, alerts: usize) {
    if alerts > 0 {
        metrics::counter!(ALERTS, "source" => source.word(), "result" => result).increment(alerts as u64);
    }
}

fn seconds(period: Period) -> f64 {
    period.duration().as_secs_f64()
}

impl Engine {
    /// Everything that simply is, in the text form of Prometheus.
    pub async fn standing(&self, now: Timestamp) -> String {
        let mut all = Vec::new();
        let active = self.cached();
        for rollout in &active {
            self.rollout_stands(rollout, &mut all);
        }
        match self.store.list(NEWEST).await {
            Ok(newest) => newest
                .iter()
                .filter(|rollout| rollout.is_final())
                .for_each(|rollout| self.rollout_stands(rollout, &mut all)),
            Err(failure) => warn!("Could not read the rollouts for a scrape: {failure}"),
        }
        for (receiver, known) in self.path.all() {
            if let Some(seen) = known.watchdog_seen {
                let at = seen.duration_since(Timestamp::UNIX_EPOCH).as_secs_f64();
                all.push(Standing::new(WATCHDOG_LAST_SEEN, [("receiver", &receiver)], at));
            }
        }
        match self.store.oldest().await {
            Ok((action, message)) => {
                for (kind, since) in [("action", action), ("message", message)] {
                    let age = since.map_or(0.0, |since| seconds(Period::between(since, now)));
                    all.push(Standing::new(OUTBOX_OLDEST, [("kind", kind)], age));
                }
            }
            Err(failure) => warn!("Could not read the outbox for a scrape: {failure}"),
        }
        match self.store.count_dead_letters().await {
            Ok(letters) => {
                let letters = u32::try_from(letters).unwrap_or(u32::MAX);
                all.push(Standing::new(DEAD_LETTERS, [], letters.into()));
            }
            Err(failure) => warn!("Could not count the dead letters for a scrape: {failure}"),
        }
        text(&all)
    }

    fn rollout_stands(&self, rollout: &Rollout, all: &mut Vec<Standing>) {
        let (id, spec) = (rollout.id.as_str(), &rollout.plan.spec);
        let info = [
            ("rollout", id),
            ("service", &spec.service),
            ("environment", &spec.environment),
            ("plan", rollout.plan.name()),
            ("version", rollout.version().unwrap_or_default()),
        ];
        all.push(Standing::new(ROLLOUT_INFO, info, 1.0));
        let state = rollout.state_word().to_lowercase().replace(' ', "-");
        all.push(Standing::new(ROLLOUT_STATE, [("rollout", id), ("state", &state)], 1.0));
        let weight = |kind, points: u16| {
            let ratio = f64::from(points) / f64::from(Weight::FULL.basis_points());
            Standing::new(PHASE_WEIGHT, [("rollout", id), ("kind", kind)], ratio)
        };
        all.push(weight("declared", rollout.wanted.basis_points()));
        let observed = self.share(rollout).and_then(tidegate_rollout::Share::basis_points);
        if let Some(points) = observed.and_then(|points| u16::try_from(points).ok()) {
            all.push(weight("observed", points));
        }
    }
}
