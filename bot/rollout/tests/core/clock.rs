//! What time does, and what it must not do: bake unseen, jump, or lead forward by running out.

use std::time::Duration;

use jiff::SignedDuration;
use tidegate_rollout::attention::{Attention, Moment, away_since};
use tidegate_rollout::command::Command;
use tidegate_rollout::step::Blocker;
use tidegate_rollout::surroundings::Poll;
use tidegate_rollout::{Event, Period, Stage, Weight};

use crate::bench::{Bench, Manner, alert, at, jon, over, plan, plan_with};

fn baked(bench: &Bench) -> Period {
    bench.rollout.bake.at(bench.now)
}

#[test]
fn a_plan_runs_through_by_itself_when_all_is_well() {
    let mut bench = Bench::started(plan());
    bench.pass(1_900);
    assert!(
        matches!(bench.rollout.stage, Stage::Watching { .. }),
        "{:?}",
        bench.rollout.stage
    );
    bench.pass(3_600);
    assert!(
        matches!(bench.rollout.stage, Stage::Completed { .. }),
        "{:?}",
        bench.rollout.stage
    );
    let written: Vec<Weight> = bench.writes.iter().map(|(_, weight)| *weight).collect();
    assert_eq!(written, [Weight::percent(5), Weight::percent(50), Weight::FULL]);
    let reached: Vec<i64> = bench
        .writes
        .iter()
        .map(|(moment, _)| moment.duration_since(at(0)).as_secs())
        .collect();
    assert_eq!(reached, [0, 600, 1_200], "ten minutes each, and not a second less");
}

#[test]
fn time_without_known_health_does_not_bake() {
    let mut bench = Bench::baking(plan());
    bench.pass(60);
    bench.around.poll = Poll::Unreadable { since: bench.now };
    bench.pass(500);
    let before = baked(&bench);
    bench.around.poll = Poll::Good;
    bench.pass(60);
    // One second of the first look, sixty watched ones, and the one in which it went silent.
    assert_eq!(before, Period::seconds(62));
    assert!(matches!(bench.rollout.stage, Stage::Baking { phase: 0, .. }));
    assert_eq!(bench.notices_of("no-data"), 1);
    assert_eq!(bench.notices_of("data-back"), 1);
}

#[test]
fn neither_a_pause_nor_a_restart_bakes() {
    let mut bench = Bench::baking(plan());
    bench.pass(100);
    bench
        .says(&jon(), Command::Pause { reason: String::new() })
        .expect("a pause");
    bench.pass(300);
    bench.says(&jon(), Command::Resume).expect("resumed");
    bench.pass(100);
    let before = baked(&bench);
    let away = bench.now;
    bench.now += SignedDuration::from_hours(2);
    bench
        .feed(&Event::Returned { away_since: away })
        .expect("never refused");
    assert_eq!(baked(&bench), before);
    assert!(
        matches!(bench.rollout.stage, Stage::Baking { phase: 0, .. }),
        "two hours away moved nothing"
    );
    bench.pass(410);
    assert!(
        matches!(bench.rollout.stage, Stage::Baking { phase: 1, .. }),
        "{:?}",
        bench.rollout.stage
    );
}

/// A process that has just started has watched nothing of it; what others watched until then is not its to take away.
#[test]
fn who_joins_the_others_takes_nothing_away_that_they_have_watched() {
    let mut bench = Bench::baking(plan());
    bench.pass(100);
    let before = baked(&bench);
    bench.around.watched = None;
    let last_beat = bench.now;
    bench.now += SignedDuration::from_millis(400);
    bench
        .feed(&Event::Returned { away_since: last_beat })
        .expect("never refused");
    for watched in [None, Some(Period::ZERO)] {
        bench.around.watched = watched;
        assert_eq!(bench.rollout.baked(&bench.around, bench.now), before);
    }
    bench
        .says(&jon(), Command::Pause { reason: String::new() })
        .expect("a pause");
    assert_eq!(
        baked(&bench),
        before,
        "also where it is the newcomer that stops the clock"
    );
    assert!(
        bench.log.iter().all(|entry| entry.kind != "returned"),
        "nobody was away, and nobody is told so"
    );
}

#[test]
fn who_has_only_just_started_says_of_nothing_that_it_is_not_known() {
    let mut bench = Bench::baking(plan());
    bench.pass(100);
    (bench.around.poll, bench.around.watched) = (Poll::NotYet, None);
    let last_beat = bench.now;
    bench
        .feed(&Event::Returned { away_since: last_beat })
        .expect("never refused");
    assert_eq!(bench.rollout.no_data, None);
    assert_eq!(bench.rollout.bake.since, Some(bench.now), "the clock runs on");
    let refusal = bench.says(&jon(), Command::Advance).expect_err("it knows nothing");
    assert!(refusal.to_string().contains("was not asked yet"), "{refusal}");
    bench.around.watched = Some(Period::ZERO);
    bench.pass(60);
    assert_eq!(bench.notices_of("no-data"), 1, "but not for ever");
}

#[test]
fn a_clock_that_goes_back_neither_bakes_nor_loses_what_baked() {
    let mut bench = Bench::baking(plan());
    bench.pass(300);
    let (before, away) = (baked(&bench), bench.now);
    bench.now -= SignedDuration::from_hours(1);
    bench
        .feed(&Event::Returned { away_since: away })
        .expect("never refused");
    assert!(baked(&bench) <= before);
    bench.pass(650);
    assert!(
        matches!(bench.rollout.stage, Stage::Baking { phase: 1, .. }),
        "{:?}",
        bench.rollout.stage
    );
}

#[test]
fn a_clock_that_goes_back_does_not_freshen_the_watchdog() {
    let mut bench = Bench::baking(plan());
    bench.watchdog = false;
    let away = bench.now;
    bench.now -= SignedDuration::from_hours(1);
    bench
        .feed(&Event::Returned { away_since: away })
        .expect("never refused");
    bench.pass(1_000);
    assert!(
        matches!(bench.rollout.stage, Stage::Baking { phase: 0, .. }),
        "{:?}",
        bench.rollout.stage
    );
    assert_eq!(bench.notices_of("no-data"), 1);
}

#[test]
fn a_clock_that_goes_back_does_not_put_off_a_deadline() {
    let mut bench = Bench::baking(plan());
    bench.fires(&alert("HighLatency", at(1)));
    let away = bench.now;
    bench.now -= SignedDuration::from_hours(1);
    bench
        .feed(&Event::Returned { away_since: away })
        .expect("never refused");
    bench.pass(301);
    assert!(bench.rollout.is_latched(), "the five minutes of the question are over");
}

#[test]
fn a_hold_ends_by_itself_and_then_it_goes_on() {
    let mut bench = Bench::baking(plan());
    bench.types(&jon(), "hold \"watching redis\" for:20m").expect("held");
    bench.pass(1_199);
    assert!(
        matches!(bench.rollout.stage, Stage::Baking { phase: 0, .. }),
        "the clock ran, the veto held"
    );
    bench.pass(3);
    assert!(
        matches!(bench.rollout.stage, Stage::Baking { phase: 1, .. }),
        "{:?}",
        bench.rollout.stage
    );
}

#[test]
fn silence_rolls_back_only_where_the_plan_says_so_and_once() {
    let patient = plan_with(|plan| plan["spec"]["noData"] = serde_json::json!({ "rollbackAfter": "2m" }));
    for (plan, rolls_back) in [(plan(), false), (patient.clone(), true)] {
        let mut bench = Bench::baking(plan);
        bench.around.poll = Poll::Unreadable { since: bench.now };
        bench.pass(600);
        assert_eq!(bench.rollout.is_latched(), rolls_back);
    }
    let mut shadow = patient.clone();
    shadow.spec.mode = tidegate_rollout::plan::Mode::Shadow;
    let mut bench = Bench::baking(shadow);
    bench.around.poll = Poll::Unreadable { since: bench.now };
    bench.pass(1_000);
    assert_eq!(bench.notices_of("would-roll-back"), 1, "once for one silence");
    let mut bench = Bench::baking(patient);
    bench.around.automatic_rollbacks = 3;
    bench.around.poll = Poll::Unreadable { since: bench.now };
    bench.pass(1_000);
    assert_eq!(
        (bench.notices_of("guard-holds"), bench.rollout.holds.len()),
        (1, 1),
        "one page, one hold"
    );
}

#[test]
fn a_worker_that_says_nothing_leads_to_a_page_and_never_forward() {
    let mut bench = Bench::started(plan());
    bench.manner = Manner::Hangs;
    bench.pass(299);
    assert_eq!(bench.notices_of("advance-failed"), 0);
    bench.pass(1);
    assert_eq!(bench.notices_of("advance-failed"), 1);
    bench
        .says(&jon(), Command::Rollback { reason: String::new() })
        .expect("a rollback");
    bench.pass(29);
    assert_eq!(bench.notices_of("rollback-stuck"), 0);
    bench.pass(200);
    assert_eq!(bench.notices_of("rollback-stuck"), 1, "once");
    bench
        .says(&jon(), Command::Rollback { reason: String::new() })
        .expect("it is asked again");
    assert_eq!(bench.take_open().len(), 3, "the advance, the first zero and the second");
    assert!(
        bench.says(&jon(), Command::Rollback { reason: String::new() }).is_err(),
        "and not a third time at once"
    );
}

#[test]
fn a_break_is_a_jump_of_one_clock_or_a_gap_of_both() {
    let moment = |wall: i64, steady: u64| Moment {
        wall: at(wall),
        steady: Duration::from_secs(steady),
    };
    let cases = [
        ("an ordinary look", 1, 1, false),
        ("a slow look", 10, 10, false),
        ("slewing", 9, 8, false),
        ("stood still", 11, 11, true),
        ("jumped forward", 3_601, 1, true),
        ("jumped back", -3_599, 1, true),
        ("stood still and jumped back", 0, 20, true),
    ];
    for (name, wall, steady, broken) in cases {
        let found = away_since(moment(0, 0), moment(wall, steady));
        assert_eq!(found, broken.then(|| at(0)), "{name}");
    }
}

#[test]
fn the_bake_clock_never_counts_more_than_was_watched() {
    let mut bench = Bench::baking(plan());
    let steady = |seconds: u64| Duration::from_secs(seconds);
    let mut attention = Attention::default();
    attention.look(Moment {
        wall: bench.now,
        steady: steady(0),
    });
    for second in 0..100 {
        bench.around.watched = attention.watched(&bench.rollout, steady(second));
        bench.pass(1);
    }
    // The wall clock jumps ahead, or another replica's does: the next decision sees an hour more.
    bench.now += SignedDuration::from_hours(1);
    bench.around.watched = attention.watched(&bench.rollout, steady(100));
    bench.feed(&Event::Ticked).expect("never refused");
    assert!(
        matches!(bench.rollout.stage, Stage::Baking { phase: 0, .. }),
        "{:?}",
        bench.rollout.stage
    );
    assert_eq!(bench.rollout.baked(&bench.around, bench.now), Period::seconds(100));
}

#[test]
fn a_replica_has_watched_nothing_before_its_first_look_and_nothing_in_a_break() {
    let rollout = Bench::baking(plan()).rollout;
    let mut attention = Attention::default();
    let steady = Duration::from_secs(900);
    assert_eq!(attention.watched(&rollout, steady), None, "it has only just started");
    attention.look(Moment { wall: at(0), steady });
    let watched: Vec<Period> = [900, 901, 911, 922, 923]
        .iter()
        .filter_map(|seconds| attention.watched(&rollout, Duration::from_secs(*seconds)))
        .collect();
    assert_eq!(
        watched,
        [0, 1, 11, 11, 12].map(Period::seconds),
        "eleven seconds without a look are a break"
    );
    let mut next_run = rollout.clone();
    next_run.bake.since = Some(at(500));
    assert_eq!(
        attention.watched(&next_run, Duration::from_secs(924)),
        Some(Period::ZERO),
        "a new run of the clock"
    );
}

#[test]
fn a_bake_that_began_on_a_clock_ahead_of_ours_begins_anew() {
    let mut bench = Bench::baking(plan());
    bench.now -= SignedDuration::from_hours(1);
    bench.feed(&Event::Ticked).expect("never refused");
    assert_eq!(bench.rollout.bake.since, Some(bench.now));
    bench.pass(601);
    assert!(
        matches!(bench.rollout.stage, Stage::Baking { phase: 1, .. }),
        "{:?}",
        bench.rollout.stage
    );
}

#[test]
fn a_break_of_a_living_process_counts_what_it_watched_and_no_more() {
    let mut bench = Bench::baking(plan());
    bench.pass(60);
    let away = bench.now + SignedDuration::from_hours(1);
    bench.now = away + SignedDuration::from_secs(30);
    // Its clock is an hour ahead of the one that wrote when the bake began.
    bench.around.watched = Some(Period::seconds(20));
    bench
        .feed(&Event::Returned { away_since: away })
        .expect("never refused");
    assert_eq!(bench.rollout.bake.counted, Period::seconds(20));
    assert!(matches!(bench.rollout.stage, Stage::Baking { phase: 0, .. }));
}

/// Whatever the wall clock says: a hold for two minutes lasts two watched minutes.
#[test]
fn a_clock_that_jumps_ahead_ends_no_hold_and_calms_nothing() {
    let mut bench = Bench::baking(plan());
    let occasion = alert("Chatty", at(1));
    bench.fires(&occasion);
    bench.fires(&over(&occasion, bench.now));
    bench.types(&jon(), "hold cold for:2m").expect("a hold");
    bench.pass(10);
    let away = bench.now;
    let left = |bench: &Bench| {
        let blockers = tidegate_rollout::step::blockers(&bench.rollout, &bench.around, bench.now);
        blockers.iter().find_map(|blocker| match blocker {
            Blocker::Calming { left, .. } => Some(*left),
            _ => None,
        })
    };
    let until = |bench: &Bench| bench.rollout.holds[0].until.expect("it ends").duration_since(bench.now);
    let (calm, hold) = (left(&bench), until(&bench));
    assert!(calm.is_some() && hold > SignedDuration::ZERO);
    for jump in [1, -1] {
        let away_since = bench.now;
        bench.now += SignedDuration::from_hours(jump);
        bench.feed(&Event::Returned { away_since }).expect("never refused");
        assert_eq!((left(&bench), until(&bench)), (calm, hold), "{jump} h");
    }
    assert_eq!(bench.now, away);
}
