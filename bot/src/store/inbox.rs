//! Owns what was heard and not yet dealt with: durable when [`Store::remember`] returns, kept until it is settled.
//! Refuses to decide what it means, and to hear the same delivery twice.

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tidegate_rollout::command::Verb;
use tidegate_rollout::{Actor, Alert, DeliveryId, Source};
use tokio::sync::oneshot;

use super::Store;
use super::alerts::AlertRow;
use super::engine::Session;
use super::error::StoreError;
use super::sql::statements;
use super::value::{self, count, moment, readable, searchable};
use super::writer::{Incoming, Job, Taken, Text};

statements! {
    UNSETTLED: "list what is not settled" =
        "SELECT number, id, at, nonce, content FROM deliveries WHERE settled = 0 AND number > $1 ORDER BY number LIMIT $2";
    OLDEST: "find what waits longest" =
        "SELECT at FROM deliveries WHERE settled = 0 AND id <> $1 ORDER BY number LIMIT 1";
    SETTLE_CAUSE: "settle the cause of a step" =
        "UPDATE deliveries SET settled = 1 WHERE id = $1 AND settled = 0";
    ANSWER: "read what somebody was answered" =
        "SELECT answer FROM deliveries WHERE id = $1";
    IS_SETTLED: "look whether an arrival is settled" =
        "SELECT settled FROM deliveries WHERE id = $1";
    COUNT_UNSETTLED: "count what is not settled" =
        "SELECT COUNT(*) FROM deliveries WHERE settled = 0";
}

/// One thing heard from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Its name; a uuid v7, so that names sort by arrival.
    pub id: DeliveryId,
    /// When it came.
    pub at: Timestamp,
    /// What a repetition has in common with it: an idempotency key, or the platform's delivery id. It counts within
    /// its receiver or person, so that nobody can use up the nonce of somebody else.
    pub nonce: Option<String>,
    /// What it says.
    pub content: Content,
    /// The body as it came; it is kept for people, and empty in what is read back.
    pub raw: Bytes,
}

/// What can be heard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Content {
    /// A webhook told of alerts.
    Alerts {
        /// The program that sent it.
        source: Source,
        /// The receiver it came to.
        receiver: String,
        /// What it told.
        alerts: Vec<Alert>,
        /// How many alerts the sender left out.
        truncated: u64,
    },
    /// The API of an alert source listed these when it was asked.
    Polled {
        /// The program that was asked.
        source: Source,
        /// The receiver whose peers were asked.
        receiver: String,
        /// What it listed.
        alerts: Vec<Alert>,
    },
    /// A person with a proven identity said something.
    Said {
        /// Who.
        actor: Actor,
        /// What.
        verb: Verb,
        /// About which rollout, as they named it.
        rollout: Option<String>,
        /// The generation they looked at, when they pressed a button.
        seen: Option<u64>,
        /// Taken up after this moment it is refused.
        not_after: Option<Timestamp>,
    },
}

impl Content {
    /// Within what a nonce is unique.
    fn scope(&self) -> String {
        match self {
            Self::Alerts { source, receiver, .. } => format!("{}:{receiver}", source.word()),
            Self::Polled { source, receiver, .. } => format!("{}-api:{receiver}", source.word()),
            Self::Said { actor, .. } => format!("person:{}", actor.person),
        }
    }

    /// The alerts it tells of.
    pub fn alerts(&self) -> &[Alert] {
        self.told().map_or(&[], |(_, _, alerts)| alerts)
    }

    /// What it tells of alerts, and who tells it.
    pub fn told(&self) -> Option<(Source, &str, &[Alert])> {
        match self {
            Self::Alerts {
                source,
                receiver,
                alerts,
                ..
            }
            | Self::Polled {
                source,
                receiver,
                alerts,
            } => Some((*source, receiver, alerts)),
            Self::Said { .. } => None,
        }
    }
}

/// How many rollouts had been started when somebody looked whom an arrival concerns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Starts(pub u64);

/// How an arrival was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remembered {
    /// It is durable now.
    New,
    /// It was heard before, and has no effect.
    Repeated {
        /// Whether the first one is settled. A crash can settle it before its answer is known.
        settled: bool,
        /// What the first one was answered, if that is known.
        answer: Option<String>,
    },
}

/// How an arrival was taken that concerned nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filed {
    /// It is durable now, and settled.
    Away,
    /// It is durable now, and has to be decided on after all: something was started meanwhile. Here it is again.
    Waits(Box<Arrival>),
    /// It was heard before, and has no effect.
    Repeated,
}

/// The end of an arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Which arrival.
    pub id: DeliveryId,
    /// What its sender was answered, for repetitions; JSON.
    pub answer: Option<String>,
}

impl Store {
    /// Makes an arrival durable, together with the latest word on its alerts. It survives a crash once this returns.
    ///
    /// # Errors
    /// When it could not be stored. The sender is answered 503 and comes again.
    pub async fn remember(&self, arrival: Arrival) -> Result<Remembered, StoreError> {
        let (remembered, _) = self.take_in(prepare(arrival, None)?).await?;
        Ok(remembered)
    }

    /// As [`Self::remember`], for an arrival that concerns none of the rollouts of the first `starts` starts. If there was no
    /// other when it is stored, it is settled by that: nobody has to look at it again. Whoever starts later reads what it
    /// told of alerts.
    ///
    /// # Errors
    /// As [`Self::remember`].
    pub async fn file_away(&self, arrival: Arrival, starts: Starts) -> Result<Filed, StoreError> {
        let (id, at, nonce, raw) = (
            arrival.id.clone(),
            arrival.at,
            arrival.nonce.clone(),
            arrival.raw.clone(),
        );
        Ok(match self.take_in(prepare(arrival, Some(starts))?).await? {
            (Remembered::Repeated { .. }, _) => Filed::Repeated,
            (Remembered::New, None) => Filed::Away,
            (Remembered::New, Some(content)) => Filed::Waits(Box::new(Arrival {
                id,
                at,
                nonce,
                content: *content,
                raw,
            })),
        })
    }

    async fn take_in(&self, incoming: Incoming) -> Result<Taken, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.hand_over(Job::Remember {
            incoming: Box::new(incoming),
            answer,
        })
        .await?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    /// Says that the consequences of arrivals are saved. Doing so twice changes nothing.
    ///
    /// # Errors
    /// When it could not be stored; the arrivals are dealt with again then.
    pub async fn settle(&self, settled: &[Settled]) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        self.hand_over(Job::Settle {
            settled: settled.to_vec(),
            answer,
        })
        .await?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    /// What is not settled, oldest first, without the bodies as they came: after a restart, and for the other replicas.
    /// At most `limit` of what came after the `after`th; also answers after which to go on, if there may be more.
    ///
    /// # Errors
    /// When the database does not answer. A row that cannot be read is told in the log and left out.
    pub async fn unsettled(&self, after: u64, limit: u32) -> Result<(Vec<Arrival>, Option<u64>), StoreError> {
        type Row = (i64, String, i64, Option<String>, String);
        let rows: Vec<Row> = self.engine().rows(&UNSETTLED, &[after.into(), limit.into()]).await?;
        let full = u32::try_from(rows.len()).is_ok_and(|rows| rows >= limit);
        let last = rows.last().map(|row| count(row.0)).filter(|_| full);
        let arrivals = readable(rows, |(_, id, at, nonce, content)| {
            Ok(Arrival {
                content: value::open("deliveries", &id, "content", &content)?,
                id: DeliveryId::new(id),
                at: moment(at),
                nonce,
                raw: Bytes::new(),
            })
        });
        Ok((arrivals, last))
    }

    /// What the sender of an arrival was answered; JSON. `None` while it is not decided, and in the moment between the commit
    /// of what came of it and the note of its answer.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn answer(&self, id: &DeliveryId) -> Result<Option<String>, StoreError> {
        let row: Option<(Option<String>,)> = self.engine().row(&ANSWER, &[id.as_str().into()]).await?;
        Ok(row.and_then(|(answer,)| answer))
    }

    /// Whether an arrival is settled; one that is forgotten is.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn is_settled(&self, id: &DeliveryId) -> Result<bool, StoreError> {
        let row: Option<(i64,)> = self.engine().row(&IS_SETTLED, &[id.as_str().into()]).await?;
        Ok(row.is_none_or(|(settled,)| settled != 0))
    }

    /// When that came which waits longest to be settled, `except` aside.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn oldest_unsettled(&self, except: Option<&DeliveryId>) -> Result<Option<Timestamp>, StoreError> {
        let except = except.map_or("", DeliveryId::as_str);
        let row: Option<(i64,)> = self.engine().row(&OLDEST, &[except.into()]).await?;
        Ok(row.map(|(at,)| moment(at)))
    }

    /// How much is not settled.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn count_unsettled(&self) -> Result<u64, StoreError> {
        let row: Option<(i64,)> = self.engine().row(&COUNT_UNSETTLED, &[]).await?;
        Ok(row.map_or(0, |(unsettled,)| count(unsettled)))
    }
}

/// Settles what caused a step in the commit that saves the step, so that a crash or another replica cannot make it
/// happen twice; `false` when it happened before.
pub(super) async fn settle_cause(session: &mut Session, cause: Option<&DeliveryId>) -> Result<bool, StoreError> {
    match cause {
        Some(id) => Ok(session.execute(&SETTLE_CAUSE, &[id.as_str().into()]).await? == 1),
        None => Ok(true),
    }
}

/// Does on the caller's task whatever does not need the database, so that the one writer has little to do.
fn prepare(arrival: Arrival, unconcerned: Option<Starts>) -> Result<Incoming, StoreError> {
    let alerts = match arrival.content.told() {
        Some((source, receiver, alerts)) => AlertRow::each(source, receiver, alerts, arrival.at)?,
        None => Vec::new(),
    };
    Ok(Incoming {
        scope: searchable(&arrival.content.scope()).into_owned(),
        nonce: arrival.nonce.as_deref().map(|nonce| searchable(nonce).into_owned()),
        urgent: unconcerned.is_none(),
        content: match unconcerned {
            None => Text::Sealed(value::seal("a delivery", &arrival.content)?),
            Some(_) => Text::Open(Box::new(arrival.content)),
        },
        unconcerned,
        id: arrival.id,
        at: arrival.at,
        raw: arrival.raw,
        alerts,
    })
}
