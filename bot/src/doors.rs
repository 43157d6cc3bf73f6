//! Owns what was turned away at the doors of the receivers since this process began: how much, since when, why the last.
//! Refuses to believe it: anybody may knock. It is shown beside what was let in, it warns, and it pages nobody.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tidegate_rollout::{Period, Source};
use tidegate_webhooks::Refused;

/// So long after the last request that was turned away nobody is told of it any more.
const TOLD_FOR: Period = Period::minutes(60);

/// Whoever was let in no longer ago than this before the last refusal, is let in still: senders say something every few minutes.
const MEANWHILE: Period = Period::minutes(10);

/// What is known of each door. There are as many as receivers are configured.
#[derive(Debug, Default)]
pub struct Doors(Mutex<BTreeMap<(&'static str, String), Door>>);

#[derive(Debug, Default)]
struct Door {
    taken_at: Option<Timestamp>,
    away: Option<Away>,
}

#[derive(Clone, Debug)]
struct Away {
    count: u64,
    since: Timestamp,
    last_at: Timestamp,
    status: u16,
    why: String,
}

/// What was turned away at one door.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnedAway {
    /// `alertmanager`, `grafana`, `pagerduty`.
    pub source: String,
    /// The receiver.
    pub receiver: String,
    /// How many requests.
    pub count: u64,
    /// When the first of them came.
    pub since: Timestamp,
    /// When the last of them came.
    pub last_at: Timestamp,
    /// What that was answered.
    pub status: u16,
    /// What was wrong with it.
    pub why: String,
    /// Whether anything was let in meanwhile.
    pub others_are_let_in: bool,
}

impl TurnedAway {
    /// In one sentence, the same on every surface.
    pub fn says(&self) -> String {
        let requests = if self.count == 1 {
            "request was"
        } else {
            "requests were"
        };
        let meanwhile = match self.others_are_let_in {
            true => "Others are let in: a second sender may have an old secret, or a stranger knocks.",
            false => "Nothing was let in since: no alert of this sender is heard.",
        };
        format!(
            "receiver {} of {}: {} {requests} refused since {:.0}, the last at {:.0} with {}: {}. {meanwhile}",
            self.receiver, self.source, self.count, self.since, self.last_at, self.status, self.why
        )
    }

    /// What to do about it.
    pub fn fix(&self) -> String {
        let Self { source, receiver, .. } = self;
        match self.status {
            401 => format!(
                "Give the sender what `receivers.{source}.{receiver}` asks for; after a change of the secret reload both."
            ),
            413 => {
                format!("Let the sender of `receivers.{source}.{receiver}` group fewer alerts, or raise `limits.body`.")
            }
            _ => format!(
                "Let the sender post what {source} posts, as JSON and not compressed, to `/webhooks/{source}/{receiver}`."
            ),
        }
    }
}

impl Doors {
    /// Something was let in.
    pub fn took(&self, source: Source, receiver: &str, now: Timestamp) {
        let mut doors = self.open();
        let door = doors.entry((source.word(), receiver.to_owned())).or_default();
        door.taken_at = Some(now);
    }

    /// Something was turned away.
    pub fn refused(&self, refused: &Refused, now: Timestamp) {
        let mut doors = self.open();
        let door = doors
            .entry((refused.source.word(), refused.receiver.clone()))
            .or_default();
        let recent = door
            .away
            .take()
            .filter(|away| Period::between(away.last_at, now) < TOLD_FOR);
        let before = recent.as_ref().map_or((0, now), |away| (away.count, away.since));
        door.away = Some(Away {
            count: before.0.saturating_add(1),
            since: before.1,
            last_at: now,
            status: refused.status,
            why: refused.why.clone(),
        });
    }

    /// What was turned away lately, by receiver.
    pub fn turned_away(&self, now: Timestamp) -> Vec<TurnedAway> {
        let doors = self.open();
        let told = doors.iter().filter_map(|((source, receiver), door)| {
            let away = door.away.as_ref()?;
            (Period::between(away.last_at, now) < TOLD_FOR).then(|| TurnedAway {
                source: (*source).to_owned(),
                receiver: receiver.clone(),
                count: away.count,
                since: away.since,
                last_at: away.last_at,
                status: away.status,
                why: away.why.clone(),
                others_are_let_in: door
                    .taken_at
                    .is_some_and(|at| at >= away.since && Period::between(at, away.last_at) <= MEANWHILE),
            })
        });
        told.collect()
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<(&'static str, String), Door>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn what_is_turned_away_is_counted_until_it_is_long_ago_and_set_beside_what_is_let_in() {
        let (doors, noon) = (Doors::default(), Timestamp::UNIX_EPOCH);
        let after = |minutes| noon + SignedDuration::from_mins(minutes);
        let wrong = Refused {
            source: Source::Alertmanager,
            receiver: "default".to_owned(),
            status: 401,
            code: "unproven",
            why: "the credentials are not those of this receiver".to_owned(),
        };
        doors.took(Source::Alertmanager, "default", noon);
        assert_eq!(doors.turned_away(noon), []);
        doors.refused(&wrong, after(1));
        doors.refused(&wrong, after(5));
        let told = doors.turned_away(after(6)).remove(0);
        assert_eq!((told.count, told.since, told.others_are_let_in), (2, after(1), false));
        assert_eq!(
            told.says(),
            "receiver default of alertmanager: 2 requests were refused since 1970-01-01T00:01:00Z, the last at \
             1970-01-01T00:05:00Z with 401: the credentials are not those of this receiver. Nothing was let in since: no alert of \
             this sender is heard."
        );
        assert!(told.fix().contains("receivers.alertmanager.default"), "{}", told.fix());
        let large = TurnedAway { status: 413, ..told };
        assert!(large.fix().ends_with("or raise `limits.body`."), "{}", large.fix());
        doors.took(Source::Alertmanager, "default", after(7));
        assert!(
            doors
                .turned_away(after(8))
                .remove(0)
                .says()
                .contains("a stranger knocks")
        );
        doors.refused(&wrong, after(20));
        assert!(
            !doors.turned_away(after(20)).remove(0).others_are_let_in,
            "that was before the secret went wrong"
        );
        assert_eq!(doors.turned_away(after(81)), [], "it is long ago");
        doors.refused(&wrong, after(90));
        assert_eq!(
            doors.turned_away(after(90)).remove(0).count,
            1,
            "and another matter now"
        );
    }
}
