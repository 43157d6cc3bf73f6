//! The store opens on safe storage only, and every statement fits the tables it makes.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tidegate::store::{OpenError, Storage, Store};
use tidegate_rollout::RolloutId;
use tidegate_tests::postgres::Postgres;
use tidegate_tests::scratch::Scratch;
use tidegate_tests::wait;

use super::on_both;
use super::world::{World, noon, plan, started, stored, write_down};

on_both!(
    every_statement_is_prepared,
    opening_again_changes_nothing,
    reading_makes_and_changes_nothing,
    tables_of_a_newer_tidegate_are_refused,
    an_edited_migration_is_refused,
    an_unreadable_row_is_named,
);

async fn every_statement_is_prepared(world: World) -> Result<()> {
    let store = world.open().await?;
    let refused = store.refused_statements().await;
    ensure!(refused.is_empty(), "{refused:#?}");
    world.tamper("ALTER TABLE flags RENAME COLUMN epoch TO era").await?;
    let refused = world.open().await?.refused_statements().await;
    ensure!(refused.len() == 2, "it notices a column that is gone: {refused:#?}");
    Ok(())
}

async fn opening_again_changes_nothing(world: World) -> Result<()> {
    let store = world.open().await?;
    let rollout = started(&store, &plan("checkout", "flag"), noon()).await?;
    // While the first is open, as a second replica or the command line does.
    let second = world.open().await?;
    ensure!(stored(&second, &rollout).await? == rollout);
    Ok(())
}

async fn reading_makes_and_changes_nothing(world: World) -> Result<()> {
    let missing = Store::open_to_read(&world.storage).await;
    ensure!(matches!(missing, Err(OpenError::Missing { .. })), "{missing:?}");
    let store = world.open().await?;
    started(&store, &plan("checkout", "flag"), noon()).await?;
    let reading = Store::open_to_read(&world.storage).await?;
    let report = reading.verify_log().await?;
    ensure!(report.chains.len() == 1 && report.broken().count() == 0, "{report:?}");
    let line = tidegate_rollout::Entry {
        at: noon(),
        kind: "note".to_owned(),
        by: "ana".to_owned(),
        surface: None,
        text: "not to be written".to_owned(),
    };
    ensure!(write_down(&reading, &line).await.is_err(), "it was written");
    world
        .tamper("UPDATE _sqlx_migrations SET version = 9999 WHERE version = 1")
        .await?;
    ensure!(matches!(
        Store::open_to_read(&world.storage).await,
        Err(OpenError::Migrate(_))
    ));
    Ok(())
}

async fn tables_of_a_newer_tidegate_are_refused(world: World) -> Result<()> {
    world.open().await?.close().await;
    world
        .tamper(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             SELECT 9999, 'from the future', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1",
        )
        .await?;
    let Err(OpenError::Migrate(error)) = Store::open(&world.storage).await else {
        bail!("it was opened")
    };
    ensure!(error.to_string().contains("9999"), "{error}");
    Ok(())
}

async fn an_edited_migration_is_refused(world: World) -> Result<()> {
    world.open().await?.close().await;
    let edit = if world.is_postgres() { "'\\x00'" } else { "X'00'" };
    world
        .tamper(&format!("UPDATE _sqlx_migrations SET checksum = {edit}"))
        .await?;
    ensure!(matches!(Store::open(&world.storage).await, Err(OpenError::Migrate(_))));
    Ok(())
}

async fn an_unreadable_row_is_named(world: World) -> Result<()> {
    let store = world.open().await?;
    started(&store, &plan("checkout", "flag"), noon()).await?;
    world
        .tamper("UPDATE rollouts SET document = '{\"v\":99,\"body\":{}}'")
        .await?;
    ensure!(store.active().await?.is_empty(), "it costs its neighbours nothing");
    let Err(error) = store.rollout(&RolloutId::new("checkout-1")).await else {
        bail!("it was read")
    };
    ensure!(
        error.to_string() == "rollouts row checkout-1: document is unreadable",
        "{error}"
    );
    let why = std::error::Error::source(&error)
        .map(ToString::to_string)
        .unwrap_or_default();
    ensure!(why.contains("version 99"), "{why}");
    Ok(())
}

#[tokio::test]
async fn a_directory_that_cannot_be_used_is_named() -> Result<()> {
    let scratch = Scratch::new("store")?;
    let file = scratch.write("file", "not a directory")?;
    let error = Store::open(&Storage::directory(file.join("data")))
        .await
        .expect_err("it is a file");
    ensure!(
        matches!(&error, OpenError::Directory { path, .. } if path.starts_with(&file)),
        "{error:?}"
    );
    Ok(())
}

#[cfg(unix)]
#[tokio::test]
async fn directory_and_file_are_private() -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let scratch = Scratch::new("store")?;
    let dir = scratch.path().join("a/b");
    Store::open(&Storage::directory(&dir)).await?.close().await;
    for (path, private) in [(dir.clone(), 0o700), (dir.join(Storage::FILE), 0o600)] {
        let mode = std::fs::metadata(&path)?.permissions().mode() & 0o777;
        ensure!(mode == private, "{}: {mode:o}", path.display());
    }
    Ok(())
}

#[tokio::test]
async fn unsafe_settings_of_postgres_are_refused_one_by_one() -> Result<()> {
    let server = Postgres::start().await?;
    let url = server.create_database().await?;
    let mut connection = PgConnection::connect(&url).await?;
    for wrong in ["fsync", "synchronous_commit", "full_page_writes"] {
        set(&mut connection, wrong, "off").await?;
        let opened = Store::open(&Storage::postgres(url.clone().into())).await;
        let Err(OpenError::Unsafe { setting, found, needed }) = opened else {
            bail!("{wrong}: {opened:?}")
        };
        ensure!((setting, found.as_str(), needed) == (wrong, "off", "on"));
        set(&mut connection, wrong, "on").await?;
    }
    Store::open(&Storage::postgres(url.into())).await?.close().await;
    Ok(())
}

/// Changes a setting of the server, and waits until new connections see it.
async fn set(connection: &mut PgConnection, setting: &str, value: &str) -> Result<()> {
    for sql in [
        format!("ALTER SYSTEM SET {setting} = {value}"),
        "SELECT pg_reload_conf()".to_owned(),
    ] {
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *connection).await?;
    }
    wait::until("the setting is in force", Duration::from_secs(20), async || {
        let show = AssertSqlSafe(format!("SHOW {setting}"));
        let (found,): (String,) = sqlx::query_as(show).fetch_one(&mut *connection).await?;
        ensure!(found == value);
        Ok(())
    })
    .await
}
