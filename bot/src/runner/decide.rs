//! Owns one decision from reading to saving: read what surrounds the rollout, step, save, and again when somebody was faster.
//! Refuses to act on what is not saved.

use std::sync::{Arc, PoisonError};

use anyhow::Context;
use jiff::Timestamp;
use tidegate_rollout::begin::Start;
use tidegate_rollout::command::Verb;
use tidegate_rollout::surroundings::{Freeze, Surroundings};
use tidegate_rollout::{
    ActionKind, Alert, DeliveryId, Entry, Event, Lane, Period, Plan, Refusal, Rollout, RolloutId, Step, policy, step,
};

use super::Engine;
use crate::chat::{Answer, Request};
use crate::store::{Begun, Environment, Opening, Saved};

/// So often somebody else may be faster before we give up; every loss means that the other one got something done.
const TRIES: usize = 16;

/// The same alert on several services counts as one event within this time.
const TOGETHER: Period = Period::minutes(2);

/// What an event did.
#[derive(Debug)]
pub(super) enum Applied {
    /// This, and it is saved.
    Step(Box<Step>),
    /// Nothing had to change, or the rollout is gone.
    Nothing,
    /// What caused it was settled before.
    Before,
}

impl Engine {
    /// Lets `event` happen to a rollout. With a `cause`, that arrival is settled in the same commit.
    pub(super) async fn apply(
        &self,
        id: &RolloutId,
        event: &Event,
        cause: Option<&DeliveryId>,
        now: Timestamp,
    ) -> anyhow::Result<Result<Applied, Refusal>> {
        let mut cached = self.cached_one(id);
        for _ in 0..TRIES {
            let from_cache = cached.is_some();
            let current = match cached.take() {
                Some(rollout) => rollout,
                None => match self.store.rollout(id).await.context("read the rollout")? {
                    Some(rollout) => Arc::new(rollout),
                    None => return Ok(Ok(Applied::Nothing)),
                },
            };
            let environment = self.environment(&current, now).await?;
            let around = self.surroundings(&current, &environment, event).await?;
            let step = match step(&current, &around, event, now) {
                // What is saved is guarded by the generation; what is not saved must not rest on an old copy. Another
                // replica may have moved it: the outcome of an action that we know nothing of yet would be lost.
                Err(_) if from_cache => continue,
                Ok(step) if from_cache && !step.changed => continue,
                Err(refusal) => return Ok(Err(refusal)),
                Ok(step) => step,
            };
            if !step.changed {
                return Ok(Ok(Applied::Nothing));
            }
            let saved = self.store.save(&step, environment.generation, cause, now).await;
            match saved.context("save the step")? {
                Saved::Done => {
                    self.saved(&step);
                    return Ok(Ok(Applied::Step(Box::new(step))));
                }
                Saved::SettledBefore => return Ok(Ok(Applied::Before)),
                // Somebody moved it meanwhile: read again, decide again.
                Saved::Conflict => {}
            }
        }
        anyhow::bail!("{id} was moved by somebody else {TRIES} times in a row")
    }

    /// What follows from a saved step: the cache, and a ring for whoever has work now.
    pub(super) fn saved(&self, step: &Step) {
        self.cache(step.next.clone());
        if step.actions.iter().any(|action| action.lane() == Lane::Safety) {
            self.wake.safety.notify_one();
        }
        if step.actions.iter().any(|action| action.lane() == Lane::Forward) {
            self.wake.forward.notify_one();
        }
        if step
            .actions
            .iter()
            .any(|action| matches!(action.kind, ActionKind::AskAboutAlert { .. }))
        {
            self.wake.poll.notify_one();
        }
        if !step.notices.is_empty() {
            self.wake.voice.notify_one();
        }
    }

    pub(super) async fn environment(&self, rollout: &Rollout, now: Timestamp) -> anyhow::Result<Environment> {
        let name = &rollout.plan.spec.environment;
        let window = self.settings().budget_of(name).window;
        let since = now.saturating_sub(window.duration()).unwrap_or(Timestamp::MIN);
        self.store
            .environment(name, since)
            .await
            .context("read the environment")
    }

    /// What the rollout cannot know by itself.
    pub(super) async fn surroundings(
        &self,
        rollout: &Rollout,
        environment: &Environment,
        event: &Event,
    ) -> anyhow::Result<Surroundings> {
        let services = match event {
            Event::Alerted(alert) | Event::Polled(alert) => self.services_with(alert, rollout).await?,
            Event::Commanded { .. }
            | Event::Reported { .. }
            | Event::Drifted { .. }
            | Event::Ticked
            | Event::Returned { .. } => 1,
        };
        Ok(self.around(rollout, environment, services))
    }

    pub(super) fn around(&self, rollout: &Rollout, environment: &Environment, services: u32) -> Surroundings {
        let mut attention = self.attention.lock().unwrap_or_else(PoisonError::into_inner);
        Surroundings {
            watched: attention.watched(rollout, self.began.elapsed()),
            ..self.around_plan(&rollout.plan, environment, services)
        }
    }

    fn around_plan(&self, plan: &Plan, environment: &Environment, services: u32) -> Surroundings {
        let settings = self.settings();
        let (watchdog_seen, poll) = self.path.over(&plan.spec.alerts.receivers);
        Surroundings {
            watchdog_seen,
            watchdog_fresh: settings.watchdog_fresh,
            poll,
            automatic_rollbacks: environment.automatic_rollbacks,
            automatic_rollbacks_allowed: settings.budget_of(&plan.spec.environment).rollbacks,
            freeze: environment.freeze.clone(),
            watched: None,
            services_with_this_alert: services,
        }
    }

    async fn services_with(&self, alert: &Alert, rollout: &Rollout) -> anyhow::Result<u32> {
        let since = alert
            .starts_at
            .saturating_sub(TOGETHER.duration())
            .unwrap_or(Timestamp::MIN);
        let environment = &rollout.plan.spec.environment;
        let services = self
            .store
            .services_with_alert(alert.name(), environment, since)
            .await
            .context("count the services with this alert")?;
        Ok(services.max(1))
    }

    /// Decides an order: a start, a freeze, or something asked of one rollout.
    pub(super) async fn order(
        &self,
        request: &Request,
        about: Option<&RolloutId>,
        cause: &DeliveryId,
        now: Timestamp,
    ) -> anyhow::Result<Answer> {
        if let Some(late) = too_late(request, now) {
            return Ok(late.into());
        }
        match (&request.verb, about) {
            (Verb::Start { plan, inputs }, _) => self.start_plan(request, plan, inputs.clone(), cause, now).await,
            (Verb::Freeze { environment, reason }, _) => {
                let freeze = Freeze {
                    by: request.actor.person.to_string(),
                    reason: reason.clone(),
                    at: now,
                };
                self.freeze(request, environment, Some(freeze), cause, now).await
            }
            (Verb::Thaw { environment }, _) => self.freeze(request, environment, None, cause, now).await,
            (Verb::Do(command), Some(id)) => {
                let event = Event::Commanded {
                    actor: request.actor.clone(),
                    command: command.clone(),
                    seen: request.seen,
                };
                Ok(match self.apply(id, &event, Some(cause), now).await? {
                    Err(refusal) => refusal.into(),
                    Ok(Applied::Step(step)) => Answer::done(&step),
                    Ok(Applied::Nothing) => Answer::text("Nothing had to change."),
                    Ok(Applied::Before) => Answer::text(BEFORE),
                })
            }
            (Verb::Do(_) | Verb::Status | Verb::List | Verb::History | Verb::Whoami | Verb::Help, _) => {
                Ok(Answer::text("Nothing had to change."))
            }
        }
    }

    async fn start_plan(
        &self,
        request: &Request,
        name: &str,
        inputs: std::collections::BTreeMap<String, String>,
        cause: &DeliveryId,
        now: Timestamp,
    ) -> anyhow::Result<Answer> {
        let plans = self.plans.load_full();
        let plan = match plans.get(name) {
            Ok(plan) => plan,
            Err(refusal) => return Ok(refusal.into()),
        };
        let target = plan.spec.target.name();
        let also = plan.targets();
        let window = self.settings().budget_of(&plan.spec.environment).window;
        let opening = Opening {
            plan: name,
            target: &target,
            also: &also,
            environment: &plan.spec.environment,
            window_since: now.saturating_sub(window.duration()).unwrap_or(Timestamp::MIN),
            cause: Some(cause),
            now,
        };
        let begun = self.store.begin(opening, |facts| {
            let around = self.around_plan(&plan, &facts.environment, 1);
            let start = Start {
                plan: Arc::clone(&plan),
                inputs,
                actor: request.actor.clone(),
                counter: facts.counter,
                recent: facts.recent,
                target_busy: facts.target_busy,
                target_epoch: facts.target_epoch,
            };
            Rollout::begin(start, &around, now)
        });
        Ok(match begun.await.context("store the start")? {
            Begun::Refused(refusal) => refusal.into(),
            Begun::SettledBefore => Answer::text(BEFORE),
            Begun::Started(step) => {
                self.saved(&step);
                Answer::done(&step)
            }
        })
    }

    async fn freeze(
        &self,
        request: &Request,
        environment: &str,
        freeze: Option<Freeze>,
        cause: &DeliveryId,
        now: Timestamp,
    ) -> anyhow::Result<Answer> {
        if let Err(refusal) = policy::may(&request.actor, &request.verb, None) {
            return Ok(refusal.into());
        }
        let by = request.actor.person.to_string();
        let text = match &freeze {
            Some(freeze) => {
                format!(
                    "{by} froze every change of {environment}: \"{}\". Rollbacks still work.",
                    freeze.reason
                )
            }
            None => format!("{by} allowed changes of {environment} again."),
        };
        let said = Entry {
            at: now,
            kind: request.verb.word().to_owned(),
            by,
            text: text.clone(),
        };
        let done = self
            .store
            .set_freeze(environment, freeze.as_ref(), &said, Some(cause))
            .await
            .context("store the freeze")?;
        Ok(Answer::text(if done { text } else { BEFORE.to_owned() }))
    }
}

/// The answer to an order that a crash kept from being answered.
const BEFORE: &str = "That was done before; see `history`.";

/// A command that waited too long is refused, for its sender no longer looks; a rollback is done and told.
fn too_late(request: &Request, now: Timestamp) -> Option<Refusal> {
    let is_rollback = matches!(&request.verb, Verb::Do(tidegate_rollout::Command::Rollback { .. }));
    let not_after = request.not_after?;
    (now > not_after && !is_rollback).then(|| {
        Refusal::new(
            tidegate_rollout::Code::R408,
            format!(
                "`{}` was taken up {} too late; nothing was done.",
                request.verb.word(),
                Period::between(not_after, now)
            ),
            "Look at the present state, then say it again.",
        )
    })
}
