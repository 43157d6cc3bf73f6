//! Owns lengths of time as people write them in plans and commands: `90s`, `30m`, `6h`, `2d`, `1h30m`.
//! Refuses calendar units: a day is 24 hours, and a month is not a length.

use std::fmt;
use std::str::FromStr;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// A length of time, never negative, exact to the millisecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(SignedDuration);

const UNITS: [(&str, i64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

impl Period {
    /// No time at all.
    pub const ZERO: Self = Self(SignedDuration::ZERO);

    /// So many seconds.
    pub const fn seconds(seconds: u32) -> Self {
        Self(SignedDuration::from_secs(seconds as i64))
    }

    /// So many minutes.
    pub const fn minutes(minutes: u32) -> Self {
        Self(SignedDuration::from_secs(minutes as i64 * 60))
    }

    /// So many milliseconds.
    pub const fn millis(millis: i64) -> Self {
        Self(SignedDuration::from_millis(if millis < 0 { 0 } else { millis }))
    }

    /// The time from `from` to `to`; zero when `to` is not later.
    pub fn between(from: jiff::Timestamp, to: jiff::Timestamp) -> Self {
        Self(to.duration_since(from).max(SignedDuration::ZERO))
    }

    /// As jiff's exact duration.
    pub const fn duration(self) -> SignedDuration {
        self.0
    }

    /// Whole milliseconds.
    pub fn as_millis(self) -> i64 {
        i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX)
    }

    /// This and `other` together.
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// What is left of this after `other`; zero when `other` is longer.
    pub fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0).max(SignedDuration::ZERO))
    }
}

impl fmt::Display for Period {
    /// The two largest units that are not zero: `7h41m`, `90s` prints as `1m30s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.as_millis();
        if rest == 0 {
            return f.write_str("0s");
        }
        let mut printed = 0;
        for (unit, length) in UNITS {
            let count = rest / length;
            rest %= length;
            if count > 0 {
                write!(f, "{count}{unit}")?;
                printed += 1;
            }
            let hidden_millis = unit == "s" && printed > 0;
            if printed == 2 || hidden_millis {
                break;
            }
        }
        Ok(())
    }
}

/// Why a text is not a length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a length of time: write `90s`, `30m`, `6h`, `2d` or `1h30m`")]
pub struct NotAPeriod(String);

impl FromStr for Period {
    type Err = NotAPeriod;

    fn from_str(text: &str) -> Result<Self, NotAPeriod> {
        let refuse = || NotAPeriod(text.chars().take(40).collect());
        let mut rest = text.trim();
        let mut total: i64 = 0;
        if rest.is_empty() {
            return Err(refuse());
        }
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (count, tail) = rest.split_at(digits);
            let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (unit, tail) = tail.split_at(letters);
            let count: i64 = count.parse().map_err(|_| refuse())?;
            let length = UNITS
                .iter()
                .find(|(name, _)| *name == unit)
                .map(|(_, length)| *length)
                .ok_or_else(refuse)?;
            total = count
                .checked_mul(length)
                .and_then(|part| total.checked_add(part))
                .ok_or_else(refuse)?;
            rest = tail.trim_start();
        }
        // A century is the longest anybody means; beyond it, arithmetic on timestamps would overflow.
        if total > 36_525 * 86_400_000 {
            return Err(refuse());
        }
        Ok(Self::millis(total))
    }
}

impl Serialize for Period {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let millis = self.as_millis();
        let (unit, length) = UNITS
            .iter()
            // No time at all divides by everything; it is written as people say it.
            .find(|(unit, length)| {
                if millis == 0 {
                    *unit == "s"
                } else {
                    millis % length == 0
                }
            })
            .copied()
            .unwrap_or(("ms", 1));
        serializer.collect_str(&format_args!("{}{unit}", millis / length))
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Period {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Period".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": r"^(\d+(d|h|m|s|ms)\s*)+$",
            "description": "A length of time, for example \"90s\", \"30m\", \"6h\", \"2d\"."
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<i64> {
        text.parse().ok().map(Period::as_millis)
    }

    #[test]
    fn lengths_of_time_are_read_as_people_write_them() {
        let cases = [
            ("0s", 0),
            ("90s", 90_000),
            ("30m", 1_800_000),
            ("2d", 172_800_000),
            ("1h30m", 5_400_000),
            (" 1h 30m ", 5_400_000),
            ("250ms", 250),
            ("1m1ms", 60_001),
            ("36525d", 36_525 * 86_400_000),
        ];
        for (text, millis) in cases {
            assert_eq!(read(text), Some(millis), "{text:?}");
        }
    }

    #[test]
    fn what_might_be_misread_is_refused() {
        let refused = [
            "",
            " ",
            "30",
            "30 m",
            "m",
            "-1h",
            "+1h",
            "1.5h",
            "1w",
            "1M",
            "1H",
            "1mo",
            "1y",
            "1h-30m",
            "1hm",
            "36526d",
            "99999999999999999999d",
            "9223372036854775807ms",
            "٣h",
        ];
        for text in refused {
            assert_eq!(read(text), None, "{text:?}");
        }
    }

    #[test]
    fn people_see_the_two_largest_units() {
        let cases = [
            (0, "0s"),
            (999, "999ms"),
            (1_000, "1s"),
            (1_500, "1s"),
            (90_000, "1m30s"),
            (27_660_999, "7h41m"),
            (86_400_000, "1d"),
            (86_400_000 + 1_000, "1d1s"),
        ];
        for (millis, text) in cases {
            assert_eq!(Period::millis(millis).to_string(), text);
        }
    }

    #[test]
    fn arithmetic_never_goes_below_nothing() {
        let (short, long) = (Period::seconds(1), Period::minutes(1));
        assert_eq!(short.minus(long), Period::ZERO);
        assert_eq!(long.minus(short).plus(short), long);
        assert_eq!(Period::millis(-5), Period::ZERO);
        let at = |second| jiff::Timestamp::from_second(second).expect("in range");
        assert_eq!(Period::between(at(10), at(13)), Period::seconds(3));
        assert_eq!(Period::between(at(13), at(10)), Period::ZERO);
    }

    proptest! {
        #[test]
        fn every_period_is_read_back_as_it_was_stored(millis in prop_oneof![0i64..10_000, 0i64..36_525 * 86_400_000]) {
            let period = Period::millis(millis);
            let stored = serde_json::to_string(&period).expect("JSON");
            prop_assert_eq!(serde_json::from_str::<Period>(&stored).ok(), Some(period));
        }

        #[test]
        fn units_add_up(d in 0i64..100, h in 0i64..100, m in 0i64..100, s in 0i64..100, ms in 0i64..1_000) {
            let text = format!("{d}d{h}h{m}m{s}s{ms}ms");
            prop_assert_eq!(read(&text), Some((((d * 24 + h) * 60 + m) * 60 + s) * 1_000 + ms));
        }

        #[test]
        fn what_is_shown_is_never_longer_than_what_is(millis in 0i64..36_525 * 86_400_000) {
            let shown = read(&Period::millis(millis).to_string()).expect("a length of time");
            prop_assert!(shown <= millis && millis - shown < 3_600_000.max(millis / 24), "{} of {}", shown, millis);
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,20}|[0-9dhms ]{0,24}") {
            if let Some(millis) = read(&text) {
                prop_assert!((0..=36_525 * 86_400_000).contains(&millis));
            }
        }
    }
}
