//! Owns what the checks of `tidegate doctor` are made of: the parts that a server would be built from, and not the server.
//! Refuses to start, open or write anything.

use std::sync::Arc;

use anyhow::Context as _;

use super::{fit, parts};
use crate::config::{Config, Fault};
use crate::doctor::{self, Finding, Subject};
use crate::driver::kubernetes::cluster::Cluster;
use crate::plans::Plans;

/// Runs the checks that `wanted` names, all of them where it names none. `broken` are the faults of the templates.
///
/// # Errors
/// When not even the checks could be set up.
pub async fn examine(config: Config, broken: Vec<Fault>, wanted: &[String]) -> anyhow::Result<Vec<Finding>> {
    let plans = Plans::read(&config.plans.directory, &config.plans.patterns);
    let mut misfits = fit::misfits(&config, &plans);
    misfits.faults.extend(broken);
    let subject = Subject {
        storage: parts::storage(&config.storage),
        cluster: Cluster::new(&config.kubernetes).map(Arc::new),
        misfits: misfits.faults,
        warnings: misfits.warnings,
        plans,
        config,
    };
    let found = doctor::examine(subject, wanted).await;
    found.context("could not set up the HTTP client")
}
