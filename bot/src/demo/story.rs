//! Owns the telling: line by line for people, with a display of the present below it on a terminal, and as ndjson for
//! programs.
//! Refuses to show text from outside as anything but text: no line of its own, no control character.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use tidegate_rollout::Period;

use super::Ending;
use crate::clock;
use crate::render::one_line;

/// How the story is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Lines, and a display that moves below them.
    Terminal,
    /// Lines.
    Plain,
    /// One JSON object per line.
    Ndjson,
}

/// Something that happened.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Event {
    /// When.
    pub(super) at: Timestamp,
    /// Seconds since the demo began.
    elapsed_s: f64,
    /// A stable word: a kind of the rollout's log, or one of the demo's own.
    pub(super) kind: String,
    /// Who did it: a person, `tidegate`, or `demo`.
    by: String,
    /// The sentence people read.
    text: String,
    /// What a program may want to know.
    #[serde(skip_serializing_if = "Map::is_empty")]
    facts: Map<String, Value>,
}

/// The present, for the display.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Gauge {
    /// The weight of the new version in percent, rounded down.
    pub(super) percent: u64,
    /// The state and the health.
    pub(super) headline: String,
    /// Visits in all.
    pub(super) visits: u64,
    /// Visits to the new version.
    pub(super) on_new: u64,
    /// Visits that failed.
    pub(super) failed: u64,
}

/// Where lines go.
pub type Paper<'a> = Box<dyn FnMut(&str) -> io::Result<()> + Send + 'a>;

/// The story while it is told.
pub struct Story<'a> {
    paper: Paper<'a>,
    manner: Manner,
    display: Option<ProgressBar>,
    began_at: Timestamp,
}

impl<'a> Story<'a> {
    /// A story on `paper`. A terminal's display is drawn on standard error.
    pub fn on(paper: Paper<'a>, manner: Manner) -> Self {
        Self {
            paper,
            manner,
            display: (manner == Manner::Terminal).then(display),
            began_at: clock::now(),
        }
    }

    /// Tells something of the demo's own.
    pub(super) fn say(&mut self, kind: &str, text: impl Into<String>) -> io::Result<()> {
        self.say_with(kind, text, Map::new())
    }

    /// Tells something of the demo's own, with facts for programs.
    pub(super) fn say_with(
        &mut self,
        kind: &str,
        text: impl Into<String>,
        facts: Map<String, Value>,
    ) -> io::Result<()> {
        let at = clock::now();
        let event = Event {
            at,
            elapsed_s: self.seconds(at),
            kind: kind.to_owned(),
            by: "demo".to_owned(),
            text: text.into(),
            facts,
        };
        self.tell(&event)
    }

    /// Tells a line of a rollout's log. It happened at `at`, which may be before what was told last.
    pub(super) fn relay(&mut self, at: Timestamp, kind: &str, by: &str, text: &str) -> io::Result<()> {
        let event = Event {
            at,
            elapsed_s: self.seconds(at),
            kind: kind.to_owned(),
            by: by.to_owned(),
            text: text.to_owned(),
            facts: Map::new(),
        };
        self.tell(&event)
    }

    /// The last line, and how the process ends.
    pub fn end(&mut self, ending: Ending, exit: u8) -> io::Result<()> {
        let text = match ending {
            Ending::Completed => "All traffic is on the new version.",
            Ending::RolledBack => "All traffic is on the old version again.",
            Ending::Held => "Nothing moves until a person looks.",
            Ending::Stuck => "The rollback is stuck; people were paged.",
            Ending::TimedOut => "It took too long.",
            Ending::Interrupted => "Interrupted. Everything is taken down.",
        };
        let facts = Map::from_iter([("exit".to_owned(), Value::from(exit))]);
        self.say_with("outcome", format!("{text} Exit code {exit}."), facts)
    }

    /// From the beginning of the story to `at`, exact to the millisecond.
    fn seconds(&self, at: Timestamp) -> f64 {
        let millis = Period::between(self.began_at, at).as_millis();
        f64::from(u32::try_from(millis).unwrap_or(u32::MAX)) / 1_000.0
    }

    fn tell(&mut self, event: &Event) -> io::Result<()> {
        let line = match self.manner {
            Manner::Ndjson => serde_json::to_string(event).map_err(io::Error::other)?,
            Manner::Terminal | Manner::Plain => line(event),
        };
        let paper = &mut self.paper;
        match &self.display {
            Some(display) => display.suspend(|| paper(&line)),
            None => paper(&line),
        }
    }

    /// Shows the present, where there is a display.
    pub(super) fn show(&self, gauge: &Gauge) {
        if let Some(display) = &self.display {
            display.set_position(gauge.percent);
            display.set_message(message(gauge));
        }
    }
}

impl Drop for Story<'_> {
    /// The display goes away, so that the prompt stands where it should.
    fn drop(&mut self) {
        if let Some(display) = &self.display {
            display.finish_and_clear();
        }
    }
}

fn display() -> ProgressBar {
    let display = ProgressBar::with_draw_target(Some(100), ProgressDrawTarget::stderr());
    // A template that does not parse would be seen in the test; the plain bar stands in for it.
    if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
        display.set_style(style.progress_chars("=> "));
    }
    display.enable_steady_tick(Duration::from_millis(200));
    display
}

const TEMPLATE: &str = "  {spinner} new version [{bar:20}] {pos:>3}%  {msg}";

fn message(gauge: &Gauge) -> String {
    let mut message = gauge.headline.clone();
    // Writing into a string cannot fail.
    let _ = write!(
        message,
        "  {} visits, {} on the new version, {} failed",
        gauge.visits, gauge.on_new, gauge.failed
    );
    one_line(&message).into_owned()
}

/// A line for people: when, what, and the sentence. Several lines of text are set one below the other.
fn line(event: &Event) -> String {
    let clock = stamp(event.elapsed_s);
    let (start, end) = style(&event.kind);
    let by = match event.by.as_str() {
        "demo" | "tidegate" => String::new(),
        person => format!(" ({})", one_line(person)),
    };
    let mut rows = event.text.lines().map(|row| one_line(row).into_owned());
    let first = rows.next().unwrap_or_default();
    let mut text = format!("{clock} {start}{:<14}{end} {first}{by}", event.kind);
    for row in rows {
        let _ = write!(text, "\n{:23}{row}", "");
    }
    text
}

/// `[01:07]`
fn stamp(elapsed_s: f64) -> String {
    let whole = Duration::from_secs_f64(elapsed_s.max(0.0)).as_secs();
    format!("[{:02}:{:02}]", whole / 60, whole % 60)
}

/// Words carry the meaning; colour only helps to find them.
fn style(kind: &str) -> (&'static str, &'static str) {
    let start = match kind {
        "rolling-back" | "rolled-back" | "rollback-stuck" | "fault" | "killed" | "storm" => "\u{1b}[1;31m",
        "no-data" | "guard-holds" | "refused" | "silence" | "page" => "\u{1b}[1;33m",
        "completed" | "outcome" | "restarted" => "\u{1b}[1;32m",
        "demo" | "open" | "hint" | "measured" => "\u{1b}[1m",
        _ => "\u{1b}[36m",
    };
    (start, "\u{1b}[0m")
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn told(manner: Manner, tell: impl FnOnce(&mut Story<'_>)) -> Vec<String> {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let paper = Arc::clone(&lines);
        let mut story = Story::on(
            Box::new(move |line| {
                paper.lock().unwrap().push(line.to_owned());
                Ok(())
            }),
            manner,
        );
        tell(&mut story);
        drop(story);
        Arc::try_unwrap(lines).unwrap().into_inner().unwrap()
    }

    #[test]
    fn programs_get_one_object_per_line() {
        let lines = told(Manner::Ndjson, |story| {
            story.say("fault", "It fails.\nTwice.").unwrap();
            let at = Timestamp::from_second(1_800_000_000).unwrap();
            story.relay(at, "rolled-back", "tidegate", "Zero.").unwrap();
        });
        let events: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(events.len(), 2);
        assert_eq!(events[0]["kind"], "fault");
        assert_eq!(events[0]["by"], "demo");
        assert_eq!(events[1]["at"], "2027-01-15T08:00:00Z");
        assert!(events[1]["elapsed_s"].is_number());
    }

    #[test]
    fn text_from_outside_cannot_draw_on_the_terminal() {
        let at = Timestamp::from_second(1_800_000_000).unwrap();
        let lines = told(Manner::Plain, |story| {
            story
                .relay(at, "note", "eve\u{1b}[2J", "\u{1b}]0;pwned\u{7}hello\rbye")
                .unwrap();
        });
        let text = lines[0].replacen("\u{1b}[36m", "", 1).replacen("\u{1b}[0m", "", 1);
        assert!(!text.contains(['\u{1b}', '\u{7}', '\r']), "{text:?}");
        assert!(text.contains("hello"), "{text:?}");
    }

    #[test]
    fn people_read_when_what_and_by_whom() {
        let lines = told(Manner::Plain, |story| {
            story
                .relay(Timestamp::UNIX_EPOCH, "paused", "ana", "ana paused it.")
                .unwrap();
        });
        assert_eq!(
            lines,
            ["[00:00] \u{1b}[36mpaused        \u{1b}[0m ana paused it. (ana)"]
        );
        assert_eq!(stamp(67.9), "[01:07]");
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }
}
