//! Owns the laws as checks: what must hold after every commit, every write and every reading of a simulated history.
//! Refuses to trust the core's own words: a check looks at the truth of the simulation, or at the rollout before and after.

mod commitments;
mod ladder;
mod progress;
mod proof;
mod signoffs;

use std::collections::{BTreeMap, BTreeSet};

use crate::action::ActionKind;
use crate::command::Command;
use crate::event::Event;
use crate::hook::Moment;
use crate::ids::{ActionId, NoticeId};
use crate::ladder::Climb;
use crate::notice::NoticeKind;
use crate::person::Role;
use crate::refusal::Refusal;
use crate::rollout::{Rollout, Stage};
use crate::step::Step;
use crate::weight::Weight;

use super::Setup;
use super::faults::Fault;
use super::source::Source;
use super::store::Store;
use super::target::{Fence, Target, Write};

/// A law that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its number on the page of laws.
    pub law: u8,
    /// What happened.
    pub what: String,
}

/// A longer time without any look at a rollout must not bake, in milliseconds.
const BREAK: u64 = 10_000;

/// What is known of each rollout beside its own state.
#[derive(Clone, Debug, Default)]
struct Ledger {
    plan: usize,
    /// When it was started.
    started: u64,
    /// When it was first saved that it may carry traffic.
    exposed: Option<u64>,
    /// When it was decided that the present bake or watch begins.
    arrived: u64,
    last_look: u64,
    unwatched: u64,
    /// Whether a replica started while their clocks differ: what it then takes over it measures by another's clock.
    /// Replicas of one database take their time from it, so that this is one fault too many.
    between_clocks: bool,
    /// How long nothing has kept it from baking since then, and when that was last looked at, if it was so then.
    well: u64,
    well_at: Option<u64>,
    /// When a rollback was saved.
    decided: Option<u64>,
    /// The targets at which a zero of that rollback has arrived.
    zeroed: BTreeSet<String>,
    /// What each target was last read at.
    reads: BTreeMap<String, Reads>,
    /// How the way back is climbed.
    way: ladder::Way,
    /// When it was saved that it is rolled back.
    rolled_back: Option<u64>,
    /// The one weight that each epoch stands for.
    weights: BTreeMap<u64, Weight>,
    /// What people have said at its gates.
    signed: signoffs::Signed,
}

/// When a target was last read at zero, and when at anything else.
#[derive(Clone, Copy, Debug, Default)]
struct Reads {
    zero: Option<u64>,
    other: Option<u64>,
}

/// The laws, and what they have seen.
#[derive(Clone, Debug)]
pub(super) struct Laws {
    violation: Option<Violation>,
    ledgers: Vec<Ledger>,
    /// What was asked for, and when.
    intents: BTreeMap<ActionId, u64>,
    said: BTreeSet<String>,
    /// The highest epoch under which each target was to be written.
    epochs: BTreeMap<String, u64>,
    automatic: u32,
    budget: u32,
    clocks_jump: bool,
    /// Hooks that really began, and hooks that really did what they should.
    hooks_begun: BTreeSet<ActionId>,
    hooks_passed: BTreeSet<ActionId>,
    /// What really was sent, and where.
    told: BTreeSet<(NoticeId, String)>,
}

/// One write that arrived and was taken.
pub(super) struct Landed<'a> {
    pub(super) target: &'a Target,
    pub(super) write: Write,
    /// When it was last seen that the rollout still wanted it.
    pub(super) wanted_at: u64,
    /// What the target had before.
    pub(super) before: Weight,
}

/// One commit.
pub(super) struct Commit<'a> {
    pub(super) rollout: usize,
    pub(super) event: &'a Event,
    pub(super) before: &'a Rollout,
    pub(super) step: &'a Step,
    /// When it was decided, and when it was saved.
    pub(super) decided_at: u64,
    pub(super) now: u64,
    /// Whether what the environment shares changed in between.
    pub(super) environment_moved: bool,
}

impl Laws {
    pub(super) fn new(setup: &Setup, budget: u32) -> Self {
        Self {
            violation: None,
            ledgers: Vec::new(),
            intents: BTreeMap::new(),
            said: BTreeSet::new(),
            epochs: BTreeMap::new(),
            automatic: 0,
            budget,
            hooks_begun: BTreeSet::new(),
            hooks_passed: BTreeSet::new(),
            told: BTreeSet::new(),
            clocks_jump: setup.faults.has(Fault::ClockAhead) || setup.faults.has(Fault::ClockBack),
        }
    }

    pub(super) fn broken(&self) -> bool {
        self.violation.is_some()
    }

    pub(super) fn into_violation(self) -> Option<Violation> {
        self.violation
    }

    /// Notes the first broken law; later ones mostly follow from it.
    fn must(&mut self, holds: bool, law: u8, what: impl FnOnce() -> String) {
        if !holds && self.violation.is_none() {
            self.violation = Some(Violation { law, what: what() });
        }
    }

    /// A rollout was started.
    pub(super) fn began(&mut self, plan: usize, now: u64, store: &Store) {
        self.targets_were_free(store);
        self.ledgers.push(Ledger {
            plan,
            started: now,
            last_look: now,
            ..Ledger::default()
        });
    }

    /// Somebody looked at the clock of a rollout.
    pub(super) fn looked(&mut self, rollout: usize, now: u64) {
        let ledger = &mut self.ledgers[rollout];
        let gap = now - ledger.last_look;
        if gap > BREAK {
            ledger.unwatched += gap;
        }
        ledger.last_look = now;
    }

    /// A replica started while the clocks of the replicas differ.
    pub(super) fn restarted_between_clocks(&mut self) {
        for ledger in &mut self.ledgers {
            ledger.between_clocks = true;
        }
    }

    /// A step was saved.
    pub(super) fn committed(&mut self, commit: &Commit<'_>, store: &Store, source: &Source) {
        let (before, next) = (commit.before, &commit.step.next);
        self.latch_holds(before, commit.step);
        if next.is_latched() && !before.is_latched() {
            self.ledgers[commit.rollout].decided = Some(commit.now);
            self.rollback_was_due(commit, store, source);
        }
        let was_there = matches!(before.stage, Stage::RolledBack { .. });
        if let (Stage::RolledBack { .. }, false) = (&next.stage, was_there) {
            let ledger = &mut self.ledgers[commit.rollout];
            ledger.rolled_back = Some(commit.now);
            let decided = ledger.decided;
            let zero = |climb: &Climb| ledger.reads.get(&climb.target).and_then(|reads| reads.zero);
            let read = next.ladder.iter().filter_map(zero).any(|at| Some(at) >= decided);
            self.must(read, 4, || {
                format!("{} is called rolled back and was not read at zero since", next.id)
            });
        }
        self.rungs_are_climbed_in_turn(commit, store);
        self.forward_was_proven(commit, store, source);
        self.actions_are_fenced(commit);
        self.hooks_have_passed(commit.step);
        self.people_have_signed(commit);
        self.said_once(commit.step);
        self.commitments_are_kept_or_missed(commit);
        let ledger = &mut self.ledgers[commit.rollout];
        if next.exposed_at.is_some() {
            ledger.exposed.get_or_insert(commit.now);
        }
        if matches!(next.stage, Stage::Baking { .. } | Stage::Watching { .. }) && before.stage != next.stage {
            // It carried the weight when that was decided, and others may have watched while it was being saved.
            let gap = commit.now - ledger.last_look.max(commit.decided_at);
            ledger.unwatched = if gap > BREAK { gap } else { 0 };
            (ledger.arrived, ledger.last_look) = (commit.decided_at, commit.now);
            ledger.between_clocks = false;
            (ledger.well, ledger.well_at) = (0, None);
        }
    }

    /// Law 3: once a rollback is saved nothing leads away from zero.
    fn latch_holds(&mut self, before: &Rollout, step: &Step) {
        let (id, next) = (&step.next.id, &step.next);
        self.must(next.epoch >= before.epoch, 5, || format!("the epoch of {id} fell"));
        self.must(!before.is_final() || next.stage == before.stage, 3, || {
            format!("{id} was over and moved to {}", next.state_word())
        });
        self.must(!before.is_latched() || next.is_latched(), 3, || {
            format!("{id} left its latch for {}", next.state_word())
        });
        let lowers = |kind: &ActionKind| match kind {
            ActionKind::ToZero { .. }
            | ActionKind::AskAboutAlert { .. }
            | ActionKind::ReadLogs { .. }
            | ActionKind::RunHook { .. } => true,
            ActionKind::SetWeight { .. } => false,
        };
        let falls = next.wanted.is_zero() && step.actions.iter().all(|action| lowers(&action.kind));
        self.must(!next.is_latched() || falls, 3, || {
            format!("{id} is latched and wants {}", next.wanted)
        });
    }

    /// Law 5: every write has an epoch of its own decision, above all that were decided for this target before.
    fn actions_are_fenced(&mut self, commit: &Commit<'_>) {
        for action in &commit.step.actions {
            let before = self.intents.insert(action.id.clone(), commit.now);
            self.must(before.is_none(), 6, || format!("{} was asked for twice", action.id));
            let target = match &action.kind {
                ActionKind::SetWeight { target, .. } | ActionKind::ToZero { target } => target.name(),
                ActionKind::AskAboutAlert { .. } | ActionKind::ReadLogs { .. } | ActionKind::RunHook { .. } => continue,
            };
            let highest = self.epochs.insert(target, action.epoch).unwrap_or_default();
            self.must(action.epoch > highest, 5, || {
                format!(
                    "{} writes under epoch {}, {highest} was decided before",
                    action.id, action.epoch
                )
            });
        }
    }

    /// Law 2: a weight is asked for once every hook before the phase has really passed, or a person went on without it.
    fn hooks_have_passed(&mut self, step: &Step) {
        let asks = step.actions.iter().any(|action| action.kind.is_raise());
        let Stage::Advancing { phase, .. } = step.next.stage else {
            return;
        };
        let moment = Moment::Before(phase);
        let settled = |place: usize| {
            let mut runs = step
                .next
                .hooks
                .iter()
                .filter(|run| (run.moment, run.place) == (moment, place));
            runs.any(|run| self.hooks_passed.contains(&run.action) || run.settled_by.is_some())
        };
        let open = (0..moment.list(&step.next.plan).len()).find(|place| !settled(*place));
        self.must(!asks || open.is_none(), 2, || {
            format!(
                "{} asks for {} before its hooks have passed",
                step.next.id, step.next.wanted
            )
        });
    }

    /// A hook begins. What must not run twice does not, and nothing of the way back comes before zero was read.
    pub(super) fn hook_began(&mut self, rollout: usize, action: &ActionId, moment: Moment, again: bool, latched: bool) {
        let first = self.hooks_begun.insert(action.clone());
        self.must(first || again, 6, || format!("{action} ran twice"));
        let back = self.ledgers[rollout].rolled_back.is_some();
        match moment {
            Moment::Rollback => self.must(back, 4, || format!("{action} runs before zero was read back")),
            Moment::Before(_) | Moment::After(_) => {
                self.must(!latched, 3, || format!("{action} leads forward after the rollback"));
            }
        }
    }

    /// A hook did what it should.
    pub(super) fn hook_passed(&mut self, action: &ActionId) {
        self.hooks_passed.insert(action.clone());
    }

    /// An occasion acts once, and what is said about the way back is true and said once.
    fn said_once(&mut self, step: &Step) {
        let id = &step.next.id;
        for notice in &step.notices {
            let said = match &notice.kind {
                NoticeKind::DecisionOpened { number, .. } => {
                    let opened = step.next.decisions.iter().find(|decision| decision.number == *number);
                    format!("{id}: asked about {:?}", opened.map(|decision| &decision.alert))
                }
                NoticeKind::AlertLogged { alert, since, .. } => format!("{id}: logged {alert} {since}"),
                NoticeKind::RollingBack { .. } => format!("{id}: rolls back"),
                NoticeKind::RolledBack { .. } => {
                    let is_so = matches!(step.next.stage, Stage::RolledBack { .. });
                    self.must(is_so, 4, || format!("{id} is told to be rolled back and is not"));
                    format!("{id}: rolled back")
                }
                NoticeKind::Update(bulletin) | NoticeKind::Report { bulletin, .. } => {
                    format!("{id}: {} {}", bulletin.name, bulletin.number)
                }
                other => format!("{}: {}", notice.id, other.word()),
            };
            let first = self.said.insert(said.clone());
            self.must(first, 9, || format!("acted or said twice: {said}"));
        }
    }

    /// Law 2: a rollback is never refused to those who may ask for it while there is something to roll back.
    pub(super) fn refused(&mut self, before: &Rollout, event: &Event, refusal: &Refusal) {
        let Event::Commanded { actor, command, .. } = event else {
            return self.must(false, 2, || {
                format!("{} refused something that nobody asked: {refusal}", before.id)
            });
        };
        let asks = matches!(command, Command::Rollback { .. });
        let may = actor.has_any(&[Role::Operator, Role::Oncall, Role::IncidentCommander]);
        let needless = before.is_latched() || before.is_final();
        self.must(!asks || !may || needless, 2, || {
            format!("{} refused a rollback: {refusal}", before.id)
        });
    }

    /// Law 6: what is written was saved as an intent before. Law 5: an epoch stands for one weight.
    pub(super) fn sent(&mut self, action: &ActionId, write: &Write) {
        let known = self.intents.contains_key(action);
        self.must(known, 6, || format!("{action} is done and was never saved"));
        let ledger = &mut self.ledgers[write.rollout];
        let weight = *ledger.weights.entry(write.epoch).or_insert(write.weight);
        self.must(weight == write.weight, 5, || {
            format!(
                "{action} writes {} under an epoch that stood for {weight}",
                write.weight
            )
        });
    }

    /// Law 3: a write that raises was wanted when it was sent, and none lands after the first zero.
    pub(super) fn landed(&mut self, landed: &Landed<'_>, now: u64) {
        let Landed { target, write, .. } = landed;
        let ledger = &mut self.ledgers[write.rollout];
        let latched = ledger.decided.is_some_and(|decided| decided < now);
        if write.weight.is_zero() {
            if latched {
                ledger.zeroed.insert(target.name.clone());
            }
            return;
        }
        let late = ledger.decided.is_some_and(|decided| decided < landed.wanted_at);
        let (zeroed, raises) = (ledger.zeroed.contains(&target.name), write.weight > landed.before);
        let (fenced, ours) = (target.fence != Fence::None, target.fence == Fence::Book);
        self.must(!(raises && late), 3, || {
            format!("a write of {} was sent after the rollback was saved", write.weight)
        });
        self.must(!(raises && zeroed && fenced), 3, || {
            format!("a write of {} raised the target after zero had arrived", write.weight)
        });
        self.must(!(raises && latched && ours), 3, || {
            format!(
                "a write of {} raised a target of our own after the rollback",
                write.weight
            )
        });
    }

    /// A worker read the target.
    pub(super) fn was_read(&mut self, rollout: usize, target: &str, found: Weight, now: u64) {
        let reads = self.ledgers[rollout].reads.entry(target.to_owned()).or_default();
        if found.is_zero() {
            reads.zero = Some(now);
        } else {
            reads.other = Some(now);
        }
    }
}
