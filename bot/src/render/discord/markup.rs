//! Owns text that Discord reads as markup: whatever came from outside was escaped, and only our own words are more.
//! Refuses to be made of a bare string, so that nothing gets into a message without having been escaped.

use crate::render::plain::{newest_lines, visible_within};

/// What is markup wherever it stands: escapes, emphasis, code, spoilers, mentions, emoji, links with and without a text.
const ANYWHERE: &str = r"\*_~`|<>[]():@";
/// What is markup where a line begins: headlines, small print, lists, quotes.
const FIRST: &str = "#-+";

/// Text that Discord may read as markup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Markup {
    /// Pieces that must not be cut in two.
    pieces: Vec<String>,
    whole: String,
}

impl Markup {
    /// Text from anywhere, shown as it is, in at most so many characters as Discord counts them; what is cut off leaves `…`.
    pub fn text(text: &str, most: usize) -> Self {
        Self::of(escaped(&cut(&visible_within(text, usize::MAX), most))).within(most)
    }

    /// A word of ours, bold.
    pub fn bold(word: &'static str) -> Self {
        Self::of([format!("**{word}**")])
    }

    /// Somebody, by their user id. They are called where the message allows that, too.
    pub fn person(user: u64) -> Self {
        Self::of([format!("<@{user}>")])
    }

    /// A line of small print below the text; for ids.
    pub fn small_print(text: &str) -> Self {
        let mut pieces = vec!["\n-# ".to_owned()];
        pieces.extend(escaped(text));
        Self::of(pieces)
    }

    /// A table of a few columns, literally. A long one keeps its end, which is the newest.
    pub fn table(text: &str, most: usize) -> Self {
        let text = visible_within(text, usize::MAX);
        // Three ticks would end it; between two of them nothing can be seen.
        let text = text.replace('`', "`\u{200b}");
        let (open, close) = ("```\n", "\n```");
        let room = most - open.len() - close.len();
        let shown = cut(&newest_lines(&text, room), room);
        Self::of([format!("{open}{shown}{close}")])
    }

    /// Both, one after the other.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.whole.push_str(&other.whole);
        self.pieces.extend(other.pieces);
        self
    }

    /// Texts, one below the other.
    pub fn lines(lines: impl IntoIterator<Item = Self>) -> Self {
        lines
            .into_iter()
            .fold(Self::default(), |all, line| match all.is_empty() {
                true => line,
                false => all.and(Self::of(["\n".to_owned()])).and(line),
            })
    }

    /// Its beginning, of at most so many characters as Discord counts them.
    #[must_use]
    pub fn within(&self, most: usize) -> Self {
        if length(&self.whole) <= most {
            return self.clone();
        }
        // One for the dots.
        let (mut used, mut kept) = (1, 0);
        for piece in &self.pieces {
            used += length(piece);
            if used > most {
                break;
            }
            kept += 1;
        }
        let mut pieces = self.pieces[..kept].to_vec();
        pieces.push("…".to_owned());
        Self::of(pieces)
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.whole.is_empty()
    }

    /// As it goes over the wire.
    pub fn as_str(&self) -> &str {
        &self.whole
    }

    fn of(pieces: impl IntoIterator<Item = String>) -> Self {
        let pieces: Vec<String> = pieces.into_iter().collect();
        Self {
            whole: pieces.concat(),
            pieces,
        }
    }
}

/// Discord counts as JavaScript does.
fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Plain text of at most so many characters as Discord counts them.
pub(super) fn cut(text: &str, most: usize) -> String {
    if length(text) <= most {
        return text.to_owned();
    }
    let mut used = 1;
    let fits = |c: &char| {
        used += c.len_utf16();
        used <= most
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

/// Every character as Discord shows it and nothing else.
fn escaped(text: &str) -> Vec<String> {
    let (mut first, mut number) = (true, false);
    let piece = |c: char| {
        let begins = (first && FIRST.contains(c)) || (number && c == '.');
        (first, number) = match c {
            '\n' => (true, false),
            ' ' | '\t' => (first, false),
            c => (false, c.is_ascii_digit() && (first || number)),
        };
        match begins || ANYWHERE.contains(c) {
            true => format!("\\{c}"),
            false => c.to_string(),
        }
    };
    text.chars().map(piece).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        Markup::text(text, 2_000).as_str().to_owned()
    }

    #[test]
    fn nothing_from_outside_is_more_than_text() {
        for (text, expected) in [
            ("**b** _i_ ~~s~~ ||x||", r"\*\*b\*\* \_i\_ \~\~s\~\~ \|\|x\|\|"),
            (
                "@everyone <@1> <@&2> <#3> </x:4>",
                r"\@everyone \<\@1\> \<\@&2\> \<#3\> \</x\:4\>",
            ),
            ("[a](https://evil.example)", r"\[a\]\(https\://evil.example\)"),
            ("<t:0:R> :smile: `code`", r"\<t\:0\:R\> \:smile\: \`code\`"),
            (
                "# big\n-# small\n> quote\n- point\n  + more\n1. one",
                "\\# big\n\\-# small\n\\> quote\n\\- point\n  \\+ more\n1\\. one",
            ),
            ("checkout-1 at 5.0%", "checkout-1 at 5.0%"),
            (r"\@everyone", r"\\\@everyone"),
        ] {
            assert_eq!(shown(text), expected);
        }
    }

    #[test]
    fn an_escape_is_never_cut_from_what_it_escapes() {
        for most in 1..40 {
            let cut = Markup::text("a*b@everyone👍🏽<@1> and more", most);
            assert!(length(cut.as_str()) <= most, "{most}: {}", cut.as_str());
            let whole = cut
                .as_str()
                .replace(r"\*", "")
                .replace(r"\@", "")
                .replace(r"\<", "")
                .replace(r"\>", "");
            assert!(!whole.contains(['\\', '*', '@', '<']), "{most}: {whole}");
        }
        assert_eq!(Markup::text("abc", 3).as_str(), "abc");
        assert_eq!(Markup::text("abcd", 3).as_str(), "ab…");
    }

    #[test]
    fn a_table_stays_in_its_frame_and_keeps_its_end() {
        let table = Markup::table("a ``` b\n@everyone", 100);
        assert_eq!(table.as_str().matches("```").count(), 2, "{}", table.as_str());
        let long: Vec<String> = (0..400).map(|n| format!("line {n} `")).collect();
        let table = Markup::table(&long.join("\n"), 2_000);
        assert!(length(table.as_str()) <= 2_000 && table.as_str().contains("line 399"));
        assert!(table.as_str().starts_with("```\n… "), "{}", table.as_str());
    }

    #[test]
    fn bold_is_only_what_we_call_so() {
        let line = Markup::bold("BAKING").and(Markup::text(" *x*", 100));
        assert_eq!(line.as_str(), r"**BAKING** \*x\*");
    }
}
