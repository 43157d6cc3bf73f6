//! Owns names that point at something else in the plan: that it is there, and that what is there is pointed at.

use std::collections::BTreeSet;

use crate::plan::codes::Code;
use crate::plan::diagnostic::Finding;
use crate::plan::place::Path;
use crate::plan::suggest::closest;
use crate::plan::{Plan, SeverityAction};

pub(super) fn check(plan: &Plan, found: &mut Vec<Finding>) {
    let spec = &plan.spec;
    let severities: Vec<&str> = spec.severities.keys().map(String::as_str).collect();
    let roles: Vec<&str> = spec.roles.keys().map(String::as_str).collect();
    let flag = spec.target.flag();
    let groups: Vec<&str> = flag
        .into_iter()
        .flat_map(|flag| flag.groups.keys().map(String::as_str))
        .collect();
    let mut used_severities = BTreeSet::new();
    let mut used_groups = BTreeSet::new();

    for (index, trigger) in spec.triggers.iter().enumerate() {
        used_severities.insert(trigger.severity.as_str());
        let path = Path::spec("triggers").index(index).key("severity");
        undefined(
            &trigger.severity,
            "severity",
            &severities,
            path,
            "spec.severities",
            found,
        );
    }
    for (name, severity) in &spec.severities {
        let SeverityAction::Decide(decide) = &severity.action else {
            continue;
        };
        let path = Path::spec("severities").key(name).key("action").key("decide").key("by");
        super::repeated(&decide.by, &path, found);
        for (index, role) in decide.by.iter().enumerate() {
            undefined(role, "role", &roles, path.index(index), "spec.roles", found);
        }
    }
    for (name, audience) in &spec.audiences {
        let path = Path::spec("audiences").key(name).key("severities");
        super::repeated(&audience.severities, &path, found);
        for (index, severity) in audience.severities.iter().enumerate() {
            let path = path.index(index);
            undefined(severity, "severity", &severities, path, "spec.severities", found);
        }
    }
    for (at, phase) in spec.phases.iter().enumerate() {
        let path = Path::spec("phases").index(at).key("groups");
        super::repeated(&phase.groups, &path, found);
        for (index, group) in phase.groups.iter().enumerate() {
            used_groups.insert(group.as_str());
            undefined(
                group,
                "group",
                &groups,
                path.index(index),
                "spec.target.flag.groups",
                found,
            );
        }
    }
    let unused = |kind: &str, name: &str, path: Path| {
        Finding::new(Code::P171, path, format!("{kind} `{name}` is defined and never used"))
    };
    for name in severities.iter().filter(|name| !used_severities.contains(**name)) {
        found.push(unused("severity", name, Path::spec("severities").key(name)));
    }
    for name in groups.iter().filter(|name| !used_groups.contains(**name)) {
        found.push(unused(
            "group",
            name,
            Path::spec("target").key("flag").key("groups").key(name),
        ));
    }
}

pub(super) fn undefined(name: &str, kind: &str, known: &[&str], path: Path, home: &str, found: &mut Vec<Finding>) {
    if known.contains(&name) {
        return;
    }
    let finding = Finding::new(Code::P102, path, format!("no {kind} is called `{name}`"));
    let help = match closest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => format!("define it under `{home}`"),
        None => format!("define it under `{home}`, or use one of: {}", known.join(", ")),
    };
    found.push(finding.help(help));
}
