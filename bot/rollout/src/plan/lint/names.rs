//! Owns what things are called: names that can be typed, texts that say something, one name for one thing.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

use crate::plan::Plan;
use crate::plan::codes::Code;
use crate::plan::diagnostic::Finding;
use crate::plan::place::Path;

/// The name of a plan is part of ids, URLs and file names.
static PLAN_NAME: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new("^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$").ok());
/// Everything else is only typed and said.
static NAME: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new("^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$").ok());

pub(super) fn check(plan: &Plan, found: &mut Vec<Finding>) {
    let spec = &plan.spec;
    let fits = |pattern: &Option<Regex>, name: &str| pattern.as_ref().is_some_and(|pattern| pattern.is_match(name));
    if !fits(&PLAN_NAME, plan.name()) {
        let help = "use at most 40 lower-case letters, digits and `-`, beginning and ending with a letter or digit";
        found.push(not_usable(plan.name(), Path::root().key("metadata").key("name")).help(help));
    }
    for (name, path) in all_names(plan) {
        if !fits(&NAME, name) {
            let help = "use letters, digits, `-`, `_` and `.`, beginning and ending with a letter or digit";
            found.push(not_usable(name, path).help(help));
        }
    }
    let texts = [
        (&spec.title, Path::spec("title")),
        (&spec.service, Path::spec("service")),
        (&spec.environment, Path::spec("environment")),
    ];
    for (text, path) in texts {
        if text.trim().is_empty() {
            let message = format!("`{}` is empty", path.name());
            found.push(Finding::new(Code::P106, path, message).help("fill it in"));
        }
    }
    let phases = spec.phases.iter().map(|phase| phase.name.as_str());
    twice(phases, "phases", found);
    let triggers = spec.triggers.iter().map(|trigger| trigger.name.as_str());
    twice(triggers, "triggers", found);
    let rungs = spec.rollback.ladder.iter().map(|rung| rung.name.as_str());
    twice(rungs, "rollback.ladder", found);
}

/// The names that people type, and where they stand.
fn all_names(plan: &Plan) -> Vec<(&str, Path)> {
    let spec = &plan.spec;
    let listed = |key: &'static str, index: usize| Path::spec(key).index(index).key("name");
    let groups = Path::spec("target").key("flag").key("groups");
    let mut names: Vec<(&str, Path)> = Vec::new();
    names.extend(
        spec.phases
            .iter()
            .enumerate()
            .map(|(i, phase)| (phase.name.as_str(), listed("phases", i))),
    );
    names.extend(
        spec.triggers
            .iter()
            .enumerate()
            .map(|(i, one)| (one.name.as_str(), listed("triggers", i))),
    );
    let rungs = spec.rollback.ladder.iter().enumerate();
    let ladder = Path::spec("rollback").key("ladder");
    names.extend(rungs.map(|(i, rung)| (rung.name.as_str(), ladder.index(i).key("name"))));
    names.extend(
        spec.roles
            .keys()
            .map(|name| (name.as_str(), Path::spec("roles").key(name))),
    );
    names.extend(
        spec.severities
            .keys()
            .map(|name| (name.as_str(), Path::spec("severities").key(name))),
    );
    names.extend(
        spec.audiences
            .keys()
            .map(|name| (name.as_str(), Path::spec("audiences").key(name))),
    );
    names.extend(
        spec.commitments
            .keys()
            .map(|name| (name.as_str(), Path::spec("commitments").key(name))),
    );
    names.extend(
        spec.inputs
            .keys()
            .map(|name| (name.as_str(), Path::spec("inputs").key(name))),
    );
    names.extend(
        spec.hooks
            .keys()
            .map(|name| (name.as_str(), Path::spec("hooks").key(name))),
    );
    names.extend(
        spec.probes
            .keys()
            .map(|name| (name.as_str(), Path::spec("probes").key(name))),
    );
    let flag = spec.target.flag();
    let in_groups = flag.into_iter().flat_map(|flag| flag.groups.keys());
    names.extend(in_groups.map(|name| (name.as_str(), groups.key(name))));
    names
}

fn not_usable(name: &str, path: Path) -> Finding {
    Finding::new(Code::P107, path, format!("`{name}` is not a usable name"))
}

fn twice<'a>(names: impl Iterator<Item = &'a str>, list: &str, found: &mut Vec<Finding>) {
    let mut first_at: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, name) in names.enumerate() {
        let first = *first_at.entry(name).or_insert(index);
        if first != index {
            let path = Path::spec(list).index(index).key("name");
            let message = format!("`{name}` is the name of `{list}[{first}]` already");
            found.push(Finding::new(Code::P113, path, message).help("rename one of the two"));
        }
    }
}
