//! Owns what text from outside may look like when it is shown: every character visible, no line of its own, not endless.
//! Refuses to drop characters without a trace: what is not shown is named.

use std::borrow::Cow;
use std::fmt::Write;

use serde_json::Value;

use super::mention;

/// The most characters of one value.
const LONGEST_VALUE: usize = 2_000;
/// The most items of one list.
const LONGEST_LIST: usize = 50;

/// Makes every text inside `value` safe to stand in a line of plain text, and bounds texts and lists.
pub(super) fn tame(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Cow::Owned(changed) = one_line(text) {
                *text = changed;
            }
        }
        Value::Array(items) => {
            let left = items.len().saturating_sub(LONGEST_LIST);
            items.truncate(LONGEST_LIST);
            items.iter_mut().for_each(tame);
            if left > 0 && items.iter().all(Value::is_string) {
                items.push(Value::String(format!("{left} more")));
            }
        }
        Value::Object(fields) => fields.iter_mut().for_each(|(_, value)| tame(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// `text` on one line: as [`visible`], and a line break becomes `↵`, so that a value can never forge a line.
pub fn one_line(text: &str) -> Cow<'_, str> {
    match visible(text) {
        Cow::Borrowed(text) if !text.contains(['\n', '\t']) => Cow::Borrowed(text),
        text => Cow::Owned(text.replace('\n', " ↵ ").replace('\t', " ")),
    }
}

/// `text` with everything invisible named: control characters as their pictures, direction marks and the like by their
/// number. Line breaks stay. At most 2,000 characters; what is left out is counted.
pub fn visible(text: &str) -> Cow<'_, str> {
    visible_within(text, LONGEST_VALUE)
}

/// As [`visible`], up to so many characters: for texts that are bounded elsewhere.
pub(super) fn visible_within(text: &str, most: usize) -> Cow<'_, str> {
    let harmless = |c: char| picture(c).is_none();
    if text.len() <= most && text.chars().all(harmless) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len().min(4 * LONGEST_VALUE));
    let mut chars = text.chars();
    for c in chars.by_ref().take(most) {
        match picture(c) {
            None => shown.push(c),
            Some(Picture::Nothing) => {}
            Some(Picture::Char(other)) => shown.push(other),
            // Writing to a string cannot fail.
            Some(Picture::Number) => drop(write!(shown, "‹U+{:04X}›", u32::from(c))),
        }
    }
    match chars.count() {
        0 => {}
        left => drop(write!(shown, "… ({left} more characters)")),
    }
    Cow::Owned(shown)
}

/// As many lines from the end, where the newest ones are, as fit into so many characters; says how many are left out.
pub(super) fn newest_lines(text: &str, most: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    let (mut length, mut kept) = (0, 0);
    for line in all.iter().rev() {
        length += line.encode_utf16().count() + 1;
        if length > most.saturating_sub(100) {
            break;
        }
        kept += 1;
    }
    let left_out = all.len() - kept;
    let shown = all[left_out..].join("\n");
    match left_out {
        0 => shown,
        left_out => format!("… {left_out} lines before these\n{shown}"),
    }
}

enum Picture {
    Nothing,
    Char(char),
    Number,
}

/// How a character is shown that cannot be shown as itself; `None`: as itself.
fn picture(c: char) -> Option<Picture> {
    match c {
        '\n' | '\t' => None,
        '\r' => Some(Picture::Nothing),
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(c)).map(Picture::Char),
        '\u{7f}' => Some(Picture::Char('\u{2421}')),
        '\u{80}'..='\u{9f}' => Some(Picture::Number),
        // What marks the places where people are named.
        mention::OPEN | mention::CLOSE => Some(Picture::Number),
        // Direction marks, embeddings, overrides and isolates; zero-width space, word joiner, byte order mark; tags.
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            Some(Picture::Number)
        }
        '\u{200b}' | '\u{2060}' | '\u{feff}' | '\u{2028}' | '\u{2029}' | '\u{e0000}'..='\u{e007f}' => {
            Some(Picture::Number)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_named() {
        assert_eq!(visible("a\u{202e}b"), "a‹U+202E›b");
        assert_eq!(visible("\u{1b}[31mred\0\u{7f}"), "␛[31mred␀␡");
        assert_eq!(visible("zero\u{200b}width\u{feff}"), "zero‹U+200B›width‹U+FEFF›");
        assert_eq!(visible("\u{e000}ana\u{e001}"), "‹U+E000›ana‹U+E001›");
        assert!(matches!(visible("plain, ünïcode 👍🏽\nnext"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_value_never_makes_a_line_of_its_own() {
        assert_eq!(one_line("one\r\ntwo\tthree"), "one ↵ two three");
        assert_eq!(one_line("one\u{2028}two"), "one‹U+2028›two");
    }

    #[test]
    fn long_texts_and_lists_are_cut_and_say_so() {
        let long = "x".repeat(LONGEST_VALUE + 7);
        assert!(visible(&long).ends_with("x… (7 more characters)"));
        let mut list = Value::from((0..60).map(|n| n.to_string()).collect::<Vec<_>>());
        tame(&mut list);
        let items = list.as_array().unwrap();
        assert_eq!((items.len(), items.last().unwrap().as_str()), (51, Some("10 more")));
    }
}
