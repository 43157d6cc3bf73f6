//! Owns the look ahead: what a start of a plan would meet now, by the facts that a start would be decided on.
//! Refuses to start anything, and to guard what it found: a start reads it all again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use tidegate_rollout::begin::{Check, Start, preflight};
use tidegate_rollout::{Actor, Code, Plan, Refusal};

use super::Engine;
use super::decide::only_own;
use crate::clock;
use crate::store::Opening;

/// How long a look at the target may take: whoever opened a form waits for it, and Slack no longer than three seconds.
const SEEN_WITHIN: Duration = Duration::from_secs(1);

impl Engine {
    /// What a start would meet now. It is begun as any other and then not let through, so that it meets the same.
    pub(super) async fn checks(
        &self,
        actor: &Actor,
        plan: &Arc<Plan>,
        inputs: &BTreeMap<String, String>,
    ) -> anyhow::Result<Vec<Check>> {
        let now = clock::now();
        let (target, also) = (plan.spec.target.name(), plan.targets());
        let window = self.settings().budget_of(&plan.spec.environment).window;
        let opening = Opening {
            plan: plan.name(),
            target: &target,
            also: &also,
            environment: &plan.spec.environment,
            service: only_own(plan).then_some(plan.spec.service.as_str()),
            window_since: now.saturating_sub(window.duration()).unwrap_or(Timestamp::MIN),
            cause: None,
            now,
        };
        let undecided = self.undecided(None, now).await?;
        let mut checks = Vec::new();
        let begun = self.store.begin(opening, |facts| {
            let around = self.around_plan(plan, &facts.environment, undecided);
            let start = Start {
                plan: Arc::clone(plan),
                inputs: inputs.clone(),
                actor: actor.clone(),
                counter: facts.counter,
                recent: facts.recent,
                target_busy: facts.target_busy,
                target_epoch: facts.target_epoch,
            };
            checks = preflight(&start, &around, now);
            Err(Refusal::new(Code::R405, "Only looked at.", "Start it."))
        });
        begun.await.context("read what a start would meet")?;
        // Whoever may not start it learns nothing about its target, and of one that is moved already this would say nothing true.
        if checks.first().is_some_and(|may| may.trouble.is_none()) && !self.moves_already(plan) {
            let ready = self.target_ready_within(plan, SEEN_WITHIN).await;
            checks.push(Check {
                what: "its target can carry it, and the way back is alive",
                trouble: ready.err().map(|refusal| refusal.message),
            });
        }
        Ok(checks)
    }
}
