//! Owns the story of one history, line by line, for people who look for a bug.
//! Refuses to cost anything when nobody reads it: lines are only made when they are kept.

/// The lines of a history.
#[derive(Clone, Debug, Default)]
pub(super) struct Trace {
    recording: bool,
    lines: Vec<String>,
}

impl Trace {
    /// A story that is kept, or not.
    pub(super) fn new(recording: bool) -> Self {
        Self {
            recording,
            lines: Vec::new(),
        }
    }

    /// One line at `now` milliseconds.
    pub(super) fn line(&mut self, now: u64, text: impl FnOnce() -> String) {
        if self.recording {
            self.lines
                .push(format!("{:>4}.{:03}  {}", now / 1_000, now % 1_000, text()));
        }
    }

    /// All lines.
    pub(super) fn into_lines(self) -> Vec<String> {
        self.lines
    }
}
