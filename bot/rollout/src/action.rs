//! Owns what a decision asks of the world, and what the world answers.
//! Refuses to do anything: workers do, and report back with an [`Outcome`].

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::alert::AlertKey;
use crate::hook::{HookEnd, Moment};
use crate::ids::{ActionId, RolloutId};
use crate::plan::{Errand, Target};
use crate::pod_log::PodLogs;
use crate::rollout::Rollout;
use crate::step::{Blocker, in_the_way};
use crate::surroundings::Surroundings;
use crate::weight::{Share, Weight};

/// One thing to do. It is committed before it is tried, and its id is the idempotency key of the effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// Its name; the same after every crash.
    pub id: ActionId,
    /// For which rollout.
    pub rollout: RolloutId,
    /// The rollout's epoch at the decision. A target that knows a higher one refuses the write.
    pub epoch: u64,
    /// What to do.
    pub kind: ActionKind,
}

/// What can be asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActionKind {
    /// Bring the target to the weight of a phase and read it back. Needs leadership: it may raise.
    SetWeight {
        /// What to move.
        target: Target,
        /// The wanted weight; a value to set, never a step to add.
        weight: Weight,
        /// Groups that are wholly in.
        groups: Vec<String>,
    },
    /// Bring the target to zero and read it back. Any replica may do it, at worst twice.
    ToZero {
        /// What to move.
        target: Target,
    },
    /// Ask every peer of the alert source whether a suspect alert is really active.
    AskAboutAlert {
        /// Which alert.
        key: AlertKey,
        /// The receiver whose peers can tell that it is over. Empty where a row of an older program does not say.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        receiver: String,
    },
    /// Read the end of what the failing pods of the new version wrote. Any replica may; nothing waits for it.
    ReadLogs {
        /// The target that knows these pods.
        target: Target,
        /// So many last lines of each.
        lines: u32,
    },
    /// Do a hook, or look by a probe. It is never done twice unless it is declared to be repeatable, see
    /// [`crate::hook::permit`].
    RunHook {
        /// Its name in the plan.
        name: String,
        /// When it is due.
        moment: Moment,
        /// What is done.
        errand: Box<Errand>,
        /// What it is told of the rollout: the variables of its environment, or the body of its request.
        facts: std::collections::BTreeMap<String, String>,
    },
}

impl ActionKind {
    /// Whether it may raise a weight.
    pub fn is_raise(&self) -> bool {
        match self {
            Self::SetWeight { .. } => true,
            Self::ToZero { .. } | Self::AskAboutAlert { .. } | Self::ReadLogs { .. } | Self::RunHook { .. } => false,
        }
    }
}

/// Which queue of the outbox an action waits in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lane {
    /// Lowering to zero, and asking: claimed by any replica, no lease.
    Safety,
    /// Everything that may raise the weight, and hooks: needs the lease.
    Forward,
}

impl Action {
    /// The queue it waits in.
    pub fn lane(&self) -> Lane {
        match self.kind {
            ActionKind::SetWeight { .. } | ActionKind::RunHook { .. } => Lane::Forward,
            ActionKind::ToZero { .. } | ActionKind::AskAboutAlert { .. } | ActionKind::ReadLogs { .. } => Lane::Safety,
        }
    }
}

/// What carries the traffic says about itself, after we wrote to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadBack {
    /// The weight it says it has.
    pub weight: Weight,
    /// What "says" means for this driver, in words: "0 is served; 3,112 evaluations since".
    pub how: String,
    /// Whether traffic itself was seen to follow, and not only the setting.
    pub seen_in_traffic: bool,
    /// The share observed since the write, where the driver can tell.
    pub observed: Option<Share>,
    /// When it was read.
    pub at: Timestamp,
}

/// How an action went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The wanted value was written and read back.
    Applied(ReadBack),
    /// It did not work this time; the worker goes on trying.
    Failing {
        /// How often it was tried.
        attempts: u32,
        /// Since when.
        since: Timestamp,
        /// What we tried and what stood in the way.
        why: String,
    },
    /// The worker stopped trying: only forward actions end so.
    GaveUp {
        /// How often it was tried.
        attempts: u32,
        /// What we tried and what stood in the way.
        why: String,
    },
    /// The field we last wrote reads differently: somebody else writes to this target.
    Foreign {
        /// What was found instead.
        found: Weight,
    },
    /// The target carries a higher epoch than ours: we are the stale writer.
    Fenced {
        /// The epoch found on the target.
        found: u64,
    },
    /// The answer to [`ActionKind::AskAboutAlert`].
    Asked {
        /// Which alert.
        key: AlertKey,
        /// What its source said.
        answer: SuspectAnswer,
    },
    /// The answer to [`ActionKind::ReadLogs`].
    Logs(Box<PodLogs>),
    /// How [`ActionKind::RunHook`] ended.
    Hooked(Box<HookEnd>),
}

/// What the peers of an alert source said about a suspect alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SuspectAnswer {
    /// At least one peer has it active: it counts.
    Active,
    /// Every peer of its receiver answered and none has it: it was the late word of an HA peer.
    Absent,
    /// A peer of its receiver could not be read and none has it active: nobody knows.
    Unreadable,
}

/// The proof that a write may raise a weight: it cannot be made from a latched rollout, for an overtaken action, nor while
/// something stands in the way that came after the decision.
#[derive(Debug)]
pub struct AdvanceToken {
    epoch: u64,
}

/// Why a write may not raise a weight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoToken {
    /// A later decision stands: it is never done.
    Overtaken,
    /// Something came between the decision and the write; it is done once that is gone.
    InTheWay(Box<Blocker>),
}

impl AdvanceToken {
    /// A token for `action`, if `rollout` still wants it and nothing stands in the way.
    ///
    /// # Errors
    /// [`NoToken`] says whether to drop the action or to come again.
    pub fn of(rollout: &Rollout, action: &Action, around: &Surroundings, now: Timestamp) -> Result<Self, NoToken> {
        if rollout.is_latched() || rollout.is_final() || rollout.epoch != action.epoch {
            return Err(NoToken::Overtaken);
        }
        match in_the_way(rollout, around, now) {
            Some(blocker) => Err(NoToken::InTheWay(Box::new(blocker))),
            None => Ok(Self { epoch: action.epoch }),
        }
    }

    /// The epoch to write with.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }
}
