//! Owns the model of the voice: what is decided to be said goes out on each channel, some of it late and some of it never.
//! Refuses to say twice: that is the business of channels, and of their own tests.

use std::sync::Arc;

use crate::event::Event;
use crate::ids::NoticeId;
use crate::notice::Notice;
use crate::plan::Audience;

use super::faults::Fault;
use super::replica::Then;
use super::world::{Task, World};

/// A message on its way.
#[derive(Clone, Debug)]
pub(super) struct Saying {
    rollout: usize,
    notice: NoticeId,
    channel: String,
}

impl World<'_> {
    /// The notices of a saved step set out, where anybody waits for such.
    pub(super) fn say(&mut self, rollout: usize, notices: &[Notice]) {
        self.trace.said(notices);
        let plan = Arc::clone(&self.store.rollouts[rollout].plan);
        if plan.spec.commitments.is_empty() {
            return;
        }
        for notice in notices {
            for channel in plan.channels_of(notice) {
                let looked_at = Audience::READ_BY_LOOKING.contains(&channel.as_str());
                if looked_at || self.strikes(Fault::WordLost, 12) {
                    continue;
                }
                let after = if self.strikes(Fault::WordLate, 12) {
                    self.random.between(5_000, 60_000)
                } else {
                    self.random.between(20, 900)
                };
                let saying = Saying {
                    rollout,
                    notice: notice.id.clone(),
                    channel,
                };
                self.later(after, Task::Said(Box::new(saying)));
            }
        }
    }

    /// A message gets where it was said, by the hand of some replica, which tells the core if anybody waits for it.
    pub(super) fn said(&mut self, saying: Saying) {
        let Some(replica) = self.somebody() else {
            return self.later(500, Task::Said(Box::new(saying)));
        };
        let Saying {
            rollout,
            notice,
            channel,
        } = saying;
        self.laws.was_told(&notice, &channel);
        if !self.store.rollouts[rollout].awaits_word(&notice, &channel) {
            return;
        }
        let at = self.wall(replica);
        self.decide_now(replica, rollout, Event::Told { notice, channel, at }, Then::Rest);
    }
}
