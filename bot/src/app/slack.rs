//! Owns what happens to something heard from Slack: it is taken once, whoever spoke is found, and the answer goes back in
//! time, or later to the address that came with the question.
//! Refuses to let anybody wait: what takes long goes on by itself, and Slack is answered meanwhile.

mod form;

use std::sync::Arc;

use serde_json::{Value, json};
use tidegate_rollout::Surface;
use tidegate_webhooks::slack::{Heard, Listener, Replayed, Reply, What};
use tracing::{info, warn};

use super::{App, conversation};
use crate::channel::slack::{Api, ApiError};
use crate::chat::slack::{self as talk, Response};
use crate::chat::{DeskError, Occasion};
use crate::clock;

/// Answers what people do in Slack.
pub(super) struct Ears {
    app: App,
}

/// What is needed to answer one thing heard.
#[derive(Clone)]
struct Conversation {
    app: App,
    api: Api,
    command: String,
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
        let Some(slack) = &config.slack else {
            return Ok(Reply::Nothing);
        };
        let conversation = Conversation {
            app: self.app.clone(),
            api: Api::new(slack, self.app.net.clone()),
            command: slack.command.clone(),
            heard,
        };
        let (work, late) = (conversation.clone().hold(), conversation.clone());
        let answered = conversation::in_time_or_later(&self.app.tasks, work, move |result| {
            if let Ok(response) = result {
                late.too_late(response);
            }
        });
        match answered.await {
            Some(Ok(response)) => Ok(conversation.in_time(response)),
            Some(Err(replayed)) => Err(replayed),
            None => Ok(conversation.not_yet()),
        }
    }
}

impl Conversation {
    /// Takes the request, once, and does what it asks for; what is left is to answer it.
    async fn hold(self) -> Result<Response, Replayed> {
        let response = match conversation::taken(&self.app, &self.heard.proof, self.heard.at).await {
            Ok(true) => self.response().await,
            // Whoever still waits is told; who waits no longer was told that it is worked on, and nothing happens.
            Ok(false) => return Err(Replayed),
            Err(error) => Err(error),
        };
        let response = response.unwrap_or_else(|error| {
            warn!(
                error = &error as &dyn std::error::Error,
                "Something from Slack could not be answered"
            );
            Response::Say(talk::not_stored(&error))
        });
        Ok(self.carry_out(response).await)
    }

    /// Whoever spoke, if the configuration names them.
    fn occasion(&self) -> Option<Occasion> {
        let config = self.app.current.get();
        let person = config.people.in_slack(&self.heard.user)?;
        let key = format!("slack:{}:{}", self.heard.team, self.heard.trigger);
        let place = self.heard.channel.as_deref();
        Some(conversation::occasion(
            person,
            Surface::Slack,
            (key, place),
            self.heard.at,
        ))
    }

    async fn response(&self) -> Result<Response, DeskError> {
        let Some(occasion) = self.occasion() else {
            info!(what = %self.heard.what, "Somebody in Slack spoke whom nobody knows");
            return Ok(Response::Say(talk::nobody(&self.heard.user)));
        };
        let (dispatcher, now) = (&self.app.dispatcher, clock::now());
        match &self.heard.what {
            What::Command { text } => talk::typed(dispatcher, &occasion, text, now).await,
            What::Press {
                action,
                value,
                view: Some(view),
            } if action == talk::PLAN => talk::chosen(dispatcher, &occasion, value, view).await,
            What::Press { action, value, .. } => talk::pressed(dispatcher, &occasion, action, value, now).await,
            What::Submit(view) => talk::submitted(dispatcher, &occasion, view, now).await,
        }
    }

    /// Does what is not done by answering: opens forms, brings open ones up to date, answers presses.
    async fn carry_out(&self, response: Response) -> Response {
        match (&self.heard.what, response) {
            // A press is answered beside the request in any case.
            (What::Press { .. }, Response::Say(message)) => {
                self.later(message);
                Response::Nothing
            }
            (_, Response::Open(view)) => {
                let view = form::remembering(view, self.heard.response_url.as_deref());
                match self.api.open_form(&self.heard.trigger, &view).await {
                    Ok(()) => Response::Nothing,
                    Err(error) => Response::Say(talk::not_now(&self.command, &why(&error))),
                }
            }
            (What::Press { view: Some(seen), .. }, Response::Replace(view)) => {
                let view = form::remembering(view, form::remembered(seen));
                if let Err(error) = self.api.replace_form(&seen.id, Some(&seen.hash), &view).await {
                    warn!(
                        error = &error as &dyn std::error::Error,
                        "A form could not be brought up to date"
                    );
                }
                Response::Nothing
            }
            (_, response) => response,
        }
    }

    /// The answer that goes back with the request.
    fn in_time(&self, response: Response) -> Reply {
        match (&self.heard.what, response) {
            (What::Submit(view), Response::Say(message)) => Reply::Json(form::beside_the_fields(view, &message)),
            (_, Response::Say(message)) => Reply::Json(message),
            (_, Response::Done(message)) => Reply::Json(form::replaced(&talk::as_form(&message))),
            (_, Response::Errors { beside, .. }) => {
                Reply::Json(json!({ "response_action": "errors", "errors": beside }))
            }
            (_, Response::Nothing | Response::Open(_) | Response::Replace(_)) => Reply::Nothing,
        }
    }

    /// What Slack is told while the answer is not there.
    fn not_yet(&self) -> Reply {
        match &self.heard.what {
            What::Command { .. } => Reply::Json(talk::working()),
            What::Press { .. } => Reply::Nothing,
            What::Submit(_) => Reply::Json(form::replaced(&talk::working_form())),
        }
    }

    /// The answer, where nobody waits for it any more.
    fn too_late(self, response: Response) {
        let told = match response {
            Response::Say(message) | Response::Done(message) => form::Told::Alone(message),
            Response::Errors { message, .. } => form::Told::AboveTheForm(message),
            // What was to be opened or brought up to date is so already.
            Response::Open(_) | Response::Replace(_) | Response::Nothing => return,
        };
        match &self.heard.what {
            What::Submit(view) => {
                let view = view.clone();
                self.app.tasks.clone().spawn(form::tell(self, view, told));
            }
            What::Command { .. } | What::Press { .. } => self.later(told.into_message()),
        }
    }

    /// Posts an answer to where it was asked for.
    fn later(&self, message: Value) {
        let Some(address) = self.heard.response_url.clone() else {
            return;
        };
        let api = self.api.clone();
        self.app.tasks.spawn(async move {
            if let Err(error) = api.respond(&address, &message).await {
                unanswered(&error);
            }
        });
    }
}

fn unanswered(error: &ApiError) {
    warn!(
        error = error as &dyn std::error::Error,
        "An answer could not be given in Slack; what was asked for is done or refused all the same"
    );
}

/// What stood in the way, with its causes, for the person who asked.
fn why(error: &ApiError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// The two doors of Slack.
pub(super) fn doors(app: &App) -> axum::Router {
    let current = app.current.clone();
    let known = move || current.get().slack.as_ref().map(|slack| Arc::clone(&slack.app));
    tidegate_webhooks::slack::router(known, clock::now, Arc::new(Ears::new(app.clone())))
}
