//! The process dies at every named point of a build of its own, at each of the first times it passes there, while one
//! rollout begins, carries traffic and is rolled back by an alert. Every commit of the store is a point, too, on either side of
//! it: those that the story meets are found by listening, and the others are named here, each with the reason.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use regex::Regex;
use reqwest::StatusCode;
use serde_json::json;
use tidegate_tests::built::Build;
use tidegate_tests::paths::repository;
use tidegate_tests::postgres::Postgres;
use tidegate_tests::scratch::Scratch;
use tidegate_tests::sink::Sink;
use tidegate_tests::tidegate::{Setup, Tidegate};
use walkdir::WalkDir;

use super::client::{Alert, Client};
use super::ledger::{Database, Ledger, log_is_whole};
use super::{PLAN, PROMISE, telling};

/// How long a live server takes at most for any step of the story: on PostgreSQL the lease of the dead runs out first.
const PATIENCE: Duration = Duration::from_secs(30);
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

/// A receiver that wants to hear nothing: what is said to it is a dead letter.
async fn deaf() -> Result<Sink> {
    let deaf = Sink::start().await?;
    deaf.answer_with(StatusCode::GONE);
    Ok(deaf)
}

/// The build for this test, which tells its story to `deaf`, too.
fn setup(deaf: &Sink) -> Result<Setup> {
    let url = deaf.url("/told");
    let setup = telling(&["chat", "log", "deaf"])?.build(Build::Failpoints);
    setup.secret_file(
        "channel.secret",
        "the-secret-of-the-channel",
        |file| json!({ "channels": { "deaf": { "webhook": { "url": url, "secret_file": file } } } }),
    )
}

/// Commits that the story does not meet, and why.
const ELSEWHERE: [(&str, &[&str]); 7] = [
    ("it needs a plan with rungs", &["commit what a rollout holds"]),
    (
        "it needs a platform with cards",
        &[
            "commit the claim of a card",
            "note that a card is gone",
            "note what a card shows",
            "postpone a card",
        ],
    ),
    (
        "said by a replica that stops by itself, and whoever is killed does not",
        &[
            "give the lease back",
            "release the actions of a replica",
            "release the messages of a replica",
            "tell that a replica lives no more",
        ],
    ),
    (
        "nothing here is old",
        &[
            "commit the forgetting of a rollout",
            "commit the forgetting of old lines",
        ],
    ),
    (
        "it needs a channel that is down",
        &[
            "commit the handing on of a message",
            "commit the putting off of messages",
            "postpone a message",
        ],
    ),
    (
        "it needs a target that cannot be moved now",
        &["postpone an action", "put an action off"],
    ),
    (
        "it needs an alert source that is asked, or one that is silent",
        &[
            "tell that a receiver was polled",
            "commit a line of the log",
            "commit an announcement",
        ],
    ),
];

/// What the store commits, in the words of its source: given to a commit, or of a statement that is a transaction by itself.
fn commits_of_the_source() -> BTreeSet<String> {
    let (mut commits, mut alone) = (BTreeSet::new(), BTreeSet::new());
    let mut words = BTreeMap::new();
    let says = r#"(?:const )?([A-Z_]+): (?:Statement = \w+(?:::apart|!)\(\s*)?"([^"]+)""#;
    let says = Regex::new(says).expect("it parses");
    for entry in WalkDir::new(repository().join("bot/src/store")) {
        let path = entry.expect("the sources can be read").into_path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let source = std::fs::read_to_string(&path).expect("a source is UTF-8");
        commits.extend(names(&source, r#"session\.commit\("([^"]+)"\)"#));
        let file = path.file_name().expect("it has a name").to_string_lossy().into_owned();
        let runs = r"engine\(\)\s*\.execute\(&(\w+),";
        alone.extend(names(&source, runs).into_iter().map(|name| (file.clone(), name)));
        for found in says.captures_iter(&source) {
            words.insert((file.clone(), found[1].to_owned()), found[2].to_owned());
        }
    }
    for (file, name) in alone {
        let said = words.get(&(file.clone(), name.clone()));
        let said = said.or_else(|| words.get(&("dialect.rs".to_owned(), name.clone())));
        commits.insert(said.unwrap_or_else(|| panic!("{file} has no statement {name}")).clone());
    }
    commits
}

/// The commits that the story meets on a server that nobody kills.
async fn commits_of_the_story() -> Result<BTreeSet<String>> {
    let (scratch, deaf) = (Scratch::new("passed")?, deaf().await?);
    let passed = scratch.path().join("passed");
    let setup = setup(&deaf)?.env("TIDEGATE_FAILPOINTS_PASSED", &passed.display().to_string());
    let server = setup.start().await?;
    Story::of(&server)?.go_on().await?;
    let passed = std::fs::read_to_string(passed).context("nothing was committed")?;
    Ok(passed
        .lines()
        .filter_map(|line| line.strip_prefix("after "))
        .map(str::to_owned)
        .collect())
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
    fn of(server: &Tidegate) -> Result<Self> {
        Ok(Self {
            client: Client::of(server)?,
            ledger: Ledger::default(),
            key: "start".to_owned(),
            strike: None,
            id: None,
        })
    }

    /// Goes on where it broke off.
    async fn go_on(&mut self) -> Result<()> {
        self.client.keeps_house().await?;
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
        self.client.rolled_back(&id, PATIENCE).await?;
        self.client.says_it_again(PATIENCE).await
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

/// In a database of its own; in PostgreSQL if there is one.
async fn run(point: &str, nth: u32, postgres: Option<&Postgres>) -> Result<Run> {
    let deaf = deaf().await?;
    let mut setup = setup(&deaf)?.env("TIDEGATE_FAILPOINT", &format!("{point}:{nth}"));
    let mut database = None;
    if let Some(postgres) = postgres {
        let url = postgres.create_database().await?;
        setup = setup.postgres(&url)?;
        database = Some(Database::Postgres(url));
    }
    let mut server = setup.install()?;
    // The point may lie on the way to readiness.
    let born = server.start_again().await;
    let mut story = None;
    if born.is_ok() {
        story = Some(Story::of(&server)?);
    }
    let lived = match &mut story {
        Some(story) => story.go_on().await,
        None => born,
    };
    let Err(broken) = lived else {
        return Ok(Run::NotPassed);
    };
    ensure!(
        died(&mut server).await.unwrap_or(false),
        broken.context("the story broke off, and not at the point")
    );

    server.set_env("TIDEGATE_FAILPOINT", None);
    let launched = Instant::now();
    server.start_again().await?;
    let mut story = match story {
        Some(story) => story,
        None => Story::of(&server)?,
    };
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
    let database = database.unwrap_or_else(|| Database::of(&server));
    story.ledger.compare(&database).await?;
    log_is_whole(&server).await?;
    Ok(Run::Died { finished })
}

/// How many passes of a point are tried. A commit that is no point of the alert's way once, in the day.
fn passes(point: &str) -> u32 {
    let nightly = std::env::var("TIDEGATE_TESTS_TIER").is_ok_and(|tier| tier == "nightly");
    match (nightly, point.contains(' ')) {
        (true, false) => 50,
        (true, true) => 10,
        (false, false) => 4,
        (false, true) => 1,
    }
}

/// Dies at `point` the first time it is passed, the second time, and so on.
async fn every_pass(
    point: String,
    passes: u32,
    postgres: Option<&Postgres>,
) -> Result<(String, Vec<Option<Duration>>)> {
    let mut deaths = Vec::new();
    for nth in 1..=passes {
        let run = run(&point, nth, postgres).await;
        match run.with_context(|| format!("at {point}:{nth}"))? {
            Run::Died { finished } => deaths.push(finished),
            Run::NotPassed => break,
        }
    }
    Ok((point, deaths))
}

type Deaths = BTreeMap<String, Vec<Option<Duration>>>;

/// Tells what happened at each point; each has to be passed. Answers how often a rollback had been promised.
fn count(deaths: &Deaths, on: &str) -> usize {
    for (point, deaths) in deaths {
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
        "counted: {died} deaths at {} named points on {on}, {promised} with a promised rollback",
        deaths.len()
    );
    promised
}

#[tokio::test]
async fn a_death_at_any_point_loses_no_promise() -> Result<()> {
    let met = commits_of_the_story().await?;
    let around = met
        .iter()
        .flat_map(|commit| [format!("before {commit}"), format!("after {commit}")]);
    // Those of the drivers in Kubernetes are passed where there is a cluster.
    let here = points().into_iter().filter(|point| !point.starts_with("kubernetes."));
    let all: Vec<String> = here.chain(around).collect();
    let runs = stream::iter(all).map(|point| {
        let passes = passes(&point);
        every_pass(point, passes, None)
    });
    let deaths: Deaths = runs.buffer_unordered(LANES).try_collect().await?;
    let promised = count(&deaths, "SQLite");
    assert!(
        promised >= 5,
        "only {promised} deaths came after the deadly alert was answered"
    );
    // A commit that is added to the store and met by nobody would be a gap that grows in silence.
    let elsewhere: BTreeSet<String> = ELSEWHERE
        .iter()
        .flat_map(|(_, all)| *all)
        .map(|one| (*one).to_owned())
        .collect();
    let source = commits_of_the_source();
    assert_eq!(
        &(&source - &met) - &elsewhere,
        BTreeSet::new(),
        "the story meets them nowhere"
    );
    assert_eq!(&elsewhere & &met, BTreeSet::new(), "the story does meet them");
    assert_eq!(&elsewhere - &source, BTreeSet::new(), "there is nothing of the kind");
    Ok(())
}

#[tokio::test]
async fn a_death_on_the_way_of_an_alert_loses_no_promise_on_postgresql_either() -> Result<()> {
    let postgres = Postgres::shared().await?;
    let way = ["store.", "hands.", "decider."];
    let here = points()
        .into_iter()
        .filter(|point| way.iter().any(|way| point.starts_with(way)));
    let runs = stream::iter(here).map(|point| every_pass(point, 1, Some(&postgres)));
    let deaths: Deaths = runs.buffer_unordered(LANES).try_collect().await?;
    count(&deaths, "PostgreSQL");
    Ok(())
}
