//! Owns what people do in Discord as far as it means something: commands and presses become requests, answers become messages.
//! Refuses to prove who speaks and to send anything: that happened before, and happens after. Whatever comes back from a
//! button or a form is believed as little as typed text.

pub mod card;
mod complete;
mod confirm;
mod start;
mod tree;
mod words;

use jiff::Timestamp;
use serde_json::Value;
use tidegate_rollout::command::{USAGES, Verb};
use tidegate_webhooks::discord::Spoken;

use super::{Desk, DeskError, Dispatcher, Occasion, arguments};
use crate::render::discord::Message;

pub use complete::{Choice, completed};
pub use confirm::{is_confirmed, pressed};
pub use start::{chosen, submitted};
pub use tree::tree;
pub use words::{nobody, not_stored};

/// What is to be done about something heard.
#[derive(Clone, Debug, PartialEq)]
pub enum Response {
    /// Tell them this, for their eyes only.
    Tell(Message),
    /// Put this in the place of what they pressed.
    Replace(Message),
    /// Open this form. Discord opens one only as the first answer; whoever is later says what stands in its place.
    Open {
        /// The form.
        form: Value,
        /// What is told where it is too late for it.
        instead: Message,
    },
    /// Show these while they type.
    Choices(Vec<Choice>),
}

/// Answers a command.
///
/// # Errors
/// [`DeskError`] when an order could not be stored; nothing was done then.
pub async fn typed<D: Desk>(
    dispatcher: &Dispatcher<D>,
    occasion: &Occasion,
    spoken: &Spoken,
    now: Timestamp,
) -> Result<Response, DeskError> {
    if spoken.verb == "start" && spoken.options.is_empty() {
        return start::open(dispatcher, occasion, None).await;
    }
    let usage = USAGES.iter().find(|usage| usage.verb == spoken.verb);
    let words = arguments::words(&spoken.verb, usage, &spoken.options);
    let said = match words.and_then(|words| dispatcher.understand(words, now)) {
        Ok(said) => said,
        Err(refusal) => return Ok(Response::Tell(words::answer(&refusal.into()))),
    };
    if let Verb::Start { plan, inputs } = &said.verb {
        let form = dispatcher.desk().preflight(&occasion.actor, plan, inputs).await?;
        if form.is_ok_and(|form| form.lacks_something()) {
            return start::open(dispatcher, occasion, Some((plan, inputs))).await;
        }
    }
    let tabular = matches!(said.verb, Verb::List | Verb::History | Verb::Help);
    let request = occasion.request(said.verb, said.rollout, None);
    let answer = dispatcher.dispatch(request, now).await?;
    Ok(Response::Tell(if tabular && answer.ok {
        words::table(&answer)
    } else {
        words::answer(&answer)
    }))
}
