//! Owns what this process has watched, and the word to every rollout when nobody did: the process stood still, the wall clock
//! jumped, or it has only just started.
//! Refuses to let anything be decided on time that nobody watched: whoever decides asks here first.

use std::collections::BTreeSet;
use std::sync::{Arc, MutexGuard, PoisonError};

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use tidegate_rollout::attention::{Attention, Moment};
use tidegate_rollout::{Event, Rollout, RolloutId};
use tracing::warn;

use super::Engine;
use super::environments::Environments;

/// So many rollouts are told in one commit. On SQLite whoever wants to write meanwhile waits for it.
const TOGETHER: usize = 32;

impl Engine {
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
        self.watch_from(self.since(moment));
        true
    }

    /// Tells every rollout that somebody watched until `away_since`, and nobody from then to now. Many in one commit: after a
    /// start nothing else is decided before.
    pub(super) async fn returned(&self, away_since: Timestamp, now: Timestamp) -> anyhow::Result<()> {
        let event = Event::Returned { away_since };
        let mut first = Ok(());
        for some in self.looked_after().chunks(TOGETHER) {
            let told = self.told_together(some, &event, now).await.unwrap_or_else(|failure| {
                warn!(
                    "Could not tell {} rollouts at once about the break: {failure:#}",
                    some.len()
                );
                BTreeSet::new()
            });
            for rollout in some.iter().filter(|rollout| !told.contains(&rollout.id)) {
                if let Err(failure) = self.apply(&rollout.id, &event, None, now).await {
                    first = first.and(Err(failure.context(format!("tell {}", rollout.id))));
                }
            }
        }
        first
    }

    /// Those whom one commit told; the others are to be told one by one.
    async fn told_together(
        &self,
        rollouts: &[Arc<Rollout>],
        event: &Event,
        now: Timestamp,
    ) -> anyhow::Result<BTreeSet<RolloutId>> {
        let undecided = self.undecided(None, now).await?;
        let mut environments = Environments::default();
        let mut steps = Vec::with_capacity(rollouts.len());
        for rollout in rollouts {
            let environment = environments.of(self, rollout, now).await?;
            let around = self.around(rollout, environment, undecided);
            let step = tidegate_rollout::step(rollout, &around, event, now);
            steps.extend(
                step.ok()
                    .filter(|step| step.changed)
                    .map(|step| (step, environment.generation)),
            );
        }
        if !self.store.save_together(&steps, now).await.context("save the steps")? {
            return Ok(BTreeSet::new());
        }
        for (step, _) in &steps {
            self.saved(step);
        }
        Ok(steps.into_iter().map(|(step, _)| step.next.id).collect())
    }

    /// Until when this process has watched: `now`, unless it stood still, or its clock jumped, and not everybody was told yet.
    pub(super) fn watched_until(&self, now: Timestamp) -> Timestamp {
        self.watching().away(self.moment(now)).unwrap_or(now)
    }

    /// From this moment on this process watches everything that is under way.
    pub(super) fn watch_from(&self, moment: Moment) {
        let mut attention = self.watching();
        attention.look(moment);
        for rollout in self.cached() {
            attention.watched(&rollout, moment.steady);
        }
    }

    fn watching(&self) -> MutexGuard<'_, Attention> {
        self.attention.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The present moment. To tell many takes a while: reckoned from the moment before it, that would look like a break, and
    /// everybody would be told again, for ever.
    pub(super) fn since(&self, before: Moment) -> Moment {
        let steady = self.began.elapsed();
        let passed = SignedDuration::try_from(steady.saturating_sub(before.steady)).unwrap_or(SignedDuration::MAX);
        Moment {
            wall: before.wall.saturating_add(passed).unwrap_or(Timestamp::MAX),
            steady,
        }
    }

    pub(super) fn moment(&self, now: Timestamp) -> Moment {
        Moment {
            wall: now,
            steady: self.began.elapsed(),
        }
    }
}
