//! Owns the live feed of the web chat: the last lines, and a stream of new ones.
//! Refuses to be the record: that is the store, from which the feed is filled after a restart; what people said in between
//! is not in it.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use tidegate_rollout::NoticeId;
use tidegate_rollout::notice::About;
use tokio::sync::broadcast;

use super::Message;

/// How many lines a reader who comes late can still see.
pub const KEPT: usize = 300;

/// One line of the feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Its number; grows by one, so that a reader can ask for what it missed.
    pub number: u64,
    /// When.
    pub at: jiff::Timestamp,
    /// `tidegate` or a person.
    pub by: String,
    /// The notice's kind, `said` for a person's words, `answer` for an answer.
    pub kind: String,
    /// How loud it is: `pages`, `milestones` or `everything`.
    pub loudness: String,
    /// Which rollout, if one.
    pub rollout: Option<String>,
    /// Plain text.
    pub text: String,
}

/// The feed.
pub struct Feed {
    lines: Mutex<Lines>,
    live: broadcast::Sender<Line>,
}

#[derive(Default)]
struct Lines {
    kept: VecDeque<Line>,
    count: u64,
    /// The notices that were said last: each is said once.
    notices: VecDeque<NoticeId>,
}

impl Default for Feed {
    fn default() -> Self {
        Self {
            lines: Mutex::default(),
            live: broadcast::Sender::new(KEPT),
        }
    }
}

impl Feed {
    /// Adds a notice, unless it is there.
    pub fn say(&self, message: &Message) {
        let notice = &message.notice;
        {
            let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.notices.contains(&notice.id) {
                return;
            }
            lines.notices.push_back(notice.id.clone());
            if lines.notices.len() > KEPT {
                lines.notices.pop_front();
            }
        }
        let loudness = match notice.kind.loudness() {
            tidegate_rollout::plan::Hears::Pages => "pages",
            tidegate_rollout::plan::Hears::Milestones => "milestones",
            tidegate_rollout::plan::Hears::Everything => "everything",
        };
        self.add(Line {
            number: 0,
            at: notice.at,
            by: notice.kind.by().to_owned(),
            kind: notice.kind.word().to_owned(),
            loudness: loudness.to_owned(),
            rollout: (notice.about.rollout.as_str() != About::SERVER).then(|| notice.about.rollout.to_string()),
            text: message.text.clone(),
        });
    }

    /// Adds a line; its number is given here.
    pub fn add(&self, mut line: Line) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.count += 1;
        line.number = lines.count;
        lines.kept.push_back(line.clone());
        if lines.kept.len() > KEPT {
            lines.kept.pop_front();
        }
        // Nobody listening is not a failure.
        let _ = self.live.send(line);
    }

    /// The lines after `number`, oldest first, and the stream of what follows.
    pub fn after(&self, number: u64) -> (Vec<Line>, broadcast::Receiver<Line>) {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let missed = lines.kept.iter().filter(|line| line.number > number).cloned().collect();
        (missed, self.live.subscribe())
    }
}

#[cfg(test)]
mod tests {
    use tidegate_rollout::Notice;

    use super::*;

    #[test]
    fn a_notice_is_one_line_however_often_it_is_said() {
        let feed = Feed::default();
        let samples = Notice::samples();
        for _ in 0..2 {
            let notice = samples[0].clone();
            let text = "it began".to_owned();
            feed.say(&Message::new(notice, text));
        }
        let (lines, _) = feed.after(0);
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].number, 1);
    }
}
