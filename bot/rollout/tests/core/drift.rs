//! A target that somebody else moved while nothing was asked of it.

use tidegate_rollout::{Event, Weight};

use crate::bench::{Bench, plan};

fn drift(bench: &Bench) -> Event {
    Event::Drifted {
        epoch: bench.rollout.epoch,
        found: Weight::percent(80),
        how: "v2 has 4 replicas where 1 were written".to_owned(),
    }
}

#[test]
fn a_foreign_change_while_it_bakes_holds_it_and_pages_once() {
    let mut bench = Bench::baking(plan());
    let drift = drift(&bench);
    bench.feed(&drift).expect("a look is never refused");
    bench.feed(&drift).expect("a look is never refused");
    assert_eq!(bench.rollout.holds.len(), 1);
    assert_eq!(bench.notices_of("guard-holds"), 1);
    assert!(
        bench.rollout.holds[0]
            .reason
            .contains("v2 has 4 replicas where 1 were written")
    );
}

#[test]
fn a_look_from_before_a_later_decision_says_nothing() {
    let mut bench = Bench::baking(plan());
    let Event::Drifted { found, how, epoch } = drift(&bench) else {
        panic!("a drift")
    };
    let stale = Event::Drifted {
        epoch: epoch - 1,
        found,
        how,
    };
    bench.feed(&stale).expect("a look is never refused");
    assert!(bench.rollout.holds.is_empty());
}
