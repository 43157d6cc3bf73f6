//! Owns group commit: one task gathers what waits, writes it in one transaction, and answers everybody at once. What has to
//! be decided goes first: people look at a screen, an alert may be the one that matters, and a storm may last for minutes.
//! Refuses to let one bad row fail its neighbours: a batch that fails over data is halved until the row stands alone.

use std::borrow::Cow;
use std::collections::HashSet;
use std::time::Instant;

use bytes::Bytes;
use jiff::Timestamp;
use tidegate_rollout::DeliveryId;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::alerts::{self, AlertRow};
use super::dialect::STARTS;
use super::engine::{Engine, Session};
use super::error::StoreError;
use super::hurry::Hurry;
use super::inbox::{Content, Remembered, Settled, Starts};
use super::sql::{Many, statements};
use super::value::{self, Value};
use crate::failpoint;

pub(super) const INSERT: Many = Many {
    tries: "store deliveries",
    head: "INSERT INTO deliveries (id, scope, nonce, at, content, raw, settled)",
    columns: 7,
    tail: "ON CONFLICT DO NOTHING RETURNING id",
};

pub(super) const SETTLE: Many = Many {
    tries: "settle deliveries",
    head: "UPDATE deliveries SET settled = 1 WHERE id IN (",
    columns: 1,
    tail: ")",
};

statements! {
    SETTLE_WITH_ANSWER: "settle a delivery with its answer" =
        "UPDATE deliveries SET settled = 1, answer = $2 WHERE id = $1";
    TAKE_PROOF: "remember what proved a request" =
        "INSERT INTO proofs (digest, at) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    EARLIER: "find the earlier delivery" =
        "SELECT settled, answer FROM deliveries WHERE id = $1 OR (scope = $2 AND nonce = $3) ORDER BY number LIMIT 1";
}

/// An arrival, ready to be written.
pub(super) struct Incoming {
    pub(super) id: DeliveryId,
    pub(super) scope: String,
    pub(super) nonce: Option<String>,
    pub(super) at: Timestamp,
    pub(super) content: Text,
    pub(super) raw: Bytes,
    pub(super) alerts: Vec<AlertRow>,
    /// It concerns none of the rollouts of so many starts.
    pub(super) unconcerned: Option<Starts>,
    /// Whether it has to be decided.
    pub(super) urgent: bool,
}

/// The content of an arrival, as text where that is needed: only to decide on it later.
pub(super) enum Text {
    /// It has to be decided.
    Sealed(String),
    /// Nothing has to be decided, if nothing was started in between.
    Open(Box<Content>),
}

impl Incoming {
    /// Whether it is settled as soon as it is stored, after so many starts.
    fn is_filed(&self, starts: Starts) -> bool {
        self.unconcerned == Some(starts)
    }

    fn text(&self, starts: Starts) -> Result<Cow<'_, str>, StoreError> {
        match &self.content {
            Text::Sealed(text) => Ok(Cow::Borrowed(text)),
            Text::Open(_) if self.is_filed(starts) => Ok(Cow::Borrowed("")),
            Text::Open(content) => value::seal("a delivery", content).map(Cow::Owned),
        }
    }
}

/// How an arrival was taken, with what it says if that was expected to concern nobody and has to be decided all the same.
pub(super) type Taken = (Remembered, Option<Box<Content>>);

/// Something for the writer to do, and who waits for it.
pub(super) enum Job {
    Remember {
        incoming: Box<Incoming>,
        answer: oneshot::Sender<Result<Taken, StoreError>>,
    },
    Settle {
        settled: Vec<Settled>,
        answer: oneshot::Sender<Result<(), StoreError>>,
    },
    TakeProof {
        digest: [u8; 32],
        at: Timestamp,
        answer: oneshot::Sender<Result<bool, StoreError>>,
    },
}

impl Job {
    /// Whether somebody waits for what comes of it. Only what people said is settled with an answer.
    pub(super) fn is_urgent(&self) -> bool {
        match self {
            Self::Remember { incoming, .. } => incoming.urgent,
            Self::Settle { settled, .. } => settled.iter().any(|settled| settled.answer.is_some()),
            Self::TakeProof { .. } => true,
        }
    }

    /// What it weighs in a batch, roughly in bytes.
    fn weight(&self) -> usize {
        match self {
            // Each alert costs about as much as two kilobytes of text do.
            Self::Remember { incoming, .. } => incoming.raw.len() + 2_048 * incoming.alerts.len(),
            Self::Settle { settled, .. } => settled.len() * 64,
            Self::TakeProof { .. } => 64,
        }
    }

    /// Tells whoever waits, if they still do.
    fn answer(self, outcome: Result<Done, StoreError>) {
        // Whoever waited may have hung up; what was written stays written.
        match self {
            Self::Remember { incoming, answer } => {
                let taken = |done: Done| match incoming.content {
                    Text::Open(content) if !done.filed => (done.remembered, Some(content)),
                    _ => (done.remembered, None),
                };
                drop(answer.send(outcome.map(taken)));
            }
            Self::Settle { answer, .. } => drop(answer.send(outcome.map(|_| ()))),
            Self::TakeProof { answer, .. } => drop(answer.send(outcome.map(|done| done.remembered == Remembered::New))),
        }
    }
}

/// How a job of a committed batch went.
struct Done {
    remembered: Remembered,
    /// Whether it was settled by being stored.
    filed: bool,
}

/// So many jobs wait at most before senders wait too.
pub(super) const QUEUE: usize = 1_024;
/// So many jobs, or so many bytes, make a batch: enough to share the cost of a commit, and few enough that a step
/// which waits for the same connection does not wait long.
const BATCH: usize = 256;
const BATCH_BYTES: usize = 4 << 20;
/// A batch that somebody waits for is smaller, and so are those while a step is on its way.
const URGENT_BATCH: usize = 32;
const HURRIED_BATCH: usize = 16;
/// So much of the rest goes with it however much is urgent: the Watchdog must be heard too.
const ALWAYS: usize = 8;
/// A batch that lost against a concurrent transaction is tried so often before its senders are told.
const TRIES: usize = 3;

/// What waits to be written.
pub(super) struct Queues {
    pub(super) urgent: mpsc::Receiver<Job>,
    pub(super) jobs: mpsc::Receiver<Job>,
}

/// The task that writes.
pub(super) struct Writer {
    engine: Engine,
    urgent: mpsc::Receiver<Job>,
    jobs: mpsc::Receiver<Job>,
    hurry: Hurry,
    closing: CancellationToken,
    /// A job that would have made the last batch too large.
    left_over: Option<Job>,
}

impl Writer {
    pub(super) fn new(engine: Engine, queues: Queues, hurry: Hurry, closing: CancellationToken) -> Self {
        Self {
            engine,
            urgent: queues.urgent,
            jobs: queues.jobs,
            hurry,
            closing,
            left_over: None,
        }
    }

    /// Writes until the store is closed, or every clone of it gone, and the queue is empty.
    pub(super) async fn run(mut self) {
        while let Some(batch) = self.gather().await {
            let mut waiting = vec![batch];
            while let Some(mut batch) = waiting.pop() {
                match self.write(&batch).await {
                    Ok(outcomes) => {
                        for (job, done) in batch.into_iter().zip(outcomes) {
                            job.answer(Ok(done));
                        }
                    }
                    Err(error) if batch.len() > 1 && error.blames_a_row() => {
                        let later = batch.split_off(batch.len() / 2);
                        waiting.push(later);
                        waiting.push(batch);
                    }
                    Err(error) => {
                        tracing::error!(
                            error = &error as &dyn std::error::Error,
                            jobs = batch.len(),
                            "not stored"
                        );
                        for job in batch {
                            job.answer(Err(error.clone()));
                        }
                    }
                }
            }
        }
    }

    /// Waits for a job, and takes what else waits already: what is urgent, then the rest.
    async fn gather(&mut self) -> Option<Vec<Job>> {
        let first = match self.left_over.take() {
            Some(job) => job,
            None => self.next().await?,
        };
        let mut weight = first.weight();
        let mut batch = vec![first];
        while batch.len() < BATCH
            && let Ok(job) = self.urgent.try_recv()
        {
            weight += job.weight();
            batch.push(job);
        }
        let most = self.most(&batch);
        while batch.len() < most
            && let Ok(job) = self.jobs.try_recv()
        {
            weight += job.weight();
            if weight > BATCH_BYTES {
                self.left_over = Some(job);
                break;
            }
            batch.push(job);
        }
        Some(batch)
    }

    /// How many jobs may go with these, which are all that is urgent: each of them makes somebody wait longer.
    fn most(&self, batch: &[Job]) -> usize {
        let now = Instant::now();
        if batch.iter().any(Job::is_urgent) {
            // What is decided on it comes next.
            self.hurry.note(now);
            URGENT_BATCH.max(batch.len() + ALWAYS)
        } else if self.engine.has_one_writer() && self.hurry.is_on(now) {
            HURRIED_BATCH
        } else {
            BATCH
        }
    }

    /// Once the store is closing nothing is taken in any more, and what waits is still written.
    async fn next(&mut self) -> Option<Job> {
        tokio::select! {
            biased;
            Some(job) = self.urgent.recv() => Some(job),
            job = self.jobs.recv() => match job {
                Some(job) => Some(job),
                // The last clone of the store is gone.
                None => self.urgent.recv().await,
            },
            () = self.closing.cancelled() => {
                self.urgent.close();
                self.jobs.close();
                match self.urgent.recv().await {
                    Some(job) => Some(job),
                    None => self.jobs.recv().await,
                }
            }
        }
    }

    async fn write(&self, batch: &[Job]) -> Result<Vec<Done>, StoreError> {
        let mut tries = 1;
        loop {
            match self.commit(batch).await {
                Err(error) if error.is_deadlock() && tries < TRIES => tries += 1,
                outcome => return outcome,
            }
        }
    }

    /// One batch, one transaction: deliveries, the alerts of those that are new, and what is settled.
    async fn commit(&self, batch: &[Job]) -> Result<Vec<Done>, StoreError> {
        let mut session = self.engine.begin().await?;
        let starts = starts(&mut session, batch).await?;
        let new = insert(&mut session, batch, starts).await?;
        let told = incoming(batch).filter(|incoming| new.contains(incoming.id.as_str()));
        alerts::write(&mut session, told.flat_map(|incoming| &incoming.alerts)).await?;
        settle(&mut session, batch).await?;
        let mut outcomes = Vec::with_capacity(batch.len());
        for job in batch {
            let filed = matches!(job, Job::Remember { incoming, .. } if incoming.is_filed(starts));
            let remembered = match job {
                Job::TakeProof { digest, at, .. } => take_proof(&mut session, digest, *at).await?,
                Job::Remember { incoming, .. } if !new.contains(incoming.id.as_str()) => {
                    earlier(&mut session, incoming).await?
                }
                Job::Remember { .. } | Job::Settle { .. } => Remembered::New,
            };
            outcomes.push(Done { remembered, filed });
        }
        failpoint::hit!("store.inbox.before-commit");
        session.commit("commit what was heard").await?;
        failpoint::hit!("store.inbox.after-commit");
        Ok(outcomes)
    }
}

fn incoming(batch: &[Job]) -> impl Iterator<Item = &Incoming> {
    batch.iter().filter_map(|job| match job {
        Job::Remember { incoming, .. } => Some(incoming.as_ref()),
        Job::Settle { .. } | Job::TakeProof { .. } => None,
    })
}

/// How many rollouts were started, if anybody wants to know.
async fn starts(session: &mut Session, batch: &[Job]) -> Result<Starts, StoreError> {
    if incoming(batch).all(|incoming| incoming.unconcerned.is_none()) {
        return Ok(Starts::default());
    }
    let row: Option<(i64,)> = session.row(&STARTS, &[]).await?;
    Ok(Starts(row.map_or(0, |(starts,)| value::count(starts))))
}

/// Answers the ids of those that were not there before.
async fn insert(session: &mut Session, batch: &[Job], starts: Starts) -> Result<HashSet<String>, StoreError> {
    let texts: Vec<Cow<'_, str>> = incoming(batch)
        .map(|incoming| incoming.text(starts))
        .collect::<Result<_, _>>()?;
    let values: Vec<Value<'_>> = incoming(batch)
        .zip(&texts)
        .flat_map(|(incoming, text)| {
            [
                incoming.id.as_str().into(),
                Value::from(&incoming.scope),
                incoming.nonce.as_deref().into(),
                incoming.at.into(),
                Value::from(text.as_ref()),
                Value::Bytes(&incoming.raw),
                incoming.is_filed(starts).into(),
            ]
        })
        .collect();
    let new: Vec<(String,)> = session.rows_many(&INSERT, &values).await?;
    Ok(new.into_iter().map(|(id,)| id).collect())
}

async fn settle(session: &mut Session, batch: &[Job]) -> Result<(), StoreError> {
    let settled = batch.iter().flat_map(|job| match job {
        Job::Settle { settled, .. } => settled.as_slice(),
        Job::Remember { .. } | Job::TakeProof { .. } => &[],
    });
    let (with_answer, without): (Vec<_>, Vec<_>) = settled.partition(|settled| settled.answer.is_some());
    let mut ids: Vec<&str> = without.iter().map(|settled| settled.id.as_str()).collect();
    ids.sort_unstable();
    let values: Vec<Value<'_>> = ids.into_iter().map(Value::from).collect();
    session.execute_many(&SETTLE, &values).await?;
    for Settled { id, answer } in with_answer {
        let values = [id.as_str().into(), answer.as_deref().into()];
        session.execute(&SETTLE_WITH_ANSWER, &values).await?;
    }
    Ok(())
}

async fn take_proof(session: &mut Session, digest: &[u8; 32], at: Timestamp) -> Result<Remembered, StoreError> {
    let taken = session.execute(&TAKE_PROOF, &[Value::Bytes(digest), at.into()]).await? == 1;
    Ok(if taken {
        Remembered::New
    } else {
        Remembered::Repeated {
            settled: true,
            answer: None,
        }
    })
}

async fn earlier(session: &mut Session, incoming: &Incoming) -> Result<Remembered, StoreError> {
    let values = [
        incoming.id.as_str().into(),
        Value::from(&incoming.scope),
        incoming.nonce.as_deref().into(),
    ];
    let row: Option<(i64, Option<String>)> = session.row(&EARLIER, &values).await?;
    let (settled, answer) = row.unwrap_or_default();
    Ok(Remembered::Repeated {
        settled: settled != 0,
        answer,
    })
}

#[cfg(test)]
mod tests {
    use tempfile::tempdir;

    use super::*;
    use crate::store::{Storage, open};

    fn proof() -> Job {
        Job::TakeProof {
            digest: [0; 32],
            at: Timestamp::UNIX_EPOCH,
            answer: oneshot::channel().0,
        }
    }

    #[tokio::test]
    async fn little_goes_at_a_time_while_a_step_is_on_its_way() {
        let directory = tempdir().unwrap();
        let engine = open::open(&Storage::directory(directory.path())).await.unwrap();
        let queues = Queues {
            urgent: mpsc::channel(1).1,
            jobs: mpsc::channel(1).1,
        };
        let hurry = Hurry::none(Instant::now());
        let writer = Writer::new(engine, queues, hurry.clone(), CancellationToken::new());
        assert_eq!(writer.most(&[]), BATCH);
        hurry.note(Instant::now());
        assert_eq!(writer.most(&[]), HURRIED_BATCH);

        let hurry = Hurry::none(Instant::now());
        let writer = Writer { hurry, ..writer };
        assert_eq!(writer.most(&[proof()]), URGENT_BATCH);
        assert_eq!(writer.most(&[]), HURRIED_BATCH, "what is decided on it comes next");
    }
}
