//! Proves that what is said is so: no more than was read back, no promise that a guard may break, no order to those who give none.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use tidegate_rollout::sim::{self, Setup};

use super::*;

/// Made once: it tries every template on every sample.
static RENDERER: LazyLock<Renderer> = LazyLock::new(|| Renderer::new(None).unwrap());

fn said(notice: &Notice, form: Form) -> String {
    RENDERER.render(notice, form).unwrap()
}

fn mail(notice: &Notice) -> String {
    said(notice, Form::Email)
}

/// The sample of a kind that `fits`.
fn that(fits: impl Fn(&NoticeKind) -> bool) -> Notice {
    let samples = Notice::samples();
    let found = samples.into_iter().find(|sample| fits(&sample.kind));
    found.expect("a sample")
}

fn first(word: &str) -> Notice {
    that(|kind| kind.word() == word)
}

#[test]
fn traffic_is_not_all_back_while_a_rung_is_left() {
    let mut left = that(|kind| matches!(kind, NoticeKind::RolledBack { left, .. } if !left.is_empty()));
    if let NoticeKind::RolledBack { left, .. } = &mut left.kind {
        *left = vec!["flag-off (flag/checkout)".to_owned()];
    }
    let back = that(|kind| matches!(kind, NoticeKind::RolledBack { left, .. } if left.is_empty()));
    let (text, whole) = (mail(&left), mail(&back));
    assert!(
        whole.contains("gets all traffic again.") && whole.contains("It was all back after"),
        "{whole}"
    );
    assert!(
        !text.contains("all traffic again") && !text.contains("all back"),
        "{text}"
    );
    assert!(text.contains("\nNot confirmed: flag-off (flag/checkout)."), "{text}");
    let drawn = |notice: &Notice| {
        let letter = RENDERER.letter(notice, None).unwrap();
        letter.html.contains("0% of the traffic goes to the new version")
    };
    assert!(drawn(&back) && !drawn(&left));
    let rings = said(&left, Form::Pager);
    let rings = rings.lines().next().unwrap();
    assert!(
        rings.contains(", 0% by one way, not confirmed for flag-off (flag/checkout)."),
        "{rings}"
    );
    assert!(said(&left, Form::Text).contains("look whether flag-off (flag/checkout) still gets traffic"));
    for notice in [&left, &back] {
        assert!(mail(notice).contains(" of the traffic was planned for the new version when this was decided."));
    }
}

#[test]
fn no_mail_promises_that_nothing_moves() {
    for sample in Notice::samples_saying("calm words") {
        if RENDERER.own_source(sample.kind.word(), Form::Email).is_some() {
            let text = RENDERER.render(&sample, Form::Email).unwrap();
            let promises = ["othing moves", "stays as it is", "stays where it is"];
            assert!(!promises.iter().any(|promise| text.contains(promise)), "{text}");
        }
    }
    for word in ["paused", "held", "waits-at-gate", "approval-asked", "hook-failed"] {
        let mut notice = first(word);
        let warns = |notice: &Notice| mail(notice).contains("it can still go back by itself");
        notice.about.armed = true;
        assert!(warns(&notice), "{word}");
        notice.about.armed = false;
        assert!(!warns(&notice), "{word}: in shadow mode nothing goes back by itself");
    }
}

#[test]
fn whoever_stands_still_says_how_many_have_it() {
    for word in ["paused", "held", "guard-holds", "hook-failed"] {
        let mut notice = first(word);
        notice.about.weight = "25%".to_owned();
        notice.about.confirmed = true;
        let text = mail(&notice);
        assert!(
            text.contains("Effect: 25% of the traffic gets the new version"),
            "{text}"
        );
        notice.about.confirmed = false;
        let text = mail(&notice);
        assert!(
            text.contains("Effect: 25% of the traffic is planned for the new version"),
            "{text}"
        );
    }
    let mut update = first("update");
    update.about.weight = "25%".to_owned();
    let mut headline = |state: &str, confirmed: bool| {
        (update.about.state, update.about.confirmed) = (state.to_owned(), confirmed);
        mail(&update).lines().next().unwrap().to_owned()
    };
    assert!(headline("PAUSED", true).ends_with("it is paused, with 25% of the traffic."));
    assert!(
        headline("PAUSED", false).ends_with("it is paused, with 25% of the traffic planned, which is not confirmed.")
    );
    assert!(headline("HELD", true).ends_with("it is on hold until a person lets it go on, with 25% of the traffic."));
    assert!(
        headline("ADVANCING", true).ends_with("its next step is being prepared, with 25% of the traffic until then.")
    );
    assert!(headline("ROLLED BACK", true).ends_with("everybody gets the previous version."));
    assert!(!headline("ROLLED BACK", false).contains("everybody"));
}

#[test]
fn a_hold_with_an_end_says_it_on_every_surface() {
    let held = that(|kind| matches!(kind, NoticeKind::Held { until: Some(_), .. }));
    for form in Form::ALL {
        let text = said(&held, form);
        assert!(text.contains(" until 04:35 CET"), "{}: {text}", form.word());
        assert!(!text.contains("until it is released"), "{text}");
    }
    let mut update = first("update");
    update.about.state = "HELD".to_owned();
    update.about.held_until = held.about.held_until;
    let text = mail(&update);
    assert!(text.contains("it is on hold until 04:35 CET, with"), "{text}");
}

#[test]
fn silence_that_leads_back_says_when() {
    let goes = that(|kind| {
        matches!(
            kind,
            NoticeKind::NoData {
                rolls_back_after: Some(_),
                ..
            }
        )
    });
    let stays = that(|kind| {
        matches!(
            kind,
            NoticeKind::NoData {
                rolls_back_after: None,
                ..
            }
        )
    });
    let (text, other) = (mail(&goes), mail(&stays));
    assert!(
        text.contains("still not known after 10 minutes, traffic goes back"),
        "{text}"
    );
    assert!(
        other.contains("It can go on once that is known again.") && !other.contains("traffic goes back"),
        "{other}"
    );
    assert!(
        said(&goes, Form::Pager).contains(", goes back after 10m. "),
        "{}",
        said(&goes, Form::Pager)
    );
    assert!(
        said(&stays, Form::Pager).contains(", held. "),
        "{}",
        said(&stays, Form::Pager)
    );
    assert!(said(&goes, Form::Text).contains("lasted 10m in all, it rolls back by itself"));
}

#[test]
fn whoever_is_asked_for_an_item_hears_how_to_tick_it() {
    let text = mail(&first("approval-asked"));
    assert!(text.contains("needs people's word before it goes on."), "{text}");
    assert!(text.contains("\"check checkout-17 done <item>\""), "{text}");
}

#[test]
fn no_time_is_no_watching() {
    let short =
        that(|kind| matches!(kind, NoticeKind::PhaseBegan { bake, .. } if *bake == tidegate_rollout::Period::ZERO));
    let text = mail(&short);
    assert!(text.contains("\nNext: It goes on by itself if all is well."), "{text}");
    assert!(!text.contains("watched"), "{text}");
}

#[test]
fn a_guard_that_stopped_a_step_says_how_it_goes_on() {
    let stopped = that(|kind| matches!(kind, NoticeKind::GuardHolds { stopped: true, .. }));
    assert!(said(&stopped, Form::Text).contains("`release checkout-17 2` and `advance checkout-17`, or"));
    let other = that(|kind| matches!(kind, NoticeKind::GuardHolds { stopped: false, .. }));
    assert!(!said(&other, Form::Text).contains("advance checkout-17"));
}

/// What the core itself says in whole histories, with everything around it failing: reasons are reasons. What to say is for those
/// who may say it, and stands in lines of its own.
#[test]
fn no_reason_of_the_core_is_an_order() {
    let (mut seen, mut guards, mut kinds) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for seed in 0..120 {
        for notice in sim::run(seed, &Setup::seeded(seed).recorded()).notices {
            let word = notice.kind.word();
            let facts = serde_json::to_string(&notice.kind).unwrap();
            if RENDERER.own_source(word, Form::Email).is_none() || !seen.insert(facts) {
                continue;
            }
            kinds.insert(word);
            if let NoticeKind::GuardHolds { guard, .. } = &notice.kind {
                guards.insert(guard.clone());
            }
            let text = RENDERER.render(&notice, Form::Email).unwrap();
            for line in text.lines().filter(|line| !line.starts_with("Needed: ")) {
                assert!(!line.contains('`') && !line.contains("Say "), "{text}");
            }
        }
    }
    for kind in [
        "advance-failed",
        "hook-failed",
        "no-data",
        "rolled-back",
        "update",
        "decision-opened",
    ] {
        assert!(kinds.contains(kind), "{kind} is not among {kinds:?}");
    }
    assert!(guards.len() >= 6, "{guards:?}");
}
