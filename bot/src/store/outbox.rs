//! Owns what is to be done: actions wait in two lanes until a worker claims them, and are open until they have an outcome.
//! Refuses to hand out an action that a later decision has overtaken.

use jiff::Timestamp;
use tidegate_rollout::{Action, ActionId, ActionKind, Lane, Period, Rollout};

use super::Store;
use super::dialect::{CLAIM_FORWARD, CLAIM_SAFETY};
use super::engine::Session;
use super::error::StoreError;
use super::sql::{Many, Statement, statements};
use super::value::{self, Value, count, moment, readable};
use crate::failpoint;
use crate::leadership::Leadership;

pub(super) const ENQUEUE: Many = Many {
    tries: "store actions",
    head: "INSERT INTO actions (id, rollout, lane, epoch, fenced, document, due_at)",
    columns: 7,
    tail: "",
};

statements! {
    OVERTAKE: "close overtaken actions" =
        "UPDATE actions SET outcome = 'overtaken'
         WHERE rollout = $1 AND outcome IS NULL AND fenced = 1 AND epoch < $2";
    POSTPONE: "postpone an action" =
        "UPDATE actions SET due_at = $2, why = $3, claimed_until = 0 WHERE id = $1 AND outcome IS NULL";
    PUT_OFF: "put an action off" =
        "UPDATE actions SET due_at = $2, why = $3, claimed_until = 0, attempts = attempts - 1,
           first_tried_at = CASE WHEN attempts = 1 THEN NULL ELSE first_tried_at END
         WHERE id = $1 AND outcome IS NULL AND attempts > 0";
    CLOSE: "close an action" =
        "UPDATE actions SET outcome = $2 WHERE id = $1 AND outcome IS NULL";
    RELEASE: "release the actions of a replica" =
        "UPDATE actions SET claimed_until = 0 WHERE claimed_by = $1 AND outcome IS NULL";
    OLDEST: "find the oldest thing that is to be done or said" =
        "SELECT (SELECT MIN(COALESCE(first_tried_at, due_at)) FROM actions WHERE outcome IS NULL),
                (SELECT MIN(created_at) FROM messages WHERE state = 'waiting')";
    OPEN: "list the open actions of a rollout" =
        "SELECT number, id, document, attempts, COALESCE(first_tried_at, due_at) FROM actions
         WHERE rollout = $1 AND outcome IS NULL ORDER BY number";
}

/// No attempt is put off for longer.
pub const LONGEST_PAUSE: Period = Period::seconds(15);
/// Clocks of replicas that are kept right differ by less.
const SKEW: Period = Period::seconds(1);

/// The two parts of the lane to zero: a question never stands in front of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What brings a target to zero.
    Lowering,
    /// What asks an alert source.
    Asking,
}

/// An action that this worker may do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// What to do.
    pub action: Action,
    /// How often it was claimed, this time included.
    pub attempts: u32,
    /// When it was claimed for the first time, claims aside that were put off before anything was tried.
    pub first_tried_at: Timestamp,
}

type Row = (i64, String, String, i64, i64);

impl Store {
    /// Claims actions of the lane to zero, the oldest first: those that lower, or those that ask. Any replica may; a
    /// claim that is not closed in time is anybody's again, so that at worst something is done twice.
    ///
    /// # Errors
    /// When the database does not answer. A row that cannot be read is told in the log and left to time.
    pub async fn claim_safety(
        &self,
        part: Part,
        by: &str,
        now: Timestamp,
        claim_for: Period,
        limit: u32,
    ) -> Result<Vec<Claimed>, StoreError> {
        let [until, agreed] = times(now, claim_for);
        let fenced = Value::from(part == Part::Lowering);
        let values = [by.into(), until, now.into(), limit.into(), agreed, fenced];
        self.claim(&CLAIM_SAFETY, &values).await
    }

    /// Claims actions that may raise, the oldest first; none when another replica has led since.
    ///
    /// # Errors
    /// As [`Store::claim_safety`].
    pub async fn claim_forward(
        &self,
        led: &Leadership,
        by: &str,
        now: Timestamp,
        claim_for: Period,
        limit: u32,
    ) -> Result<Vec<Claimed>, StoreError> {
        let [until, agreed] = times(now, claim_for);
        let values = [by.into(), until, now.into(), limit.into(), agreed, led.term().into()];
        self.claim(&CLAIM_FORWARD, &values).await
    }

    async fn claim(&self, statement: &Statement, values: &[Value<'_>]) -> Result<Vec<Claimed>, StoreError> {
        let mut session = self.engine().begin().await?;
        let rows = session.rows(statement, values).await?;
        session.commit("commit a claim").await?;
        if !rows.is_empty() {
            failpoint::hit!("store.claim.after-commit");
        }
        Ok(claimed(rows))
    }

    /// It did not work this time; it waits until `until`.
    ///
    /// # Errors
    /// When it could not be saved; the claim runs out by itself then.
    pub async fn postpone_action(&self, id: &ActionId, until: Timestamp, why: &str) -> Result<(), StoreError> {
        let values = [id.as_str().into(), until.into(), why.into()];
        self.engine().execute(&POSTPONE, &values).await.map(drop)
    }

    /// Its time has not come: it waits until `until`, and this attempt does not count.
    ///
    /// # Errors
    /// As [`Store::postpone_action`].
    pub async fn put_off_action(&self, id: &ActionId, until: Timestamp, why: &str) -> Result<(), StoreError> {
        let values = [id.as_str().into(), until.into(), why.into()];
        self.engine().execute(&PUT_OFF, &values).await.map(drop)
    }

    /// It is over; `false` when it was over before.
    ///
    /// # Errors
    /// When it could not be saved; the action is claimed and done again then.
    pub async fn close_action(&self, id: &ActionId, outcome: &str) -> Result<bool, StoreError> {
        failpoint::hit!("store.outcome.before-commit");
        let closed = self
            .engine()
            .execute(&CLOSE, &[id.as_str().into(), outcome.into()])
            .await?;
        failpoint::hit!("store.outcome.after-commit");
        Ok(closed == 1)
    }

    /// Gives back what a replica has claimed, so that nobody waits for the claims to run out.
    ///
    /// # Errors
    /// When it could not be saved; the claims run out by themselves then.
    pub async fn release_claims(&self, by: &str) -> Result<u64, StoreError> {
        let messages = self.release_messages(by).await?;
        Ok(messages + self.engine().execute(&RELEASE, &[by.into()]).await?)
    }

    /// Since when the oldest open action waits, and the oldest message.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn oldest(&self) -> Result<(Option<Timestamp>, Option<Timestamp>), StoreError> {
        let row: Option<(Option<i64>, Option<i64>)> = self.engine().row(&OLDEST, &[]).await?;
        let (action, message) = row.unwrap_or_default();
        Ok((action.map(moment), message.map(moment)))
    }

    /// What a rollout still waits for, claimed or not.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn open_actions(&self, rollout: &tidegate_rollout::RolloutId) -> Result<Vec<Claimed>, StoreError> {
        Ok(claimed(self.engine().rows(&OPEN, &[rollout.as_str().into()]).await?))
    }
}

pub(super) fn later(now: Timestamp, period: Period) -> Timestamp {
    now.saturating_add(period.duration()).unwrap_or(now)
}

/// Until when a claim lasts, and the latest time that a clock which agrees with ours can have written: no claim and no
/// pause between two attempts is longer. What is dated later was written by a clock that ran ahead, or ours went back;
/// waiting for it to catch up would stall a rollback.
fn times(now: Timestamp, claim_for: Period) -> [Value<'static>; 2] {
    let agreed = claim_for.max(LONGEST_PAUSE).plus(SKEW);
    [later(now, claim_for).into(), later(now, agreed).into()]
}

fn claimed(mut rows: Vec<Row>) -> Vec<Claimed> {
    // RETURNING promises no order.
    rows.sort_unstable_by_key(|row| row.0);
    readable(rows, |(_, id, document, attempts, first_tried_at)| {
        Ok(Claimed {
            action: value::open("actions", &id, "document", &document)?,
            attempts: u32::try_from(count(attempts)).unwrap_or(u32::MAX),
            first_tried_at: moment(first_tried_at),
        })
    })
}

/// Closes the writes of earlier epochs: a decision that changes the wanted weight cancels them.
pub(super) async fn overtake(session: &mut Session, rollout: &Rollout) -> Result<(), StoreError> {
    let values = [rollout.id.as_str().into(), rollout.epoch.into()];
    session.execute(&OVERTAKE, &values).await.map(drop)
}

/// Stores the actions of a step, due at once.
pub(super) async fn enqueue(session: &mut Session, actions: &[Action], now: Timestamp) -> Result<(), StoreError> {
    let mut values = Vec::with_capacity(actions.len() * ENQUEUE.columns);
    for action in actions {
        let fenced = match action.kind {
            ActionKind::SetWeight { .. } | ActionKind::ToZero { .. } => true,
            // What a hook began is not undone by a later decision; its worker must still learn its end.
            ActionKind::AskAboutAlert { .. } | ActionKind::ReadLogs { .. } | ActionKind::RunHook { .. } => false,
        };
        let lane = match action.lane() {
            Lane::Safety => "safety",
            Lane::Forward => "forward",
        };
        values.extend([
            action.id.as_str().into(),
            action.rollout.as_str().into(),
            lane.into(),
            action.epoch.into(),
            Value::from(fenced),
            value::seal("an action", action)?.into(),
            now.into(),
        ]);
    }
    session.execute_many(&ENQUEUE, &values).await
}
