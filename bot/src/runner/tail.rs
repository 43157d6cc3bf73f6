//! Owns the feed of the web chat on this replica: what was said about every rollout, whichever replica decided it.
//! Refuses to claim anything: what is stored for the feed is said, and every replica reads it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tidegate_rollout::RolloutId;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::Engine;
use crate::channel::Message;
use crate::channel::feed::KEPT;
use crate::render::Form;
use crate::store::{FEED, Said};

/// So many lines of one rollout are read at once; the rest comes with the next look.
const LINES: u32 = 200;

/// How often it looks when nothing changes here.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Runs until `stop`.
pub(super) async fn run(engine: Arc<Engine>, stop: CancellationToken) {
    let mut changes = engine.changes();
    let mut tail = Tail::default();
    loop {
        tail.follow(&engine).await;
        tokio::select! {
            () = stop.cancelled() => return,
            // The sender is part of the engine, which is held here.
            _ = changes.changed() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Where the feed stands.
#[derive(Default)]
struct Tail {
    /// The revision of the rollouts up to which it is told; `None` until it was filled.
    seen: Option<u64>,
    /// The number of the last line of each rollout that is under way. Numbers of different rollouts may be committed in
    /// another order; those of one rollout are not.
    said: BTreeMap<RolloutId, u64>,
}

impl Tail {
    /// Adds what was said since the last look; the first look fills the feed.
    async fn follow(&mut self, engine: &Engine) {
        let told = match self.seen {
            None => self.fill(engine).await,
            Some(seen) => self.catch_up(engine, seen).await,
        };
        if let Err(failure) = told {
            warn!("Could not read what was said for the web chat: {failure:#}");
        }
    }

    async fn fill(&mut self, engine: &Engine) -> anyhow::Result<()> {
        let store = &engine.store;
        // In this order: what is saved meanwhile is read twice, and the feed knows a line that it has.
        let seen = store.position().await.context("read the revision")?.revision;
        let said = store.said_until(FEED).await.context("find where each rollout stands")?;
        let kept = u32::try_from(KEPT).unwrap_or(u32::MAX);
        for line in store.said_last(FEED, kept).await.context("read the last lines")? {
            say(engine, line);
        }
        (self.seen, self.said) = (Some(seen), said);
        Ok(())
    }

    async fn catch_up(&mut self, engine: &Engine, seen: u64) -> anyhow::Result<()> {
        let (moved, revision) = engine.store.moved_since(seen).await.context("find what changed")?;
        for rollout in moved {
            self.follow_one(engine, &rollout).await?;
        }
        self.seen = Some(revision);
        Ok(())
    }

    async fn follow_one(&mut self, engine: &Engine, rollout: &RolloutId) -> anyhow::Result<()> {
        let mut after = self.said.get(rollout).copied().unwrap_or(0);
        loop {
            let lines = engine.store.said_after(rollout, FEED, after, LINES).await;
            let lines = lines.context("read what was said about a rollout")?;
            let last = lines.last().map(|line| line.number);
            let all = lines.len() < LINES as usize;
            lines.into_iter().for_each(|line| say(engine, line));
            after = last.unwrap_or(after);
            self.said.insert(rollout.clone(), after);
            if all {
                break;
            }
        }
        // Nothing is said about one that is over.
        if engine.cached_one(rollout).is_none() {
            let found = engine.store.rollout(rollout).await.context("read the rollout")?;
            if found.is_none_or(|rollout| rollout.is_settled()) {
                self.said.remove(rollout);
            }
        }
        Ok(())
    }
}

fn say(engine: &Engine, line: Said) {
    let notice = line.notice;
    // A template that fails must not keep people from reading what happened.
    let text = match engine.renderer.load().render(&notice, Form::Text) {
        Ok(text) => text,
        Err(fault) => {
            warn!(%fault, "A line of the web chat is shown in plain words");
            notice.kind.sentence(&notice.about)
        }
    };
    engine.feed.say(&Message::new(notice, text));
}
