//! Owns one decision from reading to saving: read what surrounds the rollout, step, save, and again when somebody was faster.
//! Refuses to act on what is not saved.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use anyhow::Context;
use jiff::Timestamp;
use tidegate_rollout::begin::Start;
use tidegate_rollout::command::Verb;
use tidegate_rollout::plan::{Scope, Trigger};
use tidegate_rollout::route::route;
use tidegate_rollout::surroundings::{Freeze, Surroundings};
use tidegate_rollout::{
    ActionKind, Alert, DeliveryId, Entry, Event, Lane, Period, Plan, Refusal, Rollout, RolloutId, Step, policy,
    step_all,
};
use tracing::warn;

use super::services::{Services, TOGETHER};
use super::{Engine, series};
use crate::chat::{Answer, Request};
use crate::store::{Begun, Environment, Froze, Opening, Saved, Starts};

/// So often somebody else may be faster before we give up; every loss means that the other one got something done.
const TRIES: usize = 16;

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
        self.apply_all(id, std::slice::from_ref(event), cause, now).await
    }

    /// Lets everything that one delivery tells happen to a rollout, in one step and one commit.
    pub(super) async fn apply_all(
        &self,
        id: &RolloutId,
        events: &[Event],
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
            let heard = self.heard(&current, &environment, events, cause, now).await?;
            let step = match step_all(&current, &heard, now) {
                // What is saved is guarded by the generation; what is not saved must not rest on an old copy. Another
                // replica may have moved it: the outcome of an action that we know nothing of yet would be lost.
                Err(_) if from_cache => continue,
                Ok(Some(step)) if from_cache && !step.changed => continue,
                Err(refusal) => return Ok(Err(refusal)),
                Ok(Some(step)) if step.changed => step,
                Ok(_) => return Ok(Ok(Applied::Nothing)),
            };
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

    /// Each event with what surrounds the rollout when it is heard.
    async fn heard(
        &self,
        rollout: &Rollout,
        environment: &Environment,
        events: &[Event],
        cause: Option<&DeliveryId>,
        now: Timestamp,
    ) -> anyhow::Result<Vec<(Surroundings, Event)>> {
        let undecided = self.undecided(cause, now).await?;
        let services = Services::of(self, rollout, events).await?;
        let around = self.around(rollout, environment, undecided);
        let with = |event: &Event| Surroundings {
            services_with_this_alert: services.with(rollout, event),
            ..around.clone()
        };
        Ok(events.iter().map(|event| (with(event), event.clone())).collect())
    }

    /// How long what waits longest to be decided has waited, the order in hand aside.
    pub(super) async fn undecided(&self, cause: Option<&DeliveryId>, now: Timestamp) -> anyhow::Result<Option<Period>> {
        let oldest = self.store.oldest_unsettled(cause).await;
        let oldest = oldest.context("look for what is not decided")?;
        Ok(oldest.map(|at| Period::between(at, now)))
    }

    /// Takes over what other replicas saved, so that nothing is routed past a rollout which they began.
    pub(super) async fn refresh(&self) -> anyhow::Result<()> {
        let seen = self.revision.load(Ordering::Relaxed);
        let changed = self.store.changed_since(seen).await;
        let (rollouts, position) = changed.context("read what other replicas changed")?;
        self.take_over(rollouts, position);
        Ok(())
    }

    /// A start of our own is in the cache. If it is the next after all that we know, we still know all.
    fn saw_start(&self, starts: Starts) {
        let before = starts.0.saturating_sub(1);
        // Another replica was faster: what it started is read with the next refresh.
        let _ = self
            .starts
            .compare_exchange(before, starts.0, Ordering::Release, Ordering::Relaxed);
    }

    /// What follows from a saved step: the cache, and a ring for whoever has work now.
    pub(super) fn saved(&self, step: &Step) {
        series::decided(step);
        self.cache(step.next.clone());
        if step
            .actions
            .iter()
            .any(|action| matches!(action.kind, ActionKind::ToZero { .. }))
        {
            self.wake.lowering.notify_one();
        }
        if step.actions.iter().any(|action| action.lane() == Lane::Forward) {
            self.wake.forward.notify_one();
        }
        if step
            .actions
            .iter()
            .any(|action| matches!(action.kind, ActionKind::AskAboutAlert { .. }))
        {
            self.wake.asking.notify_one();
            self.wake.poll.notify_one();
        }
        if step.next.pod_logs.is_some() {
            self.wake.asking.notify_one();
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

    /// A rollout as the store has it at this moment, and what surrounds it: for a worker that is about to do what may not be
    /// wanted any more.
    pub(super) async fn as_it_stands(
        &self,
        id: &RolloutId,
        now: Timestamp,
    ) -> anyhow::Result<Option<(Rollout, Surroundings)>> {
        let Some(rollout) = self.store.rollout(id).await.context("read the rollout")? else {
            return Ok(None);
        };
        let environment = self.environment(&rollout, now).await?;
        let undecided = self.undecided(None, now).await?;
        let around = self.around(&rollout, &environment, undecided);
        Ok(Some((rollout, around)))
    }

    /// What the rollout cannot know by itself.
    pub(super) fn around(
        &self,
        rollout: &Rollout,
        environment: &Environment,
        undecided: Option<Period>,
    ) -> Surroundings {
        let mut attention = self.attention.lock().unwrap_or_else(PoisonError::into_inner);
        Surroundings {
            watched: attention.watched(rollout, self.began.elapsed()),
            ..self.around_plan(&rollout.plan, environment, undecided)
        }
    }

    pub(super) fn around_plan(
        &self,
        plan: &Plan,
        environment: &Environment,
        undecided: Option<Period>,
    ) -> Surroundings {
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
            undecided,
            services_with_this_alert: 1,
        }
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
        inputs: BTreeMap<String, String>,
        cause: &DeliveryId,
        now: Timestamp,
    ) -> anyhow::Result<Answer> {
        let undecided = self.undecided(Some(cause), now).await?;
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
            service: only_own(&plan).then_some(plan.spec.service.as_str()),
            window_since: now.saturating_sub(window.duration()).unwrap_or(Timestamp::MIN),
            cause: Some(cause),
            now,
        };
        let begun = self.store.begin(opening, |facts| {
            let around = self.around_plan(&plan, &facts.environment, undecided);
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
            Begun::Started { step, starts } => {
                self.saved(&step);
                self.saw_start(starts);
                self.heard_meanwhile(&step.next, now).await;
                Answer::done(&step)
            }
        })
    }

    /// What another replica took in while the start was being saved was routed past it there. It is told once more; what
    /// the rollout knows already changes nothing.
    async fn heard_meanwhile(&self, rollout: &Rollout, now: Timestamp) {
        let since = now.saturating_sub(TOGETHER.duration()).unwrap_or(Timestamp::MIN);
        let told = async {
            let spec = &rollout.plan.spec;
            let alerts = match only_own(&rollout.plan) {
                true => {
                    let own = (spec.service.as_str(), spec.environment.as_str());
                    self.store.recent_alerts_of(own, since).await
                }
                false => self.store.recent_alerts(since).await,
            };
            let alerts = alerts.context("list recent alerts")?;
            let concern = |alert: &Alert| !route(alert, [rollout]).is_empty();
            let events: Vec<Event> = alerts.into_iter().filter(concern).map(Event::Alerted).collect();
            self.apply_all(&rollout.id, &events, None, now).await.map(drop)
        };
        if let Err(failure) = told.await {
            warn!(rollout.id = %rollout.id, "Could not tell {} what came in during its start: {failure:#}", rollout.id);
        }
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
        let plans = self.plans.load();
        let rollouts = self.cached();
        let running = rollouts.iter().map(|rollout| &rollout.plan.spec.environment);
        let known: BTreeSet<&String> = plans
            .usable()
            .map(|plan| &plan.spec.environment)
            .chain(running)
            .collect();
        // Said first: whoever meant another one believes that it stands still.
        let text = match known.iter().any(|name| *name == environment) {
            true => text,
            false if known.is_empty() => format!("No plan names {environment}. {text}"),
            false => {
                let known: Vec<&str> = known.into_iter().map(String::as_str).collect();
                format!("No plan names {environment}. Known: {}. {text}", known.join(", "))
            }
        };
        let said = Entry {
            at: now,
            kind: request.verb.word().to_owned(),
            by,
            surface: Some(request.actor.surface),
            text: text.clone(),
        };
        let done = self
            .store
            .set_freeze(environment, freeze.as_ref(), &said, Some(cause))
            .await
            .context("store the freeze")?;
        Ok(match done {
            Froze::Done => Answer::text(text),
            Froze::SettledBefore => Answer::text(BEFORE),
            Froze::WasNot => {
                not_frozen(environment, &self.store.freezes().await.context("list what is frozen")?).into()
            }
        })
    }
}

/// Why nothing is thawed, and what could be.
fn not_frozen(environment: &str, frozen: &[(String, Freeze)]) -> Refusal {
    let names: Vec<&str> = frozen.iter().map(|(name, _)| name.as_str()).collect();
    let hint = match names.as_slice() {
        [] => "Nothing is frozen: there is nothing to thaw.".to_owned(),
        names => format!("Frozen now: {}.", names.join(", ")),
    };
    Refusal::new(
        tidegate_rollout::Code::R405,
        format!("{environment} was not frozen. Nothing was done."),
        hint,
    )
}

/// Whether every trigger of a plan looks at its own service and environment only.
pub(super) fn only_own(plan: &Plan) -> bool {
    let own = |trigger: &Trigger| trigger.alert.scope == Scope::Own;
    plan.spec.triggers.iter().all(own)
}

/// The answer to an order that a crash kept from being answered.
pub(super) const BEFORE: &str = "That was done before; see `history`.";

/// Whether an answer says more than that the order was done before. An order that is taken up twice, by its sender's job
/// and by a sweep, must keep its first answer.
pub(super) fn says_what_was_done(answer: &Answer) -> bool {
    answer.text != BEFORE
}

/// A command that waited too long is refused, for its sender no longer looks; a rollback, by whatever name, is done and told.
fn too_late(request: &Request, now: Timestamp) -> Option<Refusal> {
    let rolls_back = matches!(&request.verb, Verb::Do(command) if command.wants_rollback());
    let not_after = request.not_after?;
    (now > not_after && !rolls_back).then(|| {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jiff::SignedDuration;
    use tidegate_rollout::command::Answer as Reply;
    use tidegate_rollout::{Actor, Command, PersonId, Surface};

    use super::*;
    use crate::clock;

    #[test]
    fn what_is_taken_up_too_late_is_refused_unless_it_asks_for_a_rollback() {
        let now = clock::now();
        let given = |verb| Request {
            actor: Actor {
                person: PersonId::new("mara"),
                roles: BTreeSet::new(),
                surface: Surface::Slack,
            },
            verb,
            rollout: None,
            place: None,
            seen: None,
            key: None,
            not_after: Some(now),
        };
        let decide = |number, answer| Verb::Do(Command::Decide { number, answer });
        let reason = "customers complain".to_owned();
        let cases = [
            (Verb::Do(Command::Rollback { reason }), false),
            (decide(Some(3), Reply::Rollback), false),
            (decide(None, Reply::Rollback), false),
            (decide(Some(3), Reply::Continue), true),
            (Verb::Do(Command::Advance), true),
        ];
        for (verb, refused) in cases {
            let request = given(verb);
            assert!(too_late(&request, now).is_none(), "{:?}", request.verb);
            let late = too_late(&request, now + SignedDuration::from_millis(1));
            assert_eq!(late.is_some(), refused, "{:?}", request.verb);
        }
    }
}
