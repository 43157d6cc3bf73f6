//! Owns saying what was decided to be said: claim, word, say, and again later when a channel is down.
//! Refuses to delay traffic, and to let one channel delay another: each has a worker of its own, and nothing waits for it.

mod others;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use tidegate_rollout::notice::About;
use tidegate_rollout::plan::Hears;
use tidegate_rollout::{Event, Notice, Period, Rollout};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::{Engine, cards};
use crate::channel::{Channel, ChannelError, Message};
use crate::clock;
use crate::failpoint;
use crate::store::{self, StoreError};
use crate::telemetry::metrics::NOTIFICATIONS;

/// How often it looks without being rung.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A worker claims one message at a time: a claim is longer than an attempt, so nobody else takes it meanwhile.
const CLAIM: u32 = 1;
/// No single attempt lasts longer.
const ATTEMPT: Duration = Duration::from_secs(10);
/// Attempts under way at the end may last so long; what is cut off then is said again by whoever comes next.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// The waits between attempts, in seconds; the last one repeats.
const WAITS: [u32; 6] = [1, 5, 30, 120, 600, 3_600];
/// A page that failed so often is said by the channel that stands in as well; the first one is tried on all the same.
const HAND_ON_AFTER: u32 = 2;
/// So many messages are looked at together.
const AT_ONCE: u32 = 100;
/// The channel that every notice is said on.
const LOG: &str = "log";
/// What needs a person is tried for a day, the rest for an hour.
const GIVE_UP_PAGES: Period = Period::minutes(24 * 60);
const GIVE_UP_REST: Period = Period::minutes(60);

/// Runs until `stop`.
pub(super) async fn run(engine: Arc<Engine>, stop: CancellationToken) {
    let mut busy = BTreeSet::new();
    let mut workers = FuturesUnordered::new();
    loop {
        // Workers go on while it looks. Whatever one leaves, as when something came in while it went, the next look finds.
        tokio::select! {
            () = stop.cancelled() => break,
            channels = look(&engine) => {
                for channel in channels {
                    if busy.insert(channel.clone()) {
                        workers.push(work(&engine, channel, &stop));
                    }
                }
            }
            Some(channel) = workers.next() => {
                busy.remove(&channel);
            }
        }
    }
    let rest = async { while workers.next().await.is_some() {} };
    // What is cut off is said again under the same id.
    let _ = tokio::time::timeout(LAST_WORDS, rest).await;
}

/// Waits for a ring or the next look, and answers the channels that have something to say.
async fn look(engine: &Engine) -> Vec<String> {
    tokio::select! {
        () = engine.wake.voice.notified() => {}
        () = tokio::time::sleep(LOOK_EVERY) => {}
    }
    due(engine).await
}

async fn due(engine: &Engine) -> Vec<String> {
    match engine.store.channels_due(clock::now()).await {
        Ok(channels) => channels,
        Err(failure) => {
            warn!("Could not look for things to say: {failure}");
            Vec::new()
        }
    }
}

/// Says everything that is due on a channel, in order, and answers which channel it was.
async fn work(engine: &Engine, channel: String, stop: &CancellationToken) -> String {
    while !stop.is_cancelled() {
        let settings = engine.settings();
        let (store, by) = (&engine.store, &settings.replica);
        let claimed = store
            .claim_messages(&channel, by, clock::now(), settings.claim_for, CLAIM)
            .await;
        match claimed {
            Ok(claimed) if claimed.is_empty() => break,
            Ok(claimed) => {
                for message in claimed {
                    attempt(engine, message).await;
                }
            }
            Err(failure) => {
                warn!(channel, "Could not claim what is to be said: {failure}");
                break;
            }
        }
    }
    channel
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
    // However old: it was not tried.
    if let Err(ChannelError::Busy { after, .. }) = &result {
        others::hand_on_what_waits(engine, &message.channel).await;
        return put_off(engine, &message, *after).await;
    }
    let (noted, word) = match result {
        Ok(()) => {
            // Before it is noted as sent: after a crash in between it is said again, and the word is not lost.
            if engine
                .settings()
                .channels
                .get(&message.channel)
                .is_none_or(|channel| channel.tells(&message.notice))
            {
                told(engine, &message).await;
            }
            if message.channel == LOG {
                others::follow_up_pages(engine, &message.notice).await;
            }
            (engine.store.sent(id, &message.channel).await.map(drop), "sent")
        }
        Err(failure) => {
            let until = next_try(&message, clock::now(), &failure);
            if until.is_none() || message.attempts >= HAND_ON_AFTER {
                others::hand_on(engine, &message).await;
            }
            let why = format!("{:#}", anyhow::Error::from(failure));
            match until {
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
    metrics::counter!(NOTIFICATIONS, "channel" => message.channel.clone(), "result" => word).increment(1);
    if let Err(failure) = noted {
        warn!("Could not note how {id} went; it may be said twice: {failure}");
    }
}

/// Tells the core that people were told, where a commitment waits for that.
async fn told(engine: &Engine, message: &store::Message) {
    let store::Message { notice, channel, .. } = message;
    let rollout = &notice.about.rollout;
    if rollout.as_str() == About::SERVER {
        return;
    }
    let told = async {
        // A copy from before the notice knows nothing of what it is word of.
        let fresh = |known: &Arc<Rollout>| notice.id.generation().is_none_or(|said| known.generation >= said);
        let known = match engine.cached_one(rollout).filter(fresh) {
            Some(known) => Some(known),
            None => engine.store.rollout(rollout).await?.map(Arc::new),
        };
        if known.is_none_or(|known| !known.awaits_word(&notice.id, channel)) {
            return Ok(());
        }
        let now = clock::now();
        let event = Event::Told {
            notice: notice.id.clone(),
            channel: channel.clone(),
            at: now,
        };
        engine.apply(rollout, &event, None, now).await.map(drop)
    };
    let told: anyhow::Result<()> = told.await;
    if let Err(failure) = told {
        warn!(notice.id = %notice.id, channel, "Could not note that people were told; a commitment may count as missed: {failure:#}");
    }
}

/// Puts off what was not tried, and whatever waits behind it.
async fn put_off(engine: &Engine, message: &store::Message, after: Period) {
    let (id, channel) = (&message.notice.id, &message.channel);
    let until = clock::now().saturating_add(after.duration()).unwrap_or(Timestamp::MAX);
    let why = "the channel takes no more for a while";
    if let Err(failure) = engine.store.defer_message(id, channel, until, why).await {
        warn!("Could not put off {id}; its claim runs out by itself: {failure}");
    }
}

/// When to try again; `None`: not any more.
fn next_try(message: &store::Message, now: Timestamp, failure: &ChannelError) -> Option<Timestamp> {
    match failure {
        ChannelError::Never { .. } => return None,
        ChannelError::Later { .. } | ChannelError::Busy { .. } => {}
    }
    if is_given_up(message, now) {
        return None;
    }
    // The claim counts the attempt that has just failed.
    let failed = usize::try_from(message.attempts).unwrap_or(usize::MAX);
    let wait = WAITS[failed.saturating_sub(1).min(WAITS.len() - 1)];
    now.saturating_add(Period::seconds(wait).duration()).ok()
}

fn is_given_up(message: &store::Message, now: Timestamp) -> bool {
    let give_up = match message.notice.kind.loudness() {
        Hears::Pages => GIVE_UP_PAGES,
        Hears::Milestones | Hears::Everything => GIVE_UP_REST,
    };
    Period::between(message.notice.at, now) >= give_up
}

async fn say(engine: &Engine, message: &store::Message) -> Result<(), ChannelError> {
    let settings = engine.settings();
    let Some(channel) = settings.channels.get(&message.channel) else {
        return Err(ChannelError::Later {
            channel: message.channel.clone(),
            source: anyhow::anyhow!("no channel of this name is configured"),
        });
    };
    let renderer = engine.renderer.load_full();
    let words = renderer
        .words(&message.notice, channel.form())
        .map_err(|fault| ChannelError::Later {
            channel: message.channel.clone(),
            source: fault.into(),
        })?;
    let (since, unasked) = match &**channel {
        Channel::PagerDuty(_) => told_besides(engine, message)
            .await
            .map_err(|failure| ChannelError::Later {
                channel: message.channel.clone(),
                source: failure.into(),
            })?,
        _ => (Vec::new(), false),
    };
    let thread = match cards::Place::of(channel) {
        Some(place) if message.notice.about.rollout.as_str() != About::SERVER => {
            Some(cards::thread(engine, place, &message.notice.about.rollout).await?)
        }
        Some(_) | None => None,
    };
    let worded = Message {
        thread,
        again: message.attempts > 1,
        since,
        unasked,
        frame: renderer.frame(),
        ..Message::new(message.notice.clone(), words)
    };
    channel.say(&worded, clock::now()).await
}

/// What a pager was told since, where this comes late; and whether it adds to a page that it never got.
async fn told_besides(engine: &Engine, message: &store::Message) -> Result<(Vec<Notice>, bool), StoreError> {
    let (notice, channel) = (&message.notice, &message.channel);
    let since = match message.attempts {
        0 | 1 => Vec::new(),
        _ => {
            let rollout = notice.about.rollout.as_str();
            engine.store.told_since(rollout, channel, notice.at, AT_ONCE).await?
        }
    };
    Ok((since, others::is_unasked(engine, notice, channel).await?))
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::StatusCode;
    use http::header::RETRY_AFTER;
    use jiff::SignedDuration;
    use tempfile::tempdir;
    use tidegate_rollout::{Entry, Notice};
    use tidegate_webhooks::{SigningSecrets, slack as webhook};
    use tokio::net::TcpListener;
    use url::Url;

    use super::*;
    use crate::channel::Channel;
    use crate::channel::slack::{Api, SlackChannel};
    use crate::config::Slack;
    use crate::net::{HostRule, Net};
    use crate::runner::bench::{engine, settings};

    /// A channel of a Slack that takes nothing for a minute.
    async fn busy_slack(name: &str) -> Channel {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let answer = || async { (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, "60")]) };
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        let app = webhook::App {
            secrets: SigningSecrets::new(["a-secret".to_owned().into()]).unwrap(),
            workspaces: Vec::new(),
            id: None,
        };
        let slack = Slack {
            app: Arc::new(app),
            token: "a-token".to_owned().into(),
            command: "/tidegate".to_owned(),
            api_url: url.clone(),
            hooks_url: url.clone(),
        };
        let net = Net::new(HostRule::of(&url).into_iter().collect()).unwrap();
        Channel::Slack(SlackChannel::new(
            name.to_owned(),
            "C1".to_owned(),
            Api::new(&slack, net),
        ))
    }

    /// A channel that was full for a day says nothing of a letter that waited in front of it.
    #[tokio::test]
    async fn what_was_not_tried_is_not_buried_however_old_it_is() {
        let directory = tempdir().unwrap();
        let engine = engine(&directory, &[]).await;
        engine.reconfigure(super::super::Settings {
            channels: [("ops".to_owned(), Arc::new(busy_slack("ops").await))].into(),
            ..settings(Vec::new())
        });
        let now = clock::now();
        let notice = Notice {
            about: About::server(),
            at: now - SignedDuration::from_hours(48),
            ..message(Hears::Everything, 1).notice
        };
        let said = Entry::own(now, "note", "A letter.".to_owned());
        let channels = BTreeSet::from(["ops".to_owned()]);
        assert!(engine.store.announce(&notice, &channels, &said, now).await.unwrap());
        let claimed = engine
            .store
            .claim_messages("ops", "one", clock::now(), Period::seconds(15), 1);
        attempt(&engine, claimed.await.unwrap().remove(0)).await;
        assert_eq!(engine.store.count_dead_letters().await.unwrap(), 0);
        assert!(engine.store.channels_due(clock::now()).await.unwrap().is_empty());
        let later = clock::now() + SignedDuration::from_secs(61);
        assert_eq!(engine.store.channels_due(later).await.unwrap(), ["ops"]);
    }

    fn message(loudness: Hears, attempts: u32) -> store::Message {
        let mut samples = Notice::samples().into_iter();
        store::Message {
            notice: samples.find(|sample| sample.kind.loudness() == loudness).unwrap(),
            channel: "pager".to_owned(),
            attempts,
        }
    }

    fn later() -> ChannelError {
        ChannelError::Later {
            channel: "pager".to_owned(),
            source: anyhow::anyhow!("it was told to come back, for good measure"),
        }
    }

    #[test]
    fn the_first_wait_is_the_shortest_and_the_last_one_repeats() {
        let waits: Vec<i64> = [1, 2, 6, 7, 90]
            .into_iter()
            .map(|attempts| {
                let message = message(Hears::Pages, attempts);
                let until = next_try(&message, message.notice.at, &later()).unwrap();
                until.duration_since(message.notice.at).as_secs()
            })
            .collect();
        assert_eq!(waits, [1, 5, 3_600, 3_600, 3_600]);
    }

    #[test]
    fn what_was_refused_for_good_is_not_tried_again_and_the_rest_for_as_long_as_it_is_loud() {
        let never = ChannelError::Never {
            channel: "pager".to_owned(),
            why: "it answered 404".to_owned(),
        };
        let page = message(Hears::Pages, 1);
        assert_eq!(next_try(&page, page.notice.at, &never), None);
        let two_hours = page.notice.at + SignedDuration::from_hours(2);
        assert!(next_try(&page, two_hours, &later()).is_some());
        assert_eq!(next_try(&message(Hears::Everything, 1), two_hours, &later()), None);
    }
}
