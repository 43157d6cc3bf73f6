//! Histories with a planted bug: each is found, by a broken law.
//! A simulation that finds nothing proves nothing until it has found what is there.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

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

/// Where each bug showed, in their order. A bug is planted on one thread alone, so that every core looks for another one.
fn found_each(bugs: &[Bug]) -> Vec<Option<(u64, u8, String)>> {
    let (next, mut places) = (AtomicUsize::new(0), Vec::new());
    let look = || {
        let mut places = Vec::new();
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(bug) = bugs.get(place) else {
                return places;
            };
            places.push((place, found(Some(*bug), HISTORIES)));
        }
    };
    thread::scope(|scope| {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(look)).collect();
        for thread in threads {
            places.extend(thread.join().expect("a history never panics"));
        }
    });
    places.sort_by_key(|(place, _)| *place);
    places.into_iter().map(|(_, found)| found).collect()
}

#[test]
fn every_planted_bug_is_caught() {
    let mut missed = Vec::new();
    for (bug, found) in Bug::ALL.iter().zip(found_each(Bug::ALL)) {
        match found {
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
