//! Owns the pieces that messages and forms in Slack are built of, bounded as Slack bounds them.
//! Refuses Slack's markup: text stands in `plain_text` objects, escaped, or in rich text, which is never parsed. So a word
//! from outside can neither call anybody, nor look like a word of ours, nor make a message too long to be taken.

use serde_json::{Value, json};

use super::button::Button;
use super::plain::{newest_lines, visible_within};

/// The most characters of a text object, of a header, of a button.
pub const TEXT: usize = 3_000;
const HEADER: usize = 150;
const BUTTON: usize = 75;
const CONTEXT: usize = 2_000;
/// The most characters of the text that stands for a whole message; Slack cuts at 40,000, phones much earlier.
const WHOLE: usize = 3_500;

/// Text as Slack shows it and nothing else: its three control characters escaped, what is invisible named.
pub fn escape(text: &str) -> String {
    within(text, usize::MAX)
}

/// Escaped text of at most so many characters; what is cut off leaves `…`.
pub fn within(text: &str, most: usize) -> String {
    let text = visible_within(text, usize::MAX);
    let (mut out, mut length) = (String::with_capacity(text.len()), 0);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let piece = match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            _ => "",
        };
        let more = piece.len().max(1);
        let room = most - usize::from(chars.peek().is_some());
        if length + more > room {
            out.push('…');
            break;
        }
        length += more;
        if piece.is_empty() {
            out.push(c);
        } else {
            out.push_str(piece);
        }
    }
    out
}

/// Unescaped text of at most so many characters, for rich text.
fn literal(text: &str, most: usize) -> String {
    let text = visible_within(text, usize::MAX);
    if text.chars().count() <= most {
        return text.into_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

/// The text that stands for a whole message: on a lock screen, in a reader's voice, in a search.
pub fn whole(text: &str) -> String {
    within(text, WHOLE)
}

/// A `plain_text` object.
pub fn plain(text: &str, most: usize) -> Value {
    // Slack refuses an empty one.
    let text = if text.is_empty() { "–" } else { text };
    json!({ "type": "plain_text", "text": within(text, most), "emoji": false })
}

/// A headline.
pub fn header(text: &str) -> Value {
    json!({ "type": "header", "text": plain(text, HEADER) })
}

/// A piece of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Run {
    /// As it is.
    Plain(String),
    /// Bold; for our own words.
    Bold(&'static str),
    /// Somebody, by their member id, who is called.
    Person(String),
}

/// Lines, one below the other, literally as they are.
pub fn lines(block: &str, lines: &[Vec<Run>]) -> Value {
    let mut elements = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        if number > 0 {
            elements.push(json!({ "type": "text", "text": "\n" }));
        }
        // Slack refuses an empty piece.
        elements.extend(line.iter().filter_map(|run| match run {
            Run::Plain(text) if text.is_empty() => None,
            Run::Plain(text) => Some(json!({ "type": "text", "text": literal(text, TEXT) })),
            Run::Bold(text) => Some(json!({ "type": "text", "text": text, "style": { "bold": true } })),
            Run::Person(member) => Some(json!({ "type": "user", "user_id": member })),
        }));
    }
    rich(block, json!({ "type": "rich_text_section", "elements": elements }))
}

/// One text, literally as it is.
pub fn words(block: &str, text: &str) -> Value {
    lines(block, &[vec![Run::Plain(text.to_owned())]])
}

/// Points, each on a line of its own.
pub fn points(block: &str, points: &[String]) -> Value {
    let point = |text: &String| {
        let text = literal(text, TEXT);
        json!({ "type": "rich_text_section", "elements": [{ "type": "text", "text": text }] })
    };
    let elements: Vec<Value> = points.iter().map(point).collect();
    rich(
        block,
        json!({ "type": "rich_text_list", "style": "bullet", "elements": elements }),
    )
}

/// A table of a few columns. A long one keeps its end, which is the newest, and says what it lacks.
pub fn table(block: &str, text: &str) -> Value {
    let shown = newest_lines(&visible_within(text, usize::MAX), TEXT);
    let elements = json!([{ "type": "text", "text": literal(&shown, TEXT) }]);
    rich(block, json!({ "type": "rich_text_preformatted", "elements": elements }))
}

fn rich(block: &str, element: Value) -> Value {
    json!({ "type": "rich_text", "block_id": block, "elements": [element] })
}

/// Small print.
pub fn context(block: &str, text: &str) -> Value {
    json!({ "type": "context", "block_id": block, "elements": [plain(text, CONTEXT)] })
}

/// A button as Slack draws it. What cannot be pressed now is left out by whoever makes the row: Slack greys nothing out.
fn drawn(button: &Button) -> Value {
    let mut element = json!({
        "type": "button",
        "action_id": button.action,
        "value": button.value,
        "text": plain(&button.label, BUTTON),
        "accessibility_label": within(&button.aloud, BUTTON),
    });
    if button.dangerous {
        element["style"] = "danger".into();
    }
    if let Some(link) = &button.link {
        element["url"] = link.as_str().into();
    }
    if let Some(confirm) = &button.confirm {
        element["confirm"] = json!({
            "title": plain(&confirm.title, 100),
            "text": plain(&confirm.text, 300),
            "confirm": plain(confirm.yes, 30),
            "deny": plain(confirm.no, 30),
        });
        if button.dangerous {
            element["confirm"]["style"] = "danger".into();
        }
    }
    element
}

/// A row of buttons.
pub fn actions(block: &str, buttons: &[Button]) -> Value {
    let elements: Vec<Value> = buttons.iter().map(drawn).collect();
    json!({ "type": "actions", "block_id": block, "elements": elements })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_never_cut_in_two() {
        assert_eq!(escape("<!channel> & <@U1>"), "&lt;!channel&gt; &amp; &lt;@U1&gt;");
        for most in 1..30 {
            let cut = within("a<b>c&d<!here>", most);
            assert!(cut.chars().count() <= most, "{most}: {cut}");
            let whole = cut
                .trim_end_matches('…')
                .replace("&lt;", "")
                .replace("&gt;", "")
                .replace("&amp;", "");
            assert!(!whole.contains(['&', '<', '>']), "{most}: {cut}");
        }
        assert_eq!(within("abc", 3), "abc");
        assert_eq!(within("abcd", 3), "ab…");
    }

    #[test]
    fn a_long_table_keeps_its_end_and_says_so() {
        let text: Vec<String> = (0..400).map(|n| format!("line {n}")).collect();
        let table = table("t", &text.join("\n"));
        let shown = table.pointer("/elements/0/elements/0/text").unwrap().as_str().unwrap();
        assert!(shown.ends_with("line 399") && shown.starts_with("… "), "{shown}");
        assert!(shown.chars().count() <= TEXT);
    }

    #[test]
    fn nothing_is_empty_or_too_long() {
        assert_eq!(plain("", 10)["text"], "–");
        let long = header(&"<".repeat(500));
        assert!(long["text"]["text"].as_str().unwrap().chars().count() <= HEADER);
    }
}
