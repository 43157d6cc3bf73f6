//! What is heard is durable, once, and no neighbour suffers for a bad row.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use futures_util::future::join_all;
use tidegate::store::{Arrival, Remembered, Settled};
use tidegate_rollout::DeliveryId;
use tidegate_rollout::command::Verb;

use super::on_both;
use super::world::{World, after, alert, delivery, noon, resolved, said, unsettled};

on_both!(
    what_was_heard_is_there_after_a_restart,
    what_waits_longest_is_known,
    a_row_that_cannot_be_read_costs_no_neighbour,
    a_repeated_nonce_gets_the_first_answer_and_has_no_effect,
    a_nonce_counts_within_its_person,
    a_storm_is_stored_whole_and_once,
    a_bad_row_fails_alone,
    nul_and_endless_text_are_stored,
    the_last_word_on_an_occasion_wins,
    an_alert_that_fires_for_hours_is_recent,
    settling_twice_changes_nothing,
    services_are_counted_once,
    the_watchdog_is_seen_by_receiver,
    a_closed_store_says_so,
);

async fn what_was_heard_is_there_after_a_restart(world: World) -> Result<()> {
    let store = world.open().await?;
    let arrivals = [
        delivery("d-1", noon(), vec![alert("HighErrorRate", "f1", noon())]),
        said("d-2", "mara", "key-1", Verb::List),
    ];
    for arrival in &arrivals {
        ensure!(store.remember(arrival.clone()).await? == Remembered::New);
    }
    store.close().await;
    let again = world.open().await?;
    let read_back = arrivals.map(without_body);
    ensure!(
        again.unsettled(0, 10).await? == (read_back.to_vec(), None),
        "nothing is lost, and the order is kept"
    );
    let (first, more) = again.unsettled(0, 1).await?;
    ensure!(first == read_back[..1]);
    let (second, more) = again.unsettled(more.context("there is more")?, 1).await?;
    ensure!(second == read_back[1..]);
    ensure!(
        again
            .unsettled(more.context("a full page may not be the last")?, 1)
            .await?
            == (vec![], None)
    );
    ensure!(again.recent_alerts(noon()).await? == [alert("HighErrorRate", "f1", noon())]);
    Ok(())
}

/// What is read back comes without the body.
fn without_body(arrival: Arrival) -> Arrival {
    Arrival {
        raw: Bytes::new(),
        ..arrival
    }
}

async fn what_waits_longest_is_known(world: World) -> Result<()> {
    let store = world.open().await?;
    ensure!(store.oldest_unsettled(None).await?.is_none());
    for number in [1, 2] {
        store
            .remember(delivery(&format!("d-{number}"), after(number), vec![]))
            .await?;
    }
    ensure!(store.oldest_unsettled(None).await? == Some(after(1)));
    let [first, second] = ["d-1", "d-2"].map(DeliveryId::new);
    ensure!(
        store.oldest_unsettled(Some(&first)).await? == Some(after(2)),
        "what is in hand does not wait"
    );
    let done = [first, second].map(|id| Settled { id, answer: None });
    store.settle(&done).await?;
    ensure!(store.oldest_unsettled(None).await?.is_none());
    Ok(())
}

async fn a_row_that_cannot_be_read_costs_no_neighbour(world: World) -> Result<()> {
    let store = world.open().await?;
    for number in [1, 2, 3] {
        let alerts = vec![alert("HighErrorRate", &format!("f{number}"), noon())];
        store.remember(delivery(&format!("d-{number}"), noon(), alerts)).await?;
    }
    world
        .tamper("UPDATE deliveries SET content = '{\"v\":99}' WHERE id = 'd-2'")
        .await?;
    world
        .tamper("UPDATE alerts SET document = 'from a newer one' WHERE fingerprint = 'f1'")
        .await?;
    ensure!(unsettled(&store).await? == ["d-1", "d-3"]);
    ensure!(store.recent_alerts(noon()).await?.len() == 2 && store.firing_alerts(10).await?.len() == 2);
    ensure!(
        store.oldest_unsettled(None).await? == Some(noon()),
        "nobody says that it was dealt with"
    );
    Ok(())
}

async fn a_repeated_nonce_gets_the_first_answer_and_has_no_effect(world: World) -> Result<()> {
    let store = world.open().await?;
    let with_nonce = |id: &str, alerts| Arrival {
        nonce: Some("evt-1".to_owned()),
        ..delivery(id, noon(), alerts)
    };
    store.remember(with_nonce("d-1", vec![])).await?;
    let repeated = store
        .remember(with_nonce("d-2", vec![alert("Other", "f2", noon())]))
        .await?;
    ensure!(
        repeated
            == Remembered::Repeated {
                settled: false,
                answer: None
            }
    );
    ensure!(
        store.recent_alerts(noon()).await?.is_empty(),
        "its alerts have no effect"
    );
    let answer = Some("{\"text\":\"done\"}".to_owned());
    let id = DeliveryId::new("d-1");
    store
        .settle(&[Settled {
            id,
            answer: answer.clone(),
        }])
        .await?;
    let repeated = store.remember(with_nonce("d-3", vec![])).await?;
    ensure!(repeated == Remembered::Repeated { settled: true, answer });
    ensure!(unsettled(&store).await?.is_empty());
    Ok(())
}

async fn a_nonce_counts_within_its_person(world: World) -> Result<()> {
    let store = world.open().await?;
    let long = "k".repeat(5_000);
    for (id, person, nonce) in [
        ("a", "mara", "1"),
        ("b", "jon", "1"),
        ("c", "mara", &long),
        ("d", "mara", "2"),
    ] {
        let remembered = store.remember(said(id, person, nonce, Verb::List)).await?;
        ensure!(remembered == Remembered::New, "{id}");
    }
    let repeated = store.remember(said("e", "mara", &long, Verb::List)).await?;
    ensure!(
        repeated
            == Remembered::Repeated {
                settled: false,
                answer: None
            }
    );
    Ok(())
}

async fn a_storm_is_stored_whole_and_once(world: World) -> Result<()> {
    let store = world.open().await?;
    let storm = (0..600).map(|number| {
        let (store, id) = (store.clone(), format!("d-{number:04}"));
        // Every group tells of two alerts, one of which all others tell of too; every delivery comes twice.
        let alerts = vec![
            alert("HighErrorRate", "shared", noon()),
            alert("HighErrorRate", &format!("own-{}", number / 2), noon()),
        ];
        let nonce = Some(format!("n-{}", number / 2));
        async move {
            store
                .remember(Arrival {
                    nonce,
                    ..delivery(&id, noon(), alerts)
                })
                .await
        }
    });
    let outcomes: Vec<Remembered> = join_all(storm).await.into_iter().collect::<Result<_, _>>()?;
    let new = outcomes.iter().filter(|outcome| **outcome == Remembered::New).count();
    ensure!(new == 300, "{new} of 300 pairs are new");
    ensure!(store.count_unsettled().await? == 300);
    let heard = store.recent_alerts(noon()).await?;
    let fingerprints: BTreeSet<_> = heard.iter().map(|alert| alert.fingerprint.clone()).collect();
    ensure!(heard.len() == 301 && fingerprints.len() == 301, "{} rows", heard.len());
    Ok(())
}

async fn a_bad_row_fails_alone(world: World) -> Result<()> {
    let store = world.open().await?;
    world.refuse_alerts_called("Bad").await?;
    let batch = (0..64).map(|number| {
        let name = if number % 16 == 7 { "Bad" } else { "Good" };
        let arrival = delivery(
            &format!("d-{number}"),
            noon(),
            vec![alert(name, &format!("f{number}"), noon())],
        );
        let store = store.clone();
        async move { (number, store.remember(arrival).await) }
    });
    for (number, outcome) in join_all(batch).await {
        ensure!(outcome.is_err() == (number % 16 == 7), "{number}: {outcome:?}");
    }
    ensure!(
        store.count_unsettled().await? == 60,
        "of a bad delivery nothing is stored"
    );
    let next = store
        .remember(delivery("next", noon(), vec![alert("Good", "next", noon())]))
        .await?;
    ensure!(next == Remembered::New, "the next good one works");
    Ok(())
}

async fn nul_and_endless_text_are_stored(world: World) -> Result<()> {
    let store = world.open().await?;
    let mut odd = alert("Nul\0in\0name", &"f".repeat(9_000), "-009999-01-03T00:00:00Z".parse()?);
    let endless: String = (0..9_000).map(|number| format!("{number:x}")).collect();
    odd.labels.insert("service".to_owned(), endless);
    odd.annotations
        .insert("nul\0".to_owned(), "\0\u{202e}\u{1F480}".to_owned());
    odd.ends_at = Some("9999-12-01T00:00:00Z".parse()?);
    let mut arrival = delivery("d-1", noon(), vec![odd.clone()]);
    arrival.nonce = Some("with\0nul".to_owned());
    store.remember(arrival.clone()).await?;
    ensure!(
        store.recent_alerts(noon()).await? == [odd],
        "the document keeps it exactly"
    );
    arrival.nonce = Some("with␀nul".to_owned());
    ensure!(store.unsettled(0, 10).await?.0 == [without_body(arrival)]);
    let services = store
        .services_with_alert(
            "Nul\0in\0name",
            "production",
            "-009999-01-02T02:00:00Z".parse()?..=noon(),
        )
        .await?;
    ensure!(services.len() == 1, "it is found by the name it came with");
    Ok(())
}

async fn the_last_word_on_an_occasion_wins(world: World) -> Result<()> {
    let store = world.open().await?;
    let (first, second) = (alert("A", "f1", noon()), alert("A", "f1", after(60)));
    let ended = resolved(first.clone(), after(30));
    // Both occasions, and both words on the first one, in one delivery: one statement must not touch a row twice.
    let words = vec![first.clone(), second.clone(), ended.clone()];
    store.remember(delivery("d-1", after(61), words)).await?;
    ensure!(store.recent_alerts(after(61)).await? == [ended.clone(), second.clone()]);
    let ended_too = resolved(second.clone(), after(90));
    store
        .remember(delivery("d-2", after(91), vec![ended_too.clone()]))
        .await?;
    ensure!(store.recent_alerts(after(91)).await? == [ended_too]);
    ensure!(store.firing_alerts(10).await?.is_empty());
    Ok(())
}

async fn an_alert_that_fires_for_hours_is_recent(world: World) -> Result<()> {
    let store = world.open().await?;
    let (long, over) = (
        alert("Long", "f1", noon()),
        resolved(alert("Over", "f2", noon()), after(1)),
    );
    store
        .remember(delivery("d-1", noon(), vec![long.clone(), over]))
        .await?;
    ensure!(store.recent_alerts(after(7_200)).await? == std::slice::from_ref(&long));
    let firing = store.firing_alerts(10).await?;
    ensure!(
        firing.len() == 1 && firing[0].alert == long && firing[0].receiver == "default",
        "{firing:?}"
    );
    ensure!(firing[0].first_heard_at == noon() && firing[0].heard_at == noon());
    store.remember(delivery("d-2", after(9), vec![long])).await?;
    let firing = store.firing_alerts(10).await?;
    ensure!(
        firing[0].first_heard_at == noon() && firing[0].heard_at == after(9),
        "{firing:?}"
    );
    Ok(())
}

async fn settling_twice_changes_nothing(world: World) -> Result<()> {
    let store = world.open().await?;
    for id in ["d-1", "d-2", "d-3"] {
        store.remember(delivery(id, noon(), vec![])).await?;
    }
    let settled = |id: &str| Settled {
        id: DeliveryId::new(id),
        answer: None,
    };
    store
        .settle(&[settled("d-3"), settled("d-1"), settled("nobody")])
        .await?;
    store.settle(&[settled("d-1")]).await?;
    store.settle(&[]).await?;
    ensure!(unsettled(&store).await? == ["d-2"]);
    Ok(())
}

async fn services_are_counted_once(world: World) -> Result<()> {
    let store = world.open().await?;
    let on = |service: &str, fingerprint: &str, began| {
        let mut alert = alert("HighErrorRate", fingerprint, began);
        alert.labels.insert("service".to_owned(), service.to_owned());
        alert
    };
    let mut elsewhere = on("search", "f6", noon());
    elsewhere.labels.insert("environment".to_owned(), "staging".to_owned());
    let alerts = vec![
        on("checkout", "f1", noon()),
        on("checkout", "f2", noon()),
        on("cart", "f3", after(60)),
        on("early", "f4", after(-1)),
        on("late", "f7", after(61)),
        on("", "f8", noon()),
        resolved(on("over", "f5", noon()), after(2)),
        elsewhere,
    ];
    store.remember(delivery("d-1", after(61), alerts)).await?;
    let began = async |name, environment| {
        let mut began = store.services_with_alert(name, environment, noon()..=after(60)).await?;
        began.sort_unstable();
        anyhow::Ok(began)
    };
    let production = began("HighErrorRate", "production").await?;
    let expected = [("cart", after(60)), ("checkout", noon())].map(|(service, at)| (service.to_owned(), at));
    ensure!(
        production == expected,
        "once for each service and beginning: {production:?}"
    );
    ensure!(began("HighErrorRate", "staging").await?.len() == 1);
    ensure!(began("Other", "production").await?.is_empty());
    Ok(())
}

async fn the_watchdog_is_seen_by_receiver(world: World) -> Result<()> {
    let store = world.open().await?;
    ensure!(store.watchdog_seen("default").await?.is_none());
    store
        .remember(delivery("d-1", after(5), vec![alert("Watchdog", "w", noon())]))
        .await?;
    store
        .remember(delivery("d-2", after(9), vec![alert("Watchdog", "w", noon())]))
        .await?;
    ensure!(store.watchdog_seen("default").await? == Some(after(9)));
    ensure!(store.watchdog_seen("other").await?.is_none());
    Ok(())
}

async fn a_closed_store_says_so(world: World) -> Result<()> {
    let store = world.open().await?;
    let waiting = join_all((0..50).map(|number| {
        let store = store.clone();
        async move { store.remember(delivery(&format!("d-{number}"), noon(), vec![])).await }
    }));
    let (outcomes, ()) = tokio::join!(waiting, store.close());
    let stored = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    ensure!(store.remember(delivery("late", noon(), vec![])).await.is_err());
    ensure!(store.active().await.is_err());
    let again = world.open().await?;
    ensure!(
        again.count_unsettled().await? == stored as u64,
        "what was answered is there, and nothing else"
    );
    Ok(())
}
