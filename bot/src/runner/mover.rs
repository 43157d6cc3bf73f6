//! Owns which driver moves which target.
//! Refuses to move anything in a cluster that the configuration does not name.

use std::sync::Arc;

use jiff::Timestamp;
use tidegate_rollout::plan::Target;
use tidegate_rollout::{AdvanceToken, ReadBack, Weight};

use super::Engine;
use super::flags::Book;
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

    async fn look(&self, weight: Weight) -> Result<Seen, DriverError> {
        match self {
            Self::Flag(driver) => driver.look(weight).await,
            Self::Replicas(driver) => driver.look(weight).await,
            Self::Selector(driver) => driver.look(weight).await,
            Self::Route(driver) => driver.look(weight).await,
        }
    }
}
