//! Every role with every verb, as one table: who may say what.

use std::collections::BTreeMap;
use std::fmt::Write;

use tidegate_rollout::command::Verb;
use tidegate_rollout::policy::may;
use tidegate_rollout::{Code, Role};

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
