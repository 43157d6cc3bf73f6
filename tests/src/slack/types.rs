//! Messages and forms judged by `@slack/types` and the TypeScript compiler, in the folder that `tests/run` prepares.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

use crate::paths;

/// Checks blocks and forms against Slack's own types.
///
/// # Errors
/// When the compiler is not there, or finds something wrong; carries what it says.
pub async fn check(blocks: &[Value], forms: &[Value]) -> Result<()> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let node = paths::target()?.join("node");
    let compiler = node.join("node_modules/.bin/tsc");
    ensure!(
        compiler.is_file(),
        "{} is missing: run `./tests/run prepare`",
        compiler.display()
    );
    let name = format!(
        "check-{}-{}.mts",
        std::process::id(),
        NUMBER.fetch_add(1, Ordering::Relaxed)
    );
    let program = format!(
        "import type {{ KnownBlock, ModalView }} from '@slack/types';\n\
         export const blocks: KnownBlock[] = {};\n\
         export const forms: ModalView[] = {};\n",
        serde_json::to_string_pretty(blocks)?,
        serde_json::to_string_pretty(forms)?,
    );
    let file = node.join(&name);
    tokio::fs::write(&file, program)
        .await
        .context("could not write the program")?;
    let output = Command::new(&compiler)
        .current_dir(&node)
        .args(["--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext"])
        .arg(&name)
        .kill_on_drop(true)
        .output()
        .await;
    tokio::fs::remove_file(&file)
        .await
        .context("could not remove the program")?;
    let output = output.context("could not start the TypeScript compiler")?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "Slack's types refuse it: {said}");
    Ok(())
}
