//! Owns the steps of the weight: whether they climb, how fast, how long each is looked at, and who is wholly in.

use crate::period::Period;
use crate::plan::codes::Code;
use crate::plan::diagnostic::Finding;
use crate::plan::place::Path;
use crate::plan::{Gate, Phase, Plan};
use crate::weight::Weight;

/// Above this the first users are many.
const LARGE_FIRST_STEP: Weight = Weight::percent(25);
/// An alert with usual settings needs longer than this to arrive.
const SHORTEST_BAKE: Period = Period::minutes(1);

pub(super) fn check(plan: &Plan, found: &mut Vec<Finding>) {
    let phases = &plan.spec.phases;
    if phases.is_empty() {
        found.push(Finding::new(
            Code::P106,
            Path::spec("phases"),
            "`phases` is empty, and needs at least one entry",
        ));
        return;
    }
    climb(phases, plan.spec.target.is_all_or_nothing(), found);
    bakes(phases, found);
    groups(phases, found);
    if plan.spec.watch == Period::ZERO {
        found.push(
            Finding::new(
                Code::P213,
                Path::spec("watch"),
                "nothing rolls back any more once the last phase has baked",
            )
            .help("add `watch: 1h` or longer under `spec`"),
        );
    }
}

fn of(index: usize, key: &str) -> Path {
    Path::spec("phases").index(index).key(key)
}

/// Where a target is wholly on one side, there is no smaller first step to suggest.
fn climb(phases: &[Phase], all_or_nothing: bool, found: &mut Vec<Finding>) {
    let mut highest = Weight::ZERO;
    for (index, phase) in phases.iter().enumerate() {
        let path = of(index, "weight");
        let (name, weight) = (&phase.name, phase.weight);
        if highest.is_zero() && weight > LARGE_FIRST_STEP && !all_or_nothing {
            found.push(
                Finding::new(
                    Code::P204,
                    path.clone(),
                    format!("`{name}` begins with {weight} of the traffic"),
                )
                .help("put a phase with `weight: 5%` in front of it"),
            );
        } else if !all_or_nothing
            && !highest.is_zero()
            && weight.basis_points() > highest.basis_points().saturating_mul(3)
        {
            let most = Weight::from_basis_points(highest.basis_points().saturating_mul(3)).unwrap_or(Weight::FULL);
            let message = format!("`{name}` goes from {highest} to {weight} at once");
            found.push(
                Finding::new(Code::P202, path.clone(), message).help(format!("add a phase in between, at most {most}")),
            );
        }
        if let Some(before) = index.checked_sub(1).map(|before| &phases[before]) {
            let how = match weight.cmp(&before.weight) {
                std::cmp::Ordering::Less => Some("lowers the weight"),
                std::cmp::Ordering::Equal => Some("keeps the weight"),
                std::cmp::Ordering::Greater => None,
            };
            found.extend(how.map(|how| {
                let message = format!("`{name}` {how}: {} after {}", weight, before.weight);
                Finding::new(Code::P201, path, message)
            }));
        }
        highest = highest.max(weight);
    }
    let last = phases.len() - 1;
    if highest.is_zero() {
        found.push(Finding::new(
            Code::P206,
            Path::spec("phases"),
            "no phase carries traffic: every weight is 0%",
        ));
    } else if phases[last].weight != Weight::FULL {
        let (name, weight) = (&phases[last].name, phases[last].weight);
        found.push(
            Finding::new(
                Code::P205,
                of(last, "weight"),
                format!("the last phase, `{name}`, stays at {weight}"),
            )
            .help("add a phase with `weight: 100%`"),
        );
    }
}

fn bakes(phases: &[Phase], found: &mut Vec<Finding>) {
    for (index, phase) in phases.iter().enumerate() {
        // A person looks before a manual phase is left, and without traffic there is nothing to see.
        if phase.gate == Gate::Manual || phase.weight.is_zero() {
            continue;
        }
        let (name, bake) = (&phase.name, phase.bake);
        if bake == Period::ZERO {
            let message = format!("`{name}` is left at once, before any alert can arrive");
            found.push(Finding::new(Code::P212, of(index, "bake"), message).help("write `bake: 10m` or longer"));
        } else if bake < SHORTEST_BAKE {
            let message = format!("`{name}` bakes {bake}, and an alert usually needs longer to arrive");
            found.push(Finding::new(Code::P214, of(index, "bake"), message));
        }
    }
}

fn groups(phases: &[Phase], found: &mut Vec<Finding>) {
    for (index, phase) in phases.iter().enumerate() {
        let next = phases
            .get(index + 1)
            .filter(|next| !next.weight.is_zero() && next.weight != Weight::FULL);
        for (at, group) in phase.groups.iter().enumerate() {
            let path = of(index, "groups").index(at);
            if phase.weight.is_zero() {
                let message = format!("group `{group}` has no effect in `{}`: its weight is 0%", phase.name);
                found.push(
                    Finding::new(Code::P207, path, message).help("name it in the first phase that carries traffic"),
                );
            } else if let Some(next) = next.filter(|next| !next.groups.contains(group)) {
                let message = format!(
                    "group `{group}` is in during `{}` and drops out in `{}`",
                    phase.name, next.name
                );
                let help = format!("add `{group}` to the groups of `{}`", next.name);
                found.push(Finding::new(Code::P208, path, message).help(help));
            }
        }
    }
}
