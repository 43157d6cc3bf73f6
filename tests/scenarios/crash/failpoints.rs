//! The process dies at every named point of a build of its own, at each of the first times it passes there, while one
//! rollout begins, carries traffic and is rolled back by an alert.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use regex::Regex;
use tidegate_tests::built::Build;
use tidegate_tests::paths::repository;
use tidegate_tests::scratch::Scratch;
use tidegate_tests::tidegate::Tidegate;
use walkdir::WalkDir;

use super::client::{Alert, Client};
use super::ledger::{Database, Ledger, log_is_whole};
use super::{PLAN, PROMISE, setup};

/// How long a live server takes at most for any step of the story.
const PATIENCE: Duration = Duration::from_secs(20);
/// Runs side by side.
const LANES: usize = 3;
/// SIGABRT.
const ABORTED: i32 = 6;

/// The names in the list of the product.
fn points() -> Vec<String> {
    let source = repository().join("bot/src/failpoint.rs");
    let source = std::fs::read_to_string(source).expect("the failpoints have a source");
    let (_, list) = source
        .split_once("POINTS: &[&str] = &[")
        .expect("the failpoints have a list");
    let (list, _) = list.split_once("];").expect("the list ends");
    names(list, r#""([a-z.-]+)""#)
}

fn names(text: &str, pattern: &str) -> Vec<String> {
    let pattern = Regex::new(pattern).expect("it parses");
    pattern.captures_iter(text).map(|found| found[1].to_owned()).collect()
}

#[test]
fn every_point_of_the_list_is_passed_somewhere_and_no_other() {
    let mut passed = Vec::new();
    for entry in WalkDir::new(repository().join("bot/src")) {
        let path = entry.expect("the sources can be read").into_path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let source = std::fs::read_to_string(path).expect("a source is UTF-8");
            passed.extend(names(&source, r#"failpoint::hit!\("([^"]+)"\)"#));
        }
    }
    passed.sort();
    passed.dedup();
    let mut listed = points();
    listed.sort();
    assert!(listed.len() > 10, "only {listed:?} were found");
    assert_eq!(passed, listed);
}

#[tokio::test]
async fn the_shipped_build_knows_no_point() -> Result<()> {
    let scratch = Scratch::new("points")?;
    let patterns = scratch.write("points", points().join("\n"))?;
    let found = async |build: Build| -> Result<String> {
        let grep = tokio::process::Command::new("grep")
            .args(["--text", "--fixed-strings", "--only-matching", "--file"])
            .args([&patterns, &build.program()?])
            .env("LC_ALL", "C")
            .output();
        Ok(String::from_utf8(grep.await.context("could not start grep")?.stdout)?)
    };
    // The search is worth something only if it finds every name where it is.
    let armed = found(Build::Failpoints).await?;
    for point in points() {
        assert!(
            armed.lines().any(|line| line == point),
            "{point} is not even in the build for this test"
        );
    }
    assert_eq!(found(Build::Shipped).await?, "");
    Ok(())
}

/// One rollout from its start to its end, told by somebody who repeats what was not answered.
struct Story {
    client: Client,
    ledger: Ledger,
    /// The key of the start.
    key: String,
    /// The alert that rolls back, once it was sent, and whether it was answered 200.
    strike: Option<(Alert, bool)>,
    id: Option<String>,
}

impl Story {
    /// Goes on where it broke off.
    async fn go_on(&mut self) -> Result<()> {
        let heard = [Alert::watchdog(), Alert::foreign(1), Alert::foreign(2)];
        self.client.fire(&heard).await?;
        self.ledger.acked(&heard);
        let (said, answer) = self.client.begin(PLAN, &mut self.key).await?;
        let id = answer.rollout()?;
        self.ledger.answered(&self.key, &said, &answer);
        if self.id.is_none() {
            self.ledger.began(&id);
            self.id = Some(id.clone());
        }
        if self.strike.is_none() {
            self.client.serves(&id, 10.0, PATIENCE).await?;
            self.strike = Some((Alert::errors(3), false));
        }
        if let Some((alert, answered)) = self.strike.as_mut().filter(|(_, answered)| !answered) {
            self.client.fire(std::slice::from_ref(alert)).await?;
            *answered = true;
            self.ledger.acked(std::slice::from_ref(alert));
        }
        self.client.rolled_back(&id, PATIENCE).await
    }
}

/// How a run at one point went.
#[derive(Debug)]
enum Run {
    /// The story ended before the point was passed so often.
    NotPassed,
    /// The process died there; then how long after the restart the rollback was over, if it had been promised.
    Died { finished: Option<Duration> },
}

/// Whether the process has died at the point, now that the story has broken off.
async fn died(server: &mut Tidegate) -> Result<bool> {
    let status = server.program()?.exit(Duration::from_secs(5)).await?;
    Ok(status.signal() == Some(ABORTED))
}

async fn run(point: &str, nth: u32) -> Result<Run> {
    let setup = setup()?
        .build(Build::Failpoints)
        .env("TIDEGATE_FAILPOINT", &format!("{point}:{nth}"));
    let mut server = setup.start().await?;
    let client = Client::of(&server)?;
    let mut story = Story {
        client,
        ledger: Ledger::default(),
        key: "start".to_owned(),
        strike: None,
        id: None,
    };
    let Err(broken) = story.go_on().await else {
        return Ok(Run::NotPassed);
    };
    ensure!(
        died(&mut server).await.unwrap_or(false),
        broken.context("the story broke off, and not at the point")
    );

    server.set_env("TIDEGATE_FAILPOINT", None);
    let launched = Instant::now();
    server.start_again().await?;
    let mut finished = None;
    if let (Some(id), Some((_, true))) = (&story.id, &story.strike) {
        story
            .client
            .rolled_back(id, PROMISE.saturating_sub(launched.elapsed()))
            .await
            .context("it was promised, and has to be over by now")?;
        finished = Some(launched.elapsed());
    }
    story.go_on().await?;
    if let Some(served) = story.client.flag().await? {
        ensure!(served.weight == 0.0, "{served:?}");
    }
    story.ledger.ask_again(&story.client).await?;
    story.ledger.compare(&Database::of(&server)).await?;
    log_is_whole(&server).await?;
    Ok(Run::Died { finished })
}

/// How many passes of a point are tried.
fn passes() -> u32 {
    let nightly = std::env::var("TIDEGATE_TESTS_TIER").is_ok_and(|tier| tier == "nightly");
    if nightly { 50 } else { 4 }
}

/// Dies at `point` the first time it is passed, the second time, and so on.
async fn every_pass(point: String) -> Result<(String, Vec<Option<Duration>>)> {
    let mut deaths = Vec::new();
    for nth in 1..=passes() {
        match run(&point, nth).await.with_context(|| format!("at {point}:{nth}"))? {
            Run::Died { finished } => deaths.push(finished),
            Run::NotPassed => break,
        }
    }
    Ok((point, deaths))
}

#[tokio::test]
async fn a_death_at_any_point_loses_no_promise() -> Result<()> {
    // Those of the drivers in Kubernetes are passed where there is a cluster.
    let here = points().into_iter().filter(|point| !point.starts_with("kubernetes."));
    let runs = stream::iter(here).map(every_pass).buffer_unordered(LANES);
    let deaths: BTreeMap<String, Vec<Option<Duration>>> = runs.try_collect().await?;
    for (point, deaths) in &deaths {
        println!(
            "{point}: died {} times; promised rollbacks finished after {:?}",
            deaths.len(),
            deaths.iter().flatten().collect::<Vec<_>>()
        );
        assert!(!deaths.is_empty(), "{point} was never passed");
    }
    let promised = deaths.values().flatten().flatten().count();
    let died: usize = deaths.values().map(Vec::len).sum();
    println!(
        "counted: {died} deaths at {} named points, {promised} with a promised rollback",
        deaths.len()
    );
    assert!(
        promised >= 5,
        "only {promised} deaths came after the deadly alert was answered"
    );
    Ok(())
}
