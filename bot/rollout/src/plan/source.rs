//! Owns reading a plan's text: everything that is wrong with it at once, each finding at its place.
//! Refuses to judge whether a readable plan is wise: that is [`super::lint`]. Files are opened elsewhere.

mod shape;
mod tree;

use super::Plan;
use super::codes::Code;
use super::diagnostic::{self, Finding};
use super::lint::lint;
use super::place::{Path, Places};
use super::schema::schema;
use shape::Checked;
pub use tree::MAX_BYTES;
use tree::Node;

/// What a text says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The plan; `None` when there is an error among the findings.
    pub plan: Option<Plan>,
    /// What the text calls itself, also when it cannot be used.
    pub name: Option<String>,
    /// Where everything is.
    pub places: Places,
    /// What there is to say about it, in the order of the text.
    pub findings: Vec<Finding>,
}

/// Reads a plan and says what keeps it from being one. Never panics, whatever the text.
pub fn read(text: &str) -> Read {
    let draft = draft(text);
    Read {
        name: draft.name,
        plan: draft.plan.filter(|_| !diagnostic::has_errors(&draft.findings)),
        places: draft.places,
        findings: draft.findings,
    }
}

/// Reads a plan and judges it: what [`read`] finds and what [`lint`] finds, together.
pub fn check(text: &str) -> Read {
    let Draft {
        plan,
        name,
        places,
        mut findings,
    } = draft(text);
    // What can be judged is judged even when a key is misspelt elsewhere, so that one run says everything.
    if let Some(plan) = &plan {
        let mut judged = lint(plan);
        places.locate(&mut judged);
        findings.append(&mut judged);
    }
    diagnostic::sort(&mut findings);
    Read {
        name,
        plan: plan.filter(|_| !diagnostic::has_errors(&findings)),
        places,
        findings,
    }
}

/// A plan as far as it can be understood, without the keys that nobody knows.
struct Draft {
    plan: Option<Plan>,
    name: Option<String>,
    places: Places,
    findings: Vec<Finding>,
}

fn draft(text: &str) -> Draft {
    let node = match Node::read(text) {
        Ok(node) => node,
        Err(unreadable) => {
            let mut finding = Finding::new(Code::P100, Path::root(), unreadable.message);
            finding.place = unreadable.place;
            finding.help = unreadable.help.map(str::to_owned);
            return Draft {
                plan: None,
                name: None,
                places: Places::default(),
                findings: vec![finding],
            };
        }
    };
    let Checked {
        value,
        places,
        mut findings,
    } = shape::check(text, &node, schema());
    let sound = findings.iter().all(|finding| finding.code == Code::P101);
    let name = value["metadata"]["name"].as_str().map(str::to_owned);
    let plan = match serde_json::from_value::<Plan>(value) {
        Ok(plan) if sound => Some(plan),
        Ok(_) => None,
        Err(error) => {
            // The schema and the types are one thing; should they ever differ, the text is still refused with a reason.
            if sound {
                findings.push(Finding::new(Code::P104, Path::root(), error.to_string()));
            }
            None
        }
    };
    diagnostic::sort(&mut findings);
    Draft {
        plan,
        name,
        places,
        findings,
    }
}
