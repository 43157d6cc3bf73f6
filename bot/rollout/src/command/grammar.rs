//! Owns the reading of what people type: `<verb> [rollout] [arguments]`, quoted text, `key:value` options.
//! Refuses what it does not understand with a "did you mean", and never runs a guess.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Answer, Command, USAGES, Usage, Verb};
use crate::period::Period;
use crate::plan::suggest;
use crate::refusal::{Code, Refusal};

/// A verb, and the rollout it names, if it names one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// What.
    pub verb: Verb,
    /// About which rollout; `None`: it is not said.
    pub rollout: Option<String>,
}

/// The longest text anybody can say; a command is a line, not a document.
pub const LONGEST: usize = 2_000;

/// Whether a word names a rollout, or a plan with an active one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// It is nearly this name: whoever wrote it meant a name, and not the beginning of a reason.
    Nearly(String),
}

/// Reads one line. `named` tells whether a word names a rollout.
pub fn parse(text: &str, now: Timestamp, named: impl Fn(&str) -> Named) -> Result<Said, Refusal> {
    understand(split(text)?, now, named)
}

/// Reads what was split already, by a platform that asks for each argument by itself: nothing in it needs to be quoted.
pub fn understand(words: Vec<Word>, now: Timestamp, named: impl Fn(&str) -> Named) -> Result<Said, Refusal> {
    if words.iter().map(Word::len).sum::<usize>() > LONGEST {
        return Err(too_long());
    }
    let mut words = Words { left: words.into() };
    // As it is typed in Slack and Discord; elsewhere somebody out of habit.
    if matches!(words.left.front(), Some(Word::Bare(first)) if first.eq_ignore_ascii_case("/rollout")) {
        words.left.pop_front();
    }
    let usage = match words.left.pop_front() {
        None => find("help")?,
        Some(Word::Bare(first) | Word::Quoted(first)) => find(&first)?,
        Some(Word::Option(key, value)) => find(&format!("{key}:{value}"))?,
    };
    let rollout = match usage.verb {
        "start" | "freeze" | "thaw" | "list" | "whoami" | "help" => None,
        _ => words.take_rollout(usage, &named)?,
    };
    let verb = read_verb(usage, &mut words, now)?;
    words.must_be_empty(usage)?;
    Ok(Said { verb, rollout })
}

/// The verb that a word means, by its name or an alias.
///
/// # Errors
/// A [`Refusal`] with the nearest verb, or with all of them.
pub fn find(word: &str) -> Result<&'static Usage, Refusal> {
    let lower = word.to_lowercase();
    let meant = |usage: &&Usage| usage.verb == lower || usage.aliases.contains(&lower.as_str());
    if let Some(usage) = USAGES.iter().find(meant) {
        return Ok(usage);
    }
    if lower == "stop" {
        return Err(Refusal::new(
            Code::R101,
            "`stop` can mean two things here.",
            "Say `pause` to stand still with guards armed, or `rollback` to return traffic to the old version.",
        ));
    }
    let verbs: Vec<&str> = USAGES.iter().map(|usage| usage.verb).collect();
    let shown: String = word.chars().take(40).collect();
    let hint = match suggest::closest(&lower, verbs.iter().copied()) {
        Some(verb) => format!("Did you mean `{verb}`? Nothing was done."),
        None => format!("Possible: {}.", verbs.join(", ")),
    };
    Err(Refusal::new(Code::R101, format!("I don't know `{shown}`."), hint))
}

fn read_verb(usage: &Usage, words: &mut Words, now: Timestamp) -> Result<Verb, Refusal> {
    Ok(match usage.verb {
        "start" => Verb::Start {
            plan: words.take_bare(usage, "the plan's name")?,
            inputs: words.take_options(),
        },
        "status" => Verb::Status,
        "list" => Verb::List,
        "history" => Verb::History,
        "whoami" => Verb::Whoami,
        "help" => Verb::Help,
        "freeze" => Verb::Freeze {
            environment: words.take_bare(usage, "the environment")?,
            reason: words.take_text().ok_or_else(|| lacks(usage, "a reason"))?,
        },
        "thaw" => Verb::Thaw {
            environment: words.take_bare(usage, "the environment")?,
        },
        _ => Verb::Do(read_command(usage, words, now)?),
    })
}

fn read_command(usage: &Usage, words: &mut Words, now: Timestamp) -> Result<Command, Refusal> {
    Ok(match usage.verb {
        "advance" => Command::Advance,
        "resume" => Command::Resume,
        "retry" => Command::Retry,
        "pause" => Command::Pause {
            reason: words.take_text().unwrap_or_default(),
        },
        "hold" => {
            let until = words
                .take_period(usage)?
                .map(|period| now.saturating_add(period.duration()).unwrap_or(Timestamp::MAX));
            let reason = words.take_text().ok_or_else(|| lacks(usage, "a reason"))?;
            Command::Hold { reason, until }
        }
        "release" => {
            let number = words
                .take_number()
                .ok_or_else(|| lacks(usage, "the number of the hold"))?;
            Command::Release { number }
        }
        "rollback" => Command::Rollback {
            reason: words.take_text().unwrap_or_default(),
        },
        "abort" => Command::Abort {
            reason: words.take_text().unwrap_or_default(),
        },
        "decide" => {
            let answer = match words
                .take_bare(usage, "`continue` or `rollback`")?
                .to_lowercase()
                .as_str()
            {
                "continue" | "go" => Answer::Continue,
                "rollback" | "no-go" => Answer::Rollback,
                _ => return Err(lacks(usage, "`continue` or `rollback`")),
            };
            Command::Decide {
                number: words.take_number(),
                answer,
            }
        }
        "approve" => Command::Approve {
            role: words.take_option("role"),
            comment: words.take_text().unwrap_or_default(),
        },
        "check" => {
            let done = match words.take_bare(usage, "`done` or `undo`")?.to_lowercase().as_str() {
                "done" => true,
                "undo" => false,
                _ => return Err(lacks(usage, "`done` or `undo`")),
            };
            Command::Check {
                item: words.take_bare(usage, "the item")?,
                done,
                evidence: words.take_text().unwrap_or_default(),
            }
        }
        "ack" => Command::Ack {
            alert: words.take_option("alert"),
            number: words.take_number(),
        },
        // `find` only returns verbs of the list above.
        _ => Command::Note {
            text: words.take_text().ok_or_else(|| lacks(usage, "the text"))?,
        },
    })
}

/// What is said when a word is nearly the name of a rollout.
pub fn misspelt(word: &str, name: &str) -> Refusal {
    let shown: String = word.chars().take(60).collect();
    Refusal::new(
        Code::R103,
        format!("I know no rollout `{shown}`."),
        format!("Did you mean `{name}`? Nothing was done."),
    )
}

/// What is said of a word that is left over.
pub fn left_over(usage: &Usage, word: &str) -> Refusal {
    let shown: String = word.chars().take(40).collect();
    misread(
        usage.verb,
        format!("I don't know what to do with `{shown}`. Nothing was done."),
    )
}

fn too_long() -> Refusal {
    misread("", format!("That is longer than {LONGEST} characters."))
}

fn misread(verb: &str, message: String) -> Refusal {
    let usage = USAGES.iter().find(|usage| usage.verb == verb);
    let hint = match usage {
        Some(usage) => format!("Say: {} {}", usage.verb, usage.arguments),
        None => "Say `help` for the list of verbs.".to_owned(),
    };
    Refusal::new(Code::R104, message, hint)
}

/// What is said when a verb lacks an argument.
pub fn lacks(usage: &Usage, what: &str) -> Refusal {
    misread(usage.verb, format!("`{}` needs {what}.", usage.verb))
}

/// A piece of what somebody said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// One word: a verb, a name, a number.
    Bare(String),
    /// Free text.
    Quoted(String),
    /// `key:value`.
    Option(String, String),
}

impl Word {
    fn len(&self) -> usize {
        match self {
            Self::Bare(text) | Self::Quoted(text) => text.len(),
            Self::Option(key, value) => key.len() + value.len(),
        }
    }
}

/// Splits at white space outside quotes. Typographic quotes, which phones insert, count as quotes.
///
/// # Errors
/// A [`Refusal`] when it is too long, or a quote stays open.
pub fn split(text: &str) -> Result<Vec<Word>, Refusal> {
    if text.len() > LONGEST {
        return Err(too_long());
    }
    let text: String = text
        .chars()
        .map(|c| {
            if matches!(c, '“' | '”' | '„' | '«' | '»') {
                '"'
            } else {
                c
            }
        })
        .collect();
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix('"') {
            let end = quoted
                .find('"')
                .ok_or_else(|| misread("", "A quote is open at the end.".to_owned()))?;
            words.push(Word::Quoted(quoted[..end].to_owned()));
            rest = quoted[end + 1..].trim_start();
            continue;
        }
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (mut word, mut tail) = rest.split_at(end);
        // `key:"two words"` is one option.
        if let Some(open) = word.find(":\"") {
            let start = open + 2;
            let close = rest[start..]
                .find('"')
                .ok_or_else(|| misread("", "A quote is open at the end.".to_owned()))?;
            words.push(Word::Option(
                word[..open].to_owned(),
                rest[start..start + close].to_owned(),
            ));
            rest = rest[start + close + 1..].trim_start();
            continue;
        }
        word = word.trim();
        tail = tail.trim_start();
        words.push(match word.split_once(':') {
            Some((key, value)) if is_key(key) && !value.is_empty() => Word::Option(key.to_owned(), value.to_owned()),
            _ => Word::Bare(word.to_owned()),
        });
        rest = tail;
    }
    Ok(words)
}

fn is_key(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

struct Words {
    left: std::collections::VecDeque<Word>,
}

impl Words {
    fn take_rollout(&mut self, usage: &Usage, named: impl Fn(&str) -> Named) -> Result<Option<String>, Refusal> {
        let is_name = |word: &str| named(word) == Named::Yes || looks_like_id(word);
        Ok(match self.left.front() {
            Some(Word::Bare(word)) if is_name(word) => {
                let word = word.clone();
                self.left.pop_front();
                Some(word)
            }
            Some(Word::Bare(word)) => match named(word) {
                Named::Nearly(name) => {
                    let mut refusal = misspelt(word, &name);
                    if usage.arguments.contains('"') {
                        refusal.hint.push_str(" Quote it if it belongs to a reason.");
                    }
                    return Err(refusal);
                }
                Named::Yes | Named::No => None,
            },
            Some(Word::Option(key, value)) if key == "rollout" => {
                let value = value.clone();
                self.left.pop_front();
                Some(value)
            }
            _ => None,
        })
    }

    fn take_bare(&mut self, usage: &Usage, what: &str) -> Result<String, Refusal> {
        match self.left.pop_front() {
            Some(Word::Bare(word)) => Ok(word),
            _ => Err(lacks(usage, what)),
        }
    }

    fn take_number(&mut self) -> Option<u32> {
        let number = match self.left.front()? {
            Word::Bare(word) => word.trim_start_matches('#').parse().ok()?,
            Word::Quoted(_) | Word::Option(..) => return None,
        };
        self.left.pop_front();
        Some(number)
    }

    fn take_period(&mut self, usage: &Usage) -> Result<Option<Period>, Refusal> {
        let place = self
            .left
            .iter()
            .position(|word| matches!(word, Word::Option(key, _) if key == "for"));
        match place.and_then(|place| self.left.remove(place)) {
            Some(Word::Option(_, value)) => match value.parse() {
                Ok(period) => Ok(Some(period)),
                Err(error) => Err(misread(usage.verb, format!("{error}."))),
            },
            _ => Ok(None),
        }
    }

    fn take_option(&mut self, wanted: &str) -> Option<String> {
        let is_it = |word: &Word| matches!(word, Word::Option(key, _) if key == wanted);
        let place = self.left.iter().position(is_it)?;
        match self.left.remove(place) {
            Some(Word::Option(_, value)) => Some(value),
            Some(Word::Bare(_) | Word::Quoted(_)) | None => None,
        }
    }

    fn take_options(&mut self) -> BTreeMap<String, String> {
        let mut options = BTreeMap::new();
        self.left.retain(|word| match word {
            Word::Option(key, value) => {
                options.insert(key.clone(), value.clone());
                false
            }
            Word::Bare(_) | Word::Quoted(_) => true,
        });
        options
    }

    /// The rest of the line as free text, quotes taken off.
    fn take_text(&mut self) -> Option<String> {
        let parts: Vec<String> = self
            .left
            .drain(..)
            .map(|word| match word {
                Word::Bare(text) | Word::Quoted(text) => text,
                Word::Option(key, value) => format!("{key}:{value}"),
            })
            .collect();
        let text = parts.join(" ").trim().to_owned();
        (!text.is_empty()).then_some(text)
    }

    fn must_be_empty(&self, usage: &Usage) -> Result<(), Refusal> {
        let extra = match self.left.front() {
            None => return Ok(()),
            Some(Word::Bare(word) | Word::Quoted(word)) => word.clone(),
            Some(Word::Option(key, value)) => format!("{key}:{value}"),
        };
        Err(left_over(usage, &extra))
    }
}

/// `name-17`: ends in a hyphen and digits.
fn looks_like_id(word: &str) -> bool {
    word.rsplit_once('-').is_some_and(|(name, counter)| {
        !name.is_empty() && !counter.is_empty() && counter.bytes().all(|b| b.is_ascii_digit())
    })
}
