//! SIGKILL at random moments, on the build that users run: while alerts pour in, rollouts begin, advance and go back, above all in
//! the moment after a deadly alert was answered 200, but also before it was, and while the server comes back from another kill.

use std::cell::Cell;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use serde_json::{Value, json};
use tidegate_tests::postgres::Postgres;
use tidegate_tests::tidegate::{Setup, Tidegate};
use tidegate_tests::wait;
use tokio::sync::Notify;

use super::client::{Alert, Client, is_gone};
use super::dice::Dice;
use super::ledger::{Database, Ledger, log_is_whole};
use super::{PLAN, PROMISE, setup};

/// Servers that live and die side by side.
const LANES: u64 = 4;
/// After the answer to what rolls back, the server has this long at most.
const GRACE: Duration = Duration::from_millis(30);
/// A strike that the server dies under is at most so far on its way.
const UNDER_WAY: Duration = Duration::from_millis(6);
/// A server that dies young is no older: many are not ready yet then, and some have just taken up what the dead left behind.
const YOUNG: Duration = Duration::from_millis(1_200);
/// No life without such a strike lasts longer.
const LIFE: Duration = Duration::from_millis(700);
/// The chain of the log is checked whenever so many lives are over, and at the end.
const CHECK_EVERY: u64 = 25;

/// What happened, for the assertion that enough of it did.
#[derive(Debug, Default)]
struct Tally {
    kills: u64,
    /// Of those, on the way back from the kill before.
    young: u64,
    alerts: usize,
    begun: usize,
    /// Rollbacks whose cause was answered 200, and the server killed right after it.
    struck: u64,
    /// Of those, not yet finished at the kill, as the database says.
    unfinished: u64,
    /// Rollbacks whose cause was under way when the server died.
    unanswered: u64,
    /// From the start of the process to readiness.
    starts: Vec<Duration>,
    /// From readiness to "rolled back".
    finishes: Vec<Duration>,
    /// From the start of the process to "rolled back", where the cause was answered before.
    returns: Vec<Duration>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.kills += other.kills;
        self.young += other.young;
        self.alerts += other.alerts;
        self.begun += other.begun;
        self.struck += other.struck;
        self.unfinished += other.unfinished;
        self.unanswered += other.unanswered;
        self.starts.extend(other.starts);
        self.finishes.extend(other.finishes);
        self.returns.extend(other.returns);
    }

    fn print(&mut self) {
        let Self {
            kills,
            young,
            alerts,
            begun,
            struck,
            unfinished,
            unanswered,
            ..
        } = self;
        println!(
            "counted: {kills} kills, {young} of them on the way back from another; {alerts} alerts answered 200; {begun} rollouts begun"
        );
        println!(
            "counted: {struck} rollbacks answered before the kill, {unfinished} of them not finished then; {unanswered} unanswered"
        );
        println!("counted: from start to readiness: {}", spread(&mut self.starts));
        println!("counted: from readiness to rolled back: {}", spread(&mut self.finishes));
        println!("counted: from start to rolled back: {}", spread(&mut self.returns));
    }
}

fn spread(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |share: usize| times.get((times.len() * share / 100).min(times.len().saturating_sub(1)));
    format!(
        "p50 {:?}, p99 {:?}, max {:?} of {}",
        at(50),
        at(99),
        times.last(),
        times.len()
    )
}

/// What rolls a rollout back.
#[derive(Clone, Debug)]
enum Cause {
    Alert(Alert),
    Order { key: String, said: Value },
}

/// The rollout of a lane, as far as it has come.
#[derive(Debug)]
struct Current {
    key: String,
    /// Once the start was answered.
    id: Option<String>,
    /// Once something rolls it back, and whether that was answered.
    cause: Option<(Cause, bool)>,
}

/// The plans for one life of the server.
struct Fate {
    /// At most.
    life: Duration,
    /// Strike as soon as the weight has come so far.
    strike_at: Option<f64>,
    by_order: bool,
    /// The strike is not answered before it dies.
    under_way: bool,
    grace: Duration,
}

struct Lane {
    server: Tidegate,
    client: Client,
    database: Database,
    dice: Dice,
    ledger: Ledger,
    current: Option<Current>,
    numbers: u64,
    /// How long a life may wait for the weight to come: until a lease runs out, on a database of several replicas.
    patience: Duration,
    tally: Tally,
}

impl Lane {
    async fn new(setup: Setup, database: Option<Database>, patience: Duration, seed: u64) -> Result<Self> {
        let server = setup.start().await?;
        Ok(Self {
            client: Client::of(&server)?,
            database: database.unwrap_or_else(|| Database::of(&server)),
            server,
            dice: Dice::seeded(seed),
            ledger: Ledger::default(),
            current: None,
            numbers: 0,
            patience,
            tally: Tally::default(),
        })
    }

    /// Lives and dies so often, then looks at everything once more.
    async fn run(mut self, kills: u64) -> Result<Tally> {
        let mut life = 0;
        while self.tally.kills < kills {
            life += 1;
            self.live().await.with_context(|| format!("in life {life}"))?;
            self.tally.kills += 1;
            self.recover().await.with_context(|| format!("after life {life}"))?;
            if life % CHECK_EVERY == 0 || self.tally.kills >= kills {
                self.ledger.compare(&self.database).await?;
                log_is_whole(&self.server).await?;
            }
        }
        self.tally.alerts = self.ledger.alerts();
        self.tally.begun = self.ledger.begun;
        Ok(self.tally)
    }

    fn fate(&mut self) -> Fate {
        let dice = &mut self.dice;
        let strike_at = dice
            .percent(55)
            .then(|| [1.0, 1.0, 1.0, 50.0, 100.0][usize::try_from(dice.below(5)).unwrap_or(0)]);
        let under_way = dice.percent(20);
        Fate {
            life: strike_at.map_or_else(|| dice.moment(LIFE), |_| self.patience),
            strike_at,
            by_order: dice.percent(25),
            under_way,
            grace: dice.moment(if under_way { UNDER_WAY } else { GRACE }),
        }
    }

    /// Sometimes it dies again while it comes back, whatever it is doing then.
    async fn die_young(&mut self) -> Result<()> {
        while self.dice.percent(20) {
            self.server.launch_again()?;
            // The moment itself is what is drawn.
            tokio::time::sleep(self.dice.moment(YOUNG)).await;
            self.server.kill()?;
            self.tally.kills += 1;
            self.tally.young += 1;
        }
        Ok(())
    }

    /// Work goes on until the server dies under it.
    async fn live(&mut self) -> Result<()> {
        let fate = self.fate();
        let (struck, killed) = (Notify::new(), Cell::new(false));
        let Self {
            server,
            client,
            dice,
            ledger,
            current,
            numbers,
            ..
        } = self;
        let killer = async {
            // Not a wait for anything: the moment itself is what is drawn.
            if tokio::time::timeout(fate.life, struck.notified()).await.is_ok() {
                tokio::time::sleep(fate.grace).await;
            }
            server.kill()?;
            killed.set(true);
            Ok(())
        };
        let mut work = Work {
            client,
            dice,
            ledger,
            current,
            numbers,
        };
        let work = async {
            loop {
                match work.turn(&fate, &struck).await {
                    Err(error) if killed.get() && is_gone(&error) => return Ok(()),
                    turn => turn?,
                }
            }
        };
        tokio::try_join!(killer, work).map(drop)
    }

    /// Returns on the same storage, and compares with what was promised.
    async fn recover(&mut self) -> Result<()> {
        if let Some(Current {
            id: Some(id),
            cause: Some((_, true)),
            ..
        }) = &self.current
        {
            self.tally.struck += 1;
            self.tally.unfinished += u64::from(self.database.left_open().await?.contains(id));
        }
        self.die_young().await?;
        let launched = Instant::now();
        self.server.start_again().await?;
        let ready = Instant::now();
        self.tally.starts.push(ready - launched);
        self.finish_the_start().await?;
        self.finish_the_rollback(launched, ready).await?;
        self.ledger.ask_again(&self.client).await?;
        self.ledger.compare(&self.database).await
    }

    /// A start that was not answered is given again under its key.
    async fn finish_the_start(&mut self) -> Result<()> {
        let Some(current) = self.current.as_mut().filter(|current| current.id.is_none()) else {
            return Ok(());
        };
        begin(&self.client, &mut self.ledger, current).await
    }

    /// What rolls back and was answered is done by the server itself; what was not answered is said again, as its sender
    /// would.
    async fn finish_the_rollback(&mut self, launched: Instant, ready: Instant) -> Result<()> {
        let Some(Current {
            id: Some(id),
            cause: Some((cause, answered)),
            ..
        }) = &mut self.current
        else {
            return Ok(());
        };
        // The promise is made for the restart, not for the readiness after it.
        let (mut promised_since, mut since) = (launched, ready);
        let was_answered = *answered;
        if !was_answered {
            self.tally.unanswered += 1;
            strike(&self.client, &mut self.ledger, cause).await?;
            *answered = true;
            since = Instant::now();
            promised_since = since;
        }
        let what = format!("{id} is rolled back");
        let over = wait::until(&what, PROMISE.saturating_sub(promised_since.elapsed()), async || {
            let state = self.client.state(id).await?;
            if state == "ROLLING BACK" || state == "ROLLED BACK" {
                self.ledger.decided();
            }
            let served = self.client.flag().await?;
            self.ledger
                .serves(served.as_ref())
                .map_err(|rose| wait::hopeless(format!("{rose:#}")))?;
            let zero = served.is_some_and(|served| served.rollout == *id && served.weight == 0.0 && !served.on);
            ensure!(state == "ROLLED BACK" && zero, "{id} is {state}, and at zero: {zero}");
            Ok(())
        });
        over.await
            .context("a rollback that had begun has to be finished within five seconds of the restart")?;
        self.tally.finishes.push(since.elapsed());
        if was_answered {
            self.tally.returns.push(launched.elapsed());
        }
        if let Cause::Alert(alert) = cause {
            self.client.resolve(alert).await?;
        }
        self.ledger.ended();
        self.current = None;
        Ok(())
    }
}

/// One life's work: what the outside does while the server lives.
struct Work<'a> {
    client: &'a Client,
    dice: &'a mut Dice,
    ledger: &'a mut Ledger,
    current: &'a mut Option<Current>,
    numbers: &'a mut u64,
}

impl Work<'_> {
    async fn turn(&mut self, fate: &Fate, struck: &Notify) -> Result<()> {
        let served = self.client.flag().await?;
        self.ledger.serves(served.as_ref())?;
        if self.dice.percent(50) {
            let count = self.dice.below(4) + 1;
            let mut alerts: Vec<Alert> = (0..count).map(|_| Alert::foreign(self.number())).collect();
            alerts.push(Alert::watchdog());
            self.client.fire(&alerts).await?;
            self.ledger.acked(&alerts);
        }
        if self.current.is_none() {
            self.client.fire(&[Alert::watchdog()]).await?;
            let key = format!("start-{}", self.number());
            *self.current = Some(Current {
                key,
                id: None,
                cause: None,
            });
        }
        let number = self.number();
        let Some(current) = self.current.as_mut() else {
            return Ok(());
        };
        let Some(id) = &current.id else {
            return begin(self.client, self.ledger, current).await;
        };
        if current.cause.is_some() {
            if ["ROLLING BACK", "ROLLED BACK"].contains(&self.client.state(id).await?.as_str()) {
                self.ledger.decided();
            }
            return Ok(());
        }
        let weight = served
            .filter(|served| served.rollout == *id)
            .map_or(0.0, |served| served.weight);
        if fate.strike_at.is_none_or(|at| weight < at) {
            return Ok(());
        }
        let said = json!({ "verb": "rollback", "rollout": id, "reason": "the crash test" });
        let cause = match fate.by_order {
            true => Cause::Order {
                key: format!("rollback-{number}"),
                said,
            },
            false => Cause::Alert(Alert::errors(number)),
        };
        let (cause, answered) = current.cause.insert((cause, false));
        if fate.under_way {
            struck.notify_one();
        }
        strike(self.client, self.ledger, cause).await?;
        *answered = true;
        struck.notify_one();
        Ok(())
    }

    fn number(&mut self) -> u64 {
        *self.numbers += 1;
        *self.numbers
    }
}

async fn begin(client: &Client, ledger: &mut Ledger, current: &mut Current) -> Result<()> {
    let (said, answer) = client.begin(PLAN, &mut current.key).await?;
    let id = answer.rollout()?;
    ledger.answered(&current.key, &said, &answer);
    ledger.began(&id);
    current.id = Some(id);
    Ok(())
}

async fn strike(client: &Client, ledger: &mut Ledger, cause: &Cause) -> Result<()> {
    match cause {
        Cause::Alert(alert) => {
            client.fire(std::slice::from_ref(alert)).await?;
            ledger.acked(std::slice::from_ref(alert));
        }
        Cause::Order { key, said } => {
            let answer = client.say(key, said).await?;
            answer.rollout()?;
            ledger.answered(key, said, &answer);
        }
    }
    Ok(())
}

/// `TIDEGATE_CRASH_KILLS`, or what the tier asks for.
fn kills() -> u64 {
    let nightly = std::env::var("TIDEGATE_TESTS_TIER").is_ok_and(|tier| tier == "nightly");
    let given = std::env::var("TIDEGATE_CRASH_KILLS").ok();
    let given = given.map(|kills| kills.parse().expect("TIDEGATE_CRASH_KILLS is a number"));
    given.unwrap_or(if nightly { 10_000 } else { 200 })
}

#[tokio::test]
async fn no_promise_is_lost_by_kills_at_random_moments_on_sqlite() -> Result<()> {
    let (kills, seed) = (kills(), Dice::seed());
    println!("TIDEGATE_CRASH_SEED={seed}");
    let lane = async |lane: u64| {
        let patience = Duration::from_secs(3);
        let lane = Lane::new(setup()?, None, patience, seed.wrapping_add(lane)).await?;
        lane.run(kills.div_ceil(LANES)).await
    };
    let mut tally = Tally::default();
    try_join_all((0..LANES).map(lane))
        .await?
        .into_iter()
        .for_each(|lane| tally.add(lane));
    tally.print();
    assert!(tally.kills >= kills, "{tally:?}");
    assert!(tally.alerts as u64 >= kills, "too few alerts were answered: {tally:?}");
    assert!(
        tally.struck >= kills / 6,
        "too few rollbacks were interrupted: {tally:?}"
    );
    assert!(tally.unfinished >= kills / 50, "the kills came too late: {tally:?}");
    assert!(tally.young >= kills / 20, "too few died young: {tally:?}");
    assert!(
        tally.unanswered >= kills / 100,
        "too few died under a strike: {tally:?}"
    );
    Ok(())
}

#[tokio::test]
async fn no_promise_is_lost_by_kills_at_random_moments_on_postgresql() -> Result<()> {
    let (kills, seed) = (kills().div_ceil(10), Dice::seed());
    println!("TIDEGATE_CRASH_SEED={seed}");
    let postgres = Postgres::shared().await?;
    let url = postgres.create_database().await?;
    let database = Database::Postgres(url.clone());
    // Raising waits until the lease of the dead has run out.
    let patience = Duration::from_secs(25);
    let lane = Lane::new(setup()?.postgres(&url)?, Some(database), patience, seed).await?;
    let mut tally = lane.run(kills).await?;
    tally.print();
    assert!(tally.kills >= kills && tally.struck >= kills / 6, "{tally:?}");
    Ok(())
}
