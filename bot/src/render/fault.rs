//! Owns what is said about a template that does not work: which file, which line, what, and what would have been right.
//! Refuses to show an engine's internals.

use std::collections::BTreeSet;
use std::fmt;

use handlebars::{RenderError, RenderErrorReason, TemplateError, TemplateErrorReason};
use serde_json::Value;

use super::builtin;

/// One thing wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error, serde::Serialize)]
pub struct TemplateFault {
    /// The file below `templates/` or the override directory, such as `rolled-back/text.hbs`.
    pub template: String,
    /// The line, from 1, where it is known.
    pub line: Option<usize>,
    /// The column, from 1, where it is known.
    pub column: Option<usize>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for TemplateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.template)?;
        for number in [self.line, self.column].into_iter().flatten() {
            write!(f, ":{number}")?;
        }
        write!(f, ": {}", self.what)
    }
}

impl TemplateFault {
    /// A fault of a whole file.
    pub(super) fn somewhere(template: &str, what: impl Into<String>) -> Self {
        Self {
            template: template.to_owned(),
            line: None,
            column: None,
            what: what.into(),
        }
    }

    /// A file that is no template.
    pub(super) fn parsing(template: &str, error: &TemplateError) -> Self {
        let what = match error.reason() {
            // The engine's own text draws the grammar's inner rules; the place says more.
            TemplateErrorReason::InvalidSyntax(_) => "this is not handlebars syntax".to_owned(),
            other => other.to_string(),
        };
        Self {
            line: error.pos().map(|(line, _)| line),
            column: error.pos().map(|(_, column)| column),
            ..Self::somewhere(template, what)
        }
    }

    /// A template that failed on a notice; `known` are the variables there are.
    pub(super) fn rendering(name: &str, error: &RenderError, known: &str) -> Self {
        let what = match error.reason() {
            RenderErrorReason::MissingVariable(Some(path)) => format!("there is no `{path}`; there is {known}"),
            RenderErrorReason::MissingVariable(None) => format!("a variable does not exist; there is {known}"),
            RenderErrorReason::HelperNotFound(helper) => format!("there is no helper `{helper}`"),
            RenderErrorReason::PartialNotFound(partial) => format!("there is no shared piece `{partial}`"),
            RenderErrorReason::IOError(error) => error.to_string(),
            other => other.to_string(),
        };
        let template = error.template_name.as_deref().unwrap_or(name);
        Self {
            line: error.line_no,
            column: error.column_no,
            ..Self::somewhere(&builtin::file(template), what)
        }
    }
}

/// The variables of a notice, or of a page or a frame, in words, for the fault of one that does not exist.
pub(super) fn known(facts: &Value) -> String {
    let names = |prefix: &str, value: &Value| -> Vec<String> {
        let fields = value.as_object().into_iter().flatten();
        fields.map(|(name, _)| format!("{prefix}{name}")).collect()
    };
    if facts.get("facts").is_none() {
        return names("", facts).join(", ");
    }
    let mut all = vec!["id".to_owned(), "at".to_owned(), "kind".to_owned()];
    for part in ["about", "facts"] {
        all.extend(
            facts
                .get(part)
                .map(|value| names(&format!("{part}."), value))
                .unwrap_or_default(),
        );
    }
    all.join(", ")
}

/// Each fault once: the samples of a kind find the same one.
pub(super) fn distinct(faults: Vec<TemplateFault>) -> Vec<TemplateFault> {
    let mut seen = BTreeSet::new();
    faults
        .into_iter()
        .filter(|fault| seen.insert((fault.template.clone(), fault.line, fault.column)))
        .collect()
}
