//! Owns Slack's two addresses and the order of the steps behind them.
//! Refuses to look into a body before it is proven, and never lets alerts use up its places: it has gates of its own.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use http::request::Parts;
use jiff::Timestamp;

use super::decode::{self, Addressed};
use super::{App, Listener, Reply};
use crate::limits::Gates;
use crate::media::Wanted;
use crate::platform;
use crate::rejected::Rejected;
use crate::verify::Unproven;

/// Where a slash command is posted.
const COMMANDS: &str = "/slack/commands";
/// Where buttons and forms are posted.
const INTERACTIONS: &str = "/slack/interactions";

/// What a request that is not believed is asked for.
const CHALLENGE: &str = "Signature realm=\"tidegate\", header=\"x-slack-signature\"";

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
    let entrance = Arc::new(Entrance {
        app: Box::new(app),
        now: Box::new(now),
        listener,
        gates: platform::gates(),
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
        platform::respond("Slack", self.take(door, request).await)
    }

    /// The steps in their order. Whatever is refused leaves nothing behind.
    async fn take(&self, door: Door, request: Request) -> Result<Reply, Rejected> {
        let app = (self.app)().ok_or(Rejected::NoApp("slack.signing_secret_file` and `slack.workspaces"))?;
        let (Parts { headers, .. }, body) = request.into_parts();
        let now = (self.now)();
        let admitted = app.admit(&headers, now);
        // Slack checks now and then that the address answers; such a request is not always signed.
        let unsigned = matches!(admitted, Err(Unproven::NoSignature));
        let claim = admitted.map_err(unproven);
        let arrived = platform::read(&self.gates, &headers, Wanted::Form, claim, body).await?;
        if unsigned && decode::is_ssl_check(&arrived.held.bytes) {
            return Ok(Reply::Nothing);
        }
        let bytes = arrived.held.bytes.clone();
        let signed = arrived.claim?.prove(bytes).map_err(unproven)?;
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
            Some(heard) => {
                let what = heard.what.to_string();
                platform::hand_over(&what, CHALLENGE, self.listener.hear(heard)).await
            }
            None => Ok(Reply::Nothing),
        }
    }
}

fn unproven(why: Unproven) -> Rejected {
    Rejected::unproven(why, CHALLENGE)
}
