//! Owns the shape of a statement, and the one list of them all.
//! Refuses dialects: a text is the same on both engines; the few that cannot be live in [`super::dialect`].

use std::fmt::Write;

/// A fixed statement with `$1` markers.
#[derive(Debug)]
pub(super) struct Statement {
    /// What it tries to do, for errors: "could not …".
    pub(super) tries: &'static str,
    pub(super) sqlite: &'static str,
    pub(super) postgres: &'static str,
}

impl Statement {
    /// The same text on both engines.
    pub(super) const fn common(tries: &'static str, text: &'static str) -> Self {
        Self::apart(tries, text, text)
    }

    /// A text of its own for each engine; only for [`super::dialect`].
    pub(super) const fn apart(tries: &'static str, sqlite: &'static str, postgres: &'static str) -> Self {
        Self {
            tries,
            sqlite,
            postgres,
        }
    }
}

/// A statement over many rows of arguments: `head VALUES (…), (…) tail`.
#[derive(Debug)]
pub(super) struct Many {
    pub(super) tries: &'static str,
    pub(super) head: &'static str,
    pub(super) columns: usize,
    pub(super) tail: &'static str,
}

/// How a text says where its arguments go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Markers {
    /// `?`: the next one. To SQLite `$1` is a name, and it looks for a name in a list, one after the other: with some
    /// thousand arguments that alone costs as much as everything else.
    InTurn,
    /// `$1`: the only ones that PostgreSQL knows.
    Numbered,
}

impl Many {
    /// The text for so many rows.
    pub(super) fn text(&self, rows: usize, markers: Markers) -> String {
        let mut text = String::with_capacity(self.head.len() + self.tail.len() + rows * self.columns * 6);
        text.push_str(self.head);
        for row in 0..rows {
            text.push_str(if row == 0 { " VALUES (" } else { ", (" });
            for column in 1..=self.columns {
                let comma = if column == 1 { "" } else { ", " };
                // Writing to a String cannot fail.
                let _ = match markers {
                    Markers::InTurn => write!(text, "{comma}?"),
                    Markers::Numbered => write!(text, "{comma}${}", row * self.columns + column),
                };
            }
            text.push(')');
        }
        text.push(' ');
        text.push_str(self.tail);
        text
    }
}

/// Rows are written in groups of powers of two, so that few different texts are prepared, and each is found in the
/// connection's cache again.
pub(super) fn groups(mut rows: usize) -> impl Iterator<Item = usize> {
    const LARGEST: usize = 256;
    std::iter::from_fn(move || {
        let group = match rows {
            0 => return None,
            rows if rows >= LARGEST => LARGEST,
            rows => 1 << rows.ilog2(),
        };
        rows -= group;
        Some(group)
    })
}

/// Declares the statements of a file, and their list.
macro_rules! statements {
    ($($name:ident: $tries:literal = $text:literal;)+) => {
        $(const $name: $crate::store::sql::Statement = $crate::store::sql::Statement::common($tries, $text);)+
        pub(super) const STATEMENTS: &[&$crate::store::sql::Statement] = &[$(&$name),+];
    };
}
pub(super) use statements;

/// Every fixed statement of the store.
pub(super) fn every() -> impl Iterator<Item = &'static Statement> {
    [
        super::alerts::STATEMENTS,
        super::begin::STATEMENTS,
        super::cards::STATEMENTS,
        super::dialect::STATEMENTS,
        super::environments::STATEMENTS,
        super::flags::STATEMENTS,
        super::inbox::STATEMENTS,
        super::lease::STATEMENTS,
        super::letters::STATEMENTS,
        super::log::STATEMENTS,
        super::messages::STATEMENTS,
        super::open::STATEMENTS,
        super::outbox::STATEMENTS,
        super::prune::STATEMENTS,
        super::rollouts::STATEMENTS,
        super::said::STATEMENTS,
        super::save::STATEMENTS,
        super::takeover::STATEMENTS,
        super::tokens::STATEMENTS,
        super::writer::STATEMENTS,
    ]
    .into_iter()
    .flatten()
    .copied()
}

/// Every statement over many rows.
pub(super) const EVERY_MANY: &[&Many] = &[
    &super::alerts::END_EARLIER,
    &super::alerts::UPSERT,
    &super::log::APPEND,
    &super::messages::ANNOUNCE,
    &super::messages::ENQUEUE,
    &super::outbox::ENQUEUE,
    &super::writer::INSERT,
    &super::writer::SETTLE,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_count_on_over_the_rows() {
        let many = Many {
            tries: "count",
            head: "INSERT INTO t (a, b)",
            columns: 2,
            tail: "ON CONFLICT DO NOTHING",
        };
        assert_eq!(
            many.text(2, Markers::Numbered),
            "INSERT INTO t (a, b) VALUES ($1, $2), ($3, $4) ON CONFLICT DO NOTHING"
        );
        assert_eq!(
            many.text(2, Markers::InTurn),
            "INSERT INTO t (a, b) VALUES (?, ?), (?, ?) ON CONFLICT DO NOTHING"
        );
    }

    #[test]
    fn groups_add_up_and_are_powers_of_two() {
        for rows in [0, 1, 13, 255, 256, 600] {
            let sizes: Vec<usize> = groups(rows).collect();
            assert_eq!(sizes.iter().sum::<usize>(), rows);
            assert!(
                sizes.iter().all(|size| size.is_power_of_two() && *size <= 256),
                "{sizes:?}"
            );
        }
    }
}
