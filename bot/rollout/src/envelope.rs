//! Owns the versioned envelope in which rollouts, actions and notices are stored.
//! Refuses to guess: a version it does not know is an error that names it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The version written today. Older ones stay readable, each with a golden file in the tests.
pub const VERSION: u32 = 1;

#[derive(Serialize)]
struct Sealed<'a, T> {
    v: u32,
    body: &'a T,
}

#[derive(Deserialize)]
struct Opened {
    v: u32,
    body: serde_json::Value,
}

/// Why stored text could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// Written by a newer program.
    #[error("stored in version {0} of the envelope; this program reads up to {VERSION}")]
    Version(u32),
    /// Not what this program writes.
    #[error("stored text does not have the expected shape")]
    Shape(#[source] serde_json::Error),
}

/// Wraps a value for the store.
pub fn seal<T: Serialize>(body: &T) -> Result<String, Unreadable> {
    serde_json::to_string(&Sealed { v: VERSION, body }).map_err(Unreadable::Shape)
}

/// Unwraps a value from the store.
pub fn open<T: DeserializeOwned>(text: &str) -> Result<T, Unreadable> {
    let opened: Opened = serde_json::from_str(text).map_err(Unreadable::Shape)?;
    match opened.v {
        1 => serde_json::from_value(opened.body).map_err(Unreadable::Shape),
        other => Err(Unreadable::Version(other)),
    }
}
