//! What people type: every usage, every alias, quotes of phones, and text that means nothing.

use proptest::prelude::*;
use tidegate_rollout::command::grammar::{LONGEST, Named, Said, parse};
use tidegate_rollout::command::{Answer, Command, USAGES, Verb};
use tidegate_rollout::{Code, Refusal};

use crate::bench::at;

fn read(text: &str) -> Result<Said, Refusal> {
    parse(text, at(0), |word| match word {
        "checkout" => Named::Yes,
        "chekcout" => Named::Nearly("checkout".to_owned()),
        _ => Named::No,
    })
}

fn verb(text: &str) -> Verb {
    read(text).unwrap_or_else(|refusal| panic!("{text}: {refusal}")).verb
}

/// Arguments that fulfil a usage, by its verb.
fn arguments(verb: &str) -> &'static str {
    match verb {
        "start" => "checkout version:2.3.0",
        "hold" | "note" => "auth-17 \"watching redis\"",
        "release" => "auth-17 2",
        "check" => "auth-17 done sessions",
        "decide" => "auth-17 continue 3",
        "freeze" => "production \"Black Friday\"",
        "thaw" => "production",
        _ => "",
    }
}

#[test]
fn every_usage_and_every_alias_parses() {
    for usage in USAGES {
        for word in std::iter::once(&usage.verb).chain(usage.aliases) {
            for word in [(*word).to_owned(), word.to_uppercase()] {
                let text = format!("{word} {}", arguments(usage.verb));
                assert_eq!(verb(&text).word(), usage.verb, "{text}");
            }
        }
    }
}

/// As the platforms have it typed, out of habit also where there is no slash command.
#[test]
fn the_slash_command_in_front_changes_nothing() {
    for text in ["start checkout version:2.3.0", "status", ""] {
        assert_eq!(read(&format!("/rollout {text}")), read(text), "{text}");
        assert_eq!(read(&format!("/Rollout {text}")), read(text), "{text}");
    }
    assert!(read("/rollouts status").is_err());
}

#[test]
fn verbs_and_aliases_are_all_different() {
    let mut words: Vec<&str> = USAGES
        .iter()
        .flat_map(|usage| usage.aliases.iter().copied().chain([usage.verb]))
        .collect();
    let all = words.len();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), all);
}

#[test]
fn lines_are_read_as_people_mean_them() {
    let hold = |reason: &str, until: Option<i64>| {
        Verb::Do(Command::Hold {
            reason: reason.to_owned(),
            until: until.map(at),
        })
    };
    let rollback = |reason: &str| {
        Verb::Do(Command::Rollback {
            reason: reason.to_owned(),
        })
    };
    let decide = |number, answer| Verb::Do(Command::Decide { number, answer });
    let cases = [
        ("", None, Verb::Help),
        ("  \n ", None, Verb::Help),
        ("rollback", None, rollback("")),
        ("rollback auth-17", Some("auth-17"), rollback("")),
        ("rollback checkout", Some("checkout"), rollback("")),
        ("revert the cache is cold", None, rollback("the cache is cold")),
        (
            "rollback auth-17 \"the cache: cold\"",
            Some("auth-17"),
            rollback("the cache: cold"),
        ),
        (
            "rollback rollout:auth-17 why:cold",
            Some("auth-17"),
            rollback("why:cold"),
        ),
        (
            "hold “watching redis” for:30m",
            None,
            hold("watching redis", Some(1_800)),
        ),
        (
            "hold for:30m „watching redis“",
            None,
            hold("watching redis", Some(1_800)),
        ),
        (
            "hold auth-17 «watching redis»",
            Some("auth-17"),
            hold("watching redis", None),
        ),
        ("hold watching redis", None, hold("watching redis", None)),
        (
            "decide auth-17 continue",
            Some("auth-17"),
            decide(None, Answer::Continue),
        ),
        ("decide rollback 3", None, decide(Some(3), Answer::Rollback)),
        ("decide GO #3", None, decide(Some(3), Answer::Continue)),
        ("release #2", None, Verb::Do(Command::Release { number: 2 })),
        (
            "freeze production no releases today",
            None,
            Verb::Freeze {
                environment: "production".to_owned(),
                reason: "no releases today".to_owned(),
            },
        ),
    ];
    for (text, rollout, expected) in cases {
        let said = read(text).unwrap_or_else(|refusal| panic!("{text}: {refusal}"));
        assert_eq!((said.rollout.as_deref(), said.verb), (rollout, expected), "{text}");
    }
}

#[test]
fn the_inputs_of_a_start_are_options() {
    let Verb::Start { plan, inputs } = verb("start checkout version:2.3.0 previous:2.2.9 note:\"two words\"") else {
        panic!("not a start");
    };
    let inputs: Vec<(&str, &str)> = inputs
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    assert_eq!(plan, "checkout");
    assert_eq!(
        inputs,
        [("note", "two words"), ("previous", "2.2.9"), ("version", "2.3.0")]
    );
}

#[test]
fn what_is_not_understood_is_answered_and_never_run() {
    let cases = [
        ("advnce", Code::R101),
        ("rolback", Code::R101),
        ("stop", Code::R101),
        ("\"\"", Code::R101),
        ("version:2", Code::R101),
        ("🚀", Code::R101),
        ("start", Code::R104),
        ("start checkout now", Code::R104),
        ("advance now please", Code::R104),
        ("resume auth-17 auth-18", Code::R104),
        ("hold", Code::R104),
        ("hold auth-17", Code::R104),
        ("hold for:soon \"x\"", Code::R104),
        ("hold \"open", Code::R104),
        ("note why:\"open", Code::R104),
        ("release", Code::R104),
        ("release two", Code::R104),
        ("decide", Code::R104),
        ("decide maybe", Code::R104),
        ("freeze production", Code::R104),
        ("status auth-17 auth-18", Code::R104),
    ];
    for (text, code) in cases {
        let refusal = read(text).expect_err(text);
        assert_eq!(refusal.code, code, "{text}: {refusal}");
        assert!(!refusal.hint.is_empty(), "{text}");
    }
    let long = format!("note {}", "x".repeat(LONGEST));
    assert_eq!(read(&long).expect_err("too long").code, Code::R104);
}

#[test]
fn a_misspelt_verb_is_suggested() {
    let cases = [
        ("advnce", "advance"),
        ("rolback", "rollback"),
        ("paus", "pause"),
        ("satus", "status"),
    ];
    for (text, meant) in cases {
        let refusal = read(text).expect_err(text);
        assert!(refusal.hint.contains(&format!("`{meant}`")), "{text}: {}", refusal.hint);
        assert!(refusal.hint.contains("Nothing was done"), "{text}: {}", refusal.hint);
    }
}

/// Text close to a command, so that the readers behind the verb are reached as well.
fn nearly_a_command() -> impl Strategy<Value = String> {
    let verb = prop::sample::select(USAGES.iter().map(|usage| usage.verb).collect::<Vec<_>>());
    let tail = prop::collection::vec(
        prop_oneof![
            Just("auth-17".to_owned()),
            Just("\"".to_owned()),
            Just("“a b”".to_owned()),
            Just("for:9999999999d".to_owned()),
            Just("a:\"b c\"".to_owned()),
            Just("#4294967296".to_owned()),
            "\\PC{0,6}",
        ],
        0..5,
    );
    (verb, tail).prop_map(|(verb, tail)| format!("{verb} {}", tail.join(" ")))
}

proptest! {
    #[test]
    fn no_text_makes_it_panic_and_every_refusal_has_a_hint(text in prop_oneof!["(?s).{0,80}", nearly_a_command()]) {
        match read(&text) {
            Ok(said) => prop_assert!(USAGES.iter().any(|usage| usage.verb == said.verb.word())),
            Err(refusal) => prop_assert!(!refusal.hint.is_empty(), "{}", refusal),
        }
    }

    #[test]
    fn only_a_known_word_at_the_beginning_ever_becomes_that_verb(text in nearly_a_command(), break_at in 0usize..4) {
        // One letter too many in the verb, wherever it is: nothing is run.
        let mut broken = text.clone();
        broken.insert(break_at, 'q');
        let word = broken.split_whitespace().next().unwrap_or_default().to_owned();
        let known = USAGES.iter().any(|usage| usage.verb == word || usage.aliases.contains(&word.as_str()));
        prop_assert!(!known);
        // An open quote is found before the verb is looked at.
        let refusal = read(&broken).expect_err("nothing is run");
        prop_assert!(refusal.code == Code::R101 || refusal.message.contains("quote"), "{}", refusal);
    }
}

#[test]
fn a_misspelt_rollout_is_no_reason_unless_it_is_quoted() {
    let refused = read("rollback chekcout").expect_err("nothing may be guessed");
    assert_eq!(refused.code, Code::R103);
    assert!(
        refused.hint.contains("`checkout`") && refused.hint.contains("Nothing was done"),
        "{refused}"
    );
    let quoted = read(r#"rollback "chekcout fails""#).expect("a reason");
    assert_eq!(quoted.rollout, None);
}
