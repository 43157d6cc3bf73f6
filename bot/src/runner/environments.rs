//! Owns what one look at many rollouts knows of their environments: each is read once.
//! Refuses to outlive the look: whoever saves on it is guarded by its generation.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use jiff::Timestamp;
use tidegate_rollout::Rollout;

use super::Engine;
use crate::store::Environment;

#[derive(Default)]
pub(super) struct Environments(BTreeMap<String, Environment>);

impl Environments {
    /// The environment of a rollout.
    pub(super) async fn of(
        &mut self,
        engine: &Engine,
        rollout: &Rollout,
        now: Timestamp,
    ) -> anyhow::Result<&Environment> {
        Ok(match self.0.entry(rollout.plan.spec.environment.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(engine.environment(rollout, now).await?),
        })
    }
}
