//! Proves the pages: complete, small, accessible, safe against what they show, and true to the state.
//!
//! With `TIDEGATE_PAGES=<directory>` set, every page is also written there, to be looked at.

mod alerts;
mod beside;
mod confirm;
mod signoffs;
mod way_back;
mod worst;

use std::path::PathBuf;

use tidegate_rollout::command::Command;
use tidegate_rollout::notice::HOSTILE;
use tidegate_rollout::surroundings::Freeze;
use tidegate_rollout::{Code, Notice, Refusal, Role};

use super::samples::{self, Story, hold, pause, reader, stories};
use super::view::board::Board;
use super::view::{Banner, Reader, Theme};
use super::*;
use crate::channel::Message;
use crate::channel::feed::Feed;
use crate::render::{Form, Renderer};

/// Renders a page, checks what holds for every page, and keeps it for looking where that is wanted.
fn shown(name: &str, page: Result<Html<String>, TemplateFault>) -> String {
    let Html(html) = page.unwrap_or_else(|fault| panic!("{name}: {fault}"));
    if let Some(directory) = std::env::var_os("TIDEGATE_PAGES").map(PathBuf::from) {
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join(format!("{name}.html")), &html).unwrap();
    }
    assert!(html.len() < 60_000, "{name} has {} bytes", html.len());
    assert!(
        !html.contains(" style="),
        "{name} has an inline style, which the policy forbids"
    );
    assert!(
        !html.contains("<script>"),
        "{name} has an inline script, which the policy forbids"
    );
    assert!(
        !html.contains("http://") && !html.contains("https://"),
        "{name} loads or links something foreign"
    );
    assert_eq!(html.matches("<h1").count(), 1, "{name} has one headline");
    assert!(html.contains("<html lang=\"en\""), "{name}");
    for field in ["<input", "<textarea"] {
        for tag in html.split(field).skip(1).map(|rest| rest.split('>').next().unwrap()) {
            let id = tag.split("id=\"").nth(1).map(|rest| rest.split('"').next().unwrap());
            let named = id.is_some_and(|id| html.contains(&format!("for=\"{id}\"")));
            assert!(
                tag.contains("type=\"hidden\"") || named,
                "{name}: a field without a label: {tag}"
            );
        }
    }
    html
}

fn pages() -> Pages {
    Pages::new("").unwrap()
}

fn page_of(story: &Story, role: Role) -> RolloutPage {
    RolloutPage::of(&story.seen(), &story.history, Some(&reader(role)), story.now)
}

/// The text of a page without its tags, in one line.
fn words(html: &str) -> String {
    let body = html.split("<main").nth(1).unwrap_or(html);
    let mut text = String::new();
    let mut inside = true;
    for c in body.chars() {
        match c {
            '<' => inside = true,
            '>' => inside = false,
            c if !inside => text.push(c),
            _ => {}
        }
        if c == '<' {
            text.push(' ');
        }
    }
    let text = text
        .replace("&#x60;", "`")
        .replace("&#x3D;", "=")
        .replace("&quot;", "\"");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The tags of a page in order, without what stands in them.
fn skeleton(html: &str) -> Vec<String> {
    let tags = html.split('<').skip(1);
    tags.map(|tag| {
        tag.split(|c: char| !c.is_ascii_alphanumeric() && c != '/' && c != '!')
            .next()
            .unwrap()
            .to_owned()
    })
    .collect()
}

#[test]
fn every_state_has_its_page_and_says_itself_in_words() {
    let pages = pages();
    let expected = [
        ("advancing", "ADVANCING", "flag/checkout-v2 is asked for 5%"),
        (
            "baking",
            "BAKING",
            "Baked 2h22m of 6h. Next: its gate waits for a person, in 3h38m, at",
        ),
        ("gate", "WAITING", "The gate waits for a person: CONTINUE to 50%."),
        ("paused", "PAUSED", "the clock stands still now"),
        ("held", "HELD", "jon has held it for"),
        ("decision", "HELD", "DECISION 1 needed by"),
        (
            "no-data",
            "NO DATA",
            "Health is not known: the Watchdog alert was last seen",
        ),
        (
            "failed",
            "ADVANCING",
            "The target could not be moved: the flag could not be written: database is locked",
        ),
        (
            "rolling-back",
            "ROLLING BACK",
            "0% is being written to flag/checkout-v2 and will be read back.",
        ),
        (
            "rolled-back",
            "ROLLED BACK",
            "This rollout is over; a new start is a new rollout.",
        ),
        (
            "watching",
            "WATCHING",
            "All phases are done. A rollback stays armed for",
        ),
        ("completed", "COMPLETED", "The watch is over and nothing happened."),
    ];
    let stories = stories();
    assert_eq!(stories.len(), expected.len());
    for ((name, story), (expected_name, state, sentence)) in stories.iter().zip(expected) {
        assert_eq!(*name, expected_name);
        let html = shown(
            &format!("rollout-{name}"),
            pages.rollout(&page_of(story, Role::Operator)),
        );
        let words = words(&html);
        let state = if *name == "decision" { "BAKING" } else { state };
        assert!(words.contains(state), "{name}: {words}");
        assert!(words.contains(sentence), "{name}: {words}");
    }
}

/// At a gate what stands in the way comes before who may open it: on the page, on the cards and in `status`.
#[test]
fn nobody_is_asked_to_press_while_something_stands_in_the_way() {
    let pages = pages();
    let said = |story: &Story| {
        let page = pages
            .rollout(&page_of(story, Role::Operator))
            .expect("it can be drawn")
            .0;
        let card = crate::chat::Card::of(&story.rollout, &story.around, story.now);
        (words(&page), card)
    };
    let gate = || {
        samples::stories()
            .into_iter()
            .find(|(name, _)| *name == "gate")
            .unwrap()
            .1
    };
    let (page, card) = said(&gate());
    assert!(page.contains("The gate waits for a person: CONTINUE to 50%."), "{page}");
    assert_eq!(
        (card.state.as_str(), card.next.as_str()),
        ("WAITING", "Waits for a person: say `advance`.")
    );

    let held = gate().says("jon", samples::hold("waiting for the cache"));
    let (page, card) = said(&held);
    assert!(page.contains("Nothing goes on. Hold 1: jon has held it for"), "{page}");
    assert!(!page.contains("The gate waits for a person"), "{page}");
    assert_eq!(card.state, "HELD");
    assert_eq!(
        card.next,
        "Stands still until what stands in its way is gone; then say `advance`."
    );
    let [hold] = &card.waits_for[..] else {
        panic!("{:?}", card.waits_for)
    };
    assert!(hold.ends_with("Say `release 1` once that is settled."), "{hold}");

    let signed = |change: fn(&mut tidegate_rollout::Plan)| {
        let mut plan = samples::plan();
        change(&mut plan);
        Story::begins(plan, 30).read_back().later(40)
    };
    let approval = |plan: &mut tidegate_rollout::Plan| {
        let approval = serde_json::json!({ "role": "oncall" });
        plan.spec.phases[0].approvals = vec![serde_json::from_value(approval).unwrap()];
    };
    let (page, card) = said(&signed(approval));
    assert!(page.contains("The gate waits for people: "), "{page}");
    assert_eq!(card.next, "Its gate waits for people.");
}

/// After the last phase nothing goes on: it is watched.
#[test]
fn the_last_phase_is_followed_by_the_watch() {
    let mut plan = samples::plan();
    plan.spec.phases.truncate(1);
    let story = Story::begins(plan, 31).read_back();
    let card = crate::chat::Card::of(&story.rollout, &story.around, story.now);
    assert_eq!(card.next, "Bakes 30m more of 30m, then it is watched if it is healthy.");
}

/// "0s more, then it goes on" would be said for as long as the alert fires.
#[test]
fn what_has_baked_and_may_not_go_on_says_that_it_stands_still() {
    let story = Story::begins(samples::plan(), 32).read_back();
    let story = story.later(29).alert("CheckoutQueueLong", "checkout-7d9f", 28).later(2);
    let card = crate::chat::Card::of(&story.rollout, &story.around, story.now);
    assert_eq!(card.state, "BAKING");
    assert_eq!(
        card.next,
        "Has baked 30m. It stands still until what keeps it from advancing is gone."
    );
    assert!(!card.waits_for.is_empty(), "what that is stands below");
}

#[test]
fn buttons_are_forms_with_the_revision_and_what_may_not_be_pressed_says_why() {
    let pages = pages();
    let story = Story::begins(samples::plan(), 1)
        .read_back()
        .later(31)
        .read_back()
        .later(361);
    let html = shown("rollout-buttons", pages.rollout(&page_of(&story, Role::Operator)));
    let seen = format!("name=\"seen\" value=\"{}\"", story.rollout.generation);
    assert!(html.contains(&seen), "{seen}");
    assert!(
        html.contains("name=\"verb\" value=\"advance\""),
        "the gate is open for an operator"
    );
    assert!(html.contains("href=\"/r/checkout-1/confirm/rollback\""));
    assert!(
        words(&html).contains("started checkout-1. (on a page)"),
        "{}",
        words(&html)
    );

    let viewer = shown("rollout-viewer", pages.rollout(&page_of(&story, Role::Viewer)));
    assert!(!viewer.contains("name=\"verb\" value=\"advance\""));
    assert!(!viewer.contains("confirm/rollback"));
    assert!(words(&viewer).contains("`rollback` needs one of the roles operator, oncall, incident-commander"));

    let baking = Story::begins(samples::plan(), 2).read_back().later(5);
    let html = shown("rollout-baking-early", pages.rollout(&page_of(&baking, Role::Operator)));
    assert!(
        words(&html).contains("Phase canary has baked 5m of 30m."),
        "{}",
        words(&html)
    );
    assert!(!html.contains("name=\"verb\" value=\"advance\""));
}

#[test]
fn what_comes_from_outside_never_becomes_markup() {
    let pages = pages();
    let told = |text: &str| {
        let story = Story::begins(samples::plan(), 4)
            .read_back()
            .later(31)
            .read_back()
            .later(9);
        story
            .says("jon", pause(text))
            .says("jon", hold(text))
            .alert("CheckoutQueueLong", text, 0)
    };
    let render = |story: &Story| {
        let page =
            page_of(story, Role::Operator).answering(Banner::failed(story.history.last().unwrap().1.text.clone(), "x"));
        shown("rollout-hostile", pages.rollout(&page))
    };
    let calm = render(&told("calm words"));
    let hostile = render(&told(HOSTILE));
    assert_eq!(skeleton(&calm), skeleton(&hostile), "the same tags whatever is shown");
    assert!(hostile.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(!hostile.contains("\"quoted\""), "a quote could leave an attribute");
    assert!(
        hostile.contains("{{secrets.token}}"),
        "shown as it is, never read as a template"
    );
    assert!(!hostile.contains('\u{202e}'));
}

#[test]
fn below_a_prefix_every_address_begins_with_it() {
    let pages = Pages::new("/gate").unwrap();
    let story = Story::begins(samples::plan(), 6)
        .read_back()
        .later(31)
        .read_back()
        .later(361);
    let page = page_of(&story, Role::Operator);
    let reader = reader(Role::Operator);
    let chat = Chat::of(&[], "f00d", Some(&reader), story.now);
    let board = Board::of(&[story.seen()], &story.around, &[], Some(&reader), story.now);
    let confirm = Confirm::rollback(&story.seen(), Some(&reader), story.now);
    let shown = [
        pages.rollout(&page),
        pages.chat(&chat),
        pages.board(&board),
        pages.confirm(&confirm),
    ];
    for Html(html) in shown.map(Result::unwrap) {
        let marks = [
            "href=\"/",
            "action=\"/",
            "src=\"/",
            "data-path=\"/",
            "data-events=\"/",
            "data-feed=\"/",
            "url=/",
        ];
        for mark in marks {
            let stray = html.split(mark).skip(1).find(|rest| !rest.starts_with("gate/"));
            assert_eq!(
                stray.map(|rest| rest.chars().take(40).collect::<String>()),
                None,
                "{mark}"
            );
        }
    }
}

#[test]
fn templates_of_pages_escape_everything() {
    for name in FILES {
        let file = format!("pages/{name}.hbs");
        let source = String::from_utf8(render::asset(&file).unwrap().into_owned()).unwrap();
        assert!(
            !source.contains("{{{") && !source.contains("{{&"),
            "{file} shows something unescaped"
        );
    }
}

#[test]
fn a_long_life_stays_a_small_page() {
    let mut story = Story::begins(samples::plan(), 5).read_back();
    for n in 0..400 {
        story = story.says(
            "jon",
            Command::Note {
                text: format!("{n} {HOSTILE}"),
            },
        );
    }
    let html = shown("rollout-long", pages().rollout(&page_of(&story, Role::Operator)));
    let text = words(&html);
    assert!(
        text.contains("older lines: tidegate rollout history checkout-5"),
        "{text}"
    );
    assert!(text.contains("399 &lt;!channel"), "the newest line is there");
}

#[test]
fn the_board_puts_what_needs_eyes_first() {
    let pages = pages();
    let stories = stories();
    let now = stories.iter().map(|(_, story)| story.now).max().unwrap();
    let calm: Vec<_> = stories.iter().map(|(_, story)| story).collect();
    let seen: Vec<_> = calm.iter().map(|story| story.seen()).collect();
    let freeze = Freeze {
        by: "mara".to_owned(),
        reason: "Black Friday".to_owned(),
        at: samples::at(0),
    };
    let mut server = tidegate_rollout::Surroundings::calm(now);
    let frozen = [("production".to_owned(), freeze)];
    let reader = Reader {
        theme: Theme::Dark,
        ..reader(Role::Operator)
    };
    let html = shown(
        "board",
        pages.board(&Board::of(&seen, &server, &frozen, Some(&reader), now)),
    );
    let text = words(&html);
    let place = |word: &str| {
        text.find(word)
            .unwrap_or_else(|| panic!("{word} is not on the board: {text}"))
    };
    assert!(
        place("checkout-19") < place("checkout-16"),
        "a rollback before a question"
    );
    assert!(
        place("checkout-16") < place("checkout-12"),
        "a question before what only needs time"
    );
    assert!(
        place("checkout-12") < place("checkout-22"),
        "what is under way before what is over"
    );
    assert!(text.contains("production FROZEN by mara"), "{text}");
    assert!(text.contains("ALERT PATH OK"), "{text}");
    assert!(html.contains("<title>! 1 ROLLBACK · tidegate</title>"));

    server.watchdog_seen = None;
    let empty = shown(
        "board-empty",
        pages.board(&Board::of(&[], &server, &[], Some(&reader), now)),
    );
    let text = words(&empty);
    assert!(
        text.contains("ALERT PATH NO DATA The Watchdog alert was never seen."),
        "{text}"
    );
    assert!(text.contains("Nothing is rolling out."), "{text}");
}
