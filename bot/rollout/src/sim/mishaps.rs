//! Owns what breaks by itself: processes, clocks, targets.
//! Refuses to break anything in the calm at the end of a history.

use crate::weight::Weight;

use super::faults::Fault;
use super::target::Fence;
use super::world::{Task, World};

/// An hour, in milliseconds.
const HOUR: i64 = 3_600_000;

/// What happens by itself.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mishap {
    Crash,
    Pause,
    Blind,
    ClockAhead,
    ClockBack,
    ForeignWrite,
    TargetLies,
    TargetDown,
}

/// How often each happens in a history at most.
const MISHAPS: [(Mishap, u64); 8] = [
    (Mishap::Crash, 3),
    (Mishap::Pause, 3),
    (Mishap::Blind, 1),
    (Mishap::ClockAhead, 1),
    (Mishap::ClockBack, 1),
    (Mishap::ForeignWrite, 1),
    (Mishap::TargetLies, 1),
    (Mishap::TargetDown, 5),
];

impl Mishap {
    fn fault(self) -> Fault {
        match self {
            Self::Crash => Fault::Crash,
            Self::Pause => Fault::Pause,
            Self::Blind => Fault::Blind,
            Self::ClockAhead => Fault::ClockAhead,
            Self::ClockBack => Fault::ClockBack,
            Self::ForeignWrite => Fault::ForeignWrite,
            Self::TargetLies => Fault::TargetLies,
            Self::TargetDown => Fault::TargetDown,
        }
    }
}

impl World<'_> {
    /// Plans what breaks when.
    pub(super) fn schedule_mishaps(&mut self) {
        for (mishap, most) in MISHAPS {
            if !self.setup.faults.has(mishap.fault()) || !self.can_happen(mishap) {
                continue;
            }
            for _ in 0..self.random.between(0, most) {
                let at = self.random.between(4_000, self.setup.calm_from);
                let victim = self.random.index(2);
                self.later(at, Task::Mishap(mishap, victim));
            }
        }
    }

    /// A target that is out of reach for long is what ladders are for. Where there is none, a history stays what it was.
    fn can_happen(&self, mishap: Mishap) -> bool {
        match mishap {
            Mishap::TargetDown => self.plans.iter().any(|plan| !plan.spec.rollback.ladder.is_empty()),
            Mishap::Crash
            | Mishap::Pause
            | Mishap::Blind
            | Mishap::ClockAhead
            | Mishap::ClockBack
            | Mishap::ForeignWrite
            | Mishap::TargetLies => true,
        }
    }

    /// Whoever wrote is another copy of this service, which knows of later decisions.
    pub(super) fn another_copy_writes(&mut self, target: usize) {
        let later = self.random.between(1, 4);
        self.targets[target].epoch += later;
        self.targets[target].owner = None;
        self.tell(|world| {
            let target = &world.targets[target];
            format!("{} carries epoch {} of another copy", target.name, target.epoch)
        });
    }

    /// Something breaks now.
    pub(super) fn mishap(&mut self, mishap: Mishap, victim: usize) {
        if !self.stormy() {
            return;
        }
        let fault = mishap.fault();
        self.fired.add(fault);
        self.tell(|_| format!("mishap: {} ({victim})", fault.word()));
        match mishap {
            Mishap::Crash => {
                if self.replicas[victim].alive {
                    self.replicas[victim].alive = false;
                    let after = self.random.between(200, 15_000);
                    self.later(after, Task::Restart(victim));
                }
            }
            Mishap::Pause => {
                self.replicas[victim].still_until = self.now + self.random.between(1_000, 25_000);
            }
            Mishap::Blind => {
                let until = self.now + self.random.between(20_000, 120_000);
                self.replicas[victim].blind_until = until.min(self.setup.calm_from);
            }
            Mishap::ClockAhead => self.replicas[victim].offset += HOUR,
            Mishap::ClockBack => self.replicas[victim].offset -= HOUR,
            Mishap::ForeignWrite => {
                let target = self.random.index(self.targets.len());
                let weight = Weight::percent([0, 1, 50, 100][self.random.index(4)]);
                self.targets[target].weight = weight;
                self.targets[target].foreign_at = Some(self.now);
                let marked = self.targets[target].fence == Fence::Epoch && self.can_happen(Mishap::TargetDown);
                if marked && self.random.chance(30) {
                    self.another_copy_writes(target);
                }
                self.tell(|world| format!("somebody else writes {weight} to {}", world.targets[target].name));
            }
            Mishap::TargetLies => {
                let target = self.random.index(self.targets.len());
                self.targets[target].lies_until = self.now + self.random.between(1_000, 15_000);
            }
            Mishap::TargetDown => {
                let target = self.random.index(self.targets.len());
                let until = self.now + self.random.between(10_000, 60_000);
                self.targets[target].down_until = until.min(self.setup.calm_from);
                self.tell(|world| format!("nothing reaches {}", world.targets[target].name));
            }
        }
    }
}
