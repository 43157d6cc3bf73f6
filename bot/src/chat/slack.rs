//! Owns what people do in Slack as far as it means something: words and presses become requests, answers become messages.
//! Refuses to prove who speaks and to send anything: that happened before, and happens after. Whatever comes back from a
//! button or a form is believed as little as typed text.

pub mod card;
mod start;
mod words;

use jiff::Timestamp;
use serde_json::Value;
use tidegate_rollout::command::Verb;

use super::{Desk, DeskError, Dispatcher, Occasion, pick, press};

pub use words::{nobody, not_now, not_stored, working};

/// What is to be done about something heard.
#[derive(Clone, Debug, PartialEq)]
pub enum Response {
    /// Tell them this, for their eyes only.
    Say(Value),
    /// Open this form.
    Open(Value),
    /// Put this in the place of the form that they look at.
    Replace(Value),
    /// Leave the form open, and say why it was not taken.
    Errors {
        /// What is wrong, beside the fields.
        beside: Value,
        /// The same as a message.
        message: Value,
    },
    /// It is done: tell them this in the place of the form.
    Done(Value),
    /// Nothing.
    Nothing,
}

/// Answers what somebody typed after the slash command.
///
/// # Errors
/// [`DeskError`] when an order could not be stored; nothing was done then.
pub async fn typed<D: Desk>(
    dispatcher: &Dispatcher<D>,
    occasion: &Occasion,
    text: &str,
    now: Timestamp,
) -> Result<Response, DeskError> {
    if text.trim().eq_ignore_ascii_case("start") {
        return start::open(dispatcher, occasion, None).await;
    }
    let said = match dispatcher.read(text, now) {
        Ok(said) => said,
        Err(refusal) => return Ok(Response::Say(words::answer(&refusal.into()))),
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
    Ok(Response::Say(if tabular && answer.ok {
        words::table(&answer)
    } else {
        words::answer(&answer)
    }))
}

/// Answers a pressed button of a card.
///
/// # Errors
/// [`DeskError`] when the order could not be stored; nothing was done then.
pub async fn pressed<D: Desk>(
    dispatcher: &Dispatcher<D>,
    occasion: &Occasion,
    action: &str,
    value: &str,
    now: Timestamp,
) -> Result<Response, DeskError> {
    if action == press::OPEN {
        return Ok(Response::Nothing);
    }
    let answer = press::pressed(dispatcher, occasion, (action, value), now).await?;
    if !pick::is_one(action) {
        return Ok(Response::Say(words::answer(&answer)));
    }
    let tabular = matches!(pick::read(value, now), Ok((Verb::History, _, _)));
    Ok(Response::Say(words::instead(match tabular && answer.ok {
        true => words::table(&answer),
        false => words::answer(&answer),
    })))
}

pub use start::{again, as_form, chosen, submitted, working_form};

/// The name that the form's list of plans has when somebody chooses from it.
pub const PLAN: &str = start::PLAN;
