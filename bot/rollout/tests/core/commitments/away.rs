//! Commitments while nobody watches, and by clocks that disagree: what fell due is said or missed aloud, once.

use super::*;

#[test]
fn of_what_fell_due_while_nobody_watched_only_the_last_is_said() {
    let mut story = Story::of(&updates("1h", "rollout"));
    story.pass(60);
    // Due at one, two, three o'clock; the service is back three minutes after the third.
    story.away(at(3 * 3_600 + 180));
    assert_eq!(story.said("update"), [3 * 3_600 + 180]);
    assert_eq!(
        (story.track("updates").kept, story.track("updates").missed),
        (1, 2),
        "the last is in time"
    );
    let times = story.bench.notices.iter().find_map(|notice| match &notice.kind {
        NoticeKind::CommitmentMissed { times, due, .. } => Some((*times, due.duration_since(at(0)).as_secs())),
        _ => None,
    });
    assert_eq!(times, Some((2, 3_600)), "said once for both");
    story.pass(60);
    story.away(story.bench.now + SignedDuration::from_secs(20));
    assert_eq!(story.said("update").len(), 1, "a restart says nothing twice");
    assert_eq!(story.next(), Some(("updates".to_owned(), 4 * 3_600)));
}

#[test]
fn what_is_said_too_late_is_said_and_missed() {
    let mut story = Story::of(&updates("1h", "rollout"));
    story.away(at(3_600 + 1_200));
    assert_eq!(
        (story.said("update"), story.said("commitment-missed")),
        (vec![4_800], vec![4_800])
    );
    assert_eq!((story.track("updates").kept, story.track("updates").missed), (0, 1));
    assert_eq!(story.track("updates").open, None);
}

#[test]
fn a_clock_that_goes_back_says_nothing_twice_and_keeps_the_pace() {
    let mut story = Story::changed(&updates("10m", "rollout"), |plan| {
        plan["spec"]["phases"][0]["gate"] = "manual".into();
    });
    story.pass(630);
    assert_eq!(story.said("update"), [600]);
    story.away(at(630 - 3_600));
    story.pass(569);
    assert_eq!(story.said("update").len(), 1);
    story.pass(1);
    assert_eq!(
        story.said("update"),
        [600, 1_200 - 3_600],
        "ten minutes after the first, on any clock"
    );
    assert!(story.said("commitment-missed").is_empty());
}

/// The clocks of two replicas differ by a minute, and an incident that ended by the one begins again by the other.
#[test]
fn an_update_that_overtakes_another_one_leaves_that_one_missed_aloud() {
    let mut story = Story::of(&updates("2m", "incident"));
    story.down = vec!["announcements"];
    story.pass(100);
    story.fires("HighLatency");
    story.pass(130);
    assert_eq!(story.said("update"), [220], "it has until 340");
    story.types("decide continue");
    story.bench.now = at(170);
    story.bench.fires(&alert("HighErrorRate", at(-300)));
    story.voice();
    story.bench.now = at(300);
    story.pass(1);
    assert_eq!(story.said("update"), [220, 301]);
    let track = story.track("updates");
    assert_eq!((track.number, track.kept, track.missed), (2, 0, 1), "{track:?}");
    assert!(track.open.is_some(), "{track:?}");
    assert_eq!(story.said("commitment-missed"), [301]);
}

#[test]
fn a_day_that_nobody_saw_is_missed_and_the_report_of_it_is_not_made_up() {
    let daily = json!({ "day": { "to": ["stakeholders"], "daily": "09:00" } });
    let mut story = Story::of(&daily);
    let day = 86_400;
    // The first is due an hour after the start; two days go by unseen.
    story.away(at(2 * day + 4_000));
    assert_eq!(story.said("report").len(), 1);
    assert_eq!((story.track("day").number, story.track("day").missed), (3, 3));
    assert_eq!(story.next(), Some(("day".to_owned(), 3 * day + 3_600)));
}
