//! Owns the timeline: the log of a rollout, newest first, by days.
//! Refuses to be the audit trail: it shows the latest lines and says where the rest is.

use jiff::Timestamp;
use serde::Serialize;
use tidegate_rollout::{Entry, Surface};

use super::{Moment, Space, brief};

/// The most lines of one page, and the most bytes of them.
const MOST: usize = 100;
const BYTES: usize = 72 * 1024;

/// The timeline.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Timeline {
    days: Vec<Day>,
    left_out: usize,
}

#[derive(Clone, Debug, Serialize)]
struct Day {
    day: String,
    lines: Vec<Line>,
}

#[derive(Clone, Debug, Serialize)]
struct Line {
    number: u64,
    at: Moment,
    kind: String,
    /// Who, where the text does not say so itself.
    by: Option<String>,
    text: String,
    /// Where they said it.
    place: Option<&'static str>,
}

/// The latest lines of `history`, whatever its order.
pub(super) fn of(history: &[(u64, Entry)], now: Timestamp) -> Timeline {
    let mut lines: Vec<_> = history.iter().collect();
    lines.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    let mut space = Space(BYTES);
    let mut left_out = lines.len();
    let mut days: Vec<Day> = Vec::new();
    for (number, entry) in lines.into_iter().take(MOST) {
        let line = Line {
            number: *number,
            at: Moment::of(entry.at, entry.at),
            kind: entry.kind.clone(),
            by: (entry.by != "tidegate" && !entry.text.starts_with(&entry.by)).then(|| brief(&entry.by, 60)),
            text: brief(&entry.text, 320),
            place: entry.surface.map(Surface::place),
        };
        if !space.row(&[line.by.as_deref().unwrap_or_default(), &line.text]) {
            break;
        }
        left_out -= 1;
        let day = Moment::of(entry.at, now).day;
        match days.last_mut() {
            Some(last) if last.day == day => last.lines.push(line),
            Some(_) | None => days.push(Day { day, lines: vec![line] }),
        }
    }
    Timeline { days, left_out }
}
