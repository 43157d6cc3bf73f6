//! An empty database of either engine, and small things to put into it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use jiff::{SignedDuration, Timestamp};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};
use tidegate::store::{Arrival, BeginFacts, Begun, Content, Opening, Saved, Storage, Store};
use tidegate_rollout::alert::Labels;
use tidegate_rollout::begin::Start;
use tidegate_rollout::command::Verb;
use tidegate_rollout::notice::About;
use tidegate_rollout::plan::source;
use tidegate_rollout::{
    Actor, Alert, AlertStatus, Command, DeliveryId, Entry, Event, Fingerprint, Notice, NoticeId, Period, PersonId,
    Plan, Refusal, Role, Rollout, Source, Step, Surface, Surroundings, step,
};
use tidegate_tests::postgres::Postgres;
use tidegate_tests::scratch::Scratch;

/// The first moment of every test.
pub(super) fn noon() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

/// So many seconds after noon.
pub(super) fn after(seconds: i64) -> Timestamp {
    noon() + SignedDuration::from_secs(seconds)
}

/// A database nobody else uses.
pub(super) struct World {
    pub(super) storage: Storage,
    place: Place,
}

enum Place {
    Sqlite(Scratch),
    Postgres { url: String, _server: Arc<Postgres> },
}

impl World {
    pub(super) fn sqlite() -> Result<Self> {
        let scratch = Scratch::new("store")?;
        Ok(Self {
            storage: Storage::directory(scratch.path().join("data")),
            place: Place::Sqlite(scratch),
        })
    }

    pub(super) async fn postgres() -> Result<Self> {
        let server = Postgres::shared().await?;
        let url = server.create_database().await?;
        Ok(Self {
            storage: Storage::postgres(url.clone().into()),
            place: Place::Postgres { url, _server: server },
        })
    }

    pub(super) async fn open(&self) -> Result<Store> {
        Ok(Store::open(&self.storage).await?)
    }

    pub(super) fn is_postgres(&self) -> bool {
        matches!(self.place, Place::Postgres { .. })
    }

    /// Where PostgreSQL has it.
    pub(super) fn url(&self) -> &str {
        match &self.place {
            Place::Postgres { url, .. } => url,
            Place::Sqlite(_) => panic!("SQLite has no URL"),
        }
    }

    /// Where SQLite has it.
    pub(super) fn file(&self) -> Result<std::path::PathBuf> {
        match &self.place {
            Place::Sqlite(scratch) => Ok(scratch.path().join("data").join(Storage::FILE)),
            Place::Postgres { .. } => bail!("PostgreSQL has no file of its own"),
        }
    }

    /// Does what Tidegate never does, behind its back.
    pub(super) async fn tamper(&self, sql: &str) -> Result<()> {
        let text = AssertSqlSafe(sql.to_owned());
        match &self.place {
            Place::Sqlite(_) => {
                let file = self.file()?;
                std::fs::create_dir_all(file.parent().context("it lies in a folder")?)?;
                let options = sqlx::sqlite::SqliteConnectOptions::new()
                    .filename(file)
                    .create_if_missing(true);
                let mut connection = options.connect().await?;
                sqlx::raw_sql(text).execute(&mut connection).await?;
                connection.close().await?;
            }
            Place::Postgres { url, .. } => {
                let mut connection = PgConnection::connect(url).await?;
                sqlx::raw_sql(text).execute(&mut connection).await?;
                connection.close().await?;
            }
        }
        Ok(())
    }

    /// How many rows a table has.
    pub(super) async fn count(&self, table: &str) -> Result<i64> {
        let text = AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
        let (rows,): (i64,) = match &self.place {
            Place::Sqlite(_) => {
                let options = sqlx::sqlite::SqliteConnectOptions::new().filename(self.file()?);
                let mut connection = options.connect().await?;
                let row = sqlx::query_as(text).fetch_one(&mut connection).await?;
                connection.close().await?;
                row
            }
            Place::Postgres { url, .. } => {
                let mut connection = PgConnection::connect(url).await?;
                let row = sqlx::query_as(text).fetch_one(&mut connection).await?;
                connection.close().await?;
                row
            }
        };
        Ok(rows)
    }

    /// Makes the database refuse every alert called `name`, so that a row of a batch is bad.
    pub(super) async fn refuse_alerts_called(&self, name: &str) -> Result<()> {
        let sql = match self.place {
            Place::Sqlite(_) => format!(
                "CREATE TRIGGER refuse BEFORE INSERT ON alerts WHEN NEW.name = '{name}'
                 BEGIN SELECT RAISE(ABORT, 'a bad row'); END"
            ),
            Place::Postgres { .. } => format!("ALTER TABLE alerts ADD CHECK (name <> '{name}')"),
        };
        self.tamper(&sql).await
    }
}

/// A plan of two phases on the flag `key`.
pub(crate) fn plan(name: &str, key: &str) -> Arc<Plan> {
    plan_with(name, key, "")
}

/// The same, that falls back on a flag `rung` where its own cannot be written.
pub(super) fn plan_falling_back(name: &str, key: &str, rung: &str) -> Arc<Plan> {
    let ladder = format!(
        "  rollback:
    ladder:
      - {{ name: own, target: {{ flag: {{ key: {key} }} }}, within: 10s }}
      - {{ name: other, target: {{ flag: {{ key: {rung} }} }}, within: 10s }}
"
    );
    plan_with(name, key, &ladder)
}

fn plan_with(name: &str, key: &str, more: &str) -> Arc<Plan> {
    let text = format!(
        "apiVersion: tidegate.dev/v1alpha1
kind: RolloutPlan
metadata: {{ name: {name} }}
spec:
  title: Checkout to production
  service: checkout
  environment: production
  target: {{ flag: {{ key: {key} }} }}
  phases:
    - {{ name: canary, weight: 10%, bake: 10m }}
    - {{ name: everybody, weight: 100%, bake: 10m }}
  watch: 1h
  triggers:
    - name: errors
      alert: {{ matchers: ['alertname=\"HighErrorRate\"'] }}
      severity: critical
  severities:
    critical: {{ action: rollback, page: true }}
  alerts: {{ receivers: [default], watchdog: none }}
  audiences:
    oncall: {{ channels: [pager], hears: pages }}
{more}"
    );
    let read = source::read(&text);
    Arc::new(read.plan.unwrap_or_else(|| panic!("{:?}", read.findings)))
}

pub(super) fn operator() -> Actor {
    Actor {
        person: PersonId::new("mara"),
        roles: BTreeSet::from([Role::Admin]),
        surface: Surface::Cli,
    }
}

/// Starts a rollout the way the runner does.
pub(super) async fn begin(
    store: &Store,
    plan: &Arc<Plan>,
    cause: Option<&DeliveryId>,
    now: Timestamp,
) -> Result<Begun> {
    begin_with(store, plan, cause, now, |facts| first_step(plan, facts, now)).await
}

/// As [`begin`], with a decision of its own.
pub(super) async fn begin_with(
    store: &Store,
    plan: &Arc<Plan>,
    cause: Option<&DeliveryId>,
    now: Timestamp,
    decide: impl FnOnce(BeginFacts) -> Result<Step, Refusal> + Send,
) -> Result<Begun> {
    let (target, also) = (plan.spec.target.name(), plan.targets());
    let opening = Opening {
        also: &also,
        plan: plan.name(),
        target: &target,
        environment: &plan.spec.environment,
        service: Some(&plan.spec.service),
        window_since: now - SignedDuration::from_hours(1),
        cause,
        now,
    };
    Ok(store.begin(opening, decide).await?)
}

pub(super) fn first_step(plan: &Arc<Plan>, facts: BeginFacts, now: Timestamp) -> Result<Step, Refusal> {
    let around = Surroundings {
        freeze: facts.environment.freeze.clone(),
        ..Surroundings::calm(now)
    };
    let start = Start {
        plan: Arc::clone(plan),
        inputs: BTreeMap::new(),
        actor: operator(),
        counter: facts.counter,
        recent: facts.recent,
        target_busy: facts.target_busy,
        target_epoch: facts.target_epoch,
    };
    Rollout::begin(start, &around, now)
}

/// Starts a rollout that nothing stands in the way of.
pub(crate) async fn started(store: &Store, plan: &Arc<Plan>, now: Timestamp) -> Result<Rollout> {
    match begin(store, plan, None, now).await? {
        Begun::Started { step, .. } => Ok(step.next),
        other => bail!("not started: {other:?}"),
    }
}

/// What a person asks of a rollout.
pub(super) fn commanded(command: Command) -> Event {
    Event::Commanded {
        actor: operator(),
        command,
        seen: None,
    }
}

pub(crate) fn rollback(reason: &str) -> Event {
    commanded(Command::Rollback {
        reason: reason.to_owned(),
    })
}

pub(super) fn note(text: &str) -> Event {
    commanded(Command::Note { text: text.to_owned() })
}

/// The step of an event in a calm world.
pub(super) fn decided(rollout: &Rollout, event: &Event, now: Timestamp) -> Step {
    step(rollout, &Surroundings::calm(now), event, now).expect("not refused")
}

/// Decides an event and saves the step.
pub(crate) async fn took(store: &Store, rollout: &Rollout, event: &Event, now: Timestamp) -> Result<Rollout> {
    let step = decided(rollout, event, now);
    let saved = store.save(&step, 0, None, now).await?;
    anyhow::ensure!(saved == Saved::Done, "{saved:?}");
    Ok(step.next)
}

pub(crate) fn alert(name: &str, fingerprint: &str, starts_at: Timestamp) -> Alert {
    let labels = [
        ("alertname", name),
        ("service", "checkout"),
        ("environment", "production"),
    ];
    Alert {
        source: Source::Alertmanager,
        receiver: "default".to_owned(),
        fingerprint: Fingerprint(fingerprint.to_owned()),
        status: AlertStatus::Firing,
        labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        annotations: Labels::new(),
        starts_at,
        ends_at: None,
        suppressed: None,
    }
}

pub(crate) fn resolved(mut alert: Alert, ends_at: Timestamp) -> Alert {
    alert.status = AlertStatus::Resolved;
    alert.ends_at = Some(ends_at);
    alert
}

/// Writes a line into the server's log, as what is announced does.
pub(crate) async fn write_down(store: &Store, line: &Entry) -> Result<()> {
    let mut notice = Notice::samples().into_iter().next().context("there are samples")?;
    notice.id = NoticeId::new(format!("server.{}", line.text));
    notice.about = About::server();
    notice.at = line.at;
    let channels = BTreeSet::from(["chat".to_owned()]);
    let new = store.announce(&notice, &channels, line, line.at).await?;
    anyhow::ensure!(new, "{} was written down before", line.text);
    Ok(())
}

/// A delivery of alerts that came at `at`.
pub(crate) fn delivery(id: &str, at: Timestamp, alerts: Vec<Alert>) -> Arrival {
    Arrival {
        id: DeliveryId::new(id),
        at,
        nonce: None,
        content: Content::Alerts {
            source: Source::Alertmanager,
            receiver: "default".to_owned(),
            alerts,
            truncated: 0,
        },
        raw: format!("{{\"id\":\"{id}\"}}").into(),
    }
}

/// Something that a person said.
pub(super) fn said(id: &str, person: &str, nonce: &str, verb: Verb) -> Arrival {
    let mut actor = operator();
    actor.person = PersonId::new(person);
    Arrival {
        id: DeliveryId::new(id),
        at: noon(),
        nonce: Some(nonce.to_owned()),
        content: Content::Said {
            actor,
            verb,
            rollout: None,
            seen: None,
            not_after: None,
        },
        raw: "{}".into(),
    }
}

/// The ids of what is not settled.
pub(super) async fn unsettled(store: &Store) -> Result<Vec<String>> {
    let (arrivals, _) = store.unsettled(0, 1_000).await?;
    Ok(arrivals.into_iter().map(|arrival| arrival.id.to_string()).collect())
}

/// How long claims last in these tests.
pub(crate) const CLAIM: Period = Period::seconds(30);

/// The rollout as the store has it.
pub(super) async fn stored(store: &Store, rollout: &Rollout) -> Result<Rollout> {
    store.rollout(&rollout.id).await?.context("it is not stored")
}
