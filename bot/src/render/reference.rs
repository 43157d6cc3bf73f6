//! Owns the tables of `docs/telling.md`: every helper of templates, and the variables of each kind of notice, as Markdown.
//! Refuses to be written by hand: helpers are those that are registered, and variables those of the samples.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use jiff::Timestamp;
use serde_json::Value;
use tidegate_rollout::{Notice, Period};

use super::HELPERS;

/// The table of the helpers.
pub(super) fn helpers() -> String {
    let mut table = vec![
        "| helper | how to write it | what it gives |".to_owned(),
        "|---|---|---|".to_owned(),
    ];
    let row = |(name, write, gives): &(&str, &str, &str)| format!("| `{name}` | `{write}` | {gives} |");
    table.extend(HELPERS.iter().map(row));
    table.join("\n")
}

/// The variables that every notice has, and those of each kind.
pub(super) fn variables() -> String {
    let samples = Notice::samples();
    let whole: Vec<Value> = samples
        .iter()
        .filter_map(|sample| serde_json::to_value(sample).ok())
        .collect();
    let common = of(&whole, |notice| {
        let mut common = notice.clone();
        if let Some(fields) = common.as_object_mut() {
            // Not every notice has these.
            fields.retain(|name, _| !matches!(name.as_str(), "facts" | "to"));
        }
        common
    });
    let mut table = vec![
        format!("Every notice: {common}."),
        String::new(),
        "| kind | its own variables |".to_owned(),
        "|---|---|".to_owned(),
    ];
    for kind in super::kinds() {
        let own: Vec<Value> = whole.iter().filter(|notice| notice["kind"] == kind).cloned().collect();
        let own = of(&own, |notice| serde_json::json!({ "facts": notice["facts"] }));
        table.push(format!("| `{kind}` | {own} |"));
    }
    table.join("\n")
}

/// The variables of some notices with what they hold, as words.
fn of(notices: &[Value], part: impl Fn(&Value) -> Value) -> String {
    let mut found: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
    for notice in notices {
        gather(&part(notice), String::new(), &mut found);
    }
    let words = |(name, kinds): (&String, &BTreeSet<&'static str>)| {
        let kinds: Vec<&str> = kinds.iter().copied().collect();
        format!("`{name}` ({})", kinds.join(" or "))
    };
    found.iter().map(words).collect::<Vec<_>>().join(", ")
}

fn gather(value: &Value, name: String, found: &mut BTreeMap<String, BTreeSet<&'static str>>) {
    let kind = match value {
        // An observed share has a helper of its own, and roles are what `mention` reads.
        Value::Object(fields) if fields.contains_key("total") && fields.len() == 2 => "share",
        Value::Object(_) if name == "about.roles" => return,
        Value::Object(fields) => {
            for (field, value) in fields {
                let inner = if name.is_empty() {
                    field.clone()
                } else {
                    format!("{name}.{field}")
                };
                gather(value, inner, found);
            }
            return;
        }
        Value::Null => "nothing",
        Value::Bool(_) => "yes or no",
        Value::Number(_) => "number",
        Value::Array(_) => "list",
        Value::String(text) if Timestamp::from_str(text).is_ok() => "moment",
        Value::String(text) if Period::from_str(text).is_ok() => "length of time",
        Value::String(_) => "text",
    };
    found.entry(name).or_default().insert(kind);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The page as it stands in the repository.
    const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/telling.md");

    /// `text` with what stands between the markers called `name` replaced by `inner`.
    fn with_section(text: &str, name: &str, inner: &str) -> String {
        let (begin, end) = (
            format!("<!-- {name}: made from the code -->\n"),
            format!("<!-- end of {name} -->"),
        );
        let start = text.find(&begin).unwrap() + begin.len();
        let stop = text.find(&end).unwrap();
        format!("{}\n{inner}\n\n{}", &text[..start], &text[stop..])
    }

    #[test]
    fn the_page_says_which_helpers_and_variables_there_are() {
        let written = std::fs::read_to_string(PAGE).unwrap();
        let text = with_section(&written, "helpers", &helpers());
        let text = with_section(&text, "variables", &variables());
        if std::env::var_os("TIDEGATE_UPDATE_DOCS").is_some() {
            std::fs::write(PAGE, &text).unwrap();
        }
        assert!(
            written == text,
            "docs/telling.md lags: run this test once with TIDEGATE_UPDATE_DOCS=1 and commit the result"
        );
    }

    #[test]
    fn every_kind_and_every_helper_is_in_the_tables() {
        let (helpers, variables) = (helpers(), variables());
        for (name, _, _) in HELPERS {
            assert!(helpers.contains(&format!("| `{name}` |")), "{name}: {helpers}");
        }
        for kind in super::super::kinds() {
            assert!(variables.contains(&format!("| `{kind}` |")), "{kind}: {variables}");
        }
        assert!(variables.contains("`facts.took` (length of time)"), "{variables}");
        assert!(
            variables.contains("`facts.since_alert` (length of time)"),
            "{variables}"
        );
        assert!(variables.contains("`facts.read_back.observed` (share)"), "{variables}");
        assert!(
            variables.contains("`facts.took` (length of time or nothing)"),
            "{variables}"
        );
    }

    #[test]
    fn every_helper_of_the_list_is_registered() {
        let mut engine = handlebars::Handlebars::new();
        super::super::helpers::register(&mut engine);
        super::super::helpers::register_for_text(&mut engine);
        let tried = |name: &str| {
            engine
                .render_template(&format!(r#"{{{{{name} "x" "y"}}}}"#), &())
                .map_err(|it| it.to_string())
        };
        assert!(
            tried("nobody").unwrap_err().contains("not found"),
            "{:?}",
            tried("nobody")
        );
        for (name, _, _) in HELPERS {
            assert!(
                !tried(name).is_err_and(|it| it.contains("not found")),
                "{name}: {:?}",
                tried(name)
            );
        }
    }
}
