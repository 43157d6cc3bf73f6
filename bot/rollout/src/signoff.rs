//! Owns what people said on a rollout beside steering it: approvals, ticks of the checklist, who looks at what.
//! Refuses to count a person twice, and to forget who it was.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::PersonId;
use crate::plan::{Approval, Check};
use crate::rollout::{Rollout, Stage};

/// One approval of one person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approved {
    /// Of which phase's gate.
    pub phase: usize,
    /// For which role.
    pub role: String,
    /// Who.
    pub by: PersonId,
    /// When.
    pub at: Timestamp,
}

/// One tick of one item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// Of which phase.
    pub phase: usize,
    /// Which item.
    pub id: String,
    /// Who.
    pub by: PersonId,
    /// When.
    pub at: Timestamp,
}

/// Somebody looks at something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// The name of the alert, or `decision 3`.
    pub what: String,
    /// Who.
    pub by: PersonId,
    /// Since when.
    pub at: Timestamp,
}

/// What is still open at the gate of a phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Open {
    /// People of a role have not approved.
    Approval {
        /// The role.
        role: String,
        /// How many more.
        missing: u32,
        /// Who could, besides those who have.
        people: Vec<PersonId>,
    },
    /// An item is not ticked.
    Check {
        /// Its name.
        id: String,
        /// What is to be true.
        text: String,
        /// The role that ticks it.
        owner: Option<String>,
    },
}

impl Open {
    /// In a few words: who must do what.
    pub fn words(&self) -> String {
        match self {
            Self::Approval { role, missing, people } => {
                let names: Vec<&str> = people.iter().map(PersonId::as_str).collect();
                let more = if *missing == 1 {
                    String::new()
                } else {
                    format!("{missing} of ")
                };
                format!("approval by {more}{role} ({})", names.join(", "))
            }
            Self::Check { id, text, owner } => {
                let owner = owner.as_ref().map(|role| format!(", {role}")).unwrap_or_default();
                format!("check {id}: {text}{owner}")
            }
        }
    }
}

impl Rollout {
    /// Everything that people have not said yet at the gate of the phase it is in.
    pub fn open_signoffs(&self) -> Vec<Open> {
        let index = match self.stage {
            Stage::Baking { phase, .. } | Stage::AtGate { phase, .. } => phase,
            Stage::Advancing { .. }
            | Stage::Watching { .. }
            | Stage::RollingBack { .. }
            | Stage::RolledBack { .. }
            | Stage::Completed { .. }
            | Stage::Aborted { .. } => return Vec::new(),
        };
        let Some(phase) = self.plan.spec.phases.get(index) else {
            return Vec::new();
        };
        let approvals = phase
            .approvals
            .iter()
            .filter_map(|approval| self.open_approval(index, approval));
        let checks = phase
            .checks
            .iter()
            .filter(|check| self.checked(index, &check.id).is_none());
        let checks = checks.map(|Check { id, text, owner }| Open::Check {
            id: id.clone(),
            text: text.clone(),
            owner: owner.clone(),
        });
        approvals.chain(checks).collect()
    }

    fn open_approval(&self, phase: usize, approval: &Approval) -> Option<Open> {
        let given = self
            .approvals
            .iter()
            .filter(|one| one.phase == phase && one.role == approval.role);
        let given = u32::try_from(given.count()).unwrap_or(u32::MAX);
        let missing = approval.people.saturating_sub(given);
        let could = |person: &&PersonId| {
            let other = approval.self_approval || **person != self.started_by;
            other && self.approved(phase, person).is_none()
        };
        let people = self.plan.members(&approval.role).iter().filter(could).cloned();
        (missing > 0).then(|| Open::Approval {
            role: approval.role.clone(),
            missing,
            people: people.collect(),
        })
    }

    /// What a person approved at the gate of a phase. One person stands for one role there, and not for two.
    pub fn approved(&self, phase: usize, person: &PersonId) -> Option<&Approved> {
        self.approvals
            .iter()
            .find(|one| one.phase == phase && one.by == *person)
    }

    /// Who ticked an item, and when.
    pub fn checked(&self, phase: usize, id: &str) -> Option<&Checked> {
        self.checks.iter().find(|one| one.phase == phase && one.id == id)
    }
}
