//! What is our own: all well, the configuration, the storage, the server itself, and how the process ends.

use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tidegate_tests::process::Launch;
use tidegate_tests::scratch::Scratch;
use tidegate_tests::tidegate::Setup;

use super::house::{House, run};

#[tokio::test]
async fn where_all_is_well_every_check_says_so_and_nothing_is_changed() -> Result<()> {
    let house = House::new().await?;
    let before = house.slack.messages().len();
    let said = house.look().await?;
    assert_eq!((said.exit, said.bad()), (0, Vec::new()));
    let checks = said.answer["result"]["checks"].as_array().context("checks")?;
    let mut names: Vec<&str> = checks.iter().filter_map(|finding| finding["check"].as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "alertmanager",
            "channel",
            "clock",
            "configuration",
            "egress",
            "prometheus",
            "server",
            "slack",
            "storage",
            "target",
        ]
    );
    assert_eq!(house.slack.messages().len(), before);
    assert_eq!(house.slack.calls("chat.postMessage"), 0);
    let sent: Vec<_> = house
        .pager
        .deliveries()
        .iter()
        .map(|it| (it.method.to_string(), it.uri.to_string()))
        .collect();
    assert_eq!(
        sent,
        [("HEAD".to_owned(), "/".to_owned())],
        "the address of the channel itself is left alone"
    );
    let reviews = |(_, path): &(_, String)| path.ends_with("/selfsubjectaccessreviews");
    assert!(
        house.cluster.calls()?.iter().all(reviews),
        "{:?}",
        house.cluster.calls()?
    );

    // For people: a line for each, who made which setting, and the same end.
    let file = house.file(|_| {})?.display().to_string();
    let output = run(&["doctor", "-v", "--config.file", &file]).await?;
    let text = String::from_utf8(output.stdout)?;
    ensure!(
        output.status.success() && text.contains("\n0 failed, 0 warned"),
        "{text}"
    );
    ensure!(
        text.contains("ok    target         deployment/finance/finance-service-v2: all 6 rights"),
        "{text}"
    );
    ensure!(
        text.contains(&format!("  {file}:1\n")) && !text.contains("watchdog_fresh"),
        "{text}"
    );
    // Some of it.
    let output = run(&[
        "doctor",
        "-o",
        "json",
        "--only",
        "clock,storage",
        "--config.file",
        &file,
    ])
    .await?;
    let answer: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(answer["result"]["checks"][0]["check"], "storage");
    assert_eq!(answer["result"]["checks"][1]["code"], "clock.alone", "{answer}");
    Ok(())
}

#[tokio::test]
async fn a_configuration_that_cannot_be_used_ends_with_3_and_one_that_warns_with_10_where_that_is_wanted() -> Result<()>
{
    let scratch = Scratch::new("doctor")?;
    let file = scratch
        .write("tidegate.yml", "web:\n  listen_adress: :1\n")?
        .display()
        .to_string();
    let output = run(&["-o", "json", "doctor", "--config.file", &file]).await?;
    assert_eq!(output.status.code(), Some(3));
    let answer: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(answer["faults"][0]["origin"], json!(format!("{file}:2")), "{answer}");

    let settings =
        json!({ "web": { "listen_address": "127.0.0.1:1" }, "storage": { "path": scratch.path().join("data") } });
    let file = scratch
        .write("tidegate.yml", settings.to_string())?
        .display()
        .to_string();
    let lenient = run(&["doctor", "--only", "server", "--config.file", &file]).await?;
    assert_eq!(lenient.status.code(), Some(0));
    let strict = run(&["doctor", "--only", "server", "--strict", "--config.file", &file]).await?;
    assert_eq!(strict.status.code(), Some(10));
    let text = String::from_utf8(strict.stdout)?;
    assert_eq!(
        text,
        "warn  server  nobody answers at http://127.0.0.1:1\n      fix:    Start it: `tidegate serve --config.file …`.\n\
         0 failed, 1 warned\n"
    );
    ensure!(!String::from_utf8(lenient.stdout)?.contains("no configuration file"));
    let nowhere = run(&["doctor", "--only", "clock"]).await?;
    let said = String::from_utf8(nowhere.stdout)?;
    ensure!(
        said.starts_with("warn  configuration  no configuration file was named") && said.contains("--config.file="),
        "{said}"
    );
    let fresh = run(&["doctor", "-o", "json", "--only", "storage", "--config.file", &file]).await?;
    assert_eq!(fresh.status.code(), Some(0));
    ensure!(!scratch.path().join("data").exists(), "it made the storage");
    let unknown = run(&["doctor", "--only", "weather", "--config.file", &file]).await?;
    assert_eq!(unknown.status.code(), Some(2));
    Ok(())
}

#[tokio::test]
async fn each_fault_of_our_own_is_one_finding() -> Result<()> {
    let mut house = House::new().await?;
    let plans = house.tidegate.scratch().path().join("plans");
    let plan = std::fs::read_to_string(plans.join("finance.yaml"))?;
    let elsewhere = plan.replace("\"receivers\":[\"default\"]", "\"receivers\":[\"second\"]");
    ensure!(elsewhere != plan, "{plan}");
    std::fs::write(plans.join("finance.yaml"), elsewhere)?;
    let said = house.look().await?;
    said.finds(
        "fail",
        "configuration.misfit",
        "receiver `second`",
        "tidegate plan lint",
    );
    std::fs::write(plans.join("finance.yaml"), plan)?;
    let said = house
        .look_at(|settings| settings["people"][0]["id"] = "li".into())
        .await?;
    said.finds(
        "warn",
        "configuration.warning",
        "`ana` as oncall",
        "so that both name the same",
    );

    let scratch = Scratch::new("storage")?;
    let file = scratch.write("a-file", "")?;
    let said = house
        .look_at(|settings| settings["storage"]["path"] = json!(file))
        .await?;
    said.finds(
        "fail",
        "storage.no-directory",
        "a-file is no directory",
        "another `storage.path`",
    );
    let token = house.tidegate.token_file();
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o644))?;
    house
        .look()
        .await?
        .finds("warn", "storage.shared-token", "others on this machine", "chmod 600");
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600))?;

    let external = |url: String| move |settings: &mut Value| settings["web"]["external_url"] = url.into();
    house.look_at(external(house.tidegate.url(""))).await?.finds_nothing();
    let said = house.look_at(external(house.pager.url("/gate"))).await?;
    said.finds(
        "warn",
        "server.unreachable",
        "something else answers there",
        "without redirects",
    );
    house.tidegate.stop().await?;
    house
        .look()
        .await?
        .finds("warn", "server.down", "nobody answers at", "tidegate serve");
    Ok(())
}

#[tokio::test]
async fn storage_that_a_start_would_refuse_is_told_before() -> Result<()> {
    let mut server = Setup::new()?.start().await?;
    server.stop().await?;
    let folder = server.scratch().path().to_owned();
    let file = folder.join("tidegate.yml").display().to_string();
    let look = ["doctor", "-o", "json", "--only", "storage", "--config.file", &file];
    let said = async || -> Result<Value> {
        let output = run(&look).await?;
        let answer: Value = serde_json::from_slice(&output.stdout)?;
        Ok(answer["result"]["checks"][0].clone())
    };
    let well = said().await?;
    ensure!(
        well["says"]
            .as_str()
            .is_some_and(|says| says.contains("WAL, synchronous FULL at every start, tables up to date")),
        "{well}"
    );

    // Who may read everything and write nothing.
    let program = tidegate_tests::built::Build::Shipped.program()?;
    for path in [folder.clone(), folder.join("plans")] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
    }
    let data = folder.join("data");
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o555))?;
    let user = rustix::process::geteuid().is_root().then(|| "daemon".to_owned());
    let program = match user {
        // The build may lie where nobody else can look.
        Some(_) => {
            let copy = folder.join("tidegate");
            std::fs::copy(&program, &copy)?;
            copy
        }
        None => program,
    };
    let output = Launch::new(program).args(look).as_user(user).run();
    let printed = output.err().context("it found nothing")?.to_string();
    ensure!(
        printed.contains("storage.not-writable") && printed.contains("chown -R tidegate"),
        "{printed}"
    );
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755))?;

    // A newer program was here.
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(data.join("tidegate.db"));
    let mut database = sqlx::ConnectOptions::connect(&options).await?;
    let newer = "INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time) \
                 VALUES (999, 'later', '2027-01-01', TRUE, x'00', 0)";
    sqlx::query(newer).execute(&mut database).await?;
    sqlx::Connection::close(database).await?;
    let newer = said().await?;
    assert_eq!(newer["code"], "storage.newer", "{newer}");
    Ok(())
}

#[tokio::test]
async fn a_sender_with_a_wrong_secret_is_named_with_what_it_needs() -> Result<()> {
    let house = House::new().await?;
    let client = tidegate_tests::http::client()?;
    for path in ["/webhooks/alertmanager", "/webhooks/alertmanager/an-invented-name"] {
        for _ in 0..2 {
            let knock = client
                .post(house.tidegate.url(path))
                .bearer_auth("an old secret")
                .json(&json!({}));
            ensure!(!knock.send().await?.status().is_success());
        }
    }
    let said = house.look().await?;
    said.finds(
        "warn",
        "server.refused",
        "receiver default of alertmanager: 2 requests were refused since ",
        "`receivers.alertmanager.default`",
    );
    let says = said.bad()[0]["says"].to_string();
    ensure!(
        says.contains("with 401: the credentials are not those of this receiver"),
        "{says}"
    );
    ensure!(!said.answer.to_string().contains("invented"), "a stranger chose a name");
    // The page warns beside the table; it neither rings nor changes its face.
    let (_, health) = house.tidegate.get("/health").await?;
    ensure!(
        health["status"] == "ok" && health["detail"]["turned_away"][0]["count"] == 2,
        "{health}"
    );
    let page = client.get(house.tidegate.url("/")).bearer_auth(house.tidegate.token()?);
    let page = page.header("accept", "text/html").send().await?.text().await?;
    ensure!(page.contains("2 requests were refused since"), "{page}");
    Ok(())
}
