//! Owns the demo's plan: written for production, in hours, and scaled to seconds.
//! Refuses to be scaled below what an alert needs to arrive.

use tidegate_rollout::{Period, Weight};

use super::alerts::ALERT;
use super::shop::FLAG;

/// The plan's name; its rollouts are `shop-1`, `shop-2`, …
pub(super) const NAME: &str = "shop";

/// No phase bakes shorter than this, however fast the clock: an alert needs two evaluations to arrive.
const LEAST_BAKE: Period = Period::seconds(3);
/// The watch only has to be seen.
const LEAST_WATCH: Period = Period::seconds(1);

/// A phase as it would be in production.
struct Phase {
    name: &'static str,
    weight: Weight,
    bake: Period,
}

const PHASES: [Phase; 3] = [
    Phase {
        name: "canary",
        weight: Weight::percent(20),
        bake: Period::minutes(60),
    },
    Phase {
        name: "half",
        weight: Weight::percent(50),
        bake: Period::minutes(3 * 60),
    },
    Phase {
        name: "everybody",
        weight: Weight::FULL,
        bake: Period::minutes(2 * 60),
    },
];

const WATCH: Period = Period::minutes(60);

/// How much faster than production the demo runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speed(u32);

impl Speed {
    /// So many times as fast; at least once.
    pub fn times(factor: u32) -> Self {
        Self(factor.max(1))
    }

    fn scaled(self, period: Period, least: Period) -> Period {
        Period::millis(period.as_millis() / i64::from(self.0)).max(least)
    }

    /// What a second of the demo stands for.
    pub(super) fn second(self) -> Period {
        Period::seconds(self.0)
    }
}

/// How long the plan takes when nothing stops it.
pub(super) fn lasting(speed: Speed) -> Period {
    let bakes = PHASES.iter().map(|phase| speed.scaled(phase.bake, LEAST_BAKE));
    bakes.fold(speed.scaled(WATCH, LEAST_WATCH), Period::plus)
}

/// The plan file.
pub(super) fn text(speed: Speed) -> String {
    let phase = |phase: &Phase| {
        let bake = speed.scaled(phase.bake, LEAST_BAKE);
        format!(
            "    - {{ name: {}, weight: {}, bake: {bake} }}   # in production {}\n",
            phase.name, phase.weight, phase.bake
        )
    };
    let phases: String = PHASES.iter().map(phase).collect();
    let watch = speed.scaled(WATCH, LEAST_WATCH);
    format!(
        "apiVersion: tidegate.dev/v1alpha1
kind: RolloutPlan
metadata:
  name: {NAME}
spec:
  title: The new shop
  service: shop
  environment: demo
  inputs:
    version: {{ default: {new} }}
    previous: {{ default: {old} }}
  target:
    flag: {{ key: {FLAG} }}
  phases:
{phases}  watch: {watch}   # in production {WATCH}
  triggers:
    - name: error-rate
      alert: {{ matchers: ['alertname=\"{ALERT}\"', 'severity=\"critical\"'] }}
      severity: sev1
  severities:
    sev1: {{ action: rollback, page: true }}
  audiences:
    oncall: {{ channels: [pager], hears: pages }}
    team: {{ channels: [chat, log], hears: everything }}
",
        new = super::shop::Version::New.number(),
        old = super::shop::Version::Old.number(),
    )
}

#[cfg(test)]
mod tests {
    use tidegate_rollout::plan::diagnostic::Level;
    use tidegate_rollout::plan::{lint, source};

    use super::*;

    fn bakes(speed: u32) -> Vec<String> {
        let plan = source::read(&text(Speed::times(speed))).plan.unwrap();
        plan.spec.phases.iter().map(|phase| phase.bake.to_string()).collect()
    }

    #[test]
    fn the_plan_is_one_that_lint_lets_pass_at_every_speed() {
        for speed in [0, 1, 60, 3_600, u32::MAX] {
            let read = source::read(&text(Speed::times(speed)));
            let mut findings = read.findings;
            findings.extend(read.plan.iter().flat_map(lint::lint));
            findings.retain(|finding| finding.level != Level::Info);
            assert_eq!(findings, [], "at speed {speed}");
        }
    }

    #[test]
    fn hours_become_seconds_and_never_fewer_than_an_alert_needs() {
        assert_eq!(bakes(1), ["1h", "3h", "2h"]);
        assert_eq!(bakes(360), ["10s", "30s", "20s"]);
        assert_eq!(bakes(3_600), ["3s", "3s", "3s"]);
        assert_eq!(bakes(u32::MAX), ["3s", "3s", "3s"]);
    }

    #[test]
    fn what_it_takes_is_the_sum_of_its_parts() {
        assert_eq!(lasting(Speed::times(3_600)), Period::seconds(10));
        assert_eq!(lasting(Speed::times(1)), Period::minutes(7 * 60));
        assert_eq!(lasting(Speed::times(u32::MAX)), Period::seconds(10));
    }
}
