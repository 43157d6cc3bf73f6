//! Owns whole histories: the rollouts of one environment, driven through begin and step by a seeded scheduler, with a
//! model of everything around them that can crash, repeat, reorder, delay, lie and jump.
//! Refuses to touch anything real: the same seed and the same setup give the same history, line by line, for ever.

pub mod faults;
mod hooks;
mod ladders;
mod laws;
mod mishaps;
mod people;
pub mod plans;
mod polling;
pub mod random;
mod replica;
mod source;
mod store;
mod target;
mod telling;
mod trace;
mod worker;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::notice::Notice;
use crate::plan::Plan;

pub use laws::Violation;

use faults::{Fault, Faults, Fired};
use random::Random;
use world::World;

/// What a history is made of. Together with a seed it says everything.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The plans that are started; one to three, each with a target of its own, all in one environment. What they fall back
    /// on they may share.
    pub plans: Vec<Arc<Plan>>,
    /// What may go wrong.
    pub faults: Faults,
    /// From when on nothing new goes wrong, in milliseconds.
    pub calm_from: u64,
    /// When the history ends.
    pub ends_at: u64,
    /// Whether the story is written down.
    pub record: bool,
}

impl Setup {
    /// A setup that follows from a seed: some plans, some faults.
    pub fn seeded(seed: u64) -> Self {
        // A stream of its own, so that the history does not repeat what made its setup.
        let mut random = Random::seeded(seed ^ 0x7469_6465_6761_7465);
        let mut plans: Vec<Arc<Plan>> = (0..=random.index(3))
            .map(|number| plans::plan(number, &mut random))
            .collect();
        let dense = random.between(20, 80);
        let some = |faults: Faults, fault: &Fault| {
            if random.chance(dense) {
                faults.with(*fault)
            } else {
                faults
            }
        };
        let faults = Fault::ALL.iter().fold(Faults::NONE, some);
        // Drawn last, so that a seed without a ladder means what it always did.
        ladders::draw(&mut plans, &mut random);
        Self {
            plans,
            faults,
            calm_from: 100_000,
            ends_at: 190_000,
            record: false,
        }
    }

    /// The same, with the story written down.
    pub fn recorded(&self) -> Self {
        Self {
            record: true,
            ..self.clone()
        }
    }
}

/// What happened in a history.
#[derive(Clone, Debug)]
pub struct History {
    /// The first law that was broken, if one was.
    pub violation: Option<Violation>,
    /// How often each fault fired.
    pub fired: Fired,
    /// How much really happened.
    pub facts: Facts,
    /// How the rollouts ended: state → how many.
    pub ends: Ends,
    /// The story, if it was recorded.
    pub trace: Vec<String>,
    /// Everything that was said under way, if it was recorded.
    pub notices: Vec<Notice>,
}

/// How much really happened, so that a run in which nothing did cannot pass for a good one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Decisions that were saved.
    pub commits: u64,
    /// Writes that arrived at a target.
    pub writes: u64,
    /// Webhooks that arrived.
    pub webhooks: u64,
    /// Refusals that people got.
    pub refusals: u64,
    /// Histories in which a second rung of a way back was climbed.
    pub second_rungs: u64,
    /// Histories in which a third one was.
    pub third_rungs: u64,
    /// Rollouts that a rung brought back while another had not come through.
    pub left_behind: u64,
}

impl Facts {
    /// These and those.
    pub fn merge(&mut self, other: Self) {
        self.commits += other.commits;
        self.writes += other.writes;
        self.webhooks += other.webhooks;
        self.refusals += other.refusals;
        self.second_rungs += other.second_rungs;
        self.third_rungs += other.third_rungs;
        self.left_behind += other.left_behind;
    }
}

/// State in which rollouts ended → how many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ends(pub BTreeMap<&'static str, u64>);

impl Ends {
    /// These and those.
    pub fn merge(&mut self, other: &Self) {
        for (state, count) in &other.0 {
            *self.0.entry(state).or_default() += count;
        }
    }
}

/// Runs one history.
pub fn run(seed: u64, setup: &Setup) -> History {
    World::new(seed, setup).run()
}

/// Takes away plans and faults as long as the same law stays broken: what is left is needed to see the bug.
pub fn shrink(seed: u64, setup: &Setup) -> Setup {
    let law = |setup: &Setup| run(seed, setup).violation.map(|violation| violation.law);
    let wanted = law(setup);
    let mut least = setup.clone();
    for count in 1..setup.plans.len() {
        let fewer = Setup {
            plans: setup.plans[..count].to_vec(),
            ..least.clone()
        };
        if law(&fewer) == wanted {
            least = fewer;
            break;
        }
    }
    for fault in setup.faults.list() {
        let fewer = Setup {
            faults: least.faults.without(fault),
            ..least.clone()
        };
        if law(&fewer) == wanted {
            least = fewer;
        }
    }
    least
}
