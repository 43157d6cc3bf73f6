//! Owns what pages show, as plain values: the vocabulary all of them share is here, one file per page below `view/`.
//! Refuses markup: a view holds words, numbers and the names of classes; templates make HTML of them.

pub mod board;
mod buttons;
pub mod chat;
pub mod confirm;
mod hooks;
mod lists;
mod next;
mod phases;
pub mod rollout;
mod signoffs;
mod timeline;
mod way_back;
pub mod words;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use tidegate_rollout::{Actor, Refusal, Rollout, Share, Surroundings};

/// Where changes of rollouts are announced to pages, as server-sent events. Any event means: fetch the page again.
pub const EVENTS: &str = "/events";
/// Where new lines of the chat are sent, as server-sent events: each is one line as JSON. Its id is the name of the server's
/// start, a dot, and the number of the line; `?after=<id>` and `Last-Event-ID` ask for what comes after one.
pub const CHAT_EVENTS: &str = "/chat/events";

/// Light or dark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Theme {
    /// As the system of the reader says.
    #[default]
    System,
    /// Light, whatever the system says.
    Light,
    /// Dark, whatever the system says.
    Dark,
}

impl Theme {
    /// What the value of a `Cookie` header asks for with `theme=…`.
    pub fn from_cookies(header: &str) -> Self {
        let mut pairs = header.split(';').map(str::trim);
        match pairs.find_map(|pair| pair.strip_prefix("theme=")) {
            Some("light") => Self::Light,
            Some("dark") => Self::Dark,
            Some(_) | None => Self::System,
        }
    }
}

/// Who reads.
#[derive(Clone, Debug)]
pub struct Reader {
    /// The person, with the roles they have now.
    pub actor: Actor,
    /// Light or dark.
    pub theme: Theme,
}

/// One rollout as it stands, with what it cannot know by itself.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The rollout.
    pub rollout: &'a Rollout,
    /// The world around it.
    pub around: &'a Surroundings,
    /// The share of the traffic seen since the last change, where the driver can tell.
    pub share: Option<Share>,
}

/// What is around every page: title, reader, age, what to announce.
#[derive(Clone, Debug, Serialize)]
pub struct Chrome {
    title: String,
    /// The address at which this page is read again; a page that answers a form has another one.
    path: String,
    /// The name of the tab's icon: a tone.
    icon: &'static str,
    theme: Theme,
    now: Moment,
    /// Seconds after which the page is read again even without an event; 0: never.
    refresh: u32,
    events: &'static str,
    /// What a screen reader announces when it changes.
    say: String,
    /// Whether that is urgent.
    alarm: bool,
    reader: Option<ReaderLine>,
    /// Which entry of the navigation this is.
    here: Here,
}

#[derive(Clone, Debug, Serialize)]
struct ReaderLine {
    name: String,
    roles: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Here {
    Rollouts,
    Chat,
    Nowhere,
}

impl Chrome {
    fn new(title: impl Into<String>, path: impl Into<String>, reader: Option<&Reader>, now: Timestamp) -> Self {
        let line = |reader: &Reader| {
            let roles: Vec<&str> = reader.actor.roles.iter().map(|role| role.word()).collect();
            ReaderLine {
                name: reader.actor.person.to_string(),
                roles: roles.join(", "),
            }
        };
        Self {
            title: title.into(),
            path: path.into(),
            icon: "quiet",
            theme: reader.map(|reader| reader.theme).unwrap_or_default(),
            now: Moment::of(now, now),
            refresh: 0,
            events: "",
            say: String::new(),
            alarm: false,
            reader: reader.map(line),
            here: Here::Nowhere,
        }
    }
}

/// A word with the shape and the colour that repeat it. The word always stands beside them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mark {
    /// The word.
    pub word: String,
    /// The shape.
    pub glyph: &'static str,
    /// The colour, by its meaning: `ok`, `info`, `warn`, `bad`, `nodata`, `quiet`.
    pub tone: &'static str,
}

impl Mark {
    fn new(word: impl Into<String>, glyph: &'static str, tone: &'static str) -> Self {
        Self {
            word: word.into(),
            glyph,
            tone,
        }
    }
}

/// A moment: for machines, and for people in UTC until their browser knows better.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moment {
    iso: String,
    day: String,
    text: String,
}

impl Moment {
    /// `at`, with the date unless it is the day of `now`.
    pub fn of(at: Timestamp, now: Timestamp) -> Self {
        let day = |at: Timestamp| at.to_zoned(TimeZone::UTC).date();
        let clock = if day(at) == day(now) {
            "%H:%M:%S UTC"
        } else {
            "%Y-%m-%d %H:%M UTC"
        };
        Self {
            iso: at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            day: at.strftime("%A, %-d %B %Y").to_string(),
            text: at.strftime(clock).to_string(),
        }
    }
}

/// What became of a pressed button, or of a form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Banner {
    tone: &'static str,
    glyph: &'static str,
    code: Option<String>,
    text: String,
    hint: Option<String>,
}

impl Banner {
    /// It was done.
    pub fn done(text: impl Into<String>) -> Self {
        Self {
            tone: "ok",
            glyph: "check",
            code: None,
            text: text.into(),
            hint: None,
        }
    }

    /// It was refused: nothing was done, and this is why.
    pub fn refused(refusal: &Refusal) -> Self {
        Self {
            tone: "warn",
            glyph: "warn",
            code: Some(refusal.code.to_string()),
            text: brief(&refusal.message, 1_500),
            hint: Some(brief(&refusal.hint, 500)),
        }
    }

    /// What the dispatcher answered.
    pub fn answered(answer: &crate::chat::Answer) -> Self {
        let plain = if answer.ok {
            Self::done(brief(&answer.text, 1_500))
        } else {
            Self {
                tone: "warn",
                glyph: "warn",
                ..Self::done(brief(&answer.text, 1_500))
            }
        };
        Self {
            code: answer.code.map(|code| code.to_string()),
            hint: answer.hint.as_deref().map(|hint| brief(hint, 500)),
            ..plain
        }
    }

    /// It could not be done, and it was nobody's decision.
    pub fn failed(text: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            tone: "bad",
            glyph: "bad",
            code: None,
            text: brief(&text.into(), 1_500),
            hint: Some(brief(&hint.into(), 500)),
        }
    }
}

/// `text`, at most so many characters, with a sign where it was cut. Characters that grow on the way into the page (`=`
/// becomes six bytes, a direction mark twelve) leave room for fewer, so that nobody can blow a page up with them.
fn brief(text: &str, most: usize) -> String {
    let mut space = Space(most.saturating_mul(3));
    let mut kept = 0;
    for (number, (at, c)) in text.char_indices().enumerate() {
        if number == most || !space.take(cost(c)) {
            return format!("{}…", &text[..kept]);
        }
        kept = at + c.len_utf8();
    }
    text.to_owned()
}

/// How many bytes a character takes in the page.
fn cost(c: char) -> usize {
    match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | ' ' | '.' | ',' => 1,
        c => super::escaped(c.encode_utf8(&mut [0; 4])).len(),
    }
}

/// The bytes that a list may still take on its page.
struct Space(usize);

impl Space {
    /// What the tags around one row take, more or less.
    const FRAME: usize = 360;

    fn take(&mut self, bytes: usize) -> bool {
        match self.0.checked_sub(bytes) {
            Some(left) => {
                self.0 = left;
                true
            }
            None => false,
        }
    }

    /// Whether there is space for a row of these texts; if so it is taken.
    fn row(&mut self, texts: &[&str]) -> bool {
        let bytes: usize = texts.iter().map(|text| super::escaped(text).len()).sum();
        self.take(bytes + Self::FRAME)
    }
}

/// A number as people read it: `3,112`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
