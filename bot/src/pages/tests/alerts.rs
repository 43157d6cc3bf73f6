//! The alerts on a rollout's page, while it goes on and when it is over.

use super::*;

/// Nothing is heard for a rollout that is over: what fired then is not known to fire still.
#[test]
fn an_alert_of_a_rollout_that_is_over_does_not_count_on() {
    let stories = stories();
    let shown_of = |wanted: &str| {
        let (_, story) = stories.iter().find(|(name, _)| *name == wanted).unwrap();
        let html = pages().rollout(&page_of(story, Role::Operator)).unwrap().0;
        words(
            html.split("id=\"alerts\"")
                .nth(1)
                .unwrap()
                .split("</section>")
                .next()
                .unwrap(),
        )
    };
    let (going, over) = (shown_of("rolling-back"), shown_of("rolled-back"));
    assert!(
        going.contains("FIRING CheckoutErrorRateHigh since") && going.contains(" (1m), trigger"),
        "{going}"
    );
    assert!(over.contains("FIRED CheckoutErrorRateHigh since"), "{over}");
    assert!(!over.contains("FIRING") && !over.contains("), trigger"), "{over}");
}
