//! Owns the places of a text where people are named: a helper marks them, and each surface makes of it what calls somebody there.
//! Refuses marks from outside: a value that holds the characters of a mark shows their numbers instead.

use tidegate_rollout::PersonId;

/// What a mark begins and ends with. They are of the private use area: nobody types them, and whatever comes from outside
/// is shown without them.
pub(super) const OPEN: char = '\u{e000}';
pub(super) const CLOSE: char = '\u{e001}';

/// A piece of the words of a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text.
    Text(String),
    /// Somebody.
    Person(PersonId),
}

/// The words of a notice, with the people who are called in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words(Vec<Piece>);

impl Words {
    /// Reads what a template wrote.
    pub(super) fn read(written: &str) -> Self {
        let mut pieces = Vec::new();
        for (number, part) in written.split(OPEN).enumerate() {
            // What stands before the first mark belongs to none.
            let text = match part.split_once(CLOSE).filter(|_| number > 0) {
                Some((person, text)) => {
                    pieces.push(Piece::Person(PersonId::new(person)));
                    text
                }
                None => part,
            };
            if !text.is_empty() {
                pieces.push(Piece::Text(text.to_owned()));
            }
        }
        Self(pieces)
    }

    /// Its pieces, in order.
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// All of it as plain text, people by the names that plans know them by.
    pub fn named(&self) -> String {
        let text = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Person(person) => person.to_string(),
        };
        self.0.iter().map(text).collect()
    }
}

/// Words in which nobody is called.
impl From<String> for Words {
    fn from(text: String) -> Self {
        Self(vec![Piece::Text(text)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(name: &str) -> Piece {
        Piece::Person(PersonId::new(name))
    }

    fn text(text: &str) -> Piece {
        Piece::Text(text.to_owned())
    }

    #[test]
    fn people_are_found_where_they_are_marked_and_named_where_nobody_can_be_called() {
        let words = Words::read("Ask \u{e000}jon\u{e001}, \u{e000}nia\u{e001} now.");
        assert_eq!(
            words.pieces(),
            [text("Ask "), person("jon"), text(", "), person("nia"), text(" now.")]
        );
        assert_eq!(words.named(), "Ask jon, nia now.");
        assert_eq!(Words::read("nobody").pieces(), [text("nobody")]);
        assert_eq!(Words::read("").named(), "");
    }

    #[test]
    fn words_made_of_text_call_nobody_whatever_stands_in_it() {
        let words = Words::from("\u{e000}jon\u{e001}".to_owned());
        assert!(words.pieces().iter().all(|piece| matches!(piece, Piece::Text(_))));
    }
}
