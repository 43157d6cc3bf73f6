//! Owns the near side of the webhooks: what they heard is remembered here before it is answered.
//! Refuses to look into it: deciding comes after.

use tidegate_rollout::DeliveryId;
use tidegate_webhooks::{Answer, Intake, Missed, Received, Unavailable};
use tracing::warn;

use super::Engine;
use crate::clock;
use crate::failpoint;
use crate::store::{Arrival, Content, Remembered};

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
        for (index, why) in &unreadable.reasons {
            warn!(
                source = source.word(),
                receiver, "Alert {index} of a delivery could not be read: {why}"
            );
        }
        let arrival = Arrival {
            id: DeliveryId::new(uuid::Uuid::now_v7().to_string()),
            at: clock::now(),
            nonce,
            content: Content::Alerts {
                source,
                receiver,
                alerts,
                truncated,
            },
            raw: body,
        };
        let remembered = self
            .store
            .remember(arrival.clone())
            .await
            .map_err(Unavailable::because)?;
        failpoint::hit!("intake.after-remember");
        let result = match remembered {
            Remembered::New => {
                self.queue(arrival);
                Answer::Stored
            }
            Remembered::Repeated { .. } => Answer::Repeated,
        };
        metrics::counter!("tidegate_webhook_events_total", "source" => source.word(), "result" => word(result))
            .increment(1);
        Ok(result)
    }

    async fn missed(&self, missed: Missed) {
        metrics::counter!("tidegate_webhook_events_total", "source" => missed.source.word(), "result" => "missed")
            .increment(1);
        warn!(
            source = missed.source.word(),
            receiver = missed.receiver,
            "A delivery could not be taken, the source will be asked: {:?}",
            missed.why
        );
        self.wake.poll.notify_one();
    }
}

fn word(answer: Answer) -> &'static str {
    match answer {
        Answer::Stored => "stored",
        Answer::Repeated => "repeated",
    }
}
