//! Owns what audiences are promised: that each commitment has one clock, that it can be kept, and that somebody is reached.

use super::references::undefined;
use crate::period::Period;
use crate::plan::codes::Code;
use crate::plan::commitment::zone_names;
use crate::plan::diagnostic::Finding;
use crate::plan::place::Path;
use crate::plan::suggest::closest;
use crate::plan::{Commitment, Plan, zone_named};

/// Whoever is told more often stops reading.
const OFTEN: Period = Period::minutes(5);

pub(super) fn check(plan: &Plan, found: &mut Vec<Finding>) {
    zone(&plan.spec.timezone, found);
    for (name, commitment) in &plan.spec.commitments {
        let path = Path::spec("commitments").key(name);
        clock(name, commitment, &path, found);
        audiences(plan, name, commitment, &path.key("to"), found);
    }
}

fn zone(name: &str, found: &mut Vec<Finding>) {
    if zone_named(name).is_some() {
        return;
    }
    let finding = Finding::new(
        Code::P251,
        Path::spec("timezone"),
        format!("no time zone is called `{name}`"),
    );
    let names = zone_names();
    let help = match closest(name, names.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "use an IANA name, such as `Europe/Berlin`".to_owned(),
    };
    found.push(finding.help(help));
}

fn clock(name: &str, commitment: &Commitment, path: &Path, found: &mut Vec<Finding>) {
    let clocks = [
        ("afterIncident", commitment.after_incident.is_some()),
        ("every", commitment.every.is_some()),
        ("daily", commitment.daily.is_some()),
    ];
    let given: Vec<&str> = clocks.iter().filter(|(_, given)| *given).map(|(key, _)| *key).collect();
    match given.as_slice() {
        [_] => {}
        [] => {
            let message = format!("`{name}` does not say by when");
            let help = "add `afterIncident: 5m`, `every: 1h` or `daily: \"17:00\"`";
            found.push(Finding::new(Code::P250, path.clone(), message).help(help));
        }
        several => {
            let message = format!("`{name}` has {} clocks: {}", several.len(), several.join(", "));
            found.push(Finding::new(Code::P250, path.clone(), message).help("make a commitment of each"));
        }
    }
    if commitment.during.is_some() && commitment.every.is_none() {
        let message = format!("`{name}` has a `while` and no `every`");
        found.push(Finding::new(Code::P255, path.key("while"), message).help("take it out"));
    }
    for (key, period) in [
        ("afterIncident", commitment.after_incident),
        ("every", commitment.every),
    ] {
        if period == Some(Period::ZERO) {
            let message = format!("`{name}` leaves no time to keep it");
            found.push(Finding::new(Code::P252, path.key(key), message).help(format!("write `{key}: 15m`")));
        }
    }
    if let Some(every) = commitment.every.filter(|every| Period::ZERO < *every && *every < OFTEN) {
        let message = format!("`{name}` comes every {every}, more often than people read");
        found.push(Finding::new(Code::P254, path.key("every"), message).help("write `every: 15m` or longer"));
    }
}

fn audiences(plan: &Plan, name: &str, commitment: &Commitment, path: &Path, found: &mut Vec<Finding>) {
    super::repeated(&commitment.to, path, found);
    let known: Vec<&str> = plan.spec.audiences.keys().map(String::as_str).collect();
    if commitment.to.is_empty() {
        let message = format!("`{name}` tells nobody");
        found.push(Finding::new(Code::P106, path.clone(), message).help("name an audience"));
    }
    // Where nothing reaches anybody, that has been said, or does not matter.
    let silent = super::audiences::is_demo(plan) || found.iter().any(|one| one.code == Code::P240);
    for (index, audience) in commitment.to.iter().enumerate() {
        let at = path.index(index);
        match plan.spec.audiences.get(audience) {
            None => undefined(audience, "audience", &known, at, "spec.audiences", found),
            Some(people) if !people.is_reachable() && !silent => {
                let message = format!("nothing reaches `{audience}`: it has no channel but `chat` and `log`");
                let help = "add a channel of the server's configuration to it";
                found.push(Finding::new(Code::P253, at, message).help(help));
            }
            Some(_) => {}
        }
    }
}
