//! Owns the near side of the webhooks: what they heard is remembered here before it is answered.
//! Refuses to look into it: deciding comes after.

use std::collections::BTreeSet;

use jiff::Timestamp;
use tidegate_rollout::ids::NoticeId;
use tidegate_rollout::notice::About;
use tidegate_rollout::plan::Hears;
use tidegate_rollout::route::concerns_nobody;
use tidegate_rollout::{Alert, AlertStatus, DeliveryId, Entry, Notice, NoticeKind, Source};
use tidegate_webhooks::{Answer, Intake, Missed, MissedWhy, Received, Refused, Unavailable};
use tracing::{error, warn};

use super::{Engine, series};
use crate::clock;
use crate::failpoint;
use crate::store::{Arrival, Content, Filed, Remembered, Starts, StoreError};
use crate::telemetry::metrics::{WEBHOOK_EVENTS, WEBHOOK_REFUSED};

impl Intake for Engine {
    async fn accept(&self, received: Received) -> Result<Answer, Unavailable> {
        let Received {
            source,
            receiver,
            nonce,
            body,
            alerts,
            unreadable,
            truncated,
        } = received;
        if truncated > 0 || unreadable.count > 0 {
            // Absence proves nothing now: look for ourselves.
            self.wake.poll.notify_one();
        }
        if truncated > 0 && !self.asks(source, &receiver) {
            // Nobody will ever list what was left out. The delivery itself is good, so it waits for nothing.
            let lost = Lost {
                source,
                receiver: &receiver,
                kind: "truncated",
                why: format!("its sender left out {truncated} alerts"),
            };
            lost.page(self, clock::now()).await.map_err(Unavailable::because)?;
        }
        for (index, why) in &unreadable.reasons {
            warn!(
                source = source.word(),
                receiver, "Alert {index} of a delivery could not be read: {why}"
            );
        }
        if let Some((_, first)) = unreadable.reasons.first() {
            // Before the delivery counts as taken: its sender will not bring it again.
            let lost = Lost {
                source,
                receiver: &receiver,
                kind: "unreadable",
                why: format!(
                    "{} of its alerts could not be read; the first: {first}",
                    unreadable.count
                ),
            };
            lost.page(self, clock::now()).await.map_err(Unavailable::because)?;
        }
        let (at, door) = (clock::now(), receiver.clone());
        let arrival = Arrival {
            id: DeliveryId::new(uuid::Uuid::now_v7().to_string()),
            at,
            nonce,
            content: Content::Alerts {
                source,
                receiver,
                alerts,
                truncated,
            },
            raw: body,
        };
        let result = self.take_in(arrival).await.map_err(Unavailable::because)?;
        self.doors.took(source, &door, at);
        metrics::counter!(WEBHOOK_EVENTS, "source" => source.word(), "result" => word(result)).increment(1);
        Ok(result)
    }

    async fn missed(&self, missed: Missed) {
        metrics::counter!(WEBHOOK_EVENTS, "source" => missed.source.word(), "result" => "missed").increment(1);
        warn!(
            source = missed.source.word(),
            receiver = missed.receiver,
            "A delivery could not be taken, the source will be asked: {:?}",
            missed.why
        );
        self.wake.poll.notify_one();
        let (kind, why) = match missed.why {
            MissedWhy::TooLarge { limit } => ("too-large", format!("it is larger than {limit} bytes")),
            MissedWhy::Malformed { detail } => ("malformed", detail),
        };
        let lost = Lost {
            source: missed.source,
            receiver: &missed.receiver,
            kind,
            why,
        };
        if let Err(failure) = lost.page(self, clock::now()).await {
            error!("Could not page about a delivery that could not be read: {failure}");
        }
    }

    fn refused(&self, refused: Refused) {
        let Refused {
            source, receiver, code, ..
        } = &refused;
        metrics::counter!(WEBHOOK_REFUSED, "source" => source.word(), "receiver" => receiver.clone(), "code" => *code)
            .increment(1);
        self.doors.refused(&refused, clock::now());
    }
}

/// A delivery that is lost, or a part of it.
struct Lost<'a> {
    source: Source,
    receiver: &'a str,
    kind: &'static str,
    why: String,
}

impl Lost<'_> {
    /// Pages, once an hour for each receiver and kind of trouble, whichever replica hears of it: a sender may come again
    /// and again with the same body, and most bodies that cannot be read do not say of which group they are.
    async fn page(self, engine: &Engine, now: Timestamp) -> Result<(), StoreError> {
        let Self {
            source, receiver, kind, ..
        } = &self;
        let hour = now.as_second().div_euclid(3_600);
        let about = About::server();
        let id = NoticeId::new(format!("{}.{}-{receiver}-{kind}.{hour}", About::SERVER, source.word()));
        let polled = engine.asks(*source, receiver);
        let kind = NoticeKind::DeliveryMissed {
            source: source.word().to_owned(),
            receiver: (*receiver).to_owned(),
            polled,
            why: self.why,
        };
        let said = Entry::own(now, kind.word(), kind.sentence(&about));
        let notice = Notice {
            id,
            at: now,
            to: Vec::new(),
            severity: None,
            about,
            kind,
        };
        if engine.store.announce(&notice, &paging(engine), &said, now).await? {
            engine.wake.voice.notify_one();
        }
        Ok(())
    }
}

impl Engine {
    /// Whether what a delivery to a receiver does not tell is found by asking its source.
    fn asks(&self, source: Source, receiver: &str) -> bool {
        source == Source::Alertmanager && self.settings().polled.iter().any(|it| it.receiver == receiver)
    }

    /// Stores a delivery. What concerns no rollout is settled by that, so that a storm of it never stands in the way of an
    /// alert that counts. The rest goes on to the decider.
    async fn take_in(&self, arrival: Arrival) -> Result<Answer, StoreError> {
        let Some((source, receiver, alerts)) = arrival.content.told() else {
            return self.store.remember(arrival).await.map(|_| Answer::Stored);
        };
        let life = Life::of(source, receiver, alerts, arrival.at);
        let waits = match self.concerns_nobody(source, alerts) {
            Some(starts) => {
                let unmatched = Unmatched::of(source, alerts);
                match self.store.file_away(arrival, starts).await? {
                    Filed::Repeated => return Ok(Answer::Repeated),
                    Filed::Waits(arrival) => Some(*arrival),
                    Filed::Away => {
                        unmatched.count();
                        None
                    }
                }
            }
            None => match self.store.remember(arrival.clone()).await? {
                Remembered::Repeated { .. } => return Ok(Answer::Repeated),
                Remembered::New => Some(arrival),
            },
        };
        failpoint::hit!("intake.after-remember");
        life.felt(self);
        if let Some(arrival) = waits {
            self.queue(arrival);
        }
        Ok(Answer::Stored)
    }

    /// After how many starts a delivery concerns nobody; `None` when it may concern somebody.
    fn concerns_nobody(&self, source: Source, alerts: &[Alert]) -> Option<Starts> {
        let (starts, rollouts) = self.in_sight();
        let active = rollouts.iter().map(|rollout| &**rollout);
        concerns_nobody(source, alerts, active).then_some(starts)
    }
}

/// What a delivery says of the path that it came by. That is known as soon as the delivery is durable: the life of the path
/// does not depend on how much there is to decide.
struct Life {
    receiver: String,
    at: Timestamp,
    watchdog: bool,
}

impl Life {
    fn of(source: Source, receiver: &str, alerts: &[Alert], at: Timestamp) -> Self {
        let watchdog = |alert: &Alert| alert.is_watchdog() && alert.status == AlertStatus::Firing;
        Self {
            receiver: receiver.to_owned(),
            at,
            watchdog: source == Source::Alertmanager && alerts.iter().any(watchdog),
        }
    }

    fn felt(self, engine: &Engine) {
        engine.path.heard(&self.receiver, self.at);
        if self.watchdog {
            engine.path.saw_watchdog(&self.receiver, self.at);
        }
    }
}

/// The alerts of a delivery that concerns nobody, for the metrics.
struct Unmatched {
    source: Source,
    watchdogs: usize,
    others: usize,
}

impl Unmatched {
    fn of(source: Source, alerts: &[Alert]) -> Self {
        let watchdogs = alerts.iter().filter(|alert| alert.is_watchdog()).count();
        Self {
            source,
            watchdogs,
            others: alerts.len() - watchdogs,
        }
    }

    fn count(self) {
        series::heard(self.source, "watchdog", self.watchdogs);
        series::heard(self.source, "unmatched", self.others);
    }
}

/// The channels by which any plan pages, also one whose file has changed since its rollout began.
fn paging(engine: &Engine) -> BTreeSet<String> {
    let mut channels = engine.plans.load().paging_channels();
    for rollout in engine.cached() {
        channels.extend(rollout.plan.channels_for(Hears::Pages));
    }
    let settings = engine.settings();
    channels.retain(|channel| settings.channels.contains_key(channel));
    channels
}

fn word(answer: Answer) -> &'static str {
    match answer {
        Answer::Stored => "stored",
        Answer::Repeated => "repeated",
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tempfile::tempdir;
    use tidegate_rollout::Period;
    use tidegate_webhooks::Unreadable;

    use super::*;
    use crate::runner::bench::{Peer, engine};

    async fn said(engine: &Engine, now: Timestamp) -> Vec<NoticeKind> {
        let mut said = Vec::new();
        for channel in engine.store.channels_due(now).await.unwrap() {
            let claim = engine
                .store
                .claim_messages(&channel, "one", now, Period::seconds(15), 100);
            said.extend(claim.await.unwrap().into_iter().map(|message| message.notice.kind));
        }
        said
    }

    #[tokio::test]
    async fn a_delivery_that_could_not_be_read_pages_once_for_each_receiver_and_kind() {
        let directory = tempdir().unwrap();
        let engine = engine(&directory, &[&Peer::default()]).await;
        let now = clock::now();
        let next_hour = now + jiff::SignedDuration::from_hours(1);
        let malformed = |why: &str| Lost {
            source: Source::Grafana,
            receiver: "default",
            kind: "malformed",
            why: why.to_owned(),
        };
        for why in ["no `alerts`", "no `alerts`", "no `status`"] {
            malformed(why).page(&engine, now).await.unwrap();
        }
        malformed("no `status`").page(&engine, next_hour).await.unwrap();
        let large = Missed {
            source: Source::Alertmanager,
            receiver: "default".to_owned(),
            why: MissedWhy::TooLarge { limit: 8 },
        };
        engine.missed(large).await;
        let said = said(&engine, next_hour).await;
        let told: Vec<(&str, bool)> = said
            .iter()
            .map(|kind| match kind {
                NoticeKind::DeliveryMissed { why, polled, .. } => (why.as_str(), *polled),
                other => panic!("{other:?}"),
            })
            .collect();
        let expected = [
            ("no `alerts`", false),
            ("no `status`", false),
            ("it is larger than 8 bytes", true),
        ];
        assert_eq!(told, expected, "again only in the next hour");
        assert!(said.iter().all(|kind| kind.loudness() == Hears::Pages));
    }

    /// Whether somebody has rung for the next round of polling; rings are forgotten by that.
    async fn rang(engine: &Engine) -> bool {
        let bell = tokio::time::timeout(std::time::Duration::ZERO, engine.wake.poll.notified());
        bell.await.is_ok()
    }

    /// Absence proves nothing where alerts were left out, or a delivery could not be taken.
    #[tokio::test]
    async fn what_does_not_tell_everything_has_the_source_asked_at_once() {
        let directory = tempdir().unwrap();
        let engine = engine(&directory, &[&Peer::default()]).await;
        let delivery = |truncated| Received {
            source: Source::Alertmanager,
            receiver: "default".to_owned(),
            nonce: None,
            body: Bytes::from_static(b"{}"),
            alerts: Vec::new(),
            unreadable: Unreadable::default(),
            truncated,
        };
        engine.accept(delivery(0)).await.unwrap();
        assert!(!rang(&engine).await, "a whole delivery rings for nobody");
        engine.accept(delivery(1)).await.unwrap();
        assert!(rang(&engine).await, "one alert was left out");
        let missed = Missed {
            source: Source::Alertmanager,
            receiver: "default".to_owned(),
            why: MissedWhy::TooLarge { limit: 8 },
        };
        engine.missed(missed).await;
        assert!(rang(&engine).await, "a delivery was missed");
        let said = said(&engine, clock::now()).await;
        assert_eq!(said.len(), 1, "what was left out will be listed: {said:?}");
    }

    #[tokio::test]
    async fn alerts_that_were_left_out_page_once_an_hour_where_nobody_can_be_asked() {
        let directory = tempdir().unwrap();
        let engine = engine(&directory, &[]).await;
        for (source, truncated) in [
            (Source::Alertmanager, 7),
            (Source::Alertmanager, 9),
            (Source::Grafana, 1),
        ] {
            let received = Received {
                source,
                receiver: "default".to_owned(),
                nonce: None,
                body: Bytes::from_static(b"{}"),
                alerts: Vec::new(),
                unreadable: Unreadable::default(),
                truncated,
            };
            assert!(matches!(engine.accept(received).await, Ok(Answer::Stored)));
        }
        let said = said(&engine, clock::now()).await;
        let told: Vec<String> = said.iter().map(|kind| kind.sentence(&About::server())).collect();
        // The two of one receiver may fall into two hours.
        assert!((2..=3).contains(&told.len()), "{told:?}");
        assert!(
            told[0].contains("alertmanager") && told[0].contains("left out 7 alerts"),
            "{told:?}"
        );
        assert!(said.iter().all(|kind| kind.loudness() == Hears::Pages));
    }

    /// PagerDuty is answered 200 whatever it sends, and never brings it again.
    #[tokio::test]
    async fn an_incident_that_could_not_be_read_is_not_lost_in_silence() {
        let directory = tempdir().unwrap();
        let engine = engine(&directory, &[]).await;
        let received = Received {
            source: Source::PagerDuty,
            receiver: "default".to_owned(),
            nonce: Some("event-1".to_owned()),
            body: Bytes::from_static(b"{}"),
            alerts: Vec::new(),
            unreadable: Unreadable {
                count: 1,
                reasons: vec![(0, "the event has no `data`".to_owned())],
            },
            truncated: 0,
        };
        assert!(matches!(engine.accept(received).await, Ok(Answer::Stored)));
        let said = said(&engine, clock::now()).await;
        assert_eq!(said.len(), 1);
        let text = said[0].sentence(&About::server());
        assert!(text.contains("pagerduty") && text.contains("no `data`"), "{text}");
    }
}
