//! Owns which driver moves which target, and the look at a target before a start.
//! Refuses to move anything in a cluster that the configuration does not name.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tidegate_rollout::plan::Target;
use tidegate_rollout::{AdvanceToken, Code, Plan, ReadBack, Refusal, Rollout, Weight};

use super::flags::Book;
use super::{Engine, way_back};
use crate::driver::flag::FlagDriver;
use crate::driver::kubernetes::cluster::Cluster;
use crate::driver::kubernetes::replicas::ReplicasDriver;
use crate::driver::kubernetes::route::RouteDriver;
use crate::driver::kubernetes::selector::SelectorDriver;
use crate::driver::{Driver, DriverError, Seen, Wanted};
use crate::leadership::Leadership;

/// The driver of one target.
pub(super) enum Mover {
    Flag(FlagDriver<Book>),
    Replicas(ReplicasDriver),
    Selector(SelectorDriver),
    Route(RouteDriver),
}

impl Mover {
    /// The driver that `target` asks for.
    pub(super) fn of(engine: &Engine, target: &Target) -> Result<Self, DriverError> {
        Ok(match target {
            Target::Flag(flag) => {
                let book = Book {
                    store: engine.store.clone(),
                    replica: engine.settings().replica.clone(),
                };
                Self::Flag(FlagDriver::new(flag.clone(), book, Arc::clone(&engine.board)))
            }
            Target::DeploymentReplicas(target) => Self::Replicas(ReplicasDriver::new(target.clone(), cluster(engine)?)),
            Target::ServiceSelector(target) => Self::Selector(SelectorDriver::new(target.clone(), cluster(engine)?)),
            Target::HttpRoute(target) => Self::Route(RouteDriver::new(target.clone(), cluster(engine)?)),
        })
    }
}

/// How long a start waits to see its target.
const SEEN_WITHIN: Duration = Duration::from_secs(5);

impl Engine {
    /// Whether the target of `plan` could carry a rollout as it is, and its way back is alive. Where one is under way already,
    /// the core says so better.
    pub(super) async fn target_ready(&self, plan: &Plan) -> Result<(), Refusal> {
        self.target_ready_within(plan, SEEN_WITHIN).await
    }

    /// The same for somebody who waits no longer than this.
    pub(super) async fn target_ready_within(&self, plan: &Plan, within: Duration) -> Result<(), Refusal> {
        if self.moves_already(plan) {
            return Ok(());
        }
        let look = async { Self::look_before(self, plan).await };
        let why = match tokio::time::timeout(within, look).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => format!("{error:#}"),
            Err(_) => format!("it did not answer within {} s", within.as_secs()),
        };
        let target = plan.spec.target.name();
        Err(Refusal::new(
            Code::R409,
            format!("{target} cannot carry a rollout as it is: {why}."),
            "Nothing was written. Put that right, then start again.",
        ))
    }

    /// Whether a rollout is under way that moves a target of `plan`, or falls back on one.
    pub(super) fn moves_already(&self, plan: &Plan) -> bool {
        let targets = plan.targets();
        let moves = |rollout: &Arc<Rollout>| rollout.plan.targets().iter().any(|name| targets.contains(name));
        self.cached().iter().any(moves)
    }

    async fn look_before(&self, plan: &Plan) -> anyhow::Result<()> {
        Mover::of(self, &plan.spec.target)?.may_start().await?;
        way_back::look(self, plan).await
    }
}

fn cluster(engine: &Engine) -> Result<Arc<Cluster>, DriverError> {
    engine.settings().cluster.clone().ok_or_else(|| DriverError::Refused {
        tried: "reach the cluster",
        why: "the server's configuration names none; fill in `kubernetes`".to_owned(),
    })
}

impl Driver for Mover {
    async fn raise(
        &self,
        wanted: &Wanted,
        led: &Leadership,
        token: AdvanceToken,
        now: Timestamp,
    ) -> Result<ReadBack, DriverError> {
        match self {
            Self::Flag(driver) => driver.raise(wanted, led, token, now).await,
            Self::Replicas(driver) => driver.raise(wanted, led, token, now).await,
            Self::Selector(driver) => driver.raise(wanted, led, token, now).await,
            Self::Route(driver) => driver.raise(wanted, led, token, now).await,
        }
    }

    async fn to_zero(&self, rollout: &str, epoch: u64, now: Timestamp) -> Result<ReadBack, DriverError> {
        match self {
            Self::Flag(driver) => driver.to_zero(rollout, epoch, now).await,
            Self::Replicas(driver) => driver.to_zero(rollout, epoch, now).await,
            Self::Selector(driver) => driver.to_zero(rollout, epoch, now).await,
            Self::Route(driver) => driver.to_zero(rollout, epoch, now).await,
        }
    }

    async fn may_start(&self) -> Result<(), DriverError> {
        match self {
            Self::Flag(driver) => driver.may_start().await,
            Self::Replicas(driver) => driver.may_start().await,
            Self::Selector(driver) => driver.may_start().await,
            Self::Route(driver) => driver.may_start().await,
        }
    }

    async fn way_back(&self) -> Result<(), DriverError> {
        match self {
            Self::Flag(driver) => driver.way_back().await,
            Self::Replicas(driver) => driver.way_back().await,
            Self::Selector(driver) => driver.way_back().await,
            Self::Route(driver) => driver.way_back().await,
        }
    }

    async fn look(&self, weight: Weight) -> Result<Seen, DriverError> {
        match self {
            Self::Flag(driver) => driver.look(weight).await,
            Self::Replicas(driver) => driver.look(weight).await,
            Self::Selector(driver) => driver.look(weight).await,
            Self::Route(driver) => driver.look(weight).await,
        }
    }
}
