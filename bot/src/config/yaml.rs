//! Owns the reading of YAML for the `config` crate, by the same parser that reads plans.
//! Refuses to quote the file in an error: a secret may stand on the very line that is wrong.

use std::error::Error;

use config::{Format, Map, Value, ValueKind};

/// YAML, read by serde-saphyr.
#[derive(Clone, Copy, Debug)]
pub(super) struct Yaml;

/// Why a text is no YAML, or no table.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct NotYaml(String);

impl Format for Yaml {
    fn parse(&self, uri: Option<&String>, text: &str) -> Result<Map<String, Value>, Box<dyn Error + Send + Sync>> {
        let options = serde_saphyr::options! { with_snippet: false };
        let read: Value = serde_saphyr::from_str_with_options(text, options)
            .map_err(|error| NotYaml(error.to_string().lines().collect::<Vec<_>>().join(" ")))?;
        match from(uri, read).kind {
            ValueKind::Table(table) => Ok(table),
            ValueKind::Nil => Ok(Map::new()),
            _ => Err(NotYaml("the file must be a table of `key: value` lines".to_owned()).into()),
        }
    }
}

/// The same value with its origin noted everywhere. A key without a value (`web:` with every line below commented
/// out) says nothing, so that it does not wipe out the defaults below it.
fn from(uri: Option<&String>, value: Value) -> Value {
    let kind = match value.kind {
        ValueKind::Table(table) => ValueKind::Table(
            table
                .into_iter()
                .filter(|(_, value)| value.kind != ValueKind::Nil)
                .map(|(key, value)| (key, from(uri, value)))
                .collect(),
        ),
        ValueKind::Array(items) => ValueKind::Array(items.into_iter().map(|item| from(uri, item)).collect()),
        scalar => scalar,
    };
    Value::new(uri, kind)
}
