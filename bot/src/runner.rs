//! Owns the engine: it hears what was remembered, lets the core decide, saves, and keeps workers busy.
//! Refuses to decide anything itself: every change of a rollout comes out of `tidegate_rollout::step`.

mod arrivals;
#[cfg(test)]
mod bench;
mod breaks;
mod cards;
mod decide;
mod decider;
mod desk;
mod environments;
mod errands;
mod flags;
mod given_up;
mod hands;
mod intake;
mod lookout;
mod meant;
mod mover;
mod path;
mod poller;
mod preflight;
mod queue;
mod report;
mod series;
mod services;
mod tail;
mod upkeep;
mod voice;
mod way_back;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tidegate_rollout::attention::Attention;
use tidegate_rollout::{Outcome, Period, Rollout, RolloutId};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::channel::Channel;
use crate::channel::feed::Feed;
use crate::chat::{Answer, DeskError};
use crate::config::Alertmanager;
use crate::doors::Doors;
use crate::driver::flag::FlagBoard;
use crate::driver::kubernetes::cluster::Cluster;
use crate::hook::{Allowed, Hooks};
use crate::net::Net;
use crate::plans::Plans;
use crate::render::Renderer;
use crate::store::{Arrival, Part, Position, Starts, Store};
use crate::vitals::Vitals;

pub use path::AlertPath;
use queue::Waiting;

/// What the engine must know of the configuration. Replaced as a whole by a reload.
pub struct Settings {
    /// The name of this replica.
    pub replica: String,
    /// How often time is looked at.
    pub tick_every: Duration,
    /// How many automatic rollbacks an environment may spend, and in which window.
    pub budget: Budget,
    /// Environments with a budget of their own.
    pub budgets: BTreeMap<String, Budget>,
    /// How long a seen Watchdog stays fresh.
    pub watchdog_fresh: Period,
    /// How often the alert sources are asked.
    pub poll_every: Duration,
    /// How long an answer of theirs is awaited.
    pub poll_timeout: Duration,
    /// The alert sources that can be asked.
    pub polled: Vec<Alertmanager>,
    /// How long a claimed message or card belongs to its worker.
    pub claim_for: Period,
    /// How long the lease of the leader lasts, and a claimed action belongs to its worker.
    pub lease_for: Period,
    /// Settled and finished things older than this are deleted.
    pub keep_for: Period,
    /// Channels by name.
    pub channels: BTreeMap<String, Arc<Channel>>,
    /// Channel → the one that says a page which it does not take.
    pub fallbacks: BTreeMap<String, String>,
    /// The cluster in which plans may move something.
    pub cluster: Option<Arc<Cluster>>,
    /// What hooks may do.
    pub hooks: Allowed,
    /// Where the pages are, if people outside can reach them.
    pub pages: Option<Url>,
}

/// So many automatic rollbacks in such a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// How many.
    pub rollbacks: u32,
    /// The window.
    pub window: Period,
}

impl Settings {
    fn budget_of(&self, environment: &str) -> Budget {
        self.budgets.get(environment).copied().unwrap_or(self.budget)
    }
}

/// What is asked of the decider beside the arrivals.
enum Job {
    /// An order that is durable; somebody waits for the answer.
    Order {
        arrival: Arrival,
        reply: oneshot::Sender<Result<Answer, DeskError>>,
    },
    /// A worker tells how an action went; it waits until that is saved.
    Report {
        rollout: RolloutId,
        action: tidegate_rollout::ActionId,
        outcome: Outcome,
        saved: oneshot::Sender<bool>,
    },
}

/// What all tasks of the engine share.
pub struct Engine {
    store: Store,
    net: Net,
    settings: ArcSwap<Settings>,
    plans: Arc<ArcSwap<Plans>>,
    board: Arc<FlagBoard>,
    feed: Arc<Feed>,
    renderer: Arc<ArcSwap<Renderer>>,
    path: AlertPath,
    doors: Doors,
    /// Whether this process has asked the alert sources yet.
    asked_once: AtomicBool,
    sights: lookout::Sights,
    hooks: Hooks,
    attention: Mutex<Attention>,
    began: Instant,
    active: RwLock<BTreeMap<RolloutId, Arc<Rollout>>>,
    jobs: mpsc::Sender<Job>,
    arrivals: mpsc::Sender<Arrival>,
    waiting: Mutex<Waiting>,
    /// Changes of rollouts up to this one are in the cache.
    revision: AtomicU64,
    /// Every rollout of so many starts is in the cache, unless it is over.
    starts: AtomicU64,
    wake: Wake,
    changes: watch::Sender<u64>,
    vitals: Vitals,
}

/// Bells that shorten the wait of the workers. A missed ring costs one look at the store, never a lost row.
#[derive(Default)]
struct Wake {
    lowering: Notify,
    asking: Notify,
    forward: Notify,
    voice: Notify,
    poll: Notify,
}

/// The parts an engine is made of.
pub struct Parts {
    /// What remembers.
    pub store: Store,
    /// The one HTTP client.
    pub net: Net,
    /// Where signs of life are left.
    pub vitals: Vitals,
    /// What the configuration says.
    pub settings: Settings,
    /// The plans that can be started.
    pub plans: Arc<ArcSwap<Plans>>,
    /// The flags as served here.
    pub board: Arc<FlagBoard>,
    /// The feed of the web chat.
    pub feed: Arc<Feed>,
    /// What words the notices.
    pub renderer: Arc<ArcSwap<Renderer>>,
}

/// What only the decider takes out of its queues.
pub struct Queues {
    jobs: mpsc::Receiver<Job>,
    arrivals: mpsc::Receiver<Arrival>,
}

/// Orders and outcomes wait in a short queue of their own, ahead of the alerts of a storm.
const JOBS: usize = 1_024;
/// Alerts beyond this wait in the store; the decider reads them from there.
const ARRIVALS: usize = 4_096;

/// A part that was silent for so long is not well.
const STALE: Duration = Duration::from_secs(10);

/// Runs a part without which nothing may go on. Where it ends before it is told to, the whole process does: whoever
/// restarts it gets every part back, while a server that takes alerts and decides nothing would look well for ever.
async fn needed(part: &'static str, work: BoxFuture<'static, ()>, stop: CancellationToken) {
    let ended = AssertUnwindSafe(work).catch_unwind().await;
    if ended.is_err() || !stop.is_cancelled() {
        tracing::error!(
            "The {part} has ended by itself, which is a defect of Tidegate; the process ends, to be restarted"
        );
        std::process::abort();
    }
}

impl Engine {
    /// An engine that has not started.
    pub fn new(parts: Parts) -> (Arc<Self>, Queues) {
        let (jobs, job_queue) = mpsc::channel(JOBS);
        let (arrivals, arrival_queue) = mpsc::channel(ARRIVALS);
        let engine = Self {
            store: parts.store,
            net: parts.net,
            settings: ArcSwap::from_pointee(parts.settings),
            plans: parts.plans,
            board: parts.board,
            feed: parts.feed,
            renderer: parts.renderer,
            path: AlertPath::default(),
            doors: Doors::default(),
            asked_once: AtomicBool::new(false),
            sights: lookout::Sights::default(),
            hooks: Hooks::default(),
            attention: Mutex::default(),
            began: Instant::now(),
            active: RwLock::default(),
            jobs,
            arrivals,
            waiting: Mutex::default(),
            revision: AtomicU64::new(0),
            starts: AtomicU64::new(0),
            wake: Wake::default(),
            changes: watch::Sender::new(0),
            vitals: parts.vitals,
        };
        let queues = Queues {
            jobs: job_queue,
            arrivals: arrival_queue,
        };
        (Arc::new(engine), queues)
    }

    /// Brings everything to where it was before the stop, then starts every task. They end when `stop` is cancelled.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn start(
        self: &Arc<Self>,
        queues: Queues,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        self.vitals.expect("store", Some(STALE));
        self.vitals.expect("decider", Some(STALE));
        self.vitals.expect("first poll", None);
        self.vitals.expect("poller", Some(poller::STALE));
        let followed_from = upkeep::resume(self).await?;
        let engine = || Arc::clone(self);
        let needed = |part, work| tasks.spawn(needed(part, work, stop.clone()));
        // A rollback that was begun goes on at once, however many rollouts are to be told of the break; its outcome waits for
        // the decider.
        needed(
            "lane to zero",
            hands::safety(engine(), Part::Lowering, stop.clone()).boxed(),
        );
        upkeep::catch_up(self, crate::clock::now()).await?;
        needed("decider", decider::run(engine(), queues, stop.clone()).boxed());
        needed(
            "lane of questions",
            hands::safety(engine(), Part::Asking, stop.clone()).boxed(),
        );
        needed("lane forward", hands::forward(engine(), stop.clone()).boxed());
        needed("voice", voice::run(engine(), stop.clone()).boxed());
        needed("lookout", lookout::run(engine(), stop.clone()).boxed());
        needed("web chat", tail::run(engine(), stop.clone()).boxed());
        needed("cards", cards::run(engine(), stop.clone()).boxed());
        needed("poller", poller::run(engine(), stop.clone()).boxed());
        needed("upkeep", upkeep::run(engine(), followed_from, stop.clone()).boxed());
        Ok(())
    }

    /// Takes over a new configuration, as a whole.
    pub fn reconfigure(&self, settings: Settings) {
        self.settings.store(Arc::new(settings));
        self.wake.poll.notify_one();
    }

    /// How the alert path does, for health pages.
    pub fn path(&self) -> &AlertPath {
        &self.path
    }

    /// What was turned away at the doors of the receivers.
    pub fn doors(&self) -> &Doors {
        &self.doors
    }

    /// The store behind it.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The flags as served here.
    pub fn board(&self) -> &Arc<FlagBoard> {
        &self.board
    }

    /// The feed of the web chat.
    pub fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    /// Counts the changes of rollouts seen here; pages wait on it.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// The rollouts that are not over, as last saved or read.
    fn cached(&self) -> Vec<Arc<Rollout>> {
        let mut all = self.looked_after();
        all.retain(|rollout| !rollout.is_final());
        all
    }

    /// Those rollouts, and the ones that are over while somebody is still to be told: time does something to each.
    fn looked_after(&self) -> Vec<Arc<Rollout>> {
        let active = self.active.read().unwrap_or_else(PoisonError::into_inner);
        active.values().map(Arc::clone).collect()
    }

    /// Those rollouts, and how many starts they are what is left of. Read in this order: a rollout that joins in between is
    /// one more than is claimed.
    fn in_sight(&self) -> (Starts, Vec<Arc<Rollout>>) {
        let starts = Starts(self.starts.load(Ordering::Acquire));
        (starts, self.cached())
    }

    /// Takes over what was saved, here or by other replicas, up to a position of the store.
    fn take_over(&self, rollouts: Vec<Rollout>, position: Position) {
        for rollout in rollouts {
            self.cache(rollout);
        }
        self.revision.fetch_max(position.revision, Ordering::Relaxed);
        self.starts.fetch_max(position.starts.0, Ordering::Release);
    }

    fn cached_one(&self, id: &RolloutId) -> Option<Arc<Rollout>> {
        let active = self.active.read().unwrap_or_else(PoisonError::into_inner);
        active.get(id).map(Arc::clone)
    }

    /// Remembers how a rollout stands; one that is over, and told, leaves the cache. An older generation never replaces a newer, and
    /// what is known already is no news.
    fn cache(&self, rollout: Rollout) {
        let mut active = self.active.write().unwrap_or_else(PoisonError::into_inner);
        let newer = active
            .get(&rollout.id)
            .is_none_or(|known| known.generation < rollout.generation);
        if !newer {
            return;
        }
        if !rollout.is_settled() {
            active.insert(rollout.id.clone(), Arc::new(rollout));
        } else if active.remove(&rollout.id).is_none() {
            return;
        }
        self.changes.send_modify(|count| *count += 1);
    }
}
