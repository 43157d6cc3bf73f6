//! Owns the deciding of what was heard: a batch of arrivals is told to each rollout that it concerns, in one step.
//! Refuses to let it take long: orders and outcomes that come in meanwhile go first.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use tidegate_rollout::route::route;
use tidegate_rollout::{Alert, DeliveryId, Event, RolloutId, Source};
use tokio::sync::mpsc;
use tracing::{error, warn};

use super::{Engine, Job, series};
use crate::clock;
use crate::failpoint;
use crate::store::{Arrival, Content, Settled};

/// So many arrivals are decided before orders get their turn again.
pub(super) const BATCH: usize = 64;
/// So many alerts are told in one step: few enough that it does not take long.
const ALERTS: usize = 1_000;
/// What came in so lately is most likely being decided by the replica that took it in.
pub(super) const JUST_NOW: SignedDuration = SignedDuration::from_millis(500);
/// So many arrivals are read from the store at a time: each may be megabytes large.
const LEFT_BEHIND: u32 = 32;

impl Engine {
    /// Decides a batch of arrivals, and settles those whose consequences are saved.
    pub(super) async fn arrived(&self, batch: &mut Vec<Arrival>, jobs: &mut mpsc::Receiver<Job>) {
        let ids: Vec<DeliveryId> = batch.iter().map(|arrival| arrival.id.clone()).collect();
        if let Err(failure) = self.refresh().await {
            error!("Could not see whom the alerts concern, they will be taken up again: {failure:#}");
            batch.clear();
            return self.waiting().forget(ids);
        }
        self.mind_breaks(clock::now()).await;
        let mut told = Told::default();
        for arrival in batch.drain(..) {
            match arrival.content {
                Content::Said { .. } => {
                    // In the order in which they came.
                    self.tell(&mut told, jobs).await;
                    if let Err(failure) = self.ordered(&arrival, clock::now()).await {
                        undecided(&arrival.id, &failure.into());
                        told.undecided.push(arrival.id);
                    }
                }
                Content::Alerts { source, alerts, .. } => {
                    self.sort(&mut told, &arrival.id, source, alerts, Event::Alerted);
                }
                Content::Polled { source, alerts, .. } => {
                    self.sort(&mut told, &arrival.id, source, alerts, Event::Polled);
                }
            }
            if told.count >= ALERTS {
                self.tell(&mut told, jobs).await;
            }
        }
        self.tell(&mut told, jobs).await;
        self.waiting().forget(ids.iter().cloned());
        let settled = ids.into_iter().filter(|id| !told.undecided.contains(id));
        self.settled(settled.collect()).await;
    }

    async fn settled(&self, ids: Vec<DeliveryId>) {
        failpoint::hit!("decider.before-settle");
        let settled: Vec<Settled> = ids.into_iter().map(|id| Settled { id, answer: None }).collect();
        if let Err(failure) = self.store.settle(&settled).await {
            warn!(
                "Could not note that {} arrivals were decided; they will be looked at again: {failure}",
                settled.len()
            );
        }
    }

    /// Finds out whom the alerts of a delivery concern.
    fn sort(
        &self,
        told: &mut Told,
        delivery: &DeliveryId,
        source: Source,
        alerts: Vec<Alert>,
        event: fn(Alert) -> Event,
    ) {
        let cached = self.cached();
        for alert in alerts {
            if alert.is_watchdog() {
                series::heard(source, "watchdog", 1);
                continue;
            }
            let ids = route(&alert, cached.iter().map(|rollout| &**rollout));
            let matched = if ids.is_empty() { "unmatched" } else { "matched" };
            series::heard(source, matched, 1);
            for id in ids {
                told.count += 1;
                let concerned = told.concerned.entry(id).or_default();
                concerned.events.push(event(alert.clone()));
                if concerned.deliveries.last() != Some(delivery) {
                    concerned.deliveries.push(delivery.clone());
                }
            }
        }
    }

    /// Tells each rollout what was sorted out for it, in one step.
    async fn tell(&self, told: &mut Told, jobs: &mut mpsc::Receiver<Job>) {
        told.count = 0;
        for (id, Concerned { events, deliveries }) in std::mem::take(&mut told.concerned) {
            self.jobs_first(jobs).await;
            // Alerts are never refused; a refusal here could only come from a person's command.
            if let Err(failure) = self.apply_all(&id, &events, None, clock::now()).await {
                for delivery in &deliveries {
                    undecided(delivery, &failure);
                }
                told.undecided.extend(deliveries);
            }
        }
    }

    /// Takes up arrivals after the `after`th that our queue does not hold, and says where to go on if there may be more.
    /// What is dated later than now was written by a clock that ran ahead, or ours went back.
    pub(super) async fn sweep(
        &self,
        jobs: &mut mpsc::Receiver<Job>,
        after: u64,
        just_now: SignedDuration,
    ) -> Option<u64> {
        let now = clock::now();
        let before = now.saturating_sub(just_now).unwrap_or(Timestamp::MIN);
        match self.store.unsettled(after, LEFT_BEHIND).await {
            Ok((mut left, more)) => {
                left.retain(|arrival| arrival.at < before || arrival.at > now);
                self.waiting().leave_out(&mut left);
                if !left.is_empty() {
                    self.arrived(&mut left, jobs).await;
                }
                more
            }
            Err(failure) => {
                warn!("Could not search for arrivals left behind: {failure}");
                None
            }
        }
    }
}

fn undecided(delivery: &DeliveryId, failure: &anyhow::Error) {
    error!(delivery.id = %delivery, "Could not decide {delivery}, it will be taken up again: {failure:#}");
}

/// What a batch tells, sorted by whom it concerns.
#[derive(Default)]
struct Told {
    concerned: BTreeMap<RolloutId, Concerned>,
    /// How many alerts wait to be told.
    count: usize,
    /// Deliveries that somebody could not be told of.
    undecided: Vec<DeliveryId>,
}

/// What concerns one rollout: the events in the order in which they came, and the deliveries that brought them.
#[derive(Default)]
struct Concerned {
    events: Vec<Event>,
    deliveries: Vec<DeliveryId>,
}
