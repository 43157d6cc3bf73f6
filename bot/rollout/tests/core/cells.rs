//! Every (role, verb, state): one readable table, `cells.txt`, that people judge, and the core that must do what it says.

use std::fmt::Write;
use std::sync::Arc;

use tidegate_rollout::begin::Start;
use tidegate_rollout::command::Command;
use tidegate_rollout::surroundings::Freeze;
use tidegate_rollout::{Actor, Event, Role, Rollout, RolloutId, Surroundings, step};

use crate::bench::{Bench, alert, at, person, plan};
use crate::situations::{commands, latched_or_over, under_way};

/// The expectation.
const TABLE: &str = include_str!("cells.txt");
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/core/cells.txt");

/// Who speaks, and what they are called in the table.
fn actors() -> Vec<(&'static str, Actor)> {
    let mut actors = vec![("nobody", person("eve", &[]))];
    actors.extend(Role::ALL.map(|role| (role.word(), person("eve", &[role]))));
    // The starter operates; dana is the plan's dba, mara its commander, and both may only look otherwise.
    actors.push(("starter", person("jon", &[Role::Operator])));
    actors.push(("dba", person("dana", &[Role::Viewer])));
    actors.push(("commander", person("mara", &[Role::Viewer])));
    actors
}

/// What comes of it: `ok`, or the code of the refusal.
fn cell(bench: &Bench, actor: &Actor, command: &Command) -> &'static str {
    let event = Event::Commanded {
        actor: actor.clone(),
        command: command.clone(),
        seen: None,
    };
    match step(&bench.rollout, &bench.around, &event, bench.now) {
        Ok(_) => "ok",
        Err(refusal) => refusal.code.word(),
    }
}

fn states() -> Vec<(&'static str, Bench)> {
    under_way().into_iter().chain(latched_or_over()).collect()
}

fn table() -> String {
    let actors = actors();
    let mut text = String::new();
    for (state, bench) in states() {
        let _ = write!(text, "{state}\n{:<18}", "");
        for (name, _) in &actors {
            let short = if *name == "incident-commander" { "ic" } else { name };
            let _ = write!(text, " {short:<10}");
        }
        for (verb, command) in commands() {
            let _ = write!(text, "\n  {verb:<16}");
            for (_, actor) in &actors {
                let _ = write!(text, " {:<10}", cell(&bench, actor, &command));
            }
        }
        text.push_str("\n\n");
    }
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    format!("{}\n", lines.join("\n").trim_end())
}

#[test]
fn every_role_with_every_verb_in_every_state() {
    let found = table();
    if std::env::var_os("TIDEGATE_UPDATE_CELLS").is_some() {
        std::fs::write(FILE, &found).expect("written");
    }
    let mut wrong = Vec::new();
    let mut state = "";
    for (expected, line) in TABLE.lines().zip(found.lines()) {
        if !line.starts_with(' ') && !line.is_empty() {
            state = line;
        }
        if expected != line {
            wrong.push(format!("{state}:\n  expected {expected}\n  found    {line}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(TABLE.lines().count(), found.lines().count(), "as many lines");
    println!(
        "counted: {} cells",
        found.lines().filter(|line| line.starts_with("  ")).count() * actors().len()
    );
}

/// Whoever starts a plan, whatever it meets: the role first, then the first reason that stands in the way.
#[test]
fn every_role_starts_into_every_situation() {
    type Meets = fn(&mut Start, &mut Surroundings);
    let situations: [(&str, Meets, &str); 5] = [
        ("free", |_, _| (), "ok"),
        (
            "busy",
            |start, _| start.target_busy = Some(RolloutId::new("checkout-1")),
            "R406",
        ),
        (
            "frozen",
            |_, around| {
                around.freeze = Some(Freeze {
                    by: "mara".to_owned(),
                    reason: "stocktaking".to_owned(),
                    at: at(0),
                });
            },
            "R205",
        ),
        ("no Watchdog", |_, around| around.watchdog_seen = None, "R207"),
        (
            "already firing",
            |start, _| start.recent.push(alert("HighErrorRate", at(-60))),
            "R206",
        ),
    ];
    let may_start = ["operator", "incident-commander", "admin", "starter", "commander"];
    for (situation, meets, otherwise) in situations {
        for (name, actor) in actors() {
            let mut start = Start {
                plan: Arc::new(plan()),
                inputs: [("version".to_owned(), "2.3.0".to_owned())].into(),
                actor,
                counter: 1,
                recent: Vec::new(),
                target_busy: None,
                target_epoch: 0,
            };
            let mut around = Surroundings::calm(at(0));
            meets(&mut start, &mut around);
            let found = match Rollout::begin(start, &around, at(0)) {
                Ok(_) => "ok",
                Err(refusal) => refusal.code.word(),
            };
            let expected = if may_start.contains(&name) { otherwise } else { "R301" };
            assert_eq!(found, expected, "{name} × {situation}");
        }
    }
}

/// What must hold whatever the table says: judged by who they are, not by the policy.
#[test]
fn the_table_itself_keeps_the_laws() {
    let steering = [
        "advance",
        "resume",
        "retry",
        "abort",
        "rollback",
        "decide continue",
        "decide rollback",
        "pause",
    ];
    for (state, bench) in states() {
        let over = bench.rollout.is_final() || bench.rollout.is_latched();
        for (verb, command) in commands() {
            for (name, actor) in actors() {
                let cell = cell(&bench, &actor, &command);
                let place = format!("{name} × {verb} × {state}: {cell}");
                match name {
                    "nobody" | "flags" | "health" => assert_eq!(cell, "R301", "{place}"),
                    "viewer" | "comms" | "dba" if steering.contains(&verb) => assert_eq!(cell, "R301", "{place}"),
                    _ => {}
                }
                let may_go_back = [
                    "operator",
                    "oncall",
                    "incident-commander",
                    "admin",
                    "starter",
                    "commander",
                ];
                if verb == "rollback" && may_go_back.contains(&name) && !over {
                    assert_eq!(cell, "ok", "a rollback needs nobody's leave: {place}");
                }
                if over && verb != "rollback" && verb != "note" {
                    assert_ne!(cell, "ok", "{place}");
                }
                if verb == "approve" && name == "starter" {
                    assert_ne!(cell, "ok", "nobody approves what they started: {place}");
                }
            }
        }
    }
}
