//! Every notice, with a text of the test's choice wherever a text from outside can stand, and what surfaces made of them.

use anyhow::{Result, ensure};
use serde_json::Value;
use tidegate_rollout::notice::WORST;
use tidegate_rollout::{Notice, NoticeId};

/// A text that nobody could take for anything else.
const CALM: &str = "calm words";

/// Every notice with the worst text, each under a name of its own.
#[must_use]
pub fn worst() -> Vec<Notice> {
    saying(WORST)
}

/// The same notices with calm words.
#[must_use]
pub fn calm() -> Vec<Notice> {
    saying(CALM)
}

fn saying(text: &str) -> Vec<Notice> {
    let named = |(number, mut notice): (usize, Notice)| {
        notice.id = NoticeId::of(&notice.about.rollout, 41, number);
        notice
    };
    Notice::samples_saying(text)
        .into_iter()
        .enumerate()
        .map(named)
        .collect()
}

/// Whether what people see of a worst notice is what they see of the calm one, with other words in the same places: no template
/// was filled in, and no text made a line of its own. Where a line is short, a place shows the beginning of the text and `...`,
/// and places behind that can be missing.
///
/// # Errors
/// Says what is more, or less.
pub fn is_text(worst: &str, calm: &str) -> Result<()> {
    let (places, literal) = (calm.matches(CALM).count(), worst.matches("{{secrets.token}}").count());
    let all = literal == places || (literal < places && worst.contains("..."));
    ensure!(
        all,
        "the text is shown {literal} times whole instead of {places}: {worst}"
    );
    let lines = |text: &str| text.trim().lines().count();
    ensure!(lines(worst) == lines(calm), "not as many lines: {worst}\n{calm}");
    Ok(())
}

/// What went over the wire for each notice, as it is kept for comparison.
#[derive(Debug, Default)]
pub struct Wires(String);

impl Wires {
    /// Adds what went out for `notice`.
    pub fn add(&mut self, notice: &Notice, sent: &Value) {
        let shown = serde_json::to_string_pretty(sent).unwrap_or_default();
        self.0.push_str(&format!("── {} ──\n{shown}\n\n", notice.kind.word()));
    }

    /// All of it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}
