//! Owns the one loop that decides: orders and outcomes first, then the clock, then alerts.
//! Refuses to wait for anything outside: workers do that.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tidegate_rollout::attention::Moment;
use tidegate_rollout::route::route;
use tidegate_rollout::{Alert, AlertStatus, Event, Source};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::{Engine, Job, Queues};
use crate::chat::{Answer, DeskError, Order, Request};
use crate::clock;
use crate::failpoint;
use crate::store::{Arrival, Content, Settled};

/// So many arrivals are decided before orders get their turn again.
const BATCH: usize = 64;
/// How often the store is searched for arrivals that other replicas took in, or that did not fit into the queue.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// What came in so lately is not left behind.
const IN_OUR_QUEUE: SignedDuration = SignedDuration::from_millis(500);
/// So many arrivals of the process before are decided before anything else.
const LEFT_BEHIND: usize = 4_096;

/// Runs until `stop`.
pub(super) async fn run(engine: Arc<Engine>, queues: Queues, stop: CancellationToken) {
    let Queues { mut jobs, mut arrivals } = queues;
    let mut tick = tokio::time::interval(engine.settings().tick_every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sweep = tokio::time::interval(SWEEP_EVERY);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut batch = Vec::with_capacity(BATCH);
    // What the process before heard comes first: the clock must not raise what an alert is about to lower.
    engine.sweep(&mut jobs, LEFT_BEHIND, clock::now()).await;
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            Some(job) = jobs.recv() => engine.job(job, clock::now()).await,
            // Before the alerts: in a storm, deadlines must not wait for its end.
            _ = tick.tick() => engine.tick(clock::now()).await,
            _ = sweep.tick() => {
                // What came in within the last moment is most likely in our own queue.
                let before = clock::now().saturating_sub(IN_OUR_QUEUE).unwrap_or(Timestamp::MIN);
                engine.sweep(&mut jobs, BATCH, before).await;
            }
            count = arrivals.recv_many(&mut batch, BATCH) => {
                if count == 0 {
                    return;
                }
                engine.arrived(&mut batch, &mut jobs).await;
            }
        }
    }
}

impl Engine {
    async fn job(&self, job: Job, now: Timestamp) {
        match job {
            Job::Order { arrival, reply } => {
                let answer = self.ordered(&arrival, now).await;
                // The asker may have hung up; the order is decided all the same.
                let _ = reply.send(answer);
            }
            Job::Report {
                rollout,
                action,
                outcome,
                saved,
            } => {
                let event = Event::Reported { action, outcome };
                let done = match self.apply(&rollout, &event, None, now).await {
                    Ok(_) => true,
                    Err(failure) => {
                        error!(rollout.id = %rollout, "Could not save an outcome of {rollout}, it will be reported again: {failure:#}");
                        false
                    }
                };
                let _ = saved.send(done);
            }
        }
    }

    /// Decides a stored order and stores the answer with it.
    async fn ordered(&self, arrival: &Arrival, now: Timestamp) -> Result<Answer, DeskError> {
        let Content::Said {
            actor,
            verb,
            rollout,
            seen,
            not_after,
        } = &arrival.content
        else {
            return Ok(Answer::text("Nothing had to change."));
        };
        let request = Request {
            actor: actor.clone(),
            verb: verb.clone(),
            rollout: None,
            seen: *seen,
            key: arrival.nonce.clone(),
            not_after: *not_after,
        };
        let order = Order {
            request,
            about: rollout.as_ref().map(tidegate_rollout::RolloutId::new),
        };
        let failed = |source| DeskError {
            tried: "decide it; it is stored and will be taken up again",
            source,
        };
        let answer = self
            .order(&order.request, order.about.as_ref(), &arrival.id, now)
            .await
            .map_err(failed)?;
        let settled = Settled {
            id: arrival.id.clone(),
            answer: serde_json::to_string(&answer).ok(),
        };
        if let Err(failure) = self.store.settle(&[settled]).await {
            warn!("Could not note that an order was decided; it will be looked at again: {failure}");
        }
        Ok(answer)
    }

    /// Decides a batch of arrivals. Orders and outcomes that come in meanwhile go first.
    async fn arrived(&self, batch: &mut Vec<Arrival>, jobs: &mut mpsc::Receiver<Job>) {
        let mut settled = Vec::with_capacity(batch.len());
        for arrival in batch.drain(..) {
            while let Ok(job) = jobs.try_recv() {
                self.job(job, clock::now()).await;
            }
            match self.arrival(&arrival, clock::now()).await {
                Ok(()) => settled.push(Settled {
                    id: arrival.id,
                    answer: None,
                }),
                Err(failure) => {
                    error!(delivery.id = %arrival.id, "Could not decide {}, it will be taken up again: {failure:#}", arrival.id)
                }
            }
        }
        failpoint::hit!("decider.before-settle");
        if let Err(failure) = self.store.settle(&settled).await {
            warn!(
                "Could not note that {} arrivals were decided; they will be looked at again: {failure}",
                settled.len()
            );
        }
    }

    async fn arrival(&self, arrival: &Arrival, now: Timestamp) -> anyhow::Result<()> {
        match &arrival.content {
            Content::Alerts {
                source,
                receiver,
                alerts,
                ..
            } => {
                self.path.heard(receiver, arrival.at);
                self.alerts(*source, receiver, alerts, arrival.at, now, Event::Alerted)
                    .await
            }
            Content::Polled {
                source,
                receiver,
                alerts,
            } => {
                self.alerts(*source, receiver, alerts, arrival.at, now, Event::Polled)
                    .await
            }
            Content::Said { .. } => match self.ordered(arrival, now).await {
                Ok(_) => Ok(()),
                Err(failure) => Err(failure.into()),
            },
        }
    }

    async fn alerts(
        &self,
        source: Source,
        receiver: &str,
        alerts: &[Alert],
        at: Timestamp,
        now: Timestamp,
        event: fn(Alert) -> Event,
    ) -> anyhow::Result<()> {
        for alert in alerts {
            let outcome = if alert.is_watchdog() {
                if source == Source::Alertmanager && alert.status == AlertStatus::Firing {
                    self.path.saw_watchdog(receiver, at);
                }
                "watchdog"
            } else {
                let cached = self.cached();
                let concerned = route(alert, cached.iter().map(|rollout| &**rollout));
                for id in &concerned {
                    // Alerts are never refused; a refusal here could only come from a person's command.
                    let _ = self.apply(id, &event(alert.clone()), None, now).await?;
                }
                if concerned.is_empty() { "unmatched" } else { "matched" }
            };
            metrics::counter!("tidegate_alerts_total", "source" => source.word(), "result" => outcome).increment(1);
        }
        Ok(())
    }

    /// Tells every rollout when nobody watched: the process stood still, or the wall clock jumped.
    async fn mind_breaks(&self, now: Timestamp) {
        let moment = Moment {
            wall: now,
            steady: self.began.elapsed(),
        };
        let away = self
            .attention
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .look(moment);
        let Some(away_since) = away else {
            return;
        };
        warn!("Nobody watched since {away_since}, or the clock of this machine jumped");
        for rollout in self.cached() {
            let event = Event::Returned { away_since };
            if let Err(failure) = self.apply(&rollout.id, &event, None, now).await {
                warn!(rollout.id = %rollout.id, "Could not tell {} about the break: {failure:#}", rollout.id);
            }
        }
    }

    async fn tick(&self, now: Timestamp) {
        self.mind_breaks(now).await;
        let mut environments = std::collections::BTreeMap::new();
        for rollout in self.cached() {
            let name = rollout.plan.spec.environment.clone();
            if !environments.contains_key(&name) {
                match self.environment(&rollout, now).await {
                    Ok(environment) => environments.insert(name.clone(), environment),
                    Err(failure) => {
                        warn!("Could not look at the clock for {name}: {failure:#}");
                        return;
                    }
                };
            }
            let Some(environment) = environments.get(&name) else {
                continue;
            };
            // Most ticks change nothing: find that out before touching the store.
            let around = self.around(&rollout, environment, 1);
            let changes = tidegate_rollout::step(&rollout, &around, &Event::Ticked, now).is_ok_and(|step| step.changed);
            if changes && let Err(failure) = self.apply(&rollout.id, &Event::Ticked, None, now).await {
                warn!(rollout.id = %rollout.id, "Could not save what time did to {}: {failure:#}", rollout.id);
            }
        }
        self.vitals.well("decider");
        self.path_alive(now);
    }

    /// The decider has looked at everything at this moment; readiness asks for it.
    fn path_alive(&self, now: Timestamp) {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a gauge of seconds needs no more than 52 bits"
        )]
        metrics::gauge!("tidegate_decider_last_tick_timestamp_seconds").set(now.as_second() as f64);
    }

    /// Takes up arrivals from before a moment that no queue of this replica holds.
    async fn sweep(&self, jobs: &mut mpsc::Receiver<Job>, limit: usize, before: Timestamp) {
        match self.store.unsettled(u32::try_from(limit).unwrap_or(u32::MAX)).await {
            Ok(mut left) => {
                left.retain(|arrival| arrival.at < before);
                if !left.is_empty() {
                    self.arrived(&mut left, jobs).await;
                }
            }
            Err(failure) => warn!("Could not search for arrivals left behind: {failure}"),
        }
    }
}
