//! Owns the answers to forms in Slack: beside the fields and in their place while Slack waits; later, in the form that stayed
//! open; and where somebody has closed it meanwhile, at the address that came with the command which opened it.
//! Refuses to leave anybody with "Working on it": what became of a start is said for as long as there is a way.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_webhooks::slack::View;
use tokio::time::{Instant, sleep_until};

use super::super::conversation;
use super::{Conversation, unanswered};
use crate::channel::slack::ApiError;
use crate::chat::slack as talk;
use crate::clock;

/// So long after a form was sent off Slack may still put the first answer in its place, over anything that came before.
const FIRST_ANSWER_WITHIN: Duration = Duration::from_millis(3_250);
/// So long the answer is tried; Slack takes it at the other address for half an hour.
const TOLD_WITHIN: Duration = Duration::from_secs(14 * 60);

/// A form with the address where an answer may be posted when the form is not open any more.
pub(super) fn remembering(mut view: Value, address: Option<&str>) -> Value {
    /// The most that a form carries for its app.
    const MOST: usize = 3_000;
    if let (Some(view), Some(address)) = (view.as_object_mut(), address.filter(|address| address.len() <= MOST)) {
        view.insert("private_metadata".to_owned(), address.into());
    }
    view
}

/// The address in a form that came back.
pub(super) fn remembered(view: &View) -> Option<&str> {
    Some(view.private.as_str()).filter(|address| !address.is_empty())
}

/// A form shows messages only beside its fields.
pub(super) fn beside_the_fields(view: &View, message: &Value) -> Value {
    let text = message.get("text").cloned().unwrap_or_default();
    let block = view.fields.first().map_or(talk::PLAN, |(block, _)| block.as_str());
    json!({ "response_action": "errors", "errors": { block: text } })
}

/// Another form in its place.
pub(super) fn replaced(view: &Value) -> Value {
    json!({ "response_action": "update", "view": view })
}

/// What somebody is told who sent a form off.
pub(super) enum Told {
    /// It is done, or nobody knows.
    Alone(Value),
    /// It was refused, and can be filled in once more.
    AboveTheForm(Value),
}

impl Told {
    /// It as a message.
    pub(super) fn into_message(self) -> Value {
        match self {
            Self::Alone(message) | Self::AboveTheForm(message) => message,
        }
    }
}

/// Tells what became of a form that was answered with "Working on it".
pub(super) async fn tell(conversation: Conversation, seen: View, told: Told) {
    let since_then = Duration::try_from(clock::now().duration_since(conversation.heard.at)).unwrap_or_default();
    let settled = Instant::now() + FIRST_ANSWER_WITHIN.saturating_sub(since_then);
    let (app, api) = (&conversation.app, &conversation.api);
    tokio::select! {
        () = app.stop.cancelled() => {}
        () = sleep_until(settled) => {}
    }
    let view = match (&told, conversation.occasion()) {
        (Told::AboveTheForm(message), Some(occasion)) => talk::again(&app.dispatcher, &occasion, &seen, message).await,
        (Told::AboveTheForm(message) | Told::Alone(message), _) => talk::as_form(message),
    };
    let view = remembering(view, remembered(&seen));
    let lasting = |error: &ApiError| match error {
        ApiError::Refused(_) => Duration::ZERO,
        ApiError::Busy { .. } | ApiError::Unreachable(_) => TOLD_WITHIN,
    };
    let shown = conversation::until_told(app, || api.replace_form(&seen.id, None, &view), lasting).await;
    let Err(error) = shown else {
        return;
    };
    let Some(address) = remembered(&seen) else {
        return unanswered(&error);
    };
    // Whoever closed the form is told where they asked for it.
    let message = told.into_message();
    if let Err(error) = conversation::until_told(app, || api.respond(address, &message), lasting).await {
        unanswered(&error);
    }
}
