//! Owns the short way from the near side of the webhooks to the decider, and knows what is on it.
//! Refuses to be the memory: what finds no place here waits in the store, and the decider's sweep finds it.

use std::collections::HashMap;
use std::sync::{MutexGuard, PoisonError};

use bytes::Bytes;
use tidegate_rollout::DeliveryId;

use super::Engine;
use crate::store::Arrival;

/// The bodies of all that waits together may be so large; decoded they are a few times larger.
const BYTES: usize = 32 << 20;

/// An alert that came without a body, from the API of its source, counts as so many.
const ALERT: usize = 1_024;

/// What is on its way to the decider.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    bytes: usize,
    each: HashMap<DeliveryId, usize>,
}

impl Waiting {
    /// Takes out of `arrivals` what is on its way already.
    pub(super) fn leave_out(&self, arrivals: &mut Vec<Arrival>) {
        arrivals.retain(|arrival| !self.holds(&arrival.id));
    }

    fn holds(&self, id: &DeliveryId) -> bool {
        self.each.contains_key(id)
    }

    /// Whether there is a place for so many bytes; if so, it is taken.
    fn admit(&mut self, id: &DeliveryId, bytes: usize) -> bool {
        let fits = self.bytes.saturating_add(bytes) <= BYTES;
        if fits {
            self.bytes += bytes;
            self.each.insert(id.clone(), bytes);
        }
        fits
    }

    /// These were taken up.
    pub(super) fn forget(&mut self, ids: impl IntoIterator<Item = DeliveryId>) {
        for id in ids {
            self.bytes -= self.each.remove(&id).unwrap_or(0);
        }
    }
}

impl Engine {
    /// Sends an arrival that is durable to the decider, without its body.
    pub(super) fn queue(&self, mut arrival: Arrival) {
        let bytes = std::mem::replace(&mut arrival.raw, Bytes::new()).len();
        let bytes = bytes.max(arrival.content.alerts().len() * ALERT);
        let id = arrival.id.clone();
        if self.waiting().admit(&id, bytes) && self.arrivals.try_send(arrival).is_err() {
            self.waiting().forget([id]);
        }
    }

    pub(super) fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_bounded_by_its_size() {
        let mut waiting = Waiting::default();
        let [first, second] = ["first", "second"].map(DeliveryId::new);
        assert!(waiting.admit(&first, BYTES - 1) && waiting.holds(&first));
        assert!(!waiting.admit(&second, 2) && !waiting.holds(&second));
        waiting.forget([first.clone(), second.clone()]);
        assert!(!waiting.holds(&first));
        assert!(waiting.admit(&second, BYTES), "the place is free again");
    }
}
