//! Owns who may say what: server roles, and the roles a plan gives on its own rollouts.
//! Refuses to look at names, channels or surfaces; deny is the default.

use crate::command::{Command, Verb};
use crate::person::{Actor, Role};
use crate::plan::Plan;
use crate::refusal::{Code, Refusal};

use Role::{Admin, Comms, IncidentCommander, Oncall, Operator, Viewer};

/// The server roles that may say a verb. Admin is implied by [`Actor::has_any`].
pub fn roles_for(verb: &Verb) -> &'static [Role] {
    match verb {
        Verb::Status | Verb::List | Verb::History | Verb::Whoami | Verb::Help => {
            &[Viewer, Operator, Oncall, IncidentCommander, Comms]
        }
        Verb::Start { .. } => &[Operator, IncidentCommander],
        Verb::Freeze { .. } | Verb::Thaw { .. } => &[IncidentCommander, Admin],
        Verb::Do(command) => match command {
            Command::Advance | Command::Resume => &[Operator, IncidentCommander],
            Command::Pause { .. } | Command::Rollback { .. } | Command::Decide { .. } => {
                &[Operator, Oncall, IncidentCommander]
            }
            Command::Hold { .. } | Command::Release { .. } => &[Operator, Oncall, IncidentCommander, Comms],
            Command::Abort { .. } => &[Operator, IncidentCommander],
            Command::Note { .. } => &[Viewer, Operator, Oncall, IncidentCommander, Comms],
        },
    }
}

/// Whether `actor` may say `verb`, for a rollout of `plan` where it concerns one.
pub fn may(actor: &Actor, verb: &Verb, plan: Option<&Plan>) -> Result<(), Refusal> {
    let needed = roles_for(verb);
    if actor.has_any(needed) {
        return Ok(());
    }
    let commands_it = plan.is_some_and(|plan| plan.members("incident-commander").contains(&actor.person));
    if commands_it && needed.contains(&IncidentCommander) {
        return Ok(());
    }
    let words: Vec<&str> = needed.iter().map(|role| role.word()).collect();
    let people = plan.map(|plan| plan.members("incident-commander")).unwrap_or_default();
    let ask = match people {
        [] => "Ask somebody with that role.".to_owned(),
        people => {
            let names: Vec<&str> = people.iter().map(|person| person.as_str()).collect();
            format!("Ask the incident commander: {}.", names.join(", "))
        }
    };
    Err(Refusal::new(
        Code::R301,
        format!(
            "`{}` needs one of the roles {}; {} has none of them.",
            verb.word(),
            words.join(", "),
            actor.person
        ),
        ask,
    ))
}
