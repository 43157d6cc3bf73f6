//! Owns the signs of life: what must be well before Tidegate calls itself ready, and since when each part is.
//! Refuses to look itself: every part says how it is, and one that falls silent is not well.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The signs of life of all parts. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Vitals(Arc<Mutex<BTreeMap<&'static str, Part>>>);

#[derive(Clone, Debug)]
struct Part {
    /// A sign counts this long; for ever where nothing is said.
    fresh_for: Option<Duration>,
    state: Result<(), String>,
    at: Instant,
}

/// How one part is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Sign {
    /// Which part.
    pub part: &'static str,
    /// Whether it is well.
    pub ok: bool,
    /// What is wrong, if something is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// How old this sign is, in milliseconds.
    pub age_ms: u64,
}

impl Vitals {
    /// From now on `part` must be well before Tidegate is ready. It is not, until it says so once; with `fresh_for`,
    /// again within that time.
    pub fn expect(&self, part: &'static str, fresh_for: Option<Duration>) {
        let missing = Part {
            fresh_for,
            state: Err("not yet".to_owned()),
            at: Instant::now(),
        };
        self.parts().insert(part, missing);
    }

    /// `part` is well.
    pub fn well(&self, part: &'static str) {
        self.sign(part, Ok(()));
    }

    /// `part` is not well.
    pub fn ill(&self, part: &'static str, why: impl Into<String>) {
        self.sign(part, Err(why.into()));
    }

    fn sign(&self, part: &'static str, state: Result<(), String>) {
        if let Some(known) = self.parts().get_mut(part) {
            known.state = state;
            known.at = Instant::now();
        }
    }

    /// How every part is, and whether all are well.
    pub fn check(&self) -> (bool, Vec<Sign>) {
        let signs: Vec<Sign> = self.parts().iter().map(|(name, part)| part.sign(name)).collect();
        (signs.iter().all(|sign| sign.ok), signs)
    }

    fn parts(&self) -> MutexGuard<'_, BTreeMap<&'static str, Part>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Part {
    fn sign(&self, part: &'static str) -> Sign {
        let age = self.at.elapsed();
        let stale = self.fresh_for.is_some_and(|fresh_for| age > fresh_for);
        let why = match &self.state {
            Err(why) => Some(why.clone()),
            Ok(()) if stale => Some("silent".to_owned()),
            Ok(()) => None,
        };
        Sign {
            part,
            ok: why.is_none(),
            why,
            age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_needs_every_part_and_a_silent_part_is_not_well() {
        let vitals = Vitals::default();
        assert!(vitals.check().0, "nothing is expected yet");
        vitals.expect("store", None);
        vitals.expect("decider", Some(Duration::ZERO));
        vitals.well("store");
        assert!(!vitals.check().0, "the decider has said nothing");
        vitals.well("decider");
        let (ready, signs) = vitals.check();
        assert!(!ready, "with no time to be fresh in, a sign is stale at once");
        assert_eq!(signs[0].why.as_deref(), Some("silent"));
        vitals.expect("decider", Some(Duration::from_secs(60)));
        vitals.well("decider");
        assert!(vitals.check().0);
        vitals.ill("store", "disk full");
        assert_eq!(vitals.check().1[1].why.as_deref(), Some("disk full"));
        assert!(!vitals.check().0);
    }
}
