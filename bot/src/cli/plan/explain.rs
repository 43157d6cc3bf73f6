//! Owns `tidegate plan explain`: what a code means, why it matters, how to put it right; of a refusal, what it means.

use serde_json::json;
use tidegate_rollout::plan::codes::{CODES, Code, CodeDoc};
use tidegate_rollout::plan::suggest::closest;
use tidegate_rollout::refusal;

use crate::cli::table::columns;
use crate::cli::{Exit, Failure, Out};

pub(super) fn run(code: Option<&str>, out: &mut Out) -> Result<Exit, Failure> {
    match code {
        None => {
            let row = |doc: &CodeDoc| {
                [doc.code.word(), doc.level.word(), doc.title]
                    .map(str::to_owned)
                    .to_vec()
            };
            let rows: Vec<Vec<String>> = CODES.iter().map(row).collect();
            out.result(columns(&rows, 0).trim_end(), &CODES)?;
        }
        Some(word) => {
            if let Some(code) = refusal(word) {
                let document = json!({ "code": code.word(), "level": "refusal", "title": code.says() });
                out.result(format!("{code} (refusal): {}", code.says()), &document)?;
                return Ok(Exit::Done);
            }
            let doc = Code::named(word).ok_or_else(|| unknown(word))?.doc();
            let (code, level) = (doc.code, doc.level.word());
            let text = format!("{code} ({level}): {}\n\n{}\n{}", doc.title, doc.why, doc.fix);
            out.result(text, doc)?;
        }
    }
    Ok(Exit::Done)
}

/// The code of an answer to a command.
fn refusal(word: &str) -> Option<refusal::Code> {
    let same = |code: &&refusal::Code| code.word().eq_ignore_ascii_case(word);
    refusal::Code::ALL.iter().find(same).copied()
}

fn unknown(word: &str) -> Failure {
    let hint = match closest(word, CODES.iter().map(|doc| doc.code.word())) {
        Some(near) => format!("Did you mean {near}? `tidegate plan explain` lists every code."),
        None => "`tidegate plan explain` lists every code.".to_owned(),
    };
    Failure::new(Exit::Usage, format!("no code is called {word:?}")).hint(hint)
}
