//! Owns the phase bar: one step per phase, as wide as its time (square root) and as high as its weight.
//! Refuses to be only a picture: every step is also a line of words.

use jiff::Timestamp;
use serde::Serialize;
use tidegate_rollout::plan::{Gate, Phase};
use tidegate_rollout::{Period, Rollout, Stage, Weight};

use super::next;

/// The height of the picture in pixels.
const HEIGHT: u32 = 72;
/// The widths that the style sheet knows, `g4` to `g16`.
const WIDTHS: (f64, f64) = (4.0, 16.0);

/// One step of the bar.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Step {
    number: usize,
    name: String,
    weight: String,
    /// What the phase is to the rollout, in a word and as a class.
    word: &'static str,
    class: &'static str,
    /// More words: how long it bakes, what lets it go on.
    detail: String,
    /// Whether a person lets it go on.
    gated: bool,
    grow: String,
    top: u32,
    height: u32,
    /// How much of it is over, in percent.
    progress: u32,
}

/// Where a phase stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Done,
    Now,
    Next,
    /// It carried traffic until the rollback.
    Undone,
}

impl Place {
    fn words(self, rollout: &Rollout) -> (&'static str, &'static str) {
        match self {
            Self::Done => ("done", "done"),
            Self::Now if matches!(rollout.stage, Stage::Advancing { .. }) => ("moving", "now"),
            Self::Now if matches!(rollout.stage, Stage::AtGate { .. }) => ("at the gate", "now"),
            Self::Now => ("now", "now"),
            Self::Next => ("", "next"),
            Self::Undone => ("undone", "undone"),
        }
    }
}

/// The bar of `rollout`.
pub(super) fn bar(rollout: &Rollout, now: Timestamp) -> Vec<Step> {
    let phases = &rollout.plan.spec.phases;
    let longest = phases.iter().map(|phase| root(phase.bake)).fold(1.0, f64::max);
    phases
        .iter()
        .enumerate()
        .map(|(index, phase)| step(rollout, index, phase, longest, now))
        .collect()
}

fn step(rollout: &Rollout, index: usize, phase: &Phase, longest: f64, now: Timestamp) -> Step {
    let place = place(rollout, index);
    let (word, class) = place.words(rollout);
    let height = 6 + u32::from(phase.weight.basis_points()) * (HEIGHT - 6) / 10_000;
    let share = root(phase.bake) / longest;
    // A width is a whole step between the two bounds, so it fits.
    #[expect(clippy::cast_possible_truncation, reason = "between 4 and 16")]
    let grow = (WIDTHS.0 + (WIDTHS.1 - WIDTHS.0) * share).round() as i64;
    Step {
        number: index + 1,
        name: phase.name.clone(),
        weight: phase.weight.to_string(),
        word,
        class,
        detail: detail(rollout, place, phase, now),
        gated: phase.gate == Gate::Manual,
        grow: format!("g{grow}"),
        top: HEIGHT - height,
        height,
        progress: match place {
            Place::Done | Place::Undone => 100,
            Place::Next => 0,
            Place::Now => baked(rollout, phase, now),
        },
    }
}

fn detail(rollout: &Rollout, place: Place, phase: &Phase, now: Timestamp) -> String {
    let gate = match phase.gate {
        Gate::Manual => ", then a person",
        Gate::Auto => "",
    };
    let groups = match phase.groups.as_slice() {
        [] => String::new(),
        groups => format!(" + {}", groups.join(", ")),
    };
    let baking = matches!(rollout.stage, Stage::Baking { .. });
    match next::left(rollout, now) {
        Some(left) if place == Place::Now && baking => format!("{left} left{gate}{groups}"),
        Some(_) | None => format!("{}{gate}{groups}", phase.bake),
    }
}

fn place(rollout: &Rollout, index: usize) -> Place {
    match &rollout.stage {
        Stage::Advancing { phase, .. } | Stage::Baking { phase, .. } | Stage::AtGate { phase, .. } => {
            match index.cmp(phase) {
                std::cmp::Ordering::Less => Place::Done,
                std::cmp::Ordering::Equal => Place::Now,
                std::cmp::Ordering::Greater => Place::Next,
            }
        }
        Stage::Watching { .. } | Stage::Completed { .. } => Place::Done,
        Stage::RollingBack { from, .. } | Stage::RolledBack { from, .. } => {
            if reached(rollout, *from).is_some_and(|last| index <= last) {
                Place::Undone
            } else {
                Place::Next
            }
        }
        Stage::Aborted { .. } => Place::Next,
    }
}

/// The last phase with the weight at which the rollback was decided; the state does not keep the phase.
fn reached(rollout: &Rollout, from: Weight) -> Option<usize> {
    rollout.plan.spec.phases.iter().rposition(|phase| phase.weight == from)
}

fn baked(rollout: &Rollout, phase: &Phase, now: Timestamp) -> u32 {
    match &rollout.stage {
        Stage::AtGate { .. } => 100,
        Stage::Baking { .. } => {
            let (baked, needed) = (rollout.bake.at(now).as_millis(), phase.bake.as_millis().max(1));
            u32::try_from((baked.min(needed)) * 100 / needed).unwrap_or(100)
        }
        _ => 0,
    }
}

/// Fifteen minutes stay visible beside seven days.
fn root(period: Period) -> f64 {
    period.duration().as_secs_f64().max(0.0).sqrt()
}
