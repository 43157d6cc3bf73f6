//! Owns the log: one hash chain per rollout and one for the server, appended in the commit that they tell of.
//! Refuses to be edited. Whoever does so outside of Tidegate is found by [`Store::verify_log`], by chain and line. The
//! server's chain loses its oldest lines after the retention; a line that stays vouches for the hash of the last of them.

use jiff::Timestamp;
use tidegate_rollout::chain::{self, Hash};
use tidegate_rollout::{Entry, RolloutId, Surface};

use super::Store;
use super::engine::Session;
use super::error::StoreError;
use super::sql::{Many, statements};
use super::value::{Value, count, moment, nanos, without_nul};

pub(super) const APPEND: Many = Many {
    tries: "append to the log",
    head: "INSERT INTO log (chain, line, at, kind, actor, surface, text, hash)",
    columns: 8,
    tail: "",
};

statements! {
    HEAD: "lock the head of a chain" =
        "INSERT INTO chains (name, lines, hash) VALUES ($1, 0, $2)
         ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING lines, hash";
    MOVE_HEAD: "move the head of a chain" =
        "UPDATE chains SET lines = $2, hash = $3 WHERE name = $1";
    LATEST: "read the log" =
        "SELECT line, at, kind, actor, surface, text, hash FROM log WHERE chain = $1 ORDER BY line DESC LIMIT $2";
    WHOLE: "read a chain" =
        "SELECT line, at, kind, actor, surface, text, hash FROM log WHERE chain = $1 ORDER BY line";
    WHOLE_BEFORE_SURFACES: "read a chain of older tables" =
        "SELECT line, at, kind, actor, NULL, text, hash FROM log WHERE chain = $1 ORDER BY line";
    HEADS: "list the chains" =
        "SELECT names.name, chains.lines, chains.hash
         FROM (SELECT name FROM chains UNION SELECT chain FROM log UNION SELECT id FROM rollouts) AS names
         LEFT JOIN chains ON chains.name = names.name ORDER BY names.name";
    FIRST: "find the first line of a chain" =
        "SELECT MIN(line) FROM log WHERE chain = $1";
    OLD_LINE: "read an old line" =
        "SELECT hash FROM log WHERE chain = $1 AND line = $2 AND at < $3";
    FORGET: "forget the oldest lines of a chain" =
        "DELETE FROM log WHERE chain = $1 AND line <= $2";
}

/// So many lines are forgotten at once, and never fewer: each time costs a line that says so.
const PIECE: u64 = 256;

/// The chain of what concerns no single rollout.
pub(super) const SERVER: &str = "server";

/// What a check of the whole log found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogReport {
    /// Every chain, by name.
    pub chains: Vec<ChainReport>,
}

impl LogReport {
    /// The chains that do not hold.
    pub fn broken(&self) -> impl Iterator<Item = &ChainReport> {
        self.chains.iter().filter(|chain| chain.broken_at.is_some())
    }
}

/// What a check of one chain found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainReport {
    /// A rollout's id, or `server`.
    pub name: String,
    /// How many lines are there.
    pub lines: u64,
    /// The number of the first line that was changed, is missing or was added; `None` when the chain holds.
    pub broken_at: Option<u64>,
}

type Row = (i64, i64, String, String, Option<String>, String, Vec<u8>);

impl Store {
    /// The latest lines of a rollout's log with their numbers, the newest last.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn history(&self, rollout: &RolloutId, limit: u32) -> Result<Vec<(u64, Entry)>, StoreError> {
        self.lines(rollout.as_str(), limit).await
    }

    /// The latest lines of the server's log with their numbers, the newest last.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn server_history(&self, limit: u32) -> Result<Vec<(u64, Entry)>, StoreError> {
        self.lines(SERVER, limit).await
    }

    async fn lines(&self, chain: &str, limit: u32) -> Result<Vec<(u64, Entry)>, StoreError> {
        let mut rows: Vec<Row> = self.engine().rows(&LATEST, &[chain.into(), limit.into()]).await?;
        rows.reverse();
        Ok(rows.into_iter().map(|row| (count(row.0), entry(row))).collect())
    }

    /// Checks every chain from its first line to its head.
    ///
    /// # Errors
    /// When the database does not answer. A broken chain is not an error, but part of the report.
    pub async fn verify_log(&self) -> Result<LogReport, StoreError> {
        let heads: Vec<(String, Option<i64>, Option<Vec<u8>>)> = self.engine().rows(&HEADS, &[]).await?;
        let mut chains = Vec::with_capacity(heads.len());
        for (name, lines, hash) in heads {
            let chain = [name.as_str().into()];
            let rows: Vec<Row> = match self.engine().rows(&WHOLE, &chain).await {
                // Opened to be read only, nothing brings older tables up to date.
                Err(failure) if failure.is_about_no_column() => {
                    self.engine().rows(&WHOLE_BEFORE_SURFACES, &chain).await?
                }
                rows => rows?,
            };
            let head = lines.zip(hash).map(|(lines, hash)| (count(lines), hash));
            chains.push(check(name, rows, head));
        }
        Ok(LogReport { chains })
    }

    /// Forgets the oldest lines of the server's log, if so many are older than `before` that it is worth a line which
    /// says so; how many, or `None`.
    pub(super) async fn forget_lines(&self, before: Timestamp, now: Timestamp) -> Result<Option<u64>, StoreError> {
        let mut session = self.engine().begin().await?;
        let row: Option<(Option<i64>,)> = session.row(&FIRST, &[SERVER.into()]).await?;
        let first = row.and_then(|(first,)| first).map_or(1, count);
        let last = first + PIECE - 1;
        let old: Option<(Vec<u8>,)> = session
            .row(&OLD_LINE, &[SERVER.into(), last.into(), before.into()])
            .await?;
        let Some((hash,)) = old else {
            session.undo().await?;
            return Ok(None);
        };
        let said = Entry::own(now, FORGOTTEN_LINES, forgotten_text(last, &hash));
        append(&mut session, SERVER, &[said]).await?;
        if session.execute(&FORGET, &[SERVER.into(), last.into()]).await? == 0 {
            // Another replica forgot them at the same time.
            session.undo().await?;
            return Ok(None);
        }
        session.commit("commit the forgetting of old lines").await?;
        Ok(Some(PIECE))
    }
}

const FORGOTTEN_LINES: &str = "forgotten-lines";

fn forgotten_text(lines: u64, hash: &[u8]) -> String {
    format!(
        "The lines of the server's log up to {lines} are forgotten as the retention says; the hash of line {lines} was {}.",
        hex::encode(hash)
    )
}

/// The hash of the last of `forgotten` lines, as a line says that is still there.
fn vouched_for(forgotten: u64, rows: &[Row]) -> Option<Hash> {
    let hash = |text: &str| -> Option<Hash> {
        let hash = hex::decode(text.strip_suffix('.')?.rsplit(' ').next()?).ok()?;
        (text == forgotten_text(forgotten, &hash)).then_some(hash.try_into().ok()?)
    };
    rows.iter()
        .filter(|row| row.2 == FORGOTTEN_LINES)
        .find_map(|row| hash(&row.5))
}

fn check(name: String, rows: Vec<Row>, head: Option<(u64, Vec<u8>)>) -> ChainReport {
    let forgotten = rows.first().map_or(0, |row| count(row.0).saturating_sub(1));
    let (skipped, anchor) = match vouched_for(forgotten, &rows) {
        Some(hash) if forgotten > 0 && name == SERVER => (forgotten, hash),
        Some(_) | None => (0, chain::anchor(&name)),
    };
    let last_hash = rows.last().map_or_else(|| anchor.to_vec(), |row| row.6.clone());
    let lines: Vec<(u64, Entry, Hash)> = rows
        .into_iter()
        .map(|row| (count(row.0), hash_of(&row), row))
        .map(|(number, hash, row)| (number, entry(row), hash))
        .collect();
    let verified = chain::verify_after(
        skipped,
        anchor,
        lines.iter().map(|(number, entry, hash)| (*number, entry, *hash)),
    );
    let broken_at = match (verified, head) {
        (Err(line), _) => Some(line),
        (Ok(found), Some((expected, hash))) if found == expected && hash == last_hash => None,
        // The tail was cut, the head was changed, or lines were added behind it.
        (Ok(found), Some((expected, _))) => Some(found.min(expected) + 1),
        (Ok(found), None) => Some(found + 1),
    };
    ChainReport {
        lines: lines.len() as u64,
        name,
        broken_at,
    }
}

/// The hash that a line is to have. A hash of another length fits nothing, as one of zeros does not; nor does anything fit
/// a surface that there is not.
fn hash_of((_, _, _, _, surface, _, hash): &Row) -> Hash {
    match surface.as_deref().map(Surface::called) {
        Some(None) => Hash::default(),
        Some(Some(_)) | None => Hash::try_from(hash.as_slice()).unwrap_or_default(),
    }
}

fn entry((_, at, kind, actor, surface, text, _): Row) -> Entry {
    Entry {
        at: moment(at),
        kind,
        by: actor,
        surface: surface.as_deref().and_then(Surface::called),
        text,
    }
}

/// The line as it will be read back, so that its hash fits then.
fn as_stored(entry: &Entry) -> Entry {
    Entry {
        at: moment(nanos(entry.at)),
        kind: without_nul(&entry.kind).into_owned(),
        by: without_nul(&entry.by).into_owned(),
        surface: entry.surface,
        text: without_nul(&entry.text).into_owned(),
    }
}

/// Appends lines to a chain. Its head is held until the commit, so that chains never fork.
pub(super) async fn append(session: &mut Session, chain: &str, entries: &[Entry]) -> Result<(), StoreError> {
    if entries.is_empty() {
        return Ok(());
    }
    let anchor = chain::anchor(chain);
    let head: Option<(i64, Vec<u8>)> = session.row(&HEAD, &[chain.into(), Value::Bytes(&anchor)]).await?;
    let (lines, hash) = head.unwrap_or((0, anchor.to_vec()));
    let mut number = count(lines);
    let mut last = Hash::try_from(hash.as_slice()).unwrap_or(anchor);
    let mut links = Vec::with_capacity(entries.len());
    for entry in entries.iter().map(as_stored) {
        number += 1;
        last = chain::link(&last, number, &entry);
        links.push((number, entry, last));
    }
    let values: Vec<Value<'_>> = links
        .iter()
        .flat_map(|(number, entry, hash)| {
            [
                chain.into(),
                (*number).into(),
                entry.at.into(),
                Value::from(&entry.kind),
                Value::from(&entry.by),
                entry.surface.map(Surface::word).into(),
                Value::from(&entry.text),
                Value::Bytes(hash),
            ]
        })
        .collect();
    session.execute_many(&APPEND, &values).await?;
    let values = [chain.into(), number.into(), Value::Bytes(&last)];
    session.execute(&MOVE_HEAD, &values).await.map(drop)
}
