//! What a process that joins others, or comes back, makes of what they have watched.

use jiff::SignedDuration;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tempfile::tempdir;
use tidegate_rollout::attention::DRIFT;
use tidegate_rollout::{Command, Event, Surroundings};

use super::*;
use crate::runner::bench::{Peer, ana, baking, baking_of, engine};
use crate::store::Storage;

/// As a start does it.
async fn started(engine: &Engine, now: Timestamp) {
    resume(engine).await.unwrap();
    catch_up(engine, now).await.unwrap();
}

/// Also where the others are there, or the stop was as short as that of an upgrade.
#[tokio::test]
async fn what_was_watched_until_the_last_sign_of_life_is_kept() {
    for (away, peers) in [(300, false), (300, true), (60_000, true)] {
        let directory = tempdir().unwrap();
        // A peer that answers nothing: this process may not know that for a while, and must not act on it.
        let peer = Peer::default();
        let peers: &[&Peer] = if peers { &[&peer] } else { &[] };
        let engine = engine(&directory, peers).await;
        let now = clock::now();
        let last_beat = now - SignedDuration::from_millis(away);
        let id = baking(&engine, last_beat - SignedDuration::from_secs(600)).await.id;
        engine.store.beat("another", last_beat, 0).await.unwrap();

        started(&engine, now).await;
        let resumed = engine.cached_one(&id).unwrap();
        assert_eq!(resumed.bake.counted, Period::seconds(600), "after {away} ms");
        assert_eq!(resumed.bake.since, Some(now));

        engine.tick(now).await;
        let ticked = engine.cached_one(&id).unwrap();
        assert_eq!(
            ticked.generation, resumed.generation,
            "not asked yet is no reason to stop the clock: {:?}",
            ticked.no_data
        );

        let pause = Event::Commanded {
            actor: ana(),
            command: Command::Pause { reason: String::new() },
            seen: None,
        };
        engine.apply(&id, &pause, None, now).await.unwrap().unwrap();
        let paused = engine.cached_one(&id).unwrap();
        assert_eq!(paused.bake.counted, Period::seconds(600), "whoever stops the clock");
        let noted = engine.store.history(&id, 100).await.unwrap();
        let told = noted.iter().any(|(_, line)| line.kind == "returned");
        assert_eq!(told, away > 2_000, "a moment is no gap: {noted:?}");
    }
}

/// Two replicas that stood still together: the one that wakes first must not look as if it had watched meanwhile.
#[tokio::test]
async fn after_a_break_nobody_claims_to_have_watched_before_everybody_was_told() {
    let directory = tempdir().unwrap();
    let engine = engine(&directory, &[]).await;
    let before = clock::now();
    let id = baking(&engine, before).await.id;
    started(&engine, before).await;
    let last_beat = engine.store.last_beat().await.unwrap();
    let told = last_beat.is_some_and(|beat| (before..=clock::now()).contains(&beat));
    assert!(told, "{last_beat:?}");

    let after = before + SignedDuration::from_mins(10);
    pulse(&engine, after).await;
    assert_eq!(
        engine.store.last_beat().await.unwrap(),
        last_beat,
        "nobody was told yet"
    );

    assert!(engine.mind_breaks(after).await);
    pulse(&engine, after).await;
    assert_eq!(engine.store.last_beat().await.unwrap(), Some(after));
    let told = engine.cached_one(&id).unwrap();
    assert_eq!(told.bake.since, Some(after), "the break does not count");
}

/// More of them than one commit tells, and one that another replica moved a moment ago.
#[tokio::test]
async fn everybody_is_told_of_a_break_also_those_who_were_moved_meanwhile() {
    let directory = tempdir().unwrap();
    let engine = engine(&directory, &[]).await;
    let before = clock::now();
    let mut ids = Vec::new();
    for number in 0..40 {
        ids.push(baking_of(&engine, &format!("service-{number}"), before).await.id);
    }
    started(&engine, before).await;
    let moved = engine.store.rollout(&ids[3]).await.unwrap().unwrap();
    let note = Event::Commanded {
        actor: ana(),
        command: Command::Note {
            text: "elsewhere".to_owned(),
        },
        seen: None,
    };
    let noted = tidegate_rollout::step(&moved, &Surroundings::calm(before), &note, before).unwrap();
    engine.store.save(&noted, 0, None, before).await.unwrap();

    let after = before + SignedDuration::from_mins(10);
    assert!(engine.mind_breaks(after).await);
    for id in ids {
        let stored = engine.store.rollout(&id).await.unwrap().unwrap();
        assert_eq!(stored.bake.since, Some(after), "{id} was not told");
        let known = engine.cached_one(&id).unwrap();
        assert_eq!(known.generation, stored.generation, "{id} is not known as it was saved");
    }
    let told = engine.store.history(&moved.id, 100).await.unwrap();
    assert!(
        told.iter().any(|(_, entry)| entry.text.contains("elsewhere")),
        "{told:?}"
    );
}

/// Somebody else writes for longer than a break lasts: the time that the telling takes is no second break, or everybody would
/// be told for ever, and nothing would bake.
#[tokio::test]
async fn telling_everybody_is_no_break_of_its_own() {
    let directory = tempdir().unwrap();
    let engine = engine(&directory, &[]).await;
    let before = clock::now();
    let id = baking(&engine, before).await.id;
    started(&engine, before).await;

    let after = before + SignedDuration::from_mins(10);
    let file = directory.path().join(Storage::FILE);
    let mut other = SqliteConnectOptions::new().filename(file).connect().await.unwrap();
    let writing = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let began = std::time::Instant::now();
    let long_enough = async {
        while began.elapsed() < DRIFT.unsigned_abs() + LOOK_EVERY {
            tokio::task::yield_now().await;
        }
        writing.rollback().await.unwrap();
    };
    let (told, ()) = tokio::join!(engine.mind_breaks(after), long_enough);
    assert!(told);
    let passed = SignedDuration::try_from(began.elapsed()).unwrap();
    let generation = engine.cached_one(&id).unwrap().generation;
    assert!(engine.mind_breaks(after + passed).await);
    assert_eq!(
        engine.cached_one(&id).unwrap().generation,
        generation,
        "told twice of one break"
    );
}
