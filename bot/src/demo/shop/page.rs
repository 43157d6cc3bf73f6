//! Owns the shop's one page: which version you got, what everybody got, and the fault switch.
//! Refuses scripts and anything from elsewhere; every value is escaped.

use super::{Answers, Served, Tally, Version};

/// The page for `visitor`, who was just served.
pub(super) fn front(visitor: &str, served: &Served, tally: &Tally, faulty: bool) -> String {
    let visitor = escaped(visitor);
    let version = served.version.number();
    let answer = if served.failed {
        "and got an error"
    } else {
        "and were served"
    };
    let (old, new) = (tally.old(), tally.new_version());
    let rows = format!("{}{}", row(Version::Old, old), row(Version::New, new));
    let unanswered = tally.unanswered();
    let (on, label, state) = if faulty {
        (
            "false",
            "Heal the new version",
            "Three of ten visits to the new version fail.",
        )
    } else {
        (
            "true",
            "Break the new version",
            "The new version is as good as the old one.",
        )
    };
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"2\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Shop {version}</title><style>{STYLE}</style></head>\
         <body><h1>The shop</h1><p>You are visitor <b>{visitor}</b>, came to version <b>{version}</b> {answer}. \
         The same visitor always comes to the same version; <a href=\"/?visitor=another\">be another one</a>.</p>\
         <table><tr><th>version</th><th>served</th><th>failed</th></tr>{rows}</table>\
         <p>{unanswered} visits found no flag and came to the old version, which is the default of the shop's code.</p>\
         <form method=\"post\" action=\"/fault\"><input type=\"hidden\" name=\"on\" value=\"{on}\">\
         <p>{state} <button>{label}</button></p></form></body></html>"
    )
}

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;max-width:42rem;margin:2rem auto;padding:0 1rem}\
    table{border-collapse:collapse}td,th{padding:.25rem 1rem;border:1px solid;text-align:right}\
    button{font:inherit;padding:.5rem 1rem;min-height:44px}:root{color-scheme:light dark}";

fn row(version: Version, answers: Answers) -> String {
    format!(
        "<tr><th>{}</th><td>{}</td><td>{}</td></tr>",
        version.number(),
        answers.good,
        answers.bad
    )
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars().take(100) {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_visitor_is_never_markup() {
        let served = Served {
            version: Version::New,
            failed: true,
        };
        let page = front("<script>alert('x')</script>", &served, &Tally::default(), false);
        assert!(!page.contains("<script"), "{page}");
        assert!(page.contains("&lt;script&gt;"), "{page}");
        assert!(page.contains("and got an error"), "{page}");
    }

    #[test]
    fn the_button_does_the_other_thing() {
        let served = Served {
            version: Version::Old,
            failed: false,
        };
        assert!(front("you", &served, &Tally::default(), true).contains("name=\"on\" value=\"false\""));
        assert!(front("you", &served, &Tally::default(), false).contains("name=\"on\" value=\"true\""));
    }
}
