//! Owns the end of what nobody waits for any more: a rung that never came through, of a rollout that was rolled back by another.
//! Refuses to give up in silence, and before a person has had an hour to look, but where somebody else writes to the target.

use jiff::Timestamp;
use tidegate_rollout::ids::NoticeId;
use tidegate_rollout::notice::About;
use tidegate_rollout::plan::{Hears, Target};
use tidegate_rollout::{Action, ActionKind, Entry, Notice, NoticeKind, Period, Rollout, Stage};
use tracing::warn;

use super::Engine;

/// So long after the end of its rollout a target is still asked for zero.
pub(super) const TRIED_ON: Period = Period::minutes(60);

impl Engine {
    /// Whether an action that does not come through is given up once its rollout has been over for so long. Where people had to be
    /// told and could not be, it is not.
    pub(super) async fn gives_up(
        &self,
        action: &Action,
        (attempts, why): (u32, &str),
        after: Period,
        now: Timestamp,
    ) -> bool {
        let ActionKind::ToZero { target } = &action.kind else {
            return false;
        };
        if self.cached_one(&action.rollout).is_some() {
            return false;
        }
        match self.store.rollout(&action.rollout).await {
            // It is forgotten; nobody is left to be told.
            Ok(None) => true,
            Ok(Some(rollout)) => match over_for(&rollout, now) {
                Some(lasting) if lasting >= after => {
                    self.last_page(&rollout, (action, target), attempts, why, now).await
                }
                Some(_) | None => false,
            },
            Err(_) => false,
        }
    }

    async fn last_page(
        &self,
        rollout: &Rollout,
        (action, target): (&Action, &Target),
        attempts: u32,
        why: &str,
        now: Timestamp,
    ) -> bool {
        let about = About::of(rollout);
        let kind = NoticeKind::RollbackStuck {
            why: format!("{} was never read back at zero; the last answer: {why}", target.name()),
            attempts,
            lasting: over_for(rollout, now).unwrap_or_default(),
            given_up: true,
        };
        let said = Entry::own(now, kind.word(), format!("{}: {}", rollout.id, kind.sentence(&about)));
        let notice = Notice {
            id: NoticeId::new(format!("{}.given-up", action.id)),
            at: now,
            to: Vec::new(),
            severity: None,
            about,
            kind,
        };
        let channels = rollout.plan.channels_for(Hears::Pages);
        // Where it was told before, and the closing of the row was lost, nothing happens.
        match self.store.announce(&notice, &channels, &said, now).await {
            Ok(_) => {
                self.wake.voice.notify_one();
                true
            }
            Err(failure) => {
                warn!(
                    "Could not page that {} is given up; it is tried on: {failure}",
                    action.id
                );
                false
            }
        }
    }
}

/// How long a rollout has been over.
fn over_for(rollout: &Rollout, now: Timestamp) -> Option<Period> {
    let since = match &rollout.stage {
        Stage::RolledBack { read_back, .. } if rollout.is_final() => read_back.at,
        Stage::Completed { at } | Stage::Aborted { at, .. } => *at,
        Stage::RolledBack { .. }
        | Stage::Advancing { .. }
        | Stage::Baking { .. }
        | Stage::AtGate { .. }
        | Stage::Watching { .. }
        | Stage::RollingBack { .. } => return None,
    };
    Some(Period::between(since, now))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use tempfile::tempdir;
    use tidegate_rollout::{Command, Event, Outcome, ReadBack, Surroundings, Weight, step};

    use super::*;
    use crate::clock;
    use crate::runner::bench::{ana, baking, engine};

    /// A rollout that came to be over at this moment, and what it asked for, as if that had been another rung.
    async fn over(engine: &Engine, at: Timestamp) -> Action {
        let rollout = baking(engine, at).await;
        let rollback = Event::Commanded {
            actor: ana(),
            command: Command::Rollback {
                reason: "bad".to_owned(),
            },
            seen: None,
        };
        let around = Surroundings::calm(at);
        let falling = step(&rollout, &around, &rollback, at).unwrap();
        engine.store.save(&falling, 0, None, at).await.unwrap();
        let action = falling.actions[0].clone();
        let asked = engine.gives_up(&action, (240, "no route"), Period::ZERO, at).await;
        assert!(!asked, "it is not over");
        let zero = Event::Reported {
            action: action.id.clone(),
            outcome: Outcome::Applied(ReadBack {
                weight: Weight::ZERO,
                how: "read back".to_owned(),
                seen_in_traffic: false,
                observed: None,
                at,
            }),
        };
        let over = step(&falling.next, &around, &zero, at).unwrap();
        engine.store.save(&over, 0, None, at).await.unwrap();
        action
    }

    /// What was said of giving up.
    async fn said(engine: &Engine) -> Vec<String> {
        let claimed = engine
            .store
            .claim_messages("log", "one", clock::now(), Period::seconds(15), 100);
        let said = claimed.await.unwrap().into_iter();
        said.map(|message| message.notice.kind.sentence(&message.notice.about))
            .filter(|sentence| sentence.contains("given up"))
            .collect()
    }

    /// The other rung came through: the rollout is over, and this one is asked for zero every quarter of a minute.
    #[tokio::test]
    async fn what_is_asked_of_a_rollout_that_is_over_ends_with_one_last_page() {
        let directory = tempdir().unwrap();
        let engine = engine(&directory, &[]).await;
        let at = clock::now() - SignedDuration::from_hours(2);
        let action = over(&engine, at).await;
        let soon = at + SignedDuration::from_mins(59);
        assert!(
            !engine.gives_up(&action, (236, "no route"), TRIED_ON, soon).await,
            "somebody may repair it"
        );
        let long_after = at + SignedDuration::from_mins(61);
        for _ in 0..2 {
            assert!(engine.gives_up(&action, (240, "no route"), TRIED_ON, long_after).await);
        }
        assert_eq!(
            said(&engine).await,
            [
                "A rung of the rollback is given up after 240 attempts: flag/checkout was never read back at zero; the last answer: no route"
            ]
        );
    }

    /// It was told that it is still tried, and somebody else's word is not overruled any more: not without a word.
    #[tokio::test]
    async fn where_somebody_else_writes_it_ends_at_once_and_not_in_silence() {
        let directory = tempdir().unwrap();
        let engine = engine(&directory, &[]).await;
        let at = clock::now() - SignedDuration::from_mins(2);
        let action = over(&engine, at).await;
        let soon = at + SignedDuration::from_secs(1);
        assert!(
            engine
                .gives_up(&action, (3, "somebody else wrote 5"), Period::ZERO, soon)
                .await
        );
        assert_eq!(
            said(&engine).await,
            [
                "A rung of the rollback is given up after 3 attempts: flag/checkout was never read back at zero; the last answer: somebody else wrote 5"
            ]
        );
    }
}
