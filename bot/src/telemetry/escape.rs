//! Owns the promise that one event is one line: whatever a sender wrote, it cannot start a line of its own, move the
//! cursor, or turn the reading direction around.
//! Refuses to drop anything: what is dangerous is written as its number.

use std::io::{self, Write};

use tracing_subscriber::fmt::MakeWriter;

/// Writes events to another stream, each as one harmless line.
pub(super) struct OneLine<M>(M);

impl<M> OneLine<M> {
    pub(super) fn to(stream: M) -> Self {
        Self(stream)
    }
}

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for OneLine<M> {
    type Writer = Line<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Line(self.0.make_writer())
    }
}

/// The subscriber hands over one whole event in one call.
pub(super) struct Line<W>(W);

impl<W: Write> Write for Line<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        self.0.write_all(one_line(&text).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// `text` as one line with exactly one line break, at its end.
fn one_line(text: &str) -> String {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let mut out = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        if is_dangerous(c) {
            // The form of JSON, so that a JSON line stays one.
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    out.push('\n');
    out
}

/// Control characters, line separators, and what changes the direction or hides text.
fn is_dangerous(c: char) -> bool {
    let hides = matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}');
    let isolates = matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}');
    let tags = matches!(c, '\u{e0000}'..='\u{e007f}');
    c.is_control() || hides || isolates || tags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_is_in_it() {
        let attack = "before\nts=now level=error msg=forged\r\u{1b}[2J\u{202e}txt\u{2028}\u{85}\0\u{e0041}after\n";
        let line = one_line(attack);
        assert_eq!(line.matches('\n').count(), 1);
        assert!(line.ends_with("after\n"));
        assert!(!line.chars().any(|c| c != '\n' && is_dangerous(c)), "{line:?}");
        assert!(line.contains("before\\u000ats=now"), "{line}");
        assert!(
            line.contains("\\u202etxt\\u2028\\u0085\\u0000\\udb40\\udc41after"),
            "{line}"
        );
    }

    #[test]
    fn a_json_line_reads_back_what_was_said() {
        let said = "a\u{202e}b\u{7f}c\u{e0041}\u{200b}é";
        let line = one_line(&serde_json::json!({ "message": said }).to_string());
        let back: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(back["message"], said);
    }
}
