//! What the scenarios of both chat platforms ask alike: what a card can show, what the server behind it has written down, and what
//! of a signed request somebody may have changed.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tidegate::app::Running;
use tidegate::chat::{Card, Desk as _};
use tidegate_rollout::{Rollout, RolloutId};
use tidegate_tests::scratch::Scratch;

/// Every state that a card can show.
pub(crate) const STATES: [&str; 10] = [
    "ADVANCING",
    "BAKING",
    "HELD",
    "PAUSED",
    "WAITING",
    "WATCHING",
    "ROLLING BACK",
    "ROLLED BACK",
    "COMPLETED",
    "ABORTED",
];

/// A rollout as the server has it.
pub(crate) async fn rollout(running: &Running, id: &str) -> Result<Arc<Rollout>> {
    let found = running.app.dispatcher.desk().rollout(&RolloutId::new(id)).await?;
    found.with_context(|| format!("there is no {id}"))
}

/// A card of a rollout that ran six hooks and has six people who look at it, each said in two lines.
pub(crate) fn looked_after(card: Card) -> Card {
    let lines = |what: &str| (1..=6).map(|number| format!("{what} {number} of\nsix")).collect();
    Card {
        health_detail: None,
        because: None,
        phase: None,
        observed: None,
        next: "Bakes.".to_owned(),
        hooks: lines("backup"),
        looked_at: lines("nia looks at"),
        ..card
    }
}

/// What a platform shows of such a card: the latest four of each, in one line, and how many came before.
pub(crate) fn shows_the_latest(shown: &str) {
    for what in ["backup", "nia looks at"] {
        for (number, is_shown) in [(1, false), (2, false), (3, true), (4, true), (5, true), (6, true)] {
            let line = format!("{what} {number} of six");
            assert_eq!(shown.contains(&line), is_shown, "{line}: {shown}");
        }
    }
    assert_eq!(shown.matches("2 more before").count(), 2, "{shown}");
}

/// Who did something of that kind to a rollout, in order.
pub(crate) async fn did(running: &Running, rollout: &str, kind: &str) -> Result<Vec<String>> {
    let desk = running.app.dispatcher.desk();
    let log = desk.history(&RolloutId::new(rollout), 100).await?;
    let of_kind = log.into_iter().filter(|(_, entry)| entry.kind == kind);
    Ok(of_kind.map(|(_, entry)| entry.by).collect())
}

/// Somebody else holds the database for writing, until this is dropped.
pub(crate) async fn holding_the_database(scratch: &Scratch, patience: Duration) -> Result<sqlx::SqliteConnection> {
    let file = scratch.path().join("data/tidegate.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(file)
        .busy_timeout(patience);
    let mut other = sqlx::ConnectOptions::connect(&options).await?;
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await?;
    Ok(other)
}

/// What is signed and how: the time, the signature, the body.
pub(crate) type Proof = (String, String, String);

/// A signed request with one letter of it changed: at the beginning, in the middle and at the end of the body, in the time, in the
/// signature; each with what was changed.
pub(crate) fn with_one_letter_changed((timestamp, signature, body): &Proof) -> Vec<(String, Proof)> {
    let whole = (timestamp.clone(), signature.clone(), body.clone());
    let mut changed: Vec<(String, Proof)> = [0, body.len() / 2, body.len() - 1]
        .into_iter()
        .map(|at| {
            (
                format!("byte {at} of the body"),
                (timestamp.clone(), signature.clone(), flipped(body, at)),
            )
        })
        .collect();
    let later = (
        flipped(timestamp, timestamp.len() - 1),
        whole.1.clone(),
        whole.2.clone(),
    );
    changed.push(("the time".to_owned(), later));
    for at in [signature.len() / 2, signature.len() - 1] {
        let other = (whole.0.clone(), flipped(signature, at), whole.2.clone());
        changed.push((format!("letter {at} of the signature"), other));
    }
    changed
}

/// A signed request with every so-manieth letter of the body changed, and every letter of the signature; each with what was changed.
pub(crate) fn with_any_letter_changed((timestamp, signature, body): &Proof, step: usize) -> Vec<(String, Proof)> {
    let bodies = (0..body.len()).step_by(step).map(|at| {
        let altered = (timestamp.clone(), signature.clone(), flipped(body, at));
        (format!("byte {at} of the body"), altered)
    });
    let signatures = (0..signature.len()).map(|at| {
        let altered = (timestamp.clone(), flipped(signature, at), body.clone());
        (format!("letter {at} of the signature"), altered)
    });
    bodies.chain(signatures).collect()
}

/// Another digit or letter in the place of the first that stands at `at` or behind; before it, where there is none behind.
fn flipped(text: &str, at: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let place = (at..bytes.len()).chain((0..at).rev()).find(|at| bytes[*at].is_ascii());
    let byte = &mut bytes[place.expect("it has an ASCII character")];
    *byte = if *byte == b'0' { b'1' } else { b'0' };
    String::from_utf8(bytes).expect("it still is text")
}
