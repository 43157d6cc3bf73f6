//! Owns what happens to text from outside on its way in: bounded where it is quoted, without NUL where it is stored.
//! Refuses every other change: text is data, and is escaped by whoever shows it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use tidegate_rollout::Labels;

/// More labels or annotations than this on one alert are an attack, not an alert.
const MAX_LABELS: usize = 1_000;

/// So much of somebody else's text is quoted in an error, in characters.
const QUOTED: usize = 200;

/// Makes NUL visible: databases refuse it in text, and it would cut the text short in a C program.
pub(crate) fn without_nul(text: String) -> String {
    if text.contains('\0') {
        text.replace('\0', "␀")
    } else {
        text
    }
}

/// The beginning of a message that may quote a sender.
pub(crate) fn brief(message: &impl fmt::Display) -> String {
    without_nul(message.to_string().chars().take(QUOTED).collect())
}

/// Labels or annotations on the wire: a JSON object of strings, each name once.
#[derive(Debug, Default)]
pub(crate) struct Texts(pub(crate) Labels);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TextsVisitor)
    }
}

struct TextsVisitor;

impl<'de> Visitor<'de> for TextsVisitor {
    type Value = Texts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Texts, A::Error> {
        let mut texts = Labels::new();
        while let Some(name) = map.next_key::<String>()? {
            let name = without_nul(name);
            let value: String = map
                .next_value()
                .map_err(|error| A::Error::custom(format_args!("`{}`: {error}", brief(&name))))?;
            if texts.len() == MAX_LABELS {
                return Err(A::Error::custom(format_args!("more than {MAX_LABELS} names")));
            }
            // Which of two values counts would depend on who reads it, so neither does.
            if texts.insert(name, without_nul(value)).is_some() {
                return Err(A::Error::custom("the same name twice"));
            }
        }
        Ok(Texts(texts))
    }
}
