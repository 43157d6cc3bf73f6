//! Owns what a request may cost: places in flight, memory for bodies, time to send one.
//! Refuses with a temporary answer, so that a good sender comes again.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, HttpBody};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// What the hook routes may cost. The defaults are the ones Tidegate ships with.
///
/// One eighth of [`Limits::bodies`] and [`Limits::requests`] is set apart for senders that nothing but a signature over
/// the body proves: until it is read, it may be anybody's. No body of theirs may be larger than that eighth, and one that
/// tells of a single thing has 1 MiB at most.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The largest body that is read, in bytes.
    pub body: usize,
    /// What all bodies in flight may hold together, in bytes.
    pub bodies: usize,
    /// How many requests may be in flight.
    pub requests: usize,
    /// How long a sender may take for its body.
    pub read_within: Duration,
    /// How long storing may take before the sender is told to come again. PagerDuty gives up after 5 s.
    pub answer_within: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 8 << 20,
            bodies: 128 << 20,
            requests: 1_024,
            read_within: Duration::from_secs(10),
            answer_within: Duration::from_secs(4),
        }
    }
}

/// Why a body was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It is larger than the limit. `whole` where all of it has passed.
    TooLarge { limit: usize, whole: bool },
    /// The bodies in flight hold all the memory there is for them.
    NoMemory,
    /// It did not come in time.
    TooSlow,
    /// The connection broke.
    Broken,
}

/// What is known of a sender before its body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    /// Its credentials were checked.
    Known,
    /// Only a signature over the body will tell, and the body may hold as much as anybody's: Grafana sends groups of alerts.
    SignsMany,
    /// Only a signature over the body will tell, and the body tells of one thing: an incident, a command.
    SignsOne,
}

/// The gates: senders whose credentials were checked already never wait behind bodies that anybody may send.
#[derive(Debug)]
pub(crate) struct Gates {
    known: Gate,
    many: Gate,
    one: Gate,
}

impl Gates {
    /// One eighth of everything is for unknown senders.
    pub(crate) fn new(limits: &Limits) -> Self {
        let permits = |count: usize| Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        let gate = |requests, bytes, body| Gate {
            requests: permits(requests),
            bytes: permits(bytes),
            body,
            read_within: limits.read_within,
        };
        let (requests, bytes) = (limits.requests / 8, limits.bodies / 8);
        let many = gate(requests, bytes, limits.body.min(bytes));
        Self {
            known: gate(limits.requests - requests, limits.bodies - bytes, limits.body),
            one: Gate {
                requests: Arc::clone(&many.requests),
                bytes: Arc::clone(&many.bytes),
                // PagerDuty itself drops bodies above 256 KiB.
                body: limits.body.min(1 << 20),
                read_within: many.read_within,
            },
            many,
        }
    }

    pub(crate) fn of(&self, sender: Sender) -> &Gate {
        match sender {
            Sender::Known => &self.known,
            Sender::SignsMany => &self.many,
            Sender::SignsOne => &self.one,
        }
    }
}

/// Bounds what is in flight at the same time.
#[derive(Debug)]
pub(crate) struct Gate {
    requests: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    body: usize,
    read_within: Duration,
}

/// A place among the requests in flight, given back when dropped.
pub(crate) struct Place(#[expect(dead_code, reason = "held, never looked at")] OwnedSemaphorePermit);

/// A whole body, and its share of the memory, given back when dropped.
pub(crate) struct Held {
    pub(crate) bytes: Bytes,
    #[expect(dead_code, reason = "held, never looked at")]
    share: Option<OwnedSemaphorePermit>,
}

impl Gate {
    /// Takes a place, if there is one right now.
    pub(crate) fn enter(&self) -> Option<Place> {
        self.requests.clone().try_acquire_owned().map(Place).ok()
    }

    /// Reads a body. Memory is taken as bytes arrive, so a length that is only announced costs nobody anything. What is too
    /// large is not kept; `passing` sees it, piece by piece.
    pub(crate) async fn read(&self, body: Body, mut passing: impl FnMut(&[u8])) -> Result<Held, Unread> {
        let announced = body.size_hint().lower();
        let mut chunks = body.into_data_stream();
        if announced <= self.body as u64 {
            let held = timeout(self.read_within, self.collect(&mut chunks, &mut passing)).await;
            if let Some(held) = held.unwrap_or(Err(Unread::TooSlow))? {
                return Ok(held);
            }
        }
        // Who is still sending does not see the answer, takes the broken connection for a passing fault, and sends
        // the same body again at once. So what is left of it is read and thrown away, within reason.
        let skipped = skip(&mut chunks, self.body.saturating_mul(4), &mut passing);
        let whole = timeout(self.read_within, skipped).await.unwrap_or(false);
        Err(Unread::TooLarge {
            limit: self.body,
            whole,
        })
    }

    /// The whole body, or nothing if it is too large.
    async fn collect(
        &self,
        chunks: &mut BodyDataStream,
        passing: &mut impl FnMut(&[u8]),
    ) -> Result<Option<Held>, Unread> {
        let (mut bytes, mut share) = (BytesMut::new(), None);
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| Unread::Broken)?;
            if bytes.len() + chunk.len() > self.body {
                passing(&bytes);
                passing(&chunk);
                return Ok(None);
            }
            self.take(chunk.len(), &mut share)?;
            bytes.extend_from_slice(&chunk);
        }
        let bytes = bytes.freeze();
        Ok(Some(Held { bytes, share }))
    }

    fn take(&self, amount: usize, share: &mut Option<OwnedSemaphorePermit>) -> Result<(), Unread> {
        let amount = u32::try_from(amount).map_err(|_| Unread::NoMemory)?;
        let more = self
            .bytes
            .clone()
            .try_acquire_many_owned(amount)
            .map_err(|_| Unread::NoMemory)?;
        match share {
            Some(share) => share.merge(more),
            None => *share = Some(more),
        }
        Ok(())
    }
}

/// Reads on and throws away, up to `most` bytes; answers whether that was all.
async fn skip(chunks: &mut BodyDataStream, most: usize, passing: &mut impl FnMut(&[u8])) -> bool {
    let mut skipped = 0;
    while skipped <= most {
        match chunks.next().await {
            None => return true,
            Some(Err(_)) => return false,
            Some(Ok(chunk)) => {
                skipped += chunk.len();
                passing(&chunk);
            }
        }
    }
    false
}
