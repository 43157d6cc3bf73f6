//! Owns the way from a tree of values to typed settings: each key is taken once, every fault is noted, and what nobody
//! took is unknown.
//! Refuses to stop at a fault: the reader goes on with a stand-in, and the whole is thrown away in the end.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use config::{Map, Value, ValueKind};
use secrecy::SecretString;
use tidegate_rollout::Period;
use tidegate_rollout::plan::suggest::closest;
use url::Url;

use super::fault::Fault;
use crate::secret;

/// The origin that the `config` crate gives to values from the environment.
const ENVIRONMENT: &str = "the environment";

/// Stands for a name of the user's choice in the list of all keys.
const ANY: &str = "<name>";

/// What a reading has found so far, and what relative paths are relative to.
#[derive(Default)]
pub(super) struct Notes {
    /// Every key that was asked for, where somebody wants the list; tables that are not there are then read all the same.
    pub(super) asked: Option<RefCell<BTreeSet<String>>>,
    pub(super) faults: RefCell<Vec<Fault>>,
    pub(super) warnings: RefCell<Vec<String>>,
    pub(super) directory: PathBuf,
}

/// One table of the configuration while it is being read.
pub(super) struct Section<'a> {
    path: String,
    table: Map<String, Value>,
    known: Vec<&'static str>,
    notes: &'a Notes,
}

impl<'a> Section<'a> {
    /// The whole configuration.
    pub(super) fn root(value: Value, notes: &'a Notes) -> Self {
        Self::new(String::new(), value, notes)
    }

    fn new(path: String, value: Value, notes: &'a Notes) -> Self {
        let mut section = Self {
            path,
            table: Map::new(),
            known: Vec::new(),
            notes,
        };
        let origin = value.origin().map(str::to_owned);
        match value.kind {
            ValueKind::Table(table) => section.table = table,
            ValueKind::Nil => {}
            _ => {
                let path = section.path.clone();
                section.note(path, origin, "must be a table of `key: value` lines");
            }
        }
        section
    }

    /// Where this table stands, and `key` in it.
    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// Notes that something is wrong with `key`.
    pub(super) fn fault(&self, key: &str, message: impl Display) {
        self.note(self.path_of(key), None, message);
    }

    /// Notes that something is wrong with this table as a whole, unless that is only the echo of a fault inside.
    pub(super) fn whole(&self, message: impl Display) {
        let inside = format!("{}.", self.path);
        let is_echo = self
            .notes
            .faults
            .borrow()
            .iter()
            .any(|fault| fault.path.starts_with(&inside));
        if !is_echo {
            self.note(self.path.clone(), None, message);
        }
    }

    /// The first fault of a key is the one that counts: after it a stand-in is judged.
    fn note(&self, path: String, origin: Option<String>, message: impl Display) {
        let origin = origin.map(|origin| if origin == ENVIRONMENT { variable(&path) } else { origin });
        let mut faults = self.notes.faults.borrow_mut();
        if !faults.iter().any(|fault| fault.path == path) {
            let message = message.to_string();
            faults.push(Fault { path, origin, message });
        }
    }

    /// The key is one that can be set.
    fn know(&mut self, key: &'static str) {
        self.known.push(key);
        if let Some(asked) = &self.notes.asked {
            asked.borrow_mut().insert(self.path_of(key));
        }
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.know(key);
        self.table.remove(key).filter(|value| value.kind != ValueKind::Nil)
    }

    /// The text at `key`; numbers and booleans are taken as they are written.
    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        let value = self.take(key)?;
        self.scalar(self.path_of(key), value)
    }

    fn scalar(&self, path: String, value: Value) -> Option<String> {
        let origin = value.origin().map(str::to_owned);
        match value.into_string() {
            Ok(text) => Some(text),
            Err(_) => {
                self.note(path, origin, "must be one value, not a list or a table");
                None
            }
        }
    }

    /// The value at `key`, read from its text; nothing where nothing is said.
    pub(super) fn optional<T: FromStr<Err: Display>>(&mut self, key: &'static str) -> Option<T> {
        let value = self.take(key)?;
        let origin = value.origin().map(str::to_owned);
        let text = self.scalar(self.path_of(key), value)?;
        match text.parse() {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                self.note(self.path_of(key), origin, error);
                None
            }
        }
    }

    /// The value at `key`, which must be there; a stand-in and a fault where it is not.
    pub(super) fn required<T: FromStr<Err: Display> + Default>(&mut self, key: &'static str) -> T {
        if !self.table.contains_key(key) {
            self.know(key);
            self.fault(key, "is missing");
            return T::default();
        }
        self.optional(key).unwrap_or_default()
    }

    /// The whole number at `key`; nothing where nothing is said.
    pub(super) fn optional_number<T: FromStr + Default>(&mut self, key: &'static str) -> Option<T> {
        self.optional::<Plain<T>>(key).map(|plain| plain.0)
    }

    /// Notes a period at `key` that is not within `least` and `most`.
    pub(super) fn within(&self, key: &str, period: Period, least: Period, most: Period, why: &str) {
        if period < least || most < period {
            self.fault(key, format_args!("must be between `{least}` and `{most}`: {why}"));
        }
    }

    /// The whole number at `key`, which must be there.
    pub(super) fn number<T: FromStr + Default>(&mut self, key: &'static str) -> T {
        self.required::<Plain<T>>(key).0
    }

    /// `true` or `false` at `key`, which must be there.
    pub(super) fn switch(&mut self, key: &'static str) -> bool {
        self.required::<Switch>(key).0
    }

    /// The list at `key`. One text is a list too, with commas between its items, as in an environment variable.
    pub(super) fn list<T: FromStr<Err: Display>>(&mut self, key: &'static str) -> Vec<T> {
        let Some(value) = self.take(key) else {
            return Vec::new();
        };
        let origin = value.origin().map(str::to_owned);
        let items: Vec<(String, String)> = match value.kind {
            ValueKind::Array(items) => {
                let path = |n| format!("{}[{n}]", self.path_of(key));
                let scalars = items.into_iter().enumerate();
                scalars
                    .filter_map(|(n, item)| Some((path(n), self.scalar(path(n), item)?)))
                    .collect()
            }
            ValueKind::String(text) => text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(|item| (self.path_of(key), item.to_owned()))
                .collect(),
            _ => {
                self.note(self.path_of(key), origin, "must be a list");
                return Vec::new();
            }
        };
        let parse = |(path, text): (String, String)| match text.parse() {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                self.note(path, origin.clone(), error);
                None
            }
        };
        items.into_iter().filter_map(parse).collect()
    }

    /// The table below `key`.
    pub(super) fn section<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Section<'_>) -> T) -> T {
        let value = self.take(key).unwrap_or_default();
        let mut section = Section::new(self.path_of(key), value, self.notes);
        let out = read(&mut section);
        section.finish();
        out
    }

    /// The table below `key`, if there is one.
    pub(super) fn section_if_any<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Section<'_>) -> T,
    ) -> Option<T> {
        if self.table.contains_key(key) || self.notes.asked.is_some() {
            Some(self.section(key, read))
        } else {
            self.know(key);
            None
        }
    }

    /// The tables below `key`, each under a name of the user's choice.
    pub(super) fn named<T>(&mut self, key: &'static str, mut read: impl FnMut(&str, &mut Section<'_>) -> T) -> Vec<T> {
        let value = self.take(key).unwrap_or_default();
        let mut all = Section::new(self.path_of(key), value, self.notes);
        if self.notes.asked.is_some() {
            all.table.insert(ANY.to_owned(), Value::default());
        }
        let mut names: Vec<_> = all.table.into_iter().collect();
        names.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut read_one = |(name, value): (String, Value)| {
            let mut section = Section::new(format!("{}.{name}", all.path), value, self.notes);
            let out = read(&name, &mut section);
            section.finish();
            out
        };
        names.into_iter().map(&mut read_one).collect()
    }

    /// The tables of the list at `key`.
    pub(super) fn each<T>(&mut self, key: &'static str, mut read: impl FnMut(&mut Section<'_>) -> T) -> Vec<T> {
        let taken = self.take(key);
        if self.notes.asked.is_some() {
            read(&mut Section::new(
                format!("{}[]", self.path_of(key)),
                Value::default(),
                self.notes,
            ));
            return Vec::new();
        }
        let Some(value) = taken else {
            return Vec::new();
        };
        let origin = value.origin().map(str::to_owned);
        let ValueKind::Array(items) = value.kind else {
            self.note(self.path_of(key), origin, "must be a list of tables");
            return Vec::new();
        };
        let path = self.path_of(key);
        let mut read_one = |(n, value): (usize, Value)| {
            let mut section = Section::new(format!("{path}[{n}]"), value, self.notes);
            let out = read(&mut section);
            section.finish();
            out
        };
        items.into_iter().enumerate().map(&mut read_one).collect()
    }

    /// The map of texts at `key`, such as labels.
    pub(super) fn texts(&mut self, key: &'static str) -> Vec<(String, String)> {
        let value = self.take(key).unwrap_or_default();
        let all = Section::new(self.path_of(key), value, self.notes);
        let table = all.table.clone().into_iter();
        table
            .filter_map(|(name, value)| Some((name.clone(), all.scalar(all.path_of(&name), value)?)))
            .collect()
    }

    /// A path at `key`, relative to the directory of the configuration file.
    pub(super) fn file(&mut self, key: &'static str) -> Option<PathBuf> {
        let text = self.text(key)?;
        Some(self.relative(&text))
    }

    /// `path` as seen from the directory of the configuration file.
    pub(super) fn relative(&self, path: &str) -> PathBuf {
        self.notes.directory.join(Path::new(path))
    }

    /// An `http` or `https` address at `key`, without user and password.
    pub(super) fn url(&mut self, key: &'static str) -> Option<Url> {
        let text = self.text(key)?;
        match web_address(&text) {
            Ok(url) => Some(url),
            Err(why) => {
                self.fault(key, why);
                None
            }
        }
    }

    /// As [`Self::url`], for an address that others are joined to: it ends with a slash.
    pub(super) fn folder(&mut self, key: &'static str) -> Option<Url> {
        let mut url = self.url(key)?;
        if url.query().is_some() || url.fragment().is_some() {
            self.fault(key, "must end with its path");
        }
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Some(url)
    }

    /// A secret: from the file that `file_key` names, or at `key` from the environment. In the configuration file
    /// itself it is refused, because that file is shown, copied and committed.
    pub(super) fn secret(&mut self, key: &'static str, file_key: &'static str) -> Option<SecretString> {
        let file = self.file(file_key);
        let plain = self.take(key);
        match (plain, file) {
            (Some(_), Some(_)) => {
                self.fault(key, format_args!("is given twice, here and by `{file_key}`"));
                None
            }
            (Some(value), None) if value.origin() == Some(ENVIRONMENT) => {
                let path = self.path_of(key);
                let secret = self.scalar(path.clone(), value).filter(|text| !text.trim().is_empty());
                if secret.is_none() {
                    let message = "is empty: a secret that everybody knows is none; unset the variable, or fill it";
                    self.note(path, Some(ENVIRONMENT.to_owned()), message);
                }
                secret.map(SecretString::from)
            }
            (Some(value), None) => {
                let origin = value.origin().map(str::to_owned);
                let path = self.path_of(key);
                let message = format!(
                    "a secret does not belong here; name its file in `{file_key}`, or set {}",
                    variable(&path)
                );
                self.note(path, origin, message);
                None
            }
            (None, Some(file)) => match secret::read(&file) {
                Ok(secret) => Some(secret),
                Err(error) => {
                    self.fault(file_key, error);
                    None
                }
            },
            (None, None) => None,
        }
    }

    /// Notes whatever nobody took. From the environment it is a warning only: Kubernetes sets variables such as
    /// `TIDEGATE_PORT` for every service of that name.
    pub(super) fn finish(self) {
        for (key, value) in &self.table {
            let near = closest(key, self.known.iter().copied())
                .map(str::to_owned)
                .or_else(|| self.joined(key));
            let path = self.path_of(key);
            if value.origin() == Some(ENVIRONMENT) {
                let meant = near.map(|near| format!("; did you mean {}?", variable(&self.path_of(&near))));
                let warning = format!("{} names no setting{}", variable(&path), meant.unwrap_or_default());
                self.notes.warnings.borrow_mut().push(warning);
                continue;
            }
            let help = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("possible: {}", self.known.join(", ")),
            };
            let origin = value.origin().map(str::to_owned);
            self.note(path, origin, format_args!("there is no such key; {help}"));
        }
    }

    /// `log.level` for `log_level`: one underscore too few.
    fn joined(&self, key: &str) -> Option<String> {
        let split = |section: &&str| {
            let rest = key.strip_prefix(*section)?.strip_prefix('_')?;
            Some(format!("{section}.{rest}"))
        };
        self.known.iter().find_map(split)
    }
}

/// A whole number that is not too large for what it counts.
#[derive(Default)]
struct Plain<T>(T);

impl<T: FromStr> FromStr for Plain<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = |_| format!("`{}` is no such number: write digits only", brief(text));
        text.parse().map(Self).map_err(refuse)
    }
}

/// `true` or `false`.
#[derive(Default)]
struct Switch(bool);

impl FromStr for Switch {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = |_| format!("`{}` is neither `true` nor `false`", brief(text));
        text.parse().map(Self).map_err(refuse)
    }
}

/// As much of a wrong value as helps to find it.
pub(super) fn brief(text: &str) -> String {
    text.chars().take(40).collect()
}

/// The environment variable that sets the key at `path`.
pub(super) fn variable(path: &str) -> String {
    format!("TIDEGATE_{}", path.to_uppercase().replace('.', "__"))
}

/// Reads an address that is fetched or posted to. The text stays out of the message: it may carry a secret.
pub(super) fn web_address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("is not an address: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err("must begin with `http://` or `https://` and name a host".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not contain a user or password".to_owned());
    }
    Ok(url)
}
