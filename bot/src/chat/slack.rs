//! Owns what people do in Slack as far as it means something: words and presses become requests, answers become messages.
//! Refuses to prove who speaks and to send anything: that happened before, and happens after. Whatever comes back from a
//! button or a form is believed as little as typed text.

pub mod card;
mod press;
mod start;
mod words;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tidegate_rollout::command::Verb;
use tidegate_rollout::refusal::Code;
use tidegate_rollout::{Actor, RolloutId};

use super::{Answer, Desk, DeskError, Dispatcher, Request};

pub use words::{nobody, not_now, not_stored, working};

/// A command that is taken up later than this is refused, because nobody waits for it any more. A rollback never is.
const TAKEN_UP_WITHIN: SignedDuration = SignedDuration::from_millis(2_500);

/// Where and when somebody spoke.
#[derive(Clone, Debug)]
pub struct Occasion {
    /// Who.
    pub actor: Actor,
    /// The idempotency key: the platform's own name for this interaction.
    pub key: String,
    /// When it came in.
    pub at: Timestamp,
}

impl Occasion {
    fn request(&self, verb: Verb, rollout: Option<String>, seen: Option<u64>) -> Request {
        Request {
            actor: self.actor.clone(),
            verb,
            rollout,
            seen,
            key: Some(self.key.clone()),
            not_after: self.at.checked_add(TAKEN_UP_WITHIN).ok(),
        }
    }
}

/// What is to be done about something heard.
#[derive(Clone, Debug, PartialEq)]
pub enum Response {
    /// Tell them this, for their eyes only.
    Say(Value),
    /// Open this form.
    Open(Value),
    /// Put this in the place of the form that they look at.
    Replace(Value),
    /// Show what is wrong beside the fields of the form.
    Errors(Value),
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
    let (verb, rollout, seen) = match press::read(action, value) {
        Ok(read) => read,
        Err(refusal) => return Ok(Response::Say(words::answer(&refusal.into()))),
    };
    let answer = dispatcher
        .dispatch(occasion.request(verb, Some(rollout.clone()), seen), now)
        .await?;
    let answer = with_fresh_card(dispatcher, answer, &rollout, now).await?;
    Ok(Response::Say(words::answer(&answer)))
}

/// Who pressed a button of an old card is shown how things stand now.
async fn with_fresh_card<D: Desk>(
    dispatcher: &Dispatcher<D>,
    answer: Answer,
    rollout: &str,
    now: Timestamp,
) -> Result<Answer, DeskError> {
    if answer.code != Some(Code::R401) {
        return Ok(answer);
    }
    match dispatcher.desk().rollout(&RolloutId::new(rollout)).await? {
        Some(rollout) => {
            let card = dispatcher.card(&rollout, now).await?;
            Ok(answer.about(&rollout).with_card(card))
        }
        None => Ok(answer),
    }
}

pub use start::{chosen, submitted};

/// The name that the form's list of plans has when somebody chooses from it.
pub const PLAN: &str = start::PLAN;
