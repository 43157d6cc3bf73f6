//! Owns the JSON Schema of plan files, made from the types, for editors and for reading.
//! Refuses a second table of keys: what is not in the types is not in the schema.

use std::sync::LazyLock;

use serde_json::Value;

use super::Plan;

/// What a plan's first line names, so that editors complete and check it.
pub const SCHEMA_ID: &str = "https://tidegate.dev/schema/rolloutplan.v1alpha1.json";

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let mut schema = schemars::schema_for!(Plan);
    schema.insert("$id".to_owned(), SCHEMA_ID.into());
    schema.insert("title".to_owned(), "Tidegate rollout plan".into());
    schema.to_value()
});

/// The JSON Schema (draft 2020-12) of a plan file.
pub fn schema() -> &'static Value {
    &SCHEMA
}
