//! Owns the wall clock: the only place of Tidegate that reads it. Everybody else takes the time as an argument.
//! Refuses to measure: lengths of waiting come from the monotonic clock, where a jump of the wall clock cannot reach them.

use jiff::Timestamp;

/// What time it is.
#[expect(clippy::disallowed_methods, reason = "this is the one reader of the wall clock")]
pub fn now() -> Timestamp {
    Timestamp::now()
}
