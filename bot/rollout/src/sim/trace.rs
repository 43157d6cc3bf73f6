//! Owns the story of one history, line by line, for people who look for a bug.
//! Refuses to cost anything when nobody reads it: lines are only made when they are kept.

use crate::notice::Notice;

/// The lines of a history, and what was said in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Trace {
    recording: bool,
    lines: Vec<String>,
    notices: Vec<Notice>,
}

impl Trace {
    /// A story that is kept, or not.
    pub(super) fn new(recording: bool) -> Self {
        Self {
            recording,
            lines: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// One line at `now` milliseconds.
    pub(super) fn line(&mut self, now: u64, text: impl FnOnce() -> String) {
        if self.recording {
            self.lines
                .push(format!("{:>4}.{:03}  {}", now / 1_000, now % 1_000, text()));
        }
    }

    /// What a saved step said.
    pub(super) fn said(&mut self, notices: &[Notice]) {
        if self.recording {
            self.notices.extend_from_slice(notices);
        }
    }

    /// All lines, and all that was said.
    pub(super) fn into_parts(self) -> (Vec<String>, Vec<Notice>) {
        (self.lines, self.notices)
    }
}
