//! Owns the headline that every notice carries: which rollout it is, and how it stood when the notice was decided.
//! Refuses anything that only some notices need: that is a fact of theirs.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{PersonId, RolloutId};
use crate::ladder;
use crate::plan::{DecideDefault, Mode, NoData, Scope, SeverityAction, Trigger};
use crate::rollout::{Guard, Hold, Holder, Rollout, Stage};

/// The headline of a rollout: every notice carries it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Its id.
    pub rollout: RolloutId,
    /// The plan's title.
    pub title: String,
    /// The service.
    pub service: String,
    /// The environment.
    pub environment: String,
    /// The version, where the plan asks for one.
    pub version: Option<String>,
    /// The state in one word.
    pub state: String,
    /// The wanted weight, such as `25%`.
    pub weight: String,
    /// Whether that weight was read back from all that carries the traffic, and nothing says otherwise since.
    #[serde(default)]
    pub confirmed: bool,
    /// Whether it would be taken back without anybody's word if things went wrong.
    #[serde(default)]
    pub armed: bool,
    /// The phase's name; `None` once it is rolled back.
    pub phase: Option<String>,
    /// The phase's number, from 1.
    pub number: usize,
    /// How many phases there are.
    pub phases: usize,
    /// The numbers of the holds that stand.
    #[serde(default)]
    pub holds: Vec<u32>,
    /// When the last of the holds ends, where all of them end by themselves.
    #[serde(default)]
    pub held_until: Option<Timestamp>,
    /// The roles of the plan and who is in them: whom a template can call.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub roles: BTreeMap<String, Vec<PersonId>>,
    /// The next update that the plan promises to anybody. It is known once all that happened at the same moment is decided.
    #[serde(default)]
    pub update: Option<NextUpdate>,
    /// The time zone of the plan.
    #[serde(default = "utc")]
    pub zone: String,
}

fn utc() -> String {
    "UTC".to_owned()
}

/// When people hear the next time, whatever happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextUpdate {
    /// When it is due.
    pub at: Timestamp,
    /// The audiences that it is promised to.
    pub to: Vec<String>,
}

impl About {
    /// What stands in the place of a rollout's id where a notice concerns the server as a whole.
    pub const SERVER: &str = "server";

    /// The headline of what concerns no single rollout.
    pub fn server() -> Self {
        Self {
            rollout: RolloutId::new(Self::SERVER),
            title: "Tidegate".to_owned(),
            service: String::new(),
            environment: String::new(),
            version: None,
            state: String::new(),
            weight: String::new(),
            confirmed: false,
            armed: false,
            phase: None,
            number: 0,
            phases: 0,
            holds: Vec::new(),
            held_until: None,
            roles: BTreeMap::new(),
            update: None,
            zone: utc(),
        }
    }

    /// The headline of `rollout` as it stands.
    pub fn of(rollout: &Rollout) -> Self {
        let spec = &rollout.plan.spec;
        Self {
            rollout: rollout.id.clone(),
            title: spec.title.clone(),
            service: spec.service.clone(),
            environment: spec.environment.clone(),
            version: rollout.version().map(str::to_owned),
            state: rollout.state_word().to_owned(),
            weight: rollout.wanted.to_string(),
            confirmed: confirmed(rollout),
            armed: armed(rollout),
            phase: rollout.phase().map(|phase| phase.name.clone()),
            number: rollout.phase_index() + 1,
            phases: spec.phases.len(),
            holds: rollout.holds.iter().map(|hold| hold.number).collect(),
            held_until: held_until(&rollout.holds),
            roles: spec
                .roles
                .iter()
                .map(|(name, role)| (name.clone(), role.members.clone()))
                .collect(),
            update: None,
            zone: spec.timezone.clone(),
        }
    }
}

impl NextUpdate {
    /// The first that falls due of all that `rollout` promises. What is owed already is not among them, unlike in
    /// [`Rollout::next_commitment`]: the notice that says this may be the very one that is owed.
    pub(crate) fn of(rollout: &Rollout) -> Option<Self> {
        let commitments = &rollout.plan.spec.commitments;
        let due = rollout.commitments.tracks.iter().filter_map(|(name, track)| {
            let to = &commitments.get(name)?.to;
            Some((track.next?, to))
        });
        let (at, to) = due.min_by_key(|(at, _)| *at)?;
        Some(Self { at, to: to.clone() })
    }
}

/// What is wanted is not what is: it counts once it was read back, unless somebody else wrote since, and as long as no way back
/// is left from which it was not.
fn confirmed(rollout: &Rollout) -> bool {
    let others = |hold: &Hold| match &hold.by {
        Holder::Guard(guard) => matches!(guard, Guard::ForeignChange | Guard::StaleWriter),
        Holder::Person(_) => false,
    };
    match &rollout.stage {
        // What was read back before is wanted until the hooks of the next phase have passed.
        Stage::Advancing { action, .. } => rollout.is_hook(action) && !rollout.holds.iter().any(others),
        Stage::Baking { .. } | Stage::AtGate { .. } | Stage::Watching { .. } => !rollout.holds.iter().any(others),
        Stage::Completed { .. } => true,
        Stage::RolledBack { .. } => ladder::left(&rollout.ladder).is_empty(),
        Stage::RollingBack { .. } | Stage::Aborted { .. } => false,
    }
}

fn armed(rollout: &Rollout) -> bool {
    let spec = &rollout.plan.spec;
    let goes_back = |trigger: &Trigger| match spec.severities.get(&trigger.severity).map(|one| &one.action) {
        Some(SeverityAction::Rollback) => trigger.alert.scope == Scope::Own,
        Some(SeverityAction::Decide(decide)) => decide.default == DecideDefault::Rollback,
        Some(SeverityAction::Log) | None => false,
    };
    let can = spec.mode == Mode::Armed && !rollout.is_latched() && !rollout.is_final();
    can && (spec.triggers.iter().any(goes_back) || matches!(spec.no_data, NoData::RollbackAfter(_)))
}

fn held_until(holds: &[Hold]) -> Option<Timestamp> {
    let ends: Option<Vec<Timestamp>> = holds.iter().map(|hold| hold.until).collect();
    ends?.into_iter().max()
}
