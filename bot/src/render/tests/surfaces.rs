//! Proves what each surface is told: its own words where its readers differ, and of a form that the surface can carry.

use std::collections::BTreeSet;

use tidegate_rollout::health::Health;
use tidegate_rollout::plan::Hears;
use tidegate_rollout::rollout::State;

use super::*;

/// Stakeholders hear milestones. Everything that they hear comes as whole sentences; what only the team hears is the team's words.
#[test]
fn whatever_stakeholders_hear_is_a_mail_of_its_own() {
    let renderer = Renderer::new(None).unwrap();
    for sample in Notice::samples() {
        let word = sample.kind.word();
        let heard = sample.kind.loudness() != Hears::Everything && word != "delivery-missed";
        assert!(
            !heard || renderer.own_source(word, Form::Email).is_some(),
            "{word} has no words for mail"
        );
    }
}

#[test]
fn a_mail_needs_no_dictionary() {
    let renderer = Renderer::new(None).unwrap();
    let jargon = [
        "bake",
        "gate",
        "trigger",
        "latch",
        "epoch",
        "read back",
        "phase ",
        "sev1",
        "OFF TARGET",
        "BAKING",
        "`",
    ];
    for sample in Notice::samples_saying("calm words") {
        if renderer.own_source(sample.kind.word(), Form::Email).is_none() {
            continue;
        }
        let text = renderer.render(&sample, Form::Email).unwrap();
        let (headline, rest) = text.split_once('\n').unwrap();
        assert!(headline.ends_with('.') || headline.ends_with(". "), "{text}");
        for line in text
            .lines()
            .filter(|line| !line.starts_with("Needed: ") && !line.starts_with("- "))
        {
            assert!(!line.contains("checkout-17"), "{line}");
            // What a hook or an alert is called is not ours.
            let ours = !line.starts_with("Task: ");
            assert!(!ours || !jargon.iter().any(|word| line.contains(word)), "{line}");
        }
        let says = |label: &str| rest.lines().any(|line| line.starts_with(label));
        let short = ["resumed", "released"].contains(&sample.kind.word());
        assert!(
            short || says("Next: ") || says("Update: "),
            "it does not say how it goes on: {text}"
        );
    }
}

#[test]
fn a_mail_says_when_the_next_update_comes() {
    let renderer = Renderer::new(None).unwrap();
    let mut notice = sample("rolling-back");
    let mail = |notice: &Notice| renderer.render(notice, Form::Email).unwrap();
    assert!(
        mail(&notice).ends_with("\nUpdate: The next one to stakeholders is due at 04:05 CET."),
        "{}",
        mail(&notice)
    );
    notice.about.update = None;
    assert!(!mail(&notice).contains("Update:"), "nothing is promised");
}

/// A page is read on a lock screen or as an SMS of GSM characters: what, where, what to do.
#[test]
fn what_rings_fits_into_an_sms() {
    let renderer = Renderer::new(None).unwrap();
    let mut rings = BTreeSet::new();
    for sample in Notice::samples() {
        let word = sample.kind.word();
        assert!(
            sample.kind.loudness() != Hears::Pages || renderer.own_source(word, Form::Pager).is_some(),
            "{word} has no words for pagers"
        );
        if renderer.own_source(word, Form::Pager).is_none() {
            continue;
        }
        rings.insert(word);
        let text = renderer.render(&sample, Form::Pager).unwrap();
        let (first, details) = text.split_once('\n').unwrap();
        assert!(
            first.chars().count() <= 140,
            "{} characters: {first}",
            first.chars().count()
        );
        assert_eq!(
            details,
            renderer.render(&sample, Form::Text).unwrap(),
            "the whole stands below"
        );
        let where_it_is = word == "delivery-missed" || first.contains("checkout-17 production");
        assert!(where_it_is, "{first}");
        let calm = Notice::samples_saying("ok")
            .into_iter()
            .find(|calm| calm.kind.word() == word);
        let calm = renderer.render(&calm.unwrap(), Form::Pager).unwrap();
        let (first, _) = calm.split_once('\n').unwrap();
        assert!(first.is_ascii(), "an SMS would be cut to half: {first}");
    }
    assert!(rings.len() >= 14, "{rings:?}");
}

/// Plans may have long names, and a rollout is called by its plan's.
#[test]
fn what_rings_fits_for_a_rollout_of_any_name() {
    let renderer = Renderer::new(None).unwrap();
    let name = "weekly-replicas-of-the-payments-gateway-in-frankfurt";
    let mut cut = 0;
    for mut sample in Notice::samples() {
        if renderer.own_source(sample.kind.word(), Form::Pager).is_none() {
            continue;
        }
        sample.about.rollout = tidegate_rollout::RolloutId::numbered(name, 17);
        sample.about.environment = "production-of-the-payments".to_owned();
        let text = renderer.render(&sample, Form::Pager).unwrap();
        let first = text.lines().next().unwrap();
        let length = first.chars().count();
        assert!(length <= 140, "{length} characters: {first}");
        let named = first.contains("weekly-replicas-of-the-payments-gatew... production-of...");
        assert!(named || sample.kind.word() == "delivery-missed", "{first}");
        cut += usize::from(length > 130 && first.ends_with("..."));
    }
    assert!(cut >= 5, "{cut} lines were as long as they may be");
}

#[test]
fn a_line_is_cut_as_text_and_never_as_html() {
    let cut = |source: &str| {
        let overrides = Overrides::with(&[("completed/text.hbs", source)]);
        overrides
            .renderer()
            .unwrap()
            .render(&sample("completed"), Form::Text)
            .unwrap()
    };
    assert_eq!(cut("{{#within 12}}{{about.service}} is done{{/within}}"), "checkout...");
    assert_eq!(
        cut("{{#within 16}}{{about.service}} is done{{/within}}!"),
        "checkout is done!"
    );
    assert_eq!(
        cut("{{#within 13}}{{short about.title 9}} and more{{/within}}"),
        "Checko..."
    );
    let frame = Overrides::with(&[("email/frame.hbs", "{{#within 20}}<a href=\"{{page}}\">{{/within}}")]);
    assert!(frame.faults()[0].contains("within"), "{:?}", frame.faults());
}

#[test]
fn slack_and_discord_say_the_same_below_a_card_without_naming_the_rollout_again() {
    let renderer = Renderer::new(None).unwrap();
    let mut lines = 0;
    for sample in Notice::samples_saying("calm words") {
        let said = |form: Form| renderer.render(&sample, form).unwrap();
        assert_eq!(said(Form::Slack), said(Form::Discord));
        if renderer.own_source(sample.kind.word(), Form::Thread).is_some() {
            lines += 1;
            let (thread, text) = (said(Form::Slack), said(Form::Text));
            assert!(!thread.contains("checkout-17"), "{thread}");
            assert!(thread.len() < text.len(), "{thread}");
        }
    }
    assert!(lines >= 15, "{lines}");
    let own = Overrides::with(&[("paused/slack.hbs", "in Slack"), ("paused/thread.hbs", "in a thread")]);
    let own = own.renderer().unwrap();
    let said = |form: Form| own.render(&sample("paused"), form).unwrap();
    assert_eq!(
        (said(Form::Slack), said(Form::Discord)),
        ("in Slack".to_owned(), "in a thread".to_owned())
    );
    assert!(said(Form::Text).starts_with("checkout-17 paused"));
}

/// The words of the core for states and health, all of which a mail must be able to say.
#[test]
fn every_state_and_every_health_has_words() {
    let renderer = Renderer::new(None).unwrap();
    let mut notice = sample("report");
    let mut said = BTreeSet::new();
    for state in State::ALL {
        notice.about.state = state.word().to_owned();
        for confirmed in [true, false] {
            notice.about.confirmed = confirmed;
            let piece = renderer.piece("_partials/standing.hbs", &notice).unwrap();
            assert!(!piece.is_empty() && (said.insert(piece) || !confirmed), "{state:?}");
        }
    }
    for health in Health::ALL {
        if let NoticeKind::Report { bulletin, .. } = &mut notice.kind {
            bulletin.health = health.word().to_owned();
        }
        let piece = renderer.piece("_partials/health.hbs", &notice).unwrap();
        assert!(piece.starts_with("Health: ") && said.insert(piece), "{health:?}");
    }
}

#[test]
fn lengths_of_time_are_spoken_as_people_would() {
    let overrides = Overrides::with(&[("completed/text.hbs", "{{spoken facts.took}}")]);
    let renderer = overrides.renderer().unwrap();
    let mut notice = sample("completed");
    let mut spoken = |millis: i64| {
        notice.kind = NoticeKind::Completed {
            took: tidegate_rollout::Period::millis(millis),
        };
        renderer.render(&notice, Form::Text).unwrap()
    };
    assert_eq!(spoken(840), "less than a second");
    assert_eq!(spoken(1_000), "1 second");
    assert_eq!(spoken(90_000), "1 minute 30 seconds");
    assert_eq!(spoken(3_600_000), "1 hour");
    assert_eq!(spoken(3_605_000), "1 hour");
    assert_eq!(spoken(90_061_000), "1 day 1 hour");
}
