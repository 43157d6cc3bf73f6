//! Owns what people must have said before a phase is left, as a plan writes it: approvals by role, and a checklist.
//! Refuses to know who said it: that is the rollout's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Phase, Plan};
use crate::ids::PersonId;

/// People of a role who must approve before a phase is left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Approval {
    /// A role of this plan.
    pub role: String,
    /// How many different people of it.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 100))]
    pub people: u32,
    /// Whether whoever started the rollout may be one of them.
    #[serde(default)]
    pub self_approval: bool,
}

/// Something that a person must have looked at before a phase is left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Check {
    /// Its short name, as people type it.
    pub id: String,
    /// What is to be true.
    pub text: String,
    /// The role of this plan whose members tick it; left out: whoever may advance or is on call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

fn one() -> u32 {
    1
}

impl Phase {
    /// Whether people must have said something before it is left.
    pub fn needs_people(&self) -> bool {
        !self.approvals.is_empty() || !self.checks.is_empty()
    }
}

impl Plan {
    /// The roles of `approvals` that a person is in.
    pub fn roles_of<'a>(&'a self, person: &PersonId, approvals: &'a [Approval]) -> Vec<&'a Approval> {
        let is_in = |approval: &&Approval| self.members(&approval.role).contains(person);
        approvals.iter().filter(is_in).collect()
    }
}
