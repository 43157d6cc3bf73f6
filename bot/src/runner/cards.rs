//! Owns the cards: one message for each rollout in each channel that has cards, drawn from how things stand when it is sent.
//! Refuses to let two replicas draw one card at a time, and to post a second one after a crash without looking for the first.

mod place;

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tidegate_rollout::RolloutId;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use url::Url;

use super::Engine;
use crate::channel::{ChannelError, Edited};
use crate::chat::{Card, Desk};
use crate::clock;
use crate::store::{CardKey, CardRow};
pub(super) use place::Place;

/// How often it looks without being rung.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// No single edit lasts longer; shorter than a claim.
const ATTEMPT: Duration = Duration::from_secs(10);
/// So many cards are looked at together.
const MANY: u32 = 16;
/// What a card says of times to come gets old by itself.
const REDRAW_EVERY: SignedDuration = SignedDuration::from_secs(60);
/// After a failed edit a card is left alone for so long, as long as nobody says for how long; twice as long after the next.
const REST: SignedDuration = SignedDuration::from_secs(5);
/// But it is looked at this often.
const LONGEST_REST: SignedDuration = SignedDuration::from_mins(10);

/// Keeps every card true, until `stop`.
pub(super) async fn run(engine: Arc<Engine>, stop: CancellationToken) {
    let mut changes = engine.changes();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            changed = changes.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = redraw(&engine) => {}
        }
    }
}

/// Redraws what is out of date, one after the other.
async fn redraw(engine: &Engine) {
    if !engine
        .settings()
        .channels
        .values()
        .any(|channel| Place::of(channel).is_some())
    {
        return;
    }
    let now = clock::now();
    let before = now.saturating_sub(REDRAW_EVERY).unwrap_or(Timestamp::MIN);
    let stale = match engine.store.stale_cards(now, before, MANY).await {
        Ok(stale) => stale,
        Err(failure) => return warn!("Could not look for cards that are out of date: {failure}"),
    };
    for (rollout, name) in stale {
        let settings = engine.settings();
        let key = CardKey {
            rollout: &rollout,
            channel: &name,
        };
        let Some(place) = settings.channels.get(&name).and_then(|channel| Place::of(channel)) else {
            // The channel is not configured any more; look again when the card would be redrawn anyway.
            rest(engine, key, REDRAW_EVERY).await;
            continue;
        };
        let claimed = engine
            .store
            .claim_card(key, &settings.replica, clock::now(), settings.claim_for)
            .await;
        match claimed {
            Ok(Some(row)) => edit(engine, place, key, &row).await,
            Ok(None) => continue,
            Err(failure) => return warn!("Could not claim a card: {failure}"),
        }
        tokio::time::sleep(place.edit_every()).await;
    }
}

/// Puts how the rollout stands now into its card, which is claimed.
async fn edit(engine: &Engine, place: Place<'_>, key: CardKey<'_>, row: &CardRow) {
    let (Some(message), true) = (&row.message, row.place == place.id()) else {
        // Whoever has something to say posts a new one.
        return forget(engine, key).await;
    };
    let drawn = match draw(engine, key.rollout).await {
        Ok(Some(drawn)) => drawn,
        Ok(None) => return rest(engine, key, REDRAW_EVERY).await,
        Err(failure) => {
            warn!("Could not draw the card of {}: {failure:#}", key.rollout);
            return rest(engine, key, after_failures(row.attempts)).await;
        }
    };
    let edited = place.edit(message, key.rollout, &drawn);
    match tokio::time::timeout(ATTEMPT, edited).await {
        Ok(Ok(Edited::Done)) => shown(engine, key, place.id(), message, drawn.card.generation).await,
        Ok(Ok(Edited::Gone)) => {
            warn!(
                channel = key.channel,
                "The card of {} is gone; the next notice posts a new one", key.rollout
            );
            forget(engine, key).await;
        }
        Ok(Err(ChannelError::Busy { after, .. })) => {
            debug!(channel = key.channel, "The channel takes no more edits for {after}");
            rest(engine, key, after.duration()).await;
        }
        Ok(Err(failure)) => {
            let failure = anyhow::Error::from(failure);
            warn!(
                channel = key.channel,
                "Could not edit the card of {}: {failure:#}", key.rollout
            );
            rest(engine, key, after_failures(row.attempts)).await;
        }
        Err(_) => rest(engine, key, after_failures(row.attempts)).await,
    }
}

/// How long a card is left alone that could not be written so often.
fn after_failures(attempts: u64) -> SignedDuration {
    let doubled = attempts.saturating_sub(1).min(10);
    (REST * (1 << doubled)).min(LONGEST_REST)
}

/// The message under which notices about a rollout are told. Where there is none it is posted, or found again if a crash
/// came between its posting and its being remembered.
///
/// # Errors
/// [`ChannelError`] when there is none yet.
pub(super) async fn thread(engine: &Engine, place: Place<'_>, rollout: &RolloutId) -> Result<String, ChannelError> {
    let later = |source: anyhow::Error| ChannelError::Later {
        channel: place.name().to_owned(),
        source,
    };
    let key = CardKey {
        rollout,
        channel: place.name(),
    };
    let stands = |row: &CardRow| row.message.clone().filter(|_| row.place == place.id());
    let found = engine.store.card(key).await.map_err(|failure| later(failure.into()))?;
    if let Some(message) = found.as_ref().and_then(stands) {
        return Ok(message);
    }
    let settings = engine.settings();
    let claimed = engine
        .store
        .claim_card(key, &settings.replica, clock::now(), settings.claim_for)
        .await
        .map_err(|failure| later(failure.into()))?;
    let Some(row) = claimed else {
        return Err(ChannelError::Busy {
            channel: place.name().to_owned(),
            after: tidegate_rollout::Period::seconds(1),
        });
    };
    if let Some(message) = stands(&row) {
        rest(engine, key, SignedDuration::ZERO).await;
        return Ok(message);
    }
    match begin(engine, place, rollout, row.attempts > 1).await {
        Ok((message, generation)) => {
            shown(engine, key, place.id(), &message, generation).await;
            Ok(message)
        }
        Err(failure) => {
            rest(engine, key, SignedDuration::ZERO).await;
            Err(failure)
        }
    }
}

/// Posts the card, unless an earlier try did; answers its message and what it shows.
async fn begin(
    engine: &Engine,
    place: Place<'_>,
    rollout: &RolloutId,
    again: bool,
) -> Result<(String, u64), ChannelError> {
    let drawn = draw(engine, rollout).await.map_err(|source| ChannelError::Later {
        channel: place.name().to_owned(),
        source,
    })?;
    let Some(drawn) = drawn else {
        return Err(ChannelError::Never {
            channel: place.name().to_owned(),
            why: format!("{rollout} is not known any more"),
        });
    };
    if again && let Some(message) = place.find(rollout, drawn.started_at.as_second()).await? {
        // What it shows is not known: the next look redraws it.
        return Ok((message, 0));
    }
    let message = place.post(rollout, &drawn).await?;
    Ok((message, drawn.card.generation))
}

/// How a rollout stands at this moment; `None` when it is forgotten.
async fn draw(engine: &Engine, rollout: &RolloutId) -> anyhow::Result<Option<Drawn>> {
    let Some(rollout) = engine.rollout(rollout).await? else {
        return Ok(None);
    };
    let around = Desk::around(engine, &rollout).await?;
    let now = clock::now();
    Ok(Some(Drawn {
        started_at: rollout.started_at,
        card: Card::of(&rollout, &around, now).beside(engine, &rollout),
        page: engine.page(&rollout.id),
        now,
    }))
}

impl Engine {
    /// Where the page of a rollout is, if people outside can reach it.
    fn page(&self, rollout: &RolloutId) -> Option<Url> {
        let mut page = self.settings().pages.clone()?;
        page.path_segments_mut()
            .ok()?
            .pop_if_empty()
            .extend(["r", rollout.as_str()]);
        Some(page)
    }
}

/// A card as it stands at a moment.
struct Drawn {
    started_at: Timestamp,
    card: Card,
    page: Option<Url>,
    now: Timestamp,
}

async fn shown(engine: &Engine, key: CardKey<'_>, place: &str, message: &str, generation: u64) {
    let replica = engine.settings().replica.clone();
    let noted = engine
        .store
        .card_shown(key, &replica, (place, message), generation, clock::now())
        .await;
    if let Err(failure) = noted {
        warn!("Could not note what the card of {} shows: {failure}", key.rollout);
    }
}

async fn rest(engine: &Engine, key: CardKey<'_>, lasting: SignedDuration) {
    let replica = engine.settings().replica.clone();
    let until = clock::now().saturating_add(lasting).unwrap_or(Timestamp::MAX);
    if let Err(failure) = engine.store.postpone_card(key, &replica, until).await {
        warn!("Could not postpone the card of {}: {failure}", key.rollout);
    }
}

async fn forget(engine: &Engine, key: CardKey<'_>) {
    let replica = engine.settings().replica.clone();
    if let Err(failure) = engine.store.card_lost(key, &replica).await {
        warn!("Could not note that the card of {} is gone: {failure}", key.rollout);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_that_cannot_be_written_is_tried_less_and_less_often() {
        let waits = [1, 2, 3, 7, 8, u64::MAX].map(|attempts| after_failures(attempts).as_secs());
        assert_eq!(waits, [5, 10, 20, 320, 600, 600]);
    }
}
