//! Owns judging a plan that can be read: what contradicts itself, what would hurt, what is probably not meant.
//! Refuses to look outside the plan: whether a person, channel or receiver exists is asked where the server's configuration is known.

mod audiences;
mod commitments;
mod hooks;
mod names;
mod phases;
mod references;
mod secrets;
mod severities;
mod signoffs;
mod target;
mod triggers;

use std::collections::BTreeSet;

use super::Plan;
use super::codes::Code;
use super::diagnostic::Finding;
use super::place::Path;

pub use audiences::DEMO_LABEL;

/// Everything there is to say about `plan`. The findings have no places; [`super::place::Places::locate`] gives them some.
pub fn lint(plan: &Plan) -> Vec<Finding> {
    let mut found = Vec::new();
    names::check(plan, &mut found);
    references::check(plan, &mut found);
    target::check(plan, &mut found);
    phases::check(plan, &mut found);
    hooks::check(plan, &mut found);
    signoffs::check(plan, &mut found);
    triggers::check(plan, &mut found);
    severities::check(plan, &mut found);
    audiences::check(plan, &mut found);
    commitments::check(plan, &mut found);
    secrets::check(plan, &mut found);
    found
}

/// Says of every item that is in `list` already that it is there twice.
fn repeated<T: std::fmt::Display>(list: &[T], path: &Path, found: &mut Vec<Finding>) {
    let mut seen = BTreeSet::new();
    for (index, item) in list.iter().enumerate() {
        if !seen.insert(item.to_string()) {
            let message = format!("`{item}` is listed twice in `{}`", path.name());
            found.push(Finding::new(Code::P114, path.index(index), message).help("take one of them out"));
        }
    }
}
