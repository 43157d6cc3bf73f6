//! The latest word on each occasion of an alert: what it says of other occasions, and what it leaves alone.

use anyhow::{Result, ensure};
use jiff::{SignedDuration, Timestamp};
use tidegate::store::{Arrival, Content, Store};
use tidegate_rollout::{Alert, AlertStatus, Source};

use super::on_both;
use super::world::{World, after, alert, delivery, noon, resolved};

on_both!(
    an_end_is_that_of_every_occasion_before_it,
    an_end_is_not_taken_back_by_a_source_that_cannot_be_asked,
    alertmanager_tells_an_occasion_again_and_its_end_is_kept,
    what_is_recent_of_one_service_is_nothing_of_the_others,
);

/// A delivery from `source` to one of its receivers.
fn told(source: Source, receiver: &str, id: &str, at: Timestamp, alerts: Vec<Alert>) -> Arrival {
    let alerts = alerts
        .into_iter()
        .map(|alert| Alert {
            source,
            receiver: receiver.to_owned(),
            ..alert
        })
        .collect();
    Arrival {
        content: Content::Alerts {
            source,
            receiver: receiver.to_owned(),
            alerts,
            truncated: 0,
        },
        ..delivery(id, at, Vec::new())
    }
}

/// Which occasions fire by the last word on them, oldest first.
async fn firing(store: &Store) -> Result<Vec<Timestamp>> {
    let mut firing: Vec<_> = store
        .firing_alerts(100)
        .await?
        .into_iter()
        .map(|heard| heard.alert.starts_at)
        .collect();
    firing.sort_unstable();
    let mut recent: Vec<_> = store
        .recent_alerts(after(1_000_000))
        .await?
        .into_iter()
        .filter(|alert| alert.status == AlertStatus::Firing)
        .map(|alert| alert.starts_at)
        .collect();
    recent.sort_unstable();
    ensure!(firing == recent, "a start reads the same: {firing:?}, {recent:?}");
    Ok(firing)
}

async fn an_end_is_that_of_every_occasion_before_it(world: World) -> Result<()> {
    for source in [Source::PagerDuty, Source::Alertmanager] {
        let store = world.open().await?;
        let name = source.word();
        let (created, reopened) = (alert(name, name, noon()), alert(name, name, after(600)));
        let others = [
            told(
                source,
                "other",
                &format!("{name}-1"),
                after(1),
                vec![alert(name, name, noon())],
            ),
            told(
                source,
                "default",
                &format!("{name}-2"),
                after(1),
                vec![alert(name, "else", noon())],
            ),
            told(
                source,
                "default",
                &format!("{name}-3"),
                after(1),
                vec![alert(name, name, after(901))],
            ),
        ];
        for other in others {
            store.remember(other).await?;
        }
        let words = [
            (1, created.clone()),
            (300, resolved(created.clone(), after(299))),
            (600, reopened.clone()),
            (900, resolved(created.clone(), after(900))),
        ];
        for (seconds, word) in words {
            let id = format!("{name}-at-{seconds}");
            store
                .remember(told(source, "default", &id, after(seconds), vec![word]))
                .await?;
        }
        let fires = firing(&store).await?;
        let expected = [noon(), noon(), after(901)];
        ensure!(
            fires == expected,
            "{name}: other receivers, label sets and later occasions go on: {fires:?}"
        );
        let ended = store.recent_alerts(noon()).await?;
        let reopened = ended.iter().find(|alert| alert.starts_at == after(600));
        let end = reopened.and_then(|alert| alert.ends_at);
        ensure!(end == Some(after(900)), "{name}: it is told with its end: {reopened:?}");
        store.close().await;
        world.tamper("DELETE FROM alerts").await?;
    }
    Ok(())
}

async fn an_end_is_not_taken_back_by_a_source_that_cannot_be_asked(world: World) -> Result<()> {
    let store = world.open().await?;
    for source in [Source::PagerDuty, Source::Grafana] {
        let name = source.word();
        let created = alert(name, name, noon());
        let ended = resolved(created.clone(), after(900));
        // Both the moment of creation and one of a reopening may come late; in one commit with the end, or after it.
        for (number, late) in [created.clone(), alert(name, name, after(600))].into_iter().enumerate() {
            let id = format!("{name}-{number}");
            let together = vec![late.clone(), ended.clone(), late.clone()];
            for (way, words) in [together, vec![late]].into_iter().enumerate() {
                let at = after(901 + i64::try_from(number)?);
                store
                    .remember(told(source, "default", &format!("{id}-{way}"), at, words))
                    .await?;
                let fires = firing(&store).await?;
                ensure!(fires.is_empty(), "{name}, late word {number}, way {way}: {fires:?}");
            }
        }
        let anew = alert(name, name, after(900) + SignedDuration::from_nanos(1));
        store
            .remember(told(
                source,
                "default",
                &format!("{name}-anew"),
                after(902),
                vec![anew.clone()],
            ))
            .await?;
        ensure!(firing(&store).await? == [anew.starts_at], "{name}: it fires anew");
        let over = resolved(anew, after(1_000));
        store
            .remember(told(
                source,
                "default",
                &format!("{name}-over"),
                after(1_001),
                vec![over],
            ))
            .await?;
    }
    Ok(())
}

async fn alertmanager_tells_an_occasion_again_and_its_end_is_kept(world: World) -> Result<()> {
    let store = world.open().await?;
    let first = alert("HighErrorRate", "f1", noon());
    let (ended, again) = (resolved(first.clone(), after(60)), first.clone());
    let kept = Alert {
        ends_at: Some(after(60)),
        ..first
    };
    for (number, words) in [vec![ended.clone()], vec![again.clone()], vec![ended, again]]
        .into_iter()
        .enumerate()
    {
        let arrival = told(
            Source::Alertmanager,
            "default",
            &format!("d-{number}"),
            after(61),
            words,
        );
        store.remember(arrival).await?;
        let recent = store.recent_alerts(noon()).await?;
        let fires = number > 0;
        ensure!(
            (recent.len(), recent[0].ends_at) == (1, Some(after(60)))
                && (recent[0].status == AlertStatus::Firing) == fires,
            "{number}: {recent:?}"
        );
        ensure!(!fires || recent == std::slice::from_ref(&kept), "{number}: {recent:?}");
    }
    let at_peers = store.firing_at_alertmanagers().await?;
    ensure!(at_peers.len() == 1, "a poll will tell: {at_peers:?}");
    Ok(())
}

async fn what_is_recent_of_one_service_is_nothing_of_the_others(world: World) -> Result<()> {
    let store = world.open().await?;
    let on = |service: &str, environment: &str, fingerprint: &str| {
        let mut alert = alert("Errors", fingerprint, noon());
        alert.labels.insert("service".to_owned(), service.to_owned());
        alert.labels.insert("environment".to_owned(), environment.to_owned());
        alert
    };
    let ours = on("checkout", "production", "f1");
    let others = [on("search", "production", "f2"), on("checkout", "staging", "f3")];
    let all = others.into_iter().chain([ours.clone()]).collect();
    store
        .remember(told(Source::Alertmanager, "default", "d-1", noon(), all))
        .await?;
    let found = store.recent_alerts_of(("checkout", "production"), noon()).await?;
    ensure!(found == [ours], "{found:?}");
    ensure!(store.recent_alerts(noon()).await?.len() == 3);
    Ok(())
}
