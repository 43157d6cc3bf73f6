//! Owns the hook routes and the order of the steps behind them.
//! Refuses to answer 200 before [`Intake::accept`] said that the delivery is durable, and never redirects: a redirected
//! POST becomes a GET without a body, whose 200 the sender takes for success.

use std::error::Error;
use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use http::request::Parts;
use tidegate_rollout::Source;
use tokio::time::timeout;
use tracing::{debug, warn};

use crate::decode::{Batch, decode};
use crate::intake::{Answer, Intake, Missed, MissedWhy, Received};
use crate::limits::{Gates, Limits, Sender, Unread};
use crate::media::{self, Wanted};
use crate::receiver::{DEFAULT_RECEIVER, Receiver, Receivers};
use crate::rejected::Rejected;
use crate::text::brief;
use crate::verify::Unproven;

const SOURCES: [Source; 3] = [Source::Alertmanager, Source::PagerDuty, Source::Grafana];

/// The paths that [`router`] serves, all with POST and all behind the authenticator of their receiver.
pub fn paths() -> Vec<String> {
    let served = SOURCES.into_iter().flat_map(paths_of);
    served.map(|(path, _)| path).collect()
}

/// Every path of a source, and whether the receiver's name is in it. The router is made from this list and from no other.
fn paths_of(source: Source) -> [(String, bool); 4] {
    let bare = format!("/webhooks/{}", source.word());
    let named = format!("{bare}/{{receiver}}");
    [
        (format!("{bare}/"), false),
        (bare, false),
        (format!("{named}/"), true),
        (named, true),
    ]
}

/// The hook routes: `POST /webhooks/{alertmanager,pagerduty,grafana}` and `…/{receiver}`, with or without a slash at the end.
///
/// `receivers` is asked at every request, so a reload takes effect with the next one.
pub fn router<I: Intake>(
    receivers: impl Fn() -> Arc<Receivers> + Send + Sync + 'static,
    intake: Arc<I>,
    limits: Limits,
) -> Router {
    let entrance = Arc::new(Entrance {
        receivers: Box::new(receivers),
        intake,
        gates: Gates::new(&limits),
        limits,
    });
    let routes = SOURCES.into_iter().fold(Router::new(), |routes, source| {
        let bare = move |State(entrance): State<Arc<Entrance<I>>>, request: Request| async move {
            entrance.receive(source, DEFAULT_RECEIVER, request).await
        };
        let named =
            move |State(entrance): State<Arc<Entrance<I>>>, Path(name): Path<String>, request: Request| async move {
                entrance.receive(source, &name, request).await
            };
        paths_of(source).into_iter().fold(routes, |routes, (path, is_named)| {
            let handler = if is_named { post(named) } else { post(bare) };
            routes.route(&path, handler)
        })
    });
    routes.with_state(entrance)
}

/// Everything a request meets on its way.
struct Entrance<I> {
    receivers: Box<dyn Fn() -> Arc<Receivers> + Send + Sync>,
    intake: Arc<I>,
    gates: Gates,
    limits: Limits,
}

impl<I: Intake> Entrance<I> {
    async fn receive(&self, source: Source, name: &str, request: Request) -> Response {
        match self.take(source, name, request).await {
            Ok(taken) => taken.into_response(),
            Err(rejected) => {
                log(source, name, &rejected);
                if let Some(refused) = rejected.told(source, name) {
                    self.intake.refused(refused);
                }
                rejected.into_response()
            }
        }
    }

    /// The steps in their order. Whatever is refused leaves nothing behind.
    async fn take(&self, source: Source, name: &str, request: Request) -> Result<Taken, Rejected> {
        let receivers = (self.receivers)();
        let receiver = receivers.get(source, name).ok_or_else(|| Rejected::NoReceiver {
            source,
            name: name.to_owned(),
        })?;
        let unproven = |why: Unproven| Rejected::Unproven {
            why,
            challenge: receiver.challenge(),
        };

        let (Parts { headers, .. }, body) = request.into_parts();
        let claim = receiver.admit(&headers).map_err(unproven)?;
        let gate = self.gates.of(match source {
            _ if claim.sender_known() => Sender::Known,
            Source::Grafana => Sender::SignsMany,
            Source::Alertmanager | Source::PagerDuty => Sender::SignsOne,
        });
        let _place = gate.enter().ok_or(Rejected::NoPlace)?;
        media::check(&headers, Wanted::Json).map_err(Rejected::WrongMedia)?;

        let mut passing = claim.passing();
        let held = match gate.read(body, |piece| passing.update(piece)).await {
            Ok(held) => held,
            Err(unread) => {
                if let Unread::TooLarge { limit, whole } = unread
                    && claim.knows_sender_of(&passing, whole)
                {
                    self.miss(source, name, MissedWhy::TooLarge { limit }).await;
                }
                return Err(Rejected::Unread(unread));
            }
        };
        let signed = claim.prove(held.bytes.clone()).map_err(unproven)?;
        let batch = match decode(&signed) {
            Ok(batch) => batch,
            Err(malformed) => {
                let detail = malformed.to_string();
                self.miss(source, name, MissedWhy::Malformed { detail }).await;
                return Err(Rejected::Malformed(malformed));
            }
        };
        if batch.is_empty() {
            return Ok(Taken::without_effect());
        }
        self.hand_over(receiver, name, signed.into_body(), batch).await
    }

    async fn hand_over(
        &self,
        receiver: &Receiver,
        name: &str,
        body: Bytes,
        mut batch: Batch,
    ) -> Result<Taken, Rejected> {
        let mut taken = Taken::of(&batch);
        batch.alerts.iter_mut().for_each(|alert| receiver.label(name, alert));
        let received = Received {
            source: receiver.source(),
            receiver: name.to_owned(),
            nonce: batch.nonce,
            body,
            alerts: batch.alerts,
            unreadable: batch.unreadable,
            truncated: batch.truncated,
        };
        let within = self.limits.answer_within;
        let answer = timeout(within, self.intake.accept(received))
            .await
            .map_err(|_| Rejected::NotStoredInTime(within))?
            .map_err(Rejected::Unavailable)?;
        taken.status = match answer {
            Answer::Stored => "stored",
            Answer::Repeated => "repeated",
        };
        let (source, Taken { status, alerts, .. }) = (receiver.source().word(), &taken);
        debug!(
            source,
            receiver = name,
            status,
            alerts,
            "Took a delivery of {alerts} alerts from {source}: {status}"
        );
        Ok(taken)
    }

    /// Tells the other side of a delivery that is lost here, before the sender hears it: who comes again at once finds us warned.
    async fn miss(&self, source: Source, name: &str, why: MissedWhy) {
        let missed = Missed {
            source,
            receiver: name.to_owned(),
            why,
        };
        if timeout(self.limits.answer_within, self.intake.missed(missed))
            .await
            .is_err()
        {
            warn!(
                source = source.word(),
                receiver = name,
                "Nobody took note of a missed delivery in time"
            );
        }
    }
}

/// What a sender is told, mostly for people who try it with curl.
#[derive(serde::Serialize)]
struct Taken {
    status: &'static str,
    alerts: usize,
    unreadable: u64,
    truncated: u64,
}

impl Taken {
    fn of(batch: &Batch) -> Self {
        Self {
            status: "stored",
            alerts: batch.alerts.len(),
            unreadable: batch.unreadable.count,
            truncated: batch.truncated,
        }
    }

    /// Nothing in it fires or is resolved.
    fn without_effect() -> Self {
        Self {
            status: "without effect",
            ..Self::of(&Batch::default())
        }
    }
}

impl IntoResponse for Taken {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

/// One line per refusal. Bodies, headers and what a sender said stay out of it.
fn log(source: Source, name: &str, rejected: &Rejected) {
    let (source, receiver, code) = (source.word(), brief(&name), rejected.code());
    if let Rejected::Unavailable(unavailable) = rejected {
        let cause: &dyn Error = unavailable.source.as_ref();
        warn!(source, receiver, code, cause, "Could not store a delivery");
    } else {
        warn!(source, receiver, code, "Refused a delivery: {code}");
    }
}
