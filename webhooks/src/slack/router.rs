//! Owns Slack's two addresses and the order of the steps behind them.
//! Refuses to look into a body before it is proven, and never lets alerts use up its places: it has gates of its own.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use http::StatusCode;
use http::request::Parts;
use jiff::Timestamp;
use tokio::time::timeout;
use tracing::{debug, warn};

use super::decode::{self, Addressed};
use super::{App, Heard, Listener, Replayed, Reply};
use crate::limits::{Gates, Held, Limits};
use crate::media::{self, Wanted};
use crate::rejected::Rejected;
use crate::verify::Unproven;

/// Where a slash command is posted.
const COMMANDS: &str = "/slack/commands";
/// Where buttons and forms are posted.
const INTERACTIONS: &str = "/slack/interactions";

/// Slack waits three seconds; whatever takes longer than this is answered without its result.
const ANSWER_WITHIN: Duration = Duration::from_millis(2_600);
/// A body of Slack is small and comes at once.
const READ_WITHIN: Duration = Duration::from_secs(2);

/// The paths that [`router`] serves, both with POST and both behind the app's signature.
pub fn paths() -> Vec<String> {
    [COMMANDS, INTERACTIONS].map(str::to_owned).into()
}

/// `POST /slack/commands` and `POST /slack/interactions`.
///
/// `app` is asked at every request, so that a reload takes effect with the next one; `now` is the wall clock.
pub fn router<L: Listener>(
    app: impl Fn() -> Option<Arc<App>> + Send + Sync + 'static,
    now: impl Fn() -> Timestamp + Send + Sync + 'static,
    listener: Arc<L>,
) -> Router {
    let limits = Limits {
        read_within: READ_WITHIN,
        ..Limits::default()
    };
    let entrance = Arc::new(Entrance {
        app: Box::new(app),
        now: Box::new(now),
        listener,
        gates: Gates::new(&limits),
    });
    let at = |door: Door| {
        move |State(entrance): State<Arc<Entrance<L>>>, request: Request| async move {
            entrance.receive(door, request).await
        }
    };
    Router::new()
        .route(COMMANDS, post(at(Door::Commands)))
        .route(INTERACTIONS, post(at(Door::Interactions)))
        .with_state(entrance)
}

#[derive(Clone, Copy)]
enum Door {
    Commands,
    Interactions,
}

struct Entrance<L> {
    app: Box<dyn Fn() -> Option<Arc<App>> + Send + Sync>,
    now: Box<dyn Fn() -> Timestamp + Send + Sync>,
    listener: Arc<L>,
    gates: Gates,
}

impl<L: Listener> Entrance<L> {
    async fn receive(&self, door: Door, request: Request) -> Response {
        match self.take(door, request).await {
            Ok(Reply::Nothing) => StatusCode::OK.into_response(),
            Ok(Reply::Json(value)) => Json(value).into_response(),
            Err(rejected) => {
                let code = rejected.code();
                warn!(code, "Refused a request to Slack's address: {code}");
                rejected.into_response()
            }
        }
    }

    /// The steps in their order. Whatever is refused leaves nothing behind.
    async fn take(&self, door: Door, request: Request) -> Result<Reply, Rejected> {
        let app = (self.app)().ok_or(Rejected::NoApp)?;
        let (Parts { headers, .. }, body) = request.into_parts();
        let now = (self.now)();
        let claim = app.admit(&headers, now);
        let gate = self.gates.of(false);
        let _place = gate.enter().ok_or(Rejected::NoPlace)?;
        if let Err(wrong) = media::check(&headers, Wanted::Form) {
            // A stranger is told nothing about what would be right.
            return Err(claim.map_or_else(unproven, |_| Rejected::WrongMedia(wrong)));
        }
        let held: Held = gate.read(body).await.map_err(Rejected::Unread)?;
        let claim = match claim {
            Err(Unproven::NoSignature) if decode::is_ssl_check(&held.bytes) => return Ok(Reply::Nothing),
            claim => claim.map_err(unproven)?,
        };
        let signed = claim.prove(held.bytes.clone()).map_err(unproven)?;
        if decode::is_ssl_check(&signed.body) {
            return Ok(Reply::Nothing);
        }
        let (heard, team, id) = match door {
            Door::Commands => {
                let Addressed { heard, app } = decode::command(&signed, now).map_err(Rejected::Malformed)?;
                let team = heard.team.clone();
                (Some(heard), team, app)
            }
            Door::Interactions => decode::interaction(&signed, now).map_err(Rejected::Malformed)?,
        };
        if !app.knows(&team, &id) {
            return Err(unproven(Unproven::Elsewhere));
        }
        match heard {
            Some(heard) => self.hand_over(heard).await,
            None => Ok(Reply::Nothing),
        }
    }

    async fn hand_over(&self, heard: Heard) -> Result<Reply, Rejected> {
        let what = heard.what.to_string();
        match timeout(ANSWER_WITHIN, self.listener.hear(heard)).await {
            Ok(Ok(reply)) => {
                debug!(what, "Answered a {what} from Slack");
                Ok(reply)
            }
            Ok(Err(Replayed)) => Err(unproven(Unproven::Twice)),
            Err(_) => Err(Rejected::NotStoredInTime(ANSWER_WITHIN)),
        }
    }
}

fn unproven(why: Unproven) -> Rejected {
    Rejected::Unproven {
        why,
        challenge: "Signature realm=\"tidegate\", header=\"x-slack-signature\"".to_owned(),
    }
}
