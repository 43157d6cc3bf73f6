//! The yardsticks: servers that do less, or do it naively, for the same bodies. Each is this program, started again.

use std::net::Ipv4Addr;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use axum::Router;
use axum::extract::State;
use axum::routing::post;
use bytes::Bytes;
use reqwest::StatusCode;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tidegate_rollout::{Alert, Source};
use tidegate_tests::http;
use tidegate_tests::ports::Port;
use tidegate_tests::process::{Launch, Program};
use tidegate_tests::scratch::Scratch;

/// What a yardstick does with a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Decodes it to alerts and forgets them.
    Parse,
    /// Decodes it and writes every alert in one transaction for the request, durably.
    Transaction,
}

/// A running yardstick.
pub(crate) struct Yardstick {
    /// Where it takes groups.
    pub(crate) url: String,
    program: Program,
    _scratch: Scratch,
}

impl Yardstick {
    /// Starts this program again as a server.
    pub(crate) async fn start(work: Work) -> Result<Self> {
        let (scratch, port) = (Scratch::new("yardstick")?, Port::reserve()?);
        let myself = std::env::current_exe().context("could not find this program")?;
        let launch = Launch::new(myself)
            .arg("--yardstick")
            .arg(format!("{work:?}"))
            .arg(port.address().port().to_string())
            .arg(scratch.path());
        let mut program = launch.start("yardstick", &scratch)?;
        let (client, url) = (http::client()?, port.url());
        program
            .ready(std::time::Duration::from_secs(10), async || {
                http::answers(&client, &url).await
            })
            .await?;
        Ok(Self {
            url: format!("{url}/groups"),
            program,
            _scratch: scratch,
        })
    }

    pub(crate) fn process(&self) -> u32 {
        self.program.id()
    }
}

/// Serves as a yardstick until killed: what to do, the port, a folder.
pub(crate) async fn serve(arguments: &[String]) -> Result<()> {
    let [work, port, folder] = arguments else {
        bail!("a yardstick needs what to do, a port and a folder")
    };
    let router = match work.as_str() {
        "Parse" => Router::new().route("/groups", post(parse)),
        "Transaction" => Router::new()
            .route("/groups", post(transaction))
            .with_state(Arc::new(database(folder).await?)),
        other => bail!("there is no yardstick {other}"),
    };
    let router = router.route("/", axum::routing::get(async || "ready"));
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port.parse()?)).await?;
    axum::serve(listener, router).await.context("could not serve")
}

async fn parse(body: Bytes) -> StatusCode {
    match decode(&body) {
        Some(alerts) if !alerts.is_empty() => StatusCode::OK,
        _ => StatusCode::BAD_REQUEST,
    }
}

async fn transaction(State(pool): State<Arc<SqlitePool>>, body: Bytes) -> StatusCode {
    let Some(alerts) = decode(&body) else {
        return StatusCode::BAD_REQUEST;
    };
    match write(&pool, &alerts).await {
        Ok(()) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// The same wire shape, read the obvious way.
fn decode(body: &[u8]) -> Option<Vec<Alert>> {
    #[derive(serde::Deserialize)]
    struct Group {
        alerts: Vec<One>,
    }
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct One {
        labels: std::collections::BTreeMap<String, String>,
        annotations: std::collections::BTreeMap<String, String>,
        starts_at: jiff::Timestamp,
        fingerprint: String,
    }
    let group: Group = serde_json::from_slice(body).ok()?;
    let alert = |one: One| Alert {
        source: Source::Alertmanager,
        receiver: "default".to_owned(),
        fingerprint: tidegate_rollout::Fingerprint(one.fingerprint),
        status: tidegate_rollout::AlertStatus::Firing,
        labels: one.labels,
        annotations: one.annotations,
        starts_at: one.starts_at,
        ends_at: None,
        suppressed: None,
    };
    Some(group.alerts.into_iter().map(alert).collect())
}

async fn database(folder: &str) -> Result<SqlitePool> {
    let options = SqliteConnectOptions::from_str(&format!("sqlite://{folder}/naive.db"))?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(std::time::Duration::from_secs(30));
    let pool = SqlitePoolOptions::new()
        .max_connections(10)
        .connect_with(options)
        .await?;
    sqlx::query(
        "CREATE TABLE alerts (fingerprint TEXT, starts_at INTEGER, document TEXT, UNIQUE (fingerprint, starts_at))",
    )
    .execute(&pool)
    .await?;
    Ok(pool)
}

async fn write(pool: &SqlitePool, alerts: &[Alert]) -> Result<()> {
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    for alert in alerts {
        sqlx::query("INSERT INTO alerts VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
            .bind(&alert.fingerprint.0)
            .bind(alert.starts_at.as_microsecond())
            .bind(serde_json::to_string(alert)?)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(())
}
