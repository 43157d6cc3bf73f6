//! Every role with every verb, as one table: who may say what.

use std::collections::BTreeMap;
use std::fmt::Write;

use tidegate_rollout::command::Verb;
use tidegate_rollout::policy::{may, may_release, table};
use tidegate_rollout::rollout::{Guard, Holder};
use tidegate_rollout::{Code, PersonId, Role};

use crate::bench::{person, plan};
use crate::situations::commands;

fn verbs() -> Vec<(&'static str, Verb)> {
    let mut verbs = vec![
        (
            "start",
            Verb::Start {
                plan: "checkout".to_owned(),
                inputs: BTreeMap::new(),
            },
        ),
        ("status", Verb::Status),
        ("list", Verb::List),
        ("history", Verb::History),
        (
            "freeze",
            Verb::Freeze {
                environment: "production".to_owned(),
                reason: "cold".to_owned(),
            },
        ),
        (
            "thaw",
            Verb::Thaw {
                environment: "production".to_owned(),
            },
        ),
        ("whoami", Verb::Whoami),
        ("help", Verb::Help),
    ];
    verbs.extend(commands().into_iter().map(|(name, command)| (name, Verb::Do(command))));
    verbs
}

#[test]
fn every_role_with_every_verb() {
    let plan = plan();
    let mut table = format!("{:<16}", "");
    for role in Role::ALL {
        let _ = write!(table, " {:<18}", role.word());
    }
    let _ = writeln!(table, " {:<18} the plan's commander", "nobody");
    for (name, verb) in verbs() {
        let _ = write!(table, "{name:<16}");
        let word = |allowed: bool| if allowed { "yes" } else { "-" };
        for role in Role::ALL {
            let _ = write!(
                table,
                " {:<18}",
                word(may(&person("x", &[role]), &verb, Some(&plan)).is_ok())
            );
        }
        let nobody = may(&person("x", &[]), &verb, Some(&plan)).is_ok();
        let commander = may(&person("mara", &[]), &verb, Some(&plan)).is_ok();
        let _ = writeln!(table, " {:<18} {}", word(nobody), word(commander));
    }
    let table: String = table.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    insta::assert_snapshot!(table);
}

#[test]
fn a_person_without_the_role_is_told_who_has_it() {
    let (plan, verb) = (plan(), Verb::Do(tidegate_rollout::Command::Advance));
    let refusal = may(&person("eve", &[Role::Viewer]), &verb, Some(&plan)).expect_err("a viewer advances nothing");
    assert_eq!(refusal.code, Code::R301);
    assert!(
        refusal.message.contains("operator, incident-commander"),
        "{}",
        refusal.message
    );
    assert!(refusal.hint.contains("mara"), "{}", refusal.hint);
}

#[test]
fn the_role_of_one_plan_says_nothing_about_another() {
    let verb = Verb::Do(tidegate_rollout::Command::Advance);
    let other = crate::bench::plan_with(|plan| {
        plan["spec"]["roles"]["incident-commander"]["members"] = ["ines"].as_slice().into()
    });
    assert!(may(&person("mara", &[]), &verb, Some(&plan())).is_ok());
    assert!(may(&person("mara", &[]), &verb, Some(&other)).is_err());
    assert!(may(&person("mara", &[]), &verb, None).is_err());
}

/// The documentation of the roles, with the table as the code has it between its markers.
#[test]
fn the_documentation_of_the_roles_is_what_the_policy_says() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    let written = std::fs::read_to_string(file).expect("docs/configuration.md");
    let (begin, end) = ("<!-- roles: made from the code -->\n", "<!-- end of roles -->");
    let start = written.find(begin).expect(begin) + begin.len();
    let stop = written.find(end).expect(end);
    let text = format!("{}\n{}\n\n{}", &written[..start], table(), &written[stop..]);
    if std::env::var_os("TIDEGATE_UPDATE_DOCS").is_some() {
        std::fs::write(file, &text).expect("written");
    }
    assert!(
        written == text,
        "docs/configuration.md lags: run this test once with TIDEGATE_UPDATE_DOCS=1 and commit the result"
    );
}

/// The documentation of the refusals, with the table as the code has it between its markers.
#[test]
fn the_documentation_of_the_refusals_names_each_of_them() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/command-line.md");
    let written = std::fs::read_to_string(file).expect("docs/command-line.md");
    let (begin, end) = ("<!-- refusals: made from the code -->\n", "<!-- end of refusals -->");
    let start = written.find(begin).expect(begin) + begin.len();
    let stop = written.find(end).expect(end);
    let row = |code: &Code| format!("| `{code}` | {} |\n", code.says());
    let rows: String = Code::ALL.iter().map(row).collect();
    let table = format!("| code | what it says |\n|---|---|\n{rows}");
    let text = format!("{}\n{table}\n{}", &written[..start], &written[stop..]);
    if std::env::var_os("TIDEGATE_UPDATE_DOCS").is_some() {
        std::fs::write(file, &text).expect("written");
    }
    assert!(
        written == text,
        "docs/command-line.md lags: run this test once with TIDEGATE_UPDATE_DOCS=1 and commit the result"
    );
}

#[test]
fn a_guards_hold_is_not_released_by_whoever_only_writes() {
    let (plan, guard) = (plan(), Holder::Guard(Guard::Budget));
    let may = |name: &str, roles: &[Role], holder: &Holder| may_release(&person(name, roles), holder, 1, &plan).is_ok();
    for role in [Role::Operator, Role::Oncall, Role::IncidentCommander, Role::Admin] {
        assert!(may("x", &[role], &guard), "{}", role.word());
    }
    for role in [Role::Comms, Role::Viewer, Role::Flags] {
        assert!(!may("x", &[role], &guard), "{}", role.word());
    }
    assert!(may("mara", &[], &guard), "the plan's commander");
    let own = Holder::Person(PersonId::new("eve"));
    assert!(may("eve", &[Role::Comms], &own) && !may("x", &[Role::Operator], &own));
}
