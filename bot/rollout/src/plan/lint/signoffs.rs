//! Owns what people are asked at a gate: that the roles are there, that enough people are in them, that each item is one.

use crate::plan::Plan;
use crate::plan::codes::Code;
use crate::plan::diagnostic::Finding;
use crate::plan::place::Path;
use crate::plan::suggest::closest;

pub(super) fn check(plan: &Plan, found: &mut Vec<Finding>) {
    for (index, phase) in plan.spec.phases.iter().enumerate() {
        let at = Path::spec("phases").index(index);
        for (place, approval) in phase.approvals.iter().enumerate() {
            let at = at.key("approvals").index(place);
            let before = &phase.approvals[..place];
            if before.iter().any(|other| other.role == approval.role) {
                let message = format!("`{}` is asked for an approval already", approval.role);
                let help = "write `people: 2` for two people of a role";
                found.push(Finding::new(Code::P113, at.key("role"), message).help(help));
            }
            if role(plan, &approval.role, &at.key("role"), found) {
                enough(plan, &approval.role, approval.people, &at, found);
            }
        }
        for (place, item) in phase.checks.iter().enumerate() {
            let at = at.key("checks").index(place);
            if phase.checks[..place].iter().any(|other| other.id == item.id) {
                let message = format!("`{}` is the name of another item of this phase", item.id);
                found.push(Finding::new(Code::P113, at.key("id"), message).help("rename one of the two"));
            }
            let usable = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            if item.id.is_empty() || !item.id.chars().all(usable) {
                let message = format!("`{}` is not a usable name", item.id);
                let help = "people type it: use letters, digits, `-`, `_` and `.`";
                found.push(Finding::new(Code::P107, at.key("id"), message).help(help));
            }
            if item.text.trim().is_empty() {
                found.push(Finding::new(Code::P106, at.key("text"), "`text` is empty").help("say what is to be true"));
            }
            if let Some(owner) = &item.owner
                && role(plan, owner, &at.key("owner"), found)
            {
                enough(plan, owner, 1, &at, found);
            }
        }
    }
}

/// Whether the plan has the role; says so where it has not.
fn role(plan: &Plan, name: &str, at: &Path, found: &mut Vec<Finding>) -> bool {
    let known: Vec<&str> = plan.spec.roles.keys().map(String::as_str).collect();
    if known.contains(&name) {
        return true;
    }
    let help = match closest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "define it under `spec.roles`".to_owned(),
    };
    found.push(Finding::new(Code::P102, at.clone(), format!("no role is called `{name}`")).help(help));
    false
}

fn enough(plan: &Plan, role: &str, people: u32, at: &Path, found: &mut Vec<Finding>) {
    let there = plan.members(role).len();
    if there < usize::try_from(people).unwrap_or(usize::MAX) {
        let message = format!("{people} of `{role}` are asked, and {there} are in it");
        found.push(Finding::new(Code::P216, at.clone(), message).help("add members to the role, or ask fewer"));
    }
}
