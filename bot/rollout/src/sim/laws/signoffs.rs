//! Owns the check that no phase is left before everybody has signed whom its gate asks.
//! Refuses to read the rollout's own list: it counts what people said, and that of it was accepted.

use std::collections::BTreeSet;

use crate::command::Command;
use crate::event::Event;
use crate::ids::PersonId;
use crate::rollout::{Rollout, Stage};

use super::{Commit, Laws};

/// What was said at the gates of one rollout.
#[derive(Clone, Debug, Default)]
pub(super) struct Signed {
    /// By phase and role, each person once.
    approvals: BTreeSet<(usize, String, PersonId)>,
    /// By phase, the items that are ticked now.
    checks: BTreeSet<(usize, String)>,
}

impl Laws {
    /// Law 2: a gate that asks for people is passed with their word, which whoever started it cannot give alone.
    pub(super) fn people_have_signed(&mut self, commit: &Commit<'_>) {
        self.note_what_was_said(commit);
        let (before, next) = (commit.before, &commit.step.next);
        let Some(left) = gate(before).filter(|phase| is_past(next, *phase)) else {
            return;
        };
        let signed = &self.ledgers[commit.rollout].signed;
        let Some(phase) = before.plan.spec.phases.get(left) else {
            return;
        };
        let unapproved = phase.approvals.iter().find(|approval| {
            let members = before.plan.members(&approval.role);
            let counts = |person: &PersonId| {
                members.contains(person) && (approval.self_approval || *person != before.started_by)
            };
            let given = signed
                .approvals
                .iter()
                .filter(|(phase, role, person)| *phase == left && *role == approval.role && counts(person));
            (given.count() as u64) < u64::from(approval.people)
        });
        let unticked = phase
            .checks
            .iter()
            .find(|check| !signed.checks.contains(&(left, check.id.clone())));
        let open = (unapproved.cloned(), unticked.cloned());
        self.must(open == (None, None), 2, || {
            format!("{} left phase {left} with open sign-offs: {open:?}", next.id)
        });
    }

    fn note_what_was_said(&mut self, commit: &Commit<'_>) {
        let (Event::Commanded { actor, command, .. }, Some(phase)) = (commit.event, gate(commit.before)) else {
            return;
        };
        let signed = &mut self.ledgers[commit.rollout].signed;
        match command {
            Command::Approve { role: Some(role), .. } => {
                signed.approvals.insert((phase, role.clone(), actor.person.clone()));
            }
            Command::Check { item, done: true, .. } => {
                signed.checks.insert((phase, item.clone()));
            }
            Command::Check { item, done: false, .. } => {
                signed.checks.remove(&(phase, item.clone()));
            }
            _ => {}
        }
    }
}

/// The phase whose gate a rollout has not passed.
fn gate(rollout: &Rollout) -> Option<usize> {
    match rollout.stage {
        Stage::Baking { phase, .. } | Stage::AtGate { phase, .. } => Some(phase),
        Stage::Advancing { .. }
        | Stage::Watching { .. }
        | Stage::RollingBack { .. }
        | Stage::RolledBack { .. }
        | Stage::Completed { .. }
        | Stage::Aborted { .. } => None,
    }
}

/// Whether a rollout has gone on from `phase` towards more traffic.
fn is_past(rollout: &Rollout, phase: usize) -> bool {
    match rollout.stage {
        Stage::Advancing { phase: next, .. } => next > phase,
        Stage::Watching { .. } | Stage::Completed { .. } => true,
        Stage::Baking { .. }
        | Stage::AtGate { .. }
        | Stage::RollingBack { .. }
        | Stage::RolledBack { .. }
        | Stage::Aborted { .. } => false,
    }
}
