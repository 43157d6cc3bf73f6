//! Owns approvals, ticks of the checklist, and who looks at what.
//! Refuses approvals of whoever started it, of the same person twice, and of those whom the plan does not name.

use crate::ids::PersonId;
use crate::notice::NoticeKind;
use crate::person::{Actor, Role};
use crate::plan::{Approval, Check, Gate, Phase};
use crate::planted::{self, Bug};
use crate::policy;
use crate::refusal::{Code, Refusal};
use crate::rollout::Stage;
use crate::signoff::{Acknowledged, Approved, Checked, Open};

use super::{Work, advance};

/// A person approves the gate of the phase, for a role.
pub(super) fn approve(work: &mut Work<'_>, actor: &Actor, role: Option<&str>, comment: &str) -> Result<(), Refusal> {
    let (index, phase) = gated(work)?;
    let person = &actor.person;
    if phase.approvals.is_empty() {
        return Err(nothing(
            work,
            format!("The gate of phase {} asks for no approval.", phase.name),
        ));
    }
    let approval = the_approval(work, &phase, person, role)?;
    if let Some(given) = work.next.approved(index, person) {
        return Err(Refusal::new(
            Code::R402,
            format!("{person} has approved phase {} already, as {}.", phase.name, given.role),
            "One person counts once at a gate. Say `status` to see who else must act.",
        ));
    }
    let others_only = !approval.self_approval && !planted::on(Bug::StarterApproves);
    if *person == work.next.started_by && others_only {
        let others = work
            .next
            .plan
            .members(&approval.role)
            .iter()
            .filter(|other| *other != person);
        return Err(Refusal::new(
            Code::R302,
            format!("{person} started {} and so cannot approve it.", work.next.id),
            format!("Ask another of {}: {}.", approval.role, listed(others)),
        ));
    }
    let is_open = |open: &Open| matches!(open, Open::Approval { role, .. } if *role == approval.role);
    if !work.next.open_signoffs().iter().any(is_open) {
        return Err(Refusal::new(
            Code::R402,
            format!("{} has approved phase {} already.", approval.role, phase.name),
            "Say `status` to see what it waits for.",
        ));
    }
    work.next.approvals.push(Approved {
        phase: index,
        role: approval.role.clone(),
        by: person.clone(),
        at: work.now,
    });
    let open = still_open(work);
    work.say(NoticeKind::Approved {
        by: person.to_string(),
        role: approval.role,
        comment: comment.to_owned(),
        open,
    });
    Ok(())
}

/// The approval that a person means: the one they name, or the only one that they are asked for.
fn the_approval(work: &Work<'_>, phase: &Phase, person: &PersonId, role: Option<&str>) -> Result<Approval, Refusal> {
    let plan = &work.next.plan;
    let asked: Vec<&str> = phase.approvals.iter().map(|one| one.role.as_str()).collect();
    let named: Vec<&Approval> = match role {
        None => phase.approvals.iter().collect(),
        Some(role) => {
            let found: Vec<&Approval> = phase.approvals.iter().filter(|one| one.role == role).collect();
            if found.is_empty() {
                return Err(Refusal::new(
                    Code::R407,
                    format!("The gate of phase {} asks for no approval by `{role}`.", phase.name),
                    format!("It asks for: {}.", asked.join(", ")),
                ));
            }
            found
        }
    };
    let theirs: Vec<&&Approval> = named
        .iter()
        .filter(|one| plan.members(&one.role).contains(person))
        .collect();
    match theirs.as_slice() {
        [one] => Ok((**one).clone()),
        [] => {
            let who = named
                .iter()
                .map(|one| format!("{} ({})", one.role, listed(plan.members(&one.role).iter())));
            Err(Refusal::new(
                Code::R301,
                format!(
                    "This gate is for {}; {person} is none of them.",
                    who.collect::<Vec<_>>().join(", ")
                ),
                "Ask one of them.",
            ))
        }
        several => {
            let roles: Vec<&str> = several.iter().map(|one| one.role.as_str()).collect();
            Err(Refusal::new(
                Code::R407,
                "I can't tell for which role you approve.",
                format!("Say `approve role:<role>` with one of: {}.", roles.join(", ")),
            ))
        }
    }
}

/// A person ticks an item, or takes their tick back.
pub(super) fn check(work: &mut Work<'_>, actor: &Actor, item: &str, done: bool, evidence: &str) -> Result<(), Refusal> {
    let (index, phase) = gated(work)?;
    let Some(found) = phase.checks.iter().find(|check| check.id == item).cloned() else {
        let ids: Vec<&str> = phase.checks.iter().map(|check| check.id.as_str()).collect();
        let hint = match ids.as_slice() {
            [] => format!("Phase {} has no checklist.", phase.name),
            ids => format!("Its items: {}.", ids.join(", ")),
        };
        return Err(Refusal::new(
            Code::R407,
            format!("Phase {} has no item `{item}`.", phase.name),
            hint,
        ));
    };
    may_tick(work, actor, &found)?;
    let before = work.next.checked(index, item).cloned();
    match (done, before) {
        (true, Some(ticked)) => Err(Refusal::new(
            Code::R402,
            format!("{} has ticked {item} already.", ticked.by),
            "Say `check undo <item>` if it is not so.",
        )),
        (false, None) => Err(Refusal::new(
            Code::R405,
            format!("{item} is not ticked."),
            "There is nothing to undo.",
        )),
        (ticks, _) => {
            work.next.checks.retain(|one| one.phase != index || one.id != item);
            if ticks {
                work.next.checks.push(Checked {
                    phase: index,
                    id: item.to_owned(),
                    by: actor.person.clone(),
                    at: work.now,
                });
            }
            let open = still_open(work);
            work.say(NoticeKind::Checked {
                by: actor.person.to_string(),
                item: item.to_owned(),
                what: found.text,
                done: ticks,
                evidence: evidence.to_owned(),
                open,
            });
            Ok(())
        }
    }
}

fn may_tick(work: &Work<'_>, actor: &Actor, check: &Check) -> Result<(), Refusal> {
    let plan = &work.next.plan;
    let may = match &check.owner {
        Some(role) => plan.members(role).contains(&actor.person),
        None => actor.has_any(&[Role::Operator, Role::Oncall]),
    };
    if may || policy::commands(actor, plan) {
        return Ok(());
    }
    let who = match &check.owner {
        Some(role) => format!("{role} ({})", listed(plan.members(role).iter())),
        None => "an operator or somebody on call".to_owned(),
    };
    Err(Refusal::new(
        Code::R301,
        format!("Item {} is for {who}; {} is none of them.", check.id, actor.person),
        "Ask one of them, or the incident commander.",
    ))
}

/// A person says that they look at an alert or a question.
pub(super) fn acknowledge(
    work: &mut Work<'_>,
    actor: &Actor,
    alert: Option<&str>,
    number: Option<u32>,
) -> Result<(), Refusal> {
    let mut all: Vec<String> = Vec::new();
    for tracked in work.next.alerts.values().filter(|tracked| tracked.standing.blocks()) {
        if !all.contains(&tracked.name) {
            all.push(tracked.name.clone());
        }
    }
    let decisions = work
        .next
        .decisions
        .iter()
        .map(|decision| format!("decision {}", decision.number));
    all.extend(decisions);
    let wanted = |what: &&String| match (alert, number) {
        (Some(alert), _) => *what == alert,
        (None, Some(number)) => **what == format!("decision {number}"),
        (None, None) => !work.next.acknowledged.iter().any(|one| one.what == **what),
    };
    let found: Vec<&String> = all.iter().filter(wanted).collect();
    let [what] = found.as_slice() else {
        let hint = match all.as_slice() {
            [] => "No alert fires here, and no question is open.".to_owned(),
            all => format!(
                "Say `ack alert:<name>`, or `ack <number>` for a decision. There are: {}.",
                all.join(", ")
            ),
        };
        return Err(Refusal::new(Code::R407, "I can't tell what you look at.", hint));
    };
    let what = (*what).clone();
    let person = &actor.person;
    let known = |one: &Acknowledged| one.what == what && one.by == *person;
    if work.next.acknowledged.iter().any(known) {
        return Err(Refusal::new(
            Code::R402,
            format!("{person} looks at {what} already."),
            "`note` writes what you find.",
        ));
    }
    work.next.acknowledged.push(Acknowledged {
        what: what.clone(),
        by: person.clone(),
        at: work.now,
    });
    work.say(NoticeKind::Acknowledged {
        by: person.to_string(),
        what,
    });
    Ok(())
}

/// Nobody looks any more at what is over. An alert that comes back is looked at anew.
pub(super) fn forget_what_is_over(work: &mut Work<'_>) {
    let (alerts, decisions) = (&work.next.alerts, &work.next.decisions);
    work.next.acknowledged.retain(|one| {
        let fires = alerts
            .values()
            .any(|tracked| tracked.standing.blocks() && tracked.name == one.what);
        fires
            || decisions
                .iter()
                .any(|decision| format!("decision {}", decision.number) == one.what)
    });
}

/// The phase whose gate people may open now.
fn gated(work: &Work<'_>) -> Result<(usize, Phase), Refusal> {
    let (Stage::Baking { phase, .. } | Stage::AtGate { phase, .. }) = work.next.stage else {
        return Err(nothing(work, format!("{} stands before no gate.", work.next.id)));
    };
    let found = work.next.plan.spec.phases.get(phase).cloned();
    let found = found.ok_or_else(|| nothing(work, format!("{} has no such phase.", work.next.id)))?;
    Ok((phase, found))
}

fn nothing(work: &Work<'_>, message: String) -> Refusal {
    let phase = work.next.phase().map_or("none", |phase| phase.name.as_str());
    Refusal::new(
        Code::R405,
        message,
        format!("Say `status` to see what phase {phase} waits for."),
    )
}

pub(super) fn listed<'a>(people: impl Iterator<Item = &'a PersonId>) -> String {
    let names: Vec<&str> = people.map(PersonId::as_str).collect();
    if names.is_empty() {
        "nobody".to_owned()
    } else {
        names.join(", ")
    }
}

/// What people must still say, in words.
pub(super) fn still_open(work: &Work<'_>) -> Vec<String> {
    work.next.open_signoffs().iter().map(Open::words).collect()
}

/// The phase stands at its gate: who is asked for what.
pub(super) fn ask(work: &mut Work<'_>, phase: usize) {
    let baked = work.next.baked(work.around, work.now);
    let open = still_open(work);
    match (advance::gate_of(&work.next, phase), open.is_empty()) {
        (_, false) => work.say(NoticeKind::ApprovalAsked { baked, open }),
        (Gate::Manual, true) => work.say(NoticeKind::WaitsAtGate { baked }),
        (Gate::Auto, true) => {}
    }
}
