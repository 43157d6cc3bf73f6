//! Owns what can stop a rollout: that a trigger can fire at all, that it fires for this rollout, and not for everything.

use crate::alert::Labels;
use crate::matcher::{Matcher, Op};
use crate::plan::codes::Code;
use crate::plan::diagnostic::Finding;
use crate::plan::place::Path;
use crate::plan::{DecideDefault, Plan, Scope, SeverityAction, Spec, Trigger};

/// A value that nobody writes into a label: a pattern that matches it matches everything.
const NEVER_A_VALUE: &str = "\u{1}tidegate-probe\u{1}";

pub(super) fn check(plan: &Plan, found: &mut Vec<Finding>) {
    let spec = &plan.spec;
    let only_logs = |trigger: &Trigger| {
        let severity = spec.severities.get(&trigger.severity);
        severity.is_some_and(|severity| severity.action == SeverityAction::Log)
    };
    if spec.triggers.iter().all(only_logs) {
        let message = match spec.triggers.len() {
            0 => "no trigger: only a person who looks can stop this rollout",
            _ => "every trigger only logs: only a person who looks can stop this rollout",
        };
        found.push(Finding::new(Code::P170, Path::spec("triggers"), message));
    }
    for (index, trigger) in spec.triggers.iter().enumerate() {
        let path = Path::spec("triggers").index(index);
        conditions(trigger, &path.key("alert").key("matchers"), found);
        can_fire(spec, trigger, &path.key("alert").key("matchers"), found);
        reach(spec, trigger, &path, found);
    }
}

/// Each matcher for itself.
fn conditions(trigger: &Trigger, path: &Path, found: &mut Vec<Finding>) {
    let matchers = &trigger.alert.matchers;
    let name = &trigger.name;
    super::repeated(matchers, path, found);
    if matchers.is_empty() {
        found.push(Finding::new(
            Code::P106,
            path.clone(),
            "`matchers` is empty, and needs at least one entry",
        ));
    } else if matchers.iter().all(|matcher| matcher.op() != Op::Equal) {
        let message = format!("trigger `{name}` has no equality matcher, so it also fits alerts nobody thought of");
        found.push(Finding::new(Code::P163, path.clone(), message).help("add one, such as `severity=\"critical\"`"));
    }
    for (index, matcher) in matchers.iter().enumerate() {
        if matcher.op() == Op::Matches && fits(matcher, NEVER_A_VALUE) {
            let message = format!("`{matcher}` matches every value");
            found.push(Finding::new(Code::P164, path.index(index), message).help("name the values, or take it out"));
        } else if matcher.op() == Op::Matches && fits(matcher, "") {
            let message = format!("`{matcher}` also matches alerts without the label");
            found.push(Finding::new(Code::P164, path.index(index), message).help("name the values, or take it out"));
        }
        if matcher.op() == Op::Equal && matcher.name() == "alertname" && matcher.value() == "Watchdog" {
            let message = format!("trigger `{name}` can never fire: the Watchdog is no reason to act");
            found.push(Finding::new(Code::P168, path.index(index), message).help("take the trigger out"));
        }
    }
}

fn fits(matcher: &Matcher, value: &str) -> bool {
    matcher.matches(&Labels::from([(matcher.name().to_owned(), value.to_owned())]))
}

/// All matchers together, with what the scope implies.
fn can_fire(spec: &Spec, trigger: &Trigger, path: &Path, found: &mut Vec<Finding>) {
    let implied: Vec<Matcher> = match trigger.alert.scope {
        Scope::Own => vec![
            Matcher::equal("service", &spec.service),
            Matcher::equal("environment", &spec.environment),
        ],
        Scope::Any => Vec::new(),
    };
    let name = &trigger.name;
    let own = &trigger.alert.matchers;
    for (index, matcher) in own.iter().enumerate() {
        let path = path.index(index);
        if implied.contains(matcher) {
            found.push(Finding::new(
                Code::P167,
                path,
                format!("`{matcher}` is implied already"),
            ));
            continue;
        }
        // Each pair is judged once, at its second half.
        let against = implied
            .iter()
            .chain(&own[..index])
            .find(|other| exclude_one_another(other, matcher));
        if let Some(other) = against {
            let message = format!("trigger `{name}` can never fire: `{matcher}` contradicts `{other}`");
            let finding = Finding::new(Code::P160, path, message);
            found.push(if implied.contains(other) {
                finding.note(format!(
                    "`{other}` is implied by the plan; `scope: any` takes that away"
                ))
            } else {
                finding
            });
        } else if matcher.op() == Op::NotMatches && !fits(matcher, "") && !fits(matcher, NEVER_A_VALUE) {
            let message = format!("trigger `{name}` can never fire: `{matcher}` excludes every value");
            found.push(Finding::new(Code::P160, path, message));
        } else if *matcher == Matcher::equal("job", "tidegate") {
            let message = format!("trigger `{name}` can never fire: alerts about Tidegate itself never trigger");
            found.push(Finding::new(Code::P160, path, message));
        }
    }
}

/// Whether no value of their label fulfils both. Only where one of them names the value can that be known.
fn exclude_one_another(a: &Matcher, b: &Matcher) -> bool {
    if a.name() != b.name() {
        return false;
    }
    match (a.op(), b.op()) {
        (Op::Equal, _) => !fits(b, a.value()),
        (_, Op::Equal) => !fits(a, b.value()),
        (Op::NotEqual | Op::Matches | Op::NotMatches, Op::NotEqual | Op::Matches | Op::NotMatches) => false,
    }
}

/// A trigger that looks beyond its own service.
fn reach(spec: &Spec, trigger: &Trigger, path: &Path, found: &mut Vec<Finding>) {
    let Some(severity) = spec
        .severities
        .get(&trigger.severity)
        .filter(|_| trigger.alert.scope == Scope::Any)
    else {
        return;
    };
    let (name, called) = (&trigger.name, &trigger.severity);
    match &severity.action {
        SeverityAction::Rollback => found.push(
            Finding::new(
                Code::P165,
                path.key("severity"),
                format!("trigger `{name}` rolls back on alerts of any service"),
            )
            .help("use a severity that decides or logs, or take `scope: any` out")
            .note(format!(
                "`{called}` rolls back; with `scope: any` a trigger may only decide or log"
            )),
        ),
        SeverityAction::Decide(decide) if decide.default == DecideDefault::Rollback => found.push(
            Finding::new(
                Code::P166,
                path.key("severity"),
                format!("unanswered, `{name}` rolls back on an alert of any service"),
            )
            .help("use a severity whose decision has `default: hold`"),
        ),
        SeverityAction::Decide(_) | SeverityAction::Log => {}
    }
}
