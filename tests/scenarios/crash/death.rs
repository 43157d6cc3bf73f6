//! A story, and the death of the server in it: at a named point, at every pass. What was promised is kept after the restart, and
//! the story goes on to its end.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tidegate_tests::built::Build;
use tidegate_tests::postgres::Postgres;
use tidegate_tests::scratch::Scratch;
use tidegate_tests::tidegate::{Setup, Tidegate};
use tidegate_tests::wait;

use super::PROMISE;
use super::client::{Client, is_gone};
use super::ledger::{Database, log_is_whole};
use super::tale::Tale;

/// How long a live server takes at most for any step of a story: on PostgreSQL the lease of the dead runs out first.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// SIGABRT.
const ABORTED: i32 = 6;

/// One rollout from its start to its end, and a world of its own around the server.
pub(super) trait Story: Sized {
    /// The world before the first word, and how a server is set up in it.
    async fn furnish() -> Result<(Self, Setup)>;

    /// Lays down what the server finds at its first start.
    async fn lay_down(&self, _server: &Tidegate) -> Result<()> {
        Ok(())
    }

    /// What is told.
    fn tale(&mut self) -> &mut Tale;

    /// Goes on where it broke off, to the end.
    async fn go_on(&mut self, server: &mut Tidegate, database: &Database) -> Result<()>;

    /// Waits until traffic is where it was before.
    async fn goes_back(&mut self, within: Duration) -> Result<()> {
        self.tale().falls(within).await
    }

    /// Judges what only this story promises, once everything was done and said.
    async fn judge(&mut self, _database: &Database) -> Result<()> {
        Ok(())
    }
}

/// The commits that a story meets on a server that nobody kills.
pub(super) async fn commits_of<S: Story>() -> Result<BTreeSet<String>> {
    let scratch = Scratch::new("passed")?;
    let passed = scratch.path().join("passed");
    let (mut story, setup) = S::furnish().await?;
    let setup = setup.build(Build::Failpoints);
    let setup = setup.env("TIDEGATE_FAILPOINTS_PASSED", &passed.display().to_string());
    let mut server = setup.install()?;
    story.lay_down(&server).await?;
    server.start_again().await?;
    let database = Database::of(&server);
    story.go_on(&mut server, &database).await?;
    settled(&database, &story.tale().known()?.clone()).await?;
    story.judge(&database).await?;
    let passed = std::fs::read_to_string(passed).context("nothing was committed")?;
    Ok(passed
        .lines()
        .filter_map(|line| line.strip_prefix("after "))
        .map(str::to_owned)
        .collect())
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
async fn run<S: Story>(point: &str, nth: u32, postgres: Option<&Postgres>) -> Result<Run> {
    let (mut story, setup) = S::furnish().await?;
    let mut setup = setup
        .build(Build::Failpoints)
        .env("TIDEGATE_FAILPOINT", &format!("{point}:{nth}"));
    let mut database = None;
    if let Some(postgres) = postgres {
        let url = postgres.create_database().await?;
        setup = setup.postgres(&url)?;
        database = Some(Database::Postgres(url));
    }
    let mut server = setup.install()?;
    let database = database.unwrap_or_else(|| Database::of(&server));
    story.lay_down(&server).await?;
    // The point may lie on the way to readiness.
    let lived = match server.start_again().await {
        Ok(()) => to_the_end(&mut story, &mut server, &database).await,
        Err(born_dead) => Err(born_dead),
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
    let mut finished = None;
    if story.tale().promised() {
        story
            .goes_back(PROMISE.saturating_sub(launched.elapsed()))
            .await
            .context("it was promised, and has to be over by now")?;
        finished = Some(launched.elapsed());
    }
    story.go_on(&mut server, &database).await?;
    let tale = story.tale();
    if let Some(served) = tale.known()?.flag().await? {
        ensure!(served.weight == 0.0, "{served:?}");
    }
    tale.ledger.ask_again(tale.known()?).await?;
    tale.ledger.compare(&database).await?;
    settled(&database, &story.tale().known()?.clone()).await?;
    story.judge(&database).await?;
    log_is_whole(&server).await?;
    Ok(Run::Died { finished })
}

/// The story, and what follows from it by itself.
async fn to_the_end<S: Story>(story: &mut S, server: &mut Tidegate, database: &Database) -> Result<()> {
    story.go_on(server, database).await?;
    let client = story.tale().known()?.clone();
    settled(database, &client).await
}

/// A message that failed three times rests for half a minute.
const SETTLED: Duration = Duration::from_secs(75);

/// Waits until nothing is left that was to be done, said or shown: whatever the dead had claimed was free again.
async fn settled(database: &Database, client: &Client) -> Result<()> {
    const LEFT: [&str; 3] = [
        "SELECT 'to do: ' || id FROM actions WHERE outcome IS NULL",
        "SELECT 'to say: ' || notice || ' on ' || channel FROM messages WHERE state = 'waiting'",
        "SELECT 'to show: ' || c.rollout || ' on ' || c.channel FROM cards AS c JOIN rollouts AS r ON r.id = c.rollout
         WHERE c.message IS NULL OR c.generation < r.generation",
    ];
    wait::until("all is done, said and shown", SETTLED, async || {
        if client.flag().await.is_err_and(|error| is_gone(&error)) {
            return Err(wait::hopeless("the server is gone"));
        }
        for sql in LEFT {
            let left = database.column(sql).await?;
            ensure!(left.is_empty(), "{left:?}");
        }
        Ok(())
    })
    .await
}

/// A point, and of each death there how long after the restart a promised rollback was over.
pub(super) type Deaths = BTreeMap<String, Vec<Option<Duration>>>;

/// Dies at `point` the first time it is passed, the second time, and so on.
pub(super) async fn every_pass<S: Story>(
    point: String,
    passes: u32,
    postgres: Option<&Postgres>,
) -> Result<(String, Vec<Option<Duration>>)> {
    let mut deaths = Vec::new();
    for nth in 1..=passes {
        let run = run::<S>(&point, nth, postgres).await;
        match run.with_context(|| format!("at {point}:{nth}"))? {
            Run::Died { finished } => deaths.push(finished),
            Run::NotPassed => break,
        }
    }
    Ok((point, deaths))
}
