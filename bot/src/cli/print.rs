//! Owns drawing findings for people: code, message, file, line, caret, why, and what to write instead.
//! Refuses to judge: it draws what it is given. It never draws a line that holds a secret, nor control characters of the text.

use std::borrow::Cow;
use std::collections::BTreeSet;

use annotate_snippets::{AnnotationKind, Group, Level as Mark, Origin, Renderer, Snippet, normalize_untrusted_str};
use tidegate_rollout::plan::diagnostic::{Finding, Level};
use tidegate_rollout::plan::place::Place;

/// All findings about one text, drawn with ANSI styles, one block each.
pub(super) fn findings(findings: &[Finding], file: &str, text: &str) -> String {
    let lines: Vec<&str> = text.split('\n').map(|line| line.trim_end_matches('\r')).collect();
    let hidden: BTreeSet<usize> = findings
        .iter()
        .filter(|finding| finding.hides_its_line())
        .filter_map(|finding| finding.place.map(|place| place.line))
        .collect();
    let source = |place: &Place| {
        lines
            .get(place.line.checked_sub(1)?)
            .copied()
            .filter(|_| !hidden.contains(&place.line))
    };
    let blocks = findings.iter().map(|finding| {
        let place = finding.place.as_ref();
        drawn(finding, file, place, place.and_then(source))
    });
    blocks.collect::<Vec<_>>().join("\n\n")
}

fn drawn(finding: &Finding, file: &str, place: Option<&Place>, line: Option<&str>) -> String {
    let mark = match finding.level {
        Level::Error => Mark::ERROR,
        Level::Warning => Mark::WARNING,
        Level::Info => Mark::INFO,
    };
    let mut group = Group::with_title(mark.primary_title(one_line(&finding.message)).id(finding.code.word()));
    group = match (place, line) {
        (Some(place), Some(line)) => {
            let start = offset_of(line, place.column);
            let end = line
                .floor_char_boundary((start + place.length).min(line.len()))
                .max(start);
            let snippet = Snippet::source(line).path(file).line_start(place.line);
            group.element(snippet.annotation(AnnotationKind::Primary.span(start..end)))
        }
        (Some(place), None) => group.element(Origin::path(file).line(place.line).char_column(place.column)),
        (None, _) => group.element(Origin::path(file)),
    };
    let notes = [(Mark::NOTE, &finding.note), (Mark::HELP, &finding.help)];
    for (mark, text) in notes {
        if let Some(text) = text {
            group = group.element(mark.message(one_line(text)));
        }
    }
    Renderer::styled().render(&[group])
}

/// The byte at which the `column`-th character of `line` begins.
fn offset_of(line: &str, column: usize) -> usize {
    let characters = line.char_indices().map(|(at, _)| at);
    characters
        .chain([line.len()])
        .nth(column.saturating_sub(1))
        .unwrap_or(line.len())
}

/// `text` as it may stand in a terminal: on one line, without control characters.
pub(super) fn one_line(text: &str) -> String {
    let without_breaks: Cow<'_, str> = match text.contains(['\n', '\r', '\t']) {
        true => Cow::Owned(text.replace(['\n', '\r', '\t'], " ")),
        false => Cow::Borrowed(text),
    };
    normalize_untrusted_str(&without_breaks)
}

/// How many findings of each level there are: `1 error, 2 warnings`; `nothing to say` when there are none.
pub(super) fn summary(findings: &[&Finding]) -> String {
    let counted = [Level::Error, Level::Warning, Level::Info].map(|level| {
        let count = findings.iter().filter(|finding| finding.level == level).count();
        let plural = if count == 1 || level == Level::Info { "" } else { "s" };
        (count, format!("{count} {}{plural}", level.word()))
    });
    let said: Vec<String> = counted
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(_, text)| text)
        .collect();
    if said.is_empty() {
        "nothing to say".to_owned()
    } else {
        said.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use tidegate_rollout::plan::source::check;

    use super::*;

    const EXAMPLE: &str = include_str!("../../../deploy/examples/checkout/plan.yaml");

    fn plain(text: &str) -> String {
        let found = check(text).findings;
        anstream::adapter::strip_str(&findings(&found, "plan.yaml", text)).to_string()
    }

    #[test]
    fn a_finding_shows_its_line_and_a_caret_and_what_to_write() {
        insta::assert_snapshot!(plain(&EXAMPLE.replace("      bake: 30m", "      bkae: 30")), @r"
        error[P101]: unknown key `bkae` in `spec.phases[0]`
          --> plan.yaml:33:7
           |
        33 |       bkae: 30
           |       ^^^^
           |
           = help: did you mean `bake`?

        error[P108]: `30` is not a length of time
          --> plan.yaml:33:13
           |
        33 |       bkae: 30
           |             ^^
           |
           = help: write the unit: `30s`, `30m` or `30h`
        ");
    }

    #[test]
    fn characters_of_any_width_do_not_move_the_caret() {
        let text = EXAMPLE.replace("{ required: true }", "{ default: 日本\u{1F6A2}, requird: false }");
        insta::assert_snapshot!(plain(&text), @r"
        error[P101]: unknown key `requird` in `spec.inputs.version`
          --> plan.yaml:15:30
           |
        15 |     version: { default: 日本🚢, requird: false }
           |                                 ^^^^^^^
           |
           = help: did you mean `required`?
        ");
    }

    #[test]
    fn a_line_with_a_secret_is_not_shown_by_any_finding() {
        let text = EXAMPLE.replace("title: New checkout to production", "title: 'https://shop:hunter2@db'");
        let text = text.replace(
            "{ required: true }",
            "{ required: true, default: 'https://shop:hunter2@db' }",
        );
        let drawn = plain(&text);
        assert!(drawn.contains("P270") && drawn.contains("P296"), "{drawn}");
        assert!(!drawn.contains("hunter2"), "{drawn}");
    }

    #[test]
    fn no_text_reaches_the_terminal_as_a_command() {
        let text = EXAMPLE.replace("name: canary", r#"name: "\e[2J\u202Ecanary\n""#);
        let drawn = findings(&check(&text).findings, "plan.yaml", &text);
        assert!(drawn.contains("P107"), "{drawn}");
        assert!(!drawn.contains("\u{1b}[2J") && !drawn.contains('\u{202E}'), "{drawn:?}");
    }
}
