//! Owns the start of a rollout: the facts it is decided on stand still until its first step is saved.
//! Refuses two rollouts on one target, and two starts by one command.

use jiff::Timestamp;
use tidegate_rollout::step::QUIET;
use tidegate_rollout::{Alert, DeliveryId, Refusal, RolloutId, Step};

use super::Store;
use super::engine::Session;
use super::environments::{self, Environment};
use super::error::StoreError;
use super::inbox::{Starts, settle_cause};
use super::rollouts::STARTS;
use super::save::{next_count, revise, write_first};
use super::sql::statements;
use super::{alerts, value};
use crate::failpoint;

statements! {
    HOLDER: "find the rollout that may write to a target" =
        "SELECT id FROM rollouts
         WHERE is_final = 0 AND (target = $1 OR id = (SELECT rollout FROM targets WHERE name = $1))";
    TARGET: "find the epoch of a target" =
        "SELECT epoch FROM targets WHERE name = $1";
}

/// What is to be started.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// The plan's name; starts are counted by it.
    pub plan: &'a str,
    /// The target's name; it carries one rollout at a time.
    pub target: &'a str,
    /// What else it may write to on its way back; nobody else may write there meanwhile.
    pub also: &'a [String],
    /// The environment.
    pub environment: &'a str,
    /// The service whose alerts can concern it; `None` when those of every service and environment can.
    pub service: Option<&'a str>,
    /// Since when automatic rollbacks count against the budget.
    pub window_since: Timestamp,
    /// The arrival that asks for it, settled in the same commit.
    pub cause: Option<&'a DeliveryId>,
    /// The time of the start.
    pub now: Timestamp,
}

/// What a start is decided on.
#[derive(Clone, Debug)]
pub struct BeginFacts {
    /// The number of this start among the starts of the plan.
    pub counter: u64,
    /// The rollout that may write already to one of the targets, as its own or on its way back.
    pub target_busy: Option<RolloutId>,
    /// The highest epoch that the target ever had; this rollout starts at it, and each of its decisions is above.
    pub target_epoch: u64,
    /// Alerts heard of lately, or firing.
    pub recent: Vec<Alert>,
    /// What the rollouts of the environment share.
    pub environment: Environment,
}

/// How a start went.
#[derive(Clone, Debug)]
pub enum Begun {
    /// It is durable.
    Started {
        /// Its first step.
        step: Box<Step>,
        /// How many rollouts were started with it.
        starts: Starts,
    },
    /// The core said no; nothing was saved, and the cause is not settled.
    Refused(Refusal),
    /// The command started a rollout already, here or on another replica.
    SettledBefore,
}

impl Store {
    /// Starts a rollout: reads the facts, lets `begin` decide on them, and saves its step, all in one transaction.
    ///
    /// # Errors
    /// When it could not be saved.
    pub async fn begin<F>(&self, opening: Opening<'_>, begin: F) -> Result<Begun, StoreError>
    where
        F: FnOnce(BeginFacts) -> Result<Step, Refusal> + Send,
    {
        let mut session = self.engine().begin().await?;
        // First of all: while deliveries are stored this row may be waited for, and nothing that a rollback needs may be
        // held meanwhile. Whoever stores deliveries takes it first, too.
        let starts = Starts(next_count(&mut session, STARTS).await?);
        if !settle_cause(&mut session, opening.cause).await? {
            session.undo().await?;
            return Ok(Begun::SettledBefore);
        }
        let facts = facts(&mut session, &opening).await?;
        let step = match begin(facts) {
            Ok(step) => step,
            Err(refusal) => {
                session.undo().await?;
                return Ok(Begun::Refused(refusal));
            }
        };
        write_first(&mut session, &step, opening.now).await?;
        revise(&mut session, &step).await?;
        failpoint::hit!("store.begin.before-commit");
        session.commit("commit a start").await?;
        failpoint::hit!("store.begin.after-commit");
        let step = Box::new(step);
        Ok(Begun::Started { step, starts })
    }
}

/// The counter of starts is taken already: its row lets one start through at a time, and what is read after it is what every
/// earlier one has left, also what was filed away without its rollout in sight. The counter of revisions, which every rollback
/// needs, is moved on last, as in every save.
async fn facts(session: &mut Session, opening: &Opening<'_>) -> Result<BeginFacts, StoreError> {
    let environment = environments::lock(session, opening.environment, opening.window_since).await?;
    let counter = next_count(session, &format!("starts of {}", opening.plan)).await?;
    let (mut busy, mut epoch) = (None, 0);
    for target in std::iter::once(opening.target).chain(opening.also.iter().map(String::as_str)) {
        let holder: Option<(String,)> = session.row(&HOLDER, &[target.into()]).await?;
        busy = busy.or(holder.map(|(id,)| RolloutId::new(id)));
        let known: Option<(i64,)> = session.row(&TARGET, &[target.into()]).await?;
        epoch = known.map_or(epoch, |(known,)| value::count(known).max(epoch));
    }
    let quiet_since = opening.now.saturating_sub(QUIET);
    Ok(BeginFacts {
        counter,
        target_busy: busy,
        target_epoch: epoch,
        recent: alerts::recent(
            session,
            quiet_since.unwrap_or(value::moment(i64::MIN)),
            opening.service.map(|service| (service, opening.environment)),
        )
        .await?,
        environment,
    })
}
