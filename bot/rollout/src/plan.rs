//! Owns the plan as people write it: what is rolled out, in which phases, what stops it, who is told.
//! Refuses to know where it came from: reading text is [`source`], judging sense is [`lint`].

mod audience;
pub mod codes;
mod commitment;
pub mod diagnostic;
mod hook;
pub mod lint;
pub mod place;
pub mod reference;
pub mod schema;
mod signoff;
pub mod source;
pub mod suggest;
mod target;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::PersonId;
use crate::matcher::Matcher;
use crate::period::Period;
use crate::tracked::is_zero;
use crate::weight::Weight;

pub use audience::{Audience, Hears};
pub use commitment::{Clock, Commitment, During, TimeOfDay, zone_named};
pub use hook::{Errand, Expect, Hook, HttpCall, Job, Look, Method, PhaseHooks, Probe, Run};
pub use signoff::{Approval, Check};
pub use target::{FlagTarget, ReplicasTarget, RouteTarget, SelectorTarget, Target};

/// A whole plan file, `apiVersion: tidegate.dev/v1alpha1`, `kind: RolloutPlan`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Plan {
    /// The version of this format.
    pub api_version: ApiVersion,
    /// What kind of file this is.
    pub kind: Kind,
    /// Its name and free-form marks.
    pub metadata: Metadata,
    /// What it says.
    pub spec: Spec,
}

/// The one version of the format there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ApiVersion {
    /// The first cut.
    #[serde(rename = "tidegate.dev/v1alpha1")]
    V1Alpha1,
}

/// The kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Kind {
    /// A rollout plan.
    RolloutPlan,
}

/// Name and marks, shaped like Kubernetes' metadata.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// Lower-case letters, digits and `-`; rollouts are called `<name>-<counter>`.
    #[schemars(regex(pattern = "^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$"))]
    pub name: String,
    /// Free-form marks for people and tools.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Longer free-form marks.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What the plan says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// One line for people: "Checkout 2.3 to production".
    pub title: String,
    /// The service; implied as `service="…"` in every trigger that does not say `scope: any`.
    pub service: String,
    /// The environment; implied as `environment="…"` in the same way. Rollbacks are budgeted by environment.
    pub environment: String,
    /// Whether it acts by itself.
    #[serde(default)]
    pub mode: Mode,
    /// What is asked at the start, such as the version.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, Input>,
    /// Roles of this plan and the people in them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub roles: BTreeMap<String, PlanRole>,
    /// What carries the traffic.
    pub target: Target,
    /// The steps of the weight, in order.
    #[schemars(length(min = 1))]
    pub phases: Vec<Phase>,
    /// How long a rollback stays armed after the last phase.
    #[serde(default)]
    pub watch: Period,
    /// What can stop it.
    #[serde(default)]
    pub triggers: Vec<Trigger>,
    /// What each severity means here.
    #[serde(default)]
    pub severities: BTreeMap<String, Severity>,
    /// Which alert sources must be alive, and how that is known.
    #[serde(default)]
    pub alerts: Alerts,
    /// What happens when health stays unknown.
    #[serde(default)]
    pub no_data: NoData,
    /// What is done beside moving traffic, by name; phases and the rollback say when.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hooks: BTreeMap<String, Hook>,
    /// Looks at something, by name; they stand in the same lists as hooks.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub probes: BTreeMap<String, Probe>,
    /// How traffic goes back; left out: the target itself goes to zero.
    #[serde(default, skip_serializing_if = "Rollback::is_plain")]
    pub rollback: Rollback,
    /// Who is told, where.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub audiences: BTreeMap<String, Audience>,
    /// The time zone in which people are told times, by its IANA name: `Europe/Berlin`.
    #[serde(default = "Spec::usual_zone", skip_serializing_if = "Spec::is_usual_zone")]
    pub timezone: String,
    /// What audiences can rely on being told by when, by name. A commitment that is missed pages.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub commitments: BTreeMap<String, Commitment>,
}

impl Spec {
    /// The zone where a plan names none.
    pub const USUAL_ZONE: &str = "UTC";

    fn usual_zone() -> String {
        Self::USUAL_ZONE.to_owned()
    }

    fn is_usual_zone(zone: &String) -> bool {
        zone == Self::USUAL_ZONE
    }
}

/// Whether the plan acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Automatic rollbacks happen.
    #[default]
    Armed,
    /// Automatic rollbacks are only announced; people still can.
    Shadow,
}

/// Something asked at the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Input {
    /// Whether a start without it is refused.
    #[serde(default)]
    pub required: bool,
    /// What it is when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
}

/// A role of the plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlanRole {
    /// People by their id in the server's configuration.
    pub members: Vec<PersonId>,
    /// What they are there for, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duties: Option<String>,
}

/// One step of the weight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Phase {
    /// Its name, said in every message.
    pub name: String,
    /// The part of the traffic.
    pub weight: Weight,
    /// The least time at this weight with known health.
    pub bake: Period,
    /// What lets the rollout leave this phase once it has baked.
    #[serde(default)]
    pub gate: Gate,
    /// Groups of the flag that are wholly in during this phase.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// People who must approve before it is left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<Approval>,
    /// What somebody must have looked at before it is left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    /// What is done around this phase.
    #[serde(default, skip_serializing_if = "PhaseHooks::is_empty")]
    pub hooks: PhaseHooks,
}

/// What lets a rollout leave a phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// Baked and healthy is enough.
    #[default]
    Auto,
    /// A person presses advance.
    Manual,
}

/// Something that can stop the rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Trigger {
    /// Its name, said in every message.
    pub name: String,
    /// Which alerts pull it.
    pub alert: AlertMatch,
    /// How bad that is; a key of `severities`.
    pub severity: String,
}

/// Which alerts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AlertMatch {
    /// All of them must match.
    #[schemars(length(min = 1))]
    pub matchers: Vec<Matcher>,
    /// Whether `service` and `environment` of the plan are implied.
    #[serde(default)]
    pub scope: Scope,
}

/// How far a trigger looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Only alerts of this service in this environment.
    #[default]
    Own,
    /// Any alert; such a trigger never rolls back, it holds or asks.
    Any,
}

/// What a severity means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Severity {
    /// What is done.
    pub action: SeverityAction,
    /// Whether somebody is paged.
    #[serde(default)]
    pub page: bool,
}

/// What is done when a trigger of a severity is pulled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum SeverityAction {
    /// Traffic returns to the old version at once.
    Rollback,
    /// People decide until a deadline; then the default happens.
    Decide(Decide),
    /// It is written down and told; nothing else.
    Log,
}

/// A question to people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Decide {
    /// Roles of the plan that may answer; empty: whoever may roll back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<String>,
    /// How long the question stays open.
    pub within: Period,
    /// What happens when nobody answers.
    pub default: DecideDefault,
}

/// What an unanswered question leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DecideDefault {
    /// Traffic returns to the old version.
    Rollback,
    /// The rollout stays where it is until a person releases it.
    Hold,
}

/// How the life of the alert path is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Alerts {
    /// Names of the server's Alertmanager receivers that this plan's triggers rely on.
    #[serde(default = "Alerts::default_receivers")]
    pub receivers: Vec<String>,
    /// Whether the always-firing `Watchdog` alert is needed to advance.
    #[serde(default)]
    pub watchdog: Watchdog,
}

impl Alerts {
    fn default_receivers() -> Vec<String> {
        vec!["default".to_owned()]
    }
}

impl Default for Alerts {
    fn default() -> Self {
        Self {
            receivers: Self::default_receivers(),
            watchdog: Watchdog::default(),
        }
    }
}

/// Whether a dead man's switch is needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Watchdog {
    /// Nothing advances unless it was seen lately.
    #[default]
    Required,
    /// Silence counts as health, which it is not.
    None,
}

/// What happens when health stays unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum NoData {
    /// Stay where we are and page.
    #[default]
    Hold,
    /// Return traffic to the old version after this long.
    RollbackAfter(Period),
}

/// How traffic goes back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rollback {
    /// The ways back, the first one first. A rung that is not read back at zero in time is followed by the next one, and
    /// after the last somebody is paged. Zero read back from any of them ends it.
    #[serde(default)]
    pub ladder: Vec<Rung>,
    /// Hooks and probes that follow once zero was read back, in order. One that fails is told and stops nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<String>,
    /// So many last lines of the logs of failing pods of the new version are kept and told, at most 200; none unless it says
    /// so. Needs a target in Kubernetes.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(range(max = 200))]
    pub pod_logs: u32,
}

impl Rollback {
    fn is_plain(&self) -> bool {
        self.ladder.is_empty() && self.hooks.is_empty() && self.pod_logs == 0
    }
}

/// One way back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rung {
    /// Its name, said in every message.
    pub name: String,
    /// What is brought to zero, and read back.
    pub target: Target,
    /// How long it has before the next rung is climbed as well.
    #[serde(default = "Rung::usually")]
    pub within: Period,
}

impl Rung {
    /// How long a rung has when nothing is said.
    pub const USUALLY: Period = Period::seconds(30);

    fn usually() -> Period {
        Self::USUALLY
    }
}

impl Plan {
    /// The plan's name.
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// The ways back, the first one first; there is always at least one.
    pub fn rungs(&self) -> Vec<Rung> {
        if !self.spec.rollback.ladder.is_empty() {
            return self.spec.rollback.ladder.clone();
        }
        vec![Rung {
            name: "target".to_owned(),
            target: self.spec.target.clone(),
            within: Rung::USUALLY,
        }]
    }

    /// The names of everything that a rollout of this plan may write to, its target first.
    pub fn targets(&self) -> Vec<String> {
        let mut names = vec![self.spec.target.name()];
        for rung in &self.spec.rollback.ladder {
            let name = rung.target.name();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// What knows the pods of the new version: the target, or the first way back that does.
    pub fn target_with_pods(&self) -> Option<&Target> {
        let rungs = self.spec.rollback.ladder.iter().map(|rung| &rung.target);
        std::iter::once(&self.spec.target)
            .chain(rungs)
            .find(|target| match target {
                Target::Flag(_) => false,
                Target::DeploymentReplicas(_) | Target::ServiceSelector(_) | Target::HttpRoute(_) => true,
            })
    }

    /// The people in a role of this plan; nobody in a role that it does not have.
    pub fn members(&self, role: &str) -> &[PersonId] {
        self.spec.roles.get(role).map_or(&[], |role| role.members.as_slice())
    }

    /// The index of the first phase called `name`.
    pub fn phase_named(&self, name: &str) -> Option<usize> {
        self.spec.phases.iter().position(|phase| phase.name == name)
    }

    /// What stands for this plan's content: SHA-256 of its canonical JSON, the first twelve hex digits.
    pub fn digest(&self) -> String {
        use sha2::Digest;
        let canonical = serde_json::to_vec(self).unwrap_or_default();
        hex::encode(&sha2::Sha256::digest(canonical)[..6])
    }
}
