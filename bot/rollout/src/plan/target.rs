//! Owns what carries the traffic, as a plan names it: one driver, and what it must know of its target.
//! Refuses to move anything: the drivers do, outside of the core.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::capacity::Split;
use crate::period::Period;
use crate::weight::Weight;

/// What carries the traffic, by its driver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Target {
    /// The built-in feature flag, asked over OFREP.
    Flag(FlagTarget),
    /// Two Kubernetes Deployments behind one Service: the share is the part of the ready pods.
    DeploymentReplicas(ReplicasTarget),
    /// A Kubernetes Service that selects one of two colours: all traffic or none.
    ServiceSelector(SelectorTarget),
    /// The weights of a Gateway API HTTPRoute.
    #[serde(rename = "httproute")]
    HttpRoute(RouteTarget),
}

/// A flag that this plan raises.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FlagTarget {
    /// The key that the service evaluates.
    pub key: String,
    /// Targeting keys by group; a group is in only in the phases that name it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, Vec<String>>,
}

/// Two Deployments that share the traffic by their number of pods.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReplicasTarget {
    /// The namespace of both.
    pub namespace: String,
    /// The Deployment of the new version.
    pub new: String,
    /// The Deployment of the old version.
    pub old: String,
    /// How many pods both run together.
    #[schemars(range(min = 1, max = 10000))]
    pub total: u32,
    /// The part of `total` that is ready at every moment.
    #[serde(default = "whole")]
    pub floor: Weight,
    /// How long pods may take to become ready before somebody has to look.
    #[serde(default = "ready_within")]
    pub ready_within: Period,
}

/// A Service and the two values of the label that it selects by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SelectorTarget {
    /// The namespace of the Service.
    pub namespace: String,
    /// The Service.
    pub service: String,
    /// The label in its selector that tells the colours apart, such as `version`.
    pub label: String,
    /// The value of that label on the pods of the new version.
    pub new: String,
    /// The value of that label on the pods of the old version, which stay as a standby.
    pub old: String,
    /// So many pods of a colour must be ready before it gets the traffic.
    #[schemars(range(min = 1, max = 10000))]
    pub ready: u32,
    /// How long they may take before somebody has to look.
    #[serde(default = "ready_within")]
    pub ready_within: Period,
}

/// An HTTPRoute that divides the traffic between two Services.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RouteTarget {
    /// The namespace of the route and of both Services.
    pub namespace: String,
    /// The HTTPRoute. Every rule of it that names one of the two Services must name exactly these two.
    pub route: String,
    /// The Service of the new version.
    pub new: String,
    /// The Service of the old version.
    pub old: String,
    /// So many endpoints of a Service must be ready before more traffic goes to it.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 10000))]
    pub ready: u32,
    /// How long they, and the gateway, may take before somebody has to look.
    #[serde(default = "ready_within")]
    pub ready_within: Period,
}

fn whole() -> Weight {
    Weight::FULL
}

fn one() -> u32 {
    1
}

fn ready_within() -> Period {
    Period::minutes(10)
}

impl Target {
    /// The name of what is moved. At most one rollout that is not final may hold it.
    pub fn name(&self) -> String {
        match self {
            Self::Flag(flag) => format!("flag/{}", flag.key),
            Self::DeploymentReplicas(target) => format!("deployment/{}/{}", target.namespace, target.new),
            Self::ServiceSelector(target) => format!("service/{}/{}", target.namespace, target.service),
            Self::HttpRoute(target) => format!("httproute/{}/{}", target.namespace, target.route),
        }
    }

    /// The flag, where it is one.
    pub fn flag(&self) -> Option<&FlagTarget> {
        match self {
            Self::Flag(flag) => Some(flag),
            Self::DeploymentReplicas(_) | Self::ServiceSelector(_) | Self::HttpRoute(_) => None,
        }
    }

    /// Whether it lives in a Kubernetes cluster.
    pub fn is_in_kubernetes(&self) -> bool {
        self.flag().is_none()
    }

    /// Whether it carries all traffic or none, and nothing in between.
    pub fn is_all_or_nothing(&self) -> bool {
        match self {
            Self::ServiceSelector(_) => true,
            Self::Flag(_) | Self::DeploymentReplicas(_) | Self::HttpRoute(_) => false,
        }
    }

    /// How long it may take to follow a write that did not fail.
    pub fn patience(&self) -> Period {
        match self {
            Self::Flag(_) => Period::ZERO,
            Self::DeploymentReplicas(target) => target.ready_within,
            Self::ServiceSelector(target) => target.ready_within,
            Self::HttpRoute(target) => target.ready_within,
        }
    }
}

impl ReplicasTarget {
    /// How many pods of each version stand for `weight`. Pods are whole, so the share is the nearest that `total` can do:
    /// half of five is three. A weight above zero runs at least one new pod, a weight below 100% at least one old one.
    pub fn split(&self, weight: Weight) -> Split {
        let points = u64::from(weight.basis_points());
        let nearest = (u64::from(self.total) * points + 5_000) / 10_000;
        let nearest = u32::try_from(nearest).unwrap_or(self.total);
        let (least, most) = match points {
            0 => (0, 0),
            10_000 => (self.total, self.total),
            _ => (self.total.min(1), self.total.saturating_sub(1).max(1)),
        };
        let new = nearest.clamp(least, most);
        Split {
            new,
            old: self.total.saturating_sub(new),
        }
    }

    /// How many pods must be ready at every moment.
    pub fn floor_pods(&self) -> u32 {
        let points = u64::from(self.floor.basis_points());
        let pods = (u64::from(self.total) * points).div_ceil(10_000);
        u32::try_from(pods).unwrap_or(self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(total: u32) -> ReplicasTarget {
        ReplicasTarget {
            namespace: "finance".to_owned(),
            new: "v2".to_owned(),
            old: "v1".to_owned(),
            total,
            floor: Weight::FULL,
            ready_within: ready_within(),
        }
    }

    #[test]
    fn weekly_replicas_runs_the_pods_that_its_authors_wrote() {
        let weeks = [(20, 1, 4), (50, 3, 2), (80, 4, 1), (100, 5, 0), (0, 0, 5)];
        for (percent, new, old) in weeks {
            assert_eq!(of(5).split(Weight::percent(percent)), Split { new, old }, "{percent}%");
        }
    }

    #[test]
    fn some_is_never_none_and_less_than_all_is_never_all() {
        for total in 2..40 {
            for points in 1..10_000 {
                let split = of(total).split(Weight::from_basis_points(points).expect("in range"));
                assert!(
                    split.new >= 1 && split.old >= 1 && split.new + split.old == total,
                    "{split:?}"
                );
            }
        }
    }

    #[test]
    fn the_floor_is_rounded_up() {
        let floor = |percent| {
            ReplicasTarget {
                floor: Weight::percent(percent),
                ..of(5)
            }
            .floor_pods()
        };
        assert_eq!([floor(100), floor(81), floor(80), floor(50), floor(0)], [5, 5, 4, 3, 0]);
    }
}
