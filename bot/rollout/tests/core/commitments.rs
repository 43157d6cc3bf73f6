//! Commitments as stories: somebody relies on being told, time passes, word comes or does not.

mod away;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tidegate_rollout::command::Command;
use tidegate_rollout::commitment::Track;
use tidegate_rollout::notice::Bulletin;
use tidegate_rollout::plan::Audience;
use tidegate_rollout::surroundings::Poll;
use tidegate_rollout::{Event, Notice, NoticeKind, Rollout, Stage, Weight, envelope};

use crate::bench::{Bench, Manner, alert, at, jon, over, plan_with};

/// A rollout whose stakeholders rely on `commitments`, and the channels that carry word to them.
struct Story {
    bench: Bench,
    /// Channels that take nothing.
    down: Vec<&'static str>,
    /// How many notices went out.
    sent: usize,
}

impl Story {
    fn of(commitments: &Value) -> Self {
        Self::changed(commitments, |_| ())
    }

    fn changed(commitments: &Value, change: impl FnOnce(&mut Value)) -> Self {
        let plan = plan_with(|plan| {
            plan["spec"]["audiences"] = json!({
                "oncall": { "channels": ["pager"], "hears": "pages" },
                "stakeholders": { "channels": ["announcements", "chat"], "hears": "milestones" },
            });
            plan["spec"]["commitments"] = commitments.clone();
            change(plan);
        });
        let mut story = Self {
            bench: Bench::started(plan),
            down: Vec::new(),
            sent: 0,
        };
        story.voice();
        story
    }

    /// What was decided to be said goes out; the core hears of what it waits for.
    fn voice(&mut self) {
        while let Some(notice) = self.bench.notices.get(self.sent).cloned() {
            self.sent += 1;
            for channel in self.bench.rollout.plan.channels_of(&notice) {
                if !self.down.contains(&channel.as_str()) {
                    self.tells(&notice, &channel);
                }
            }
        }
    }

    fn tells(&mut self, notice: &Notice, channel: &str) {
        if self.bench.rollout.awaits_word(&notice.id, channel) {
            let told = Event::Told {
                notice: notice.id.clone(),
                channel: channel.to_owned(),
                at: self.bench.now,
            };
            self.bench.feed(&told).expect("never refused");
        }
    }

    fn pass(&mut self, seconds: i64) {
        for _ in 0..seconds {
            self.bench.pass(1);
            self.voice();
        }
    }

    fn fires(&mut self, name: &str) {
        self.bench.fires(&alert(name, self.bench.now));
        self.voice();
    }

    fn types(&mut self, line: &str) {
        self.bench.types(&jon(), line).expect(line);
        self.voice();
    }

    /// Nobody is there until `until`; then the service comes back.
    fn away(&mut self, until: Timestamp) {
        let away_since = self.bench.now;
        self.bench.now = until;
        self.bench.feed(&Event::Returned { away_since }).expect("never refused");
        self.voice();
    }

    fn track(&self, name: &str) -> Track {
        let tracks = &self.bench.rollout.commitments.tracks;
        tracks.get(name).cloned().unwrap_or_default()
    }

    /// Seconds since the start at which something of this kind was said.
    fn said(&self, kind: &str) -> Vec<i64> {
        let said = self.bench.notices.iter().filter(|notice| notice.kind.word() == kind);
        said.map(|notice| notice.at.duration_since(at(0)).as_secs()).collect()
    }

    fn bulletins(&self) -> Vec<&Bulletin> {
        let all = self.bench.notices.iter().filter_map(|notice| match &notice.kind {
            NoticeKind::Update(bulletin) | NoticeKind::Report { bulletin, .. } => Some(&**bulletin),
            _ => None,
        });
        all.collect()
    }

    fn next(&self) -> Option<(String, i64)> {
        let due = self.bench.rollout.next_commitment()?;
        Some((due.name.to_owned(), due.by.duration_since(at(0)).as_secs()))
    }
}

fn first_word() -> Value {
    json!({ "first-word": { "to": ["stakeholders"], "afterIncident": "5m" } })
}

fn updates(every: &str, during: &str) -> Value {
    json!({ "updates": { "to": ["stakeholders"], "every": every, "while": during } })
}

#[test]
fn the_page_about_a_rollback_is_the_first_word_of_it() {
    let mut story = Story::of(&first_word());
    story.pass(60);
    assert_eq!(story.next(), None, "nothing is wrong");
    story.bench.manner = Manner::Hangs;
    story.down = vec!["announcements"];
    story.fires("HighErrorRate");
    assert_eq!(story.next(), Some(("first-word".to_owned(), 60 + 300)));
    story.down.clear();
    let page = story.bench.notices.last().cloned().expect("a page");
    assert_eq!(page.kind.word(), "rolling-back");
    story.tells(&page, "announcements");
    assert_eq!((story.track("first-word").kept, story.next()), (1, None));
    story.bench.manner = Manner::Answers;
    story.pass(600);
    assert!(story.said("commitment-missed").is_empty());
    assert!(story.bench.rollout.is_settled());
}

#[test]
fn a_rollback_that_nobody_was_told_of_is_missed_aloud_although_it_is_over_by_then() {
    let mut story = Story::of(&first_word());
    story.pass(60);
    story.down = vec!["announcements"];
    story.fires("HighErrorRate");
    story.pass(2);
    let rollout = &story.bench.rollout;
    assert!(matches!(rollout.stage, Stage::RolledBack { .. }) && rollout.is_final());
    assert!(!rollout.is_settled(), "somebody is still to be told");
    story.pass(900);
    assert_eq!(story.said("commitment-missed"), [60 + 300], "once, and at its time");
    assert!(story.bench.rollout.is_settled());
    let missed = story.bench.notices.last().expect("a page");
    let channels = story.bench.rollout.plan.channels_of(missed);
    assert!(
        channels.contains("pager"),
        "those who can do something hear of it: {channels:?}"
    );
    insta::assert_snapshot!(missed.kind.sentence(&missed.about));
    let writes: Vec<Weight> = story.bench.writes.iter().map(|(_, weight)| *weight).collect();
    assert_eq!(writes, [Weight::percent(5), Weight::ZERO], "traffic is nobody's word");
}

#[test]
fn a_question_a_hold_and_silence_are_incidents_until_they_are_over() {
    let mut story = Story::of(&first_word());
    story.pass(10);
    story.fires("HighLatency");
    story.pass(10);
    story.types("decide continue");
    story.bench.fires(&over(&alert("HighLatency", at(10)), at(20)));
    assert_eq!(story.track("first-word").kept, 1, "a question");
    assert!(story.bench.rollout.commitments.incident.is_none());
    story.pass(40);
    story.bench.around.poll = Poll::Unreadable { since: story.bench.now };
    story.pass(30);
    assert!(story.bench.rollout.commitments.incident.is_some());
    story.bench.around.poll = Poll::Good;
    story.pass(5);
    assert_eq!(story.track("first-word").kept, 2, "silence");
    assert!(story.bench.rollout.commitments.incident.is_none());
    story.bench.fires(&alert("HighErrorRate", at(-300)));
    story.voice();
    story.pass(1);
    assert_eq!(story.track("first-word").kept, 3, "a guard's hold");
    assert_eq!(story.track("first-word").number, 3);
    assert!(story.said("commitment-missed").is_empty());
}

#[test]
fn a_rollback_is_news_where_something_was_wrong_before() {
    let mut story = Story::of(&first_word());
    story.pass(10);
    story.fires("HighLatency");
    story.pass(60);
    story.down = vec!["announcements"];
    story.fires("HighErrorRate");
    story.pass(400);
    assert_eq!(
        (story.track("first-word").kept, story.track("first-word").missed),
        (1, 1)
    );
    assert_eq!(story.said("commitment-missed"), [70 + 300]);
}

#[test]
fn chat_and_log_are_read_by_whoever_looks_and_are_no_word() {
    let mut story = Story::of(&first_word());
    story.pass(10);
    story.down = vec!["announcements", "pager"];
    story.fires("HighErrorRate");
    story.pass(400);
    assert_eq!(story.track("first-word").missed, 1);
    for channel in Audience::READ_BY_LOOKING {
        assert!(!story.bench.rollout.awaits_word(&story.bench.notices[1].id, channel));
    }
}

#[test]
fn word_that_comes_too_late_keeps_nothing() {
    let mut story = Story::of(&first_word());
    story.pass(10);
    story.down = vec!["announcements"];
    story.fires("HighErrorRate");
    let page = story.bench.notices.last().cloned().expect("a page");
    story.bench.now += SignedDuration::from_secs(301);
    story.tells(&page, "announcements");
    assert_eq!(
        (story.track("first-word").kept, story.track("first-word").missed),
        (0, 1)
    );
}

#[test]
fn every_audience_must_be_reached() {
    let both = json!({ "first-word": { "to": ["oncall", "stakeholders"], "afterIncident": "5m" } });
    let mut story = Story::of(&both);
    story.down = vec!["announcements"];
    story.pass(10);
    story.fires("HighErrorRate");
    story.pass(310);
    let missed = story.bench.notices.iter().find_map(|notice| match &notice.kind {
        NoticeKind::CommitmentMissed { audiences, .. } => Some(audiences.clone()),
        _ => None,
    });
    assert_eq!(missed, Some(vec!["stakeholders".to_owned()]), "the pager was told");
}

/// A page promises what the same step has decided, and the end promises nothing any more.
#[test]
fn every_notice_says_when_people_hear_the_next_time() {
    let mut story = Story::changed(&updates("2m", "incident"), |plan| {
        plan["spec"]["timezone"] = "Europe/Berlin".into();
    });
    let started = &story.bench.notices[0].about;
    assert_eq!((&started.update, started.zone.as_str()), (&None, "Europe/Berlin"));
    story.pass(10);
    story.bench.manner = Manner::Hangs;
    story.fires("HighErrorRate");
    let page = story.bench.notices.last().expect("a page");
    let due = page.about.update.as_ref().expect("an update is promised");
    assert_eq!(
        (page.kind.word(), due.at, due.to.as_slice()),
        ("rolling-back", at(130), &["stakeholders".to_owned()][..])
    );
    story.bench.manner = Manner::Answers;
    story.pass(60);
    let last = story.bench.notices.last().expect("the end");
    assert_eq!((last.kind.word(), &last.about.update), ("rolled-back", &None));
}

#[test]
fn updates_come_by_their_clock_while_traffic_moves_and_stop_with_it() {
    let mut story = Story::of(&updates("7m", "cutover"));
    assert_eq!(story.next(), Some(("updates".to_owned(), 420)));
    story.pass(1_900);
    assert!(matches!(story.bench.rollout.stage, Stage::Watching { .. }));
    assert_eq!(story.said("update"), [420, 840, 1_260, 1_680]);
    assert_eq!((story.track("updates").kept, story.next()), (4, None));
    story.pass(3_700);
    assert!(matches!(story.bench.rollout.stage, Stage::Completed { .. }));
    assert_eq!(story.said("update").len(), 4);
    assert!(story.said("commitment-missed").is_empty());
}

#[test]
fn the_end_of_a_rollout_stops_its_clocks() {
    let mut story = Story::of(&updates("25m", "rollout"));
    story.pass(1_900 + 3_700);
    assert!(matches!(story.bench.rollout.stage, Stage::Completed { .. }));
    assert_eq!(story.said("update"), [1_500, 3_000, 4_500]);
    let generation = story.bench.rollout.generation;
    story.pass(7_200);
    assert_eq!(story.bench.rollout.generation, generation, "nothing happens any more");
    assert_eq!((story.said("update").len(), story.next()), (3, None));
}

#[test]
fn updates_during_an_incident_begin_with_it_and_end_with_it() {
    let mut story = Story::of(&updates("2m", "incident"));
    story.pass(100);
    assert_eq!(story.next(), None);
    story.fires("HighLatency");
    story.pass(250);
    assert_eq!(story.said("update"), [220, 340]);
    story.types("decide continue");
    story.pass(600);
    assert_eq!(story.said("update").len(), 2);
}

#[test]
fn an_update_says_how_things_stand_and_what_happened_since_the_last_one() {
    let mut story = Story::changed(&updates("10m", "rollout"), |plan| {
        plan["spec"]["timezone"] = "Europe/Berlin".into();
        plan["spec"]["phases"][0]["gate"] = "manual".into();
    });
    story.pass(60);
    story.types("hold watching redis");
    story.fires("Chatty");
    story.pass(1_140);
    insta::assert_snapshot!(serde_json::to_string_pretty(&story.bulletins()).expect("JSON"));
    let update = story.bench.notices.iter().find(|notice| notice.kind.word() == "update");
    let channels = story.bench.rollout.plan.channels_of(update.expect("an update"));
    assert_eq!(
        channels.into_iter().collect::<Vec<_>>(),
        ["announcements", "chat", "log"]
    );
}

#[test]
fn an_update_that_does_not_get_out_is_missed_once_and_the_clock_goes_on() {
    let mut story = Story::changed(&updates("10m", "rollout"), |plan| {
        plan["spec"]["phases"][0]["gate"] = "manual".into();
    });
    story.down = vec!["announcements"];
    story.pass(1_190);
    assert_eq!(story.said("update"), [600]);
    assert_eq!(story.said("commitment-missed"), [900], "five minutes are its grace");
    let missed = story.bench.rollout.missed_commitments();
    assert_eq!(missed.len(), 1, "people see it");
    story.down.clear();
    story.pass(20);
    assert_eq!(story.said("update"), [600, 1_200]);
    assert_eq!(story.bench.rollout.missed_commitments(), [], "kept again");
    let happened = &story.bulletins()[1].happened;
    assert!(happened.iter().any(|line| line.contains("was missed")), "{happened:?}");
    assert_eq!((story.track("updates").kept, story.track("updates").missed), (1, 1));
}

#[test]
fn a_missed_commitment_keeps_nothing_from_going_forward() {
    let mut story = Story::of(&json!({
        "updates": { "to": ["stakeholders"], "every": "5m" },
        "first-word": { "to": ["stakeholders"], "afterIncident": "1m" },
    }));
    story.down = vec!["announcements"];
    story.pass(1_900 + 3_700);
    assert!(story.said("commitment-missed").len() > 10);
    assert!(matches!(story.bench.rollout.stage, Stage::Completed { .. }));
    let reached: Vec<i64> = story
        .bench
        .writes
        .iter()
        .map(|(moment, _)| moment.duration_since(at(0)).as_secs())
        .collect();
    assert_eq!(reached, [0, 600, 1_200], "as without any commitment");
    assert!(
        story.bench.rollout.commitments.incident.is_none(),
        "it is no incident either"
    );
}

#[test]
fn a_report_comes_each_day_at_its_time_also_on_days_of_another_length() {
    let daily = json!({ "day": { "to": ["stakeholders"], "daily": "17:00" } });
    let mut story = Story::changed(&daily, |plan| {
        plan["spec"]["timezone"] = "Europe/Berlin".into();
        plan["spec"]["phases"][0]["gate"] = "manual".into();
    });
    // From the fifth of January to the third of November: both changes of the clock are in it.
    let end: Timestamp = "2026-11-03T12:00:00Z".parse().expect("a moment");
    while story.bench.now < end {
        story.bench.now += SignedDuration::from_mins(30);
        story.bench.feed(&Event::Ticked).expect("never refused");
        story.voice();
    }
    let zone = story.bench.rollout.plan.zone();
    let reports: Vec<&Notice> = story
        .bench
        .notices
        .iter()
        .filter(|notice| notice.kind.word() == "report")
        .collect();
    let local = reports.iter().map(|report| report.at.to_zoned(zone.clone()));
    let times: std::collections::BTreeSet<String> = local.clone().map(|at| at.strftime("%H:%M").to_string()).collect();
    assert_eq!(times.into_iter().collect::<Vec<_>>(), ["17:00"]);
    let days: std::collections::BTreeSet<_> = local.map(|at| at.date()).collect();
    assert_eq!((days.len(), reports.len()), (302, 302), "each day once");
    assert_eq!(story.track("day").kept, 302);
    assert!(story.said("commitment-missed").is_empty());
}

#[test]
fn what_is_owed_survives_the_store() {
    let mut story = Story::of(&json!({
        "first-word": { "to": ["oncall", "stakeholders"], "afterIncident": "5m" },
        "updates": { "to": ["stakeholders"], "every": "10m" },
        "day": { "to": ["stakeholders"], "daily": "08:20" },
    }));
    story.down = vec!["announcements"];
    story.pass(1_250);
    story.fires("HighErrorRate");
    story.pass(1);
    let owing = &story.bench.rollout;
    assert!(owing.is_final() && !owing.is_settled());
    let sealed = envelope::seal(owing).expect("sealed");
    let opened: Rollout = envelope::open(&sealed).expect("opened");
    assert_eq!(&opened, owing);
}

#[test]
fn people_steer_and_are_told_of_it_by_the_next_update() {
    let mut story = Story::of(&updates("10m", "rollout"));
    story.pass(30);
    story
        .bench
        .says(
            &jon(),
            Command::Pause {
                reason: "lunch".to_owned(),
            },
        )
        .expect("a pause");
    story.pass(580);
    let update = story.bulletins()[0];
    assert!(
        update.open[0].starts_with("paused by jon since 08:00 UTC"),
        "{:?}",
        update.open
    );
    assert!(
        update.happened.iter().any(|line| line.contains("jon paused it: lunch")),
        "{:?}",
        update.happened
    );
}
