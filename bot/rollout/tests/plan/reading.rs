//! What the reader says to people: the suggestion, the words, everything at once, and bounded whatever comes.

use tidegate_rollout::plan::codes::Code;
use tidegate_rollout::plan::diagnostic::Finding;
use tidegate_rollout::plan::source::{MAX_BYTES, check, read};

use super::EXAMPLE;

fn only(text: &str) -> Finding {
    let mut findings = read(text).findings;
    assert_eq!(findings.len(), 1, "{findings:#?}");
    findings.remove(0)
}

/// What is said, and what is suggested, when `from` is replaced by `to` in the example.
fn said(from: &str, to: &str) -> (String, String) {
    assert!(EXAMPLE.contains(from), "the example has no {from:?}");
    let finding = only(&EXAMPLE.replacen(from, to, 1));
    (finding.message, finding.help.unwrap_or_default())
}

#[test]
fn an_unknown_key_comes_with_what_was_meant() {
    let cases = [
        ("weight: 15%", "wieght: 15%", "did you mean `weight`?"),
        ("bake: 30m", "duration: 30m", "it is called `bake` here"),
        ("  watch: 1d", "  soak: 1d", "it is called `watch` here"),
        (
            "{ required: true }",
            "{ required: true, colour: red }",
            "possible here: `default`",
        ),
    ];
    for (from, to, help) in cases {
        let (message, said) = said(from, to);
        assert!(message.starts_with("unknown key `"), "{message}");
        assert_eq!(said, help);
    }
}

#[test]
fn a_value_that_is_no_value_comes_with_what_to_write() {
    let cases = [
        (
            "weight: 15%",
            "weight: 15",
            "`15` is not a weight: a weight needs its unit: write `25%`",
            "write `15%`",
        ),
        (
            "bake: 30m",
            "bake: 30",
            "`30` is not a length of time",
            "write the unit: `30s`, `30m` or `30h`",
        ),
        (
            "service: checkout ",
            "service: true ",
            "`service` is true or false, but text is needed",
            "put it in quotes: `\"true\"`",
        ),
        (
            "members: [mara]",
            "members: mara",
            "`members` is text, but a list is needed",
            "write a list with one entry: `[mara]`",
        ),
        (
            "page: true }\n    sev2",
            "page: yes }\n    sev2",
            "`page` is text, but `true` or `false` is needed",
            "write `true` or `false`, without quotes",
        ),
        (
            "noData: hold",
            "noData: rollback",
            "`rollback` is not possible for `noData`",
            "possible: `hold`, `rollbackAfter: 15m`",
        ),
        (
            "gate: manual",
            "gate: manuel",
            "`manuel` is not possible for `gate`",
            "did you mean `manual`?",
        ),
        (
            "action: log",
            "action: decide",
            "`decide` is not possible for `action`",
            "`decide` says more about itself: write `decide: { within: 15m, default: rollback }`",
        ),
        (
            "    flag:\n",
            "    driver: flag\n    config:\n",
            "`driver` is not possible for `target`",
            "possible: `flag: { key: checkout-v2 }`, `deployment-replicas: { namespace: shop, new: checkout-v2, old: checkout-v1, total: 5 }`, `service-selector: { namespace: shop, service: checkout, label: version, new: v2, old: v1, ready: 3 }`, `httproute: { namespace: shop, route: checkout, new: checkout-v2, old: checkout-v1 }`",
        ),
        (
            "v1alpha1\nkind",
            "v1\nkind",
            "`tidegate.dev/v1` is not possible for `apiVersion`",
            "possible: `tidegate.dev/v1alpha1`",
        ),
    ];
    for (from, to, message, help) in cases {
        assert_eq!(said(from, to), (message.to_owned(), help.to_owned()));
    }
}

#[test]
fn everything_wrong_is_said_at_once_in_the_order_of_the_text() {
    let text = EXAMPLE
        .replace("kind: RolloutPlan", "kind: Rollout")
        .replace("      bake: 30m", "      bkae: 30m")
        .replace("weight: 40%", "weight: 40")
        .replace("gate: manual", "gate: hand")
        .replace("severity: sev2", "severity: sev9");
    let codes: Vec<Code> = check(&text).findings.iter().map(|found| found.code).collect();
    // The reference to `sev9` is judged only where the whole plan can be read.
    assert_eq!(codes, [Code::P105, Code::P101, Code::P120, Code::P105]);
}

#[test]
fn a_misspelt_key_does_not_hide_what_the_judge_has_to_say() {
    let text = EXAMPLE
        .replace("  watch: 1d ", "  wach: 1d ")
        .replace("severity: sev2", "severity: sev9");
    let codes: Vec<Code> = check(&text).findings.iter().map(|found| found.code).collect();
    assert!(codes.contains(&Code::P101) && codes.contains(&Code::P102), "{codes:?}");
}

#[test]
fn what_stands_under_a_misspelt_key_is_read_as_what_was_meant() {
    let text = EXAMPLE
        .replace("weight: 15%", "wieght: 15")
        .replace("  triggers:", "  trigers:");
    let said: Vec<(Code, String)> = check(&text)
        .findings
        .into_iter()
        .map(|found| (found.code, found.path.to_string()))
        .collect();
    let expected = [
        (Code::P101, "spec.phases[0].wieght"),
        (Code::P120, "spec.phases[0].weight"),
        (Code::P101, "spec.trigers"),
    ];
    assert_eq!(said, expected.map(|(code, path)| (code, path.to_owned())));
}

#[test]
fn what_is_no_document_is_refused_with_its_place() {
    let cases = [
        ("", "the plan"),
        ("a: 1\na: 2\n", "duplicate"),
        ("a: 1\n---\nb: 2\n", "documents"),
        ("a: [1, 2\nb: 3", "':'"),
        ("a: 'x", "quote"),
        ("a: *nowhere\n", "unknown"),
        ("&a [*a]", "ecursive"),
        ("a: .nan\n", "finite"),
        ("? [a]\n: b\n", "string"),
    ];
    for (text, word) in cases {
        let finding = only(text);
        assert!(finding.message.contains(word), "{text:?}: {}", finding.message);
        let place = finding.place.unwrap_or_else(|| panic!("{text:?} has no place"));
        assert!(place.offset <= text.len(), "{text:?}: {place:?}");
    }
}

#[test]
fn a_bomb_is_put_out() {
    let mut aliases = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for (before, name) in ('a'..='h').zip('b'..='i') {
        let nine = vec![format!("*{before}"); 9].join(",");
        aliases.push_str(&format!("{name}: &{name} [{nine}]\n"));
    }
    let deep_flow = "[".repeat(100_000);
    let deep_block = "- ".repeat(100_000) + "x";
    let large = "#".repeat(MAX_BYTES + 1);
    for text in [aliases, deep_flow, deep_block, large] {
        assert_eq!(only(&text).code, Code::P100);
    }
}

#[test]
fn a_plan_full_of_faults_is_judged_in_no_time() {
    let phases: String = (0..2_000)
        .map(|_| "    - { name: canary, weight: 5%, bake: 30m }\n")
        .collect();
    let text = EXAMPLE.replace("  phases:\n", &format!("  phases:\n{phases}"));
    let twice = check(&text)
        .findings
        .iter()
        .filter(|found| found.code == Code::P113)
        .count();
    assert_eq!(twice, 2_000);
    let keys: String = (0..8_000).map(|number| format!("    key{number}: 1\n")).collect();
    let text = EXAMPLE.replace("  alerts:\n", &format!("  alerts:\n{keys}"));
    let unknown = check(&text)
        .findings
        .iter()
        .filter(|found| found.code == Code::P101)
        .count();
    assert_eq!(unknown, 8_000);
}

#[test]
fn a_broken_plan_still_has_its_name() {
    let name = |text: &str| check(text).name;
    assert_eq!(
        name(&EXAMPLE.replace("weight: 40%", "weight: 40")).as_deref(),
        Some("checkout")
    );
    assert_eq!(
        name(&EXAMPLE.replace("severity: sev2", "severity: sev9")).as_deref(),
        Some("checkout")
    );
    assert_eq!(name("metadata: { name: 7 }"), None);
    assert_eq!(name("["), None);
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_move_nothing() {
    let text = format!(
        "\u{feff}{}",
        EXAMPLE.replace('\n', "\r\n").replace("weight: 40%", "weight: 40")
    );
    let place = only(&text).place.expect("a place");
    assert_eq!(&text[place.offset..place.offset + place.length], "40");
    assert_eq!(place.column, 15);
}

#[test]
fn aliases_and_merges_are_read_like_any_yaml() {
    let text = EXAMPLE
        .replace("groups: [staff]        #", "groups: &in [staff] #")
        .replace("advance\n      groups: [staff]", "advance\n      groups: *in");
    assert_eq!(check(&text).findings, []);
    assert_eq!(check(&text).plan, check(EXAMPLE).plan);
}
