//! Owns one attempt at a hook: looks at one that runs, begins one that may begin, and says what nobody can know.
//! Refuses to run anything twice that must not: only the core's permit begins a hook.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tidegate_rollout::hook::{Ended, HookEnd, Output, Permit, permit};
use tidegate_rollout::plan::{Errand, Job, Run};
use tidegate_rollout::{Action, ActionKind, Outcome};

use super::Engine;
use super::hands::Done;
use crate::driver::DriverError;
use crate::driver::kubernetes::cluster::Cluster;
use crate::driver::kubernetes::job::{self, Found};
use crate::hook::{self, Seen, command, http};
use crate::leadership::Leadership;
use crate::store::Claimed;

/// What is said of a hook whose end nobody has seen.
const LOST: &str = "Tidegate stopped while it may have run, or another replica took over";

/// One attempt. `led` is the proof that this replica leads: no other one begins hooks.
pub(super) async fn attempt(
    engine: &Engine,
    claimed: &Claimed,
    led: &Leadership,
    now: Timestamp,
) -> anyhow::Result<Done> {
    let action = &claimed.action;
    let ActionKind::RunHook { errand, .. } = &action.kind else {
        return Ok(Done::Overtaken);
    };
    if let Run::Job(job) = &errand.run {
        return in_cluster(engine, claimed, errand, job, now).await;
    }
    match engine.hooks.look(&action.id, led.until()) {
        Seen::Running => Err(runs(errand)),
        Seen::Over(end) => Ok(told(end)),
        Seen::Nothing => match permitted(engine, action, claimed.attempts > 1, now).await? {
            Err(done) => Ok(done),
            // Nothing has begun, or what may be done twice: to be put off and not counted is right for both.
            Ok(()) if !led.holds(Instant::now()) => Ok(Done::InTheWay("the lease ran out".to_owned())),
            Ok(()) => {
                begin(engine, action, errand, led);
                Err(runs(errand))
            }
        },
    }
}

fn runs(errand: &Errand) -> anyhow::Error {
    let what = format!("the {} runs; it has {}", errand.run.word(), errand.timeout);
    DriverError::Waiting { what }.into()
}

fn told(end: HookEnd) -> Done {
    Done::Outcome(Outcome::Hooked(Box::new(end)))
}

/// Whether the hook may begin now; else how this attempt ends. What stands in the way of asking is put off as well, and not
/// counted: a second attempt means that the first may have begun.
async fn permitted(engine: &Engine, action: &Action, begun: bool, now: Timestamp) -> anyhow::Result<Result<(), Done>> {
    let permit = match asked(engine, action, begun, now).await {
        Ok(permit) => permit,
        Err(error) if begun => return Err(error),
        Err(error) => return Ok(Err(Done::InTheWay(format!("{error:#}")))),
    };
    Ok(match permit {
        Permit::Begin => Ok(()),
        Permit::InTheWay(blocker) => Err(Done::InTheWay(format!("{blocker:?}"))),
        Permit::Rests => Err(Done::InTheWay("it rests between two tries".to_owned())),
        Permit::NotWanted => Err(told(hook::ended(
            Ended::NotRun,
            "a later decision stands",
            None,
            Output::default(),
        ))),
        Permit::MayHaveRun => Err(told(hook::unknown(LOST))),
    })
}

async fn asked(engine: &Engine, action: &Action, begun: bool, now: Timestamp) -> anyhow::Result<Permit> {
    Ok(match engine.as_it_stands(&action.rollout, now).await? {
        Some((rollout, around)) => permit(&rollout, action, begun, &around, now),
        None => Permit::NotWanted,
    })
}

fn begin(engine: &Engine, action: &Action, errand: &Errand, led: &Leadership) {
    let ActionKind::RunHook { facts, .. } = &action.kind else {
        return;
    };
    let timeout = Duration::try_from(errand.timeout.duration()).unwrap_or_default();
    let begin = |work| engine.hooks.begin(&action.id, errand.idempotent, led.until(), work);
    match &errand.run {
        Run::Command(argv) => {
            let allowed = engine.settings().hooks.clone();
            let work = command::run(allowed, argv.clone(), facts.clone(), timeout);
            begin(Box::pin(work) as futures_util::future::BoxFuture<'static, HookEnd>);
        }
        Run::Http(call) => {
            let work = http::run(
                engine.net.clone(),
                call.clone(),
                action.id.clone(),
                facts.clone(),
                timeout,
            );
            begin(Box::pin(work));
        }
        // Lives in the cluster, not here.
        Run::Job(_) => {}
    }
}

/// A Job lives in the cluster under the name of its action: it is found again, and so it is never made twice.
async fn in_cluster(
    engine: &Engine,
    claimed: &Claimed,
    errand: &Errand,
    job: &Job,
    now: Timestamp,
) -> anyhow::Result<Done> {
    let action = &claimed.action;
    let settings = engine.settings();
    let allowed = settings.hooks.namespaces.contains(&job.namespace);
    let Some(cluster) = settings.cluster.as_ref().filter(|_| allowed) else {
        let why = if allowed {
            "the server's configuration names no cluster; fill in `kubernetes`".to_owned()
        } else {
            format!(
                "`hooks.namespaces` of the server's configuration does not allow Jobs in {}",
                job.namespace
            )
        };
        return Ok(told(hook::failed(why)));
    };
    match looked(cluster, job, action).await? {
        Found::Running(what) => Err(DriverError::Waiting { what }.into()),
        Found::Over(end) => Ok(told(end)),
        Found::Nothing => {
            let lasting = Duration::try_from(now.duration_since(claimed.first_tried_at)).unwrap_or_default();
            let begun = claimed.attempts > 1 && job::may_be_gone(job, lasting);
            if let Err(done) = permitted(engine, action, begun, now).await? {
                return Ok(done);
            }
            let ActionKind::RunHook { facts, .. } = &action.kind else {
                return Ok(Done::Overtaken);
            };
            match job::make(cluster, job, &action.id, facts, errand.timeout).await {
                Ok(()) => Err(runs(errand)),
                Err(error) => refused(error).map(told),
            }
        }
    }
}

async fn looked(cluster: &Cluster, job: &Job, action: &Action) -> anyhow::Result<Found> {
    match job::look(cluster, job, &action.id).await {
        Ok(found) => Ok(found),
        Err(error) => refused(error).map(Found::Over),
    }
}

/// What the API refuses was not done, and will not be until a person changes something.
fn refused(error: DriverError) -> anyhow::Result<HookEnd> {
    match error {
        DriverError::Refused { tried, why } => Ok(hook::failed(format!("could not {tried}: {why}"))),
        other @ (DriverError::Fenced { .. }
        | DriverError::Foreign { .. }
        | DriverError::Waiting { .. }
        | DriverError::Unled { .. }
        | DriverError::Unreachable { .. }) => Err(other.into()),
    }
}
