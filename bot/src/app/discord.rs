//! Owns what happens to something heard from Discord: it is taken once, whoever spoke is found, and the answer goes back in
//! time, or later by editing what Discord shows meanwhile.
//! Refuses to edit for longer than Discord lets an answer be edited, and to give up because Discord heard our first answer late.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use serenity::builder::{
    AutocompleteChoice, CreateAutocompleteResponse, CreateInteractionResponse, CreateInteractionResponseMessage,
};
use tidegate_rollout::Surface;
use tidegate_webhooks::discord::{Heard, Listener, Replayed, Reply, What};
use tracing::{info, warn};

use super::{App, conversation};
use crate::channel::discord::{Api, ApiError};
use crate::chat::discord::{self as talk, Choice, Response};
use crate::chat::{DeskError, Occasion};
use crate::clock;
use crate::render::discord::Message;

/// So long Discord lets an answer be edited, with a margin for clocks and ways.
const EDITABLE_FOR: Duration = Duration::from_secs(14 * 60);
/// An answer that Discord does not know may be one whose deferral it has not heard of yet; after so long it is gone.
const UNHEARD_FOR: Duration = Duration::from_secs(10);

/// Answers what people do in Discord.
pub(super) struct Ears {
    app: App,
}

/// What is needed to answer one thing heard.
#[derive(Clone)]
struct Conversation {
    app: App,
    api: Api,
    heard: Heard,
}

impl Ears {
    pub(super) fn new(app: App) -> Self {
        Self { app }
    }
}

impl Listener for Ears {
    async fn hear(&self, heard: Heard) -> Result<Reply, Replayed> {
        let config = self.app.current.get();
        let Some(discord) = &config.discord else {
            return Ok(Reply::Nothing);
        };
        let conversation = Conversation {
            app: self.app.clone(),
            api: Api::new(discord, self.app.net.clone()),
            heard,
        };
        let (work, late) = (conversation.clone().hold(), conversation.clone());
        let answered = conversation::in_time_or_later(&self.app.tasks, work, move |result| {
            if let Ok(Response::Tell(message) | Response::Replace(message) | Response::Open { instead: message, .. }) =
                result
            {
                late.app.tasks.clone().spawn(late.follow_up(message));
            }
        });
        match answered.await {
            Some(Ok(response)) => Ok(at_once(response)),
            Some(Err(replayed)) => Err(replayed),
            None => Ok(conversation.not_yet()),
        }
    }
}

impl Conversation {
    /// Takes the request, once, and answers it.
    async fn hold(self) -> Result<Response, Replayed> {
        let response = match conversation::taken(&self.app, &self.heard.proof, self.heard.at).await {
            Ok(true) => self.response().await,
            // Whoever still waits is told; who waits no longer was told that it is worked on, and nothing happens.
            Ok(false) => return Err(Replayed),
            Err(error) => Err(error),
        };
        Ok(response.unwrap_or_else(|error| {
            warn!(
                error = &error as &dyn std::error::Error,
                "Something from Discord could not be answered"
            );
            self.say(talk::not_stored(&error))
        }))
    }

    /// Whoever spoke, if the configuration names them.
    fn occasion(&self) -> Option<Occasion> {
        let config = self.app.current.get();
        let person = config.people.in_discord(&self.heard.user)?;
        let key = format!("discord:{}", self.heard.id);
        let place = self.heard.place.as_deref();
        Some(conversation::occasion(
            person,
            Surface::Discord,
            (key, place),
            self.heard.at,
        ))
    }

    async fn response(&self) -> Result<Response, DeskError> {
        let Some(occasion) = self.occasion() else {
            info!(what = %self.heard.what, "Somebody in Discord spoke whom nobody knows");
            return Ok(self.say(talk::nobody(&self.heard.user)));
        };
        let (dispatcher, now) = (&self.app.dispatcher, clock::now());
        match &self.heard.what {
            What::Command(spoken) => talk::typed(dispatcher, &occasion, spoken, now).await,
            What::Press { button } => talk::pressed(dispatcher, &occasion, button, now).await,
            What::Choose { list, value } => talk::chosen(dispatcher, &occasion, list, value).await,
            What::Submit(form) => talk::submitted(dispatcher, &occasion, form, now).await,
            What::Complete { spoken, focused, typed } => {
                let choices = talk::completed(dispatcher, &occasion, spoken, (focused, typed)).await;
                Ok(Response::Choices(choices))
            }
        }
    }

    /// A message, where a message can be said at all: who is still typing can only be shown choices.
    fn say(&self, message: Message) -> Response {
        match &self.heard.what {
            What::Complete { .. } => Response::Choices(Vec::new()),
            What::Press { button } if talk::is_confirmed(button) => Response::Replace(message),
            What::Command(_) | What::Press { .. } | What::Choose { .. } | What::Submit(_) => Response::Tell(message),
        }
    }

    /// What Discord is told while the answer is not there: the person sees that it is worked on.
    fn not_yet(&self) -> Reply {
        reply(&match &self.heard.what {
            What::Complete { .. } => return at_once(Response::Choices(Vec::new())),
            What::Press { button } if talk::is_confirmed(button) => CreateInteractionResponse::Acknowledge,
            What::Command(_) | What::Press { .. } | What::Choose { .. } | What::Submit(_) => {
                CreateInteractionResponse::Defer(CreateInteractionResponseMessage::new().ephemeral(true))
            }
        })
    }

    /// Puts the answer in the place of "is thinking…".
    async fn follow_up(self, message: Message) {
        let body = message.edited();
        let patience = |error: &ApiError| match error {
            ApiError::Refused(refused) if refused.is_unknown() => UNHEARD_FOR,
            ApiError::Refused(_) => Duration::ZERO,
            ApiError::Busy { .. } | ApiError::Unreachable(_) => EDITABLE_FOR,
        };
        let edit = || self.api.edit_answer(&self.heard.token, &body);
        if let Err(error) = conversation::until_told(&self.app, edit, patience).await {
            warn!(
                error = &error as &dyn std::error::Error,
                "An answer could not be given in Discord; what was asked for is done or refused all the same"
            );
        }
    }
}

/// An answer that comes with the request itself.
fn at_once(response: Response) -> Reply {
    reply(&match response {
        // serenity's builders know forms only as Discord had them before.
        Response::Open { form, .. } => return Reply::Json(json!({ "type": 9, "data": form })),
        Response::Tell(message) => CreateInteractionResponse::Message(message.answer()),
        Response::Replace(message) => CreateInteractionResponse::UpdateMessage(message.answer()),
        Response::Choices(choices) => {
            let choice = |choice: Choice| AutocompleteChoice::new(choice.name, choice.value);
            let choices = choices.into_iter().map(choice).collect();
            CreateInteractionResponse::Autocomplete(CreateAutocompleteResponse::new().set_choices(choices))
        }
    })
}

fn reply(response: &CreateInteractionResponse) -> Reply {
    // Texts, numbers and lists: there is nothing that JSON could not hold.
    Reply::Json(serde_json::to_value(response).unwrap_or(Value::Null))
}

/// The door of Discord.
pub(super) fn door(app: &App) -> axum::Router {
    let current = app.current.clone();
    let known = move || current.get().discord.as_ref().map(|discord| Arc::clone(&discord.app));
    tidegate_webhooks::discord::router(known, clock::now, Arc::new(Ears::new(app.clone())))
}
