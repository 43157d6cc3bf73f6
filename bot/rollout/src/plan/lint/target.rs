//! Owns what carries the traffic: names that Kubernetes knows, two different versions, weights that the driver can make.

use std::sync::LazyLock;

use regex::Regex;

use crate::period::Period;
use crate::plan::codes::Code;
use crate::plan::diagnostic::Finding;
use crate::plan::place::Path;
use crate::plan::{FlagTarget, Plan, ReplicasTarget, RouteTarget, SelectorTarget, Target};
use crate::weight::{Share, Weight};

/// What Kubernetes takes as the name of an object.
static OBJECT: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$").ok());
/// What it takes as the value of a label.
static VALUE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new("^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$").ok());
/// What it takes as the key of a label.
static LABEL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new("^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$").ok()
});

pub(super) fn check(plan: &Plan, found: &mut Vec<Finding>) {
    one(&plan.spec.target, &Path::spec("target"), found);
    match &plan.spec.target {
        Target::DeploymentReplicas(target) => whole_pods(plan, target, found),
        Target::ServiceSelector(_) => all_or_nothing(plan, found),
        Target::Flag(_) | Target::HttpRoute(_) => {}
    }
    ladder(plan, found);
}

fn one(target: &Target, at: &Path, found: &mut Vec<Finding>) {
    match target {
        Target::Flag(target) => flag(target, &at.key("flag"), found),
        Target::DeploymentReplicas(target) => replicas(target, &at.key("deployment-replicas"), found),
        Target::ServiceSelector(target) => selector(target, &at.key("service-selector"), found),
        Target::HttpRoute(target) => route(target, &at.key("httproute"), found),
    }
}

fn ladder(plan: &Plan, found: &mut Vec<Finding>) {
    let at = Path::spec("rollback").key("ladder");
    let rungs = &plan.spec.rollback.ladder;
    for (index, rung) in rungs.iter().enumerate() {
        one(&rung.target, &at.index(index).key("target"), found);
        if rung.within < Period::seconds(1) {
            let message = format!("`{}` has {} to come through", rung.name, rung.within);
            found.push(Finding::new(Code::P221, at.index(index).key("within"), message).help("write `within: 30s`"));
        }
    }
    if plan.spec.rollback.pod_logs > 0 && plan.target_with_pods().is_none() {
        let message = "nothing of this plan is in Kubernetes".to_owned();
        let path = Path::spec("rollback").key("podLogs");
        found.push(Finding::new(Code::P228, path, message).help("take it out"));
    }
    let target = plan.spec.target.name();
    if !rungs.is_empty() && rungs.iter().all(|rung| rung.target.name() != target) {
        let message = format!("no rung brings {target} back to zero");
        found.push(Finding::new(Code::P220, at, message).help("make the target of the plan the first rung"));
    }
}

fn flag(target: &FlagTarget, at: &Path, found: &mut Vec<Finding>) {
    let path = at.key("key");
    if target.key.trim().is_empty() {
        found.push(Finding::new(Code::P106, path, "`key` is empty").help("fill it in"));
        return;
    }
    let unfit = |c: char| c.is_whitespace() || c.is_control() || c == '/';
    if target.key.chars().any(unfit) {
        let message = format!("`{}` is not a usable name", target.key);
        let help = "a flag's key has no spaces and no `/`: it is part of a URL";
        found.push(Finding::new(Code::P107, path, message).help(help));
    }
}

fn replicas(target: &ReplicasTarget, at: &Path, found: &mut Vec<Finding>) {
    for (key, name) in [
        ("namespace", &target.namespace),
        ("new", &target.new),
        ("old", &target.old),
    ] {
        object(name, at.key(key), found);
    }
    different(&target.new, &target.old, at, found);
    if target.floor < Weight::FULL {
        let message = format!(
            "while pods move, {} of {} may be all that is ready",
            target.floor_pods(),
            target.total
        );
        found.push(Finding::new(Code::P231, at.key("floor"), message));
    }
}

fn selector(target: &SelectorTarget, at: &Path, found: &mut Vec<Finding>) {
    object(&target.namespace, at.key("namespace"), found);
    object(&target.service, at.key("service"), found);
    let fits = |pattern: &Option<Regex>, text: &str| pattern.as_ref().is_some_and(|pattern| pattern.is_match(text));
    let checks = [
        ("label", &target.label, &*LABEL),
        ("new", &target.new, &*VALUE),
        ("old", &target.old, &*VALUE),
    ];
    for (key, text, pattern) in checks {
        if !fits(pattern, text) {
            let message = format!("`{text}` is not a usable name");
            let help = "Kubernetes takes at most 63 letters, digits, `-`, `_` and `.` in labels";
            found.push(Finding::new(Code::P107, at.key(key), message).help(help));
        }
    }
    different(&target.new, &target.old, at, found);
}

fn route(target: &RouteTarget, at: &Path, found: &mut Vec<Finding>) {
    for (key, name) in [
        ("namespace", &target.namespace),
        ("route", &target.route),
        ("new", &target.new),
        ("old", &target.old),
    ] {
        object(name, at.key(key), found);
    }
    different(&target.new, &target.old, at, found);
}

pub(super) fn object(name: &str, path: Path, found: &mut Vec<Finding>) {
    if !OBJECT.as_ref().is_some_and(|pattern| pattern.is_match(name)) {
        let message = format!("`{name}` is not a usable name");
        let help = "Kubernetes takes lower-case letters, digits, `-` and `.`";
        found.push(Finding::new(Code::P107, path, message).help(help));
    }
}

fn different(new: &str, old: &str, at: &Path, found: &mut Vec<Finding>) {
    if new == old {
        let message = format!("`{new}` is both the new version and the old one");
        found.push(Finding::new(Code::P215, at.key("old"), message).help("name the one that runs today"));
    }
}

/// A share of pods is only as fine as the pods are many.
fn whole_pods(plan: &Plan, target: &ReplicasTarget, found: &mut Vec<Finding>) {
    for (index, phase) in plan.spec.phases.iter().enumerate() {
        let split = target.split(phase.weight);
        let share = Share {
            new: split.new.into(),
            total: target.total.into(),
        };
        if share.basis_points() != Some(phase.weight.basis_points().into()) {
            let points = share.basis_points().and_then(|points| u16::try_from(points).ok());
            let real = points.and_then(Weight::from_basis_points).unwrap_or(Weight::FULL);
            let message = format!(
                "`{}` asks for {}, and {} of {} pods are {real}",
                phase.name, phase.weight, split.new, target.total
            );
            found.push(Finding::new(
                Code::P203,
                Path::spec("phases").index(index).key("weight"),
                message,
            ));
        }
    }
}

/// A selector selects one of two.
fn all_or_nothing(plan: &Plan, found: &mut Vec<Finding>) {
    for (index, phase) in plan.spec.phases.iter().enumerate() {
        if !phase.weight.is_zero() && phase.weight != Weight::FULL {
            let message = format!(
                "`{}` asks for {}, and a selector knows only 0% and 100%",
                phase.name, phase.weight
            );
            let path = Path::spec("phases").index(index).key("weight");
            found.push(
                Finding::new(Code::P209, path, message)
                    .help("use `httproute` for weights in between, or `weight: 100%`"),
            );
        }
    }
}
