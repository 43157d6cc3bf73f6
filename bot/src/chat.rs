//! Owns the one dispatcher under every surface: what somebody said becomes a question or an order, and the answer a card.
//! Refuses to decide and to remember: that is the [`Desk`]'s work. Refuses markup: answers are plain text and facts.

mod again;
pub mod answer;
mod arguments;
mod buttons;
pub mod card;
pub mod discord;
pub mod names;
pub mod occasion;
mod pick;
mod press;
pub mod slack;
mod words;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use tidegate_rollout::begin::Check;
use tidegate_rollout::command::Verb;
use tidegate_rollout::command::grammar::{self, Said, Word};
use tidegate_rollout::refusal::Code;
use tidegate_rollout::{Actor, Command, Entry, Health, Refusal, Rollout, RolloutId, Share, Surroundings, policy};

pub use answer::Answer;
pub use card::Card;
use names::Names;
pub use occasion::Occasion;

use crate::telemetry::metrics::COMMANDS;

/// Something said by a person with a proven identity.
#[derive(Clone, Debug)]
pub struct Request {
    /// Who.
    pub actor: Actor,
    /// What.
    pub verb: Verb,
    /// The rollout it names, if it names one.
    pub rollout: Option<String>,
    /// The platform's id of the channel or thread it was said in, which tells which rollout is meant when none is named.
    pub place: Option<String>,
    /// The generation the person looked at, when a button was pressed.
    pub seen: Option<u64>,
    /// The idempotency key: the same key again gets the first answer again.
    pub key: Option<String>,
    /// Taken up later than this, it is refused; a rollback never is.
    pub not_after: Option<Timestamp>,
}

/// An order that changes something, resolved to what it concerns.
#[derive(Clone, Debug)]
pub struct Order {
    /// What was said.
    pub request: Request,
    /// The rollout it concerns; `None` for a start, a freeze, a thaw.
    pub about: Option<RolloutId>,
}

/// Why the desk could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// Nothing was stored, so nothing will be done.
    #[error("not stored, nothing done: could not {tried}")]
    NothingDone {
        /// What we tried.
        tried: &'static str,
        /// What stood in the way.
        #[source]
        source: anyhow::Error,
    },
    /// The order is stored, and nobody has decided it yet.
    #[error(
        "stored and not decided yet: a rollback will be done, anything else only if that is within seconds; see the status"
    )]
    Undecided {
        /// What stood in the way.
        #[source]
        source: anyhow::Error,
    },
}

/// What a start of a plan would meet now, for people to see before they start it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preflight {
    /// The plan's name.
    pub plan: String,
    /// The plan's title.
    pub title: String,
    /// What the plan asks for.
    pub inputs: Vec<Asked>,
    /// What was looked at.
    pub checks: Vec<Check>,
}

/// Something that a plan asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its name.
    pub name: String,
    /// Whether there is no start without it.
    pub required: bool,
    /// What was said already, else what it is when nobody says anything.
    pub value: Option<String>,
}

impl Preflight {
    /// Whether something must still be said before the plan can start.
    pub fn lacks_something(&self) -> bool {
        let lacking = |asked: &Asked| asked.required && asked.value.as_ref().is_none_or(String::is_empty);
        self.inputs.iter().any(lacking)
    }
}

/// Who remembers and decides.
pub trait Desk: Send + Sync {
    /// The rollouts that are not over, oldest first.
    fn active(&self) -> Vec<Arc<Rollout>>;
    /// One rollout, over or not.
    fn rollout(&self, id: &RolloutId) -> impl Future<Output = Result<Option<Arc<Rollout>>, DeskError>> + Send;
    /// The rollouts that people mean who name none, by the channel or thread they speak in: in its own thread that one, over
    /// or not; in a channel those that are not over and shown there. None, where the place says nothing about it.
    fn meant_at(&self, place: &str) -> impl Future<Output = Result<Vec<Arc<Rollout>>, DeskError>> + Send;
    /// The newest rollouts, over or not.
    fn newest(&self, limit: u32) -> impl Future<Output = Result<Vec<Arc<Rollout>>, DeskError>> + Send;
    /// The log of a rollout, oldest line first.
    fn history(&self, id: &RolloutId, limit: u32) -> impl Future<Output = Result<Vec<(u64, Entry)>, DeskError>> + Send;
    /// What surrounds a rollout now.
    fn around(&self, rollout: &Rollout) -> impl Future<Output = Result<Surroundings, DeskError>> + Send;
    /// What surrounds each of several rollouts now; what is over has calm waters around it, and nothing is read for it.
    fn arounds(
        &self,
        rollouts: &[Arc<Rollout>],
        now: Timestamp,
    ) -> impl Future<Output = Result<Vec<Surroundings>, DeskError>> + Send {
        async move {
            let mut arounds = Vec::with_capacity(rollouts.len());
            for rollout in rollouts {
                arounds.push(match rollout.is_final() {
                    true => Surroundings::calm(now),
                    false => self.around(rollout).await?,
                });
            }
            Ok(arounds)
        }
    }
    /// The names of the plans that can be started.
    fn plans(&self) -> Vec<String>;
    /// Whether there is a plan of this name, and whether its file can be used.
    ///
    /// # Errors
    /// The [`Refusal`] that says why not.
    fn can_start(&self, plan: &str) -> Result<(), Refusal>;
    /// Whether the target of a plan could carry a rollout as it is.
    fn target_ready(&self, plan: &str) -> impl Future<Output = Result<(), Refusal>> + Send;
    /// The share that the target of a rollout shows now, where that is known.
    fn observed(&self, rollout: &Rollout) -> Option<Share>;
    /// Whether the plans say something else by now than the one it was started with. Never of one that is over.
    fn plan_changed(&self, rollout: &Rollout) -> bool;
    /// What a start of this plan would meet now; nothing is started.
    fn preflight(
        &self,
        actor: &Actor,
        plan: &str,
        inputs: &BTreeMap<String, String>,
    ) -> impl Future<Output = Result<Result<Preflight, Refusal>, DeskError>> + Send;
    /// Remembers the order, then decides it.
    fn decide(&self, order: Order) -> impl Future<Output = Result<Answer, DeskError>> + Send;
}

/// The dispatcher.
#[derive(Debug)]
pub struct Dispatcher<D> {
    desk: Arc<D>,
}

impl<D> Clone for Dispatcher<D> {
    fn clone(&self) -> Self {
        Self {
            desk: Arc::clone(&self.desk),
        }
    }
}

impl<D: Desk> Dispatcher<D> {
    /// A dispatcher in front of `desk`.
    pub fn new(desk: Arc<D>) -> Self {
        Self { desk }
    }

    /// The desk behind it.
    pub fn desk(&self) -> &D {
        &self.desk
    }

    /// Answers a line of text.
    ///
    /// # Errors
    /// [`DeskError`] says whether the order is stored.
    pub async fn said(
        &self,
        actor: Actor,
        text: &str,
        key: Option<String>,
        now: Timestamp,
    ) -> Result<Answer, DeskError> {
        match self.read(text, now) {
            Err(refusal) => Ok(refusal.into()),
            Ok(said) => {
                let request = Request {
                    actor,
                    verb: said.verb,
                    rollout: said.rollout,
                    place: None,
                    seen: None,
                    key,
                    not_after: None,
                };
                self.dispatch(request, now).await
            }
        }
    }

    /// Reads a line of text as people type it, without doing anything about it.
    ///
    /// # Errors
    /// The [`Refusal`] that says what is not understood.
    pub fn read(&self, text: &str, now: Timestamp) -> Result<Said, Refusal> {
        self.understand(grammar::split(text)?, now)
    }

    /// Reads what a platform has split already, without doing anything about it.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn understand(&self, words: Vec<Word>, now: Timestamp) -> Result<Said, Refusal> {
        let active = self.desk.active();
        let names = Names {
            rollouts: active.iter().map(|rollout| rollout.id.to_string()).collect(),
            plans: self.desk.plans(),
        };
        let named = |word: &str| match names.mean(word) {
            _ if active.iter().any(|rollout| is_called(rollout, word)) => grammar::Named::Yes,
            Ok(_) => grammar::Named::No,
            Err(name) => grammar::Named::Nearly(name.to_owned()),
        };
        grammar::understand(words, now, named)
    }

    /// Answers a request.
    ///
    /// # Errors
    /// [`DeskError`] says whether the order is stored.
    pub async fn dispatch(&self, request: Request, now: Timestamp) -> Result<Answer, DeskError> {
        let (surface, command) = (request.actor.surface.word(), request.verb.word());
        let answer = self.answer(request, now).await;
        let result = outcome_word(&answer);
        metrics::counter!(COMMANDS, "surface" => surface, "command" => command, "result" => result).increment(1);
        answer
    }

    async fn answer(&self, request: Request, now: Timestamp) -> Result<Answer, DeskError> {
        match &request.verb {
            Verb::Help => Ok(Answer::text(words::help())),
            Verb::Whoami => Ok(Answer::text(words::whoami(&request.actor))),
            Verb::List => self.reading(&request, None, self.list(now)).await,
            Verb::Status | Verb::History => self.about_one(request, now).await,
            Verb::Start { plan, .. } => {
                if let Err(refusal) = self.desk.can_start(plan) {
                    return Ok(refusal.into());
                }
                // Whoever may not start it learns nothing about its target.
                if policy::may(&request.actor, &request.verb, None).is_ok()
                    && let Err(refusal) = self.desk.target_ready(plan).await
                {
                    return Ok(refusal.into());
                }
                self.desk.decide(Order { request, about: None }).await
            }
            Verb::Freeze { .. } | Verb::Thaw { .. } => self.desk.decide(Order { request, about: None }).await,
            Verb::Do(command) => match self.find(&request, now).await? {
                // Where several are meant, somebody has to say which.
                Err(unfound) if matches!(command, Command::Rollback { .. }) && unfound.code != Some(Code::R102) => {
                    self.went_back(&request, unfound).await
                }
                Err(unfound) => Ok(unfound),
                Ok(rollout) => {
                    let about = Some(rollout.id.clone());
                    let unnamed = request.rollout.is_none();
                    let answer = self.desk.decide(Order { request, about }).await?;
                    Ok(if unnamed { answer.naming(&rollout.id) } else { answer })
                }
            },
        }
    }

    async fn reading(
        &self,
        request: &Request,
        rollout: Option<&Rollout>,
        read: impl Future<Output = Result<Answer, DeskError>>,
    ) -> Result<Answer, DeskError> {
        match policy::may(&request.actor, &request.verb, rollout.map(|rollout| &*rollout.plan)) {
            Err(refusal) => Ok(refusal.into()),
            Ok(()) => read.await,
        }
    }

    async fn about_one(&self, request: Request, now: Timestamp) -> Result<Answer, DeskError> {
        let rollout = match self.find_or_latest(&request, now).await? {
            Err(unfound) => return Ok(unfound),
            Ok(rollout) => rollout,
        };
        let read = async {
            if request.verb == Verb::History {
                let lines = self.desk.history(&rollout.id, 200).await?;
                return Ok(Answer::text(words::history(&rollout, &lines)).about(&rollout));
            }
            let card = self.card(&rollout, now).await?;
            Ok(Answer::text(card.text()).about(&rollout).with_card(card))
        };
        self.reading(&request, Some(&rollout), read).await
    }

    /// The card of a rollout as it stands.
    ///
    /// # Errors
    /// [`DeskError`] when its surroundings could not be read.
    pub async fn card(&self, rollout: &Rollout, now: Timestamp) -> Result<Card, DeskError> {
        let around = self.desk.around(rollout).await?;
        Ok(Card::of(rollout, &around, now).beside(&*self.desk, rollout))
    }

    async fn list(&self, now: Timestamp) -> Result<Answer, DeskError> {
        let newest = self.desk.newest(20).await?;
        let arounds = self.desk.arounds(&newest, now).await?;
        let mut rows = Vec::new();
        for (rollout, around) in newest.into_iter().zip(arounds) {
            let health: Option<Health> = (!rollout.is_final()).then(|| rollout.health(&around, now));
            rows.push((rollout, health));
        }
        rows.sort_by_key(|(rollout, _)| rollout.is_final());
        Ok(Answer::text(words::list(&rows, &self.desk.plans())))
    }

    /// The answer to a rollback where nothing is under way: what is wanted may be so already.
    async fn went_back(&self, request: &Request, unfound: Answer) -> Result<Answer, DeskError> {
        let named = request.rollout.as_deref();
        let newest = self.desk.newest(20).await?;
        let meant = newest
            .iter()
            .find(|rollout| named.is_none_or(|name| is_called(rollout, name)));
        let may = |rollout: &&Arc<Rollout>| policy::may(&request.actor, &request.verb, Some(&rollout.plan)).is_ok();
        let said = meant
            .filter(may)
            .and_then(|rollout| Some((rollout, words::went_back(rollout, &self.desk.active())?)));
        Ok(match said {
            Some((rollout, text)) => Answer::text(text).about(rollout),
            None => unfound,
        })
    }

    /// By id, else by the name of a plan; who names none means the one of the thread, else the only one shown in the channel,
    /// else the only active one. Two candidates are never guessed between.
    async fn find(&self, request: &Request, now: Timestamp) -> Result<Result<Arc<Rollout>, Answer>, DeskError> {
        let named = request.rollout.as_deref();
        let candidates = self.candidates(named, request.place.as_deref()).await?;
        match (candidates.as_slice(), named) {
            ([one], _) => Ok(Ok(Arc::clone(one))),
            ([], Some(name)) => match self.desk.rollout(&RolloutId::new(name)).await? {
                Some(over) => Ok(Ok(over)),
                None => self.latest_of(name, &request.verb).await,
            },
            ([], None) => Ok(Err(words::nothing_active(&self.desk.plans()).into())),
            (several, _) => Ok(Err(words::ambiguous(several, &request.verb, now))),
        }
    }

    /// Nothing of that name is under way. Whoever names a plan means what it did last; but a rollback, which has its own answer there.
    async fn latest_of(&self, name: &str, verb: &Verb) -> Result<Result<Arc<Rollout>, Answer>, DeskError> {
        let newest = match verb {
            Verb::Do(Command::Rollback { .. }) => Vec::new(),
            _ => self.desk.newest(20).await?,
        };
        let latest = newest.into_iter().find(|rollout| rollout.plan.name() == name);
        Ok(latest.ok_or_else(|| words::no_such_rollout(name, &self.desk.active(), &self.desk.plans()).into()))
    }

    /// The rollouts that may be meant.
    async fn candidates(&self, named: Option<&str>, place: Option<&str>) -> Result<Vec<Arc<Rollout>>, DeskError> {
        let mut active = self.desk.active();
        match (named, place) {
            (Some(name), _) => active.retain(|rollout| is_called(rollout, name)),
            (None, Some(place)) => {
                let here = self.desk.meant_at(place).await?;
                if !here.is_empty() {
                    return Ok(here);
                }
            }
            (None, None) => {}
        }
        Ok(active)
    }

    /// Like [`Self::find`]; where nothing is active and nothing was named, the newest one that is over.
    async fn find_or_latest(
        &self,
        request: &Request,
        now: Timestamp,
    ) -> Result<Result<Arc<Rollout>, Answer>, DeskError> {
        match self.find(request, now).await? {
            Err(unfound) if unfound.code == Some(Code::R103) && request.rollout.is_none() => {
                let latest = self.desk.newest(1).await?.into_iter().next();
                Ok(latest.ok_or(unfound))
            }
            found => Ok(found),
        }
    }
}

fn is_called(rollout: &Rollout, name: &str) -> bool {
    rollout.id.as_str() == name || rollout.plan.name() == name
}

fn outcome_word(answer: &Result<Answer, DeskError>) -> &'static str {
    match answer {
        Err(DeskError::NothingDone { .. }) => "not_stored",
        Err(DeskError::Undecided { .. }) => "undecided",
        Ok(answer) if answer.ok => "done",
        Ok(_) => "refused",
    }
}
