//! Whoever edits the log behind Tidegate's back is found, by chain and line.

use anyhow::{Result, ensure};
use futures_util::future::join_all;
use tidegate::store::{LogReport, Store};
use tidegate_rollout::{Entry, Surface};

use super::on_both;
use super::world::{World, after, noon, note, plan, started, took, write_down};

on_both!(
    a_log_nobody_touched_holds,
    every_way_to_tamper_is_located,
    lines_of_the_server_form_one_chain,
    the_latest_lines_are_shown,
);

/// Two rollouts of five lines or more each, and two lines of the server.
async fn a_log(store: &Store) -> Result<()> {
    for name in ["a", "b"] {
        let mut rollout = started(store, &plan(name, name), noon()).await?;
        for number in 1..=5 {
            rollout = took(
                store,
                &rollout,
                &note(&format!("note {number} with a \0 in it")),
                after(number),
            )
            .await?;
        }
    }
    for number in 1..=2 {
        write_down(store, &line(number)).await?;
    }
    Ok(())
}

fn line(number: i64) -> Entry {
    Entry {
        at: after(number),
        kind: "noted".to_owned(),
        by: "mara".to_owned(),
        // Every other line is somebody's word.
        surface: (number % 2 == 1).then_some(Surface::Slack),
        text: format!("line {number}"),
    }
}

/// A chain and the first line that does not fit.
type Broken = (&'static str, Option<u64>);

fn broken(report: &LogReport) -> Vec<(&str, Option<u64>)> {
    report
        .broken()
        .map(|chain| (chain.name.as_str(), chain.broken_at))
        .collect()
}

async fn a_log_nobody_touched_holds(world: World) -> Result<()> {
    let store = world.open().await?;
    ensure!(store.verify_log().await?.chains.is_empty());
    a_log(&store).await?;
    let report = store.verify_log().await?;
    let names: Vec<&str> = report.chains.iter().map(|chain| chain.name.as_str()).collect();
    ensure!(
        names == ["a-1", "b-1", "server"] && broken(&report).is_empty(),
        "{report:?}"
    );
    ensure!(report.chains[0].lines >= 6 && report.chains[2].lines == 2);
    Ok(())
}

/// What is changed, how, and what is found; `last` is the number of the last line of `a-1`.
fn ways_to_tamper(last: u64) -> Vec<(&'static str, String, Vec<Broken>)> {
    let next = last + 1;
    vec![
        (
            "a sentence",
            "UPDATE log SET text = 'all is well' WHERE chain = 'a-1' AND line = 3".into(),
            vec![("a-1", Some(3))],
        ),
        (
            "a name",
            "UPDATE log SET actor = 'jon' WHERE chain = 'b-1' AND line = 2".into(),
            vec![("b-1", Some(2))],
        ),
        (
            "where it was said",
            "UPDATE log SET surface = 'chat' WHERE chain = 'server' AND line = 1".into(),
            vec![("server", Some(1))],
        ),
        (
            "that it was said anywhere",
            "UPDATE log SET surface = NULL WHERE chain = 'server' AND line = 1".into(),
            vec![("server", Some(1))],
        ),
        (
            "a surface that there is not",
            "UPDATE log SET surface = 'pigeon' WHERE chain = 'server' AND line = 2".into(),
            vec![("server", Some(2))],
        ),
        (
            "a time",
            "UPDATE log SET at = at - 1 WHERE chain = 'server' AND line = 2".into(),
            vec![("server", Some(2))],
        ),
        (
            "a line less",
            "DELETE FROM log WHERE chain = 'a-1' AND line = 4".into(),
            vec![("a-1", Some(4))],
        ),
        (
            "the first line less",
            "DELETE FROM log WHERE chain = 'a-1' AND line = 1".into(),
            vec![("a-1", Some(1))],
        ),
        (
            "the last line less",
            format!("DELETE FROM log WHERE chain = 'a-1' AND line = {last}"),
            vec![("a-1", Some(last))],
        ),
        (
            "a line more",
            format!(
                "INSERT INTO log (chain, line, at, kind, actor, text, hash)
                 SELECT chain, {next}, at, kind, actor, text, hash FROM log WHERE chain = 'a-1' AND line = 2"
            ),
            vec![("a-1", Some(next))],
        ),
        (
            "the whole chain, head too",
            "DELETE FROM log WHERE chain = 'b-1'; DELETE FROM chains WHERE name = 'b-1'".into(),
            vec![("b-1", Some(1))],
        ),
        (
            "the head",
            "UPDATE chains SET lines = lines - 1 WHERE name = 'a-1'".into(),
            vec![("a-1", Some(last))],
        ),
        (
            "two chains swapped",
            "UPDATE log SET chain = 'x' WHERE chain = 'a-1'; UPDATE log SET chain = 'a-1' WHERE chain = 'b-1';
             UPDATE log SET chain = 'b-1' WHERE chain = 'x'"
                .into(),
            vec![("a-1", Some(1)), ("b-1", Some(1))],
        ),
    ]
}

async fn every_way_to_tamper_is_located(world: World) -> Result<()> {
    let store = world.open().await?;
    a_log(&store).await?;
    let lines = store.verify_log().await?.chains[0].lines;
    world
        .tamper("CREATE TABLE log_before AS SELECT * FROM log; CREATE TABLE chains_before AS SELECT * FROM chains")
        .await?;
    for (what, tamper, expected) in ways_to_tamper(lines) {
        world.tamper(&tamper).await?;
        let report = store.verify_log().await?;
        ensure!(broken(&report) == expected, "{what}: {report:?}");
        world.tamper(restore(world.is_postgres())).await?;
        ensure!(
            broken(&store.verify_log().await?).is_empty(),
            "after {what} it was restored"
        );
    }
    Ok(())
}

fn restore(postgres: bool) -> &'static str {
    if postgres {
        "DELETE FROM log; INSERT INTO log OVERRIDING SYSTEM VALUE SELECT * FROM log_before;
         DELETE FROM chains; INSERT INTO chains SELECT * FROM chains_before"
    } else {
        "DELETE FROM log; INSERT INTO log SELECT * FROM log_before;
         DELETE FROM chains; INSERT INTO chains SELECT * FROM chains_before"
    }
}

async fn lines_of_the_server_form_one_chain(world: World) -> Result<()> {
    let store = world.open().await?;
    let lines: Vec<Entry> = (0..20).map(line).collect();
    for written in join_all(lines.iter().map(|line| write_down(&store, line))).await {
        written?;
    }
    let report = store.verify_log().await?;
    ensure!(
        report.chains.len() == 1 && report.chains[0].lines == 20 && broken(&report).is_empty(),
        "{report:?}"
    );
    Ok(())
}

async fn the_latest_lines_are_shown(world: World) -> Result<()> {
    let store = world.open().await?;
    a_log(&store).await?;
    let rollout = store.active().await?.remove(0);
    let all = store.history(&rollout.id, 1_000).await?;
    let latest = store.history(&rollout.id, 2).await?;
    ensure!(latest == all[all.len() - 2..], "{latest:?}");
    ensure!(latest[1].1.text.contains('␀'), "it reads as it was hashed: {latest:?}");
    ensure!(store.server_history(10).await? == [(1, line(1)), (2, line(2))]);
    Ok(())
}
