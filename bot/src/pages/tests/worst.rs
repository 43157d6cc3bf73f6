//! The worst that a person may write, everywhere they may write it: the pages get no longer than they may be.

use super::*;
use crate::channel::feed::Line;

#[test]
fn no_character_takes_a_page_down() {
    let pages = pages();
    for worst in ["=", "'", "\u{202e}", "\u{7}", "漢"] {
        // As long as a line of the chat may be.
        let text = worst.repeat(2_000 / worst.len());
        let mut story = Story::begins(samples::plan(), 8).read_back().later(31).read_back();
        for n in 0..40 {
            story = story.says("jon", hold(&text)).alert("CheckoutQueueLong", &text, n);
        }
        for n in 0..150 {
            let text = format!("{n} {text}");
            story = story.says("jon", Command::Note { text });
        }
        let page = page_of(&story, Role::Operator).answering(Banner::failed(text.clone(), text.clone()));
        let Html(html) = pages
            .rollout(&page)
            .unwrap_or_else(|fault| panic!("{worst:?}: {fault}"));
        assert!(words(&html).contains("149 "), "{worst:?}: the newest line is there");

        let feed = Feed::default();
        for n in 0..200 {
            feed.add(Line {
                number: 0,
                at: story.now,
                by: text.clone(),
                kind: "said".to_owned(),
                loudness: "everything".to_owned(),
                rollout: None,
                text: render::one_line(&format!("{n} {text}")).into_owned(),
            });
        }
        let (lines, _) = feed.after(0);
        let chat = Chat::of(&lines, "f00d", Some(&reader(Role::Viewer)), story.now);
        let chat = chat.answering(Banner::failed(text.clone(), "x"), &text);
        let Html(html) = pages.chat(&chat).unwrap_or_else(|fault| panic!("{worst:?}: {fault}"));
        assert!(words(&html).contains("199 "), "{worst:?}: the newest line is there");
    }
}

#[test]
fn a_pressed_reason_is_no_longer_than_a_line_of_the_chat() {
    let long = Press {
        verb: "note".to_owned(),
        reason: "x".repeat(2_001),
        ..Press::default()
    };
    assert_eq!(long.command().unwrap_err().code, Code::R104);
}
