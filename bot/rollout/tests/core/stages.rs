//! Every command in every stage, as one table: what is done, what is refused, and with which code.

use std::fmt::Write;

use tidegate_rollout::command::Command;
use tidegate_rollout::{Actor, Event, Role, Surface, step};

use crate::bench::{Bench, person};
use crate::situations::{commands, latched_or_over, under_way};

/// What came of a command: the code of a refusal, or what changed.
fn cell(bench: &Bench, command: &Command) -> String {
    let mara = person("mara", &[Role::IncidentCommander]);
    let event = Event::Commanded {
        actor: mara,
        command: command.clone(),
        seen: None,
    };
    let before = &bench.rollout;
    let done = match step(before, &bench.around, &event, bench.now) {
        Err(refusal) => return refusal.code.word().to_owned(),
        Ok(done) => done,
    };
    let after = &done.next;
    let said: Vec<&str> = done.notices.iter().map(|notice| notice.kind.word()).collect();
    let mut cell = String::new();
    if before.state_word() != after.state_word() {
        let _ = write!(cell, "{}", after.state_word());
    }
    if before.wanted != after.wanted {
        let _ = write!(cell, " to {}", after.wanted);
    }
    if cell.is_empty() {
        cell.push_str("done");
    }
    if !said.is_empty() {
        let _ = write!(cell, " ({})", said.join(", "));
    }
    cell.trim_start().to_owned()
}

#[test]
fn every_command_in_every_stage() {
    let mut table = String::new();
    for (stage, bench) in under_way().into_iter().chain(latched_or_over()) {
        let _ = writeln!(table, "{stage}");
        for (name, command) in commands() {
            let _ = writeln!(table, "    {name:<16} {}", cell(&bench, &command));
        }
    }
    insta::assert_snapshot!(table);
}

/// The audit: an order that was done is in the log under the name of who gave it, with where they spoke. What followed from
/// it by itself is nobody's word.
#[test]
fn whoever_gives_an_order_is_in_the_log_with_where_they_spoke() {
    let mut orders = 0;
    for (stage, bench) in under_way().into_iter().chain(latched_or_over()) {
        for (name, command) in commands() {
            let event = Event::Commanded {
                actor: Actor {
                    surface: Surface::Discord,
                    ..person("mara", &[Role::IncidentCommander])
                },
                command,
                seen: None,
            };
            let Ok(done) = step(&bench.rollout, &bench.around, &event, bench.now) else {
                continue;
            };
            let place = format!("{stage} × {name}: {:?}", done.log);
            assert_eq!(done.log[0].by, "mara", "{place}");
            assert_eq!(done.log[0].speaker(), "mara in Discord", "{place}");
            for line in &done.log {
                assert_eq!(line.by == "mara", line.surface == Some(Surface::Discord), "{place}");
                assert_eq!(line.by == "tidegate", line.surface.is_none(), "{place}");
            }
            orders += 1;
        }
    }
    assert!(orders > 60, "{orders} orders were looked at");
}

#[test]
fn every_refusal_says_what_to_do_next() {
    let nobody = person("eve", &[]);
    let mara = person("mara", &[Role::IncidentCommander]);
    let mut refused = 0;
    for (stage, mut bench) in under_way().into_iter().chain(latched_or_over()) {
        for (name, command) in commands() {
            for actor in [&nobody, &mara] {
                let before = bench.rollout.clone();
                if let Err(refusal) = bench.says(actor, command.clone()) {
                    refused += 1;
                    assert!(
                        !refusal.message.is_empty() && !refusal.hint.is_empty(),
                        "{stage} × {name}: {refusal:?}"
                    );
                    assert_eq!(bench.rollout, before, "a refusal changes nothing: {stage} × {name}");
                }
                bench.rollout = before;
            }
        }
    }
    assert!(refused > 160, "{refused} refusals were looked at");
}
