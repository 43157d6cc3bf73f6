//! A database of any released version opens with today's Tidegate, and nothing in it is lost.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use regex::{Captures, Regex};
use sqlx::migrate::Migrator;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};
use tidegate::store::{Begun, CardKey, FEED, FlagWrite, Remembered, Storage, Store, TokenKind};
use tidegate_rollout::command::Verb;
use tidegate_rollout::flag::FlagState;
use tidegate_rollout::{NoticeId, RolloutId, Weight};
use tidegate_tests::paths::repository;

use super::on_both;
use super::world::{CLAIM, World, begin, plan, said, started};

on_both!(
    rows_of_the_first_version_are_read,
    the_log_of_older_tables_is_checked_as_they_are,
    rows_of_the_fifth_version_are_read,
    rows_as_the_last_but_one_migration_left_them_are_read,
    rows_of_the_newest_version_are_read,
    lines_from_before_surfaces_were_kept_verify_beside_new_ones
);

/// The numbers of the migrations, the newest last.
fn versions() -> Result<Vec<i64>> {
    let folder = std::fs::read_dir(repository().join("migrations/sqlite"))?;
    let number = |entry: std::io::Result<std::fs::DirEntry>| -> Result<i64> {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let number = name.split('_').next().unwrap_or_default().parse();
        number.with_context(|| format!("{name} has no number"))
    };
    let mut versions = folder.map(number).collect::<Result<Vec<_>>>()?;
    versions.sort_unstable();
    Ok(versions)
}

/// Brings an empty database to a released version, and puts everything into it that rows of it or of one before show.
async fn whole_database_of_version(world: &World, version: i64) -> Result<()> {
    let mut put_in = 0;
    migrated(world, version).await?;
    for version in 1..=version {
        if repository()
            .join(format!("tests/fixtures/store/rows-{version:04}.sql"))
            .exists()
        {
            fill(world, version).await?;
            put_in += 1;
        }
    }
    ensure!(put_in >= 3, "only {put_in} files of rows were found");
    Ok(())
}

/// Brings an empty database to a released version, from the files, and puts the rows of that version into it.
async fn database_of_version(world: &World, version: i64) -> Result<()> {
    migrated(world, version).await?;
    fill(world, version).await
}

async fn migrated(world: &World, version: i64) -> Result<()> {
    let engine = if world.is_postgres() { "postgres" } else { "sqlite" };
    let migrations = Migrator::new(repository().join("migrations").join(engine)).await?;
    if world.is_postgres() {
        let mut connection = PgConnection::connect(world.url()).await?;
        migrations.run_to(version, &mut connection).await?;
        connection.close().await?;
    } else {
        // Makes the folder and the file.
        world.tamper("SELECT 1").await?;
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(world.file()?);
        let mut connection = options.connect().await?;
        migrations.run_to(version, &mut connection).await?;
        connection.close().await?;
    }
    Ok(())
}

async fn fill(world: &World, version: i64) -> Result<()> {
    let rows = std::fs::read_to_string(repository().join(format!("tests/fixtures/store/rows-{version:04}.sql")))?;
    world.tamper(&filled_in(&rows, world.is_postgres())?).await
}

/// The rows with byte strings as the engine writes them, and with the golden documents of the core.
fn filled_in(rows: &str, postgres: bool) -> Result<String> {
    let blob = |found: &Captures<'_>| match postgres {
        true => format!("'\\x{}'", &found[1]),
        false => format!("X'{}'", &found[1]),
    };
    let rows = Regex::new(r"\{blob:([0-9a-f]*)\}")?
        .replace_all(rows, blob)
        .into_owned();
    let golden = repository().join("bot/rollout/tests/golden");
    let rollout = golden_document(&golden.join("rollout-v1.json"))?;
    let first = |name: &str| -> Result<String> {
        let mut sealed: serde_json::Value = serde_json::from_str(&golden_document(&golden.join(name))?)?;
        let one = sealed["body"].get_mut(0).context("it is empty")?.take();
        sealed["body"] = one;
        Ok(sealed.to_string())
    };
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    Ok(rows
        .replace("'{rollout}'", &quoted(&rollout))
        .replace("'{action}'", &quoted(&first("actions-v1.json")?))
        .replace("'{notice}'", &quoted(&first("notices-v1.json")?)))
}

fn golden_document(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| path.display().to_string())
}

async fn rows_of_the_first_version_are_read(world: World) -> Result<()> {
    database_of_version(&world, 1).await?;
    let store = world.open().await?;
    let at: Timestamp = "2026-01-05T08:00:00Z".parse()?;
    what_was_heard(&store, at).await?;
    what_goes_on(&store, at).await?;
    let report = store.verify_log().await?;
    ensure!(report.chains.len() == 2 && report.broken().count() == 0, "{report:?}");
    let next = started(&store, &plan("checkout", "other"), at).await;
    ensure!(next.is_err(), "production is frozen");
    let other = FlagState {
        key: "other".to_owned(),
        weight: Weight::ZERO,
        members: [].into(),
        epoch: 1,
        rollout: "x".to_owned(),
    };
    let written = store.write_flag(&other).await?;
    ensure!(
        written == FlagWrite::Written { revision: 5 },
        "counters go on: {written:?}"
    );
    Ok(())
}

/// Whoever only reads brings nothing up to date: a new `log verify` beside an old server, or on a copy.
async fn the_log_of_older_tables_is_checked_as_they_are(world: World) -> Result<()> {
    database_of_version(&world, 1).await?;
    let store = Store::open_to_read(&world.storage).await?;
    let report = store.verify_log().await?;
    ensure!(report.chains.len() == 2 && report.broken().count() == 0, "{report:?}");
    Ok(())
}

async fn rows_of_the_fifth_version_are_read(world: World) -> Result<()> {
    database_of_version(&world, 5).await?;
    what_platforms_know(&world.open().await?, "2026-01-05T08:00:00Z".parse()?).await
}

async fn rows_as_the_last_but_one_migration_left_them_are_read(world: World) -> Result<()> {
    let versions = versions()?;
    let before_the_last = *versions.iter().rev().nth(1).context("there is one migration")?;
    whole_database_of_version(&world, before_the_last).await?;
    everything_is_read(&world).await
}

async fn rows_of_the_newest_version_are_read(world: World) -> Result<()> {
    let newest = *versions()?.last().context("there is no migration")?;
    whole_database_of_version(&world, newest).await?;
    everything_is_read(&world).await
}

/// Every table with rows in it, and the next rollout.
async fn everything_is_read(world: &World) -> Result<()> {
    let store = world.open().await?;
    let at: Timestamp = "2026-01-05T08:00:00Z".parse()?;
    what_platforms_know(&store, at).await?;
    what_was_heard(&store, at).await?;
    what_goes_on(&store, at).await?;
    let report = store.verify_log().await?;
    ensure!(report.chains.len() == 2 && report.broken().count() == 0, "{report:?}");
    let session = store.tokens(TokenKind::Session, at).await?;
    let token = store.tokens(TokenKind::Token, at).await?.remove(0).number;
    ensure!(session.len() == 1 && session[0].parent == Some(token), "{session:?}");
    // What every start counts is there, whatever the last migration made of it.
    ensure!(
        world.count("counters WHERE name = 'starts'").await? == 1,
        "no counter of starts"
    );
    // Nothing stands in the way of the next one.
    world
        .tamper("UPDATE environments SET frozen = NULL; DELETE FROM alerts")
        .await?;
    // But where one writes, no other may.
    let busy = begin(&store, &plan("checkout", "checkout-v2"), None, at).await?;
    ensure!(
        matches!(&busy, Begun::Refused(refusal) if refusal.code.word() == "R406" && refusal.to_string().contains("checkout-17")),
        "{busy:?}"
    );
    let next = started(&store, &plan("checkout", "other"), at).await?;
    ensure!(next.id.as_str() == "checkout-18", "{}", next.id);
    ensure!(store.active().await?.len() == 2, "both go on");
    Ok(())
}

async fn lines_from_before_surfaces_were_kept_verify_beside_new_ones(world: World) -> Result<()> {
    whole_database_of_version(&world, 13).await?;
    let store = world.open().await?;
    let log = store.history(&RolloutId::new("checkout-17"), 10).await?;
    let speakers: Vec<String> = log.iter().map(|(_, entry)| entry.speaker()).collect();
    ensure!(speakers == ["mara", "tidegate", "jon in Slack"], "{speakers:?}");
    let report = store.verify_log().await?;
    ensure!(report.broken().count() == 0, "{report:?}");
    Ok(())
}

/// What the tables of migration 5 hold.
async fn what_platforms_know(store: &Store, at: Timestamp) -> Result<()> {
    let mut proof = [0; 32];
    for (number, byte) in proof.iter_mut().enumerate() {
        *byte = u8::try_from(number)?;
    }
    ensure!(!store.take_proof(&proof, at).await?, "it was taken before");
    let rollout = RolloutId::new("checkout-17");
    let key = |channel| CardKey {
        rollout: &rollout,
        channel,
    };
    let card = store.card(key("releases")).await?.context("it is not there")?;
    ensure!(
        card.place == "C0RELEASES" && card.message.as_deref() == Some("1767600000.000100"),
        "{card:?}"
    );
    ensure!(card.generation == 8 && card.attempts == 0, "{card:?}");
    let unknown = store.claim_card(key("ops"), "r2", at, CLAIM).await?;
    ensure!(unknown.is_some_and(|card| card.message.is_none() && card.attempts == 4));
    Ok(())
}

async fn what_was_heard(store: &Store, at: Timestamp) -> Result<()> {
    let (unsettled, _) = store.unsettled(0, 10).await?;
    ensure!(
        unsettled.len() == 1 && unsettled[0].id.as_str() == "d-1" && unsettled[0].at == at,
        "{unsettled:?}"
    );
    let answer = Some("{\"text\":\"done\"}".to_owned());
    let repeated = store.remember(said("d-3", "mara", "key-1", Verb::List)).await?;
    ensure!(repeated == Remembered::Repeated { settled: true, answer });
    let firing = store.firing_alerts(10).await?;
    ensure!(firing.len() == 1 && firing[0].alert.name() == "HighErrorRate" && firing[0].receiver == "default");
    let services = store
        .services_with_alert("HighErrorRate", "production", at..=at)
        .await?;
    ensure!(services.len() == 1, "{services:?}");
    Ok(())
}

async fn what_goes_on(store: &Store, at: Timestamp) -> Result<()> {
    let id = RolloutId::new("checkout-17");
    let rollout = store.rollout(&id).await?.context("it is not there")?;
    ensure!(rollout.generation == 9 && store.active().await? == [rollout]);
    ensure!(store.history(&id, 10).await?.len() >= 2 && store.server_history(10).await?.len() == 1);
    let environment = store.environment("production", at).await?;
    ensure!(environment.generation == 2 && environment.automatic_rollbacks == 1 && environment.freeze.is_some());
    let open = store.open_actions(&id).await?;
    ensure!(open.len() == 1 && open[0].attempts == 2, "{open:?}");
    let later = at + SignedDuration::from_secs(60);
    ensure!(
        store.channels_due(later).await?.is_empty(),
        "what waited for the feed is said"
    );
    ensure!(store.said_last(FEED, 10).await?.len() == 1 && store.dead_letters(10).await?.len() == 1);
    let (notice, said) = (NoticeId::new("n-1"), store.server_history(1).await?.remove(0).1);
    ensure!(store.revive(&notice, "pager", &said, later).await?);
    ensure!(store.claim_messages("pager", "r2", later, CLAIM, 10).await?[0].attempts == 1);
    let (flags, revision) = store.flags().await?;
    ensure!(
        revision == 4 && flags.len() == 1 && flags[0].weight == Weight::percent(5),
        "{flags:?}"
    );
    let led = store.lead("r2", CLAIM).await?.context("the lease has run out")?;
    ensure!(led.term() == 7 && store.last_beat().await? == Some(at));
    ensure!(store.tokens(TokenKind::Token, at).await?.len() == 1);
    ensure!(store.changed_since(2).await?.0.len() == 1);
    Ok(())
}

#[test]
fn both_engines_have_the_same_migrations() -> Result<()> {
    let names = |engine: &str| -> Result<Vec<String>> {
        let folder = std::fs::read_dir(repository().join("migrations").join(engine))?;
        let mut names = folder
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    };
    ensure!(names("sqlite")? == names("postgres")? && !names("sqlite")?.is_empty());
    ensure!(
        Storage::FILE == "tidegate.db",
        "the files of those who use it are called so"
    );
    Ok(())
}
