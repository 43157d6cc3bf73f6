//! Beside the pages of rollouts: the chat, the sign-in, what a press becomes, the assets, and the theme.

use tidegate_rollout::plan::Hears;

use super::*;

#[test]
fn the_chat_shows_the_feed_and_keeps_what_could_not_be_said() {
    let renderer = Renderer::new(None).unwrap();
    let samples = Notice::samples();
    let texts: Vec<String> = samples
        .iter()
        .map(|notice| renderer.render(notice, Form::Text).unwrap())
        .collect();
    let feed = Feed::default();
    for (notice, text) in samples.iter().zip(texts) {
        let notice = notice.clone();
        feed.say(&Message::new(notice, text));
    }
    let (lines, _) = feed.after(0);
    let reader = reader(Role::Operator);
    let now = samples[0].at;
    let chat = Chat::of(&lines, "f00d", Some(&reader), now);
    let html = shown("chat", pages().chat(&chat));
    assert!(html.contains(&format!("data-feed=\"/chat/events?after&#x3D;f00d.{}\"", lines.len())));
    assert!(html.contains("class=\"k-rolled-back pages\""));
    let refusal = Refusal::new(Code::R101, "I do not know `advnce`.", "Did you mean `advance`?");
    let again = chat.answering(Banner::refused(&refusal), "advnce \"x\"");
    let html = shown("chat-refused", pages().chat(&again));
    assert!(
        html.contains("value=\"advnce &quot;x&quot;\""),
        "what was typed is not lost"
    );
    assert!(words(&html).contains("R101 I do not know `advnce`."));
}

#[test]
fn the_sign_in_goes_on_to_pages_of_ours_only() {
    let pages = pages();
    let now = samples::at(0);
    let login = |next: &str| {
        shown(
            "login",
            pages.login(&Login::new(next, "The first token is in a file.", now)),
        )
    };
    assert!(login("/r/checkout-1").contains("name=\"next\" value=\"/r/checkout-1\""));
    for foreign in [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/a\n//b",
    ] {
        assert!(login(foreign).contains("name=\"next\" value=\"/\""), "{foreign}");
    }
    let failed = Login::new("/", "", now).failed(Banner::failed("That token is not known.", "Tokens expire."));
    assert!(words(&shown("login-failed", pages.login(&failed))).contains("That token is not known."));
    let sorry = Sorry::new(
        "Not found",
        "There is no rollout checkout-99.",
        "All rollouts are on the first page.",
        None,
        now,
    );
    assert!(words(&shown("sorry", pages.sorry(&sorry))).contains("There is no rollout checkout-99."));
}

#[test]
fn a_press_becomes_the_command_it_names_or_is_refused() {
    let press = |fields: &str| -> Press { serde_json::from_str(fields).unwrap() };
    let rollback = press(r#"{"verb":"rollback","seen":"41","reason":" errors "}"#);
    let reason = "errors".to_owned();
    assert_eq!(rollback.command(), Ok(Command::Rollback { reason }));
    assert_eq!(rollback.generation(), Ok(Some(41)));
    assert_eq!(
        press(r#"{"verb":"release","number":"3"}"#).command(),
        Ok(Command::Release { number: 3 })
    );
    assert_eq!(press(r#"{"verb":"pause"}"#).generation(), Ok(None));
    for wrong in [
        r#"{"verb":"launch"}"#,
        r#"{"verb":"hold","reason":"  "}"#,
        r#"{"verb":"decide","number":"1","answer":"maybe"}"#,
        r#"{"verb":"release","number":"-1"}"#,
    ] {
        assert_eq!(press(wrong).command().unwrap_err().code, Code::R104, "{wrong}");
    }
    assert_eq!(
        press(r#"{"verb":"pause","seen":"x"}"#).generation().unwrap_err().code,
        Code::R104
    );
}

#[test]
fn assets_are_a_closed_list_and_pages_name_their_content() {
    for name in ["app.css", "app.js", "ok.svg", "bad.svg"] {
        assert!(asset(name).is_some_and(|asset| !asset.bytes.is_empty()), "{name}");
    }
    assert_eq!(asset("../started/text.hbs"), None);
    assert_eq!(asset("missing.css"), None);
    let style = String::from_utf8(asset("app.css").unwrap().bytes.into_owned()).unwrap();
    let loud = Notice::samples();
    let loud = loud.iter().filter(|notice| notice.kind.loudness() == Hears::Pages);
    for word in loud.map(|notice| notice.kind.word()) {
        assert!(
            style.contains(&format!(".k-{word}")),
            "a page-worthy line without a colour: {word}"
        );
    }
    assert!(!style.contains("@import") && !style.contains("url(\"http"));
}

#[test]
fn a_theme_is_kept_in_a_cookie() {
    assert_eq!(Theme::from_cookies("session=x; theme=dark"), Theme::Dark);
    assert_eq!(Theme::from_cookies("theme=light"), Theme::Light);
    assert_eq!(Theme::from_cookies("theme=<script>"), Theme::System);
    assert_eq!(Theme::from_cookies(""), Theme::System);
}
