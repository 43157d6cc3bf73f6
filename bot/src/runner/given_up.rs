//! Owns the end of what nobody waits for any more: a rung that never came through, of a rollout that was rolled back by another.
//! Refuses to give up in silence, and before a person has had an hour to look, but where somebody else writes to the target.

use std::sync::Arc;

use jiff::Timestamp;
use tidegate_rollout::ids::NoticeId;
use tidegate_rollout::notice::About;
use tidegate_rollout::plan::{Hears, Target};
use tidegate_rollout::{Action, ActionKind, Entry, Notice, NoticeKind, Period, Rollout, Stage};
use tracing::{info, warn};

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
        let cached = self.cached_one(&action.rollout);
        if cached.is_some_and(|rollout| !rollout.is_final()) {
            return false;
        }
        match self.store.rollout(&action.rollout).await {
            // It is forgotten; nobody is left to be told.
            Ok(None) => true,
            // Zero was read back since, or is asked for by somebody who says what becomes of it: an answer that came late.
            Ok(Some(rollout)) if !is_left(&rollout, action) || self.moved_by_another(action, target) => true,
            Ok(Some(rollout)) => match over_for(&rollout, now) {
                Some(lasting) if lasting >= after => {
                    self.last_page(&rollout, (action, target), attempts, why, now).await
                }
                Some(_) | None => false,
            },
            Err(_) => false,
        }
    }

    /// Whether another rollout moves that target by now.
    fn moved_by_another(&self, action: &Action, target: &Target) -> bool {
        let name = target.name();
        let moves = |other: &Arc<Rollout>| {
            other.id != action.rollout && !other.is_final() && other.plan.targets().contains(&name)
        };
        let Some(other) = self.cached().into_iter().find(moves) else {
            return false;
        };
        info!(action.id = %action.id, "{name} is moved by {} now, and no longer asked for zero", other.id);
        true
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

/// Whether that rung was told as one that did not come through, and nobody asked the same target anew. A rollout of before there were
/// ladders says nothing about its rungs.
fn is_left(rollout: &Rollout, action: &Action) -> bool {
    let ladder = &rollout.ladder;
    let Some(place) = ladder.iter().position(|climb| climb.action == action.id) else {
        return true;
    };
    let (climb, later) = (&ladder[place], &ladder[place + 1..]);
    let verified = climb.end.as_ref().is_some_and(|end| end.verified);
    !verified && later.iter().all(|later| later.target != climb.target)
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
    use std::collections::BTreeMap;

    use jiff::SignedDuration;
    use tempfile::tempdir;
    use tidegate_rollout::ids::ActionId;
    use tidegate_rollout::ladder::{Climb, End};
    use tidegate_rollout::plan::FlagTarget;
    use tidegate_rollout::{Command, Event, Outcome, ReadBack, Surroundings, Weight, step};

    use super::*;
    use crate::clock;
    use crate::runner::bench::{ana, baking, baking_of, engine};

    /// A rollout that came to be over at this moment by its own target, and what it asked for: that, and another rung which did not
    /// come through.
    async fn over(engine: &Engine, at: Timestamp) -> (Action, Action) {
        let rollout = baking(engine, at).await;
        let rollback = Event::Commanded {
            actor: ana(),
            command: Command::Rollback {
                reason: "bad".to_owned(),
            },
            seen: None,
        };
        let around = Surroundings::calm(at);
        let mut falling = step(&rollout, &around, &rollback, at).unwrap();
        let through = falling.actions[0].clone();
        let target = Target::Flag(FlagTarget {
            key: "elsewhere".to_owned(),
            groups: BTreeMap::new(),
        });
        let left = Action {
            id: ActionId::new("checkout-1.9.0"),
            kind: ActionKind::ToZero { target: target.clone() },
            ..through.clone()
        };
        let climb = falling.next.ladder[0].clone();
        let failed = End {
            at,
            verified: false,
            how: "no route".to_owned(),
        };
        let other = Climb {
            rung: "elsewhere".to_owned(),
            target: target.name(),
            action: left.id.clone(),
            end: Some(failed),
            ..climb
        };
        falling.next.ladder.insert(0, other);
        engine.store.save(&falling, 0, None, at).await.unwrap();
        let asked = engine.gives_up(&left, (240, "no route"), Period::ZERO, at).await;
        assert!(!asked, "it is not over");
        let zero = Event::Reported {
            action: through.id.clone(),
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
        (through, left)
    }

    /// Puts a rollout into the cache.
    fn keep(engine: &Engine, rollout: Rollout) {
        let mut active = engine.active.write().unwrap();
        active.insert(rollout.id.clone(), Arc::new(rollout));
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
        let (_, action) = over(&engine, at).await;
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
                "A rung of the rollback is given up after 240 attempts: flag/elsewhere was never read back at zero; the last answer: no route"
            ]
        );
    }

    /// It was told that it is still tried, and somebody else's word is not overruled any more: not without a word.
    #[tokio::test]
    async fn where_somebody_else_writes_it_ends_at_once_and_not_in_silence() {
        let directory = tempdir().unwrap();
        let engine = engine(&directory, &[]).await;
        let at = clock::now() - SignedDuration::from_mins(2);
        let (_, action) = over(&engine, at).await;
        // What is over stays in the cache for a while.
        let over = engine.store.rollout(&action.rollout).await.unwrap().unwrap();
        keep(&engine, over);
        let soon = at + SignedDuration::from_secs(1);
        assert!(
            engine
                .gives_up(&action, (3, "somebody else wrote 5"), Period::ZERO, soon)
                .await
        );
        assert_eq!(
            said(&engine).await,
            [
                "A rung of the rollback is given up after 3 attempts: flag/elsewhere was never read back at zero; the last answer: somebody else wrote 5"
            ]
        );
    }

    /// An answer of before a person asked again, or of a rung that came through meanwhile, is no news.
    #[tokio::test]
    async fn of_what_was_read_back_at_zero_nobody_is_told_that_it_never_was() {
        let directory = tempdir().unwrap();
        let engine = engine(&directory, &[]).await;
        let at = clock::now() - SignedDuration::from_mins(2);
        let (through, _) = over(&engine, at).await;
        let soon = at + SignedDuration::from_secs(1);
        let fenced = (1, "the target carries the higher epoch 3");
        assert!(engine.gives_up(&through, fenced, Period::ZERO, soon).await);
        assert_eq!(said(&engine).await, [""; 0]);
    }

    /// Who moves a target says what becomes of it.
    #[tokio::test]
    async fn what_another_rollout_moves_by_now_is_left_to_it() {
        let directory = tempdir().unwrap();
        let engine = engine(&directory, &[]).await;
        let at = clock::now() - SignedDuration::from_mins(2);
        let (_, left) = over(&engine, at).await;
        let mut other = baking_of(&engine, "search", at).await;
        let mut plan = (*other.plan).clone();
        let ActionKind::ToZero { target } = &left.kind else {
            panic!("{left:?}");
        };
        plan.spec.target = target.clone();
        (other.plan, other.generation) = (Arc::new(plan), other.generation + 1);
        engine.cache(other);
        let fenced = (1, "the target carries the higher epoch 3");
        assert!(engine.gives_up(&left, fenced, Period::ZERO, at).await);
        assert_eq!(said(&engine).await, [""; 0]);
    }
}
