//! Seeded dice: the same seed throws the same numbers. What the machine makes of them is its own.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// SplitMix64.
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    /// Dice with this seed.
    pub(super) fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// `TIDEGATE_CRASH_SEED`, or any.
    pub(super) fn seed() -> u64 {
        let given = std::env::var("TIDEGATE_CRASH_SEED").ok();
        let given = given.map(|seed| seed.parse().expect("TIDEGATE_CRASH_SEED is a number"));
        given.unwrap_or_else(|| RandomState::new().hash_one("crash"))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// True in so many of a hundred throws.
    pub(super) fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }

    /// A length of time below `end`, to the microsecond.
    pub(super) fn moment(&mut self, end: Duration) -> Duration {
        Duration::from_micros(self.below(u64::try_from(end.as_micros()).expect("a short time")))
    }
}
