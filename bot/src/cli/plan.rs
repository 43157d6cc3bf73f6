//! Owns `tidegate plan`: reads, checks, shows and explains plan files.
//! Refuses to know the rules: what is wrong with a plan is decided in the core.

mod explain;
mod lint;
mod show;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use tidegate_rollout::plan::schema::schema;
use tidegate_rollout::plan::source::MAX_BYTES;

use super::{Exit, Failure, Out};

/// What to do with plan files.
#[derive(Debug, Subcommand)]
pub(super) enum PlanCommand {
    /// Says everything that is wrong with plan files; exits with 3 if that is an error.
    Lint {
        /// Plan files; `-` reads standard input.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Warnings count as errors.
        #[arg(long)]
        strict: bool,
    },
    /// Shows a plan as people read it, with every default filled in.
    Show {
        /// A plan file; `-` reads standard input.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Prints the JSON Schema of plan files, for editors.
    Schema,
    /// Tells why a code matters and how to put it right; without a code, lists them all.
    Explain {
        /// A code that `lint` gave, such as P101.
        #[arg(value_name = "CODE")]
        code: Option<String>,
    },
}

impl PlanCommand {
    pub(super) fn run(self, out: &mut Out) -> Result<Exit, Failure> {
        match self {
            Self::Lint { files, strict } => lint::run(&files, strict, out),
            Self::Show { file } => show::run(&file, out),
            Self::Schema => {
                // The schema is a document of its own and is never wrapped in an envelope.
                out.line(format_args!("{:#}", schema()))?;
                Ok(Exit::Done)
            }
            Self::Explain { code } => explain::run(code.as_deref(), out),
        }
    }
}

/// A file's text, read no further than a plan may be long.
fn read_text(file: &Path) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let limit = MAX_BYTES as u64 + 1;
    let read = match file.as_os_str() == "-" {
        true => std::io::stdin().lock().take(limit).read_to_end(&mut bytes),
        false => std::fs::File::open(file).and_then(|opened| opened.take(limit).read_to_end(&mut bytes)),
    };
    read.map_err(|error| {
        let exit = match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::IsADirectory => Exit::Usage,
            _ => Exit::Failed,
        };
        Failure::new(exit, format!("could not read {}: {error}", file.display()))
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::new(
            Exit::Invalid,
            format!("{} is not UTF-8 from byte {at} on", file.display()),
        )
        .hint("Save the file as UTF-8.")
    })
}
