//! Owns the one loop that decides: orders and outcomes first, then the clock, then alerts.
//! Refuses to wait for anything outside: workers do that.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use tidegate_rollout::{DeliveryId, Event};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::arrivals::{BATCH, JUST_NOW};
use super::decide::{BEFORE, says_what_was_done};
use super::environments::Environments;
use super::{Engine, Job, Queues, poller};
use crate::chat::{Answer, DeskError, Order, Request};
use crate::clock;
use crate::store::{Arrival, Content, Settled};
use crate::telemetry::metrics::DECIDER_TICK;

/// How often the store is searched for arrivals that other replicas took in, or that did not fit into the queue.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// The first round of polling has ended after this time, or something is wrong with it.
const FIRST_ROUND: Duration = poller::LONGEST.saturating_add(Duration::from_secs(1));

/// Runs until `stop`.
pub(super) async fn run(engine: Arc<Engine>, queues: Queues, stop: CancellationToken) {
    let Queues { mut jobs, mut arrivals } = queues;
    let mut tick = tokio::time::interval(engine.settings().tick_every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sweep = tokio::time::interval(SWEEP_EVERY);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut batch = Vec::with_capacity(BATCH);
    // What the process before heard comes first. What cannot be decided now is tried again by the sweeps, and until then
    // keeps everything from being raised.
    let mut place = engine.sweep(&mut jobs, 0, SignedDuration::ZERO).await;
    while let (Some(after), false) = (place, stop.is_cancelled()) {
        place = engine.sweep(&mut jobs, after, SignedDuration::ZERO).await;
    }
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            Some(job) = jobs.recv() => engine.job(job, clock::now()).await,
            // Before the alerts: in a storm, deadlines must not wait for its end.
            _ = tick.tick() => engine.tick(clock::now()).await,
            _ = sweep.tick() => {
                place = engine.sweep(&mut jobs, place.unwrap_or(0), JUST_NOW).await;
                if place.is_some() {
                    sweep.reset_immediately();
                }
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
        self.mind_breaks(now).await;
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
    pub(super) async fn ordered(&self, arrival: &Arrival, now: Timestamp) -> Result<Answer, DeskError> {
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
            place: None,
            seen: *seen,
            key: arrival.nonce.clone(),
            not_after: *not_after,
        };
        let order = Order {
            request,
            about: rollout.as_ref().map(tidegate_rollout::RolloutId::new),
        };
        let failed = |source| DeskError::Undecided { source };
        let answer = self
            .order(&order.request, order.about.as_ref(), &arrival.id, now)
            .await
            .map_err(failed)?;
        // A sweep was faster, here or in another replica: that it is done is why it is refused now.
        if !answer.ok && self.was_done_before(&arrival.id).await.map_err(failed)? {
            return Ok(Answer::text(BEFORE));
        }
        let settled = Settled {
            id: arrival.id.clone(),
            answer: says_what_was_done(&answer)
                .then(|| serde_json::to_string(&answer).ok())
                .flatten(),
        };
        if let Err(failure) = self.store.settle(&[settled]).await {
            warn!("Could not note that an order was decided; it will be looked at again: {failure}");
        }
        Ok(answer)
    }

    async fn was_done_before(&self, id: &DeliveryId) -> anyhow::Result<bool> {
        self.store
            .is_settled(id)
            .await
            .context("look whether it was done before")
    }

    /// Does what workers and people wait for, before anything else that takes long.
    pub(super) async fn jobs_first(&self, jobs: &mut mpsc::Receiver<Job>) {
        while let Ok(job) = jobs.try_recv() {
            self.job(job, clock::now()).await;
        }
    }

    /// Whether this process knows what time may do. Before its first round of polling it knows nothing of the alert sources,
    /// which is no reason to say that nobody does; but for no longer than a round may last.
    fn knows(&self) -> bool {
        self.asked_once.load(Ordering::Acquire) || self.began.elapsed() > FIRST_ROUND
    }

    pub(super) async fn tick(&self, now: Timestamp) {
        if !self.mind_breaks(now).await {
            return;
        }
        if !self.knows() {
            self.watch_from(self.moment(now));
            self.vitals.well("decider");
            return self.path_alive(now);
        }
        let undecided = match self.undecided(None, now).await {
            Ok(undecided) => undecided,
            Err(failure) => return warn!("Could not look at the clock: {failure:#}"),
        };
        let mut environments = Environments::default();
        for rollout in self.looked_after() {
            let environment = match environments.of(self, &rollout, now).await {
                Ok(environment) => environment,
                Err(failure) => return warn!(rollout.id = %rollout.id, "Could not look at the clock: {failure:#}"),
            };
            // Most ticks change nothing: find that out before touching the store.
            let around = self.around(&rollout, environment, undecided);
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
        metrics::gauge!(DECIDER_TICK).set(now.as_second() as f64);
    }
}
