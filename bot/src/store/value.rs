//! Owns how our values become columns and columns become our values: times, counts, documents, searchable text.
//! Refuses to lose an alert over an odd value: what a column cannot hold is brought within its bounds.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use sqlx::error::BoxDynError;
use sqlx::{Arguments, Database, Encode, Type};
use tidegate_rollout::{Period, envelope};

use super::error::StoreError;
use crate::telemetry::metrics::UNREADABLE_ROWS;

/// One argument of a statement.
#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    Text(Cow<'a, str>),
    NoText,
    Integer(i64),
    NoInteger,
    Bytes(&'a [u8]),
}

impl<'a> From<&'a str> for Value<'a> {
    /// PostgreSQL refuses NUL in text, so it is made visible.
    fn from(text: &'a str) -> Self {
        Self::Text(without_nul(text))
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        match without_nul(&text) {
            Cow::Borrowed(_) => Self::Text(Cow::Owned(text)),
            Cow::Owned(clean) => Self::Text(Cow::Owned(clean)),
        }
    }
}

impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(text: Option<&'a str>) -> Self {
        text.map_or(Self::NoText, Self::from)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<Option<i64>> for Value<'_> {
    fn from(number: Option<i64>) -> Self {
        number.map_or(Self::NoInteger, Self::Integer)
    }
}

impl From<u64> for Value<'_> {
    fn from(number: u64) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::Integer(number.into())
    }
}

impl From<bool> for Value<'_> {
    fn from(yes: bool) -> Self {
        Self::Integer(yes.into())
    }
}

impl From<Timestamp> for Value<'_> {
    fn from(at: Timestamp) -> Self {
        Self::Integer(nanos(at))
    }
}

impl From<Option<Timestamp>> for Value<'_> {
    fn from(at: Option<Timestamp>) -> Self {
        Self::from(at.map(nanos))
    }
}

impl From<Period> for Value<'_> {
    fn from(period: Period) -> Self {
        Self::Integer(i64::try_from(period.duration().as_nanos()).unwrap_or(i64::MAX))
    }
}

/// The arguments in the form of one engine.
pub(super) fn arguments<DB>(values: &[Value<'_>]) -> Result<DB::Arguments, BoxDynError>
where
    DB: Database,
    DB::Arguments: Arguments<Database = DB>,
    i64: for<'t> Encode<'t, DB> + Type<DB>,
    Option<i64>: for<'t> Encode<'t, DB> + Type<DB>,
    for<'t> &'t str: Encode<'t, DB> + Type<DB>,
    for<'t> Option<&'t str>: Encode<'t, DB> + Type<DB>,
    for<'t> &'t [u8]: Encode<'t, DB> + Type<DB>,
{
    let mut arguments = DB::Arguments::default();
    arguments.reserve(values.len(), values.len() * size_of::<i64>());
    for value in values {
        match value {
            Value::Text(text) => arguments.add(text.as_ref())?,
            Value::NoText => arguments.add(None::<&str>)?,
            Value::Integer(number) => arguments.add(*number)?,
            Value::NoInteger => arguments.add(None::<i64>)?,
            Value::Bytes(bytes) => arguments.add(*bytes)?,
        }
    }
    Ok(arguments)
}

/// Text as it is stored: NUL is shown as `␀`.
pub(super) fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "␀"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Text as it stands in an index. PostgreSQL refuses index rows beyond 2.7 kB, and text from outside has no bound:
/// what is longer than 160 bytes keeps its beginning, and its hash for the rest.
pub(super) fn searchable(text: &str) -> Cow<'_, str> {
    const WHOLE: usize = 160;
    const KEPT: usize = 80;
    if text.len() <= WHOLE {
        return without_nul(text);
    }
    let beginning = &text[..text.floor_char_boundary(KEPT)];
    let hash = hex::encode(Sha256::digest(text));
    Cow::Owned(format!("{}…{hash}", without_nul(beginning)))
}

/// Nanoseconds since 1970; what lies before 1677 or after 2262 stands at the bound.
pub(super) fn nanos(at: Timestamp) -> i64 {
    let exact = at.as_nanosecond();
    i64::try_from(exact).unwrap_or(if exact < 0 { i64::MIN } else { i64::MAX })
}

/// The moment a column stands for.
pub(super) fn moment(nanos: i64) -> Timestamp {
    // Every i64 lies within the years that jiff knows.
    Timestamp::from_nanosecond(nanos.into()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The count a column stands for.
pub(super) fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A document for the store.
pub(super) fn seal<T: Serialize>(what: &'static str, body: &T) -> Result<String, StoreError> {
    envelope::seal(body).map_err(|source| StoreError::Seal {
        what,
        source: source.into(),
    })
}

/// A document from the store; the error names table, row and column.
pub(super) fn open<T: DeserializeOwned>(
    table: &'static str,
    row: &str,
    column: &'static str,
    text: &str,
) -> Result<T, StoreError> {
    envelope::open(text).map_err(StoreError::row(table, row, column))
}

/// What can be read of many rows. One that cannot, as a newer Tidegate may have written it, is told and counted; it must
/// not cost its neighbours.
pub(super) fn readable<R, T>(rows: impl IntoIterator<Item = R>, read: impl Fn(R) -> Result<T, StoreError>) -> Vec<T> {
    let told = |row| {
        read(row)
            .inspect_err(|failure| {
                metrics::counter!(UNREADABLE_ROWS).increment(1);
                tracing::error!(error = failure as &dyn std::error::Error, "A stored row cannot be read");
            })
            .ok()
    };
    rows.into_iter().filter_map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_beyond_the_column_stand_at_its_bounds() {
        assert_eq!(nanos(Timestamp::MIN), i64::MIN);
        assert_eq!(nanos(Timestamp::MAX), i64::MAX);
        let today: Timestamp = "2026-11-20T09:00:00.123456789Z".parse().unwrap();
        assert_eq!(moment(nanos(today)), today);
        assert!(moment(i64::MIN) < moment(0) && moment(0) < moment(i64::MAX));
    }

    #[test]
    fn long_text_stays_apart_in_an_index() {
        let long = "ü".repeat(3_000);
        let longer = format!("{long}!");
        assert!(searchable(&long).len() < 160);
        assert_ne!(searchable(&long), searchable(&longer));
        assert_eq!(searchable("HighErrorRate"), "HighErrorRate");
        assert_eq!(searchable("a\0b"), "a␀b");
    }
}
