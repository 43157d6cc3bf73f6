//! Owns the near side of the dispatcher: orders are remembered here, then decided, and the answer comes back.
//! Refuses to answer an order that is not durable.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tidegate_rollout::command::Verb;
use tidegate_rollout::surroundings::Surroundings;
use tidegate_rollout::{Actor, Code, DeliveryId, Entry, Period, Refusal, Rollout, RolloutId, Share};
use tokio::sync::oneshot;

use super::decide::says_what_was_done;
use super::environments::Environments;
use super::{Engine, Job};
use crate::chat::{Answer, Asked, Desk, DeskError, Order, Preflight};
use crate::clock;
use crate::store::{Arrival, Content, Remembered};

fn failed<E: Into<anyhow::Error>>(tried: &'static str) -> impl FnOnce(E) -> DeskError {
    move |source| DeskError::NothingDone {
        tried,
        source: source.into(),
    }
}

/// Whoever said something looks at the answer for so long. What is taken up later, after a crash or behind a storm, is
/// refused; a rollback is done and told.
const HEEDED_FOR: Period = Period::millis(2_500);

/// How often, and how many times, the note of an answer is looked for that another hand is about to write.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const LOOKS: u32 = 10;

impl Desk for Engine {
    fn active(&self) -> Vec<Arc<Rollout>> {
        self.cached()
    }

    async fn rollout(&self, id: &RolloutId) -> Result<Option<Arc<Rollout>>, DeskError> {
        if let Some(rollout) = self.cached_one(id) {
            return Ok(Some(rollout));
        }
        let found = self.store.rollout(id).await.map_err(failed("read the rollout"))?;
        Ok(found.map(Arc::new))
    }

    async fn meant_at(&self, place: &str) -> Result<Vec<Arc<Rollout>>, DeskError> {
        let meant = Engine::meant_at(self, place).await;
        meant.map_err(failed("find out which rollout is meant there"))
    }

    async fn newest(&self, limit: u32) -> Result<Vec<Arc<Rollout>>, DeskError> {
        let rollouts = self.store.list(limit).await.map_err(failed("list the rollouts"))?;
        Ok(rollouts.into_iter().map(Arc::new).collect())
    }

    async fn history(&self, id: &RolloutId, limit: u32) -> Result<Vec<(u64, Entry)>, DeskError> {
        self.store.history(id, limit).await.map_err(failed("read the log"))
    }

    async fn around(&self, rollout: &Rollout) -> Result<Surroundings, DeskError> {
        let now = clock::now();
        let environment = self
            .environment(rollout, now)
            .await
            .map_err(failed("read the environment"))?;
        let undecided = self.undecided(None, now).await.map_err(failed("read the inbox"))?;
        Ok(self.around(rollout, &environment, undecided))
    }

    /// The inbox and each environment are read once, however many rollouts share it.
    async fn arounds(&self, rollouts: &[Arc<Rollout>], now: Timestamp) -> Result<Vec<Surroundings>, DeskError> {
        let undecided = self.undecided(None, now).await.map_err(failed("read the inbox"))?;
        let mut environments = Environments::default();
        let mut arounds = Vec::with_capacity(rollouts.len());
        for rollout in rollouts {
            if rollout.is_final() {
                arounds.push(Surroundings::calm(now));
                continue;
            }
            let environment = environments.of(self, rollout, now).await;
            let environment = environment.map_err(failed("read the environment"))?;
            // The inherent one, which reads nothing.
            arounds.push(Engine::around(self, rollout, environment, undecided));
        }
        Ok(arounds)
    }

    fn plans(&self) -> Vec<String> {
        self.plans.load().names()
    }

    fn can_start(&self, plan: &str) -> Result<(), Refusal> {
        self.plans.load().get(plan).map(drop)
    }

    async fn target_ready(&self, plan: &str) -> Result<(), Refusal> {
        match self.plans.load_full().get(plan) {
            Ok(plan) => Engine::target_ready(self, &plan).await,
            Err(refusal) => Err(refusal),
        }
    }

    fn observed(&self, rollout: &Rollout) -> Option<Share> {
        self.share(rollout)
    }

    fn plan_changed(&self, rollout: &Rollout) -> bool {
        let now = self.plans.load().get(rollout.plan.name());
        !rollout.is_final() && now.is_ok_and(|now| now != rollout.plan)
    }

    async fn preflight(
        &self,
        actor: &Actor,
        plan: &str,
        inputs: &BTreeMap<String, String>,
    ) -> Result<Result<Preflight, Refusal>, DeskError> {
        let plan = match self.plans.load().get(plan) {
            Ok(plan) => plan,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let checks = self.checks(actor, &plan, inputs).await.map_err(failed("look ahead"))?;
        let asked = |(name, input): (&String, &tidegate_rollout::plan::Input)| Asked {
            name: name.clone(),
            required: input.required,
            value: inputs.get(name).or(input.default.as_ref()).cloned(),
        };
        Ok(Ok(Preflight {
            plan: plan.name().to_owned(),
            title: plan.spec.title.clone(),
            inputs: plan.spec.inputs.iter().map(asked).collect(),
            checks,
        }))
    }

    async fn decide(&self, order: Order) -> Result<Answer, DeskError> {
        let Order { request, about } = order;
        let now = clock::now();
        let heeded_until = now.saturating_add(HEEDED_FOR.duration()).unwrap_or(Timestamp::MAX);
        let arrival = Arrival {
            id: DeliveryId::new(uuid::Uuid::now_v7().to_string()),
            at: now,
            nonce: request.key.clone(),
            content: Content::Said {
                actor: request.actor.clone(),
                verb: request.verb,
                rollout: about.map(|id| id.to_string()),
                seen: request.seen,
                not_after: Some(request.not_after.unwrap_or(heeded_until)),
            },
            raw: Bytes::new(),
        };
        match self.store.remember(arrival.clone()).await.map_err(failed("store it"))? {
            Remembered::Repeated {
                answer: Some(answer), ..
            } => serde_json::from_str(&answer).map_err(failed("read the first answer")),
            // A crash came between the commit of what it led to and the note of its answer.
            Remembered::Repeated {
                settled: true,
                answer: None,
            } => self.done_before(&arrival.content).await,
            Remembered::Repeated {
                settled: false,
                answer: None,
            } => Ok(Refusal::new(
                Code::R402,
                "The same request is being decided already.",
                "Ask again in a moment for its answer.",
            )
            .into()),
            Remembered::New => {
                let (reply, answer) = oneshot::channel();
                let stopping = || DeskError::Undecided {
                    source: anyhow::anyhow!("the service is stopping"),
                };
                let id = arrival.id.clone();
                self.jobs
                    .send(Job::Order { arrival, reply })
                    .await
                    .map_err(|_| stopping())?;
                let answer = answer.await.map_err(|_| stopping())??;
                if says_what_was_done(&answer) {
                    return Ok(answer);
                }
                // A sweep, here or in another replica, was faster than our job: its answer is the one.
                let first = self.first_answer(&id).await?;
                Ok(first.unwrap_or(answer))
            }
        }
    }
}

impl Engine {
    /// What was answered to an order that is done, once that is noted: whoever did it notes it next, unless it died.
    async fn first_answer(&self, id: &DeliveryId) -> Result<Option<Answer>, DeskError> {
        for _ in 0..LOOKS {
            let noted = self.store.answer(id).await.map_err(failed("read the first answer"))?;
            if let Some(answer) = noted {
                return serde_json::from_str(&answer)
                    .map(Some)
                    .map_err(failed("read the first answer"));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(None)
    }

    /// The answer to an order that was done although nobody was told: what it concerns, as far as that can be found.
    async fn done_before(&self, content: &Content) -> Result<Answer, DeskError> {
        let answer = Answer::text("That was done before; see `history`.");
        let concerned = match content {
            Content::Said {
                verb: Verb::Start { plan, .. },
                ..
            } => {
                let newest = self.newest(50).await?;
                newest.into_iter().find(|rollout| rollout.plan.name() == plan)
            }
            Content::Said {
                rollout: Some(named), ..
            } => self.rollout(&RolloutId::new(named)).await?,
            Content::Said { .. } | Content::Alerts { .. } | Content::Polled { .. } => None,
        };
        // Without the generation, which moves on: a third time gets the same answer as the second.
        Ok(Answer {
            rollout: concerned.map(|rollout| rollout.id.to_string()),
            ..answer
        })
    }
}

#[cfg(test)]
mod tests {
    use tempfile::tempdir;
    use tidegate_rollout::{Command, PersonId, Role, Surface};

    use super::*;
    use crate::chat::Request;
    use crate::runner::Queues;
    use crate::runner::bench::{baking, engine_with_queues};

    fn order(verb: Verb, about: Option<RolloutId>) -> Order {
        let request = Request {
            actor: Actor {
                person: PersonId::new("root"),
                roles: [Role::Admin].into(),
                surface: Surface::Api,
            },
            verb,
            rollout: None,
            place: None,
            seen: None,
            key: Some("k-1".to_owned()),
            not_after: None,
        };
        Order { request, about }
    }

    /// Behind a slow disk an order can wait so long in the queue that the sweep finds it in the store first.
    #[tokio::test]
    async fn an_order_that_a_sweep_took_up_first_is_answered_with_what_came_of_it() {
        let directory = tempdir().unwrap();
        let (engine, mut queues) = engine_with_queues(&directory, &[]).await;
        let freeze = Verb::Freeze {
            environment: "production".to_owned(),
            reason: "the river rises".to_owned(),
        };
        let first = swept(&engine, &mut queues, order(freeze, None)).await;
        assert!(first.text.contains("the river rises"), "{}", first.text);
        assert!(
            first.text.starts_with("No plan names production. root froze"),
            "{}",
            first.text
        );
    }

    /// Whoever mistypes it believes that it stands still, so that comes first.
    #[tokio::test]
    async fn a_freeze_of_what_no_plan_names_says_so_before_anything_else() {
        let directory = tempdir().unwrap();
        let (engine, mut queues) = engine_with_queues(&directory, &[]).await;
        let id = baking(&engine, clock::now()).await.id;
        engine.cache(engine.store.rollout(&id).await.unwrap().unwrap());
        let freeze = Verb::Freeze {
            environment: "prod".to_owned(),
            reason: "the river rises".to_owned(),
        };
        let said = swept(&engine, &mut queues, order(freeze, None)).await.text;
        assert!(
            said.starts_with("No plan names prod. Known: production. root froze every change of prod"),
            "{said}"
        );
    }

    /// What is done is refused a second time; that is no answer to whoever said it once.
    #[tokio::test]
    async fn an_order_that_would_be_refused_twice_is_answered_with_what_came_of_it_too() {
        let directory = tempdir().unwrap();
        let (engine, mut queues) = engine_with_queues(&directory, &[]).await;
        let id = baking(&engine, clock::now()).await.id;
        let pause = Verb::Do(Command::Pause {
            reason: "the river rises".to_owned(),
        });
        let first = swept(&engine, &mut queues, order(pause, Some(id))).await;
        assert!(first.ok && first.generation.is_some(), "{first:?}");
    }

    /// Somebody says this, and a sweep takes it up before their own job; the first answer, which is what they hear.
    async fn swept(engine: &Arc<Engine>, queues: &mut Queues, order: Order) -> Answer {
        let asker = tokio::spawn({
            let engine = Arc::clone(engine);
            async move { engine.decide(order).await }
        });
        let Some(Job::Order { arrival, reply }) = queues.jobs.recv().await else {
            panic!("no order came");
        };
        let first = engine.ordered(&arrival, clock::now()).await.unwrap();
        let late = engine.ordered(&arrival, clock::now()).await;
        assert_eq!(late.as_ref().unwrap().text, "That was done before; see `history`.");
        reply.send(late).unwrap();
        let heard = asker.await.unwrap().unwrap();
        assert_eq!(heard.text, first.text);
        first
    }
}
