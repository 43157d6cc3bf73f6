//! What is stored: the hash chain finds every change, and today's program reads yesterday's rows.

use proptest::prelude::*;
use tidegate_rollout::chain::{Hash, anchor, link, verify};
use tidegate_rollout::envelope::{self, Unreadable};
use tidegate_rollout::{Action, Entry, Notice, Rollout, Surface};

use crate::bench::at;
use crate::situations::{latched_or_over, under_way};

fn entry(n: u64) -> Entry {
    Entry {
        at: at(i64::try_from(n).unwrap_or_default()),
        kind: "note".to_owned(),
        by: "jon".to_owned(),
        surface: None,
        text: format!("line {n}"),
    }
}

fn chained(name: &str, entries: &[Entry]) -> Vec<(u64, Entry, Hash)> {
    let mut previous = anchor(name);
    let mut lines = Vec::new();
    for (number, entry) in (1..).zip(entries) {
        previous = link(&previous, number, entry);
        lines.push((number, entry.clone(), previous));
    }
    lines
}

fn check(name: &str, lines: &[(u64, Entry, Hash)]) -> Result<u64, u64> {
    verify(name, lines.iter().map(|(number, entry, hash)| (*number, entry, *hash)))
}

#[test]
fn a_chain_that_nobody_touched_is_whole() {
    let lines = chained("checkout-17", &(1..=20).map(entry).collect::<Vec<_>>());
    assert_eq!(check("checkout-17", &lines), Ok(20));
    assert_eq!(check("checkout-17", &[]), Ok(0));
    assert_eq!(check("checkout-18", &lines), Err(1), "chains cannot be swapped");
}

/// The hash of a known line never changes: else every stored chain would look tampered with after an update.
#[test]
fn the_links_never_change() {
    let lines = chained("checkout-17", &[entry(1), entry(2)]);
    let found: Vec<String> = lines
        .iter()
        .map(|(_, _, hash)| hash.iter().map(|byte| format!("{byte:02x}")).collect())
        .collect();
    insta::assert_snapshot!(found.join("\n"));
}

/// Where somebody spoke is as much a part of the line as who it was, and every surface is told from every other.
#[test]
fn where_somebody_spoke_is_hashed() {
    let ways: Vec<Option<Surface>> = std::iter::once(None).chain(Surface::ALL.map(Some)).collect();
    for said in &ways {
        let spoken = |surface| Entry { surface, ..entry(1) };
        let mut lines = chained("checkout-17", &[spoken(*said), entry(2)]);
        for told in &ways {
            lines[0].1 = spoken(*told);
            let expected = if told == said { Ok(2) } else { Err(1) };
            assert_eq!(check("checkout-17", &lines), expected, "{said:?} told as {told:?}");
        }
    }
}

#[test]
fn every_surface_is_known_by_its_word() {
    for surface in Surface::ALL {
        assert_eq!(Surface::called(surface.word()), Some(surface));
        let spelt = serde_json::to_value(surface).expect("JSON");
        assert_eq!(spelt, surface.word(), "the store and the wire spell it alike");
    }
    assert_eq!(Surface::called("pigeon"), None);
}

#[derive(Clone, Debug)]
enum Tamper {
    Time,
    Kind,
    By,
    Text,
    Hash(usize),
    Number,
    Delete,
    Repeat,
    Swap,
    MoveALetter,
}

fn tampers() -> impl Strategy<Value = Tamper> {
    prop_oneof![
        Just(Tamper::Time),
        Just(Tamper::Kind),
        Just(Tamper::By),
        Just(Tamper::Text),
        (0usize..32).prop_map(Tamper::Hash),
        Just(Tamper::Number),
        Just(Tamper::Delete),
        Just(Tamper::Repeat),
        Just(Tamper::Swap),
        Just(Tamper::MoveALetter),
    ]
}

proptest! {
    #[test]
    fn a_change_of_any_field_of_any_line_is_located(line in 0usize..9, tamper in tampers()) {
        let mut lines = chained("checkout-17", &(1..=10).map(entry).collect::<Vec<_>>());
        match tamper {
            Tamper::Time => lines[line].1.at = at(-1),
            Tamper::Kind => lines[line].1.kind.push('x'),
            Tamper::By => lines[line].1.by = "eve".to_owned(),
            Tamper::Text => lines[line].1.text.clear(),
            Tamper::Hash(byte) => lines[line].2[byte] ^= 1,
            Tamper::Number => lines[line].0 += 1,
            Tamper::Delete => drop(lines.remove(line)),
            Tamper::Repeat => {
                let again = lines[line].clone();
                lines.insert(line, again);
            }
            Tamper::Swap => lines.swap(line, line + 1),
            Tamper::MoveALetter => {
                let Entry { kind, by, .. } = &mut lines[line].1;
                by.insert(0, kind.pop().unwrap_or('x'));
            }
        }
        let first = if matches!(tamper, Tamper::Repeat) { line + 2 } else { line + 1 };
        prop_assert_eq!(check("checkout-17", &lines), Err(first as u64));
    }
}

fn golden(name: &str) -> String {
    let path = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Version 1 as it was first written. Old rows stay readable for ever and nothing in them is lost; a change that breaks
/// this needs a version 2, a golden file of its own, and the reading of both.
#[test]
fn rows_of_version_one_are_read_and_lose_nothing() {
    let rollout: Rollout = reopened("rollout-v1.json");
    assert_eq!(rollout.id.as_str(), "checkout-17");
    assert!(rollout.pause.is_some() && rollout.no_data.is_some());
    assert_eq!(
        (rollout.alerts.len(), rollout.holds.len(), rollout.decisions.len()),
        (3, 2, 1)
    );
    let actions: Vec<Action> = reopened("actions-v1.json");
    assert_eq!(actions.len(), 3);
    let notices: Vec<Notice> = reopened("notices-v1.json");
    assert_eq!(notices.len(), 25);
}

/// Opens a golden file, seals it again, and finds everything in the new text that was in the old.
fn reopened<T: serde::Serialize + serde::de::DeserializeOwned>(name: &str) -> T {
    let old = golden(name);
    let opened: T = envelope::open(&old).unwrap_or_else(|error| panic!("{name}: {error}"));
    let new = envelope::seal(&opened).expect("sealed");
    let [old, new] = [&old, &new].map(|text| serde_json::from_str(text).expect("JSON"));
    assert_kept(&old, &new, name);
    opened
}

/// New fields may appear; old ones stay as they were.
fn assert_kept(old: &serde_json::Value, new: &serde_json::Value, place: &str) {
    use serde_json::Value::{Array, Object};
    match (old, new) {
        (Object(old), Object(new)) => {
            for (key, value) in old {
                let place = format!("{place}/{key}");
                assert_kept(value, new.get(key).unwrap_or_else(|| panic!("{place} is lost")), &place);
            }
        }
        (Array(old), Array(new)) if old.len() == new.len() => {
            for (n, (old, new)) in old.iter().zip(new).enumerate() {
                assert_kept(old, new, &format!("{place}/{n}"));
            }
        }
        _ => assert_eq!(old, new, "{place}"),
    }
}

#[test]
fn every_stage_survives_the_store() {
    for (stage, bench) in under_way().into_iter().chain(latched_or_over()) {
        let sealed = envelope::seal(&bench.rollout).expect("sealed");
        let opened: Rollout = envelope::open(&sealed).unwrap_or_else(|error| panic!("{stage}: {error}"));
        assert_eq!(opened, bench.rollout, "{stage}");
    }
}

#[test]
fn every_notice_survives_the_store() {
    for notice in Notice::samples() {
        let sealed = envelope::seal(&notice).expect("sealed");
        let opened: Notice = envelope::open(&sealed).unwrap_or_else(|error| panic!("{sealed}: {error}"));
        assert_eq!(opened, notice);
    }
}

#[test]
fn a_row_of_a_newer_program_is_named_and_not_guessed() {
    let newer = r#"{"v":2,"body":{}}"#;
    let error = envelope::open::<Rollout>(newer).expect_err("from the future");
    assert!(matches!(error, Unreadable::Version(2)), "{error}");
    for broken in ["", "{}", "[]", r#"{"v":1}"#, r#"{"v":1,"body":{"id":"x"}}"#] {
        let error = envelope::open::<Rollout>(broken).expect_err(broken);
        assert!(matches!(error, Unreadable::Shape(_)), "{broken}: {error}");
    }
}

#[test]
fn the_samples_cover_every_kind_of_notice() {
    let mut kinds: Vec<&str> = Notice::samples().iter().map(|notice| notice.kind.word()).collect();
    kinds.dedup();
    insta::assert_snapshot!(kinds.join("\n"));
}
