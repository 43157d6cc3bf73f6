//! Owns what channels say because of others: the stand-in of one that takes nothing, and pagers that must hear of an end.
//! Refuses to say anything itself: it stores what is to be said, once, and the worker of that channel says it.

use jiff::Timestamp;
use tidegate_rollout::plan::Hears;
use tidegate_rollout::{Notice, NoticeKind, Period, Stage};
use tracing::warn;

use super::AT_ONCE;
use crate::channel::{Channel, pagerduty};
use crate::clock;
use crate::runner::Engine;
use crate::store::{self, StoreError};

/// A page waits no longer than this for a channel that takes no more for a while.
const PATIENCE: Period = Period::seconds(30);

/// Lets the channel that stands in say what needs a person.
pub(super) async fn hand_on(engine: &Engine, message: &store::Message) {
    let settings = engine.settings();
    let Some(other) = settings.fallbacks.get(&message.channel) else {
        return;
    };
    if message.notice.kind.loudness() != Hears::Pages {
        return;
    }
    let (id, channel) = (&message.notice.id, &message.channel);
    match engine.store.hand_on(&message.notice, other, clock::now()).await {
        Ok(true) => {
            warn!(notice.id = %id, channel, "{id} is said on {other} too, because {channel} does not take it");
            engine.wake.voice.notify_one();
        }
        Ok(false) => {}
        Err(failure) => warn!("Could not hand {id} on to {other}; it is tried again with the next attempt: {failure}"),
    }
}

/// Lets the channel that stands in say every page that has waited too long for one that takes no more: what waits first
/// may be no page.
pub(super) async fn hand_on_what_waits(engine: &Engine, channel: &str) {
    if !engine.settings().fallbacks.contains_key(channel) {
        return;
    }
    let before = clock::now()
        .saturating_sub(PATIENCE.duration())
        .unwrap_or(Timestamp::MIN);
    match engine.store.waiting_for(channel, before, AT_ONCE).await {
        Ok(waiting) => {
            for message in waiting {
                hand_on(engine, &message).await;
            }
        }
        Err(failure) => warn!(channel, "Could not look for pages that wait: {failure}"),
    }
}

/// What settles an incident, or adds to it, goes to every pager that heard of the rollout, however little its audience hears:
/// whoever was woken for a question must not be left with it. Told once, with the line in the log, which every notice has.
pub(super) async fn follow_up_pages(engine: &Engine, notice: &Notice) {
    if !pagerduty::follows_up(notice) {
        return;
    }
    let settings = engine.settings();
    let is_pager = |name: &String| matches!(settings.channels.get(name).map(|it| &**it), Some(Channel::PagerDuty(_)));
    let settled = async {
        let told = engine.store.channels_told_of(notice.about.rollout.as_str()).await?;
        for pager in told.iter().filter(|name| is_pager(name)) {
            engine.store.hand_on(notice, pager, clock::now()).await?;
        }
        Ok::<(), StoreError>(())
    };
    if let Err(failure) = settled.await {
        warn!(notice.id = %notice.id, "Could not tell the pagers that something is settled: {failure}");
    }
    engine.wake.voice.notify_one();
}

/// Whether a notice adds to a page that this pager never got: the plan wanted others to be woken by that rollback.
pub(super) async fn is_unasked(engine: &Engine, notice: &Notice, pager: &str) -> Result<bool, StoreError> {
    if !pagerduty::adds(notice) {
        return Ok(false);
    }
    let id = &notice.about.rollout;
    let Some(Stage::RollingBack { since, .. } | Stage::RolledBack { since, .. }) =
        engine.store.rollout(id).await?.map(|rollout| rollout.stage)
    else {
        return Ok(false);
    };
    let told = engine.store.told_since(id.as_str(), pager, since, AT_ONCE).await?;
    let woken = |told: &Notice| matches!(told.kind, NoticeKind::RollingBack { automatic: true, .. });
    Ok(!told.iter().any(woken))
}
