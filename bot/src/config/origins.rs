//! Owns the answer to "who says so": the line of the file, the variable or the flag behind a setting or a fault.
//! Refuses to show what they say: a value may be a secret.

use std::cell::RefCell;

use ::config::{Value, ValueKind};
use serde::Serialize;

use super::places::Places;
use super::section::{Notes, Section, variable};
use super::{Config, Fault, Faults, Sources};

/// A setting that is not left at its default, and who says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// The path of the key.
    pub path: String,
    /// `tidegate.yml:12`, a variable, or a flag.
    pub from: String,
}

/// Every key that can be set, by its path; tables as such are left out. A name of the user's choice is `<name>`, and `[]` an
/// item of a list.
pub fn keys() -> Vec<String> {
    let notes = Notes {
        asked: Some(RefCell::default()),
        ..Notes::default()
    };
    Config::read(&mut Section::root(Value::default(), &notes));
    let asked = notes.asked.map(RefCell::into_inner).unwrap_or_default();
    let is_table = |key: &String| {
        let below = [format!("{key}."), format!("{key}[].")];
        asked
            .iter()
            .any(|other| below.iter().any(|below| other.starts_with(below)))
    };
    asked.iter().filter(|key| !is_table(key)).cloned().collect()
}

impl Sources {
    /// Every setting that somebody made, by path.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn settings(&self) -> Result<Vec<Setting>, Faults> {
        let mut settings = Vec::new();
        let places = self.places();
        leaves("", &self.merge()?, &mut |path, value| {
            let defaulted = value.origin() == Some(super::DEFAULTS);
            let from = self.origin_of(&path, &places).filter(|_| !defaulted);
            settings.extend(from.map(|from| Setting { path, from }));
        });
        settings.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(settings)
    }

    /// The same faults, each with who is to blame as exactly as that is known.
    pub(super) fn located(&self, faults: Vec<Fault>) -> Vec<Fault> {
        let places = self.places();
        let file = self.file.as_ref().map(|file| file.display().to_string());
        let locate = |fault: Fault| match &fault.origin {
            Some(origin) if Some(origin) != file.as_ref() => fault,
            _ => Fault {
                origin: self.origin_of(&fault.path, &places).or(fault.origin),
                ..fault
            },
        };
        faults.into_iter().map(locate).collect()
    }

    fn origin_of(&self, path: &str, places: &Places) -> Option<String> {
        if self.flags.iter().any(|(key, _)| *key == path) {
            return Some(format!("--{}", path.replace('_', "-")));
        }
        let named = variable(path);
        if self.environment.keys().any(|known| known.to_uppercase() == named) {
            return Some(named);
        }
        let (file, line) = (self.file.as_ref()?, places.nearest(path)?);
        Some(format!("{}:{line}", file.display()))
    }

    fn places(&self) -> Places {
        let text = self.file.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
        text.map(|text| Places::of(&text)).unwrap_or_default()
    }
}

fn leaves(path: &str, value: &Value, see: &mut impl FnMut(String, &Value)) {
    match &value.kind {
        ValueKind::Table(table) => {
            for (key, value) in table {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                leaves(&path, value, see);
            }
        }
        _ => see(path.to_owned(), value),
    }
}
