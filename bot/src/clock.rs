//! Owns the wall clock: the only place of Tidegate that reads it. Everybody else takes the time as an argument.
//! Refuses to measure: lengths of waiting come from the monotonic clock, where a jump of the wall clock cannot reach them.

use jiff::Timestamp;

/// What time it is.
#[expect(clippy::disallowed_methods, reason = "this is the one reader of the wall clock")]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// The moment that a `Date` header names.
pub fn read(date: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(date).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_date_of_http_is_read() {
        let read = super::read("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        assert_eq!(read.to_string(), "1994-11-06T08:49:37Z");
        assert_eq!(super::read("soon"), None);
    }
}
