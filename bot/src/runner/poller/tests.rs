//! Proves the poller against peers that answer over a socket: what is remembered after a round.

use tempfile::{TempDir, tempdir};
use tidegate_rollout::AlertStatus;
use tidegate_rollout::surroundings::Poll;
use tidegate_webhooks::{Intake, Received, Unreadable};

use super::*;
use crate::runner::bench::{Peer, alert, engine};

async fn webhook(engine: &Engine, alert: &Alert) {
    let received = Received {
        source: Source::Alertmanager,
        receiver: "default".to_owned(),
        nonce: None,
        body: Bytes::from_static(b"{}"),
        alerts: vec![alert.clone()],
        unreadable: Unreadable::default(),
        truncated: 0,
    };
    engine.accept(received).await.unwrap();
}

fn resolved(alert: &Alert) -> Alert {
    Alert {
        status: AlertStatus::Resolved,
        ends_at: Some(clock::now()),
        ..alert.clone()
    }
}

async fn firing(engine: &Engine) -> Vec<String> {
    let firing = engine.store.firing_at_alertmanagers().await.unwrap();
    firing.iter().map(|alert| alert.name().to_owned()).collect()
}

fn poll(engine: &Engine) -> Poll {
    engine.path.over(&["default".to_owned()]).1
}

/// The last word of the process before was "it fires", and nobody ever tells the end.
#[tokio::test]
async fn an_alert_that_ended_unheard_does_not_outlive_a_restart() {
    let directory: TempDir = tempdir().unwrap();
    let before = engine(&directory, &[]).await;
    webhook(&before, &alert("HighErrorRate")).await;
    before.store.close().await;

    let peer = Peer::default();
    let after = engine(&directory, &[&peer]).await;
    peer.fails();
    round(&after).await;
    assert_eq!(
        firing(&after).await,
        ["HighErrorRate"],
        "a peer that fails proves nothing"
    );
    peer.lists(&[alert("Another")]);
    round(&after).await;
    assert_eq!(firing(&after).await, ["Another"]);
    let told = after.store.count_unsettled().await.unwrap();
    round(&after).await;
    assert_eq!(after.store.count_unsettled().await.unwrap(), told, "once");
}

#[tokio::test]
async fn a_peer_that_still_lists_it_outweighs_the_resolved_of_the_other() {
    let directory: TempDir = tempdir().unwrap();
    let (blind, seeing) = (Peer::default(), Peer::default());
    let engine = engine(&directory, &[&blind, &seeing]).await;
    let occasion = alert("HighErrorRate");
    webhook(&engine, &occasion).await;
    blind.lists(&[]);
    seeing.lists(std::slice::from_ref(&occasion));
    round(&engine).await;
    webhook(&engine, &resolved(&occasion)).await;
    assert!(firing(&engine).await.is_empty());
    round(&engine).await;
    assert_eq!(
        firing(&engine).await,
        ["HighErrorRate"],
        "also after a round that listed the same"
    );
}

#[tokio::test]
async fn a_peer_that_is_silent_makes_the_source_unreadable_after_three_rounds() {
    let directory: TempDir = tempdir().unwrap();
    let (one, other) = (Peer::default(), Peer::default());
    let engine = engine(&directory, &[&one, &other]).await;
    one.lists(&[]);
    other.lists(&[]);
    round(&engine).await;
    assert_eq!(poll(&engine), Poll::Good);
    other.fails();
    for _ in 0..ROUNDS {
        assert_eq!(poll(&engine), Poll::Good);
        round(&engine).await;
    }
    assert!(matches!(poll(&engine), Poll::Unreadable { .. }));
}

/// In a storm every delivery rings; the bell shortens the wait, and never below the rest.
#[tokio::test]
async fn whoever_rings_the_poller_rests() {
    let (bell, vitals, stop) = (Notify::new(), Vitals::default(), CancellationToken::new());
    let began = Instant::now();
    let (rest, long) = (Duration::from_millis(50), Duration::from_secs(600));
    for _ in 0..3 {
        bell.notify_one();
    }
    assert!(wait(&bell, &vitals, (began + rest)..(began + long), &stop).await);
    let waited = began.elapsed();
    assert!(waited >= rest && waited < long, "{waited:?}");
    stop.cancel();
    assert!(!wait(&bell, &vitals, began..(began + long), &stop).await);
}

fn answer(receiver: &str, listed: &[&Alert], complete: bool) -> Answer {
    Answer {
        receiver: receiver.to_owned(),
        listed: listed.iter().map(|alert| (*alert).clone()).collect(),
        complete,
    }
}

#[test]
fn only_the_peers_of_its_receiver_can_say_that_an_alert_is_over() {
    let alert = alert("HighErrorRate");
    let key = alert.key();
    let judged = |answers: &[Answer]| judge(answers, &key, "default");
    let nothing: [&Alert; 0] = [];
    assert_eq!(judged(&[]), SuspectAnswer::Unreadable, "nobody can be asked");
    assert_eq!(judged(&[answer("other", &nothing, true)]), SuspectAnswer::Unreadable);
    let other_down = [answer("default", &nothing, true), answer("other", &nothing, false)];
    assert_eq!(
        judged(&other_down),
        SuspectAnswer::Absent,
        "the other one does not matter"
    );
    assert_eq!(judged(&[answer("default", &nothing, false)]), SuspectAnswer::Unreadable);
    let half = [answer("default", &[&alert], false)];
    assert_eq!(judged(&half), SuspectAnswer::Active, "one peer that lists it is enough");
    let elsewhere = [answer("default", &nothing, true), answer("other", &[&alert], true)];
    assert_eq!(judged(&elsewhere), SuspectAnswer::Active);
}

#[test]
fn rounds_come_a_little_sooner_never_later_and_not_in_step() {
    let every = Duration::from_secs(5);
    let waits: BTreeSet<Duration> = (0..200).map(|_| jittered(every)).collect();
    assert!(
        waits.iter().all(|wait| *wait <= every && *wait > every * 9 / 10),
        "{waits:?}"
    );
    assert!(waits.len() > 10, "{waits:?}");
}
