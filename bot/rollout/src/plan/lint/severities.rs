//! Owns what happens when a trigger is pulled, and when health is unknown: that people can answer, in time.

use crate::period::Period;
use crate::plan::codes::Code;
use crate::plan::diagnostic::Finding;
use crate::plan::place::Path;
use crate::plan::{Decide, DecideDefault, Mode, NoData, Plan, SeverityAction, Watchdog};

/// A restart of Prometheus or Alertmanager is silent for about as long.
const RESTART: Period = Period::minutes(2);

pub(super) fn check(plan: &Plan, found: &mut Vec<Finding>) {
    let spec = &plan.spec;
    for (name, severity) in &spec.severities {
        let path = Path::spec("severities").key(name);
        if let SeverityAction::Decide(decide) = &severity.action {
            decision(plan, name, decide, &path.key("action").key("decide"), found);
            if !severity.page {
                let message = format!("`{name}` asks for a decision and pages nobody");
                found.push(Finding::new(Code::P242, path, message).help("add `page: true`"));
            }
        }
    }
    for (name, role) in &spec.roles {
        let path = Path::spec("roles").key(name).key("members");
        super::repeated(&role.members, &path, found);
        if role.members.is_empty() {
            found.push(Finding::new(Code::P162, path, format!("nobody has the role `{name}`")).help("add members"));
        }
    }
    for (name, input) in &spec.inputs {
        if input.required && input.default.is_some() {
            let path = Path::spec("inputs").key(name).key("default");
            found.push(Finding::new(
                Code::P296,
                path,
                format!("input `{name}` is required and has a default"),
            ));
        }
    }
    if spec.mode == Mode::Shadow {
        found.push(Finding::new(
            Code::P290,
            Path::spec("mode"),
            "in shadow mode nothing is rolled back by itself",
        ));
    }
    silence(plan, found);
}

fn decision(plan: &Plan, name: &str, decide: &Decide, path: &Path, found: &mut Vec<Finding>) {
    if decide.within == Period::ZERO {
        let message = format!("`{name}` gives nobody time to decide");
        found.push(
            Finding::new(Code::P294, path.key("within"), message).help("write `within: 15m`, or the action itself"),
        );
    }
    if decide.default == DecideDefault::Hold {
        let message = format!("if nobody decides on `{name}`, the traffic stays where it is");
        found.push(Finding::new(Code::P295, path.key("default"), message));
    }
    let roles: Vec<_> = decide.by.iter().filter_map(|role| plan.spec.roles.get(role)).collect();
    let all_known = !roles.is_empty() && roles.len() == decide.by.len();
    if all_known && roles.iter().all(|role| role.members.is_empty()) {
        let message = format!(
            "nobody can decide on `{name}`: {} without members",
            decide.by.join(", ")
        );
        found.push(
            Finding::new(Code::P161, path.key("by"), message)
                .help("add members to one of the roles, or leave `by` out"),
        );
    }
}

/// How silence is told from health.
fn silence(plan: &Plan, found: &mut Vec<Finding>) {
    let alerts = &plan.spec.alerts;
    let path = Path::spec("alerts");
    super::repeated(&alerts.receivers, &path.key("receivers"), found);
    match alerts.watchdog {
        Watchdog::Required if alerts.receivers.is_empty() => found.push(
            Finding::new(
                Code::P292,
                path.key("receivers"),
                "no receiver, so the Watchdog is never seen and nothing advances",
            )
            .help("write `receivers: [default]`, or take the line out"),
        ),
        Watchdog::Required => {}
        Watchdog::None => found.push(
            Finding::new(
                Code::P291,
                path.key("watchdog"),
                "without a Watchdog, silence counts as health",
            )
            .help("take the line out once Prometheus fires its Watchdog alert to Tidegate"),
        ),
    }
    if let NoData::RollbackAfter(after) = plan.spec.no_data
        && after < RESTART
    {
        let message = format!("{after} without data rolls back, and a restart of Prometheus may take longer");
        let path = Path::spec("noData").key("rollbackAfter");
        found.push(Finding::new(Code::P293, path, message).help("write `rollbackAfter: 10m`"));
    }
}
