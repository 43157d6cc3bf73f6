//! Owns saying what was decided to be said: claim, word, say, and again later when a channel is down.
//! Refuses to delay traffic: it runs beside everything else, and nothing waits for it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tidegate_rollout::Period;
use tidegate_rollout::plan::Hears;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::Engine;
use crate::channel::{ChannelError, Message};
use crate::clock;
use crate::failpoint;
use crate::render::Form;
use crate::store;

/// How often it looks without being rung.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// So many messages are claimed at once.
const CLAIM: u32 = 32;
/// No single attempt lasts longer.
const ATTEMPT: Duration = Duration::from_secs(10);
/// The waits between attempts, in seconds; the last one repeats.
const WAITS: [u32; 6] = [1, 5, 30, 120, 600, 3_600];
/// What needs a person is tried for a day, the rest for an hour.
const GIVE_UP_PAGES: Period = Period::minutes(24 * 60);
const GIVE_UP_REST: Period = Period::minutes(60);

/// Runs until `stop`.
pub(super) async fn run(engine: Arc<Engine>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = engine.wake.voice.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        drain(&engine).await;
    }
}

async fn drain(engine: &Engine) {
    let settings = engine.settings();
    loop {
        let now = clock::now();
        let claimed = match engine
            .store
            .claim_messages(&settings.replica, now, settings.claim_for, CLAIM)
            .await
        {
            Ok(claimed) => claimed,
            Err(failure) => return warn!("Could not look for things to say: {failure}"),
        };
        if claimed.is_empty() {
            return;
        }
        // One channel that hangs must not hold up the others; within a channel the order is kept.
        let mut by_channel = std::collections::BTreeMap::<String, Vec<store::Message>>::new();
        for message in claimed {
            by_channel.entry(message.channel.clone()).or_default().push(message);
        }
        let work = by_channel.into_values().map(|messages| async {
            for message in messages {
                attempt(engine, message).await;
            }
        });
        futures_util::future::join_all(work).await;
    }
}

async fn attempt(engine: &Engine, message: store::Message) {
    let result = tokio::time::timeout(ATTEMPT, say(engine, &message)).await;
    let result = result.unwrap_or_else(|_| {
        Err(ChannelError::Later {
            channel: message.channel.clone(),
            source: anyhow::anyhow!("no answer within {} s", ATTEMPT.as_secs()),
        })
    });
    failpoint::hit!("voice.after-say");
    let id = &message.notice.id;
    let (noted, word) = match result {
        Ok(()) => (engine.store.sent(id, &message.channel).await.map(drop), "sent"),
        Err(failure) => {
            let why = format!("{:#}", anyhow::Error::from(failure));
            match next_try(&message, clock::now(), &why) {
                Some(until) => {
                    warn!(notice.id = %id, channel = message.channel, "Could not say {id} yet: {why}");
                    (
                        engine.store.postpone_message(id, &message.channel, until, &why).await,
                        "postponed",
                    )
                }
                None => {
                    error!(notice.id = %id, channel = message.channel, "Dead letter: {id} was not said on {}: {why}", message.channel);
                    (engine.store.bury(id, &message.channel, &why).await.map(drop), "dead")
                }
            }
        }
    };
    metrics::counter!("tidegate_notifications_total", "channel" => message.channel.clone(), "result" => word)
        .increment(1);
    if let Err(failure) = noted {
        warn!("Could not note how {id} went; it may be said twice: {failure}");
    }
}

/// When to try again; `None`: not any more.
fn next_try(message: &store::Message, now: Timestamp, why: &str) -> Option<Timestamp> {
    if why.contains("for good") {
        return None;
    }
    let give_up = match message.notice.kind.loudness() {
        Hears::Pages => GIVE_UP_PAGES,
        Hears::Milestones | Hears::Everything => GIVE_UP_REST,
    };
    if Period::between(message.notice.at, now) >= give_up {
        return None;
    }
    let place = usize::try_from(message.attempts)
        .unwrap_or(usize::MAX)
        .min(WAITS.len() - 1);
    now.saturating_add(Period::seconds(WAITS[place]).duration()).ok()
}

async fn say(engine: &Engine, message: &store::Message) -> Result<(), ChannelError> {
    let settings = engine.settings();
    let Some(channel) = settings.channels.get(&message.channel) else {
        return Err(ChannelError::Later {
            channel: message.channel.clone(),
            source: anyhow::anyhow!("no channel of this name is configured"),
        });
    };
    let text = engine
        .renderer
        .load()
        .render(&message.notice, Form::Text)
        .map_err(|fault| ChannelError::Later {
            channel: message.channel.clone(),
            source: fault.into(),
        })?;
    let worded = Message {
        notice: message.notice.clone(),
        text,
    };
    channel.say(&worded, clock::now()).await
}
