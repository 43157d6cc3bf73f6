//! Owns `tidegate plan lint`: every finding of every file, drawn for people or as JSON, and the exit code for CI.

use std::path::{Path, PathBuf};

use serde::Serialize;
use tidegate_rollout::plan::diagnostic::{Finding, Level};
use tidegate_rollout::plan::source::check;

use crate::cli::out::Format;
use crate::cli::{Exit, Failure, Out, print};

/// What was found out about one file.
#[derive(Serialize)]
struct Judged {
    file: String,
    /// Whether the server would take it.
    ok: bool,
    /// Name and digest of a plan that can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    findings: Vec<Finding>,
    #[serde(skip)]
    text: String,
}

/// What `-o json` gives.
#[derive(Serialize)]
struct Verdict<'a> {
    files: &'a [Judged],
    errors: usize,
    warnings: usize,
    infos: usize,
}

pub(super) fn run(files: &[PathBuf], strict: bool, out: &mut Out) -> Result<Exit, Failure> {
    let judged = files
        .iter()
        .map(|file| judge(file))
        .collect::<Result<Vec<Judged>, Failure>>()?;
    let all: Vec<&Finding> = judged.iter().flat_map(|one| &one.findings).collect();
    let count = |level: Level| all.iter().filter(|finding| finding.level == level).count();
    let (errors, warnings, infos) = (count(Level::Error), count(Level::Warning), count(Level::Info));
    let exit = if errors > 0 || (strict && warnings > 0) {
        Exit::Invalid
    } else {
        Exit::Done
    };
    if out.format == Format::Ndjson {
        for one in &judged {
            for finding in &one.findings {
                out.item(&Line {
                    file: &one.file,
                    finding,
                })?;
            }
        }
        return Ok(exit);
    }
    let result = Verdict {
        files: &judged,
        errors,
        warnings,
        infos,
    };
    out.verdict(exit, text(&judged, &all), &result)?;
    Ok(exit)
}

/// A line of `-o ndjson`.
#[derive(Serialize)]
struct Line<'a> {
    file: &'a str,
    #[serde(flatten)]
    finding: &'a Finding,
}

fn judge(file: &Path) -> Result<Judged, Failure> {
    let text = super::read_text(file)?;
    let read = check(&text);
    Ok(Judged {
        file: file.display().to_string(),
        ok: read.plan.is_some(),
        plan: read.plan.as_ref().map(|plan| plan.name().to_owned()),
        digest: read.plan.as_ref().map(tidegate_rollout::Plan::digest),
        findings: read.findings,
        text,
    })
}

fn text(judged: &[Judged], all: &[&Finding]) -> String {
    let mut blocks: Vec<String> = judged
        .iter()
        .filter(|one| !one.findings.is_empty())
        .map(|one| print::findings(&one.findings, &one.file, &one.text))
        .collect();
    let files = match judged {
        [one] => one.file.clone(),
        several => format!("{} files", several.len()),
    };
    blocks.push(format!("{}: {}", print::one_line(&files), print::summary(all)));
    blocks.join("\n\n")
}
