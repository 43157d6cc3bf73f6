//! Owns finding secrets that were written into a plan, by their well-known forms.
//! Refuses to repeat what it found: neither the message nor the drawn line shows the value.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use crate::plan::Plan;
use crate::plan::codes::Code;
use crate::plan::diagnostic::{Finding, Level};
use crate::plan::place::Path;

/// What it looks like, and what it is called. Classes are spelt out in ASCII: those of Unicode take long to compile.
const FORMS: [(&str, &str); 11] = [
    (r"xox[a-z]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}", "a Slack token"),
    (
        r"hooks\.slack\.com/(services|workflows|triggers)/[A-Za-z0-9_]",
        "a Slack webhook",
    ),
    (
        r"discord(app)?\.com/api/webhooks/[0-9]+/[A-Za-z0-9_]",
        "a Discord webhook",
    ),
    (
        r"(?-u:\b)gh[pousr]_[A-Za-z0-9]{20,}|(?-u:\b)github_pat_[A-Za-z0-9_]{20,}",
        "a GitHub token",
    ),
    (r"(?-u:\b)glpat-[A-Za-z0-9_-]{20,}", "a GitLab token"),
    (r"(?-u:\b)gl(sa|c)_[A-Za-z0-9_]{20,}", "a Grafana token"),
    (r"(?-u:\b)(AKIA|ASIA)[0-9A-Z]{16}(?-u:\b)", "an AWS access key"),
    (r"(?-u:\b)AIza[A-Za-z0-9_-]{35}", "a Google API key"),
    (
        r"(?-u:\b)eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.",
        "a signed token",
    ),
    (r"-----BEGIN [A-Z ]*PRIVATE KEY-----", "a private key"),
    (
        r"(?-u:\b)[a-z][a-z0-9+.-]*://[^/\s:@]+:[^/\s:@]+@",
        "a URL with a password",
    ),
];

static KNOWN: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let compiled = FORMS
        .iter()
        .map(|(form, name)| Regex::new(form).map(|form| (form, *name)));
    compiled.filter_map(Result::ok).collect()
});

/// Keys whose value is probably a secret.
static TELLING_KEY: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)(^|[-_./])(password|passwd|secret|token|api[-_]?key)$").ok());

pub(super) fn check(plan: &Plan, found: &mut Vec<Finding>) {
    if let Ok(value) = serde_json::to_value(plan) {
        walk(&value, None, &Path::root(), found);
    }
}

fn walk(value: &Value, key: Option<&str>, path: &Path, found: &mut Vec<Finding>) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                walk(value, Some(key), &path.key(key), found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(item, None, &path.index(index), found);
            }
        }
        Value::String(text) => found.extend(secret(text, key, path)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn secret(text: &str, key: Option<&str>, path: &Path) -> Option<Finding> {
    let help = "take it out, replace it where it is used, and keep the new one in the server's secrets";
    if let Some((_, name)) = KNOWN.iter().find(|(form, _)| form.is_match(text)) {
        let message = format!("`{}` holds {name}", path.name());
        return Some(Finding::new(Code::P270, path.clone(), message).help(help));
    }
    let telling = TELLING_KEY.as_ref()?.is_match(key?);
    (telling && !text.is_empty()).then(|| {
        let message = format!("`{}` looks like a secret by its name", path.name());
        Finding::new(Code::P270, path.clone(), message)
            .level(Level::Warning)
            .help(help)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One text for every form. They are put together here, so that no scanner takes this file for a leak.
    fn samples() -> Vec<String> {
        let long = "aB3dEfGhIjKlMnOpQrStUvWxYz0123456789";
        vec![
            format!("xox{}-{long}", "b"),
            format!("https://hooks.{}/services/T0/B0/x", "slack.com"),
            format!("https://{}/api/webhooks/12345/abc", "discord.com"),
            format!("gh{}_{long}", "p"),
            format!("gl{}-{long}", "pat"),
            format!("gl{}_{long}", "sa"),
            format!("AK{}ABCDEFGHIJKLMNOP", "IA"),
            format!("AI{}{}", "za", &long[..35]),
            format!("ey{0}{long}.ey{0}{long}.{long}", "J"),
            format!("-----BEGIN {}PRIVATE KEY-----", "EC "),
            format!("postgres://shop:{long}@db/shop"),
        ]
    }

    #[test]
    fn every_form_is_known_by_its_name() {
        assert_eq!(KNOWN.len(), FORMS.len(), "a form does not compile");
        for (sample, (_, name)) in samples().iter().zip(FORMS) {
            let found = secret(&format!("use {sample}"), None, &Path::root()).expect(name);
            assert_eq!(found.message, format!("`the plan` holds {name}"));
        }
    }

    #[test]
    fn ordinary_texts_hold_none() {
        let texts = [
            "https://wiki.example/checkout/runbook",
            "https://grafana.example/d/auth?from=now-1h&to=now",
            "mara@example.com",
            "service=~\"redis|postgres\"",
            "glance at the ghost of AKIA",
            "12:30 begins @night",
        ];
        for text in texts {
            assert_eq!(secret(text, Some("runbook"), &Path::root()), None, "{text}");
        }
    }

    #[test]
    fn a_telling_key_is_only_a_warning() {
        let level = |key| secret("x", Some(key), &Path::root()).map(|found| found.level);
        assert_eq!(level("db-password"), Some(Level::Warning));
        assert_eq!(level("API_KEY"), Some(Level::Warning));
        assert_eq!(level("secretary"), None);
    }
}
