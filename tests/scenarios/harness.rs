//! The harness proves itself: real programs start, talk to one another and are gone afterwards. No Tidegate here.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use tidegate_tests::alertmanager::{Alertmanager, Proof, Settings};
use tidegate_tests::exporter::{Exporter, Version};
use tidegate_tests::openfeature::{Evaluation, evaluate};
use tidegate_tests::ports::Port;
use tidegate_tests::postgres::Postgres;
use tidegate_tests::process::{Launch, installed};
use tidegate_tests::prometheus::{self, Prometheus, Rule};
use tidegate_tests::scratch::Scratch;
use tidegate_tests::serve::Served;
use tidegate_tests::sink::Sink;
use tidegate_tests::{built, paths, wait};
use tokio::net::TcpListener;

/// Longer than anything here takes on a busy machine; nothing waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(30);

const ERRORS: &str = r#"sum by (service, version) (rate(requests_total{code="500"}[3s]))
    / sum by (service, version) (rate(requests_total[3s])) > 0.1"#;

#[tokio::test]
async fn a_fault_becomes_a_webhook_and_its_end_another() -> Result<()> {
    let (sink, exporter) = (Sink::start().await?, Exporter::start("checkout").await?);
    let token = "a-token-of-the-receiver";
    let settings = Settings {
        proof: Proof::Bearer(token.to_owned()),
        ..Settings::to(sink.url("/webhook"))
    };
    let alertmanager = Alertmanager::start(&settings).await?;
    let prometheus = Prometheus::start(&prometheus::Settings {
        targets: vec![exporter.address()],
        alertmanagers: vec![alertmanager.address()],
        rules: vec![
            Rule::new("HighErrorRate", ERRORS).label("severity", "critical"),
            Rule::watchdog(),
        ],
    })
    .await?;
    sink.delivery("the watchdog arrives", PATIENCE, |body| {
        body["groupLabels"]["alertname"] == "Watchdog"
    })
    .await?;
    wait::until("both versions are counted", PATIENCE, async || {
        let rates = prometheus.query("rate(requests_total{code=\"200\"}[3s]) > 0").await?;
        ensure!(rates.len() == 2, "{rates:?}");
        Ok(())
    })
    .await?;

    exporter.fail(Version::New, 0.5);
    let firing = sink
        .delivery("the error rate fires", PATIENCE, |body| {
            body["groupLabels"]["alertname"] == "HighErrorRate"
        })
        .await?;
    assert_eq!(firing.headers["authorization"], format!("Bearer {token}"));
    let body = firing.json()?;
    assert_eq!(
        body["alerts"].as_array().map(Vec::len),
        Some(1),
        "only the new version fails: {body}"
    );
    assert_eq!(body["alerts"][0]["status"], "firing");
    assert_eq!(body["alerts"][0]["labels"]["version"], "v2");

    exporter.fail(Version::New, 0.0);
    let over =
        |body: &serde_json::Value| body["groupLabels"]["alertname"] == "HighErrorRate" && body["status"] == "resolved";
    let resolved = sink.delivery("the error rate resolves", PATIENCE, over).await?.json()?;
    assert_eq!(resolved["alerts"][0]["fingerprint"], body["alerts"][0]["fingerprint"]);
    Ok(())
}

#[tokio::test]
async fn a_pair_knows_each_other_and_delivers_with_basic_authentication() -> Result<()> {
    let sink = Sink::start().await?;
    let proof = Proof::Basic {
        user: "alertmanager".to_owned(),
        password: "päss".to_owned(),
    };
    let group_by = vec!["...".to_owned()];
    let settings = Settings {
        proof,
        group_by,
        ..Settings::to(sink.url("/webhook?pair=1"))
    };
    let [first, second] = Alertmanager::start_pair(&settings).await?;
    let alert = json!({ "labels": { "alertname": "Posted", "service": "checkout" } });
    for one in [&first, &second] {
        one.post(std::slice::from_ref(&alert)).await?;
    }

    let delivery = sink
        .delivery("the alert arrives", PATIENCE, |body| body["status"] == "firing")
        .await?;
    assert_eq!(delivery.uri, "/webhook?pair=1");
    assert_eq!(
        delivery.headers["authorization"],
        format!("Basic {}", BASE64.encode("alertmanager:päss"))
    );
    assert_eq!(
        delivery.json()?["groupKey"],
        r#"{}:{alertname="Posted", service="checkout"}"#
    );
    for one in [&first, &second] {
        assert_eq!(one.alerts().await?[0]["status"]["state"], "active");
    }
    Ok(())
}

#[tokio::test]
async fn a_refused_delivery_comes_again_and_a_silenced_alert_says_so() -> Result<()> {
    let sink = Sink::start().await?;
    sink.answer_with(StatusCode::SERVICE_UNAVAILABLE);
    let alertmanager = Alertmanager::start(&Settings::to(sink.url("/webhook"))).await?;
    alertmanager
        .post(&[json!({ "labels": { "alertname": "Refused" } })])
        .await?;
    wait::until("it is tried twice", PATIENCE, async || {
        let tries = sink.deliveries().len();
        ensure!(tries >= 2, "{tries} tries");
        Ok(())
    })
    .await?;

    let id = alertmanager
        .silence("alertname", "Refused", "2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z")
        .await?;
    wait::until("the alert is silenced", PATIENCE, async || {
        let alerts = alertmanager.alerts().await?;
        ensure!(alerts[0]["status"]["silencedBy"] == json!([id]), "{alerts:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_exporter_in_the_dark_is_no_data() -> Result<()> {
    let exporter = Exporter::start("checkout").await?;
    let targets = vec![exporter.address()];
    let mut prometheus = Prometheus::start(&prometheus::Settings {
        targets,
        ..Default::default()
    })
    .await?;
    let sees = async |up: f64| {
        wait::until("the scrape is seen", PATIENCE, async || {
            let seen = prometheus.query("up").await?;
            ensure!(
                seen.iter().map(|(_, value)| *value).collect::<Vec<_>>() == [up],
                "{seen:?}"
            );
            Ok(())
        })
        .await
    };
    sees(1.0).await?;
    exporter.go_dark(true);
    sees(0.0).await?;
    prometheus.kill()?;
    assert!(prometheus.alerts().await.is_err(), "a killed program answers nothing");
    Ok(())
}

#[tokio::test]
async fn a_database_is_empty_and_ones_own_and_survives_an_outage() -> Result<()> {
    let mut server = Postgres::start().await?;
    let (one, other) = (server.create_database().await?, server.create_database().await?);
    let mut connection = PgConnection::connect(&one).await?;
    sqlx::raw_sql("CREATE TABLE mine (x bigint); INSERT INTO mine VALUES (42)")
        .execute(&mut connection)
        .await?;
    let tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'";
    let mut elsewhere = PgConnection::connect(&other).await?;
    assert_eq!(sqlx::query_scalar::<_, i64>(tables).fetch_one(&mut elsewhere).await?, 0);

    server.stop().await?;
    assert!(
        sqlx::query("SELECT 1").execute(&mut connection).await.is_err(),
        "the connection outlived the server"
    );
    server.start_again().await?;
    let mut connection = PgConnection::connect(&one).await?;
    assert_eq!(
        sqlx::query_scalar::<_, i64>("SELECT x FROM mine")
            .fetch_one(&mut connection)
            .await?,
        42
    );
    Ok(())
}

#[tokio::test]
async fn the_shared_server_is_one() -> Result<()> {
    let (one, other) = tokio::try_join!(Postgres::shared(), Postgres::shared())?;
    let (mine, yours) = (one.create_database().await?, other.create_database().await?);
    assert_eq!(
        mine.rsplit_once('/').map(|(server, _)| server),
        yours.rsplit_once('/').map(|(server, _)| server)
    );
    assert_ne!(mine, yours);
    Ok(())
}

#[tokio::test]
async fn the_openfeature_sdk_reads_what_ofrep_says() -> Result<()> {
    let (found, missing) = (
        paths::fixture("ofrep/evaluate-ok.json")?,
        paths::fixture("ofrep/evaluate-404.json")?,
    );
    let flags = Router::new()
        .route("/ofrep/v1/evaluate/flags/new-checkout", post(async move || found))
        .route(
            "/ofrep/v1/evaluate/flags/nope",
            post(async move || (StatusCode::NOT_FOUND, missing)),
        );
    let served = Served::start(flags).await?;
    let known = evaluate(&served.url(""), "a-token", "new-checkout", &["user-1", "user-2"]).await?;
    let on = Evaluation {
        value: true,
        reason: Some("TARGETING_MATCH".to_owned()),
        variant: Some("on".to_owned()),
        error: None,
    };
    assert_eq!(known, [on.clone(), on]);
    let unknown = evaluate(&served.url(""), "", "nope", &["user-1"]).await?;
    assert!(!unknown[0].value, "the default is off");
    assert_eq!(
        unknown[0].error.as_deref(),
        Some("FLAG_NOT_FOUND: Flag 'nope' was not found")
    );
    Ok(())
}

#[tokio::test]
async fn a_stopped_program_takes_its_children_along() -> Result<()> {
    let scratch = Scratch::new("children")?;
    let program = Launch::new(installed("sh", "dash")?)
        .args(["-c", "sleep 3600 & echo child $!; wait"])
        .start("parent", &scratch)?;
    let child = wait::until("the child is named", PATIENCE, async || {
        let log = program.log()?;
        let child = log.strip_prefix("child ").and_then(|child| child.strip_suffix('\n'));
        child.map(str::to_owned).ok_or_else(|| anyhow!("{log:?}"))
    })
    .await?;
    let [parent, child] = [program.id().to_string(), child].map(|id| Path::new("/proc").join(id).join("cmdline"));
    wait::until("both run", PATIENCE, async || {
        ensure!(runs(&parent) && runs(&child), "one of them does not");
        Ok(())
    })
    .await?;
    drop(program);
    assert!(!runs(&parent), "the parent is collected when the value is gone");
    wait::until("the child is gone", PATIENCE, async || {
        ensure!(!runs(&child), "it runs");
        Ok(())
    })
    .await
}

/// A process that is dead but not yet collected has no command line, nor has one in the moment of its exec.
fn runs(command_line: &Path) -> bool {
    std::fs::read(command_line).is_ok_and(|words| !words.is_empty())
}

#[tokio::test]
async fn a_program_that_exits_is_not_waited_for() -> Result<()> {
    let scratch = Scratch::new("exits")?;
    let launch = Launch::new(installed("sh", "dash")?).args(["-c", "echo 'no such file' >&2; exit 7"]);
    let mut program = launch.start("broken", &scratch)?;
    let started = std::time::Instant::now();
    let error = program
        .ready(PATIENCE, async || Err(anyhow!("not yet")))
        .await
        .expect_err("it exited");
    let said = format!("{error:#}");
    assert!(
        said.contains("exit status: 7") && said.contains("no such file"),
        "{said}"
    );
    assert!(started.elapsed() < PATIENCE, "it was waited for to the end");
    Ok(())
}

#[tokio::test]
async fn a_deadline_that_passes_says_what_was_seen_last() {
    let short = Duration::from_millis(100);
    let mut looks = 0;
    let error = wait::until("the tide turns", short, async || {
        looks += 1;
        Err::<(), _>(anyhow!("look {looks}: still coming in"))
    })
    .await
    .expect_err("it never turns");
    let said = format!("{error:#}");
    assert!(said.contains("not within 100ms: the tide turns"), "{said}");
    assert!(
        looks > 1 && said.contains(&format!("look {looks}: still coming in")),
        "{looks} looks, {said}"
    );
}

#[test]
fn a_program_older_than_its_sources_is_refused() -> Result<()> {
    let scratch = Scratch::new("built")?;
    let refused = || {
        let refusal = built::fresh(scratch.path(), "make it").expect_err("it must not be handed out");
        format!("{refusal:#}")
    };
    assert!(refused().contains("it is not built: run `make it`"), "{}", refused());

    let source = scratch.write("a source.rs", "")?;
    let program = scratch.write("tidegate", "")?;
    let list = format!(
        "{}: {}\n",
        program.display(),
        source.display().to_string().replace(' ', "\\ ")
    );
    scratch.write("tidegate.d", list)?;
    assert_eq!(built::fresh(scratch.path(), "make it")?, program);

    let later = program.metadata()?.modified()? + Duration::from_secs(1);
    std::fs::File::options()
        .write(true)
        .open(&source)?
        .set_modified(later)?;
    assert!(refused().contains("a source.rs is newer than"), "{}", refused());
    std::fs::remove_file(&source)?;
    assert!(refused().contains("out of date: run `make it`"), "{}", refused());
    Ok(())
}

#[tokio::test]
async fn a_reserved_port_is_for_its_program_alone() -> Result<()> {
    let ports: Vec<Port> = (0..50).map(|_| Port::reserve()).collect::<Result<_>>()?;
    let mut numbers: Vec<u16> = ports.iter().map(Port::number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 50, "a port was handed out twice");
    for _ in 0..2 {
        // A program and, after its crash, its successor.
        drop(TcpListener::bind(ports[0].address()).await?);
    }
    Ok(())
}
