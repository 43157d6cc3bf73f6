//! Owns how a notice looks as a mail: a subject that stays the same for a rollout, plain text, and the same lines as HTML.
//! Refuses markup from anywhere: the HTML is made here, and every text in it is escaped.

use std::sync::LazyLock;

use handlebars::Handlebars;
use serde::Serialize;
use tidegate_rollout::Notice;
use tidegate_rollout::notice::{About, NoticeKind};
use tidegate_rollout::plan::Hears;
use url::Url;

use super::{LONGEST, TemplateFault, builtin, fill, one_line};

/// The frame around the lines.
const FRAME: &str = "email/frame";

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

#[derive(Serialize)]
struct Frame<'a> {
    subject: &'a str,
    above: String,
    headline: &'a str,
    lines: Vec<Line<'a>>,
    colour: &'static str,
    page: Option<&'a str>,
    below: &'static str,
}

#[derive(Serialize)]
struct Line<'a> {
    label: Option<&'a str>,
    text: &'a str,
}

/// Why somebody gets this mail.
const BELOW: &str = "Sent by Tidegate, because an audience of the rollout plan names this address.";

impl Letter {
    /// The mail that says `text`, the wording of `notice`; `page` is where the rollout can be looked at.
    ///
    /// # Errors
    /// When the frame cannot be filled, as when the text is far too long.
    pub fn of(notice: &Notice, text: &str, page: Option<&Url>) -> Result<Self, TemplateFault> {
        let subject = subject(notice);
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        let headline = lines.next().unwrap_or_default();
        let frame = Frame {
            subject: &subject,
            above: above(&notice.about),
            headline,
            lines: lines.map(line).collect(),
            colour: colour(notice),
            page: page.map(Url::as_str),
            below: BELOW,
        };
        let html = fill(&REGISTRY.0, FRAME, 4 * LONGEST, &frame)?;
        let link = page.map(|page| format!("\n\n{page}")).unwrap_or_default();
        let text = format!("{text}{link}\n\n-- \n{BELOW}\n");
        Ok(Self { subject, text, html })
    }
}

/// The engine with the frame; what was wrong with the built-in file would be seen by the first test.
static REGISTRY: LazyLock<(Handlebars<'static>, Option<TemplateFault>)> = LazyLock::new(|| {
    let mut registry = builtin::engine(handlebars::html_escape);
    let fault = builtin::register(&mut registry, FRAME, "email/frame.hbs").err();
    (registry, fault)
});

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

/// Which service, where, how far: the small line above the headline.
fn above(about: &About) -> String {
    let version = about.version.as_deref().map(one_line);
    let service = [Some(one_line(&about.service)), version].into_iter().flatten();
    let service: Vec<_> = service.filter(|part| !part.is_empty()).collect();
    let parts = [
        service.join(" "),
        one_line(&about.environment).into_owned(),
        one_line(&about.weight).into_owned(),
    ];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(" · ")
}

/// `Why: …` is a label and its text; every other line is text.
fn line(line: &str) -> Line<'_> {
    let plain = Line {
        label: None,
        text: line,
    };
    let Some((label, text)) = line.split_once(": ") else {
        return plain;
    };
    let is_label = label.starts_with(|c: char| c.is_ascii_uppercase()) && label.len() <= 20 && !label.contains(' ');
    if is_label {
        Line {
            label: Some(label),
            text,
        }
    } else {
        plain
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
    use crate::render::{Form, Renderer};

    fn letters() -> Vec<(Notice, Letter)> {
        let renderer = Renderer::new(None).unwrap();
        let page = Url::parse("https://tidegate.example/r/checkout-17").unwrap();
        let letter = |notice: Notice| {
            let text = renderer.render(&notice, Form::Email).unwrap();
            let letter = Letter::of(&notice, &text, Some(&page)).unwrap();
            (notice, letter)
        };
        Notice::samples().into_iter().map(letter).collect()
    }

    #[test]
    fn every_sample_is_a_letter_whose_html_says_what_its_text_says() {
        assert_eq!(REGISTRY.1, None);
        for (notice, letter) in letters() {
            assert!(
                letter.html.len() < LONGEST && !letter.subject.contains('\n'),
                "{letter:?}"
            );
            let shown = letter.html.replace("<strong>", "").replace("</strong>", "");
            let body = letter.text.split("\n\n-- ").next().unwrap_or_default();
            for line in body.lines().filter(|line| !line.is_empty()) {
                let escaped = handlebars::html_escape(line);
                assert!(
                    shown.contains(&escaped),
                    "{}: {line}\n{}",
                    notice.kind.word(),
                    letter.html
                );
            }
        }
    }

    #[test]
    fn text_from_outside_is_no_markup() {
        let letters = letters();
        let frame = |html: &str| {
            html.matches('<').count()
                - html.matches("<p").count()
                - html.matches("</p>").count()
                - html.matches("strong>").count()
        };
        let plain = frame(&letters[0].1.html);
        for (notice, letter) in &letters {
            assert_eq!(frame(&letter.html), plain, "{}: {}", notice.kind.word(), letter.html);
            assert!(
                !letter.html.contains("<script") && !letter.html.contains("<!channel"),
                "{}",
                letter.html
            );
        }
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
