//! Owns who may say what: server roles, and the roles a plan gives on its own rollouts.
//! Refuses to look at names, channels or surfaces; deny is the default.

use crate::command::{Answer, Command, Verb};
use crate::person::{Actor, Role};
use crate::plan::Plan;
use crate::refusal::{Code, Refusal};
use crate::rollout::Holder;

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
            Command::Advance | Command::Resume | Command::Retry => &[Operator, IncidentCommander],
            Command::Pause { .. } | Command::Rollback { .. } | Command::Decide { .. } => {
                &[Operator, Oncall, IncidentCommander]
            }
            Command::Hold { .. } | Command::Release { .. } => &[Operator, Oncall, IncidentCommander, Comms],
            Command::Abort { .. } => &[Operator, IncidentCommander],
            // Whom the plan names, decides the plan; here they only have to be somebody.
            Command::Approve { .. } | Command::Check { .. } | Command::Note { .. } => {
                &[Viewer, Operator, Oncall, IncidentCommander, Comms]
            }
            Command::Ack { .. } => &[Operator, Oncall, IncidentCommander],
        },
    }
}

/// Whether `actor` may say `verb`, for a rollout of `plan` where it concerns one.
pub fn may(actor: &Actor, verb: &Verb, plan: Option<&Plan>) -> Result<(), Refusal> {
    let needed = roles_for(verb);
    if actor.has_any(needed) {
        return Ok(());
    }
    let commands_it = plan.is_some_and(|plan| commands(actor, plan));
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

/// Whether `actor` is the incident commander of the rollouts of `plan`, by the server's word or by the plan's.
pub fn commands(actor: &Actor, plan: &Plan) -> bool {
    actor.has_any(&[IncidentCommander]) || plan.members("incident-commander").contains(&actor.person)
}

/// Whether `actor` may take away the hold called `number`, which is `holder`'s; that they may say `release` at all was
/// asked before. A person's goes by their own hand or the incident commander's. A guard's goes by the hand of those who
/// may go forward or back: whoever only writes for the public does not lift it.
pub fn may_release(actor: &Actor, holder: &Holder, number: u32, plan: &Plan) -> Result<(), Refusal> {
    let commands_it = commands(actor, plan);
    let may = match holder {
        Holder::Person(person) => *person == actor.person || commands_it,
        Holder::Guard(_) => actor.has_any(&[Operator, Oncall]) || commands_it,
    };
    if may {
        return Ok(());
    }
    Err(match holder {
        Holder::Person(person) => Refusal::new(
            Code::R301,
            format!("Hold {number} is {person}'s."),
            format!("{person} or the incident commander can release it."),
        ),
        Holder::Guard(_) => Refusal::new(
            Code::R301,
            format!("Hold {number} is a guard's; {} may not release it.", actor.person),
            "An operator, somebody on call or the incident commander can.",
        ),
    })
}

/// Who may say what, as the table of the documentation.
pub fn table() -> String {
    let roles = [Viewer, Operator, Oncall, IncidentCommander, Comms, Admin];
    let words: Vec<String> = roles.iter().map(|role| format!("`{}`", role.word())).collect();
    let mut text = format!(
        "| verb | {} |\n|---{}|\n",
        words.join(" | "),
        "|:-:".repeat(roles.len())
    );
    for verb in every() {
        let allowed = roles_for(&verb);
        let cells = roles.map(|role| {
            if role == Admin || allowed.contains(&role) {
                "yes"
            } else {
                ""
            }
        });
        text.push_str(&format!("| `{}` | {} |\n", verb.word(), cells.join(" | ")));
    }
    text.trim_end().to_owned()
}

/// Every verb once, in the order of the documentation; what it is said about does not matter here.
fn every() -> Vec<Verb> {
    let nothing = String::new;
    let commands = [
        Command::Advance,
        Command::Pause { reason: nothing() },
        Command::Resume,
        Command::Retry,
        Command::Hold {
            reason: nothing(),
            until: None,
        },
        Command::Release { number: 0 },
        Command::Rollback { reason: nothing() },
        Command::Abort { reason: nothing() },
        Command::Decide {
            number: None,
            answer: Answer::Continue,
        },
        Command::Approve {
            role: None,
            comment: nothing(),
        },
        Command::Check {
            item: nothing(),
            done: true,
            evidence: nothing(),
        },
        Command::Ack {
            alert: None,
            number: None,
        },
        Command::Note { text: nothing() },
    ];
    let about_none = [
        Verb::Freeze {
            environment: nothing(),
            reason: nothing(),
        },
        Verb::Thaw { environment: nothing() },
    ];
    let start = Verb::Start {
        plan: nothing(),
        inputs: std::collections::BTreeMap::new(),
    };
    let reading = [Verb::Status, Verb::List, Verb::History, Verb::Whoami, Verb::Help];
    let said = commands.into_iter().map(Verb::Do);
    reading
        .into_iter()
        .chain([start])
        .chain(said)
        .chain(about_none)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::command::USAGES;

    #[test]
    fn the_table_has_every_verb() {
        let shown: BTreeSet<&str> = every().iter().map(Verb::word).collect();
        assert_eq!(shown, USAGES.iter().map(|usage| usage.verb).collect());
    }
}
