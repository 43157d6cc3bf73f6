//! Owns the latest word on each occasion of each alert, for what a rollout cannot know by itself.
//! Refuses to judge: which alert counts for which rollout is the core's.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use jiff::Timestamp;
use tidegate_rollout::{Alert, AlertStatus, Source};

use super::Store;
use super::engine::Session;
use super::error::StoreError;
use super::sql::{Many, statements};
use super::value::{self, Value, moment, nanos, readable, searchable};

pub(super) const UPSERT: Many = Many {
    tries: "store alerts",
    head: "INSERT INTO alerts (source, receiver, fingerprint, starts_at, status, ends_at, name, service, environment, \
           document, first_heard_at, heard_at)",
    columns: 12,
    // A source that cannot be asked whether an occasion fires after all: its end stays, whatever comes late. Alertmanager
    // tells one again under its old beginning, and is asked; what it said of the end is kept beside that.
    tail: "ON CONFLICT (fingerprint, starts_at, receiver, source) DO UPDATE SET \
             status = CASE WHEN alerts.status = 'resolved' AND alerts.source <> 'alertmanager' \
               THEN alerts.status ELSE excluded.status END, \
             ends_at = COALESCE(excluded.ends_at, alerts.ends_at), \
             document = excluded.document, heard_at = excluded.heard_at",
};

/// A label set has one beginning at a time: an end is also that of every occasion which began before it, under whatever
/// beginning it was told. A reopened incident of PagerDuty fires since it was reopened, and ends under the moment when it was
/// created.
pub(super) const END_EARLIER: Many = Many {
    tries: "end earlier occasions of alerts",
    head: "UPDATE alerts SET status = 'resolved', ends_at = \
             (SELECT MAX(known.ends_at) FROM alerts AS known WHERE known.fingerprint = alerts.fingerprint \
                AND known.receiver = alerts.receiver AND known.source = alerts.source AND known.status = 'resolved') \
           FROM (",
    columns: 3,
    tail: ") AS told WHERE alerts.fingerprint = told.column1 AND alerts.receiver = told.column2 \
             AND alerts.source = told.column3 AND alerts.status = 'firing' AND alerts.starts_at <= \
             (SELECT MAX(known.ends_at) FROM alerts AS known WHERE known.fingerprint = alerts.fingerprint \
                AND known.receiver = alerts.receiver AND known.source = alerts.source AND known.status = 'resolved')",
};

statements! {
    RECENT: "list recent alerts" =
        "SELECT fingerprint, document, status, ends_at FROM alerts
         WHERE heard_at >= $1 OR status = 'firing' ORDER BY heard_at, starts_at";
    RECENT_OF_SERVICE: "list the recent alerts of a service" =
        "SELECT fingerprint, document, status, ends_at FROM alerts
         WHERE (heard_at >= $1 OR status = 'firing') AND service = $2 AND environment = $3 ORDER BY heard_at, starts_at";
    SERVICES: "list the services of an alert" =
        "SELECT DISTINCT service, starts_at FROM alerts
         WHERE name = $1 AND environment = $2 AND starts_at >= $3 AND starts_at <= $4 AND status = 'firing'
           AND service <> ''";
    FIRING: "list firing alerts" =
        "SELECT fingerprint, receiver, document, first_heard_at, heard_at FROM alerts
         WHERE status = 'firing' ORDER BY number DESC LIMIT $1";
    FIRING_AT: "list what fires at the Alertmanagers" =
        "SELECT fingerprint, receiver, document FROM alerts
         WHERE status = 'firing' AND source = 'alertmanager' AND name <> 'Watchdog'";
    WATCHDOG: "find the last word of the Watchdog" =
        "SELECT MAX(heard_at) FROM alerts
         WHERE name = 'Watchdog' AND status = 'firing' AND source = 'alertmanager' AND receiver = $1";
}

/// An alert as the store heard of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// What its source last said.
    pub alert: Alert,
    /// The receiver it came to.
    pub receiver: String,
    /// When this occasion was first heard of.
    pub first_heard_at: Timestamp,
    /// When it was last heard of.
    pub heard_at: Timestamp,
}

impl Store {
    /// Alerts heard of since `heard_since`, and all that still fire by the last word on them; the latest word last.
    /// An alert that fires for hours is told of seldom, so the time of the last word alone would hide it.
    ///
    /// # Errors
    /// When the database does not answer. A row that cannot be read is told in the log and left out.
    pub async fn recent_alerts(&self, heard_since: Timestamp) -> Result<Vec<Alert>, StoreError> {
        let rows = self.engine().rows(&RECENT, &[heard_since.into()]).await?;
        Ok(read(rows))
    }

    /// As [`Store::recent_alerts`], of one service in one environment alone, in this order: in a storm the others are hundreds of
    /// thousands.
    ///
    /// # Errors
    /// When the database does not answer. A row that cannot be read is told in the log and left out.
    pub async fn recent_alerts_of(&self, own: (&str, &str), heard_since: Timestamp) -> Result<Vec<Alert>, StoreError> {
        let rows = self
            .engine()
            .rows(&RECENT_OF_SERVICE, &of_service(own, heard_since))
            .await?;
        Ok(read(rows))
    }

    /// On which services of `environment` an alert called `name` fires, and when it began there, so far as that is within
    /// `began`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn services_with_alert(
        &self,
        name: &str,
        environment: &str,
        began: RangeInclusive<Timestamp>,
    ) -> Result<Vec<(String, Timestamp)>, StoreError> {
        let values = [
            searchable(name).into_owned().into(),
            searchable(environment).into_owned().into(),
            (*began.start()).into(),
            (*began.end()).into(),
        ];
        let rows: Vec<(String, i64)> = self.engine().rows(&SERVICES, &values).await?;
        Ok(rows
            .into_iter()
            .map(|(service, began)| (service, moment(began)))
            .collect())
    }

    /// What fires by the last word on it, the newest occasion first.
    ///
    /// # Errors
    /// When the database does not answer. A row that cannot be read is told in the log and left out.
    pub async fn firing_alerts(&self, limit: u32) -> Result<Vec<Heard>, StoreError> {
        type Row = (String, String, String, i64, i64);
        let rows: Vec<Row> = self.engine().rows(&FIRING, &[limit.into()]).await?;
        Ok(readable(
            rows,
            |(fingerprint, receiver, document, first_heard_at, heard_at)| {
                Ok(Heard {
                    alert: value::open("alerts", &fingerprint, "document", &document)?,
                    receiver,
                    first_heard_at: moment(first_heard_at),
                    heard_at: moment(heard_at),
                })
            },
        ))
    }

    /// Everything that Alertmanagers told to fire and not to have ended: what a poll is compared with. Each alert names
    /// its receiver, also where its document does not.
    ///
    /// # Errors
    /// When the database does not answer, or a row cannot be read.
    pub async fn firing_at_alertmanagers(&self) -> Result<Vec<Alert>, StoreError> {
        let rows: Vec<(String, String, String)> = self.engine().rows(&FIRING_AT, &[]).await?;
        rows.into_iter()
            .map(|(fingerprint, receiver, document)| {
                let alert: Alert = value::open("alerts", &fingerprint, "document", &document)?;
                Ok(Alert { receiver, ..alert })
            })
            .collect()
    }

    /// When the Watchdog of an Alertmanager receiver was last heard, by webhook or in a poll.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn watchdog_seen(&self, receiver: &str) -> Result<Option<Timestamp>, StoreError> {
        let values = [searchable(receiver).into_owned().into()];
        let row: Option<(Option<i64>,)> = self.engine().row(&WATCHDOG, &values).await?;
        Ok(row.and_then(|(heard_at,)| heard_at).map(moment))
    }
}

/// As [`Store::recent_alerts`], inside the transaction of a start; only those of a service in an environment, if one is
/// named.
pub(super) async fn recent(
    session: &mut Session,
    heard_since: Timestamp,
    only: Option<(&str, &str)>,
) -> Result<Vec<Alert>, StoreError> {
    let rows = match only {
        None => session.rows(&RECENT, &[heard_since.into()]).await?,
        Some(own) => session.rows(&RECENT_OF_SERVICE, &of_service(own, heard_since)).await?,
    };
    Ok(read(rows))
}

/// The arguments of [`RECENT_OF_SERVICE`].
fn of_service((service, environment): (&str, &str), heard_since: Timestamp) -> [Value<'static>; 3] {
    let label = |label: &str| searchable(label).into_owned().into();
    [heard_since.into(), label(service), label(environment)]
}

type Row = (String, String, String, Option<i64>);

/// The columns outweigh the document, which is the last word alone: an end may have been told by another.
fn read(rows: Vec<Row>) -> Vec<Alert> {
    readable(rows, |(fingerprint, document, status, ends_at)| {
        let mut alert: Alert = value::open("alerts", &fingerprint, "document", &document)?;
        if status == RESOLVED {
            alert.status = AlertStatus::Resolved;
        }
        if alert.ends_at.map(nanos) != ends_at {
            alert.ends_at = ends_at.map(moment);
        }
        Ok(alert)
    })
}

const RESOLVED: &str = "resolved";

/// Writes what was told, in its order. The last word on each occasion wins, except that a source which cannot be asked
/// never takes an end back. Sorted by occasion, so that two replicas lock the rows in the same order.
pub(super) async fn write(session: &mut Session, told: impl Iterator<Item = &AlertRow>) -> Result<(), StoreError> {
    let mut words: BTreeMap<_, (&AlertRow, Option<i64>)> = BTreeMap::new();
    for row in told {
        let word = words.entry(row.occasion()).or_insert((row, None));
        if word.0.status != RESOLVED || row.status == RESOLVED || row.source == Source::Alertmanager {
            word.0 = row;
        }
        word.1 = row.ends_at.or(word.1);
    }
    let values: Vec<Value<'_>> = words.values().flat_map(|(row, end)| row.values(*end)).collect();
    session.execute_many(&UPSERT, &values).await?;
    // What Alertmanager tells to fire is left to its next answer, unless it tells of an end with it.
    let mut ends: Vec<_> = words
        .values()
        .filter(|(row, _)| row.status == RESOLVED || row.source != Source::Alertmanager)
        .map(|(row, _)| (&row.fingerprint, &row.receiver, row.source))
        .collect();
    ends.dedup();
    let values: Vec<Value<'_>> = ends
        .into_iter()
        .flat_map(|(fingerprint, receiver, source)| {
            [Value::from(fingerprint), Value::from(receiver), source.word().into()]
        })
        .collect();
    session.execute_many(&END_EARLIER, &values).await
}

/// One word on one alert, ready to be written.
pub(super) struct AlertRow {
    source: Source,
    receiver: String,
    fingerprint: String,
    starts_at: i64,
    status: &'static str,
    ends_at: Option<i64>,
    name: String,
    service: String,
    environment: String,
    document: String,
    heard_at: Timestamp,
}

impl AlertRow {
    /// The rows of a delivery.
    pub(super) fn each(
        source: Source,
        receiver: &str,
        alerts: &[Alert],
        heard_at: Timestamp,
    ) -> Result<Vec<Self>, StoreError> {
        let row = |alert: &Alert| {
            let label = |name| searchable(alert.label(name).unwrap_or_default()).into_owned();
            Ok(Self {
                source,
                receiver: searchable(receiver).into_owned(),
                fingerprint: searchable(&alert.fingerprint.0).into_owned(),
                starts_at: nanos(alert.starts_at),
                status: match alert.status {
                    AlertStatus::Firing => "firing",
                    AlertStatus::Resolved => RESOLVED,
                },
                ends_at: alert.ends_at.map(nanos),
                name: searchable(alert.name()).into_owned(),
                service: label("service"),
                environment: label("environment"),
                document: value::seal("an alert", alert)?,
                heard_at,
            })
        };
        alerts.iter().map(row).collect()
    }

    /// What tells it from other rows; ordered as the table's index is.
    fn occasion(&self) -> (&str, i64, &str, Source) {
        (&self.fingerprint, self.starts_at, &self.receiver, self.source)
    }

    /// Its columns, in the order of [`UPSERT`], with the latest end that was told of it.
    fn values(&self, ends_at: Option<i64>) -> [Value<'_>; UPSERT.columns] {
        [
            self.source.word().into(),
            Value::from(&self.receiver),
            Value::from(&self.fingerprint),
            self.starts_at.into(),
            self.status.into(),
            ends_at.into(),
            Value::from(&self.name),
            Value::from(&self.service),
            Value::from(&self.environment),
            Value::from(&self.document),
            self.heard_at.into(),
            self.heard_at.into(),
        ]
    }
}
