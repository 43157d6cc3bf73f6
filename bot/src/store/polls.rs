//! Owns when the peers of each receiver last answered in full, whichever replica asked them.
//! Refuses to compare clocks of replicas: how old an answer is the database says.

use std::time::Duration;

use jiff::Timestamp;

use super::Store;
use super::dialect::{POLLED, POLLS};
use super::error::StoreError;
use super::value::moment;

/// An answer of all the peers of a receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Polled {
    /// The receiver.
    pub receiver: String,
    /// How old the last answer is.
    pub age: Duration,
    /// When the Watchdog was last listed in one, by the clock of the replica that asked.
    pub watchdog_at: Option<Timestamp>,
}

impl Store {
    /// All peers of `receiver` have answered now, and what they told is stored; `watchdog_at`, if the Watchdog was listed.
    ///
    /// # Errors
    /// When it could not be saved; the other replicas do not hear of it then.
    pub async fn polled(&self, receiver: &str, watchdog_at: Option<Timestamp>) -> Result<(), StoreError> {
        let values = [receiver.into(), watchdog_at.into()];
        self.engine().execute(&POLLED, &values).await.map(drop)
    }

    /// The last full answers, by receiver. What the clock of the database has yet to reach is left out: that clock went
    /// back, and nobody knows how old the answer is.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn polls(&self) -> Result<Vec<Polled>, StoreError> {
        let rows: Vec<(String, i64, Option<i64>)> = self.engine().rows(&POLLS, &[]).await?;
        let known = rows.into_iter().filter_map(|(receiver, age, watchdog_at)| {
            Some(Polled {
                receiver,
                age: Duration::from_nanos(u64::try_from(age).ok()?),
                watchdog_at: watchdog_at.map(moment),
            })
        });
        Ok(known.collect())
    }
}
