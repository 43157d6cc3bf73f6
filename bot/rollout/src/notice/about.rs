//! Owns the headline that every notice carries: which rollout it is, and how it stood when the notice was decided.
//! Refuses anything that only some notices need: that is a fact of theirs.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{PersonId, RolloutId};
use crate::rollout::Rollout;

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
    /// The phase's name; `None` once it is rolled back.
    pub phase: Option<String>,
    /// The phase's number, from 1.
    pub number: usize,
    /// How many phases there are.
    pub phases: usize,
    /// The numbers of the holds that stand.
    #[serde(default)]
    pub holds: Vec<u32>,
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
            phase: None,
            number: 0,
            phases: 0,
            holds: Vec::new(),
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
            phase: rollout.phase().map(|phase| phase.name.clone()),
            number: rollout.phase_index() + 1,
            phases: spec.phases.len(),
            holds: rollout.holds.iter().map(|hold| hold.number).collect(),
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
    /// The first that falls due of all that `rollout` promises.
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
