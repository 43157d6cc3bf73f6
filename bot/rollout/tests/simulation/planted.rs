//! Histories with a planted bug: each is found, by a broken law.
//! A simulation that finds nothing proves nothing until it has found what is there.

use tidegate_rollout::planted::{Bug, plant};
use tidegate_rollout::sim::{Setup, run};

/// A bug must be found within so many histories. The rarest shows in a few of ten thousand.
const HISTORIES: u64 = 40_000;

/// The first seed that shows the bug, and the law that it breaks.
fn found(bug: Option<Bug>, histories: u64) -> Option<(u64, u8, String)> {
    plant(bug);
    let first = (0..histories).find_map(|seed| {
        let violation = run(seed, &Setup::seeded(seed)).violation?;
        Some((seed, violation.law, violation.what))
    });
    plant(None);
    first
}

#[test]
fn every_planted_bug_is_caught() {
    let mut missed = Vec::new();
    for bug in Bug::ALL {
        match found(Some(*bug), HISTORIES) {
            Some((seed, law, what)) => println!("counted: {bug:?}: seed {seed} breaks law {law}: {what}"),
            None => missed.push(bug),
        }
    }
    assert!(missed.is_empty(), "not caught within {HISTORIES} histories: {missed:?}");
}

#[test]
fn without_a_bug_nothing_is_caught() {
    assert_eq!(found(None, 500), None);
}
