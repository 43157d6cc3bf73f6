//! Owns forgetting: what is over and older than the retention goes, so that nothing grows for ever.
//! Refuses to forget what is active: unsettled arrivals, firing alerts, waiting messages, rollouts that are not over.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tidegate_rollout::{Entry, Rollout};

use super::Store;
use super::engine::Session;
use super::error::StoreError;
use super::log::{SERVER, append};
use super::sql::{Statement, statements};
use super::value::{self, Value, count};

statements! {
    DELIVERIES: "forget settled deliveries" =
        "DELETE FROM deliveries WHERE number IN
           (SELECT number FROM deliveries WHERE settled = 1 AND at < $1 ORDER BY at, number LIMIT $2)";
    DELIVERIES_SIZE: "measure settled deliveries" =
        "SELECT CAST(OCTET_LENGTH(raw) + OCTET_LENGTH(content) AS BIGINT) FROM deliveries
         WHERE settled = 1 AND at < $1 ORDER BY at, number LIMIT $2";
    ALERTS: "forget resolved alerts" =
        "DELETE FROM alerts WHERE number IN
           (SELECT number FROM alerts WHERE status = 'resolved' AND heard_at < $1 ORDER BY heard_at, number LIMIT $2)";
    ALERTS_SIZE: "measure resolved alerts" =
        "SELECT CAST(OCTET_LENGTH(document) AS BIGINT) FROM alerts
         WHERE status = 'resolved' AND heard_at < $1 ORDER BY heard_at, number LIMIT $2";
    GHOSTS: "forget alerts that nobody speaks of" =
        "DELETE FROM alerts WHERE number IN
           (SELECT number FROM alerts WHERE heard_at < $1 ORDER BY heard_at, number LIMIT $2)";
    GHOSTS_SIZE: "measure alerts that nobody speaks of" =
        "SELECT CAST(OCTET_LENGTH(document) AS BIGINT) FROM alerts
         WHERE heard_at < $1 ORDER BY heard_at, number LIMIT $2";
    MESSAGES: "forget messages" =
        "DELETE FROM messages WHERE number IN
           (SELECT number FROM messages WHERE state <> 'waiting' AND created_at < $1
            ORDER BY created_at, number LIMIT $2)";
    MESSAGES_SIZE: "measure messages" =
        "SELECT CAST(OCTET_LENGTH(document) AS BIGINT) FROM messages
         WHERE state <> 'waiting' AND created_at < $1 ORDER BY created_at, number LIMIT $2";
    TOKENS: "forget expired tokens" =
        "DELETE FROM tokens WHERE number IN (SELECT number FROM tokens WHERE expires_at < $1 ORDER BY number LIMIT $2)";
    REPLICAS: "forget replicas" =
        "DELETE FROM replicas WHERE id IN (SELECT id FROM replicas WHERE beat_at < $1 ORDER BY id LIMIT $2)";
    SPENT: "forget spent rollbacks" =
        "DELETE FROM automatic_rollbacks WHERE number IN
           (SELECT number FROM automatic_rollbacks WHERE at < $1 ORDER BY number LIMIT $2)";
    PROOFS: "forget what proved old requests" =
        "DELETE FROM proofs WHERE digest IN (SELECT digest FROM proofs WHERE at < $1 ORDER BY at LIMIT $2)";
    OVER: "find a rollout to forget" =
        "SELECT r.id, r.document FROM rollouts AS r WHERE r.is_final = 1 AND r.changed_at < $1
           AND NOT EXISTS (SELECT 1 FROM actions AS a WHERE a.rollout = r.id AND a.outcome IS NULL)
           AND NOT EXISTS (SELECT 1 FROM messages AS m WHERE m.rollout = r.id AND m.state = 'waiting')
         ORDER BY r.changed_at LIMIT 1";
    HEAD: "read the head of a chain" =
        "SELECT lines, hash FROM chains WHERE name = $1";
    FORGET_LOG: "forget the log of a rollout" =
        "DELETE FROM log WHERE chain = $1";
    FORGET_CHAIN: "forget the chain of a rollout" =
        "DELETE FROM chains WHERE name = $1";
    FORGET_ACTIONS: "forget the actions of a rollout" =
        "DELETE FROM actions WHERE rollout = $1";
    FORGET_MESSAGES: "forget the messages of a rollout" =
        "DELETE FROM messages WHERE rollout = $1";
    FORGET_CARDS: "forget the cards of a rollout" =
        "DELETE FROM cards WHERE rollout = $1";
    FORGET_ROLLOUT: "forget a rollout" =
        "DELETE FROM rollouts WHERE id = $1";
}

/// So many rows, or so many bytes, go in one transaction: few enough that a heartbeat or a rollback, which waits for the
/// same writer, does not wait long. A single row may be larger.
const ROWS: u32 = 500;
const BYTES: i64 = 4 << 20;
/// After each transaction everybody else gets as much time as it took, at most this.
const LONGEST_REST: Duration = Duration::from_secs(1);
/// An alert that fires by the last word on it, and of which nobody spoke for so long beyond the retention, was never
/// told to have ended.
const GHOST: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Long after the last moment at which a request of a chat platform would be believed again, whatever the clocks say.
const PROOF: SignedDuration = SignedDuration::from_hours(1);

/// What was forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Settled deliveries.
    pub deliveries: u64,
    /// Alerts.
    pub alerts: u64,
    /// Messages, sent or buried.
    pub messages: u64,
    /// Whole rollouts.
    pub rollouts: u64,
    /// Lines of the server's log.
    pub lines: u64,
}

/// Rows that go in batches: what measures the next of them, and what forgets so many. Both in the same order.
struct Heap {
    measure: &'static Statement,
    forget: &'static Statement,
}

const fn heap(measure: &'static Statement, forget: &'static Statement) -> Heap {
    Heap { measure, forget }
}

impl Store {
    /// Forgets what is over and older than `before`. Each rollout leaves a checkpoint in the server's log: how it
    /// ended, how many lines its own log had, and its last hash. Stopped half-way, it goes on the next time.
    ///
    /// # Errors
    /// When it could not be saved; what was forgotten until then stays forgotten.
    pub async fn prune(&self, before: Timestamp, now: Timestamp) -> Result<Pruned, StoreError> {
        let long_before = before.saturating_sub(GHOST).unwrap_or(before);
        let resolved = self.forget(&heap(&ALERTS_SIZE, &ALERTS), before).await?;
        let ghosts = self.forget(&heap(&GHOSTS_SIZE, &GHOSTS), long_before).await?;
        let mut pruned = Pruned {
            deliveries: self.forget(&heap(&DELIVERIES_SIZE, &DELIVERIES), before).await?,
            alerts: resolved + ghosts,
            messages: self.forget(&heap(&MESSAGES_SIZE, &MESSAGES), before).await?,
            rollouts: 0,
            lines: 0,
        };
        for statement in [&TOKENS, &REPLICAS, &SPENT] {
            self.forget_small(statement, before).await?;
        }
        let unbelievable = now.saturating_sub(PROOF).unwrap_or(Timestamp::MIN);
        self.forget_small(&PROOFS, unbelievable).await?;
        let mut begun = Instant::now();
        while let Some(forgotten) = self.forget_rollout(before, now).await? {
            pruned.rollouts += u64::from(forgotten);
            rest(begun).await;
            begun = Instant::now();
        }
        while let Some(lines) = self.forget_lines(before, now).await? {
            pruned.lines += lines;
            rest(begun).await;
            begun = Instant::now();
        }
        Ok(pruned)
    }

    async fn forget(&self, heap: &Heap, before: Timestamp) -> Result<u64, StoreError> {
        let mut total = 0;
        loop {
            let sizes: Vec<(i64,)> = self.engine().rows(heap.measure, &[before.into(), ROWS.into()]).await?;
            let rows = batch(sizes.into_iter().map(|(size,)| size));
            if rows == 0 {
                return Ok(total);
            }
            let begun = Instant::now();
            total += self
                .engine()
                .execute(heap.forget, &[before.into(), rows.into()])
                .await?;
            rest(begun).await;
        }
    }

    /// Rows of a few bytes each.
    async fn forget_small(&self, statement: &Statement, before: Timestamp) -> Result<(), StoreError> {
        loop {
            let begun = Instant::now();
            let gone = self.engine().execute(statement, &[before.into(), ROWS.into()]).await?;
            if gone < ROWS.into() {
                return Ok(());
            }
            rest(begun).await;
        }
    }

    /// Forgets the rollout that has been over for longest; `None` when there is none, `false` when another replica
    /// forgot it at the same time.
    async fn forget_rollout(&self, before: Timestamp, now: Timestamp) -> Result<Option<bool>, StoreError> {
        let mut session = self.engine().begin().await?;
        let found: Option<(String, String)> = session.row(&OVER, &[before.into()]).await?;
        let Some((id, document)) = found else {
            session.undo().await?;
            return Ok(None);
        };
        if session.execute(&FORGET_ROLLOUT, &[Value::from(&id)]).await? == 0 {
            session.undo().await?;
            return Ok(Some(false));
        }
        let rollout: Rollout = value::open("rollouts", &id, "document", &document)?;
        let checkpoint = checkpoint(&mut session, &rollout, now).await?;
        append(&mut session, SERVER, &[checkpoint]).await?;
        for statement in [
            &FORGET_LOG,
            &FORGET_CHAIN,
            &FORGET_ACTIONS,
            &FORGET_MESSAGES,
            &FORGET_CARDS,
        ] {
            session.execute(statement, &[Value::from(&id)]).await?;
        }
        session.commit("commit the forgetting of a rollout").await?;
        Ok(Some(true))
    }
}

/// How many of rows with these sizes go together; at least one, if there is one.
fn batch(sizes: impl IntoIterator<Item = i64>) -> u32 {
    let (mut rows, mut bytes) = (0, 0_i64);
    for size in sizes {
        bytes = bytes.saturating_add(size);
        if rows > 0 && bytes > BYTES {
            break;
        }
        rows += 1;
    }
    rows
}

/// Lets others have the writer.
async fn rest(since: Instant) {
    tokio::time::sleep(since.elapsed().min(LONGEST_REST)).await;
}

async fn checkpoint(session: &mut Session, rollout: &Rollout, now: Timestamp) -> Result<Entry, StoreError> {
    let head: Option<(i64, Vec<u8>)> = session.row(&HEAD, &[rollout.id.as_str().into()]).await?;
    let (lines, hash) = head.map_or((0, String::from("none")), |(lines, hash)| {
        (count(lines), hex::encode(hash))
    });
    let text = format!(
        "{} is forgotten as the retention says. It ended {}; its log had {lines} lines, the last hash was {hash}.",
        rollout.id,
        rollout.state_word(),
    );
    Ok(Entry::own(now, "forgotten", text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_bounded_by_its_bytes_and_never_empty() {
        assert_eq!(batch([]), 0);
        assert_eq!(batch([100; 500]), 500);
        assert_eq!(batch([BYTES / 4; 500]), 4);
        assert_eq!(batch([BYTES * 10, 1]), 1, "a row that is too large goes alone");
    }
}
