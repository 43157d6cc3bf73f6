//! Owns the statements that cannot be the same on both engines: claims, the database's clock, two locks.
//! Refuses everything else; a statement comes here only when no common text does the same.

use super::sql::Statement;

/// A claim takes rows nobody else holds. SQLite has one writer, so the rows stand still; PostgreSQL locks them, and
/// leaves those that another replica locks at this moment to it.
macro_rules! claim {
    ($tries:literal, $head:literal, $found:literal, $tail:literal) => {
        claim!($tries, $head, "", "", $found, $tail)
    };
    ($tries:literal, $head:literal, $from:literal, $index:literal, $found:literal, $tail:literal) => {
        Statement::apart(
            $tries,
            concat!($head, " WHERE number IN (", $from, $index, $found, ") ", $tail),
            concat!(
                $head,
                " WHERE number IN (",
                $from,
                $found,
                " FOR UPDATE SKIP LOCKED) ",
                $tail
            ),
        )
    };
}

/// `$1` who, `$2` until, `$3` now, `$4` how many, `$5` the latest time that a clock which agrees with ours has written,
/// `$6` whether the fenced ones, which lower, or the others, which ask.
pub(super) const CLAIM_SAFETY: Statement = claim!(
    "claim actions that lower or ask",
    "UPDATE actions SET claimed_by = $1, claimed_until = $2, attempts = attempts + 1, \
       first_tried_at = COALESCE(first_tried_at, $3)",
    "SELECT number FROM actions WHERE outcome IS NULL AND lane = 'safety' AND fenced = $6 \
       AND (due_at <= $3 OR due_at > $5) AND (claimed_until <= $3 OR claimed_until > $5) \
       ORDER BY number LIMIT $4",
    "RETURNING number, id, document, attempts, first_tried_at"
);

/// `$1` who, `$2` until, `$3` now, `$4` how many, `$5` as in [`CLAIM_SAFETY`], `$6` the term of the leadership.
pub(super) const CLAIM_FORWARD: Statement = claim!(
    "claim actions that may raise",
    "UPDATE actions SET claimed_by = $1, claimed_until = $2, attempts = attempts + 1, \
       first_tried_at = COALESCE(first_tried_at, $3)",
    "SELECT number FROM actions WHERE outcome IS NULL AND lane = 'forward' \
       AND (due_at <= $3 OR due_at > $5) AND (claimed_until <= $3 OR claimed_until > $5) \
       AND EXISTS (SELECT 1 FROM leases WHERE name = 'lead' AND term = $6) \
       ORDER BY number LIMIT $4",
    "RETURNING number, id, document, attempts, first_tried_at"
);

/// `$1` who, `$2` until, `$3` now, `$4` how many, `$5` on which channel. SQLite, which keeps no statistics, takes the index of
/// everything that a channel was ever told for as good as that of what waits.
pub(super) const CLAIM_MESSAGES: Statement = claim!(
    "claim messages",
    "UPDATE messages SET claimed_by = $1, claimed_until = $2, attempts = attempts + 1",
    "SELECT number FROM messages",
    " INDEXED BY messages_waiting",
    " WHERE state = 'waiting' AND channel = $5 AND due_at <= $3 AND claimed_until <= $3 ORDER BY number LIMIT $4",
    "RETURNING number, notice, channel, document, attempts"
);

/// A text with the database's clock in it, in nanoseconds since 1970.
macro_rules! by_the_clock {
    ($tries:literal, $first:literal $(, now, $next:literal)+) => {
        Statement::apart(
            $tries,
            concat!($first $(, "(CAST(unixepoch('subsec') * 1000 AS INTEGER) * 1000000)", $next)+),
            concat!($first $(, "(CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) * 1000)", $next)+),
        )
    };
}

/// `$1` who, `$2` for how long. Returns the term, or nothing while another replica leads.
pub(super) const LEAD: Statement = by_the_clock!(
    "ask for the lease",
    "INSERT INTO leases (name, holder, term, expires_at) VALUES ('lead', $1, 1, ",
    now,
    " + $2) ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at, \
       term = CASE WHEN leases.holder = excluded.holder AND leases.expires_at > ",
    now,
    " THEN leases.term ELSE leases.term + 1 END \
       WHERE leases.holder = excluded.holder OR leases.expires_at <= ",
    now,
    " RETURNING term"
);

/// `$1` which replica, `$2` its own time, `$3` the revision of the flags it serves.
pub(super) const BEAT: Statement = by_the_clock!(
    "tell that this replica lives",
    "INSERT INTO replicas (id, beat_at, seen_at, flags_revision) VALUES ($1, $2, ",
    now,
    ", $3) ON CONFLICT (id) DO UPDATE SET beat_at = excluded.beat_at, seen_at = excluded.seen_at, \
       flags_revision = excluded.flags_revision"
);

/// `$1` which receiver, `$2` when the Watchdog was listed, if it was.
pub(super) const POLLED: Statement = by_the_clock!(
    "tell that a receiver was polled",
    "INSERT INTO polls (receiver, answered_at, watchdog_at) VALUES ($1, ",
    now,
    ", $2) ON CONFLICT (receiver) DO UPDATE SET answered_at = excluded.answered_at, \
       watchdog_at = COALESCE(excluded.watchdog_at, polls.watchdog_at)"
);

pub(super) const POLLS: Statement = by_the_clock!(
    "read which receivers were polled",
    "SELECT receiver, ",
    now,
    " - answered_at, watchdog_at FROM polls"
);

/// `$1` how long a heartbeat counts.
pub(super) const LIVE_REPLICAS: Statement = by_the_clock!(
    "list the live replicas",
    "SELECT id, beat_at, flags_revision FROM replicas WHERE seen_at > ",
    now,
    " - $1 ORDER BY id"
);

/// `$1` how long a heartbeat counts.
pub(super) const RELEASE_ORPHANS: Statement = by_the_clock!(
    "free the actions of silent replicas",
    "UPDATE actions SET claimed_until = 0 WHERE outcome IS NULL AND lane = 'safety' AND claimed_until > 0 \
       AND NOT EXISTS (SELECT 1 FROM replicas WHERE replicas.id = actions.claimed_by AND seen_at > ",
    now,
    " - $1)"
);

/// `$1` which rollout. On PostgreSQL the row stands still until the flag is written: a rollback that is being saved
/// is waited for, and then fences this write.
pub(super) const FENCE: Statement = Statement::apart(
    "read the epoch of the rollout",
    "SELECT epoch FROM rollouts WHERE id = $1",
    "SELECT epoch FROM rollouts WHERE id = $1 FOR SHARE",
);

/// How many rollouts were started. On PostgreSQL no start commits until this transaction ends: whoever starts next reads
/// what it stored.
pub(super) const STARTS: Statement = Statement::apart(
    "read how many rollouts were started",
    "SELECT value FROM counters WHERE name = 'starts'",
    "SELECT value FROM counters WHERE name = 'starts' FOR SHARE",
);

pub(super) const STATEMENTS: &[&Statement] = &[
    &CLAIM_SAFETY,
    &CLAIM_FORWARD,
    &CLAIM_MESSAGES,
    &LEAD,
    &BEAT,
    &POLLED,
    &POLLS,
    &LIVE_REPLICAS,
    &RELEASE_ORPHANS,
    &FENCE,
    &STARTS,
];
