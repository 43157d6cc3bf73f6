//! Owns how a notice looks as a mail: a subject that stays the same for a rollout, plain text, and the same lines as HTML.
//! Refuses markup from anywhere but the frame: every text in it is escaped, and what is HTML is said by no notice.

use std::fmt;
use std::sync::{Arc, LazyLock};

use handlebars::Handlebars;
use serde::Serialize;
use tidegate_rollout::Notice;
use tidegate_rollout::notice::{About, NoticeKind};
use tidegate_rollout::plan::Hears;
use url::Url;

use super::builtin::{self, Engines};
use super::{LONGEST, TemplateFault, fill, one_line};

/// The longest subject, in characters; what is longer is cut by the programs that show it.
const SUBJECT: usize = 150;

/// One mail, without its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The same for every mail about a rollout, or programs would not show them as one conversation.
    pub subject: String,
    /// For those who read text.
    pub text: String,
    /// For those who read HTML.
    pub html: String,
}

/// The HTML around the lines of a mail: the built-in one, and the one over it, if there is one.
#[derive(Clone)]
pub struct Frame {
    builtin: Arc<Handlebars<'static>>,
    custom: Option<Arc<Handlebars<'static>>>,
}

/// What the frame can show.
#[derive(Serialize)]
struct Sheet<'a> {
    subject: &'a str,
    title: &'a str,
    above: &'a str,
    headline: &'a str,
    blocks: Vec<Block<'a>>,
    colour: &'static str,
    bar: Option<Bar<'a>>,
    page: Option<&'a str>,
    below: &'static str,
}

/// How much traffic the new version carries, as a bar of a hundred parts.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Bar<'a> {
    full: u8,
    rest: u8,
    weight: &'a str,
}

/// A paragraph, and the points below it.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Block<'a> {
    label: Option<&'a str>,
    text: &'a str,
    points: Vec<&'a str>,
}

/// Why somebody gets this mail.
const BELOW: &str = "Sent by Tidegate, because an audience of the rollout plan names this address.";

/// The frame that is built in, for mails that are made without anybody's templates.
static PLAIN: LazyLock<Arc<Handlebars<'static>>> = LazyLock::new(|| {
    let mut registry = builtin::engine(handlebars::html_escape);
    // What was wrong with the built-in file would fail every mail, and so the first test.
    drop(builtin::register(&mut registry, FRAME, builtin::FRAME));
    Arc::new(registry)
});

/// The name under which the frame is registered.
const FRAME: &str = "email/frame";

impl Default for Frame {
    fn default() -> Self {
        Self {
            builtin: Arc::clone(&PLAIN),
            custom: None,
        }
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let custom = self.custom.is_some();
        f.debug_struct("Frame").field("custom", &custom).finish_non_exhaustive()
    }
}

impl Frame {
    pub(super) fn of(builtin: &Engines, custom: Option<&Engines>) -> Self {
        Self {
            builtin: Arc::clone(&builtin.letters),
            custom: custom.map(|custom| Arc::clone(&custom.letters)),
        }
    }

    /// The mail that says `text`, the wording of `notice`; `page` is where the rollout can be looked at. A frame of the override
    /// directory that fails now is replaced by the built-in one, and a footnote says so.
    ///
    /// # Errors
    /// When even the built-in frame cannot be filled, as when the text is far too long.
    pub fn letter(&self, notice: &Notice, text: &str, page: Option<&Url>) -> Result<Letter, TemplateFault> {
        let Some(custom) = &self.custom else {
            return letter(&self.builtin, notice, text, page);
        };
        letter(custom, notice, text, page).or_else(|fault| {
            tracing::warn!(
                template = fault.template,
                "The custom frame of mails failed, the built-in one is used: {fault}"
            );
            let text = format!("{text}\n(The custom frame failed, this is the built-in one. {fault})");
            letter(&self.builtin, notice, &text, page)
        })
    }

    /// As [`Self::letter`], without falling back: for tests of templates.
    ///
    /// # Errors
    /// When the frame that would be used fails.
    pub(super) fn strictly(&self, notice: &Notice, text: &str, page: Option<&Url>) -> Result<Letter, TemplateFault> {
        letter(self.custom.as_ref().unwrap_or(&self.builtin), notice, text, page)
    }
}

fn letter(
    registry: &Handlebars<'static>,
    notice: &Notice,
    text: &str,
    page: Option<&Url>,
) -> Result<Letter, TemplateFault> {
    let about = &notice.about;
    let subject = subject(notice);
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let headline = lines.next().unwrap_or_default();
    let sheet = Sheet {
        subject: &subject,
        title: &one_line(&about.title),
        above: &above(about),
        headline,
        blocks: blocks(lines),
        colour: colour(notice),
        bar: bar(about),
        page: page.map(Url::as_str),
        below: BELOW,
    };
    let html = fill(registry, FRAME, 4 * LONGEST, &sheet)?;
    let link = page.map(|page| format!("\n\n{page}")).unwrap_or_default();
    let text = format!("{text}{link}\n\n-- \n{BELOW}\n");
    Ok(Letter { subject, text, html })
}

/// The title, and the name by which people speak of the rollout. "Re:" from the second on, as conversations have it.
fn subject(notice: &Notice) -> String {
    let about = &notice.about;
    let re = if matches!(notice.kind, NoticeKind::Started { .. }) {
        ""
    } else {
        "Re: "
    };
    let subject = if about.rollout.as_str() == About::SERVER {
        format!("Tidegate: {}", notice.kind.word().replace('-', " "))
    } else {
        format!("{re}{} ({})", one_line(&about.title), about.rollout)
    };
    match subject.char_indices().nth(SUBJECT) {
        Some((end, _)) => format!("{}…", &subject[..end]),
        None => subject,
    }
}

/// Which service, and where: the small line below the title.
fn above(about: &About) -> String {
    let version = about.version.as_deref().map(one_line);
    let service = [Some(one_line(&about.service)), version].into_iter().flatten();
    let service: Vec<_> = service.filter(|part| !part.is_empty()).collect();
    let parts = [service.join(" "), one_line(&about.environment).into_owned()];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(" · ")
}

/// How much traffic the new version carries, where that was read back: what is only wanted would look like what is.
fn bar(about: &About) -> Option<Bar<'_>> {
    if !about.confirmed {
        return None;
    }
    let percent: f64 = about.weight.strip_suffix('%')?.parse().ok()?;
    let whole = (0..=100u8).rev().find(|whole| f64::from(*whole) <= percent)?;
    // A bar of nothing would say that nobody gets it.
    let full = if percent > 0.0 { whole.max(1) } else { whole };
    Some(Bar {
        full,
        rest: 100 - full,
        weight: &about.weight,
    })
}

/// Lines as paragraphs: `- …` is a point of the one before it.
fn blocks<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<Block<'a>> {
    let mut blocks: Vec<Block<'a>> = Vec::new();
    for line in lines {
        match (line.strip_prefix("- "), blocks.last_mut()) {
            (Some(point), Some(block)) => block.points.push(point),
            (Some(point), None) => blocks.push(Block {
                points: vec![point],
                ..Block::default()
            }),
            (None, _) => blocks.push(block(line)),
        }
    }
    blocks
}

/// The longest label, in characters.
const LABEL: usize = 30;

/// `Why: …` is a label and its text, `Since 17:00 CET:` one above points; every other line is text.
fn block(line: &str) -> Block<'_> {
    let short = |label: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | ':' | '+');
        label.len() <= LABEL && label.starts_with(|c: char| c.is_ascii_uppercase()) && label.chars().all(plain)
    };
    let pair = line.split_once(": ").or_else(|| Some((line.strip_suffix(':')?, "")));
    let pair = pair.filter(|(label, _)| short(label));
    let (label, text) = pair.map_or((None, line), |(label, text)| (Some(label), text));
    Block {
        label,
        text,
        points: Vec::new(),
    }
}

/// Decoration: nothing is said by the colour alone.
fn colour(notice: &Notice) -> &'static str {
    match (&notice.kind, notice.kind.loudness()) {
        (NoticeKind::RollingBack { .. } | NoticeKind::RollbackStuck { .. } | NoticeKind::RolledBack { .. }, _) => {
            "#b42318"
        }
        (_, Hears::Pages) => "#b54708",
        (NoticeKind::Completed { .. }, _) => "#067647",
        _ => "#475467",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::Renderer;

    fn letters_of(notices: Vec<Notice>) -> Vec<(Notice, Letter)> {
        let renderer = Renderer::new(None).unwrap();
        let page = Url::parse("https://tidegate.example/r/checkout-17").unwrap();
        let letter = |notice: Notice| {
            let letter = renderer.letter(&notice, Some(&page)).unwrap();
            (notice, letter)
        };
        notices.into_iter().map(letter).collect()
    }

    fn letters() -> Vec<(Notice, Letter)> {
        letters_of(Notice::samples())
    }

    #[test]
    fn every_sample_is_a_letter_whose_html_says_what_its_text_says() {
        for (notice, letter) in letters() {
            assert!(
                letter.html.len() < LONGEST && !letter.subject.contains('\n'),
                "{letter:?}"
            );
            let body = letter.text.split("\n\n-- ").next().unwrap_or_default();
            for (number, line) in body.lines().filter(|line| !line.is_empty()).enumerate() {
                let said = match number {
                    0 => vec![line],
                    _ => {
                        let block = block(line.strip_prefix("- ").unwrap_or(line));
                        block.label.into_iter().chain([block.text]).collect()
                    }
                };
                for words in said {
                    let escaped = handlebars::html_escape(words);
                    assert!(
                        letter.html.contains(&escaped),
                        "{}: {words}\n{}",
                        notice.kind.word(),
                        letter.html
                    );
                }
            }
        }
    }

    #[test]
    fn text_from_outside_is_no_markup() {
        for (notice, letter) in letters_of(Notice::samples_saying(tidegate_rollout::notice::WORST)) {
            let tags = letter.html.split('<').skip(1).map(|tag| {
                let end = tag.find(|c: char| !c.is_ascii_alphanumeric());
                &tag.trim_start_matches('/')[..end.unwrap_or(0)]
            });
            let strange: Vec<&str> = tags
                .filter(|tag| ["script", "img", "b", "iframe"].contains(tag))
                .collect();
            assert_eq!(strange, Vec::<&str>::new(), "{}: {}", notice.kind.word(), letter.html);
            let shown = handlebars::html_escape("<!channel><@U1>");
            assert!(
                letter.html.contains(&shown) && !letter.html.contains("<!channel"),
                "{}",
                letter.html
            );
        }
    }

    #[test]
    fn lines_become_paragraphs_with_labels_and_points() {
        let text = [
            "Open:",
            "- one",
            "- two: three",
            "Why: it burns: brightly",
            "Since 2026-11-20 17:00 CET: nothing",
            // How zones are called that have no letters of their own.
            "Since 2026-11-20 17:00 +0530: nothing",
            "<b>The end</b>: it is near",
            "so: it is near",
        ];
        let blocks = blocks(text.into_iter());
        let found: Vec<_> = blocks.iter().map(|block| (block.label, block.text)).collect();
        let expected = [
            (Some("Open"), ""),
            (Some("Why"), "it burns: brightly"),
            (Some("Since 2026-11-20 17:00 CET"), "nothing"),
            (Some("Since 2026-11-20 17:00 +0530"), "nothing"),
            (None, "<b>The end</b>: it is near"),
            (None, "so: it is near"),
        ];
        assert_eq!(found, expected);
        assert_eq!(blocks[0].points, ["one", "two: three"]);
    }

    #[test]
    fn a_bar_shows_only_what_was_read_back() {
        let mut about = Notice::samples().remove(0).about;
        let mut drawn = |confirmed: bool, weight: &str| {
            (about.confirmed, about.weight) = (confirmed, weight.to_owned());
            bar(&about).map(|bar| bar.full)
        };
        assert_eq!(drawn(true, "25%"), Some(25));
        assert_eq!(drawn(true, "0.5%"), Some(1));
        assert_eq!(drawn(true, "100%"), Some(100));
        assert_eq!(drawn(true, "0%"), Some(0));
        assert_eq!(drawn(false, "0%"), None, "nobody has read it back");
        assert_eq!(drawn(false, "50%"), None);
        for wrong in ["", "25", "-3%", "NaN%", "25% <b>"] {
            assert_eq!(drawn(true, wrong), None, "{wrong}");
        }
        assert_eq!(drawn(true, "1e9%"), Some(100));
    }

    #[test]
    fn mails_about_a_rollout_share_their_subject() {
        let mut subjects: Vec<String> = letters()
            .into_iter()
            .filter(|(notice, _)| notice.about.rollout.as_str() == "checkout-17")
            .map(|(_, letter)| letter.subject.trim_start_matches("Re: ").to_owned())
            .collect();
        subjects.dedup();
        assert_eq!(subjects.len(), 1, "{subjects:?}");
    }
}
