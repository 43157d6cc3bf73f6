//! Owns everything that is remembered: what was heard, the rollouts, their log, what is to be done and said, flags,
//! leases, tokens. One API over SQLite and PostgreSQL; each promise holds on both.
//! Refuses to decide anything. What it answers `Ok` to is durable.

mod alerts;
mod begin;
mod cards;
mod dialect;
mod engine;
mod environments;
mod error;
mod examine;
mod flags;
mod hurry;
mod inbox;
mod lease;
mod letters;
mod log;
mod messages;
mod open;
mod outbox;
mod polls;
mod proofs;
mod prune;
mod rollouts;
mod safety;
mod said;
mod save;
mod sql;
mod takeover;
mod tokens;
mod value;
mod writer;

use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use alerts::Heard;
pub use begin::{BeginFacts, Begun, Opening};
pub use cards::{CardKey, CardRow, Whereabouts};
pub use environments::{Environment, Froze};
pub use error::{OpenError, StoreError};
pub use examine::{Examined, Tables};
pub use flags::FlagWrite;
pub use inbox::{Arrival, Content, Filed, Remembered, Settled, Starts};
pub use lease::Replica;
pub use letters::{DeadLetter, TriedOn};
pub use log::{ChainReport, LogReport};
pub use messages::Message;
pub use open::{Place, Storage};
pub use outbox::{Claimed, LONGEST_PAUSE, Part};
pub use polls::Polled;
pub use prune::Pruned;
pub use rollouts::Position;
pub use said::{FEED, Said};
pub use save::Saved;
pub use tokens::{NewToken, Token, TokenHash, TokenKind};

use engine::{Engine, Session};
use hurry::Hurry;
use sql::Markers;
use writer::{Job, QUEUE, Queues, Writer};

/// The open store. Clones share it.
#[derive(Clone, Debug)]
pub struct Store(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    engine: Engine,
    /// The ways to the one task that writes what is heard: one for what people said, one for the rest.
    urgent: mpsc::Sender<Job>,
    jobs: mpsc::Sender<Job>,
    /// Tells that task to take little at a time.
    hurry: Hurry,
    /// Asks that task to write what waits, and to end.
    closing: CancellationToken,
    writer: TaskTracker,
    /// Held while this process serves from the directory.
    lock: Mutex<Option<File>>,
}

impl Store {
    /// Opens the store: checks that it is safe, brings its tables up to date, and starts the task that writes.
    ///
    /// # Errors
    /// [`OpenError::Unsafe`] when a power cut could lose what was promised; others when it cannot be reached.
    pub async fn open(storage: &Storage) -> Result<Self, OpenError> {
        Ok(Self::on(open::open(storage).await?))
    }

    /// Opens a store that is there already, and changes nothing in it: no tables are made or brought up to date, and every
    /// statement that writes fails.
    ///
    /// # Errors
    /// [`OpenError::Missing`] when there is no such database; others when it cannot be read.
    pub async fn open_to_read(storage: &Storage) -> Result<Self, OpenError> {
        Ok(Self::on(open::open_to_read(storage).await?))
    }

    fn on(engine: Engine) -> Self {
        let (urgent, urgent_queue) = mpsc::channel(QUEUE);
        let (jobs, queue) = mpsc::channel(QUEUE);
        let queues = Queues {
            urgent: urgent_queue,
            jobs: queue,
        };
        let (closing, hurry) = (CancellationToken::new(), Hurry::none(Instant::now()));
        let writer = TaskTracker::new();
        writer.spawn(Writer::new(engine.clone(), queues, hurry.clone(), closing.clone()).run());
        writer.close();
        Self(Arc::new(Shared {
            engine,
            urgent,
            jobs,
            hurry,
            closing,
            writer,
            lock: Mutex::default(),
        }))
    }

    /// Writes what waits, and closes every connection. Whoever asks afterwards gets an error.
    pub async fn close(&self) {
        self.0.closing.cancel();
        self.0.writer.wait().await;
        self.0.engine.close().await;
        drop(self.0.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    fn keep(&self, lock: File) {
        *self.0.lock.lock().unwrap_or_else(PoisonError::into_inner) = Some(lock);
    }

    /// Prepares every statement, and lists those the database refuses: for the test that keeps one text right on both.
    pub async fn refused_statements(&self) -> Vec<(String, sqlx::Error)> {
        let fixed = sql::every().map(|statement| (statement.sqlite.to_owned(), statement.postgres.to_owned()));
        let many = sql::EVERY_MANY
            .iter()
            .flat_map(|many| [1, 2].map(|rows| (many.text(rows, Markers::InTurn), many.text(rows, Markers::Numbered))));
        let mut refused = Vec::new();
        for (sqlite, postgres) in fixed.chain(many) {
            if let Err(error) = self.engine().prepare(sqlite.clone(), postgres).await {
                refused.push((sqlite, error));
            }
        }
        refused
    }

    /// Begins a transaction on the way to the traffic: what a storm brings makes room for it and for those after it.
    async fn begin_in_a_hurry(&self) -> Result<Session, StoreError> {
        self.0.hurry.note(Instant::now());
        self.engine().begin().await
    }

    fn engine(&self) -> &Engine {
        &self.0.engine
    }

    async fn hand_over(&self, job: Job) -> Result<(), StoreError> {
        let way = if job.is_urgent() { &self.0.urgent } else { &self.0.jobs };
        way.send(job).await.map_err(|_| StoreError::Closed)
    }
}
