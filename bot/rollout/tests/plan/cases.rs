//! One broken plan for every code: the example with one thing changed, and where the finding must point.

mod commitments;
mod hooks;
mod table;

use tidegate_rollout::plan::codes::{CODES, Code};
use tidegate_rollout::plan::diagnostic::{Finding, Level};
use tidegate_rollout::plan::source::check;

use super::EXAMPLE;
use table::{Case, FLAG, REPLICAS, STAFF, STAFF_AGAIN};

fn cases() -> impl Iterator<Item = &'static Case> {
    table::CASES.iter().chain(hooks::CASES).chain(commitments::CASES)
}

fn changed(case: &Case) -> String {
    let mut text = EXAMPLE.to_owned();
    for (from, to) in case.change {
        assert!(
            case.code == Code::P100 || text.contains(from),
            "{}: the example has no {from:?}",
            case.code
        );
        text = text.replacen(from, to, 1);
    }
    text
}

#[test]
fn the_example_is_without_fault() {
    let read = check(EXAMPLE);
    assert_eq!(read.findings, Vec::<Finding>::new());
    assert_eq!(read.plan.expect("a plan").name(), "checkout");
}

#[test]
fn a_plan_for_pods_is_without_fault() {
    let text = EXAMPLE
        .replace(FLAG, REPLICAS)
        .replace(STAFF.0, "")
        .replace(STAFF_AGAIN.0, "");
    assert_eq!(check(&text).findings, Vec::<Finding>::new());
}

#[test]
fn every_fault_is_found_and_pointed_at() {
    for case in cases() {
        let text = changed(case);
        let read = check(&text);
        let code = case.code;
        let found = read
            .findings
            .iter()
            .find(|one| one.code == code && one.path.as_str() == case.path);
        let found = found.unwrap_or_else(|| panic!("{code} {:?}: {:#?}", case.change, read.findings));
        let place = found.place.unwrap_or_else(|| panic!("{code} has no place"));
        assert_eq!(&text[place.offset..place.offset + place.length], case.at, "{code}");
        let line_start = text[..place.offset].rfind('\n').map_or(0, |at| at + 1);
        assert_eq!(text[..place.offset].matches('\n').count() + 1, place.line, "{code}");
        assert_eq!(
            text[line_start..place.offset].chars().count() + 1,
            place.column,
            "{code}"
        );
    }
}

#[test]
fn one_fault_brings_no_second_error() {
    // Changes that break two things at once by their nature.
    let double = [Code::P161, Code::P206];
    for case in cases().filter(|case| !double.contains(&case.code)) {
        let errors = check(&changed(case))
            .findings
            .into_iter()
            .filter(|found| found.level == Level::Error);
        let others: Vec<Finding> = errors.filter(|found| found.code != case.code).collect();
        assert_eq!(others, Vec::new(), "{} {:?}", case.code, case.change);
    }
}

#[test]
fn an_error_leaves_no_plan_and_a_warning_does() {
    for case in cases() {
        let read = check(&changed(case));
        let has_error = read.findings.iter().any(|found| found.level == Level::Error);
        assert_eq!(read.plan.is_none(), has_error, "{}", case.code);
    }
}

#[test]
fn every_code_has_a_case() {
    for doc in CODES {
        assert!(
            cases().any(|case| case.code == doc.code),
            "{} is never found by a test",
            doc.code
        );
    }
}

#[test]
fn a_secret_is_never_repeated() {
    let slack = format!("xox{}-{}", "b", "1234567890-abcdefghij");
    let text = EXAMPLE.replace("https://wiki.example/checkout/runbook", &slack);
    let read = check(&text);
    let found = read
        .findings
        .iter()
        .find(|found| found.code == Code::P270)
        .expect("the secret is found");
    assert!(found.hides_its_line());
    assert!(!format!("{:?}", read.findings).contains(&slack), "{found:?}");
}

#[test]
fn a_decision_without_roles_is_everybodys() {
    let text = EXAMPLE.replace("by: [incident-commander, oncall], ", "");
    assert!(text != EXAMPLE);
    assert_eq!(check(&text).findings, Vec::<Finding>::new());
}

#[test]
fn a_plan_that_is_only_shown_needs_nobody_to_wake() {
    let unpaged = EXAMPLE
        .replace("channels: [pager]", "channels: [chat]")
        .replace("[announcements]", "[log]");
    let shown = unpaged.replace("  labels:\n", "  labels:\n    tidegate.dev/demo: \"true\"\n");
    assert!(check(&unpaged).plan.is_none());
    assert!(check(&shown).plan.is_some());
}

/// What the plans had in them that we began with and that the linter finds: a trigger on any critical alert, one on the errors of a
/// database that many share, and a way back that empties a cache or restores a snapshot. The rest cannot be written in a plan at
/// all: the drivers know the order of scaling, and there is no unit of a threshold and no configuration of nginx.
#[test]
fn what_the_linter_says_about_the_seeds() {
    let trigger = |alert: &str| {
        let text = EXAMPLE.to_owned();
        let at = text.find("alert: {").expect("the example has a trigger");
        let end = at + text[at..].find('}').expect("it ends");
        format!("{}alert: {{ {alert} }}{}", &text[..at], &text[end + 1..])
    };
    let way_back = |run: &str| {
        let hooks =
            format!("  hooks: {{ undo: {{ run: {{ {run} }} }} }}\n  rollback: {{ hooks: [undo] }}\n  watch: 1d ");
        EXAMPLE.replace("  watch: 1d ", &hooks)
    };
    let job = |command: &str| format!("job: {{ namespace: auth, image: tools, command: [{command}] }}");
    let seeds = [
        (way_back("command: [redis-cli, FLUSHDB]"), Code::P229, Level::Error),
        (
            way_back("command: [cloud, sql, backups, restore, '4711']"),
            Code::P229,
            Level::Error,
        ),
        (
            way_back("command: [aws, rds, restore-db-instance-from-db-snapshot]"),
            Code::P229,
            Level::Error,
        ),
        (
            way_back(&job("redis-cli, -n, '2', flushall, async")),
            Code::P229,
            Level::Error,
        ),
        (
            way_back(&job("psql, -c, 'DROP TABLE sessions'")),
            Code::P229,
            Level::Error,
        ),
        (
            way_back(&job("sh, -c, 'rm -f -r /var/cache/auth'")),
            Code::P229,
            Level::Error,
        ),
        (trigger(r#"matchers: ['severity=~".+"']"#), Code::P163, Level::Error),
        (
            trigger(r#"matchers: ['severity="critical"'], scope: any"#),
            Code::P165,
            Level::Error,
        ),
        (
            trigger(r#"matchers: ['alertname="DatabaseErrors"'], scope: any"#),
            Code::P165,
            Level::Error,
        ),
    ];
    for (text, code, level) in seeds {
        let findings = check(&text).findings;
        let found = findings.iter().find(|finding| finding.code == code);
        let found = found.unwrap_or_else(|| panic!("no {code} in {findings:#?}"));
        assert_eq!(found.level, level, "{code}");
    }
    for harmless in [
        "command: [restart-workers.sh]",
        "command: [cache, warm, --drop-nothing]",
    ] {
        let findings = check(&way_back(harmless)).findings;
        let found = findings.iter().find(|finding| finding.code == Code::P229);
        assert_eq!(found, None, "{harmless}");
    }
}
