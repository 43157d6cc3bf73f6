//! Owns `tidegate plan explain`: what a code means, why it matters, how to put it right.

use tidegate_rollout::plan::codes::{CODES, Code, CodeDoc};
use tidegate_rollout::plan::suggest::closest;

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
            let doc = Code::named(word).ok_or_else(|| unknown(word))?.doc();
            let (code, level) = (doc.code, doc.level.word());
            let text = format!("{code} ({level}): {}\n\n{}\n{}", doc.title, doc.why, doc.fix);
            out.result(text, doc)?;
        }
    }
    Ok(Exit::Done)
}

fn unknown(word: &str) -> Failure {
    let hint = match closest(word, CODES.iter().map(|doc| doc.code.word())) {
        Some(near) => format!("Did you mean {near}? `tidegate plan explain` lists every code."),
        None => "`tidegate plan explain` lists every code.".to_owned(),
    };
    Failure::new(Exit::Usage, format!("no code is called {word:?}")).hint(hint)
}
