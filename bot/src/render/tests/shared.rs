//! Proves what templates share: the frame of mails and shared pieces are replaced like any other file, pages are not.

use url::Url;

use super::*;

const FRAME: &str = "<!doctype html>\n<h1>{{headline}}</h1>\n{{#each blocks}}<p>{{text}}</p>{{/each}}<a href=\"{{page}}\">{{below}}</a>";

fn page() -> Url {
    "https://tidegate.example/r/checkout-17".parse().unwrap()
}

#[test]
fn a_frame_of_ones_own_is_what_mails_get_and_what_it_shows_is_escaped() {
    let renderer = Overrides::with(&[("email/frame.hbs", FRAME)]).renderer().unwrap();
    for worst in Notice::samples_saying(tidegate_rollout::notice::WORST) {
        let text = renderer.render(&worst, Form::Email).unwrap();
        let letter = renderer.frame().letter(&worst, &text, Some(&page())).unwrap();
        let html = letter.html;
        assert!(html.starts_with("<!doctype html>\n<h1>"), "{html}");
        assert!(!html.contains("<img") && !html.contains("</script"), "{html}");
        assert!(
            html.contains("href=\"https://tidegate.example/r/checkout-17\""),
            "{html}"
        );
    }
}

/// A helper of the engine's own escapes what it gives; ours must, too.
#[test]
fn what_helpers_give_is_escaped_in_a_frame() {
    let frame = "{{#each blocks}}{{short text 20}}{{list points}}{{/each}}";
    let renderer = Overrides::with(&[("email/frame.hbs", frame)]).renderer().unwrap();
    let notice = sample("report");
    let letter = renderer.frame().letter(&notice, "head\n<b>one</b>\n- <i>two</i>", None);
    assert_eq!(letter.unwrap().html, "&lt;b&gt;one&lt;/b&gt;&lt;i&gt;two&lt;/i&gt;");
}

#[test]
fn a_broken_frame_is_refused_with_its_place() {
    let refused = |frame: &str| {
        let faults = Overrides::with(&[("email/frame.hbs", frame)]).faults();
        assert_eq!(faults.len(), 1, "{faults:?}");
        faults[0].clone()
    };
    let unknown = refused("<h1>\n\n{{hedline}}</h1>");
    assert!(unknown.starts_with("email/frame.hbs:3:"), "{unknown}");
    assert!(
        unknown.contains("`hedline`") && unknown.contains("headline, page"),
        "{unknown}"
    );
    let below = refused("{{#each blocks}}\n{{wrods}}{{/each}}");
    assert!(below.starts_with("email/frame.hbs:2:"), "{below}");
    assert!(refused("{{#if page}}").starts_with("email/frame.hbs:"));
    for open in [
        "<p>\n{{{headline}}}</p>",
        "<p>\n{{&headline}}</p>",
        "{{#if page}}\n{{{page}}}{{/if}}",
    ] {
        let open = refused(open);
        assert!(open.starts_with("email/frame.hbs:2: `{{{"), "{open}");
    }
    let piece = Overrides::with(&[("_partials/phase.hbs", "{{{about.phase}}}")]).faults();
    assert!(piece[0].starts_with("_partials/phase.hbs:1: `{{{"), "{piece:?}");
    let long = refused(&"{{subject}}".repeat(6_000).replace("subject", "title").repeat(2)[..65_000]);
    assert!(long.starts_with("email/frame.hbs"), "{long}");
    let circle = Overrides::with(&[("email/frame.hbs", "{{> a}}"), ("_partials/a.hbs", "{{> email/frame}}")]);
    assert!(circle.faults()[0].contains("includes itself"), "{:?}", circle.faults());
}

#[test]
fn a_frame_that_fails_in_the_incident_gives_way_to_the_built_in_one() {
    // It passes on every sample and fails on a line that no sample has.
    let frame = "{{#each blocks}}{{#if (eq text \"fails\")}}\n{{nobody}}{{/if}}{{/each}}fine";
    let renderer = Overrides::with(&[("email/frame.hbs", frame)]).renderer().unwrap();
    let notice = sample("completed");
    let letter = |text: &str| renderer.frame().letter(&notice, text, None).unwrap();
    assert_eq!(letter("head").html, "fine");
    let failed = letter("head\nfails");
    assert!(failed.html.starts_with("<!doctype html>\n<html"), "{}", failed.html);
    for said in [&failed.html, &failed.text] {
        assert!(
            said.contains("(The custom frame failed, this is the built-in one. email/frame.hbs:2:"),
            "{said}"
        );
    }
}

#[test]
fn pages_are_not_replaced_and_it_is_said_why() {
    let overrides = Overrides::with(&[("pages/board.hbs", "mine"), ("pages/assets/app.css", "mine")]);
    let faults = overrides.faults();
    let whys: Vec<&str> = faults
        .iter()
        .filter_map(|fault| fault.split_once(": "))
        .map(|(_, why)| why)
        .collect();
    assert_eq!(whys.len(), 2, "{faults:?}");
    assert!(
        whys.iter().all(|why| why.starts_with("pages cannot be replaced: ")),
        "{faults:?}"
    );
    assert!(
        faults[0].starts_with("pages/assets") && faults[1].starts_with("pages/board.hbs"),
        "{faults:?}"
    );
}

#[test]
fn a_template_that_lies_where_nothing_looks_is_refused() {
    for file in ["rolled-back.hbs", "email/foot.hbs", "_shared/x.hbs"] {
        let faults = Overrides::with(&[(file, "x")]).faults();
        assert!(faults[0].starts_with(&format!("{file}: no notice uses")), "{faults:?}");
    }
    let renderer = Overrides::with(&[("README.md", "about these"), ("email/notes.txt", "x")]).renderer();
    assert!(renderer.is_ok(), "what is no template is left alone");
}

#[test]
fn what_is_in_the_folder_can_be_replaced_file_by_file() {
    let renderer = Renderer::new(None).unwrap();
    let mut files: Vec<String> = builtin::worded();
    files.retain(|file| builtin::text(file).is_some());
    files.extend(renderer.shared());
    for file in files {
        let (source, custom) = renderer.source_of(&file).unwrap();
        assert!(!custom && !source.is_empty(), "{file}");
        let over = Overrides::with(&[(&file, &format!("{source}{{{{!-- mine --}}}}"))])
            .renderer()
            .unwrap();
        let (found, custom) = over.source_of(&file).unwrap();
        assert!(custom && found.ends_with("mine --}}"), "{file}");
    }
}
