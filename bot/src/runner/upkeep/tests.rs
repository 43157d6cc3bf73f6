//! What a process that joins others, or comes back, makes of what they have watched.

use jiff::SignedDuration;
use tempfile::tempdir;
use tidegate_rollout::{Command, Event};

use super::*;
use crate::runner::bench::{Peer, ana, baking, engine};

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

        resume(&engine, now).await.unwrap();
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
    resume(&engine, before).await.unwrap();
    assert_eq!(engine.store.last_beat().await.unwrap(), Some(before));

    let after = before + SignedDuration::from_mins(10);
    pulse(&engine, after).await;
    assert_eq!(
        engine.store.last_beat().await.unwrap(),
        Some(before),
        "nobody was told yet"
    );

    assert!(engine.mind_breaks(after).await);
    pulse(&engine, after).await;
    assert_eq!(engine.store.last_beat().await.unwrap(), Some(after));
    let told = engine.cached_one(&id).unwrap();
    assert_eq!(told.bake.since, Some(after), "the break does not count");
}
