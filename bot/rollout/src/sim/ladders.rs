//! Owns the ways back of simulated plans: ladders of one to three rungs, on targets that are a plan's own or that plans share.
//! Refuses to be drawn before anything else is: a seed without a ladder tells the history that it told before there were any.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ladder::Climb;
use crate::period::Period;
use crate::plan::{FlagTarget, Plan, ReplicasTarget, Rung, Target};
use crate::rollout::{Rollout, Stage};
use crate::weight::Weight;

use super::Facts;
use super::random::Random;

/// So many plans of a hundred have a ladder.
const LADDERS: u64 = 40;
/// So many rungs of a hundred stand on a target that other plans may write to, too.
const SHARED: u64 = 20;

/// Gives some plans a ladder. Their own target is one of the rungs, and not always the first.
pub(super) fn draw(plans: &mut [Arc<Plan>], random: &mut Random) {
    let raised: Vec<Target> = plans.iter().map(|plan| plan.spec.target.clone()).collect();
    for (number, plan) in plans.iter_mut().enumerate() {
        if random.chance(LADDERS) {
            Arc::make_mut(plan).spec.rollback.ladder = ladder(number, &raised, random);
        }
    }
}

fn ladder(number: usize, raised: &[Target], random: &mut Random) -> Vec<Rung> {
    let (rungs, own) = (1 + random.index(3), random.index(3));
    let mut ladder: Vec<Rung> = Vec::new();
    for place in 0..rungs {
        let target = if place == own % rungs {
            raised[number].clone()
        } else {
            elsewhere(number, place, raised, random)
        };
        ladder.push(Rung {
            name: format!("rung-{}", place + 1),
            target,
            within: Period::seconds(u32::try_from(random.between(3, 25)).unwrap_or_default()),
        });
    }
    ladder
}

/// A target that a plan falls back on beside its own: a switch or pods of the service, a switch for several services, or what the
/// next plan raises.
fn elsewhere(number: usize, place: usize, raised: &[Target], random: &mut Random) -> Target {
    let flag = |key: String| {
        Target::Flag(FlagTarget {
            key,
            groups: BTreeMap::new(),
        })
    };
    let next = (number + 1) % raised.len();
    if random.chance(SHARED) && next != number {
        // Each place has a switch of its own, so that no two rungs of a ladder stand on one target.
        return match place {
            0 => raised[next].clone(),
            _ => flag(format!("shared-{place}")),
        };
    }
    if random.chance(50) {
        return flag(format!("switch-{number}-{place}"));
    }
    Target::DeploymentReplicas(ReplicasTarget {
        namespace: "simulated".to_owned(),
        new: format!("new-{number}-{place}"),
        old: format!("old-{number}-{place}"),
        total: 4,
        floor: Weight::FULL,
        ready_within: Period::seconds(10),
    })
}

/// How far the rollouts of a history climbed.
pub(super) fn counted(facts: Facts, rollouts: &[Rollout]) -> Facts {
    let most = rollouts.iter().map(|rollout| rungs(&rollout.ladder)).max();
    let left = |rollout: &&Rollout| {
        let back = matches!(rollout.stage, Stage::RolledBack { .. });
        let through: Vec<&Climb> = rollout.ladder.iter().filter(|climb| came_through(climb)).collect();
        let left = |climb: &Climb| through.iter().all(|through| through.target != climb.target);
        back && rollout.ladder.iter().any(left)
    };
    Facts {
        second_rungs: u64::from(most >= Some(2)),
        third_rungs: u64::from(most >= Some(3)),
        left_behind: rollouts.iter().filter(left).count() as u64,
        ..facts
    }
}

/// How many rungs were climbed on one word.
fn rungs(ladder: &[Climb]) -> usize {
    let on = |epoch: u64| ladder.iter().filter(|climb| climb.epoch == epoch).count();
    ladder.iter().map(|climb| on(climb.epoch)).max().unwrap_or_default()
}

/// Whether zero was read back from a rung.
fn came_through(climb: &Climb) -> bool {
    climb.end.as_ref().is_some_and(|end| end.verified)
}
