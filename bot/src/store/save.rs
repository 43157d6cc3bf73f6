//! Owns the saving of a step: the rollout, its log and its outbox in one transaction, or nothing of it.
//! Refuses a step that was decided on anything but the latest state, and one whose cause was settled before.

use jiff::Timestamp;
use tidegate_rollout::{Action, ActionKind, DeliveryId, Rollout, Step};

use super::Store;
use super::engine::Session;
use super::error::StoreError;
use super::inbox::settle_cause;
use super::rollouts::REVISIONS;
use super::sql::statements;
use super::value::{self, Value, count};
use super::{environments, log, messages, outbox};
use crate::failpoint;

statements! {
    UPDATE: "save a rollout" =
        "UPDATE rollouts SET generation = generation + 1, epoch = $3, is_final = $4, changed_at = $5, document = $6,
                             owes_word = $7
         WHERE id = $1 AND generation = $2";
    INSERT: "save a new rollout" =
        "INSERT INTO rollouts (id, plan, environment, target, generation, epoch, is_final, started_at, changed_at,
                               revision, document)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, 0, $9)";
    RAISE_TARGET: "note the epoch of a target" =
        "INSERT INTO targets (name, epoch, rollout) VALUES ($1, $2, $3)
         ON CONFLICT (name) DO UPDATE SET epoch = excluded.epoch, rollout = excluded.rollout
         WHERE targets.epoch < excluded.epoch OR (targets.epoch = excluded.epoch AND NOT EXISTS (
             SELECT 1 FROM rollouts WHERE rollouts.id = targets.rollout AND rollouts.is_final = 0))";
    REVISE: "number a change" =
        "UPDATE rollouts SET revision = $2 WHERE id = $1";
    COUNT: "move a counter on" =
        "INSERT INTO counters (name, value) VALUES ($1, 1)
         ON CONFLICT (name) DO UPDATE SET value = counters.value + 1 RETURNING value";
}

/// How a save went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved {
    /// It is durable.
    Done,
    /// Somebody saved another step, or changed what this one relied on. Read again and decide again.
    Conflict,
    /// What caused the step was settled before: this step has been saved once already, here or by another replica.
    SettledBefore,
}

impl Store {
    /// Saves a step that was decided on `step.next.generation - 1` and on `environment_generation`.
    ///
    /// With a `cause`, the arrival that led to the step is settled in the same commit, so that neither a crash nor
    /// another replica makes one command happen twice. Alerts need none: deciding about them twice changes nothing.
    ///
    /// # Errors
    /// When it could not be saved; nothing of it was then, unless the commit itself went unanswered.
    pub async fn save(
        &self,
        step: &Step,
        environment_generation: u64,
        cause: Option<&DeliveryId>,
        now: Timestamp,
    ) -> Result<Saved, StoreError> {
        let mut session = self.begin_for(moves(step)).await?;
        let saved = match write(&mut session, step, environment_generation, cause, now).await {
            // Whoever saves several at once takes the same rows in another order.
            Err(failure) if failure.is_deadlock() => Saved::Conflict,
            saved => saved?,
        };
        if saved != Saved::Done {
            session.undo().await?;
            return Ok(saved);
        }
        failpoint::hit!("store.save.before-commit");
        session.commit("commit a step").await?;
        failpoint::hit!("store.save.after-commit");
        Ok(Saved::Done)
    }

    /// As [`Self::save`], for steps of several rollouts that no arrival caused: one commit for all of them. `false` when somebody was
    /// faster with one; nothing is saved then, and each is to be decided again by itself.
    ///
    /// # Errors
    /// As [`Self::save`].
    pub async fn save_together(&self, steps: &[(Step, u64)], now: Timestamp) -> Result<bool, StoreError> {
        let mut session = self.begin_for(steps.iter().any(|(step, _)| moves(step))).await?;
        match write_together(&mut session, steps, now).await {
            Ok(true) => session.commit("commit steps").await.map(|()| true),
            Ok(false) => session.undo().await.map(|()| false),
            // Whoever saves one of them takes the same rows in another order.
            Err(failure) if failure.is_deadlock() => session.undo().await.map(|()| false),
            Err(failure) => Err(failure),
        }
    }

    /// Traffic that is to be moved is waited for.
    async fn begin_for(&self, moves: bool) -> Result<Session, StoreError> {
        match moves {
            true => self.begin_in_a_hurry().await,
            false => self.engine().begin().await,
        }
    }

    /// Notes what a rollout under way may write to on its way back: a version before did not, and its next step may be days
    /// away. Saying it again changes nothing.
    ///
    /// # Errors
    /// When it could not be saved.
    pub async fn hold_rungs(&self, rollout: &Rollout) -> Result<(), StoreError> {
        if rollout.plan.spec.rollback.ladder.is_empty() {
            return Ok(());
        }
        let mut session = self.engine().begin().await?;
        hold_targets(&mut session, rollout).await?;
        session.commit("commit what a rollout holds").await
    }
}

/// Whether a step asks for traffic to be moved.
fn moves(step: &Step) -> bool {
    let moves = |action: &Action| {
        let kind = &action.kind;
        matches!(kind, ActionKind::SetWeight { .. } | ActionKind::ToZero { .. })
    };
    step.actions.iter().any(moves)
}

async fn write(
    session: &mut Session,
    step: &Step,
    environment_generation: u64,
    cause: Option<&DeliveryId>,
    now: Timestamp,
) -> Result<Saved, StoreError> {
    if !settle_cause(session, cause).await? {
        return Ok(Saved::SettledBefore);
    }
    if !step.changed {
        return Ok(Saved::Done);
    }
    if !write_change(session, step, environment_generation, now).await? {
        return Ok(Saved::Conflict);
    }
    revise(session, step).await?;
    Ok(Saved::Done)
}

/// The numbers come last, for the reason that [`revise`] gives.
async fn write_together(session: &mut Session, steps: &[(Step, u64)], now: Timestamp) -> Result<bool, StoreError> {
    for (step, environment_generation) in steps {
        if !write_change(session, step, *environment_generation, now).await? {
            return Ok(false);
        }
    }
    for (step, _) in steps {
        revise(session, step).await?;
    }
    Ok(true)
}

/// Writes everything of a step but the number of the change; `false` when it rests on what is not so any more.
async fn write_change(
    session: &mut Session,
    step: &Step,
    environment_generation: u64,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let next = &step.next;
    let document = value::seal("a rollout", next)?;
    let values = [
        next.id.as_str().into(),
        next.generation.saturating_sub(1).into(),
        next.epoch.into(),
        next.is_final().into(),
        now.into(),
        Value::from(&document),
        (next.is_final() && !next.is_settled()).into(),
    ];
    if session.execute(&UPDATE, &values).await? == 0 || !hold(session, step, environment_generation, now).await? {
        return Ok(false);
    }
    consequences(session, step, now).await?;
    Ok(true)
}

/// Saves the first step of a rollout. The caller holds the environment, and gives the change its number.
pub(super) async fn write_first(session: &mut Session, step: &Step, now: Timestamp) -> Result<(), StoreError> {
    let next = &step.next;
    let document = value::seal("a rollout", next)?;
    let values = [
        next.id.as_str().into(),
        next.plan.name().into(),
        next.plan.spec.environment.as_str().into(),
        next.plan.spec.target.name().into(),
        next.generation.into(),
        next.epoch.into(),
        next.is_final().into(),
        now.into(),
        Value::from(&document),
    ];
    session.execute(&INSERT, &values).await?;
    consequences(session, step, now).await
}

/// Guards the environment where the step relies on it: when it raises, spends from the budget, or freezes. A step that
/// only lowers, holds or speaks never waits for its neighbours.
async fn hold(session: &mut Session, step: &Step, generation: u64, now: Timestamp) -> Result<bool, StoreError> {
    let moves = step.spends_budget || step.freeze.is_some();
    if !moves && !step.actions.iter().any(|action| action.kind.is_raise()) {
        return Ok(true);
    }
    let environment = &step.next.plan.spec.environment;
    if !environments::guard(session, environment, generation, moves).await? {
        return Ok(false);
    }
    if step.spends_budget {
        environments::spend(session, environment, step.next.id.as_str(), now).await?;
    }
    if let Some(freeze) = &step.freeze {
        environments::freeze_by_step(session, environment, freeze).await?;
    }
    Ok(true)
}

/// A rollout holds its targets, with its epoch: from its first step on, unless a later one does.
async fn hold_targets(session: &mut Session, rollout: &Rollout) -> Result<(), StoreError> {
    for target in rollout.plan.targets() {
        let held = [target.into(), rollout.epoch.into(), rollout.id.as_str().into()];
        session.execute(&RAISE_TARGET, &held).await?;
    }
    Ok(())
}

/// What a step leaves to be done, to be said, and to be read later.
async fn consequences(session: &mut Session, step: &Step, now: Timestamp) -> Result<(), StoreError> {
    hold_targets(session, &step.next).await?;
    outbox::overtake(session, &step.next).await?;
    outbox::enqueue(session, &step.actions, now).await?;
    messages::enqueue(session, step, now).await?;
    log::append(session, step.next.id.as_str(), &step.log).await
}

/// Gives the change its number. Last, because the counter is one row that every save waits for until this one commits.
pub(super) async fn revise(session: &mut Session, step: &Step) -> Result<(), StoreError> {
    let revision = next_count(session, REVISIONS).await?;
    let values = [step.next.id.as_str().into(), revision.into()];
    session.execute(&REVISE, &values).await.map(drop)
}

/// Moves a counter on and answers its value. Its row is held until the commit, so that values grow in the order of
/// commits: whoever has seen one has seen all below.
pub(super) async fn next_count(session: &mut Session, name: &str) -> Result<u64, StoreError> {
    let row: Option<(i64,)> = session.row(&COUNT, &[name.into()]).await?;
    Ok(row.map_or(0, |(value,)| count(value)))
}
