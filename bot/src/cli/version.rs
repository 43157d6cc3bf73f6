//! Owns `tidegate version`: which program this is, for bug reports and scripts.

use serde_json::json;

use super::{Exit, Failure, Out};

/// The format of plan files that this program reads.
const PLAN_FORMAT: &str = "tidegate.dev/v1alpha1";

pub(super) fn run(out: &mut Out) -> Result<Exit, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    let (system, machine) = (std::env::consts::OS, std::env::consts::ARCH);
    let text = format!("tidegate {version}\nplan files: {PLAN_FORMAT}\nbuilt for: {system} {machine}");
    let value = json!({ "version": version, "planFormat": PLAN_FORMAT, "system": system, "machine": machine });
    out.result(text, &value)?;
    Ok(Exit::Done)
}
