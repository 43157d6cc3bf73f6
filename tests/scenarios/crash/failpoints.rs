//! The process dies at every named point of a build of its own, at each of the first times it passes there, while one
//! rollout begins, carries traffic and is rolled back by an alert. Every commit of the store is a point, too, on either side of
//! it: which story meets which commit is found by listening, and each commit kills the first story that meets it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures_util::future::LocalBoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use regex::Regex;
use tidegate_tests::built::Build;
use tidegate_tests::paths::repository;
use tidegate_tests::postgres::Postgres;
use tidegate_tests::scratch::Scratch;
use walkdir::WalkDir;

use super::alert::Struck;
use super::channels::Told;
use super::death::{Deaths, Story, commits_of, every_pass};
use super::old::Forgetful;
use super::peers::Polled;
use super::stops::Stopped;

/// Runs side by side.
const LANES: usize = 5;

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
        // What is forgotten a heap at a time, or a few bytes each, is run by a name that stands for it.
        for runs in [
            r"engine\(\)\s*\.execute\(&(\w+),",
            r"heap\(&\w+, &([A-Z]+)\)",
            r"forget_small\(&([A-Z]+),",
        ] {
            alone.extend(names(&source, runs).into_iter().map(|name| (file.clone(), name)));
        }
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

/// Every death, or every one that broke a promise: each takes minutes to be seen again.
fn all_of(runs: Vec<Result<(String, Vec<Option<Duration>>)>>) -> Result<Deaths> {
    let (mut deaths, mut broken) = (Deaths::new(), Vec::new());
    for run in runs {
        match run {
            Ok((point, died)) => drop(deaths.insert(point, died)),
            Err(failure) => broken.push(format!("{failure:#}")),
        }
    }
    ensure!(broken.is_empty(), "{}", broken.join("\n"));
    Ok(deaths)
}

/// Tells what happened at each point; each has to be passed.
fn count(deaths: &Deaths, on: &str) {
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
}

/// The points that are passed by what brings traffic back.
const BACK: [&str; 7] = [
    "hands.before-attempt",
    "hands.after-attempt",
    "hands.after-report",
    "store.flag.before-commit",
    "store.flag.after-commit",
    "store.outcome.before-commit",
    "store.outcome.after-commit",
];

/// At each of them somebody died who had promised to come back.
fn died_on_the_way_back(deaths: &Deaths) {
    for point in BACK {
        let promised = deaths
            .get(point)
            .is_some_and(|deaths| deaths.iter().any(Option::is_some));
        assert!(
            promised,
            "{point}: nobody died there who had promised a rollback: {:?}",
            deaths.get(point)
        );
    }
}

type Listening = LocalBoxFuture<'static, Result<BTreeSet<String>>>;
type Dying<'p> = LocalBoxFuture<'p, Result<(String, Vec<Option<Duration>>)>>;

/// One kind of story.
#[derive(Clone, Copy)]
struct Kind {
    commits: fn() -> Listening,
    dies: for<'p> fn(String, Option<&'p Postgres>) -> Dying<'p>,
}

const fn kind<S: Story + 'static>() -> Kind {
    Kind {
        commits: || commits_of::<S>().boxed_local(),
        dies: |point, postgres| {
            let passes = passes(&point);
            every_pass::<S>(point, passes, postgres).boxed_local()
        },
    }
}

/// The first of the stories that comes to a point dies there: one may have met a commit by chance, and not meet it again.
async fn dies_in_one_of(stories: Vec<Kind>, point: String) -> Result<(String, Vec<Option<Duration>>)> {
    for story in stories {
        let died = (story.dies)(point.clone(), None).await?;
        if !died.1.is_empty() {
            return Ok(died);
        }
    }
    Ok((point, Vec::new()))
}

/// The first that meets a commit dies at it.
const STORIES: [Kind; 5] = [
    kind::<Struck>(),
    kind::<Polled>(),
    kind::<Stopped>(),
    kind::<Told>(),
    kind::<Forgetful>(),
];

#[tokio::test]
async fn a_death_at_any_point_loses_no_promise() -> Result<()> {
    // Those of the drivers in Kubernetes are passed where there is a cluster.
    let here = points().into_iter().filter(|point| !point.starts_with("kubernetes."));
    let mut all: Vec<(Vec<Kind>, String)> = here.map(|point| (vec![STORIES[0]], point)).collect();
    let listened: Vec<BTreeSet<String>> = stream::iter(STORIES)
        .map(|story| (story.commits)())
        .buffered(LANES)
        .try_collect()
        .await?;
    let mut met: BTreeMap<String, Vec<Kind>> = BTreeMap::new();
    for (story, commits) in STORIES.into_iter().zip(listened) {
        for commit in commits {
            met.entry(commit).or_default().push(story);
        }
    }
    // A commit that is added to the store and met by nobody would be a gap that grows in silence.
    let known: BTreeSet<String> = met.keys().cloned().collect();
    assert_eq!(
        &commits_of_the_source() - &known,
        BTreeSet::new(),
        "no story meets them"
    );
    for (commit, stories) in met {
        all.push((stories.clone(), format!("before {commit}")));
        all.push((stories, format!("after {commit}")));
    }
    // One of them again, by a part of its name.
    let only = std::env::var("TIDEGATE_CRASH_POINT").ok();
    all.retain(|(_, point)| only.as_ref().is_none_or(|only| point.contains(only.as_str())));
    let runs = stream::iter(all).map(|(stories, point)| dies_in_one_of(stories, point));
    let deaths = all_of(runs.buffer_unordered(LANES).collect().await)?;
    count(&deaths, "SQLite");
    if only.is_none() {
        died_on_the_way_back(&deaths);
    }
    Ok(())
}

/// What only a server commits that ends by itself; on PostgreSQL nobody else knows at once that it is gone.
const FAREWELL: [&str; 2] = ["before release the actions of a replica", "after give the lease back"];

#[tokio::test]
async fn a_death_on_the_way_of_an_alert_loses_no_promise_on_postgresql_either() -> Result<()> {
    let postgres = Postgres::shared().await?;
    let way = ["store.", "hands.", "decider."];
    let here = points()
        .into_iter()
        .filter(|point| way.iter().any(|way| point.starts_with(way)));
    // What is passed on the way back was passed on the way forward before.
    let passes = |point: &str| if BACK.contains(&point) { 2 } else { 1 };
    let way = here.map(|point| {
        let passes = passes(&point);
        every_pass::<Struck>(point, passes, Some(&postgres)).boxed_local()
    });
    let farewell = FAREWELL.map(|point| every_pass::<Stopped>(point.to_owned(), 1, Some(&postgres)).boxed_local());
    let runs = stream::iter(way.chain(farewell));
    let deaths = all_of(runs.buffer_unordered(LANES).collect().await)?;
    count(&deaths, "PostgreSQL");
    died_on_the_way_back(&deaths);
    Ok(())
}
