//! Owns Discord's one address and the order of the steps behind it.
//! Refuses to look into a body before it is proven, and never lets alerts use up its places: it has gates of its own.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::routing::post;
use http::request::Parts;
use jiff::Timestamp;
use serde_json::json;

use super::decode::Interaction;
use super::{App, Listener, Reply};
use crate::limits::Gates;
use crate::media::Wanted;
use crate::platform;
use crate::rejected::Rejected;
use crate::verify::Unproven;

/// Where everything is posted.
const INTERACTIONS: &str = "/discord/interactions";

/// What a request that is not believed is asked for.
const CHALLENGE: &str = "Signature realm=\"tidegate\", header=\"x-signature-ed25519\"";

/// The path that [`router`] serves, with POST and behind Discord's signature.
pub fn paths() -> Vec<String> {
    vec![INTERACTIONS.to_owned()]
}

/// `POST /discord/interactions`.
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
    let receive = |State(entrance): State<Arc<Entrance<L>>>, request: Request| async move {
        platform::respond("Discord", entrance.take(request).await)
    };
    Router::new().route(INTERACTIONS, post(receive)).with_state(entrance)
}

struct Entrance<L> {
    app: Box<dyn Fn() -> Option<Arc<App>> + Send + Sync>,
    now: Box<dyn Fn() -> Timestamp + Send + Sync>,
    listener: Arc<L>,
    gates: Gates,
}

impl<L: Listener> Entrance<L> {
    /// The steps in their order. Whatever is refused leaves nothing behind.
    async fn take(&self, request: Request) -> Result<Reply, Rejected> {
        let app = (self.app)().ok_or(Rejected::NoApp("discord.public_key` and `discord.guilds"))?;
        let (Parts { headers, .. }, body) = request.into_parts();
        let now = (self.now)();
        let claim = app.admit(&headers, now).map_err(unproven);
        let arrived = platform::read(&self.gates, &headers, Wanted::Json, claim, body).await?;
        let bytes = arrived.held.bytes.clone();
        let signed = arrived.claim?.prove(bytes).map_err(unproven)?;
        let interaction = Interaction::read(&signed).map_err(Rejected::Malformed)?;
        if interaction.application() != app.id {
            return Err(unproven(Unproven::Elsewhere));
        }
        if interaction.is_ping() {
            // The answer to "are you there": the same number.
            return Ok(Reply::Json(json!({ "type": 1 })));
        }
        if !interaction.guild().is_some_and(|guild| app.guilds.contains(&guild)) {
            return Err(unproven(Unproven::Elsewhere));
        }
        let heard = interaction.heard(signed.proof, now).map_err(Rejected::Malformed)?;
        let what = heard.what.to_string();
        platform::hand_over(&what, CHALLENGE, self.listener.hear(heard)).await
    }
}

fn unproven(why: Unproven) -> Rejected {
    Rejected::unproven(why, CHALLENGE)
}
