//! Owns which rollouts people mean who name none, by where they speak: in its own thread that one, in a channel those that
//! are shown there.
//! Refuses to choose between several, and to take one for the only one because the card of another is not there yet.

use std::collections::BTreeSet;
use std::sync::Arc;

use tidegate_rollout::{Rollout, RolloutId};

use super::Engine;
use super::cards::Place;
use crate::store::{StoreError, Whereabouts};

impl Engine {
    /// The rollouts that are meant at a place when none is named; none, where the place says nothing about it.
    pub(super) async fn meant_at(&self, place: &str) -> Result<Vec<Arc<Rollout>>, StoreError> {
        let ids: BTreeSet<RolloutId> = match self.store.whereabouts(place).await? {
            Whereabouts::ThreadOf(rollout) => [rollout].into(),
            Whereabouts::CardsOf(shown) => {
                let active = self.cached();
                let to_be_shown = active.iter().filter(|rollout| self.is_told_at(rollout, place));
                shown
                    .into_iter()
                    .chain(to_be_shown.map(|rollout| rollout.id.clone()))
                    .collect()
            }
        };
        let mut meant = Vec::with_capacity(ids.len());
        for id in ids {
            meant.extend(match self.cached_one(&id) {
                Some(rollout) => Some(rollout),
                None => self.store.rollout(&id).await?.map(Arc::new),
            });
        }
        Ok(meant)
    }

    /// Whether an audience of its plan hears a channel there.
    fn is_told_at(&self, rollout: &Rollout, place: &str) -> bool {
        let channels = &self.settings().channels;
        let stands_there = |name: &String| {
            let channel = channels.get(name).and_then(|channel| Place::of(channel));
            channel.is_some_and(|channel| channel.id() == place)
        };
        let mut audiences = rollout.plan.spec.audiences.values();
        audiences.any(|audience| audience.channels.iter().any(stands_there))
    }
}
