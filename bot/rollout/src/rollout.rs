//! Owns the state of one rollout. Every state carries its evidence: nothing is ever "held" without by whom and why.
//! Refuses to change itself: only [`crate::step`] makes the next one.

mod because;
mod state;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::action::ReadBack;
use crate::alert::{AlertKey, Fingerprint};
use crate::commitment::Commitments;
use crate::hook::HookRun;
use crate::ids::{ActionId, PersonId, RolloutId};
use crate::ladder::Climb;
use crate::notice::NoticeKind;
use crate::period::Period;
use crate::plan::{DecideDefault, Phase, Plan};
use crate::planted::{self, Bug};
use crate::progress::Progress;
use crate::signoff::{Acknowledged, Approved, Checked};
use crate::surroundings::Surroundings;
use crate::tracked::is_zero;
use crate::weight::Weight;

pub use crate::tracked::{Standing, Tracked};
pub use because::Because;
pub use state::State;

/// One run of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// Its short name.
    pub id: RolloutId,
    /// The plan it was started with; later edits of the file do not reach it.
    pub plan: Arc<Plan>,
    /// What was asked at the start, such as the version.
    pub inputs: BTreeMap<String, String>,
    /// Who started it.
    pub started_by: PersonId,
    /// When.
    pub started_at: Timestamp,
    /// Counts the saved steps. A writer names the one it read; a different one means somebody else moved it.
    pub generation: u64,
    /// Counts the decisions that changed the wanted weight. Targets refuse writes with a lower one.
    pub epoch: u64,
    /// The weight we want the target to have.
    pub wanted: Weight,
    /// When the target was first asked for more than zero. Alerts that began earlier are not our fault.
    pub exposed_at: Option<Timestamp>,
    /// Where it stands.
    pub stage: Stage,
    /// How long the current phase has baked.
    pub bake: Bake,
    /// Set while a person has stopped the clock.
    pub pause: Option<Pause>,
    /// Vetoes in force, oldest first.
    pub holds: Vec<Hold>,
    /// The number the next hold or decision gets.
    pub next_number: u32,
    /// Questions that people have not answered yet.
    pub decisions: Vec<Decision>,
    /// Alerts that concern this rollout, the latest occasion of each.
    pub alerts: BTreeMap<Fingerprint, Tracked>,
    /// Set while health is unknown.
    pub no_data: Option<Unknown>,
    /// What the worker last said about the action in force, while it has not come through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// The way back so far, the first rung first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ladder: Vec<Climb>,
    /// Set while the pods of the new version are asked what they wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_logs: Option<ActionId>,
    /// The hooks so far, the first one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<HookRun>,
    /// Who approved which gate, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<Approved>,
    /// Who ticked which item.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Checked>,
    /// Who looks at what fires, or is asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acknowledged: Vec<Acknowledged>,
    /// How its commitments stand.
    #[serde(default, skip_serializing_if = "Commitments::is_plain")]
    pub commitments: Commitments,
}

/// Where a rollout stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The target was asked for the weight of `phase` and has not been read back.
    Advancing {
        /// Index of the phase.
        phase: usize,
        /// The action that asks.
        action: ActionId,
        /// Since when.
        since: Timestamp,
        /// Why the worker gave up; a person must advance again.
        failed: Option<String>,
    },
    /// The weight of `phase` was read back; the bake clock counts while health is known.
    Baking {
        /// Index of the phase.
        phase: usize,
        /// Since when.
        since: Timestamp,
    },
    /// The phase has baked, and its gate waits for a person.
    AtGate {
        /// Index of the phase.
        phase: usize,
        /// Since when.
        since: Timestamp,
    },
    /// All phases are done; a rollback is still armed.
    Watching {
        /// Since when.
        since: Timestamp,
    },
    /// Zero was decided and has not been read back. This is a latch: nothing raises the weight ever again.
    RollingBack {
        /// Why, and who decided.
        because: Because,
        /// The weight at the decision.
        from: Weight,
        /// The action that writes zero.
        action: ActionId,
        /// Since when.
        since: Timestamp,
        /// What stands in the way, once people were paged about it.
        stuck: Option<String>,
    },
    /// Zero was read back.
    RolledBack {
        /// Why, and who decided.
        because: Because,
        /// The weight at the decision.
        from: Weight,
        /// When it was decided.
        since: Timestamp,
        /// What the target said.
        read_back: ReadBack,
    },
    /// The watch is over and nothing happened.
    Completed {
        /// When.
        at: Timestamp,
    },
    /// Ended by a person before any traffic moved.
    Aborted {
        /// When.
        at: Timestamp,
        /// Who.
        by: PersonId,
        /// Why.
        reason: String,
    },
}

/// Time at the weight of the phase with known health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bake {
    /// What counted before `since`.
    pub counted: Period,
    /// Since when it counts without a break; `None` while it stands still.
    pub since: Option<Timestamp>,
}

impl Bake {
    /// How long it has baked at `now`, if the wall clock is right: for showing. Decisions take [`Rollout::baked`].
    pub fn at(self, now: Timestamp) -> Period {
        match self.since {
            Some(since) => self.counted.plus(Period::between(since, now)),
            None => self.counted,
        }
    }
}

/// A person stopped the clock and all forward motion. Guards stay armed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Who.
    pub by: PersonId,
    /// Since when.
    pub at: Timestamp,
    /// Why, if they said.
    pub reason: String,
}

/// A named veto: the clock runs, but nothing advances.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Its number within the rollout, for `release`.
    pub number: u32,
    /// Who placed it.
    pub by: Holder,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// When it ends by itself; `None`: when somebody releases it.
    pub until: Option<Timestamp>,
    /// What a guard holds it for, such as the name of an alert: it holds once for each. Empty for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
}

/// Who can hold a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Holder {
    /// A person.
    Person(PersonId),
    /// One of the rollout's own guards.
    Guard(Guard),
}

/// A guard that holds rather than rolls back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guard {
    /// An alert that began before this rollout carried traffic.
    PreExisting,
    /// Too many automatic rollbacks in this environment lately.
    Budget,
    /// The same alert fires on several services.
    WideAlert,
    /// The old version fails too.
    OldVersionToo,
    /// A trigger that looks beyond this service may not roll back.
    ForeignScope,
    /// Somebody else writes to the target.
    ForeignChange,
    /// The target knows a higher epoch than we do.
    StaleWriter,
    /// The plan's answer to an unanswered question.
    Unanswered,
    /// A suspect alert, and its source cannot be asked.
    Unreadable,
    /// A hook did not do what it should.
    HookFailed,
    /// A hook may have run, and must not run twice.
    HookUnknown,
}

impl Guard {
    /// The word used in messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::PreExisting => "pre-existing alert",
            Self::Budget => "rollback budget",
            Self::WideAlert => "wide alert",
            Self::OldVersionToo => "old version fails too",
            Self::ForeignScope => "alert of another scope",
            Self::ForeignChange => "foreign change",
            Self::StaleWriter => "stale writer",
            Self::Unanswered => "unanswered question",
            Self::Unreadable => "unreadable alert source",
            Self::HookFailed => "hook failed",
            Self::HookUnknown => "hook may have run",
        }
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Person(person) => write!(f, "{person}"),
            Self::Guard(guard) => write!(f, "tidegate ({})", guard.word()),
        }
    }
}

/// A question to people, opened by a trigger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Its number within the rollout.
    pub number: u32,
    /// The alert that asks.
    pub alert: AlertKey,
    /// The alert's name and trigger: of all its label sets one asks, and the others are counted.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// How many more label sets of the same alert asked the same since.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u32,
    /// The question in words.
    pub question: String,
    /// Roles of the plan that may answer; empty: whoever may roll back.
    pub by: Vec<String>,
    /// When it was opened.
    pub at: Timestamp,
    /// When the default happens.
    pub deadline: Timestamp,
    /// What happens then.
    pub default: DecideDefault,
}

/// Health is not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unknown {
    /// Since when.
    pub since: Timestamp,
    /// What is not known.
    pub why: String,
    /// Whether people were paged about it.
    pub paged: bool,
    /// Whether the plan's answer to lasting silence was given; it is given once.
    pub acted: bool,
}

impl Rollout {
    /// The index of the phase it is in or moves to; the last one from the watch on.
    pub fn phase_index(&self) -> usize {
        let last = self.plan.spec.phases.len().saturating_sub(1);
        match &self.stage {
            Stage::Advancing { phase, .. } | Stage::Baking { phase, .. } | Stage::AtGate { phase, .. } => {
                (*phase).min(last)
            }
            Stage::Watching { .. } | Stage::Completed { .. } => last,
            Stage::RollingBack { .. } | Stage::RolledBack { .. } | Stage::Aborted { .. } => 0,
        }
    }

    /// The phase it is in or moves to; `None` once it was rolled back or aborted.
    pub fn phase(&self) -> Option<&Phase> {
        match &self.stage {
            Stage::RollingBack { .. } | Stage::RolledBack { .. } | Stage::Aborted { .. } => None,
            Stage::Advancing { .. }
            | Stage::Baking { .. }
            | Stage::AtGate { .. }
            | Stage::Watching { .. }
            | Stage::Completed { .. } => self.plan.spec.phases.get(self.phase_index()),
        }
    }

    /// How long it has baked at `now`: by the wall clock, and never longer than this replica watched.
    pub fn baked(&self, around: &Surroundings, now: Timestamp) -> Period {
        let counted = self.bake.counted;
        match self.bake.since {
            Some(since) if planted::on(Bug::JumpsBake) => counted.plus(Period::between(since, now)),
            Some(since) => counted.plus(Period::between(since, now).min(around.watched.unwrap_or_default())),
            None => counted,
        }
    }

    /// Whether nothing moves any more. What is rolled back is over once its last hook is. People may still wait for word of
    /// it, see [`Rollout::is_settled`].
    pub fn is_final(&self) -> bool {
        match self.stage {
            Stage::RolledBack { .. } => !self.hooks_outstanding(),
            Stage::Completed { .. } | Stage::Aborted { .. } => true,
            Stage::Advancing { .. }
            | Stage::Baking { .. }
            | Stage::AtGate { .. }
            | Stage::Watching { .. }
            | Stage::RollingBack { .. } => false,
        }
    }

    /// Whether it carries what it wanted, and asks nothing of its target now.
    pub fn rests(&self) -> bool {
        match self.stage {
            Stage::Baking { .. } | Stage::AtGate { .. } | Stage::Watching { .. } => true,
            Stage::Advancing { .. }
            | Stage::RollingBack { .. }
            | Stage::RolledBack { .. }
            | Stage::Completed { .. }
            | Stage::Aborted { .. } => false,
        }
    }

    /// How bad the plan says that is which leads to a notice, where an alert does.
    pub(crate) fn severity_of<'a>(&'a self, kind: &'a NoticeKind) -> Option<&'a str> {
        match (kind, &self.stage) {
            (NoticeKind::AlertLogged { severity, .. }, _) => Some(severity),
            (NoticeKind::DecisionOpened { number, .. }, _) => {
                let asked = self.decisions.iter().find(|decision| decision.number == *number)?;
                Some(&self.alerts.get(&asked.alert.fingerprint)?.severity)
            }
            (
                NoticeKind::RollingBack { .. }
                | NoticeKind::RollbackStuck { .. }
                | NoticeKind::RolledBack { .. }
                | NoticeKind::PodLogs { .. },
                Stage::RollingBack { because, .. } | Stage::RolledBack { because, .. },
            ) => because.severity(),
            _ => None,
        }
    }

    /// Whether a rollback was decided. From then on no write may raise the weight.
    pub fn is_latched(&self) -> bool {
        matches!(self.stage, Stage::RollingBack { .. } | Stage::RolledBack { .. })
    }

    /// Whether a rollback was decided because of an alert.
    pub fn went_back_on_an_alert(&self) -> bool {
        match &self.stage {
            Stage::RollingBack { because, .. } | Stage::RolledBack { because, .. } => because.severity().is_some(),
            Stage::Advancing { .. }
            | Stage::Baking { .. }
            | Stage::AtGate { .. }
            | Stage::Watching { .. }
            | Stage::Completed { .. }
            | Stage::Aborted { .. } => false,
        }
    }

    /// The version that is rolled out, where the plan asks for one.
    pub fn version(&self) -> Option<&str> {
        self.inputs.get("version").map(String::as_str)
    }
}
