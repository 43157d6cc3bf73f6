//! The command line against a real server: what it must never do by mistake, and what it goes on with when the server is gone for
//! a while.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tidegate::store::Storage;
use tidegate_tests::built::Build;
use tidegate_tests::tidegate::Tidegate;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

use crate::crash::client::{Alert, Client};
use crate::crash::{PLAN, setup};

/// Longer than any of this takes on a busy machine; nothing waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server with a rollout that carries traffic: `sluice-1`.
async fn server() -> Result<Tidegate> {
    let server = setup()?.start().await?;
    let client = Client::of(&server)?;
    client.fire(&[Alert::watchdog()]).await?;
    said(&server, &["rollout", "start", PLAN], 0).await?;
    client.serves("sluice-1", 10.0, PATIENCE).await?;
    Ok(server)
}

/// What a command prints that has to end with `code`.
async fn said(server: &Tidegate, line: &[&str], code: i32) -> Result<Value> {
    let (ended, printed) = server.command(line).await?;
    ensure!(ended == code, "{line:?} ended with {ended}: {printed}");
    let answer: Value = serde_json::from_str(&printed).with_context(|| printed.clone())?;
    ensure!(answer["exit"] == json!(code), "{answer}");
    Ok(answer)
}

async fn state(server: &Tidegate) -> Result<String> {
    let (_, card) = server.get("/api/v1/rollouts/sluice-1").await?;
    card["state"].as_str().map(str::to_owned).context("it has no state")
}

#[tokio::test]
async fn nothing_is_rolled_back_by_asking_how_or_by_rehearsing_it() -> Result<()> {
    let server = server().await?;
    let (code, help) = server.command(&["rollout", "rollback", "--help"]).await?;
    assert_eq!(code, 0);
    assert!(help.contains("Returns traffic to the old version now"), "{help}");
    let rehearsed = said(&server, &["rollout", "rollback", "--dry-run", "INC-4821"], 0).await?;
    assert_eq!(
        rehearsed["result"]["order"],
        json!({ "verb": "rollback", "rollout": "sluice-1", "reason": "INC-4821", "surface": "cli" })
    );
    said(&server, &["rollout", "rollback", "sluice-1", "--yes"], 2).await?;
    let misspelt = said(&server, &["rollout", "rollback", "slucie"], 2).await?;
    assert!(
        misspelt["code"] == "R103" && misspelt["hint"].as_str().unwrap().contains("Did you mean `sluice`?"),
        "{misspelt}"
    );
    // What keeps it from advancing is known before anybody tries.
    said(&server, &["rollout", "hold", "for a look", "--for", "4h"], 0).await?;
    let rehearsed = said(&server, &["rollout", "advance", "--dry-run"], 4).await?;
    assert!(
        rehearsed["result"]["card"]["waits_for"]
            .to_string()
            .contains("for a look"),
        "{rehearsed}"
    );
    let state = state(&server).await?;
    assert!(!state.contains("ROLL"), "{state}");

    let rolled_back = said(&server, &["rollout", "rollback", "INC-4821"], 0).await?;
    assert_eq!(rolled_back["result"]["rollout"], "sluice-1");
    let history = said(&server, &["rollout", "history", "sluice-1"], 0).await?;
    assert!(
        history["result"]["text"].as_str().unwrap().contains("INC-4821"),
        "{history}"
    );
    // It is over, or will be in a moment; one document says so.
    let ended = said(&server, &["rollout", "wait", "sluice-1", "--timeout", "30s"], 5).await?;
    assert_eq!(ended["ok"], false);
    assert_eq!(ended["result"]["state"], "ROLLED BACK");
    // Whoever says it once more, as after one that came by itself, hears that it is so already.
    for line in [&["rollout", "rollback"][..], &["rollout", "rollback", PLAN, "again"]] {
        let again = said(&server, line, 0).await?;
        let text = again["result"]["text"].as_str().unwrap();
        assert!(
            text.starts_with("sluice-1 was rolled back by a person at ") && text.contains("INC-4821"),
            "{again}"
        );
        assert_eq!(again["result"]["rollout"], "sluice-1");
    }
    said(&server, &["rollout", "pause"], 2).await?;
    Ok(())
}

/// What went back last answers nobody who may mean one that is under way.
#[tokio::test]
async fn where_several_are_under_way_a_rollback_asks_which_one() -> Result<()> {
    let plan = |name: &str| {
        let phases = json!([{ "name": "some", "weight": "10%", "bake": "1d" }]);
        let spec = json!({
            "title": name, "service": name, "environment": "production", "target": { "flag": { "key": name } },
            "phases": phases, "watch": "1d", "severities": { "sev1": { "action": "log" } },
            "triggers": [{ "name": "any", "alert": { "matchers": ["alertname=\"Any\""] }, "severity": "sev1" }],
            "alerts": { "receivers": ["default"], "watchdog": "required" },
        });
        let head =
            json!({ "apiVersion": "tidegate.dev/v1alpha1", "kind": "RolloutPlan", "metadata": { "name": name } });
        let mut plan = head;
        plan["spec"] = spec;
        plan.to_string()
    };
    let mut setup = setup()?;
    for name in ["weir", "lock"] {
        setup = setup.plan(name, &plan(name))?;
    }
    let server = setup.start().await?;
    Client::of(&server)?.fire(&[Alert::watchdog()]).await?;
    for name in ["weir", "lock", PLAN] {
        said(&server, &["rollout", "start", name], 0).await?;
    }
    said(&server, &["rollout", "rollback", "sluice-1", "INC-4821"], 0).await?;
    said(&server, &["rollout", "wait", "sluice-1", "--timeout", "30s"], 5).await?;
    let which = said(&server, &["rollout", "rollback"], 2).await?;
    assert_eq!(which["code"], "R102", "{which}");
    let again = said(&server, &["rollout", "rollback", PLAN], 0).await?;
    let text = again["result"]["text"].as_str().unwrap();
    assert!(
        text.ends_with("Nothing was done. Still active: lock-1, weir-1."),
        "{text}"
    );
    Ok(())
}

#[tokio::test]
async fn whoever_watches_goes_on_when_the_server_comes_back() -> Result<()> {
    let mut server = server().await?;
    let mut watching = tokio::process::Command::new(Build::Shipped.program()?)
        .args(["rollout", "watch", "-o", "ndjson"])
        .env("TIDEGATE_SERVER", server.url(""))
        .env("TIDEGATE_TOKEN_FILE", server.token_file())
        .env_remove("TIDEGATE_TOKEN")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut told = BufReader::new(watching.stdout.take().context("no output")?);
    let mut beside = BufReader::new(watching.stderr.take().context("no errors")?);
    let mut line = String::new();
    told.read_line(&mut line).await?;
    assert_eq!(serde_json::from_str::<Value>(&line)?["rollout"], "sluice-1", "{line}");

    server.kill()?;
    line.clear();
    beside.read_line(&mut line).await?;
    assert!(
        line.starts_with("cannot reach ") && line.ends_with("asking again\n"),
        "{line}"
    );
    server.start_again().await?;
    line.clear();
    beside.read_line(&mut line).await?;
    assert_eq!(line, "The server answers again.\n");

    said(&server, &["rollout", "rollback", "sluice-1", "enough seen"], 0).await?;
    let mut rest = String::new();
    told.read_to_string(&mut rest).await?;
    assert_eq!(watching.wait().await?.code(), Some(5));
    let last: Value = serde_json::from_str(rest.lines().last().context("nothing at the end")?)?;
    assert_eq!((&last["ok"], &last["exit"]), (&json!(false), &json!(5)), "{last}");
    assert_eq!(last["result"]["state"], "ROLLED BACK");
    let envelopes = rest.lines().filter(|line| line.contains("\"exit\":"));
    assert_eq!(envelopes.count(), 1, "{rest}");
    Ok(())
}

#[tokio::test]
async fn a_log_is_verified_without_a_change_while_the_server_runs_and_when_it_is_gone() -> Result<()> {
    let mut server = server().await?;
    let data = server.scratch().path().join("data");
    let storage = format!("--storage.path={}", data.display());
    let whole = said(&server, &["log", "verify", &storage], 0).await?;
    assert_eq!(whole["result"]["broken"], json!([]));
    server.stop().await?;

    let files = || -> Result<Vec<(std::ffi::OsString, Vec<u8>)>> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&data)? {
            let entry = entry?;
            // SQLite's index of an empty write-ahead log is no data.
            let name = entry.file_name();
            if !name.to_string_lossy().ends_with("-shm") && entry.metadata()?.len() > 0 {
                files.push((name, std::fs::read(entry.path())?));
            }
        }
        files.sort();
        Ok(files)
    };
    let before = files()?;
    assert!(before.iter().any(|(name, _)| name == Storage::FILE));
    let again = said(&server, &["log", "verify", &storage], 0).await?;
    assert!(again["result"]["lines"].as_u64() > Some(0), "{again}");
    assert!(files()? == before, "the check wrote something");

    // The same, where a server with this directory as its own would look.
    let program = Build::Shipped.program()?;
    let output = tokio::process::Command::new(program)
        .args(["log", "verify"])
        .current_dir(server.scratch().path())
        .env_clear()
        .output()
        .await?;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    Ok(())
}
