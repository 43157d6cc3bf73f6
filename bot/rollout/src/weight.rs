//! Owns how much traffic: the declared weight and the observed share, both exact.
//! Refuses floating point, so that 25 % is 25 % in every comparison.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The declared part of the traffic that goes to the new version, in basis points: 0 to 10,000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weight(u16);

impl Weight {
    /// No traffic.
    pub const ZERO: Self = Self(0);
    /// All traffic.
    pub const FULL: Self = Self(10_000);

    /// A weight in basis points; `None` above 10,000.
    pub const fn from_basis_points(points: u16) -> Option<Self> {
        if points <= 10_000 { Some(Self(points)) } else { None }
    }

    /// A whole number of percent; values above 100 are cut to 100.
    pub const fn percent(percent: u8) -> Self {
        if percent >= 100 {
            Self::FULL
        } else {
            Self(percent as u16 * 100)
        }
    }

    /// Basis points, 0 to 10,000.
    pub const fn basis_points(self) -> u16 {
        self.0
    }

    /// Whether no traffic at all is let through.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 100, self.0 % 100);
        match rest {
            0 => write!(f, "{whole}%"),
            _ if rest % 10 == 0 => write!(f, "{whole}.{}%", rest / 10),
            _ => write!(f, "{whole}.{rest:02}%"),
        }
    }
}

/// Why a text is not a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAWeight {
    /// The unit is missing, and 25 might mean 25 % or a ratio.
    #[error("a weight needs its unit: write `25%`")]
    NoUnit,
    /// Not a number, or more than two decimals.
    #[error("a weight is a percentage with at most two decimals, such as `25%` or `0.5%`")]
    NotANumber,
    /// Above 100 %.
    #[error("a weight is at most 100%")]
    TooLarge,
}

impl FromStr for Weight {
    type Err = NotAWeight;

    fn from_str(text: &str) -> Result<Self, NotAWeight> {
        let number = text.trim().strip_suffix('%').ok_or(NotAWeight::NoUnit)?.trim_end();
        let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(decimals) || decimals.len() > 2 || whole.len() > 6 {
            return Err(NotAWeight::NotANumber);
        }
        let whole: u32 = whole.parse().map_err(|_| NotAWeight::NotANumber)?;
        let hundredths: u32 = format!("{decimals:0<2}").parse().map_err(|_| NotAWeight::NotANumber)?;
        let points = whole * 100 + hundredths;
        u16::try_from(points)
            .ok()
            .and_then(Self::from_basis_points)
            .ok_or(NotAWeight::TooLarge)
    }
}

impl Serialize for Weight {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Weight {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Weight {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Weight".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": r"^(100(\.00?)?|\d{1,2}(\.\d{1,2})?)%$",
            "description": "Part of the traffic for the new version, for example \"25%\"."
        })
    }
}

/// The observed part of the traffic: `new` of `total` requests or evaluations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// How many went to the new version.
    pub new: u64,
    /// How many there were.
    pub total: u64,
}

impl Share {
    /// The share in basis points, rounded down; `None` when nothing was observed.
    pub fn basis_points(self) -> Option<u64> {
        if self.total == 0 {
            return None;
        }
        let points = u128::from(self.new) * 10_000 / u128::from(self.total);
        u64::try_from(points).ok()
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.basis_points() {
            None => f.write_str("nothing observed"),
            Some(points) => write!(f, "{}.{}%", points / 100, points % 100 / 10),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_weight_is_written_as_people_say_it() {
        let cases = [
            (0, "0%"),
            (1, "0.01%"),
            (50, "0.5%"),
            (1_000, "10%"),
            (3_333, "33.33%"),
            (10_000, "100%"),
        ];
        for (points, text) in cases {
            assert_eq!(
                Weight::from_basis_points(points)
                    .map(|weight| weight.to_string())
                    .as_deref(),
                Some(text)
            );
        }
        assert_eq!(Weight::from_basis_points(10_001), None);
        assert_eq!(Weight::percent(250), Weight::FULL);
    }

    #[test]
    fn what_is_not_a_weight_says_why() {
        let cases = [
            ("25", NotAWeight::NoUnit),
            ("0.25", NotAWeight::NoUnit),
            ("", NotAWeight::NoUnit),
            ("%", NotAWeight::NotANumber),
            ("-5%", NotAWeight::NotANumber),
            ("+5%", NotAWeight::NotANumber),
            (".5%", NotAWeight::NotANumber),
            ("5.%", NotAWeight::NotANumber),
            ("0.125%", NotAWeight::NotANumber),
            ("1e1%", NotAWeight::NotANumber),
            ("٥%", NotAWeight::NotANumber),
            ("99999999999999999999%", NotAWeight::NotANumber),
            ("100.01%", NotAWeight::TooLarge),
            ("101%", NotAWeight::TooLarge),
            ("655.36%", NotAWeight::TooLarge),
            ("655.37%", NotAWeight::TooLarge),
        ];
        for (text, why) in cases {
            assert_eq!(text.parse::<Weight>(), Err(why), "{text:?}");
        }
    }

    #[test]
    fn every_weight_is_read_back_as_it_was_written() {
        for points in 0..=10_000 {
            let weight = Weight::from_basis_points(points).expect("in range");
            assert_eq!(weight.to_string().parse(), Ok(weight));
        }
    }

    proptest! {
        #[test]
        fn a_text_is_read_as_the_number_it_shows(whole in 0u32..1_000, cents in 0u32..100, digits in 0usize..=2) {
            let cents = cents - cents % 10u32.pow(2 - u32::try_from(digits).expect("small"));
            let decimals = format!("{cents:02}");
            let text = if digits == 0 { format!("{whole}%") } else { format!("{whole}.{}%", &decimals[..digits]) };
            let expected = whole * 100 + cents;
            prop_assert_eq!(text.parse::<Weight>().ok().map(|weight| u32::from(weight.basis_points())),
                Some(expected).filter(|points| *points <= 10_000));
        }

        #[test]
        fn a_share_is_never_rounded_up(new in any::<u64>(), total in 1u64..) {
            let new = new % total;
            let points = Share { new, total }.basis_points().expect("something was observed");
            prop_assert!(u128::from(points) * u128::from(total) <= u128::from(new) * 10_000);
            prop_assert!(u128::from(points + 1) * u128::from(total) > u128::from(new) * 10_000);
        }
    }

    #[test]
    fn nothing_observed_is_no_share() {
        assert_eq!(Share::default().basis_points(), None);
        assert_eq!(Share::default().to_string(), "nothing observed");
        assert_eq!(Share { new: 248, total: 1_000 }.to_string(), "24.8%");
    }
}
