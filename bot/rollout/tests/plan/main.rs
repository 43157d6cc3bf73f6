//! Everything about plan files: reading, judging, the schema, the documentation.

#![expect(clippy::expect_used, reason = "a helper of a test may stop the test")]

mod cases;
mod documents;
mod properties;
mod reading;

/// The example that the documentation and the README use.
pub(crate) const EXAMPLE: &str = include_str!("../../../../deploy/examples/checkout/plan.yaml");
