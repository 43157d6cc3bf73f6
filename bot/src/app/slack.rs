//! Owns what happens to something heard from Slack: it is taken once, whoever spoke is found, and the answer goes back in
//! time, or later to the address that came with the question.
//! Refuses to let anybody wait: what takes long goes on by itself, and Slack is answered meanwhile.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tidegate_rollout::{Actor, Surface};
use tidegate_webhooks::slack::{Heard, Listener, Replayed, Reply, View, What};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::{info, warn};

use super::App;
use crate::channel::slack::{Api, ApiError};
use crate::chat::DeskError;
use crate::chat::slack::{self as talk, Occasion, Response};
use crate::clock;
use crate::config;

/// How long it may take to find out whether a request is new.
const PROOF_WITHIN: Duration = Duration::from_millis(900);
/// How long an answer may take to go back with the request itself. Together with the above well below three seconds.
const INLINE_WITHIN: Duration = Duration::from_millis(1_200);

/// Answers what people do in Slack.
pub(super) struct Ears {
    app: App,
}

/// What is needed to answer one thing heard.
struct Conversation {
    app: App,
    api: Api,
    command: String,
    heard: Heard,
    occasion: Occasion,
}

impl Ears {
    pub(super) fn new(app: App) -> Self {
        Self { app }
    }

    /// Whether the request is new; `Err` when that could not be found out.
    async fn is_new(&self, heard: &Heard) -> Result<bool, DeskError> {
        let tried = "find out whether it came before";
        let taken = timeout(PROOF_WITHIN, self.app.engine.store().take_proof(&heard.proof, heard.at)).await;
        let failed = |source| DeskError::NothingDone { tried, source };
        match taken {
            Ok(taken) => taken.map_err(|error| failed(error.into())),
            Err(_) => Err(failed(anyhow::anyhow!("the store did not answer in time"))),
        }
    }

    /// Whoever it is in the configuration.
    fn speaker(config: &config::Config, member: &str) -> Option<Actor> {
        let person = config.people.in_slack(member)?;
        Some(Actor {
            person: person.id.clone(),
            roles: person.roles.clone(),
            surface: Surface::Slack,
        })
    }
}

impl Listener for Ears {
    async fn hear(&self, heard: Heard) -> Result<Reply, Replayed> {
        let config = self.app.current.get();
        let Some(slack) = &config.slack else {
            return Ok(Reply::Nothing);
        };
        let api = Api::new(slack, self.app.net.clone());
        let told = Told {
            app: &self.app,
            api: &api,
            heard: &heard,
        };
        match self.is_new(&heard).await {
            Ok(true) => {}
            Ok(false) => return Err(Replayed),
            Err(error) => {
                warn!(
                    error = &error as &dyn std::error::Error,
                    "Something from Slack could not be taken"
                );
                return Ok(told.at_once(talk::not_stored(&error)));
            }
        }
        let Some(actor) = Self::speaker(&config, &heard.user) else {
            info!(what = %heard.what, "Somebody in Slack spoke whom nobody knows");
            return Ok(told.at_once(talk::nobody(&heard.user)));
        };
        let occasion = Occasion {
            actor,
            key: format!("slack:{}:{}", heard.team, heard.trigger),
            at: heard.at,
        };
        let conversation = Conversation {
            app: self.app.clone(),
            api: api.clone(),
            command: slack.command.clone(),
            heard: heard.clone(),
            occasion,
        };
        Ok(self.answered(conversation, &told).await)
    }
}

impl Ears {
    /// Begins to answer; what is not there in time comes later, by itself.
    async fn answered(&self, conversation: Conversation, told: &Told<'_>) -> Reply {
        let (done, mut wait) = oneshot::channel();
        self.app.tasks.spawn(conversation.hold(done));
        match timeout(INLINE_WITHIN, &mut wait).await {
            Ok(reply) => reply.unwrap_or(Reply::Nothing),
            Err(_) => {
                // It may have come just now.
                wait.close();
                wait.try_recv().unwrap_or_else(|_| told.not_yet())
            }
        }
    }
}

/// Ways to tell something to whoever was heard.
struct Told<'a> {
    app: &'a App,
    api: &'a Api,
    heard: &'a Heard,
}

impl Told<'_> {
    /// A message; beside a button or a form it has to take the other way.
    fn at_once(&self, message: Value) -> Reply {
        match &self.heard.what {
            What::Command { .. } => Reply::Json(message),
            What::Press { .. } => {
                later(self.app, self.api, self.heard, message);
                Reply::Nothing
            }
            What::Submit(view) => Reply::Json(beside_the_fields(view, &message)),
        }
    }

    fn not_yet(&self) -> Reply {
        match &self.heard.what {
            What::Command { .. } => Reply::Json(talk::working()),
            What::Press { .. } => Reply::Nothing,
            What::Submit(view) => Reply::Json(beside_the_fields(view, &talk::working())),
        }
    }
}

/// A form shows messages only beside its fields.
fn beside_the_fields(view: &View, message: &Value) -> Value {
    let text = message.get("text").cloned().unwrap_or_default();
    let block = view.fields.first().map_or(talk::PLAN, |(block, _)| block.as_str());
    json!({ "response_action": "errors", "errors": { block: text } })
}

/// Posts an answer to where it was asked for.
fn later(app: &App, api: &Api, heard: &Heard, message: Value) {
    let Some(address) = heard.response_url.clone() else {
        return;
    };
    let api = api.clone();
    app.tasks.spawn(async move {
        if let Err(error) = api.respond(&address, &message).await {
            warn!(
                error = &error as &dyn std::error::Error,
                "An answer could not be given in Slack; what was asked for is done or refused all the same"
            );
        }
    });
}

impl Conversation {
    /// Answers; if nobody waits any more, to the address that came with the question.
    async fn hold(self, done: oneshot::Sender<Reply>) {
        let response = match self.response().await {
            Ok(response) => response,
            Err(error) => {
                warn!(
                    error = &error as &dyn std::error::Error,
                    "Something from Slack could not be answered"
                );
                Response::Say(talk::not_stored(&error))
            }
        };
        let reply = self.deliver(response).await;
        // A press is answered beside the request in any case; for the rest, somebody may have stopped waiting.
        if let Err(Reply::Json(message)) = done.send(reply)
            && matches!(self.heard.what, What::Command { .. })
        {
            later(&self.app, &self.api, &self.heard, message);
        }
    }

    async fn response(&self) -> Result<Response, DeskError> {
        let (dispatcher, now) = (&self.app.dispatcher, clock::now());
        match &self.heard.what {
            What::Command { text } => talk::typed(dispatcher, &self.occasion, text, now).await,
            What::Press {
                action,
                value,
                view: Some(view),
            } if action == talk::PLAN => talk::chosen(dispatcher, &self.occasion, value, view).await,
            What::Press { action, value, .. } => talk::pressed(dispatcher, &self.occasion, action, value, now).await,
            What::Submit(view) => talk::submitted(dispatcher, &self.occasion, view, now).await,
        }
    }

    /// Turns what is to be done into the answer of the request, and does the rest.
    async fn deliver(&self, response: Response) -> Reply {
        match (&self.heard.what, response) {
            (_, Response::Nothing) => Reply::Nothing,
            (What::Command { .. }, Response::Say(message)) => Reply::Json(message),
            (What::Press { .. }, Response::Say(message)) => {
                later(&self.app, &self.api, &self.heard, message);
                Reply::Nothing
            }
            (What::Submit(view), Response::Say(message)) => Reply::Json(beside_the_fields(view, &message)),
            (_, Response::Open(view)) => match self.api.open_form(&self.heard.trigger, &view).await {
                Ok(()) => Reply::Nothing,
                Err(error) => Reply::Json(talk::not_now(&self.command, &why(&error))),
            },
            (What::Submit(_), Response::Replace(view)) => {
                Reply::Json(json!({ "response_action": "update", "view": view }))
            }
            (What::Press { view: Some(seen), .. }, Response::Replace(view)) => {
                if let Err(error) = self.api.replace_form(&seen.id, &seen.hash, &view).await {
                    warn!(
                        error = &error as &dyn std::error::Error,
                        "A form could not be brought up to date"
                    );
                }
                Reply::Nothing
            }
            (What::Command { .. } | What::Press { .. }, Response::Replace(_)) => Reply::Nothing,
            (_, Response::Errors(errors)) => Reply::Json(json!({ "response_action": "errors", "errors": errors })),
        }
    }
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
