//! Owns Slack's wire formats: the form of a slash command, and the JSON in the form field `payload` of everything else.
//! Refuses to need more than it uses: unknown fields are ignored, Slack adds some from time to time.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use url::form_urlencoded;

use super::proof::Signed;
use super::{Heard, View, What};
use crate::decode::Malformed;
use crate::text::{brief, without_nul};

/// The most fields of a form that are looked at; a modal has no more than a hundred blocks.
const MOST_FIELDS: usize = 100;

/// Something heard, with the app that it says it is for.
pub(super) struct Addressed {
    pub(super) heard: Heard,
    pub(super) app: String,
}

/// Slack checks now and then that the address answers. Such a request carries nothing and is not always signed.
pub(super) fn is_ssl_check(body: &[u8]) -> bool {
    fields(body).any(|(name, value)| name == "ssl_check" && value == "1")
}

fn fields(body: &[u8]) -> impl Iterator<Item = (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)> {
    form_urlencoded::parse(body)
}

fn field(body: &[u8], wanted: &str) -> Option<String> {
    fields(body).find_map(|(name, value)| (name == wanted).then(|| without_nul(value.into_owned())))
}

fn needed(value: Option<String>, name: &str) -> Result<String, Malformed> {
    value
        .filter(|value| !value.is_empty())
        .ok_or_else(|| Malformed(format!("`{name}` is missing")))
}

/// A slash command.
pub(super) fn command(signed: &Signed, at: Timestamp) -> Result<Addressed, Malformed> {
    let body = &signed.body;
    let heard = Heard {
        proof: signed.proof,
        at,
        team: needed(field(body, "team_id"), "team_id")?,
        user: needed(field(body, "user_id"), "user_id")?,
        channel: field(body, "channel_id").filter(|id| !id.is_empty()),
        trigger: needed(field(body, "trigger_id"), "trigger_id")?,
        response_url: field(body, "response_url"),
        what: What::Command {
            text: field(body, "text").unwrap_or_default(),
        },
    };
    let app = field(body, "api_app_id").unwrap_or_default();
    Ok(Addressed { heard, app })
}

/// What every interaction carries.
#[derive(Deserialize)]
struct Payload {
    r#type: String,
    #[serde(default)]
    api_app_id: String,
    team: Option<Named>,
    user: User,
    channel: Option<Named>,
    #[serde(default)]
    trigger_id: String,
    response_url: Option<String>,
    #[serde(default)]
    actions: Vec<Action>,
    view: Option<WireView>,
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

#[derive(Deserialize)]
struct User {
    id: String,
    team_id: Option<String>,
}

#[derive(Deserialize)]
struct Action {
    action_id: String,
    value: Option<String>,
    selected_option: Option<Chosen>,
}

#[derive(Deserialize)]
struct Chosen {
    value: String,
}

#[derive(Deserialize)]
struct WireView {
    id: String,
    #[serde(default)]
    hash: String,
    #[serde(default)]
    callback_id: String,
    #[serde(default)]
    private_metadata: String,
    state: Option<State>,
}

#[derive(Deserialize)]
struct State {
    values: serde_json::Map<String, Value>,
}

/// A pressed button or a filled-in form; `None` for the kinds of interaction that nothing is done about.
pub(super) fn interaction(signed: &Signed, at: Timestamp) -> Result<(Option<Heard>, String, String), Malformed> {
    let text = needed(field(&signed.body, "payload"), "payload")?;
    let payload: Payload = serde_json::from_str(&text).map_err(|error| Malformed(brief(&error)))?;
    // An app of a whole organisation names the workspace only with the user.
    let team = payload.team.map(|team| team.id).or(payload.user.team_id);
    let team = needed(team, "team")?;
    let view = payload.view.map(read_view);
    let what = match (payload.r#type.as_str(), payload.actions.into_iter().next(), view) {
        ("block_actions", Some(action), view) => Some(What::Press {
            value: without_nul(
                action
                    .value
                    .or(action.selected_option.map(|it| it.value))
                    .unwrap_or_default(),
            ),
            action: without_nul(action.action_id),
            view,
        }),
        ("view_submission", _, Some(view)) => Some(What::Submit(view)),
        _ => None,
    };
    let heard = what.map(|what| Heard {
        proof: signed.proof,
        at,
        team: without_nul(team.clone()),
        user: without_nul(payload.user.id),
        channel: payload.channel.map(|channel| without_nul(channel.id)),
        trigger: without_nul(payload.trigger_id),
        response_url: payload.response_url,
        what,
    });
    Ok((heard, team, payload.api_app_id))
}

fn read_view(view: WireView) -> View {
    let values = view.state.map(|state| state.values).unwrap_or_default();
    let fields = values
        .into_iter()
        .take(MOST_FIELDS)
        .filter_map(|(block, elements)| Some((without_nul(block), without_nul(filled_in(&elements)?))))
        .collect();
    View {
        id: without_nul(view.id),
        hash: view.hash,
        callback: view.callback_id,
        private: without_nul(view.private_metadata),
        fields,
    }
}

/// What the one element of a block holds: typed text, or the value that was chosen.
fn filled_in(elements: &Value) -> Option<String> {
    let element = elements.as_object()?.values().next()?;
    let chosen = element.pointer("/selected_option/value");
    let text = element.get("value").filter(|value| !value.is_null()).or(chosen)?;
    text.as_str().map(str::to_owned)
}
