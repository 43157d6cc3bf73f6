//! The page that asks once more.

use super::*;

#[test]
fn an_advance_to_all_traffic_and_a_rollback_are_asked_once_more() {
    let pages = pages();
    let half = Story::begins(samples::plan(), 3)
        .read_back()
        .later(31)
        .read_back()
        .later(361);
    let half = half.says("mara", Command::Advance).read_back();
    let reader = reader(Role::Operator);
    let html = shown(
        "confirm-rollback",
        pages.confirm(&Confirm::rollback(&half.seen(), Some(&reader), half.now)),
    );
    let text = words(&html);
    assert!(
        text.contains("flag/checkout-v2 is set to 0%. 50% (50.0% of 3,112 observed) of the traffic returns"),
        "{text}"
    );
    assert!(
        text.contains("The database and everything the new version wrote: nothing is undone there."),
        "{text}"
    );
    assert!(text.contains("Told on: chat, log, pager."), "{text}");
    assert!(html.contains("name=\"verb\" value=\"rollback\""));

    let failed = half.later(721).fails("no answer");
    let page = shown("rollout-failed-full", pages.rollout(&page_of(&failed, Role::Operator)));
    assert!(
        page.contains("href=\"/r/checkout-3/confirm/advance\""),
        "100% is asked once more"
    );
    let asked = Confirm::advance(&failed.seen(), Some(&reader), failed.now);
    let text = words(&shown("confirm-advance", pages.confirm(&asked)));
    assert!(text.contains("Continue checkout-3 to 100%?"), "{text}");
}

#[test]
fn what_is_over_or_under_way_is_not_offered_once_more_and_what_is_stuck_is() {
    let pages = pages();
    let reader = reader(Role::Operator);
    let question = |story: &Story| {
        let asked = Confirm::rollback(&story.seen(), Some(&reader), story.now);
        pages.confirm(&asked).expect("it can be drawn").0
    };
    let half = || Story::begins(samples::plan(), 3).read_back();
    let back = || half().says("mara", Command::Rollback { reason: String::new() });

    let under_way = question(&back());
    assert!(!under_way.contains("<form class=\"stack\"") && under_way.contains("It is rolling back already."));
    let over = question(&back().read_back());
    assert!(
        !over.contains("<form class=\"stack\"") && over.contains("It is over."),
        "{over}"
    );
    let asked = Confirm::advance(&back().read_back().seen(), Some(&reader), half().now);
    assert!(
        pages
            .confirm(&asked)
            .expect("it can be drawn")
            .0
            .contains("It is over.")
    );

    let stuck = back().fails("the target does not answer");
    let card = crate::chat::Card::of(&stuck.rollout, &stuck.around, stuck.now);
    assert!(card.stuck.is_some(), "{card:?}");
    let again = question(&stuck);
    assert!(
        again.contains("Ask for 0% of checkout-3 once more?") && again.contains("Try again"),
        "{again}"
    );
    let page = pages
        .rollout(&page_of(&stuck, Role::Operator))
        .expect("it can be drawn")
        .0;
    assert!(
        page.contains("TRY AGAIN") && !page.contains("It is rolling back already."),
        "{page}"
    );
}
