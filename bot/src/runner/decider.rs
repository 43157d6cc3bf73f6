//! Owns the one loop that decides: orders and outcomes first, then the clock, then alerts.
//! Refuses to wait for anything outside: workers do that.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tidegate_rollout::Event;
use tidegate_rollout::attention::{Attention, Moment};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::arrivals::{BATCH, JUST_NOW};
use super::decide::says_what_was_done;
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

    /// Does what workers and people wait for, before anything else that takes long.
    pub(super) async fn jobs_first(&self, jobs: &mut mpsc::Receiver<Job>) {
        while let Ok(job) = jobs.try_recv() {
            self.job(job, clock::now()).await;
        }
    }

    /// Tells every rollout when nobody watched: the process stood still, or the wall clock jumped. Where another replica
    /// watched meanwhile, this one goes on as if it had just started beside it. `false` when somebody could not be told;
    /// the break is found again then.
    pub(super) async fn mind_breaks(&self, now: Timestamp) -> bool {
        let moment = self.moment(now);
        let Some(away_since) = self.watching().away(moment) else {
            self.watching().look(moment);
            return true;
        };
        let others = self.store.last_beat_but(&self.settings().replica).await;
        let others = others.unwrap_or_else(|failure| {
            warn!("Could not read whether another replica watched: {failure}");
            None
        });
        let told = match others.filter(|beat| (away_since..=now).contains(beat)) {
            Some(last_beat) => {
                warn!("This replica did not watch since {away_since}; another one did until {last_beat}");
                // What it has watched itself says nothing of what the other one has.
                let before = std::mem::take(&mut *self.watching());
                let told = self.returned(last_beat, now).await;
                if told.is_err() {
                    *self.watching() = before;
                }
                told
            }
            None => {
                warn!("Nobody watched since {away_since}, or the clock of this machine jumped");
                self.returned(away_since, now).await
            }
        };
        if let Err(failure) = told {
            warn!("Could not tell everybody about the break: {failure:#}");
            return false;
        }
        self.watch_from(now);
        true
    }

    /// Tells every rollout that somebody watched until `away_since`, and nobody from then to now.
    pub(super) async fn returned(&self, away_since: Timestamp, now: Timestamp) -> anyhow::Result<()> {
        let mut first = Ok(());
        for rollout in self.looked_after() {
            let event = Event::Returned { away_since };
            if let Err(failure) = self.apply(&rollout.id, &event, None, now).await {
                first = first.and(Err(failure.context(format!("tell {}", rollout.id))));
            }
        }
        first
    }

    /// Until when this process has watched: `now`, unless it stood still, or its clock jumped, and not everybody was told yet.
    pub(super) fn watched_until(&self, now: Timestamp) -> Timestamp {
        self.watching().away(self.moment(now)).unwrap_or(now)
    }

    /// From now on this process watches everything that is under way.
    pub(super) fn watch_from(&self, now: Timestamp) {
        let moment = self.moment(now);
        let mut attention = self.watching();
        attention.look(moment);
        for rollout in self.cached() {
            attention.watched(&rollout, moment.steady);
        }
    }

    fn watching(&self) -> MutexGuard<'_, Attention> {
        self.attention.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn moment(&self, now: Timestamp) -> Moment {
        Moment {
            wall: now,
            steady: self.began.elapsed(),
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
            self.watch_from(now);
            self.vitals.well("decider");
            return self.path_alive(now);
        }
        let undecided = match self.undecided(None, now).await {
            Ok(undecided) => undecided,
            Err(failure) => return warn!("Could not look at the clock: {failure:#}"),
        };
        let mut environments = BTreeMap::new();
        for rollout in self.looked_after() {
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
