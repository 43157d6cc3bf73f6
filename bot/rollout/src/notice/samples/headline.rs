//! Owns the headlines of samples: a rollout that stands as rollouts do when such a thing is said.
//! Refuses facts: they are with the samples.

use std::collections::BTreeMap;

use super::moment;
use crate::ids::{PersonId, RolloutId};
use crate::notice::{About, NextUpdate, NoticeKind};
use crate::rollout::Guard;

/// The state and the weight of a rollout of which this is said.
fn stood(kind: &NoticeKind) -> (&'static str, &'static str) {
    match kind {
        NoticeKind::Started { .. } => ("ADVANCING", "0%"),
        NoticeKind::AdvanceFailed { .. } | NoticeKind::GuardHolds { stopped: true, .. } => ("ADVANCING", "25%"),
        NoticeKind::WaitsAtGate { .. }
        | NoticeKind::ApprovalAsked { .. }
        | NoticeKind::Approved { .. }
        | NoticeKind::Checked { .. } => ("WAITING", "25%"),
        NoticeKind::Paused { .. } => ("PAUSED", "25%"),
        NoticeKind::Held { .. } | NoticeKind::GuardHolds { .. } | NoticeKind::HookFailed { hold: Some(_), .. } => {
            ("HELD", "25%")
        }
        NoticeKind::RollingBack { .. }
        | NoticeKind::RollbackStuck { .. }
        | NoticeKind::PodLogs { .. }
        | NoticeKind::HookFailed { hold: None, .. } => ("ROLLING BACK", "0%"),
        NoticeKind::RolledBack { .. } => ("ROLLED BACK", "0%"),
        NoticeKind::Watching { .. } => ("WATCHING", "100%"),
        NoticeKind::Completed { .. } => ("COMPLETED", "100%"),
        NoticeKind::Aborted { .. } => ("ABORTED", "0%"),
        NoticeKind::PhaseBegan { .. }
        | NoticeKind::Resumed { .. }
        | NoticeKind::Released { .. }
        | NoticeKind::AlertLogged { .. }
        | NoticeKind::AlertResolved { .. }
        | NoticeKind::AlertSuppressed { .. }
        | NoticeKind::AlertSuspect { .. }
        | NoticeKind::DecisionOpened { .. }
        | NoticeKind::DecisionAnswered { .. }
        | NoticeKind::WouldRollBack { .. }
        | NoticeKind::NoData { .. }
        | NoticeKind::DataBack { .. }
        | NoticeKind::Acknowledged { .. }
        | NoticeKind::HookPassed { .. }
        | NoticeKind::Update(_)
        | NoticeKind::Report { .. }
        | NoticeKind::CommitmentMissed { .. }
        | NoticeKind::DeliveryMissed { .. } => ("BAKING", "25%"),
    }
}

/// Whether the weight was read back where this is said.
fn confirmed(kind: &NoticeKind, state: &str) -> bool {
    let elsewhere = matches!(kind, NoticeKind::RolledBack { left, .. } if !left.is_empty());
    let foreign = matches!(kind, NoticeKind::GuardHolds { guard, .. } if guard == Guard::ForeignChange.word());
    !elsewhere && !foreign && !matches!(state, "ADVANCING" | "ROLLING BACK" | "ABORTED")
}

pub(super) fn about(kind: &NoticeKind) -> About {
    let (state, weight) = stood(kind);
    let over = matches!(state, "ROLLED BACK" | "COMPLETED" | "ABORTED");
    let update = NextUpdate {
        at: moment(3600),
        to: vec!["stakeholders".to_owned()],
    };
    let held_until = if let NoticeKind::Held { until, .. } = kind {
        *until
    } else {
        None
    };
    About {
        rollout: RolloutId::numbered("checkout", 17),
        title: "Checkout 2.3 to production".to_owned(),
        service: "checkout".to_owned(),
        environment: "production".to_owned(),
        version: Some("2.3.0".to_owned()),
        state: state.to_owned(),
        weight: weight.to_owned(),
        confirmed: confirmed(kind, state),
        armed: !over && state != "ROLLING BACK" && !matches!(kind, NoticeKind::WouldRollBack { .. }),
        phase: (state != "ROLLED BACK").then(|| "quarter".to_owned()),
        number: 2,
        phases: 4,
        holds: vec![2],
        held_until,
        roles: BTreeMap::from([
            ("incident-commander".to_owned(), vec![PersonId::new("mara")]),
            ("oncall".to_owned(), vec![PersonId::new("jon"), PersonId::new("nia")]),
        ]),
        // Nothing more is promised when it is over.
        update: (!over).then_some(update),
        zone: "Europe/Berlin".to_owned(),
    }
}
