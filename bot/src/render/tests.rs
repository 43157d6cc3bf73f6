//! Proves the words: every sample in print, hostile text shown as text, and mistakes found before an incident.

use std::fs;

use tempfile::TempDir;
use tidegate_rollout::notice::{HOSTILE, NoticeKind};

use super::*;

mod shared;
mod surfaces;
mod truth;

/// An override directory that goes away with the test.
struct Overrides(TempDir);

impl Overrides {
    fn with(files: &[(&str, &str)]) -> Self {
        let root = tempfile::tempdir().unwrap();
        for (file, source) in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, source).unwrap();
        }
        Self(root)
    }

    fn renderer(&self) -> Result<Renderer, Vec<TemplateFault>> {
        Renderer::new(Some(self.0.path()))
    }

    fn faults(&self) -> Vec<String> {
        let faults = self.renderer().err().expect("the templates are refused");
        faults.iter().map(ToString::to_string).collect()
    }
}

fn sample(kind: &str) -> Notice {
    Notice::samples()
        .into_iter()
        .find(|sample| sample.kind.word() == kind)
        .expect("a sample of the kind")
}

#[test]
fn every_sample_reads_well() {
    let renderer = Renderer::new(None).unwrap();
    let mut page = String::new();
    for sample in Notice::samples() {
        let with_a_file = |form: &Form| renderer.own_source(sample.kind.word(), *form).is_some();
        for form in Form::ALL.into_iter().filter(with_a_file) {
            let text = renderer.render(&sample, form).unwrap();
            page.push_str(&format!("── {} · {} ──\n{text}\n\n", sample.kind.word(), form.word()));
        }
    }
    insta::assert_snapshot!("notices", page);
}

#[test]
fn hostile_text_is_shown_and_does_nothing() {
    let renderer = Renderer::new(None).unwrap();
    let shown = one_line(HOSTILE).into_owned();
    for form in Form::ALL {
        let mut seen = 0;
        for sample in Notice::samples() {
            let facts = serde_json::to_string(&sample.kind).unwrap();
            let text = renderer.render(&sample, form).unwrap();
            // What rings is short; below it stands the whole.
            if facts.contains("<!channel>") {
                seen += usize::from(text.contains(&shown));
            }
            assert!(!text.contains('\u{202e}'), "{text}");
            assert!(!text.lines().any(|line| line.starts_with("second line")), "{text}");
        }
        assert!(seen >= 25, "{seen} samples carry hostile text as {}", form.word());
    }
}

#[test]
fn an_unknown_variable_fails_with_the_name_and_the_line() {
    let plain = Overrides::with(&[("rolled-back/text.hbs", "one\ntwo {{facts.becuase}}\n")]);
    let faults = plain.faults();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].starts_with("rolled-back/text.hbs:2:"), "{faults:?}");
    assert!(faults[0].contains("`facts.becuase`"), "{faults:?}");
    assert!(faults[0].contains("facts.because"), "{faults:?}");

    let asked = Overrides::with(&[("paused/text.hbs", "{{#if facts.reson}}x{{/if}}")]);
    assert!(
        asked.faults()[0].starts_with("paused/text.hbs:1:"),
        "{:?}",
        asked.faults()
    );
    let formatted = Overrides::with(&[("resumed/text.hbs", "\n\n{{duration facts.standing}}")]);
    assert!(
        formatted.faults()[0].starts_with("resumed/text.hbs:3:"),
        "{:?}",
        formatted.faults()
    );
}

#[test]
fn everything_wrong_is_said_at_once() {
    let overrides = Overrides::with(&[
        ("rolledback/text.hbs", "a kind that does not exist"),
        ("started/text.hbs", "{{#if facts.by}} never closed"),
        ("held/text.hbs", "{{shell \"id\"}}"),
    ]);
    let faults = overrides.faults();
    assert!(
        faults
            .iter()
            .any(|fault| fault.starts_with("rolledback/text.hbs: no notice uses a file")),
        "{faults:?}"
    );
    assert!(
        faults.iter().any(|fault| fault.starts_with("started/text.hbs:")),
        "{faults:?}"
    );
    let unknown_helper = Overrides::with(&[("held/text.hbs", "{{shell \"id\"}}")]);
    assert!(
        unknown_helper.faults()[0].contains("no helper `shell`"),
        "{:?}",
        unknown_helper.faults()
    );
}

#[test]
fn a_template_that_would_exhaust_the_service_is_refused() {
    let circle = Overrides::with(&[
        ("_partials/phase.hbs", "{{> subject}}"),
        ("_partials/subject.hbs", "{{> phase}}"),
    ]);
    assert!(circle.faults()[0].contains("includes itself"), "{:?}", circle.faults());
    let in_place = Overrides::with(&[("held/text.hbs", "{{#*inline \"a\"}}{{> a}}{{/inline}}{{> a}}")]);
    assert!(
        in_place.faults()[0].contains("not supported"),
        "{:?}",
        in_place.faults()
    );
    let deep = Overrides::with(&[("held/text.hbs", &"{{#if at}}".repeat(5_000))]);
    assert!(deep.faults()[0].contains("too deep"), "{:?}", deep.faults());
    let large = Overrides::with(&[("held/text.hbs", &"x".repeat(70_000))]);
    assert!(
        large.faults()[0].contains("larger than 65536 bytes"),
        "{:?}",
        large.faults()
    );
    let long = "{{facts.reason}}".repeat(3_000);
    for long in [format!("{{{{#within 20}}}}{long}{{{{/within}}}}"), long] {
        let long = Overrides::with(&[("held/text.hbs", &long)]);
        assert!(
            long.faults()[0].contains("longer than 65536 bytes"),
            "{:?}",
            long.faults()
        );
    }
}

#[test]
fn an_override_replaces_one_file_and_may_use_the_shared_pieces() {
    let overrides = Overrides::with(&[("paused/text.hbs", "Halt by {{facts.by}}, {{> phase}}.")]);
    let renderer = overrides.renderer().unwrap();
    let text = |kind: &str| renderer.render(&sample(kind), Form::Text).unwrap();
    assert_eq!(text("paused"), "Halt by jon, phase 2 of 4, quarter, at 25%.");
    assert!(text("rolled-back").starts_with("ROLLED BACK checkout-17"));
}

#[test]
fn a_form_with_a_file_of_its_own_says_that_and_every_other_the_text() {
    let overrides = Overrides::with(&[("pod-logs/email.hbs", "Dear all,\nthey wrote: {{facts.output}}")]);
    let renderer = overrides.renderer().unwrap();
    let said = |form: Form| renderer.render(&sample("pod-logs"), form).unwrap();
    assert!(said(Form::Email).starts_with("Dear all,\nthey wrote: "));
    for form in [Form::Thread, Form::Slack, Form::Discord] {
        assert_eq!(said(form), said(Form::Text));
    }
    let wrong = Overrides::with(&[("paused/email.hbs", "{{facts.reasn}}")]);
    assert!(
        wrong.faults()[0].starts_with("paused/email.hbs:1:"),
        "{:?}",
        wrong.faults()
    );
    let unknown = Overrides::with(&[("paused/fax.hbs", "")]);
    assert!(
        unknown.faults()[0].starts_with("paused/fax.hbs: no notice uses"),
        "{:?}",
        unknown.faults()
    );
}

#[test]
fn an_override_that_fails_in_the_incident_gives_way_to_the_built_in_one() {
    // It passes on every sample and fails on a hold with a number that no sample has.
    let source = "{{#if (eq facts.number 99)}}\n{{facts.nobody}}{{else}}fine{{/if}}";
    let overrides = Overrides::with(&[("held/text.hbs", source)]);
    let renderer = overrides.renderer().unwrap();
    let mut notice = sample("held");
    assert_eq!(renderer.render(&notice, Form::Text).unwrap(), "fine");
    if let NoticeKind::Held { number, .. } = &mut notice.kind {
        *number = 99;
    }
    let text = renderer.render(&notice, Form::Text).unwrap();
    assert!(text.starts_with("Hold 99 on checkout-17 by jon"), "{text}");
    assert!(
        text.contains("(The custom template failed, this is the built-in one. held/text.hbs:2:"),
        "{text}"
    );
}

#[test]
fn a_role_is_mentioned_by_the_people_in_it() {
    let overrides = Overrides::with(&[(
        "decision-opened/slack.hbs",
        "{{mention \"oncall\"}} or {{mention facts.by}}: {{facts.question}}",
    )]);
    let renderer = overrides.renderer().unwrap();
    let mut notice = sample("decision-opened");
    let words = renderer.words(&notice, Form::Slack).unwrap();
    let called: Vec<&str> = words.pieces().iter().filter_map(called).collect();
    assert_eq!(called, ["jon", "nia", "mara"]);
    assert!(
        words.named().starts_with("jon, nia or mara: <!channel>"),
        "{}",
        words.named()
    );

    // A role that the plan does not have, or that has nobody, and a list in which people stand twice.
    notice.about.roles.remove("incident-commander");
    let NoticeKind::DecisionOpened { by, .. } = &mut notice.kind else {
        panic!()
    };
    by.extend(["oncall".to_owned(), "oncall".to_owned()]);
    let text = renderer.render(&notice, Form::Slack).unwrap();
    assert!(text.starts_with("jon, nia or incident-commander, jon, nia: "), "{text}");
    // A notice from before roles were carried.
    notice.about.roles.clear();
    let text = renderer.render(&notice, Form::Slack).unwrap();
    assert!(text.starts_with("oncall or incident-commander, oncall: "), "{text}");

    let wrong = Overrides::with(&[("held/text.hbs", "{{mention facts.number}}")]);
    assert!(
        wrong.faults()[0].contains("takes the name of a role"),
        "{:?}",
        wrong.faults()
    );
    let unknown = Overrides::with(&[("held/text.hbs", "{{mention facts.whom}}")]);
    assert!(unknown.faults()[0].contains("`facts.whom`"), "{:?}", unknown.faults());
}

fn called(piece: &mention::Piece) -> Option<&str> {
    match piece {
        mention::Piece::Person(person) => Some(person.as_str()),
        mention::Piece::Text(_) => None,
    }
}

#[test]
fn no_text_from_outside_calls_anybody() {
    let overrides = Overrides::with(&[("decision-opened/slack.hbs", "{{facts.question}} {{list facts.by}}")]);
    let renderer = overrides.renderer().unwrap();
    for notice in Notice::samples_saying(tidegate_rollout::notice::WORST) {
        for form in Form::ALL {
            let words = renderer.words(&notice, form).unwrap();
            assert_eq!(words.pieces().iter().find_map(called), None, "{}", words.named());
        }
    }
}
